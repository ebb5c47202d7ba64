//! The writer: one batch at a time, from `BEGIN` to `COMMIT`.
//!
//! Round trips per batch, whatever its size: begin, accounts, transactions by name, one statement
//! that writes accounts, transactions and entries and then numbers them, commit. The other tables
//! are read and written only when a batch has to do with them.

use super::{
    columns::{BindMany, PgQuery, insert, update, upsert},
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

/// Accounts, transactions and entries, and last of all the batch's place in the stream: from there
/// on nobody else can commit before this batch has, so it has to be the last step. The counts make
/// it so, and make sure that every row was written.
static PERSIST: LazyLock<String> = LazyLock::new(|| {
    let (accounts, transactions) = (&Account::TABLE, &Arc::<Transaction>::TABLE);
    let (changed, opened) = (update(accounts, 1), insert(accounts, 2));
    let (posted, entered) = (insert(transactions, 3), insert(&Posting::TABLE, 4));
    format!(
        "WITH changed AS ({changed} RETURNING 1), opened AS ({opened} RETURNING 1), \
         posted AS ({posted} RETURNING 1), entered AS ({entered} RETURNING 1), \
         numbered AS ( \
             UPDATE ledger.stream SET position = position + $5 \
             WHERE stream_id = 1 AND $6 = (SELECT count(*) FROM changed) \
                 + (SELECT count(*) FROM opened) + (SELECT count(*) FROM posted) \
                 + (SELECT count(*) FROM entered) \
             RETURNING position) \
         INSERT INTO ledger.commits (position, entries) SELECT position, $7 FROM numbered"
    )
});

static PUT_GRANTS: LazyLock<String> = LazyLock::new(|| upsert(&<(Name, Grant)>::TABLE));
static PUT_HOLDS: LazyLock<String> = LazyLock::new(|| upsert(&<(Name, Hold)>::TABLE));
static PUT_REVERSALS: LazyLock<String> = LazyLock::new(|| upsert(&<(Name, Reversal)>::TABLE));
static PUT_CLAWBACKS: LazyLock<String> = LazyLock::new(|| upsert(&<(Name, Clawback)>::TABLE));

const DELETE_GRANTS: &str = "DELETE FROM ledger.grants g \
     USING unnest($1::text[], $2::uuid[]) AS n (account_id, grant_id) \
     WHERE g.account_id = n.account_id AND g.grant_id = n.grant_id";

/// One connection that writes.
#[derive(Debug)]
pub struct PostgresWriter {
    connection: PgConnection,
    begin: &'static str,
    prepared: bool,
}

impl PostgresWriter {
    pub(super) fn new(connection: PgConnection, begin: &'static str, prepared: bool) -> Self {
        Self { connection, begin, prepared }
    }

    /// Opens a database transaction.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        self.run(self.begin).await
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// If the database says no, or nothing.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        self.run("COMMIT").await
    }

    /// Forgets it.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        self.run("ROLLBACK").await
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::raw_sql(statement).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Locks the footprint's accounts in their order and reads its rows; what doesn't exist is told
    /// as such.
    ///
    /// # Errors
    /// If they can't be read, or somebody else keeps a lock for too long.
    pub async fn load(&mut self, needs: &Footprint, tips_since: Time) -> Result<State, StoreError> {
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

    /// Writes the effects: one statement for what every batch writes, one each for what few do.
    ///
    /// # Errors
    /// If the database doesn't take them.
    pub async fn persist(&mut self, effects: &Effects) -> Result<(), StoreError> {
        self.put(&PUT_GRANTS, &effects.grants).await?;
        self.delete_grants(&effects.returned_grants).await?;
        self.put(&PUT_HOLDS, &effects.ended_holds).await?;
        self.put(&PUT_REVERSALS, &effects.reversals).await?;
        self.put(&PUT_CLAWBACKS, &effects.clawbacks).await?;
        self.persist_entries(effects).await
    }

    async fn put<R: Record>(
        &mut self,
        statement: &'static str,
        rows: &[R],
    ) -> Result<(), StoreError> {
        if !rows.is_empty() {
            self.query(statement).records(rows).execute(&mut self.connection).await?;
        }
        Ok(())
    }

    async fn delete_grants(&mut self, names: &[Name]) -> Result<(), StoreError> {
        if !names.is_empty() {
            let query = self
                .query(DELETE_GRANTS)
                .column(names, |(account, _)| account.as_str())
                .column(names, |(_, id)| uuid(*id));
            query.execute(&mut self.connection).await?;
        }
        Ok(())
    }

    async fn persist_entries(&mut self, effects: &Effects) -> Result<(), StoreError> {
        let entries: Vec<Posting> = effects.entries().collect();
        let rows = effects.accounts.len()
            + effects.new_accounts.len()
            + effects.transactions.len()
            + entries.len();
        let query = self
            .query(&PERSIST)
            .records(&effects.accounts)
            .records(&effects.new_accounts)
            .records(&effects.transactions)
            .records(&entries)
            .bind(i64::try_from(entries.len()).unwrap_or(i64::MAX))
            .bind(i64::try_from(rows).unwrap_or(i64::MAX))
            .bind(rows::written(effects));
        let numbered = query.execute(&mut self.connection).await?.rows_affected();
        if numbered == 1 {
            Ok(())
        } else {
            Err(StoreError::broken("a row to change, or the stream's, is not there"))
        }
    }

    fn query(&self, statement: &'static str) -> PgQuery {
        sqlx::query(statement).persistent(self.prepared)
    }
}
