//! Rows as they are held against each other when the ledger is verified: with the columns that the
//! service itself doesn't need to read, and nothing taken for granted.

use super::{
    StoreError,
    rows::{
        ACCOUNT_COLUMNS, AccountRow, ENTRY_COLUMNS, EntryRow, TRANSACTION_COLUMNS, TransactionRow,
        from_json, transaction_id,
    },
    snapshot::{Key, PAGE_ROWS, Readable, Select},
};
use ledger::{Account, AccountId, Clawback, EntryId, Filed, Grant, Hold, Time, TransactionId};
use serde::Deserialize;
use sqlx::{FromRow, Row as _, postgres::PgRow, sqlite::SqliteRow};
use uuid::Uuid;

/// What is read page by page.
pub trait Table: Readable {
    /// How, of one account or of all.
    fn select(only: Option<&AccountId>) -> Select;
}

/// Row by row.
fn rows(head: &str, key: Key, only: Option<(&'static str, String)>) -> Select {
    Select { head: head.to_owned(), key, only, rows: PAGE_ROWS, packed: None }
}

fn only(column: &'static str, account: Option<&AccountId>) -> Option<(&'static str, String)> {
    account.map(|account| (column, account.as_str().to_owned()))
}

/// An entry beside its transaction, if that is there.
#[derive(Debug, Deserialize)]
pub struct FiledRow {
    transaction: Option<TransactionRow>,
    own_sequence: i64,
    entry: EntryRow,
    owner_id: Option<String>,
    entry_time: i64,
}

/// In the order of the fields.
const FILED_COLUMNS: &str = "json_array(json_array(account_id, hex(transaction_id), idempotency_key, \
     type, create_time, amount, action, quantity, entitlement_source, entitled_quantity, \
     entitlement_period, entitlement_counted, CASE WHEN related_id IS NOT NULL THEN hex(related_id) END, \
     description, reference, metadata, actor, on_behalf_of, hex(fingerprint), others), own_sequence, \
     json_array(entry_account, entry_sequence, entry_amount, held_delta, balance_after, held_after, \
     counter_account, split_account, split_amount, changes, chain_key, hex(chain)), owner_id, \
     entry_time)";

macro_rules! filed_from {
    ($($row:ty)*) => {
        $(impl<'r> FromRow<'r, $row> for FiledRow {
            fn from_row(row: &'r $row) -> Result<Self, sqlx::Error> {
                let there: Option<String> = row.try_get("account_id")?;
                let own_sequence: Option<i64> = row.try_get("own_sequence")?;
                Ok(Self {
                    transaction: there.map(|_| TransactionRow::from_row(row)).transpose()?,
                    own_sequence: own_sequence.unwrap_or_default(),
                    entry: EntryRow::from_row(row)?,
                    owner_id: row.try_get("owner_id")?,
                    entry_time: row.try_get("entry_time")?,
                })
            }
        })*
    };
}

filed_from! { SqliteRow PgRow }

impl Table for FiledRow {
    fn select(account: Option<&AccountId>) -> Select {
        let head = format!(
            "SELECT {TRANSACTION_COLUMNS}, t.sequence AS own_sequence, {ENTRY_COLUMNS}, e.owner_id, \
             e.create_time AS entry_time \
             FROM {{}}entries e LEFT JOIN {{}}transactions t ON t.transaction_id = e.transaction_id \
                  AND t.account_id = coalesce(e.owner_id, e.account_id) WHERE"
        );
        let names = &["entry_account", "entry_sequence"];
        let key = Key::numbered("e.account_id, e.sequence", names);
        let packed = Some(FILED_COLUMNS);
        Select { head, key, only: only("e.account_id", account), rows: PAGE_ROWS, packed }
    }
}

impl FiledRow {
    /// Whether its transaction is there.
    #[must_use]
    pub fn has_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// What it says.
    ///
    /// # Errors
    /// If the service can't have written it.
    pub fn file(self) -> Result<Filed, StoreError> {
        let missing = || StoreError::broken("there is no transaction");
        let transaction = self.transaction.ok_or_else(missing)?;
        if !transaction.is_canonical() || !self.entry.is_canonical() {
            let words = "columns that mean nothing, or text that isn't as it is written";
            return Err(StoreError::broken(words));
        }
        let others = transaction.others()?.into_iter();
        let others = others.map(|(account, at)| (AccountId::new(&account), at));
        Ok(Filed {
            others: others.collect::<Vec<EntryId>>(),
            owner: self.owner_id.as_deref().map(AccountId::new),
            created: Time(self.entry_time),
            own_sequence: self.own_sequence,
            transaction: transaction.with(vec![self.entry.try_into()?])?,
        })
    }
}

/// An account's row.
#[derive(Debug, FromRow, Deserialize)]
pub struct AccountFile {
    #[sqlx(flatten)]
    row: AccountRow,
    due_time: Option<i64>,
}

impl Table for AccountFile {
    fn select(account: Option<&AccountId>) -> Select {
        let head = format!("SELECT {ACCOUNT_COLUMNS}, due_time FROM {{}}accounts WHERE");
        let key = Key::text("account_id", &["account_id"]);
        let packed = Some(
            "json_array(json_array(account_id, status, sequence, posted, held, create_time, \
             update_time, chain_key, hex(chain), body), due_time)",
        );
        Select { head, key, only: only("account_id", account), rows: PAGE_ROWS, packed }
    }
}

impl AccountFile {
    /// The account, and when the sweeper is to look at it.
    ///
    /// # Errors
    /// If the service can't have written it.
    pub fn file(self) -> Result<(Account, Option<Time>), StoreError> {
        Ok((self.row.try_into()?, self.due_time.map(Time)))
    }
}

/// A row that names something of an account and holds its facts as JSON.
macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident of $table:literal, $id:literal { $($more:ident: $type:ty)? } -> $fact:ty;)*) => {
        $($(#[$doc])*
        #[derive(Debug, FromRow, Deserialize)]
        pub struct $name {
            id: Uuid,
            body: String,
            $(
            /// The column of this name.
            pub $more: $type,)?
        }

        impl Table for $name {
            fn select(account: Option<&AccountId>) -> Select {
                let more = concat!($(", ", stringify!($more))?);
                let head = format!(
                    "SELECT account_id, {id} AS id, body{more} FROM {{}}{table} WHERE",
                    id = $id, table = $table,
                );
                let key = Key::named(concat!("account_id, ", $id), &["account_id", "id"]);
                rows(&head, key, only("account_id", account))
            }
        }

        impl $name {
            /// What it names.
            #[must_use]
            pub fn id(&self) -> TransactionId {
                transaction_id(self.id)
            }

            /// What it says.
            ///
            /// # Errors
            /// If the service can't have written it.
            pub fn file(&self) -> Result<$fact, StoreError> {
                from_json("body", &self.body)
            }
        })*
    };
}

bodies! {
    /// A row of `grants`.
    GrantFile of "grants", "grant_id" { open: i64 } -> Grant;
    /// A row of `holds`.
    HoldFile of "holds", "hold_id" { state: String } -> Hold;
    /// A row of `clawbacks`.
    ClawbackFile of "clawbacks", "transaction_id" {} -> Clawback;
}

/// A row of `reversals`, beside the amount of what was reversed.
#[derive(Debug, FromRow, Deserialize)]
pub struct ReversalFile {
    id: Uuid,
    /// Tokens so far.
    pub reversed: i64,
    /// Whether nothing is left to reverse.
    pub complete: i64,
    /// The amount of what was reversed, if that is there.
    pub original: Option<i64>,
}

impl Table for ReversalFile {
    fn select(account: Option<&AccountId>) -> Select {
        let head = "SELECT r.account_id, r.transaction_id AS id, r.reversed, r.complete, \
                    t.amount AS original FROM {}reversals r LEFT JOIN {}transactions t \
                    ON t.transaction_id = r.transaction_id AND t.account_id = r.account_id WHERE";
        let key = Key::named("r.account_id, r.transaction_id", &["account_id", "id"]);
        rows(head, key, only("r.account_id", account))
    }
}

impl ReversalFile {
    /// What was reversed.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        transaction_id(self.id)
    }
}

/// A row of `commits`.
#[derive(Debug, FromRow, Deserialize)]
pub struct CommitFile {
    /// The position of its last entry.
    pub position: i64,
    /// Its entries, as JSON.
    pub entries: String,
}

impl Table for CommitFile {
    fn select(_: Option<&AccountId>) -> Select {
        let head = "SELECT position, entries FROM {}commits WHERE".to_owned();
        let packed = Some("json_array(position, entries)");
        Select {
            head,
            key: Key::number("position", &["position"]),
            only: None,
            rows: PAGE_ROWS,
            packed,
        }
    }
}

/// A transaction that has no entry where it says that its own is.
#[derive(Debug, FromRow, Deserialize)]
pub struct OrphanFile {
    transaction_id: Uuid,
}

impl Table for OrphanFile {
    fn select(account: Option<&AccountId>) -> Select {
        let head = "SELECT t.account_id, t.transaction_id FROM {}transactions t \
                    WHERE NOT EXISTS (SELECT 1 FROM {}entries e WHERE e.account_id = t.account_id \
                    AND e.sequence = t.sequence AND e.transaction_id = t.transaction_id) AND";
        let names = &["transaction_id", "account_id"];
        let key = Key::ordered("t.transaction_id, t.account_id", names);
        rows(head, key, only("t.account_id", account))
    }
}

impl OrphanFile {
    /// The transaction.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        transaction_id(self.transaction_id)
    }
}

/// A transaction that says that it has entries in other accounts.
#[derive(Debug, FromRow, Deserialize)]
pub struct OthersFile {
    transaction_id: Uuid,
    others: String,
}

impl Table for OthersFile {
    fn select(account: Option<&AccountId>) -> Select {
        let head = "SELECT t.account_id, t.transaction_id, t.others FROM {}transactions t \
                    WHERE t.others IS NOT NULL AND";
        let names = &["transaction_id", "account_id"];
        let key = Key::ordered("t.transaction_id, t.account_id", names);
        rows(head, key, only("t.account_id", account))
    }
}

impl OthersFile {
    /// The transaction.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        transaction_id(self.transaction_id)
    }

    /// Where the entries are.
    ///
    /// # Errors
    /// If the service can't have written it.
    pub fn file(&self) -> Result<Vec<(String, i64)>, StoreError> {
        from_json("others", &self.others)
    }
}

/// Whose transaction an entry belongs to.
#[derive(Debug, FromRow, Deserialize)]
pub struct BelongingFile {
    transaction_id: Uuid,
    /// The account whose command it was.
    pub owner_id: Option<String>,
}

impl Table for BelongingFile {
    fn select(account: Option<&AccountId>) -> Select {
        let head = "SELECT account_id, sequence, transaction_id, owner_id FROM {}entries WHERE";
        let key = Key::numbered("account_id, sequence", &["account_id", "sequence"]);
        rows(head, key, only("account_id", account))
    }
}

impl BelongingFile {
    /// The transaction.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        transaction_id(self.transaction_id)
    }
}

/// An account's row beside its newest entry, for a checkpoint.
#[derive(Debug, FromRow, Deserialize)]
pub struct HeadFile {
    account_id: String,
    /// The number of its newest entry.
    pub sequence: i64,
    posted: i64,
    held: i64,
    chain: Vec<u8>,
    entry_chain: Option<Vec<u8>>,
    balance_after: Option<i64>,
    held_after: Option<i64>,
}

impl Table for HeadFile {
    fn select(account: Option<&AccountId>) -> Select {
        let head = "SELECT a.account_id, a.sequence, a.posted, a.held, a.chain, \
                    e.chain AS entry_chain, e.balance_after, e.held_after FROM {}accounts a \
                    LEFT JOIN {}entries e ON e.account_id = a.account_id \
                         AND e.sequence = a.sequence WHERE";
        let key = Key::text("a.account_id", &["account_id"]);
        rows(head, key, only("a.account_id", account))
    }
}

impl HeadFile {
    /// The account, its newest entry's code, and what it holds: posted and held tokens.
    ///
    /// # Errors
    /// If its row and its newest entry say different things.
    pub fn file(&self) -> Result<(AccountId, [u8; 32], i64, i64), StoreError> {
        let says = (Some(&self.chain), Some(self.posted), Some(self.held));
        let code = self.chain.as_slice().try_into().ok();
        match code {
            Some(code)
                if says == (self.entry_chain.as_ref(), self.balance_after, self.held_after) =>
            {
                Ok((AccountId::new(&self.account_id), code, self.posted, self.held))
            }
            Some(_) | None => {
                let words = format!("account {} isn't as its newest entry says", self.account_id);
                Err(StoreError::broken(words))
            }
        }
    }
}

/// A row of `chain_keys`.
#[derive(Debug, FromRow, Deserialize)]
pub struct KeyFile {
    /// The key's name.
    pub key_id: String,
    /// The code that its secret gives.
    pub check_code: Vec<u8>,
}

impl Table for KeyFile {
    fn select(_: Option<&AccountId>) -> Select {
        let head = "SELECT key_id, check_code FROM {}chain_keys WHERE".to_owned();
        Select {
            head,
            key: Key::text("key_id", &["key_id"]),
            only: None,
            rows: PAGE_ROWS,
            packed: None,
        }
    }
}
