//! The calls that are measured.

use crate::accounts::{Accounts, name};
use clap::ValueEnum;
use proto::v1::{
    BatchCommand, BatchMode, BatchRequest, DebitRequest, GetBalanceRequest, TransferRequest,
    batch_command::Command, token_service_client::TokenServiceClient,
};
use tonic::{
    Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

pub type Client = TokenServiceClient<InterceptedService<Channel, Bearer>>;

/// Gives every call a token, if there is one.
#[derive(Clone, Debug, Default)]
pub struct Bearer(pub Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}

/// What is called.
#[derive(Clone, Copy, Debug)]
pub enum Workload {
    /// Debit of one token, one call each.
    Unary,
    /// Batch of so many debits of one token.
    Batch(u64),
    /// GetBalance.
    Read,
    /// Transfer of one token to another account.
    Transfer,
}

/// The workloads as they are named on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum WorkloadName {
    /// Debit of one token, one call each.
    Unary,
    /// Batch of debits, see `--items`.
    Batch,
    /// GetBalance.
    Read,
    /// Transfer of one token to another account.
    Transfer,
}

/// One call.
#[derive(Debug)]
pub enum Request {
    Debit(DebitRequest),
    Batch(BatchRequest),
    Read(GetBalanceRequest),
    Transfer(TransferRequest),
}

impl WorkloadName {
    /// The workload; batches have so many items.
    pub fn with_items(self, items: u64) -> Workload {
        match self {
            Self::Unary => Workload::Unary,
            Self::Batch => Workload::Batch(items),
            Self::Read => Workload::Read,
            Self::Transfer => Workload::Transfer,
        }
    }
}

impl Workload {
    /// How many operations a call is.
    pub fn operations(self) -> u64 {
        match self {
            Self::Batch(items) => items,
            Self::Unary | Self::Read | Self::Transfer => 1,
        }
    }

    /// The next call.
    pub fn request(self, accounts: &Accounts) -> Request {
        let number = accounts.pick();
        let account_id = name(number);
        match self {
            Self::Unary => Request::Debit(debit(account_id)),
            Self::Batch(items) => {
                let others = (1..items).map(|_| name(accounts.pick()));
                Request::Batch(batch(std::iter::once(account_id).chain(others).map(debit)))
            }
            Self::Read => Request::Read(GetBalanceRequest { account_id, ..Default::default() }),
            Self::Transfer => Request::Transfer(TransferRequest {
                account_id,
                idempotency_key: key(),
                amount: 1,
                to_account_id: name(accounts.other_than(number)),
                ..Default::default()
            }),
        }
    }
}

impl Request {
    /// Calls; how many operations of a batch were refused.
    pub async fn send(self, client: &mut Client) -> Result<u64, Status> {
        match self {
            Self::Debit(request) => client.debit(request).await.map(|_| 0),
            Self::Read(request) => client.get_balance(request).await.map(|_| 0),
            Self::Transfer(request) => client.transfer(request).await.map(|_| 0),
            Self::Batch(request) => {
                let results = client.batch(request).await?.into_inner().results;
                let refused = results.iter().filter(|it| it.refusal.is_some()).count();
                Ok(u64::try_from(refused).unwrap_or(u64::MAX))
            }
        }
    }
}

/// A debit of one token.
pub fn debit(account_id: String) -> DebitRequest {
    DebitRequest { account_id, idempotency_key: key(), amount: 1, ..Default::default() }
}

/// Debits that don't depend on each other.
pub fn batch(debits: impl Iterator<Item = DebitRequest>) -> BatchRequest {
    let command = |debit| BatchCommand { command: Some(Command::Debit(debit)) };
    let commands = debits.map(command).collect();
    BatchRequest { commands, mode: BatchMode::Independent.into(), dry_run: false }
}

#[expect(clippy::disallowed_methods, reason = "callers name their effects by the time of day")]
fn key() -> String {
    uuid::Uuid::now_v7().to_string()
}
