//! Who buys, by what an operator knows of them.

use super::{Operators, fields::Fields, status, wire};
use proto::payments::v1::{ErrorReason, GetCustomerRequest, GetCustomerResponse};
use tonic::{Code, Status};

/// Others that are named beside a customer.
const OTHERS_MAX: i64 = 100;

impl Operators {
    pub(super) async fn customer(
        &self,
        asked: GetCustomerRequest,
    ) -> Result<GetCustomerResponse, Status> {
        let word = Fields::read(|fields| fields.address("customer", asked.customer))?;
        let found = self.store.find_customers(&word, OTHERS_MAX.saturating_add(1)).await;
        let mut found = found.map_err(|error| status::store(&error))?.into_iter();
        // The message doesn't repeat the word: it may be somebody's address, and messages are logged.
        let customer = found.next().ok_or_else(|| {
            let message = "there is no customer of this account, address or name at Stripe";
            status::new(Code::NotFound, ErrorReason::CustomerNotFound, message, &[])
        })?;
        Ok(GetCustomerResponse {
            customer: Some(wire::customer(customer)),
            other_account_ids: found.map(|it| it.account_id).collect(),
        })
    }
}
