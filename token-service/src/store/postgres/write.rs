//! The writer: one batch at a time.
//!
//! Most batches take two statements. One reads the accounts, without a lock, and whether any of the
//! batch's transactions is there already; the other writes everything, and is a transaction by itself.
//! Nobody has to be kept out in between: whoever changes an account writes its next entry, and an
//! account has one entry of each number. If somebody else wrote that entry first, nothing of the
//! second statement happens, and the batch is begun again, with locks.
//!
//! With locks, and for whatever needs more rows than that, it takes five or more: begin, accounts,
//! transactions by name, whatever else there is to read, the one that writes, commit.

use super::{
    columns::{BindMany, insert, update, upsert},
    read,
};
use crate::store::{
    StoreError,
    records::{Posting, Record},
    rows::{self, uuid},
};
use ledger::{
    Account, Clawback, Effects, Footprint, Grant, Hold, Name, Reversal, State, Time, Transaction,
};
use sqlx::postgres::PgConnection;
use std::sync::{Arc, LazyLock};

/// Accounts, transactions and entries, and after these the batch's place in the stream: from there on
/// nobody else can commit before this batch has. If a row wasn't written, or the stream's isn't there,
/// then a position is NULL, which its column refuses: all of it happens, or nothing.
static PERSIST: LazyLock<String> = LazyLock::new(|| persist(""));

/// The same, and the rows that few batches write. The accounts' rows are written, and so locked, first.
static PERSIST_ALL: LazyLock<String> = LazyLock::new(|| {
    persist(&format!(
        "put_grants AS ({}), put_holds AS ({}), put_reversals AS ({}), put_clawbacks AS ({}), \
         deleted_grants AS ( \
             DELETE FROM ledger.grants g \
             USING unnest($12::text[], $13::uuid[]) AS n (account_id, grant_id) \
             WHERE g.account_id = n.account_id AND g.grant_id = n.grant_id), ",
        upsert(&<(Name, Grant)>::TABLE, 8),
        upsert(&<(Name, Hold)>::TABLE, 9),
        upsert(&<(Name, Reversal)>::TABLE, 10),
        upsert(&<(Name, Clawback)>::TABLE, 11),
    ))
});

fn persist(others: &str) -> String {
    let (accounts, transactions) = (&Account::TABLE, &Arc::<Transaction>::TABLE);
    let (changed, opened) = (update(accounts, 1), insert(accounts, 2));
    let (posted, entered) = (insert(transactions, 3), insert(&Posting::TABLE, 4));
    format!(
        "WITH changed AS ({changed} RETURNING 1), opened AS ({opened} RETURNING 1), \
         posted AS ({posted} RETURNING 1), entered AS ({entered} RETURNING 1), {others}\
         numbered AS ( \
             UPDATE ledger.stream SET position = CASE WHEN $6 = \
                 (SELECT count(*) FROM changed) + (SELECT count(*) FROM opened) \
                 + (SELECT count(*) FROM posted) + (SELECT count(*) FROM entered) \
                 THEN position + $5 END \
             WHERE stream_id = 1 RETURNING position) \
         INSERT INTO ledger.commits (position, entries) \
         VALUES ((SELECT position FROM numbered), $7)"
    )
}

/// After a batch that others were faster than, so many are written under locks from the start.
const LOCKED_AFTER_CONFLICT: u32 = 32;

/// One connection that writes.
#[derive(Debug)]
pub struct PostgresWriter {
    connection: PgConnection,
    begin: &'static str,
    prepared: bool,
    /// Whether a transaction is open, and the batch's accounts locked.
    locked: bool,
    /// So many batches are to be locked from the start.
    to_lock: u32,
}

impl PostgresWriter {
    pub(super) fn new(connection: PgConnection, begin: &'static str, prepared: bool) -> Self {
        Self { connection, begin, prepared, locked: false, to_lock: 0 }
    }

    /// See [`crate::store::Writer::begin`]: what is to be opened is opened once it is known whether it
    /// has to be.
    ///
    /// # Errors
    /// Never.
    #[expect(clippy::unused_async, reason = "other databases have something to do")]
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        self.locked = false;
        Ok(())
    }

    /// Makes it durable, if it isn't.
    ///
    /// # Errors
    /// If the database says no, or nothing.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        if self.locked { self.run("COMMIT").await } else { Ok(()) }
    }

    /// Forgets it.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        if self.locked { self.run("ROLLBACK").await } else { Ok(()) }
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::raw_sql(statement).execute(&mut self.connection).await?;
        Ok(())
    }

    /// See [`crate::store::Writer::lock_next`].
    pub fn lock_next(&mut self, conflict: bool) -> bool {
        if !self.locked {
            self.to_lock = if conflict { LOCKED_AFTER_CONFLICT } else { 1 };
        }
        !self.locked
    }

    /// Reads the footprint's rows; what doesn't exist is told as such.
    ///
    /// # Errors
    /// If they can't be read, or somebody else keeps a lock for too long.
    pub async fn load(&mut self, needs: &Footprint, tips_since: Time) -> Result<State, StoreError> {
        // Without a transaction there are no timeouts behind a pooler.
        if self.to_lock == 0 && self.prepared && needs.is_plain() {
            let accounts = read::Reader::new(&mut self.connection, true).unposted(needs).await?;
            if let Some(accounts) = accounts {
                let mut state = State::absent(needs);
                for account in accounts {
                    state.accounts.load(account.id.clone(), Some(account));
                }
                return Ok(state);
            }
        }
        self.to_lock = self.to_lock.saturating_sub(1);
        self.run(self.begin).await?;
        self.locked = true;
        self.load_locked(needs, tips_since).await
    }

    async fn load_locked(
        &mut self,
        needs: &Footprint,
        tips_since: Time,
    ) -> Result<State, StoreError> {
        let reader = &mut read::Reader::new(&mut self.connection, self.prepared);
        let mut state = State::absent(needs);
        for account in reader.locked_accounts(&needs.accounts).await? {
            state.accounts.load(account.id.clone(), Some(account));
        }
        for transaction in reader.transactions_named(&needs.transactions).await? {
            state.transactions.load(transaction.name(), Some(Arc::new(transaction)));
        }
        for (name, grant) in reader.bodies(read::GRANTS, &needs.grants).await? {
            state.grants.load(name, Some(grant));
        }
        for (name, hold) in reader.bodies(read::HOLDS, &needs.holds).await? {
            state.holds.load(name, Some(hold));
        }
        for (name, reversal) in reader.reversals(&needs.reversals).await? {
            state.reversals.load(name, Some(reversal));
        }
        for (name, clawback) in reader.bodies(read::CLAWBACKS, &needs.clawbacks).await? {
            state.clawbacks.load(name, Some(clawback));
        }
        for (name, grant) in reader.spilled(&needs.spilled).await? {
            state.grants.load(name, Some(grant));
        }
        state.whole.clone_from(&needs.spilled);
        for credit in &needs.tips {
            let tips = reader.tips(credit, tips_since).await?;
            state.tips.load(credit.clone(), Some(tips.into_iter().map(Arc::new).collect()));
        }
        Ok(state)
    }

    /// Writes the effects, in one statement. What was loaded without locks is durable then.
    ///
    /// # Errors
    /// If the database doesn't take them.
    pub async fn persist(&mut self, effects: &Effects) -> Result<(), StoreError> {
        let entries: Vec<Posting> = effects.entries().collect();
        let rows = effects.accounts.len()
            + effects.new_accounts.len()
            + effects.transactions.len()
            + entries.len();
        let statement = if effects.is_plain() { &PERSIST } else { &PERSIST_ALL };
        let mut query = sqlx::query(statement.as_str())
            .persistent(self.prepared)
            .records(&effects.accounts)
            .records(&effects.new_accounts)
            .records(&effects.transactions)
            .records(&entries)
            .bind(i64::try_from(entries.len()).unwrap_or(i64::MAX))
            .bind(i64::try_from(rows).unwrap_or(i64::MAX))
            .bind(rows::written(effects));
        if !effects.is_plain() {
            query = query
                .records(&effects.grants)
                .records(&effects.ended_holds)
                .records(&effects.reversals)
                .records(&effects.clawbacks)
                .column(&effects.returned_grants, |(account, _)| account.as_str())
                .column(&effects.returned_grants, |(_, id)| uuid(*id));
        }
        query.execute(&mut self.connection).await?;
        Ok(())
    }
}
