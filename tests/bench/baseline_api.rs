//! `token.v1.TokenService` with one method: what a baseline doesn't measure it doesn't have.

use crate::baseline::Baseline;
use proto::v1::{self, token_service_server::TokenService};
use tokio_stream::Empty;
use tonic::{Request, Response, Status};

macro_rules! debit_alone {
    ($($name:ident($request:ident) -> $response:ty,)*) => {
        #[tonic::async_trait]
        impl TokenService for Baseline {
            type WatchBalanceStream = Empty<Result<v1::WatchBalanceResponse, Status>>;
            type WatchEventsStream = Empty<Result<v1::WatchEventsResponse, Status>>;

            async fn debit(
                &self,
                request: Request<v1::DebitRequest>,
            ) -> Result<Response<v1::DebitResponse>, Status> {
                Baseline::debit(self, request.get_ref()).await.map(Response::new)
            }

            $(async fn $name(
                &self,
                _: Request<v1::$request>,
            ) -> Result<Response<$response>, Status> {
                Err(Status::unimplemented("a baseline debits"))
            })*
        }
    };
}

debit_alone! {
    credit(CreditRequest) -> v1::CreditResponse,
    reverse(ReverseRequest) -> v1::ReverseResponse,
    transfer(TransferRequest) -> v1::TransferResponse,
    create_hold(CreateHoldRequest) -> v1::CreateHoldResponse,
    capture_hold(CaptureHoldRequest) -> v1::CaptureHoldResponse,
    release_hold(ReleaseHoldRequest) -> v1::ReleaseHoldResponse,
    set_clawback(SetClawbackRequest) -> v1::SetClawbackResponse,
    set_entitlement(SetEntitlementRequest) -> v1::SetEntitlementResponse,
    authorize(AuthorizeRequest) -> v1::AuthorizeResponse,
    batch(BatchRequest) -> v1::BatchResponse,
    quote(QuoteRequest) -> v1::QuoteResponse,
    get_catalog(GetCatalogRequest) -> v1::GetCatalogResponse,
    get_balance(GetBalanceRequest) -> v1::GetBalanceResponse,
    batch_get_balances(BatchGetBalancesRequest) -> v1::BatchGetBalancesResponse,
    watch_balance(WatchBalanceRequest) -> Self::WatchBalanceStream,
    get_transaction(GetTransactionRequest) -> v1::GetTransactionResponse,
    list_transactions(ListTransactionsRequest) -> v1::ListTransactionsResponse,
    get_statement(GetStatementRequest) -> v1::GetStatementResponse,
    list_grants(ListGrantsRequest) -> v1::ListGrantsResponse,
    list_holds(ListHoldsRequest) -> v1::ListHoldsResponse,
    get_usage(GetUsageRequest) -> v1::GetUsageResponse,
    watch_events(WatchEventsRequest) -> Self::WatchEventsStream,
}
