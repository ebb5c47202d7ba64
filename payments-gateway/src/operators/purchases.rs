//! Purchases: read, looked at again, and what an operator decides about those that don't agree with their quote.

use super::{Operators, caller::Operator, fields::Fields, page::Page, status, wire};
use crate::{
    clock,
    store::purchases::{Kind, Named, Paid, Purchase},
    stripe::{
        Request,
        facts::{self, Facts},
    },
};
use billing::{PaymentStatus, SessionStatus, State};
use proto::payments::v1::{
    ErrorReason, GetPurchaseRequest, GetPurchaseResponse, ListPurchasesRequest,
    ListPurchasesResponse, PurchaseResolution, PurchaseState, RefreshPurchaseRequest,
    RefreshPurchaseResponse, ResolvePurchaseRequest, ResolvePurchaseResponse,
};
use tonic::{Code, Status};

/// Events that are told beside a purchase.
const EVENTS_MAX: i64 = 100;

impl Operators {
    pub(super) async fn purchases(
        &self,
        asked: ListPurchasesRequest,
    ) -> Result<ListPurchasesResponse, Status> {
        let (size, token) = (asked.page_size, asked.page_token.clone());
        let filters = ListPurchasesRequest { page_size: 0, page_token: String::new(), ..asked };
        let (page, account_id, state) = Fields::read(|fields| {
            let page = Page::read(fields, (size, &token), &filters);
            let account_id = fields.optional_name("account_id", filters.account_id.clone());
            let state = fields.filter::<PurchaseState>("state", filters.state);
            Some((page?, account_id?, state?))
        })?;
        let found = self.store.purchases(account_id.as_deref(), state, page.after(), page.limit());
        let found = found.await.map_err(|error| status::store(&error))?;
        let place = |it: &Purchase| (it.created_at, it.id.clone());
        let rows = found.into_iter().map(|it| (place(&it), wire::purchase(it))).collect();
        let (purchases, next_page_token) = page.cut(rows);
        Ok(ListPurchasesResponse { purchases, next_page_token })
    }

    pub(super) async fn purchase(
        &self,
        asked: GetPurchaseRequest,
    ) -> Result<GetPurchaseResponse, Status> {
        let found = self.existing(asked.purchase_id).await?;
        let calls = self.store.calls_of(&found.id).await.map_err(|error| status::store(&error))?;
        let events = self.store.entries(None, Some(&found.id), None, EVENTS_MAX).await;
        let events = events.map_err(|error| status::store(&error))?;
        Ok(GetPurchaseResponse {
            purchase: Some(wire::purchase(found)),
            calls: calls.into_iter().map(wire::call).collect(),
            events: events.into_iter().map(wire::event).collect(),
        })
    }

    pub(super) async fn refresh(
        &self,
        who: &Operator,
        asked: RefreshPurchaseRequest,
    ) -> Result<RefreshPurchaseResponse, Status> {
        let found = self.existing(asked.purchase_id).await?;
        let why = format!("{} asks for it", who.name());
        self.intake.look_at(&found.id, &why).await.map_err(status::not_kept)?;
        Ok(RefreshPurchaseResponse { purchase: Some(wire::purchase(found)) })
    }

    pub(super) async fn resolve(
        &self,
        who: &Operator,
        asked: ResolvePurchaseRequest,
    ) -> Result<ResolvePurchaseResponse, Status> {
        let (resolution, note) = Fields::read(|fields| {
            let resolution = match asked.resolution() {
                PurchaseResolution::Unspecified => {
                    fields.fail("resolution", "decide: CREDIT or LEAVE")
                }
                decided @ (PurchaseResolution::Credit | PurchaseResolution::Leave) => Some(decided),
            };
            let note = fields.needed_note("note", asked.note.clone());
            Some((resolution?, note?))
        })?;
        let found = self.existing(asked.purchase_id).await?;
        let id = found.id.clone();
        let state = found.state().map_err(|error| status::store(&error))?;
        if state != State::Mismatch {
            return Err(no_mismatch(&found));
        }
        let (paid, decided) = match resolution {
            PurchaseResolution::Credit => (Some(self.money(&found).await?), "to be credited"),
            PurchaseResolution::Leave | PurchaseResolution::Unspecified => (None, "left"),
        };
        let now = clock::now();
        let words = format!("{decided} by {}, {}: {note}", who.name(), clock::rfc3339(now));
        let resolved = self.store.resolve_mismatch(&id, paid.as_ref(), &words, now).await;
        let Some(resolved) = resolved.map_err(|error| status::store(&error))? else {
            // Somebody else was quicker.
            return Err(no_mismatch(&self.existing(id).await?));
        };
        tracing::info!(
            purchase = id,
            operator = who.name(),
            decided,
            note,
            "a mismatch is resolved"
        );
        if paid.is_some()
            && let Err(error) = self.intake.look_at(&id, &words).await
        {
            // It is decided all the same: the reconciler finds what is paid and not credited.
            tracing::warn!(%error, purchase = id, "the worker isn't told yet");
        }
        Ok(ResolvePurchaseResponse { purchase: Some(wire::purchase(resolved)) })
    }

    /// What Stripe says was paid for a purchase, if that can be credited at all. Everything else in which it
    /// differs from the quote, the operator has seen.
    async fn money(&self, purchase: &Purchase) -> Result<Paid, Status> {
        let request = match (purchase.kind(), &purchase.session_id, &purchase.payment_intent) {
            (Kind::Checkout, Some(session), _) => Request::session(session),
            (Kind::PaymentIntent, _, Some(intent)) => Request::intent(intent),
            (Kind::Checkout | Kind::PaymentIntent, _, _) => {
                return Err(status::not_creditable(&purchase.id, "Stripe never opened it"));
            }
        };
        let answer = self.stripe.call(&request).await;
        let answer = answer.map_err(|error| status::stripe(&purchase.id, &error))?;
        // Whose its discounts are doesn't matter any more.
        let facts = facts::of(purchase, &answer.body, &[])
            .map_err(|error| status::not_creditable(&purchase.id, &error.to_string()))?;
        payable(purchase, facts).map_err(|why| status::not_creditable(&purchase.id, &why))
    }

    /// A purchase that is there.
    async fn existing(&self, id: String) -> Result<Purchase, Status> {
        let id = Fields::read(|fields| fields.name("purchase_id", id))?;
        let found = self.store.purchase(Named::Purchase(&id)).await;
        found.map_err(|error| status::store(&error))?.ok_or_else(|| status::no_purchase(&id))
    }
}

fn no_mismatch(purchase: &Purchase) -> Status {
    let (id, state) = (&purchase.id, purchase.state_name());
    let message = format!("purchase {id} is {state}: only a mismatch can be resolved");
    let metadata: [(&str, &dyn std::fmt::Display); 2] = [("purchase_id", id), ("state", &state)];
    status::new(Code::FailedPrecondition, ErrorReason::NotAMismatch, message, &metadata)
}

/// What is kept of money that is there, and that is of the purchase's own currency and mode: the ledger is told
/// what was paid in these, and a test's money buys nothing that is real.
fn payable(purchase: &Purchase, facts: Facts) -> Result<Paid, String> {
    let Facts { session, paid, .. } = facts;
    let is_there = match (session.status, session.payment_status) {
        (SessionStatus::Complete, PaymentStatus::Paid | PaymentStatus::NoPaymentRequired) => true,
        (SessionStatus::Open | SessionStatus::Expired, _)
        | (SessionStatus::Complete, PaymentStatus::Unpaid) => false,
    };
    if !is_there {
        return Err("Stripe doesn't say that it is paid".to_owned());
    }
    if session.livemode != (purchase.livemode == 1) {
        return Err(format!("it was paid with livemode = {}", session.livemode));
    }
    if session.currency != purchase.currency {
        return Err(format!("it was paid in {}, not in {}", session.currency, purchase.currency));
    }
    if paid.paid_minor < 0 {
        return Err(format!("{} minor units were paid", paid.paid_minor));
    }
    Ok(paid)
}
