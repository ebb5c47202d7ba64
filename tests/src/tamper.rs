//! Tampering: what somebody with all rights in the database could do to a ledger, by chance.
//!
//! It is all done in SQL, past triggers and checks, on rows that the export tells; each tampering
//! changes something that means something. What the ledger was before is put back afterwards.

mod database;
mod edit;

pub use database::Tampered;

use serde_json::{Map, Value};

/// A row as it is exported.
pub type Row = Map<String, Value>;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// The 16 bytes of an id.
    Id,
    /// Bytes.
    Bytes,
    /// JSON.
    Json,
}

/// A table: its name, its columns, and how many of them name a row.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns; the first ones name a row.
    pub columns: &'static [(&'static str, Kind)],
    /// How many of them do.
    pub keys: usize,
}

use Kind::{Bytes, Id, Json, Number, Text};

/// Every table there is.
pub const TABLES: [Table; 10] = [
    Table {
        name: "accounts",
        columns: &[
            ("account_id", Text),
            ("status", Text),
            ("sequence", Number),
            ("posted", Number),
            ("held", Number),
            ("due_time", Number),
            ("create_time", Number),
            ("update_time", Number),
            ("chain_key", Text),
            ("chain", Bytes),
            ("body", Json),
        ],
        keys: 1,
    },
    Table {
        name: "transactions",
        columns: &[
            ("account_id", Text),
            ("transaction_id", Id),
            ("idempotency_key", Text),
            ("type", Text),
            ("create_time", Number),
            ("amount", Number),
            ("action", Text),
            ("quantity", Number),
            ("entitlement_source", Text),
            ("entitled_quantity", Number),
            ("entitlement_period", Number),
            ("entitlement_counted", Number),
            ("related_id", Id),
            ("description", Text),
            ("reference", Text),
            ("metadata", Json),
            ("actor", Text),
            ("on_behalf_of", Text),
            ("fingerprint", Bytes),
            ("sequence", Number),
            ("others", Json),
        ],
        keys: 2,
    },
    Table {
        name: "entries",
        columns: &[
            ("account_id", Text),
            ("sequence", Number),
            ("owner_id", Text),
            ("transaction_id", Id),
            ("create_time", Number),
            ("amount", Number),
            ("held_delta", Number),
            ("balance_after", Number),
            ("held_after", Number),
            ("counter_account", Text),
            ("split_account", Text),
            ("split_amount", Number),
            ("changes", Json),
            ("chain_key", Text),
            ("chain", Bytes),
        ],
        keys: 2,
    },
    Table {
        name: "grants",
        columns: &[("account_id", Text), ("grant_id", Id), ("open", Number), ("body", Json)],
        keys: 2,
    },
    Table {
        name: "holds",
        columns: &[("account_id", Text), ("hold_id", Id), ("state", Text), ("body", Json)],
        keys: 2,
    },
    Table {
        name: "reversals",
        columns: &[
            ("account_id", Text),
            ("transaction_id", Id),
            ("reversed", Number),
            ("complete", Number),
        ],
        keys: 2,
    },
    Table {
        name: "clawbacks",
        columns: &[("account_id", Text), ("transaction_id", Id), ("body", Json)],
        keys: 2,
    },
    Table { name: "commits", columns: &[("position", Number), ("entries", Json)], keys: 1 },
    Table { name: "stream", columns: &[("stream_id", Number), ("position", Number)], keys: 1 },
    Table { name: "chain_keys", columns: &[("key_id", Text), ("check_code", Bytes)], keys: 1 },
];

/// A tampering: what it is, and the statements that do it. Tables are `{}name`.
#[derive(Clone, Debug)]
pub struct Tampering {
    /// In words.
    pub what: String,
    /// In SQL.
    pub statements: Vec<String>,
}
