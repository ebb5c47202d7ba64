//! Something that answers the calls of `token.v1`: the core alone, the service on a database, or a
//! server across the wire. What is tested against one is tested against all.

use proto::v1;
use std::future::Future;

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($request:ident) -> $response:ident,)*) => {
        /// A call that a test makes.
        #[derive(Clone, Debug)]
        pub enum Call { $($(#[$doc])* $name(v1::$request),)* }

        /// What it answers.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Reply { $($(#[$doc])* $name(v1::$response),)* }

        $(impl From<v1::$request> for Call {
            fn from(request: v1::$request) -> Self { Self::$name(request) }
        })*

        impl Call {
            /// The RPC's name.
            #[must_use]
            pub fn rpc(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }
        }
    };
}

calls! {
    /// Tokens in.
    Credit(CreditRequest) -> CreditResponse,
    /// Tokens out.
    Debit(DebitRequest) -> DebitResponse,
    /// The mirror image.
    Reverse(ReverseRequest) -> ReverseResponse,
    /// Tokens to another account.
    Transfer(TransferRequest) -> TransferResponse,
    /// Tokens set aside.
    CreateHold(CreateHoldRequest) -> CreateHoldResponse,
    /// Held tokens spent.
    CaptureHold(CaptureHoldRequest) -> CaptureHoldResponse,
    /// Held tokens given back.
    ReleaseHold(ReleaseHoldRequest) -> ReleaseHoldResponse,
    /// Tokens taken back.
    SetClawback(SetClawbackRequest) -> SetClawbackResponse,
    /// A right to use.
    SetEntitlement(SetEntitlementRequest) -> SetEntitlementResponse,
    /// May it be done?
    Authorize(AuthorizeRequest) -> AuthorizeResponse,
    /// Many at once.
    Batch(BatchRequest) -> BatchResponse,
    /// What would it cost?
    Quote(QuoteRequest) -> QuoteResponse,
    /// What is there.
    GetBalance(GetBalanceRequest) -> GetBalanceResponse,
    /// Did it happen?
    GetTransaction(GetTransactionRequest) -> GetTransactionResponse,
    /// What happened.
    ListTransactions(ListTransactionsRequest) -> ListTransactionsResponse,
    /// What was used.
    GetUsage(GetUsageRequest) -> GetUsageResponse,
    /// The lots.
    ListGrants(ListGrantsRequest) -> ListGrantsResponse,
    /// The holds.
    ListHolds(ListHoldsRequest) -> ListHoldsResponse,
    /// No spending.
    FreezeAccount(FreezeAccountRequest) -> FreezeAccountResponse,
    /// Spending.
    UnfreezeAccount(UnfreezeAccountRequest) -> UnfreezeAccountResponse,
    /// The end, until tokens come in again.
    CloseAccount(CloseAccountRequest) -> CloseAccountResponse,
    /// Settings.
    UpdateAccount(UpdateAccountRequest) -> UpdateAccountResponse,
    /// An account with its settings.
    GetAccount(GetAccountRequest) -> GetAccountResponse,
}

/// Answers calls at a time that the test sets.
pub trait Target {
    /// Makes one call and waits for its answer.
    fn call(&mut self, call: Call) -> impl Future<Output = Result<Reply, tonic::Status>> + Send;

    /// Sets the clock, in microseconds since 1970.
    fn set_time(&mut self, micros: i64);
}
