//! The writer: one batch at a time, from `BEGIN IMMEDIATE` to `COMMIT`.
//!
//! Statements per batch, some more for batches of hundreds: begin, accounts, transactions by name,
//! upsert of accounts, insert of transactions, insert of entries, commit. The other tables are read
//! and written only when a batch has to do with them.

use super::{many::Many, read};
use crate::store::{
    StoreError,
    records::{Posting, Record, Table, named},
    rows,
};
use ledger::{
    Account, Clawback, Effects, Footprint, Grant, Hold, Name, Reversal, State, Time, Transaction,
};
use sqlx::sqlite::SqliteConnection;
use std::sync::{Arc, LazyLock};

static PUT_ACCOUNTS: LazyLock<Many> = LazyLock::new(|| upsert(&Account::TABLE));
static INSERT_TRANSACTIONS: LazyLock<Many> =
    LazyLock::new(|| insert(&Arc::<Transaction>::TABLE, ""));
static INSERT_ENTRIES: LazyLock<Many> = LazyLock::new(|| insert(&Posting::TABLE, ""));
static PUT_GRANTS: LazyLock<Many> = LazyLock::new(|| upsert(&<(Name, Grant)>::TABLE));
static PUT_HOLDS: LazyLock<Many> = LazyLock::new(|| upsert(&<(Name, Hold)>::TABLE));
static PUT_REVERSALS: LazyLock<Many> = LazyLock::new(|| upsert(&<(Name, Reversal)>::TABLE));
static PUT_CLAWBACKS: LazyLock<Many> = LazyLock::new(|| upsert(&<(Name, Clawback)>::TABLE));

static DELETE_GRANTS: LazyLock<Many> = LazyLock::new(|| {
    Many::new("DELETE FROM grants WHERE (account_id, grant_id) IN (VALUES", 2, ")")
});

/// The batch's place in the stream, and what is there.
const NUMBER: &str = "UPDATE stream SET position = position + ?; \
     INSERT INTO commits SELECT position, ? FROM stream";

fn insert(table: &Table, tail: &str) -> Many {
    let columns = table.columns.join(", ");
    let head = format!("INSERT INTO {} ({columns}) SELECT * FROM (VALUES", table.name);
    let tail = format!(") WHERE column1 IS NOT NULL {tail}");
    Many::new(&head, table.columns.len(), &tail)
}

fn upsert(table: &Table) -> Many {
    insert(table, &table.or_update())
}

/// The one connection that writes.
#[derive(Debug)]
pub struct SqliteWriter {
    connection: SqliteConnection,
}

impl SqliteWriter {
    pub(super) fn new(connection: SqliteConnection) -> Self {
        Self { connection }
    }

    /// Takes the file's write lock.
    ///
    /// # Errors
    /// If another process keeps it for too long.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        self.run("BEGIN IMMEDIATE").await
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// If the file can't be written.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        self.run("COMMIT").await
    }

    /// Forgets it.
    ///
    /// # Errors
    /// If there was nothing begun.
    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        self.run("ROLLBACK").await
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::query(statement).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Reads the footprint's rows; what doesn't exist is told as such.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn load(&mut self, needs: &Footprint, tips_since: Time) -> Result<State, StoreError> {
        let connection = &mut self.connection;
        let mut state = State::absent(needs);

        let ids: Vec<_> = needs.accounts.iter().cloned().collect();
        for account in read::accounts(connection, &ids).await? {
            state.accounts.load(account.id.clone(), Some(account));
        }
        let names: Vec<Name> = needs.transactions.iter().cloned().collect();
        for transaction in read::transactions_named(connection, &names).await? {
            state.transactions.load(transaction.name(), Some(Arc::new(transaction)));
        }
        for (name, grant) in read::grants(connection, &needs.grants).await? {
            state.grants.load(name, Some(grant));
        }
        for (name, grant) in read::spilled(connection, &needs.spilled).await? {
            state.grants.load(name, Some(grant));
        }
        state.whole.clone_from(&needs.spilled);
        for (name, hold) in read::holds(connection, &needs.holds).await? {
            state.holds.load(name, Some(hold));
        }
        for (name, reversal) in read::reversals(connection, &needs.reversals).await? {
            state.reversals.load(name, Some(reversal));
        }
        for (name, clawback) in read::clawbacks(connection, &needs.clawbacks).await? {
            state.clawbacks.load(name, Some(clawback));
        }
        for credit in &needs.tips {
            let tips = read::tips(connection, credit, tips_since).await?;
            state.tips.load(credit.clone(), Some(tips.into_iter().map(Arc::new).collect()));
        }
        Ok(state)
    }

    /// Writes the effects, one statement per table and chunk.
    ///
    /// # Errors
    /// If the file can't be written.
    pub async fn persist(&mut self, effects: &Effects) -> Result<(), StoreError> {
        let connection = &mut self.connection;
        let accounts: Vec<&Account> = effects.all_accounts().collect();
        PUT_ACCOUNTS.write(connection, &accounts).await?;
        INSERT_TRANSACTIONS.write(connection, &effects.transactions).await?;
        let entries: Vec<Posting> = effects.entries().collect();
        INSERT_ENTRIES.write(connection, &entries).await?;
        PUT_GRANTS.write(connection, &effects.grants).await?;
        DELETE_GRANTS.execute(connection, &effects.returned_grants, named).await?;
        PUT_HOLDS.write(connection, &effects.ended_holds).await?;
        PUT_REVERSALS.write(connection, &effects.reversals).await?;
        PUT_CLAWBACKS.write(connection, &effects.clawbacks).await?;
        let numbered = sqlx::query(NUMBER)
            .bind(i64::try_from(entries.len()).unwrap_or(i64::MAX))
            .bind(rows::written(effects))
            .execute(&mut *connection)
            .await?;
        if numbered.rows_affected() != 2 {
            return Err(StoreError::broken("the stream's row is not there"));
        }
        Ok(())
    }
}
