//! Rows as both databases write them: each table's columns, and their values in the same order.

use super::rows::{self, to_json, uuid};
use ledger::{Account, Clawback, Entry, Grant, Hold, Name, Reversal, Transaction};
use sqlx::{Encode, Postgres, Sqlite, Type};
use std::sync::Arc;

/// A table, and what is written of a row.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [&'static str],
    /// How many of these, the first ones, tell its rows apart.
    pub keys: usize,
    /// PostgreSQL's type of what is written: [`Table::columns`] in their order.
    pub record: &'static str,
}

impl Table {
    /// What an `INSERT` does with rows that are there: both databases say it in the same words.
    #[must_use]
    pub fn or_update(&self) -> String {
        let (keys, rest) = self.columns.split_at(self.keys);
        let set: Vec<String> =
            rest.iter().map(|column| format!("{column} = excluded.{column}")).collect();
        format!("ON CONFLICT ({}) DO UPDATE SET {}", keys.join(", "), set.join(", "))
    }
}

/// A value that both databases take.
pub trait Value:
    for<'q> Encode<'q, Postgres> + Type<Postgres> + for<'q> Encode<'q, Sqlite> + Type<Sqlite>
{
}

impl<V> Value for V where
    V: for<'q> Encode<'q, Postgres> + Type<Postgres> + for<'q> Encode<'q, Sqlite> + Type<Sqlite>
{
}

/// What takes a row's values.
pub trait Columns: Sized {
    /// The next column's.
    #[must_use]
    fn column(self, value: impl Value) -> Self;
}

/// What is written as a row.
pub trait Record {
    /// Of this table.
    const TABLE: Table;

    /// Its values, in the order of [`Table::columns`].
    fn write<C: Columns>(&self, columns: C) -> C;
}

impl<R: Record> Record for &R {
    const TABLE: Table = R::TABLE;

    fn write<C: Columns>(&self, columns: C) -> C {
        R::write(self, columns)
    }
}

impl Record for Account {
    const TABLE: Table = Table {
        name: "accounts",
        columns: &[
            "account_id",
            "status",
            "sequence",
            "posted",
            "held",
            "due_time",
            "create_time",
            "update_time",
            "chain_key",
            "chain",
            "body",
        ],
        keys: 1,
        record: "ledger.account_record",
    };

    fn write<C: Columns>(&self, columns: C) -> C {
        columns
            .column(self.id.as_str())
            .column(self.status.as_str())
            .column(self.sequence)
            .column(self.posted)
            .column(self.held)
            .column(self.sweep_time().map(|at| at.0))
            .column(self.created.0)
            .column(self.updated.0)
            .column(self.head.key.as_str())
            .column(self.head.code.as_slice())
            .column(to_json(&self.body))
    }
}

impl Record for Arc<Transaction> {
    const TABLE: Table = Table {
        name: "transactions",
        columns: &[
            "account_id",
            "transaction_id",
            "idempotency_key",
            "type",
            "create_time",
            "amount",
            "action",
            "quantity",
            "entitlement_source",
            "entitled_quantity",
            "entitlement_period",
            "entitlement_counted",
            "related_id",
            "description",
            "reference",
            "metadata",
            "actor",
            "on_behalf_of",
            "fingerprint",
            "sequence",
            "others",
        ],
        keys: 2,
        record: "ledger.transaction_record",
    };

    fn write<C: Columns>(&self, columns: C) -> C {
        let (entitled, note) = (self.entitled.as_ref(), &self.note);
        columns
            .column(self.account.as_str())
            .column(uuid(self.id))
            .column(self.key.as_str())
            .column(self.kind.as_str())
            .column(self.created.0)
            .column(self.amount)
            .column(self.action.clone())
            .column(self.quantity)
            .column(entitled.map(|it| it.source.clone()))
            .column(entitled.map_or(0, |it| it.quantity))
            .column(entitled.and_then(|it| it.period).map(|period| period.0))
            .column(i64::from(entitled.is_some_and(|it| it.counted)))
            .column(self.related.map(uuid))
            .column(note.description.as_str())
            .column(note.reference.as_str())
            .column(rows::metadata(self))
            .column(note.actor.as_str())
            .column(note.on_behalf_of.as_str())
            .column(rows::pack(&self.fingerprint))
            .column(self.own().sequence)
            .column(rows::others(self))
    }
}

/// An entry, beside its transaction.
pub type Posting<'e> = (&'e Arc<Transaction>, &'e Entry);

impl Record for Posting<'_> {
    const TABLE: Table = Table {
        name: "entries",
        columns: &[
            "account_id",
            "sequence",
            "owner_id",
            "transaction_id",
            "create_time",
            "amount",
            "held_delta",
            "balance_after",
            "held_after",
            "counter_account",
            "split_account",
            "split_amount",
            "changes",
            "chain_key",
            "chain",
        ],
        keys: 2,
        record: "ledger.entry_record",
    };

    fn write<C: Columns>(&self, columns: C) -> C {
        let (transaction, entry) = *self;
        let owner = (entry.account != transaction.account).then_some(&transaction.account);
        let split = entry.split.as_ref();
        columns
            .column(entry.account.as_str())
            .column(entry.sequence)
            .column(owner.map(ToString::to_string))
            .column(uuid(transaction.id))
            .column(transaction.created.0)
            .column(entry.amount)
            .column(entry.held_delta)
            .column(entry.balance_after)
            .column(entry.held_after)
            .column(entry.counter.as_str())
            .column(split.map(|split| split.account.to_string()))
            .column(split.map_or(0, |split| split.amount))
            .column(entry.body.as_str())
            .column(entry.chain_key.as_str())
            .column(entry.chain.as_slice())
    }
}

impl Record for (Name, Grant) {
    const TABLE: Table = Table {
        name: "grants",
        columns: &["account_id", "grant_id", "open", "body"],
        keys: 2,
        record: "ledger.grant_record",
    };

    fn write<C: Columns>(&self, columns: C) -> C {
        let (name, grant) = self;
        named(columns, name).column(i64::from(!grant.is_closed())).column(to_json(grant))
    }
}

impl Record for (Name, Hold) {
    const TABLE: Table = Table {
        name: "holds",
        columns: &["account_id", "hold_id", "state", "body"],
        keys: 2,
        record: "ledger.hold_record",
    };

    fn write<C: Columns>(&self, columns: C) -> C {
        let (name, hold) = self;
        named(columns, name).column(hold.state.as_str()).column(to_json(hold))
    }
}

impl Record for (Name, Reversal) {
    const TABLE: Table = Table {
        name: "reversals",
        columns: &["account_id", "transaction_id", "reversed", "complete"],
        keys: 2,
        record: "ledger.reversal_record",
    };

    fn write<C: Columns>(&self, columns: C) -> C {
        let (name, reversal) = self;
        named(columns, name).column(reversal.reversed).column(i64::from(reversal.complete))
    }
}

impl Record for (Name, Clawback) {
    const TABLE: Table = Table {
        name: "clawbacks",
        columns: &["account_id", "transaction_id", "body"],
        keys: 2,
        record: "ledger.clawback_record",
    };

    fn write<C: Columns>(&self, columns: C) -> C {
        let (name, clawback) = self;
        named(columns, name).column(to_json(clawback))
    }
}

/// A name's two columns.
pub fn named<C: Columns>(columns: C, (account, id): &Name) -> C {
    columns.column(account.as_str()).column(uuid(*id))
}
