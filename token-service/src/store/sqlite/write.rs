//! The writer: one batch at a time, from `BEGIN IMMEDIATE` to `COMMIT`.
//!
//! Statements per batch, some more for sizes between powers of two: begin, accounts, transactions by name,
//! upsert of accounts, insert of transactions, insert of entries, commit. The other tables are read
//! and written only when a batch has to do with them.

use super::{
    many::{Many, Query},
    read,
};
use crate::store::{
    StoreError,
    rows::{self, to_json},
};
use ledger::{
    Account, Clawback, Effects, Footprint, Grant, Hold, Name, Reversal, State, Time, Transaction,
};
use sqlx::sqlite::SqliteConnection;
use std::sync::{Arc, LazyLock};

static PUT_ACCOUNTS: LazyLock<Many> = LazyLock::new(|| {
    Many::new(
        "INSERT INTO accounts (account_id, status, sequence, posted, held, due_time, create_time, \
         update_time, chain_key, chain, body) VALUES",
        11,
        "ON CONFLICT (account_id) DO UPDATE SET status = excluded.status, \
         sequence = excluded.sequence, posted = excluded.posted, held = excluded.held, \
         due_time = excluded.due_time, update_time = excluded.update_time, \
         chain_key = excluded.chain_key, chain = excluded.chain, body = excluded.body",
    )
});

static INSERT_TRANSACTIONS: LazyLock<Many> = LazyLock::new(|| {
    Many::new(
        "INSERT INTO transactions (account_id, transaction_id, idempotency_key, type, create_time, \
         amount, action, quantity, entitlement_source, entitled_quantity, entitlement_period, \
         entitlement_counted, related_id, description, reference, metadata, actor, on_behalf_of, fingerprint, \
         sequence, others) VALUES",
        21,
        "",
    )
});

static INSERT_ENTRIES: LazyLock<Many> = LazyLock::new(|| {
    Many::new(
        "INSERT INTO entries (account_id, sequence, owner_id, transaction_id, create_time, amount, \
         held_delta, balance_after, held_after, counter_account, split_account, split_amount, \
         changes, chain_key, chain) VALUES",
        15,
        "",
    )
});

static PUT_GRANTS: LazyLock<Many> = LazyLock::new(|| {
    Many::new("REPLACE INTO grants (account_id, grant_id, open, body) VALUES", 4, "")
});

static DELETE_GRANTS: LazyLock<Many> = LazyLock::new(|| {
    Many::new("DELETE FROM grants WHERE (account_id, grant_id) IN (VALUES", 2, ")")
});

static PUT_HOLDS: LazyLock<Many> = LazyLock::new(|| {
    Many::new("REPLACE INTO holds (account_id, hold_id, state, body) VALUES", 4, "")
});

static PUT_REVERSALS: LazyLock<Many> = LazyLock::new(|| {
    let head = "REPLACE INTO reversals (account_id, transaction_id, reversed, complete) VALUES";
    Many::new(head, 4, "")
});

static PUT_CLAWBACKS: LazyLock<Many> = LazyLock::new(|| {
    Many::new("REPLACE INTO clawbacks (account_id, transaction_id, body) VALUES", 3, "")
});

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
        PUT_ACCOUNTS.execute(connection, &accounts, bind_account).await?;
        INSERT_TRANSACTIONS.execute(connection, &effects.transactions, bind_transaction).await?;
        let entries: Vec<_> = effects.entries().collect();
        INSERT_ENTRIES.execute(connection, &entries, bind_entry).await?;
        PUT_GRANTS.execute(connection, &effects.grants, bind_grant).await?;
        DELETE_GRANTS.execute(connection, &effects.returned_grants, bind_name).await?;
        PUT_HOLDS.execute(connection, &effects.ended_holds, bind_hold).await?;
        PUT_REVERSALS.execute(connection, &effects.reversals, bind_reversal).await?;
        PUT_CLAWBACKS.execute(connection, &effects.clawbacks, bind_clawback).await?;
        sqlx::query("UPDATE stream SET position = position + ?")
            .bind(i64::try_from(entries.len()).unwrap_or(i64::MAX))
            .execute(&mut *connection)
            .await?;
        let numbered = sqlx::query("INSERT INTO commits SELECT position, ? FROM stream")
            .bind(rows::written(effects))
            .execute(&mut *connection)
            .await?;
        if numbered.rows_affected() != 1 {
            return Err(StoreError::broken("the stream's row is not there"));
        }
        Ok(())
    }
}

fn bind_account(query: Query, account: &&Account) -> Query {
    query
        .bind(account.id.as_str().to_owned())
        .bind(account.status.as_str())
        .bind(account.sequence)
        .bind(account.posted)
        .bind(account.held)
        .bind(account.sweep_time().map(|at| at.0))
        .bind(account.created.0)
        .bind(account.updated.0)
        .bind(account.head.key.clone())
        .bind(account.head.code.to_vec())
        .bind(to_json(&account.body))
}

fn bind_transaction(query: Query, transaction: &Arc<Transaction>) -> Query {
    let entitled = transaction.entitled.as_ref();
    let note = &transaction.note;
    bind_name(query, &transaction.name())
        .bind(transaction.key.clone())
        .bind(transaction.kind.as_str())
        .bind(transaction.created.0)
        .bind(transaction.amount)
        .bind(transaction.action.clone())
        .bind(transaction.quantity)
        .bind(entitled.map(|it| it.source.clone()))
        .bind(entitled.map_or(0, |it| it.quantity))
        .bind(entitled.and_then(|it| it.period).map(|period| period.0))
        .bind(i64::from(entitled.is_some_and(|it| it.counted)))
        .bind(transaction.related.map(|id| id.as_bytes().to_vec()))
        .bind(note.description.clone())
        .bind(note.reference.clone())
        .bind(rows::metadata(transaction))
        .bind(note.actor.clone())
        .bind(note.on_behalf_of.clone())
        .bind(rows::pack(&transaction.fingerprint))
        .bind(transaction.own().sequence)
        .bind(rows::others(transaction))
}

fn bind_entry(query: Query, (transaction, entry): &(&Arc<Transaction>, &ledger::Entry)) -> Query {
    let owner = (entry.account != transaction.account).then_some(&transaction.account);
    let split = entry.split.as_ref();
    query
        .bind(entry.account.as_str().to_owned())
        .bind(entry.sequence)
        .bind(owner.map(|owner| owner.as_str().to_owned()))
        .bind(transaction.id.as_bytes().to_vec())
        .bind(transaction.created.0)
        .bind(entry.amount)
        .bind(entry.held_delta)
        .bind(entry.balance_after)
        .bind(entry.held_after)
        .bind(entry.counter.as_str().to_owned())
        .bind(split.map(|split| split.account.as_str().to_owned()))
        .bind(split.map_or(0, |split| split.amount))
        .bind(entry.body.clone())
        .bind(entry.chain_key.clone())
        .bind(entry.chain.to_vec())
}

pub(super) fn bind_name(query: Query, (account, id): &Name) -> Query {
    query.bind(account.as_str().to_owned()).bind(id.as_bytes().to_vec())
}

fn bind_grant(query: Query, (name, grant): &(Name, Grant)) -> Query {
    bind_name(query, name).bind(i64::from(!grant.is_closed())).bind(to_json(grant))
}

fn bind_hold(query: Query, (name, hold): &(Name, Hold)) -> Query {
    bind_name(query, name).bind(hold.state.as_str()).bind(to_json(hold))
}

fn bind_reversal(query: Query, (name, reversal): &(Name, Reversal)) -> Query {
    bind_name(query, name).bind(reversal.reversed).bind(i64::from(reversal.complete))
}

fn bind_clawback(query: Query, (name, clawback): &(Name, Clawback)) -> Query {
    bind_name(query, name).bind(to_json(clawback))
}
