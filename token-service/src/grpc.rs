//! The gRPC edge: requests become commands, outcomes become answers, failures become statuses.
//!
//! A call goes through [`RequestLayer`] (span, deadline, log line), a method of [`TokenApi`] or
//! [`AdminApi`], [`convert`] (wire types stop there) and [`Api::submit`]; what comes back takes the
//! same way, and what is refused [`status`]. A deadline that passes ends the waiting, never the
//! command: once submitted, the committer finishes it.

pub mod admin_api;
mod audit;
mod bulk;
pub mod convert;
mod csv;
mod door;
mod events;
mod expiry;
pub mod fingerprint;
mod list;
pub mod page;
mod read;
mod receive;
mod statement;
pub mod status;
pub mod token_api;
mod totals;
pub mod trace;
mod watch;

pub use admin_api::AdminApi;
pub use door::DoorLayer;
pub use token_api::TokenApi;
pub use trace::{RequestLayer, Timeouts};

use crate::{
    clock::Clock,
    committer::{Committer, Failure},
    identity::Caller,
    reader::Reader,
    store::Store,
};
use convert::{Ask, Terms};
use ledger::{
    Account, AccountId, ChainKey, Command, Job, Mode, Outcome, Policy, Receipt, Rejection, Time,
    Transaction, TransactionId,
};
use proto::{catalog::Catalog, reason::Error, v1::ErrorReason};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

/// What both services answer from. Clones share it.
#[derive(Clone, Debug)]
pub struct Api {
    committer: Committer,
    store: Store,
    reader: Reader,
    clock: Clock,
    catalog: Arc<Catalog>,
    policy: Arc<Policy>,
    /// Whose turn it is to read the whole ledger.
    scans: Arc<Semaphore>,
    keys: Arc<[ChainKey]>,
}

/// Who asks, and what.
type Asked<R> = (Arc<Caller>, R);

/// Takes a request apart. Whoever came in past the door that identifies callers may nothing.
fn asked<R>(mut request: Request<R>) -> Asked<R> {
    let caller = request.extensions_mut().remove::<Arc<Caller>>();
    (caller.unwrap_or_else(|| Arc::new(Caller::nobody())), request.into_inner())
}

/// What a caller may see of a transaction: what it did to accounts that it may not name is theirs.
fn seen(caller: &Caller, transaction: &mut Transaction) {
    transaction.entries.retain(|entry| caller.may_name(entry.account.as_str()));
}

/// The same of a receipt.
fn seen_by(caller: &Caller, mut receipt: Receipt) -> Receipt {
    if let Some(transaction) = &mut receipt.transaction
        && !caller.may_name_all()
    {
        seen(caller, Arc::make_mut(transaction));
    }
    receipt
}

/// What a method gives back.
type Reply<T> = Result<Response<T>, Status>;

/// The last step of a method: what failed becomes a status.
fn reply<T>(answer: Result<T, Error>) -> Reply<T> {
    answer.map(Response::new).map_err(Status::from)
}

impl Api {
    /// What answers from this ledger by these rules; `policy` is the catalog's, the first of `keys`
    /// signs.
    #[must_use]
    pub fn new(
        committer: Committer,
        store: Store,
        reader: Reader,
        clock: Clock,
        catalog: Arc<Catalog>,
        policy: Arc<Policy>,
        keys: Vec<ChainKey>,
    ) -> Self {
        let scans = Arc::new(Semaphore::new(totals::SCANS_MAX));
        let keys = keys.into();
        Self { committer, store, reader, clock, catalog, policy, scans, keys }
    }

    /// The way into the queue.
    #[must_use]
    pub fn committer(&self) -> &Committer {
        &self.committer
    }

    /// What this caller's requests are read by.
    fn terms<'a>(&'a self, caller: &'a Caller) -> Terms<'a> {
        Terms { catalog: &self.catalog, caller }
    }

    /// A request that is one command.
    async fn ask<R: Ask>(&self, (caller, request): Asked<R>) -> Result<R::Answer, Error> {
        let command = convert::command(&request, self.terms(&caller));
        let submitted = command.map(|command| self.run(command, R::METHOD, request.mode()));
        let receipt = match submitted {
            Ok(receipt) => receipt.await?,
            Err(refused) if refused.reason == ErrorReason::ScopeMissing => return Err(refused),
            Err(refused) => Box::pin(self.replay(&request, &caller)).await?.ok_or(refused)?,
        };
        Ok(request.answer(&seen_by(&caller, receipt), &self.catalog))
    }

    /// What the request did when it was first made: the catalog may have changed since, so that it
    /// would be refused today.
    async fn replay<R: Ask>(&self, request: &R, caller: &Caller) -> Result<Option<Receipt>, Error> {
        let Ok((account, key)) = convert::effect(request, self.terms(caller)) else {
            return Ok(None);
        };
        let id = TransactionId::of(&account, &key);
        let first = self.store.transaction(&(account, id)).await;
        let first = first.map_err(|error| status::unread(&error))?;
        let asked = convert::fingerprint(request, caller.name());
        let same = first.filter(|first| first.key == key && first.fingerprint == asked);
        Ok(same.map(|first| Receipt::replay(&Arc::new(first))))
    }

    /// One command of `method`.
    fn run<'a>(
        &'a self,
        command: Command,
        method: &'a str,
        mode: Mode,
    ) -> impl Future<Output = Result<Receipt, Error>> + Send + use<'a> {
        let outcomes = self.committer.submit(Job { commands: vec![command], mode });
        async move { self.outcome(outcomes.await, method) }
    }

    /// What became of the one command of a job.
    fn outcome(
        &self,
        outcomes: Result<Vec<Outcome>, Failure>,
        method: &str,
    ) -> Result<Receipt, Error> {
        let outcomes = outcomes.map_err(|failure| status::failed(&failure))?;
        let outcome = outcomes.into_iter().next();
        let outcome = outcome.ok_or_else(|| status::failed(&Failure::Internal))?;
        outcome.map_err(|rejection| self.refused(&rejection, method))
    }

    fn submit(&self, job: Job) -> impl Future<Output = Result<Vec<Outcome>, Error>> + Send + use<> {
        let outcomes = self.committer.submit(job);
        async { outcomes.await.map_err(|failure| status::failed(&failure)) }
    }

    fn refused(&self, rejection: &Rejection, method: &str) -> Error {
        status::refused(rejection, method, &self.catalog, self.clock.now())
    }

    /// The account as it is kept, and as it is at this moment: as if all that is due were posted.
    async fn find(&self, id: &AccountId) -> Result<Option<Found>, Error> {
        let row = self.reader.account(id).await.map_err(|error| status::unread(&error))?;
        let now = self.clock.now();
        match row {
            Some(row) if row.lacks_due(now) => self.find_whole(id).await,
            row => Ok(row.map(|row| self.found(row, now))),
        }
    }

    /// [`Api::find`] with all grants.
    async fn find_whole(&self, id: &AccountId) -> Result<Option<Found>, Error> {
        let row = self.store.whole_account(id).await.map_err(|error| status::unread(&error))?;
        let now = self.clock.now();
        Ok(row.map(|row| self.found(Arc::new(row), now)))
    }

    fn found(&self, row: Arc<Account>, at: Time) -> Found {
        Found { now: ledger::settled(&row, &self.policy, at), row, at }
    }

    /// [`Api::find`], or ACCOUNT_NOT_FOUND.
    async fn existing(&self, id: &AccountId) -> Result<Found, Error> {
        self.find(id).await?.ok_or_else(|| {
            let missing = Rejection::AccountNotFound { account: id.clone() };
            self.refused(&missing, "GetAccount")
        })
    }
}

/// An account that was read.
struct Found {
    row: Arc<Account>,
    now: Account,
    at: Time,
}
