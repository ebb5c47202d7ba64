//! The store contract as two small traits, for the simulator: it lives in the tests, and keeps the
//! rows in memory while it breaks what can break. Only what the committer, the sweeper and the feed
//! ask for is simulated; the other reads answer that they aren't.

use super::{
    AccountQuery, Commit, Migrations, Position, Statement, StatementQuery, StoreError,
    TransactionQuery, Usage,
    totals::{Activity, Totals},
};
use futures::future::{BoxFuture, FutureExt as _, ready};
use ledger::{
    Account, AccountId, Balance, ChainKey, Effects, EntryId, Footprint, Grant, Hold, HoldState,
    Job, Name, State, Time, Transaction, TransactionId,
};
use std::fmt::Debug;

/// What a step answers, some time.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

macro_rules! not_simulated {
    ($($method:ident($($argument:ident: $of:ty),*) -> $answer:ty;)*) => {
        $(#[doc = concat!("See [`super::Store::", stringify!($method), "`].")]
        fn $method<'a>(&'a self, $($argument: $of),*) -> Answer<'a, $answer> {
            ready(Err(StoreError::broken("not simulated"))).boxed()
        })*
    };
}

/// A database that several committers share.
pub trait Database: Debug + Send + Sync {
    /// See [`super::Store::writer`].
    fn writer(&self) -> Answer<'_, Box<dyn Session>>;

    /// See [`super::Store::accounts`].
    fn accounts<'a>(&'a self, ids: &'a [AccountId]) -> Answer<'a, Vec<Account>>;

    /// See [`super::Store::due`].
    fn due(&self, now: Time, limit: usize) -> Answer<'_, Vec<AccountId>>;

    /// See [`super::Store::position`].
    fn position(&self) -> Answer<'_, Position>;

    /// See [`super::Store::commits_after`].
    fn commits_after(&self, position: i64, limit: usize) -> Answer<'_, Vec<Commit>>;

    not_simulated! {
        migrations() -> Migrations;
        warnings() -> Vec<String>;
        migrate() -> ();
        chain_keys() -> Vec<(String, Vec<u8>)>;
        add_chain_key(_key: &'a ChainKey) -> ();
        ping() -> ();
        whole_account(_id: &'a AccountId) -> Option<Account>;
        list_accounts(_query: &'a AccountQuery) -> Vec<Account>;
        new_epoch(_epoch: &'a str) -> ();
        transaction(_name: &'a Name) -> Option<Transaction>;
        transactions(_query: &'a TransactionQuery) -> Vec<Transaction>;
        statement(_query: &'a StatementQuery) -> Statement;
        totals() -> Totals;
        activity(_start: Option<Time>, _end: Option<Time>) -> Activity;
        closed_grants(_account: &'a AccountId, _after: Option<TransactionId>, _limit: usize) -> Vec<Grant>;
        ended_holds(
            _account: &'a AccountId,
            _state: Option<HoldState>,
            _after: Option<TransactionId>,
            _limit: usize
        ) -> Vec<Hold>;
        usage(_account: &'a AccountId, _start: Option<Time>, _end: Option<Time>) -> Vec<Usage>;
        balance_at(_account: &'a AccountId, _at: Time) -> Option<Balance>;
        posted(_entries: &'a [EntryId]) -> Vec<Transaction>;
    }
}

/// A connection that writes. Dropping it takes back what wasn't committed.
pub trait Session: Debug + Send {
    /// What the batch begun is about to decide, and at what time: what the judge runs again.
    fn witness(&mut self, jobs: &[Job], now: Time);

    /// See [`super::Writer::begin`].
    fn begin(&mut self) -> Answer<'_, ()>;

    /// See [`super::Writer::load`].
    fn load<'a>(&'a mut self, needs: &'a Footprint, tips_since: Time) -> Answer<'a, State>;

    /// See [`super::Writer::persist`].
    fn persist<'a>(&'a mut self, effects: &'a Effects) -> Answer<'a, ()>;

    /// See [`super::Writer::is_locked`].
    fn is_locked(&self) -> bool;

    /// See [`super::Writer::lock_next`].
    fn lock_next(&mut self, loads: u32);

    /// See [`super::Writer::commit`].
    fn commit(&mut self) -> Answer<'_, ()>;

    /// See [`super::Writer::rollback`].
    fn rollback(&mut self) -> Answer<'_, ()>;
}
