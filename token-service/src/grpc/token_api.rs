//! `token.v1.TokenService`: one line a method.

use super::{
    Api, Asked, Reply, asked,
    convert::{Batch, Quote, catalog},
    events::Events,
    reply, seen_by,
    watch::Balances,
};
use ledger::Outcome;
use proto::{
    reason::Error,
    v1::{self, token_service_server::TokenService},
};
use tonic::{Request, Response};

/// Balances and commands.
#[derive(Clone, Debug)]
pub struct TokenApi {
    api: Api,
}

impl TokenApi {
    /// Answers from this.
    #[must_use]
    pub fn new(api: Api) -> Self {
        Self { api }
    }
}

#[tonic::async_trait]
impl TokenService for TokenApi {
    async fn credit(&self, request: Request<v1::CreditRequest>) -> Reply<v1::CreditResponse> {
        reply(self.api.ask(asked(request)).await)
    }

    async fn debit(&self, request: Request<v1::DebitRequest>) -> Reply<v1::DebitResponse> {
        reply(self.api.ask(asked(request)).await)
    }

    async fn reverse(&self, request: Request<v1::ReverseRequest>) -> Reply<v1::ReverseResponse> {
        reply(self.api.ask(asked(request)).await)
    }

    async fn transfer(&self, request: Request<v1::TransferRequest>) -> Reply<v1::TransferResponse> {
        reply(self.api.ask(asked(request)).await)
    }

    async fn create_hold(
        &self,
        request: Request<v1::CreateHoldRequest>,
    ) -> Reply<v1::CreateHoldResponse> {
        reply(self.api.ask(asked(request)).await)
    }

    async fn capture_hold(
        &self,
        request: Request<v1::CaptureHoldRequest>,
    ) -> Reply<v1::CaptureHoldResponse> {
        reply(self.api.ask(asked(request)).await)
    }

    async fn release_hold(
        &self,
        request: Request<v1::ReleaseHoldRequest>,
    ) -> Reply<v1::ReleaseHoldResponse> {
        reply(self.api.ask(asked(request)).await)
    }

    async fn set_clawback(
        &self,
        request: Request<v1::SetClawbackRequest>,
    ) -> Reply<v1::SetClawbackResponse> {
        reply(self.api.ask(asked(request)).await)
    }

    async fn set_entitlement(
        &self,
        request: Request<v1::SetEntitlementRequest>,
    ) -> Reply<v1::SetEntitlementResponse> {
        reply(self.api.ask(asked(request)).await)
    }

    async fn authorize(
        &self,
        request: Request<v1::AuthorizeRequest>,
    ) -> Reply<v1::AuthorizeResponse> {
        reply(self.api.ask(asked(request)).await)
    }

    async fn batch(&self, request: Request<v1::BatchRequest>) -> Reply<v1::BatchResponse> {
        reply(self.api.batch(asked(request)).await)
    }

    async fn quote(&self, request: Request<v1::QuoteRequest>) -> Reply<v1::QuoteResponse> {
        reply(self.api.quote(asked(request)).await)
    }

    async fn get_catalog(
        &self,
        _: Request<v1::GetCatalogRequest>,
    ) -> Reply<v1::GetCatalogResponse> {
        let catalog = Some(catalog::catalog(&self.api.catalog));
        Ok(Response::new(v1::GetCatalogResponse { catalog }))
    }

    async fn get_balance(
        &self,
        request: Request<v1::GetBalanceRequest>,
    ) -> Reply<v1::GetBalanceResponse> {
        reply(self.api.get_balance(asked(request)).await)
    }

    async fn batch_get_balances(
        &self,
        request: Request<v1::BatchGetBalancesRequest>,
    ) -> Reply<v1::BatchGetBalancesResponse> {
        reply(self.api.batch_get_balances(asked(request)).await)
    }

    type WatchBalanceStream = Balances;

    async fn watch_balance(
        &self,
        request: Request<v1::WatchBalanceRequest>,
    ) -> Reply<Self::WatchBalanceStream> {
        reply(self.api.watch_balance(asked(request)))
    }

    async fn get_transaction(
        &self,
        request: Request<v1::GetTransactionRequest>,
    ) -> Reply<v1::GetTransactionResponse> {
        reply(self.api.get_transaction(asked(request)).await)
    }

    async fn list_transactions(
        &self,
        request: Request<v1::ListTransactionsRequest>,
    ) -> Reply<v1::ListTransactionsResponse> {
        reply(self.api.list_transactions(asked(request)).await)
    }

    async fn get_statement(
        &self,
        request: Request<v1::GetStatementRequest>,
    ) -> Reply<v1::GetStatementResponse> {
        reply(self.api.get_statement(asked(request)).await)
    }

    async fn list_grants(
        &self,
        request: Request<v1::ListGrantsRequest>,
    ) -> Reply<v1::ListGrantsResponse> {
        reply(self.api.list_grants(asked(request)).await)
    }

    async fn list_holds(
        &self,
        request: Request<v1::ListHoldsRequest>,
    ) -> Reply<v1::ListHoldsResponse> {
        reply(self.api.list_holds(asked(request)).await)
    }

    async fn get_usage(
        &self,
        request: Request<v1::GetUsageRequest>,
    ) -> Reply<v1::GetUsageResponse> {
        reply(self.api.get_usage(asked(request)).await)
    }

    type WatchEventsStream = Events;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Reply<Self::WatchEventsStream> {
        reply(self.api.watch_events(asked(request)).await)
    }
}

impl Api {
    async fn batch(
        &self,
        (caller, request): Asked<v1::BatchRequest>,
    ) -> Result<v1::BatchResponse, Error> {
        let batch = Batch::read(&request, self.terms(&caller))?;
        let outcomes = self.submit(batch.job()).await?;
        let seen = |outcome: Outcome| outcome.map(|receipt| seen_by(&caller, receipt));
        let outcomes = outcomes.into_iter().map(seen).collect();
        batch.answer(outcomes, &self.catalog, self.clock.now())
    }

    async fn quote(
        &self,
        (caller, request): Asked<v1::QuoteRequest>,
    ) -> Result<v1::QuoteResponse, Error> {
        let quote = Quote::read(&request, self.terms(&caller))?;
        let outcomes = match quote.job() {
            None => None,
            Some(job) => Some(self.submit(job).await?),
        };
        Ok(quote.answer(outcomes, &self.catalog, self.clock.now()))
    }
}
