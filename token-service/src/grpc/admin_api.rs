//! `token.v1.AdminService`: what operators see and set.

use super::{Api, Asked, Reply, asked, audit, convert, reply};
use crate::identity::Caller;
use ledger::{Command, Mode};
use proto::{
    reason::Error,
    v1::{self, admin_service_server::AdminService},
};
use tonic::{Request, Response, Streaming};

/// Accounts, audit and bulk work.
#[derive(Clone, Debug)]
pub struct AdminApi {
    api: Api,
}

impl AdminApi {
    /// Answers from this.
    #[must_use]
    pub fn new(api: Api) -> Self {
        Self { api }
    }

    async fn set_status(
        &self,
        caller: &Caller,
        account_id: &str,
        note: &str,
        status: ledger::Status,
    ) -> Result<Option<v1::Account>, Error> {
        let terms = self.api.terms(caller);
        let command = convert::set_status(account_id, note, status, terms)?;
        self.change(command, "SetStatus").await
    }

    async fn set_settings(
        &self,
        (caller, request): Asked<v1::UpdateAccountRequest>,
    ) -> Result<Option<v1::Account>, Error> {
        let command = convert::set_settings(&request, self.api.terms(&caller))?;
        self.change(command, "UpdateAccount").await
    }

    /// Changes an account; it is told as it is then.
    async fn change(&self, command: Command, method: &str) -> Result<Option<v1::Account>, Error> {
        let id = command.account.clone();
        self.api.run(command, method, Mode::Independent).await?;
        self.api.account_now(&id).await.map(Some)
    }
}

#[tonic::async_trait]
impl AdminService for AdminApi {
    async fn get_account(
        &self,
        request: Request<v1::GetAccountRequest>,
    ) -> Reply<v1::GetAccountResponse> {
        reply(self.api.get_account(asked(request)).await)
    }

    async fn list_accounts(
        &self,
        request: Request<v1::ListAccountsRequest>,
    ) -> Reply<v1::ListAccountsResponse> {
        reply(self.api.list_accounts(asked(request)).await)
    }

    async fn update_account(
        &self,
        request: Request<v1::UpdateAccountRequest>,
    ) -> Reply<v1::UpdateAccountResponse> {
        let account = self.set_settings(asked(request)).await;
        reply(account.map(|account| v1::UpdateAccountResponse { account }))
    }

    async fn freeze_account(
        &self,
        request: Request<v1::FreezeAccountRequest>,
    ) -> Reply<v1::FreezeAccountResponse> {
        let (caller, v1::FreezeAccountRequest { account_id, note }) = asked(request);
        let account = self.set_status(&caller, &account_id, &note, ledger::Status::Frozen).await;
        reply(account.map(|account| v1::FreezeAccountResponse { account }))
    }

    async fn unfreeze_account(
        &self,
        request: Request<v1::UnfreezeAccountRequest>,
    ) -> Reply<v1::UnfreezeAccountResponse> {
        let (caller, v1::UnfreezeAccountRequest { account_id, note }) = asked(request);
        let account = self.set_status(&caller, &account_id, &note, ledger::Status::Active).await;
        reply(account.map(|account| v1::UnfreezeAccountResponse { account }))
    }

    async fn close_account(
        &self,
        request: Request<v1::CloseAccountRequest>,
    ) -> Reply<v1::CloseAccountResponse> {
        let (caller, v1::CloseAccountRequest { account_id, note }) = asked(request);
        let account = self.set_status(&caller, &account_id, &note, ledger::Status::Closed).await;
        reply(account.map(|account| v1::CloseAccountResponse { account }))
    }

    async fn bulk_credit(
        &self,
        request: Request<Streaming<v1::BulkCreditRequest>>,
    ) -> Reply<v1::BulkCreditResponse> {
        let (caller, rows) = asked(request);
        self.api.bulk_credit(&caller, rows).await.map(Response::new)
    }

    async fn trial_balance(
        &self,
        _: Request<v1::TrialBalanceRequest>,
    ) -> Reply<v1::TrialBalanceResponse> {
        reply(self.api.trial_balance().await)
    }

    type VerifyLedgerStream = audit::Reports;

    async fn verify_ledger(
        &self,
        request: Request<v1::VerifyLedgerRequest>,
    ) -> Reply<Self::VerifyLedgerStream> {
        reply(self.api.verify_ledger(asked(request)).await)
    }

    async fn get_checkpoint(
        &self,
        _: Request<v1::GetCheckpointRequest>,
    ) -> Reply<v1::GetCheckpointResponse> {
        reply(self.api.get_checkpoint().await)
    }

    async fn get_stats(
        &self,
        request: Request<v1::GetStatsRequest>,
    ) -> Reply<v1::GetStatsResponse> {
        reply(self.api.get_stats(asked(request)).await)
    }
}
