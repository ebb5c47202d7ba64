//! The writer: one batch at a time.
//!
//! Most batches take two statements. One reads the accounts, without a lock, and whether any of the
//! batch's transactions is there already; the other writes everything, and is a transaction by itself.
//! Nobody has to be kept out in between: whoever changes an account writes its next entry, and an
//! account has one entry of each number. If somebody else wrote that entry first, nothing of the
//! second statement happens, and the batch is begun again, with locks.
//!
//! Nothing is locked while the second statement is on its way, so it may not arrive whenever it likes: it
//! refuses to write later than [`UNLOCKED_TIME`] after the first, and whoever lost its answer waits that
//! long before they look. A COMMIT needs no such rule: the locks before it are waited for.
//!
//! With locks, and for whatever needs more rows than that, it takes five or more: begin, accounts,
//! transactions by name, whatever else there is to read, the one that writes, commit.

use super::{
    columns::{BindMany, delete, insert, update, upsert},
    read::{self, CLOCK},
};
use crate::store::{
    StoreError, UNLOCKED_TIME,
    records::{Posting, Record},
    rows::{self, uuid},
};
use ledger::{
    Account, Clawback, Effects, Footprint, Grant, Hold, Name, Reversal, State, Time, Transaction,
};
use sqlx::postgres::PgConnection;
use std::sync::{Arc, LazyLock};

/// What every batch writes. See [`persist`].
static PERSIST: LazyLock<String> = LazyLock::new(|| persist(&[]));

/// The same, and the rows that few batches write.
static PERSIST_ALL: LazyLock<String> = LazyLock::new(|| {
    persist(&[
        ("put_grants", upsert(&<(Name, Grant)>::TABLE, 9)),
        ("put_holds", upsert(&<(Name, Hold)>::TABLE, 10)),
        ("put_reversals", upsert(&<(Name, Reversal)>::TABLE, 11)),
        ("put_clawbacks", upsert(&<(Name, Clawback)>::TABLE, 12)),
        ("deleted_grants", delete(&<(Name, Grant)>::TABLE, 13)),
    ])
});

/// Accounts, transactions and entries, and after these the batch's place in the stream: from there on
/// nobody else can commit before this batch has. The counts make that the last step. They also make
/// sure that every row was written: if not, or if the stream's isn't there, a position is NULL, which
/// its column refuses. So all of it happens, or nothing.
fn persist(others: &[(&str, String)]) -> String {
    let (accounts, transactions) = (&Account::TABLE, &Arc::<Transaction>::TABLE);
    let steps = [
        ("changed", update(accounts, 1)),
        ("opened", insert(accounts, 2)),
        ("posted", insert(transactions, 3)),
        ("entered", insert(&Posting::TABLE, 4)),
    ];
    let steps = steps.iter().chain(others);
    let written: Vec<String> =
        steps.clone().map(|(name, _)| format!("(SELECT count(*) FROM {name})")).collect();
    let steps: String =
        steps.map(|(name, step)| format!("{name} AS ({step} RETURNING 1), ")).collect();
    format!(
        "WITH {steps} numbered AS ( \
             UPDATE ledger.stream SET position = CASE \
                 WHEN $6 <> {} THEN NULL \
                 WHEN {CLOCK} >= $8 THEN ledger.too_late() \
                 ELSE position + $5 END \
             WHERE stream_id = 1 RETURNING position) \
         INSERT INTO ledger.commits (position, entries) \
         VALUES ((SELECT position FROM numbered), $7)",
        written.join(" + "),
    )
}

/// One connection that writes.
#[derive(Debug)]
pub struct PostgresWriter {
    connection: PgConnection,
    begin: &'static str,
    prepared: bool,
    /// Whether a transaction is open, and the batch's accounts locked.
    locked: bool,
    /// So many loads are to lock.
    to_lock: u32,
    /// What was loaded without locks is written before this time of the database, or not at all.
    before: Option<i64>,
}

impl PostgresWriter {
    pub(super) fn new(connection: PgConnection, begin: &'static str, prepared: bool) -> Self {
        Self { connection, begin, prepared, locked: false, to_lock: 0, before: None }
    }

    /// See [`crate::store::Writer::begin`]: what is to be opened is opened once it is known whether it
    /// has to be.
    ///
    /// # Errors
    /// If a transaction is open.
    #[expect(clippy::unused_async, reason = "other databases have something to do")]
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        if self.locked {
            return Err(StoreError::broken("the batch before was not ended"));
        }
        Ok(())
    }

    /// Makes it durable, if it isn't.
    ///
    /// # Errors
    /// If the database says no, or nothing.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        self.end("COMMIT").await
    }

    /// Forgets it.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        self.end("ROLLBACK").await
    }

    async fn end(&mut self, statement: &'static str) -> Result<(), StoreError> {
        if std::mem::take(&mut self.locked) {
            self.run(statement).await?;
        }
        Ok(())
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::raw_sql(statement).execute(&mut self.connection).await?;
        Ok(())
    }

    /// See [`crate::store::Writer::is_locked`].
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// See [`crate::store::Writer::lock_next`].
    pub fn lock_next(&mut self, loads: u32) {
        self.to_lock = self.to_lock.max(loads);
    }

    /// Reads the footprint's rows; what doesn't exist is told as such.
    ///
    /// # Errors
    /// If they can't be read, or somebody else keeps a lock for too long.
    pub async fn load(&mut self, needs: &Footprint, tips_since: Time) -> Result<State, StoreError> {
        // Without a transaction there are no timeouts behind a pooler.
        if self.to_lock == 0
            && self.prepared
            && needs.is_plain()
            && let Some(found) = self.reader().unposted(needs).await?
        {
            let micros = i64::try_from(UNLOCKED_TIME.as_micros()).unwrap_or(0);
            self.before = Some(found.time.saturating_add(micros));
            let mut state = State::absent(needs);
            for account in found.accounts {
                state.accounts.load(account.id.clone(), Some(account));
            }
            return Ok(state);
        }
        self.to_lock = self.to_lock.saturating_sub(1);
        self.before = None;
        self.run(self.begin).await?;
        self.locked = true;
        self.load_locked(needs, tips_since).await
    }

    fn reader(&mut self) -> read::Reader<'_> {
        read::Reader::new(&mut self.connection, self.prepared)
    }

    async fn load_locked(
        &mut self,
        needs: &Footprint,
        tips_since: Time,
    ) -> Result<State, StoreError> {
        let reader = &mut self.reader();
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
        let statement = if effects.is_plain() { &PERSIST } else { &PERSIST_ALL };
        let mut query = sqlx::query(statement.as_str())
            .persistent(self.prepared)
            .records(&effects.accounts)
            .records(&effects.new_accounts)
            .records(&effects.transactions)
            .records(&entries)
            .bind(i64::try_from(entries.len()).unwrap_or(i64::MAX))
            .bind(i64::try_from(effects.rows()).unwrap_or(i64::MAX))
            .bind(rows::written(effects))
            .bind(self.before);
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
