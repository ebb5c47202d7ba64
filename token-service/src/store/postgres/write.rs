//! The writer: one batch at a time, from `BEGIN` to `COMMIT`.
//!
//! Round trips per batch, whatever its size: begin, accounts, transactions by name, one statement
//! that writes accounts, transactions and entries and then numbers them, commit. The other tables
//! are read and written only when a batch has to do with them.

use super::{
    columns::{Columns, PgQuery, Table},
    read,
};
use crate::store::{
    StoreError,
    rows::{self, to_json, uuid},
};
use ledger::{Account, Effects, Footprint, Name, State, Time};
use sqlx::postgres::PgConnection;
use std::sync::{Arc, LazyLock};

const ACCOUNTS: Table = Table {
    name: "accounts",
    columns: &[
        ("account_id", "text"),
        ("status", "text"),
        ("sequence", "bigint"),
        ("posted", "bigint"),
        ("held", "bigint"),
        ("due_time", "bigint"),
        ("create_time", "bigint"),
        ("update_time", "bigint"),
        ("chain_key", "text"),
        ("chain", "bytea"),
        ("body", "text"),
    ],
};

const TRANSACTIONS: Table = Table {
    name: "transactions",
    columns: &[
        ("account_id", "text"),
        ("transaction_id", "uuid"),
        ("idempotency_key", "text"),
        ("type", "text"),
        ("create_time", "bigint"),
        ("amount", "bigint"),
        ("action", "text"),
        ("quantity", "bigint"),
        ("entitlement_source", "text"),
        ("entitled_quantity", "bigint"),
        ("entitlement_period", "bigint"),
        ("entitlement_counted", "bigint"),
        ("related_id", "uuid"),
        ("description", "text"),
        ("reference", "text"),
        ("metadata", "text"),
        ("actor", "text"),
        ("on_behalf_of", "text"),
        ("fingerprint", "bytea"),
        ("sequence", "bigint"),
        ("others", "text"),
    ],
};

const ENTRIES: Table = Table {
    name: "entries",
    columns: &[
        ("account_id", "text"),
        ("sequence", "bigint"),
        ("owner_id", "text"),
        ("transaction_id", "uuid"),
        ("create_time", "bigint"),
        ("amount", "bigint"),
        ("held_delta", "bigint"),
        ("balance_after", "bigint"),
        ("held_after", "bigint"),
        ("counter_account", "text"),
        ("split_account", "text"),
        ("split_amount", "bigint"),
        ("changes", "text"),
        ("chain_key", "text"),
        ("chain", "bytea"),
    ],
};

const GRANTS: Table = Table {
    name: "grants",
    columns: &[("account_id", "text"), ("grant_id", "uuid"), ("body", "text")],
};

const HOLDS: Table = Table {
    name: "holds",
    columns: &[("account_id", "text"), ("hold_id", "uuid"), ("state", "text"), ("body", "text")],
};

const REVERSALS: Table = Table {
    name: "reversals",
    columns: &[
        ("account_id", "text"),
        ("transaction_id", "uuid"),
        ("reversed", "bigint"),
        ("complete", "bigint"),
    ],
};

const CLAWBACKS: Table = Table {
    name: "clawbacks",
    columns: &[("account_id", "text"), ("transaction_id", "uuid"), ("body", "text")],
};

/// Accounts, transactions and entries, and last of all the batch's place in the stream: from there
/// on nobody else can commit before this batch has, so it has to be the last step. The counts make
/// it so, and make sure that every row was written.
static PERSIST: LazyLock<String> = LazyLock::new(|| {
    let (changed, rest) = ACCOUNTS.update(1);
    let (opened, rest) = ACCOUNTS.insert(rest);
    let (posted, rest) = TRANSACTIONS.insert(rest);
    let (entered, rest) = ENTRIES.insert(rest);
    let (rows, entries, written) = (rest, rest + 1, rest + 2);
    format!(
        "WITH changed AS ({changed} RETURNING 1), opened AS ({opened} RETURNING 1), \
         posted AS ({posted} RETURNING 1), entered AS ({entered} RETURNING 1), \
         numbered AS ( \
             UPDATE ledger.stream SET position = position + ${entries} \
             WHERE stream_id = 1 AND ${rows} = (SELECT count(*) FROM changed) \
                 + (SELECT count(*) FROM opened) + (SELECT count(*) FROM posted) \
                 + (SELECT count(*) FROM entered) \
             RETURNING position) \
         INSERT INTO ledger.commits (position, entries) SELECT position, ${written} FROM numbered"
    )
});

static PUT_GRANTS: LazyLock<String> = LazyLock::new(|| GRANTS.upsert(2));
static DELETE_GRANTS: LazyLock<String> = LazyLock::new(|| {
    "DELETE FROM ledger.grants g USING unnest($1::text[], $2::uuid[]) AS n (account_id, grant_id) \
     WHERE g.account_id = n.account_id AND g.grant_id = n.grant_id"
        .to_owned()
});
static PUT_HOLDS: LazyLock<String> = LazyLock::new(|| HOLDS.upsert(2));
static PUT_REVERSALS: LazyLock<String> = LazyLock::new(|| REVERSALS.upsert(2));
static PUT_CLAWBACKS: LazyLock<String> = LazyLock::new(|| CLAWBACKS.upsert(2));

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
        for id in &needs.tips {
            let tips = reader.transfers_since(id, tips_since).await?;
            state.tips.load(id.clone(), Some(tips.into_iter().map(Arc::new).collect()));
        }
        Ok(state)
    }

    /// Writes the effects: one statement for what every batch writes, one each for what few do.
    ///
    /// # Errors
    /// If the database doesn't take them.
    pub async fn persist(&mut self, effects: &Effects) -> Result<(), StoreError> {
        if !effects.closed_grants.is_empty() {
            let rows = &effects.closed_grants;
            let query = names(self.query(&PUT_GRANTS), rows.iter().map(|(name, _)| name));
            let query = query.column(rows, |(_, grant)| to_json(grant));
            query.execute(&mut self.connection).await?;
        }
        if !effects.reopened_grants.is_empty() {
            let query = names(self.query(&DELETE_GRANTS), effects.reopened_grants.iter());
            query.execute(&mut self.connection).await?;
        }
        if !effects.ended_holds.is_empty() {
            let rows = &effects.ended_holds;
            let query = names(self.query(&PUT_HOLDS), rows.iter().map(|(name, _)| name))
                .column(rows, |(_, hold)| hold.state.as_str())
                .column(rows, |(_, hold)| to_json(hold));
            query.execute(&mut self.connection).await?;
        }
        if !effects.reversals.is_empty() {
            let rows = &effects.reversals;
            let query = names(self.query(&PUT_REVERSALS), rows.iter().map(|(name, _)| name))
                .column(rows, |(_, reversal)| reversal.reversed)
                .column(rows, |(_, reversal)| i64::from(reversal.complete));
            query.execute(&mut self.connection).await?;
        }
        if !effects.clawbacks.is_empty() {
            let rows = &effects.clawbacks;
            let query = names(self.query(&PUT_CLAWBACKS), rows.iter().map(|(name, _)| name))
                .column(rows, |(_, clawback)| to_json(clawback));
            query.execute(&mut self.connection).await?;
        }
        self.persist_entries(effects).await
    }

    async fn persist_entries(&mut self, effects: &Effects) -> Result<(), StoreError> {
        let entries: Vec<_> = effects.entries().collect();
        let rows = effects.accounts.len()
            + effects.new_accounts.len()
            + effects.transactions.len()
            + entries.len();
        let query = accounts(self.query(&PERSIST), &effects.accounts);
        let query = accounts(query, &effects.new_accounts);
        let query = transactions(query, &effects.transactions);
        let query = self::entries(query, &entries)
            .bind(i64::try_from(rows).unwrap_or(i64::MAX))
            .bind(i64::try_from(entries.len()).unwrap_or(i64::MAX))
            .bind(rows::written(effects));
        let numbered = query.execute(&mut self.connection).await?.rows_affected();
        if numbered == 1 {
            Ok(())
        } else {
            Err(StoreError::broken("a row to change, or the stream's, is not there"))
        }
    }

    fn query(&self, statement: &'static LazyLock<String>) -> PgQuery {
        sqlx::query(statement.as_str()).persistent(self.prepared)
    }
}

fn accounts(query: PgQuery, rows: &[Account]) -> PgQuery {
    query
        .column(rows, |it| it.id.as_str())
        .column(rows, |it| it.status.as_str())
        .column(rows, |it| it.sequence)
        .column(rows, |it| it.posted)
        .column(rows, |it| it.held)
        .column(rows, |it| it.sweep_time().map(|at| at.0))
        .column(rows, |it| it.created.0)
        .column(rows, |it| it.updated.0)
        .column(rows, |it| it.head.key.as_str())
        .column(rows, |it| it.head.code.as_slice())
        .column(rows, |it| to_json(&it.body))
}

fn transactions(query: PgQuery, rows: &[Arc<ledger::Transaction>]) -> PgQuery {
    query
        .column(rows, |it| it.account.as_str())
        .column(rows, |it| uuid(it.id))
        .column(rows, |it| it.key.as_str())
        .column(rows, |it| it.kind.as_str())
        .column(rows, |it| it.created.0)
        .column(rows, |it| it.amount)
        .column(rows, |it| it.action.clone())
        .column(rows, |it| it.quantity)
        .column(rows, |it| it.entitled.as_ref().map(|it| it.source.clone()))
        .column(rows, |it| it.entitled.as_ref().map_or(0, |it| it.quantity))
        .column(rows, |it| it.entitled.as_ref().and_then(|it| it.period).map(|it| it.0))
        .column(rows, |it| i64::from(it.entitled.as_ref().is_some_and(|it| it.counted)))
        .column(rows, |it| it.related.map(uuid))
        .column(rows, |it| it.note.description.as_str())
        .column(rows, |it| it.note.reference.as_str())
        .column(rows, |it| rows::metadata(it))
        .column(rows, |it| it.note.actor.as_str())
        .column(rows, |it| it.note.on_behalf_of.as_str())
        .column(rows, |it| rows::pack(&it.fingerprint))
        .column(rows, |it| it.own().sequence)
        .column(rows, |it| rows::others(it))
}

fn entries(query: PgQuery, rows: &[(&Arc<ledger::Transaction>, &ledger::Entry)]) -> PgQuery {
    query
        .column(rows, |(_, it)| it.account.as_str())
        .column(rows, |(_, it)| it.sequence)
        .column(rows, |(of, it)| (it.account != of.account).then(|| of.account.to_string()))
        .column(rows, |(of, _)| uuid(of.id))
        .column(rows, |(of, _)| of.created.0)
        .column(rows, |(_, it)| it.amount)
        .column(rows, |(_, it)| it.held_delta)
        .column(rows, |(_, it)| it.balance_after)
        .column(rows, |(_, it)| it.held_after)
        .column(rows, |(_, it)| it.counter.as_str())
        .column(rows, |(_, it)| it.split.as_ref().map(|split| split.account.to_string()))
        .column(rows, |(_, it)| it.split.as_ref().map_or(0, |split| split.amount))
        .column(rows, |(_, it)| it.body.as_str())
        .column(rows, |(_, it)| it.chain_key.as_str())
        .column(rows, |(_, it)| it.chain.as_slice())
}

fn names<'a>(query: PgQuery, names: impl Iterator<Item = &'a Name>) -> PgQuery {
    let names: Vec<&Name> = names.collect();
    query.column(&names, |(account, _)| account.as_str()).column(&names, |(_, id)| uuid(*id))
}
