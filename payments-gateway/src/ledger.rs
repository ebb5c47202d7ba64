//! token-service, as far as the gateway calls it.

use crate::{config::Config, store::purchases::Purchase};
use proto::{
    client::{Client, Options, Origin, Repeating},
    v1::{
        CreditRequest, ErrorReason, GetBalanceRequest, GetBalanceResponse, GetCatalogRequest,
        GetUsageRequest, GetUsageResponse, GrantKind, ListTransactionsRequest,
        ListTransactionsResponse, Money, SetClawbackRequest,
        token_service_client::TokenServiceClient,
    },
};
use std::{collections::BTreeMap, time::Duration};
use tonic::{Code, Status};

/// How long a call may take, with all its repetitions.
const DEADLINE: Duration = Duration::from_secs(8);

/// Why the ledger didn't do it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It is away, or busy: ask again with the same key.
    #[error("token-service can't be asked: {0}")]
    Away(String),
    /// It said no.
    #[error("token-service refused it: {0}")]
    Refused(String),
    /// The key stands for something else there.
    #[error("token-service has another transaction under that key: {0}")]
    KeyReused(String),
    /// There is no such account, which has never had a token.
    #[error("token-service has no such account")]
    NoAccount,
}

/// Calls token-service.
#[derive(Clone, Debug)]
pub struct Ledger {
    client: Client,
}

impl Ledger {
    /// Says where it is; connections are made when they are needed.
    ///
    /// # Errors
    /// The address or the token can't be used.
    pub fn new(config: &Config) -> Result<Self, String> {
        let options = Options { deadline: DEADLINE, ..Options::default() };
        let client = Client::connect(&config.token_service, options)
            .map_err(|error| format!("PAYMENTS_GATEWAY_TOKEN_SERVICE: {error}"))?;
        let client = match &config.token_service_token {
            None => client,
            Some(token) => client
                .with_token(token.expose())
                .map_err(|_| "PAYMENTS_GATEWAY_TOKEN_SERVICE_TOKEN can't be a header".to_owned())?,
        };
        Ok(Self { client })
    }

    /// The same, as part of something that came in.
    #[must_use]
    pub fn within(&self, origin: Origin) -> Self {
        Self { client: self.client.within(origin) }
    }

    fn tokens(&self) -> TokenServiceClient<Repeating> {
        self.client.tokens()
    }

    /// The version of the catalog that token-service goes by.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn catalog_version(&self) -> Result<String, LedgerError> {
        let answer =
            self.tokens().get_catalog(GetCatalogRequest::default()).await.map_err(refuse)?;
        Ok(answer.into_inner().catalog.unwrap_or_default().version)
    }

    /// Whether we are somebody who may credit: a credit that names nothing is refused for that alone.
    ///
    /// # Errors
    /// We aren't, or it can't be asked.
    pub async fn may_credit(&self) -> Result<(), LedgerError> {
        match self.tokens().credit(CreditRequest::default()).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::InvalidArgument => Ok(()),
            Err(status) => Err(refuse(status)),
        }
    }

    /// Credits a purchase that is paid, once, however often it is asked to: everything in the request comes
    /// from the purchase's row, where it is fixed. The transaction's id.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn credit(&self, purchase: &Purchase) -> Result<String, LedgerError> {
        let paid_minor = purchase.paid_minor.unwrap_or_default();
        let kind = if paid_minor > 0 { GrantKind::Purchased } else { GrantKind::Promotional };
        let cost = Money { amount_minor: paid_minor, currency: purchase.currency.clone() };
        let mut metadata = BTreeMap::from([("purchase".to_owned(), purchase.id.clone())]);
        if let Some(package) = &purchase.package_id {
            metadata.insert("package".to_owned(), package.clone());
        }
        let request = CreditRequest {
            account_id: purchase.account_id.clone(),
            idempotency_key: purchase.credit_key(),
            amount: purchase.tokens,
            kind: kind.into(),
            cost: (paid_minor > 0).then_some(cost),
            description: purchase.name.clone(),
            reference: purchase.id.clone(),
            metadata,
            ..CreditRequest::default()
        };
        let answer = self.tokens().credit(request).await.map_err(refuse)?.into_inner();
        Ok(answer.transaction.map(|transaction| transaction.transaction_id).unwrap_or_default())
    }

    /// Tells how many of a purchase's tokens are to be taken back in all, as its newest revision has it.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn set_clawback(&self, purchase: &Purchase) -> Result<(), LedgerError> {
        let request = SetClawbackRequest {
            account_id: purchase.account_id.clone(),
            idempotency_key: format!(
                "{}/clawback/{}",
                purchase.credit_key(),
                purchase.clawback_revision
            ),
            credit_key: purchase.credit_key(),
            target: purchase.clawback_target,
            revision: purchase.clawback_revision,
            description: purchase.name.clone(),
            reference: purchase.id.clone(),
            ..SetClawbackRequest::default()
        };
        // If the ledger knows a newer revision, somebody knew more than we: that is as good.
        self.tokens().set_clawback(request).await.map(drop).map_err(refuse)
    }

    /// What an account holds; an account that never had a token holds nothing.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn balance(&self, account_id: &str) -> Result<GetBalanceResponse, LedgerError> {
        let request =
            GetBalanceRequest { account_id: account_id.to_owned(), ..GetBalanceRequest::default() };
        Ok(self.tokens().get_balance(request).await.map_err(refuse)?.into_inner())
    }

    /// An account's transactions, newest first.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn transactions(
        &self,
        request: ListTransactionsRequest,
    ) -> Result<ListTransactionsResponse, LedgerError> {
        Ok(self.tokens().list_transactions(request).await.map_err(refuse)?.into_inner())
    }

    /// What an account used.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn usage(&self, request: GetUsageRequest) -> Result<GetUsageResponse, LedgerError> {
        Ok(self.tokens().get_usage(request).await.map_err(refuse)?.into_inner())
    }
}

fn refuse(status: Status) -> LedgerError {
    use proto::reason::Error;
    let reason = Error::of(&status).map(|error| error.reason);
    let words = || format!("{:?}: {}", status.code(), status.message());
    match (status.code(), reason) {
        (_, Some(ErrorReason::IdempotencyKeyReused)) => LedgerError::KeyReused(words()),
        (Code::NotFound, Some(ErrorReason::AccountNotFound)) => LedgerError::NoAccount,
        (
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::DataLoss,
            _,
        ) => LedgerError::Away(words()),
        (
            // Our token lacks something: somebody has to see to it.
            Code::Unauthenticated
            | Code::PermissionDenied
            | Code::Unimplemented
            | Code::Ok
            | Code::Internal
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange,
            _,
        ) => LedgerError::Refused(words()),
    }
}
