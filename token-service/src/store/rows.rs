//! Rows as both databases keep them, and what they mean. Conversion happens here, once.

use super::StoreError;
use ledger::{
    Account, AccountId, Change, Effects, Entitled, Entry, Fingerprint, Link, Name, Note, Split,
    Status, Time, Transaction, TransactionId, TransactionType,
};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use sqlx::FromRow;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What to select of an account.
pub const ACCOUNT_COLUMNS: &str = "account_id, status, sequence, posted, held, create_time, \
     update_time, chain_key, chain, body";

/// What to select of a transaction `t`.
pub const TRANSACTION_COLUMNS: &str = "t.account_id, t.transaction_id, t.idempotency_key, t.type, \
     t.create_time, t.amount, t.action, t.quantity, t.entitlement_source, t.entitled_quantity, \
     t.entitlement_period, t.entitlement_counted, t.related_id, t.description, t.reference, t.metadata, t.actor, \
     t.on_behalf_of, t.fingerprint, t.others";

/// What to select of an entry `e`.
pub const ENTRY_COLUMNS: &str = "e.account_id AS entry_account, e.sequence AS entry_sequence, \
     e.amount AS entry_amount, e.held_delta, e.balance_after, e.held_after, e.counter_account, \
     e.split_account, e.split_amount, e.changes, e.chain_key, e.chain";

/// A row of `accounts`.
#[derive(Debug, FromRow, Deserialize)]
pub struct AccountRow {
    account_id: String,
    status: String,
    sequence: i64,
    posted: i64,
    held: i64,
    create_time: i64,
    update_time: i64,
    chain_key: String,
    #[serde(deserialize_with = "from_hex")]
    chain: Vec<u8>,
    body: String,
}

impl TryFrom<AccountRow> for Account {
    type Error = StoreError;

    fn try_from(row: AccountRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: AccountId::new(&row.account_id),
            status: status(&row.status)?,
            sequence: row.sequence,
            posted: row.posted,
            held: row.held,
            created: Time(row.create_time),
            updated: Time(row.update_time),
            head: Link { key: row.chain_key, code: bytes("chain", &row.chain)? },
            body: from_json("accounts.body", &row.body)?,
        })
    }
}

/// A row of `transactions`.
#[derive(Debug, FromRow, Deserialize)]
pub struct TransactionRow {
    account_id: String,
    transaction_id: Uuid,
    idempotency_key: String,
    r#type: String,
    create_time: i64,
    amount: i64,
    action: Option<String>,
    quantity: i64,
    entitlement_source: Option<String>,
    entitled_quantity: i64,
    entitlement_period: Option<i64>,
    entitlement_counted: i64,
    related_id: Option<Uuid>,
    description: String,
    reference: String,
    metadata: Option<String>,
    actor: String,
    on_behalf_of: String,
    #[serde(deserialize_with = "from_hex")]
    fingerprint: Vec<u8>,
    others: Option<String>,
}

impl TransactionRow {
    /// The entries of other accounts: account and number.
    ///
    /// # Errors
    /// If the row isn't what we wrote.
    pub fn others(&self) -> Result<Vec<(String, i64)>, StoreError> {
        self.others.as_deref().map_or(Ok(Vec::new()), |text| from_json("others", text))
    }

    /// Whether it is as it is written: other texts mean the same, or nothing, and aren't signed.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        let same = |column: &Option<String>, again: fn(&str) -> Option<String>| {
            column.as_deref().is_none_or(|text| again(text).as_deref() == Some(text))
        };
        let pairs = |text: &str| {
            let pairs: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
            (!pairs.is_empty()).then(|| to_json(&pairs))
        };
        let others = |text: &str| {
            let others: Vec<(String, i64)> = serde_json::from_str(text).ok()?;
            (!others.is_empty()).then(|| to_json(&others))
        };
        let entitled = (self.entitled_quantity, self.entitlement_period, self.entitlement_counted);
        let entitled = match &self.entitlement_source {
            // The chain signs -1 for none.
            Some(_) => matches!(entitled, (_, period, 0 | 1) if period != Some(-1)),
            None => entitled == (0, None, 0),
        };
        entitled
            && same(&self.metadata, pairs)
            && same(&self.others, others)
            && self.fingerprint.len().is_multiple_of(8)
    }

    /// With these entries, the whole transaction.
    ///
    /// # Errors
    /// If the row isn't what we wrote.
    pub fn with(self, entries: Vec<Entry>) -> Result<Transaction, StoreError> {
        let period = self.entitlement_period.map(Time);
        let quantity = self.entitled_quantity;
        let metadata = self.metadata.as_deref().map(|text| from_json("metadata", text));
        Ok(Transaction {
            account: AccountId::new(&self.account_id),
            id: transaction_id(self.transaction_id),
            key: self.idempotency_key,
            kind: transaction_type(&self.r#type)?,
            created: Time(self.create_time),
            amount: self.amount,
            action: self.action,
            quantity: self.quantity,
            entitled: self.entitlement_source.map(|source| {
                let counted = self.entitlement_counted;
                Entitled { source, quantity, period, counted: counted != 0 }
            }),
            related: self.related_id.map(transaction_id),
            note: Note {
                description: self.description,
                reference: self.reference,
                metadata: metadata.transpose()?.unwrap_or_default(),
                actor: self.actor,
                on_behalf_of: self.on_behalf_of,
            },
            fingerprint: unpack(&self.fingerprint),
            entries,
        })
    }
}

/// A row of `entries`.
#[derive(Debug, FromRow, Deserialize)]
pub struct EntryRow {
    entry_account: String,
    entry_sequence: i64,
    entry_amount: i64,
    held_delta: i64,
    balance_after: i64,
    held_after: i64,
    counter_account: String,
    split_account: Option<String>,
    split_amount: i64,
    changes: String,
    chain_key: String,
    #[serde(deserialize_with = "from_hex")]
    chain: Vec<u8>,
}

impl EntryRow {
    /// Whether it is as it is written.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.split_account.is_some() || self.split_amount == 0
    }
}

impl TryFrom<EntryRow> for Entry {
    type Error = StoreError;

    fn try_from(row: EntryRow) -> Result<Self, StoreError> {
        let amount = row.split_amount;
        let changes: Vec<Change> = from_json("entries.changes", &row.changes)?;
        Ok(Self {
            account: AccountId::new(&row.entry_account),
            sequence: row.entry_sequence,
            amount: row.entry_amount,
            held_delta: row.held_delta,
            balance_after: row.balance_after,
            held_after: row.held_after,
            counter: AccountId::new(&row.counter_account),
            split: row.split_account.map(|it| Split { account: AccountId::new(&it), amount }),
            changes,
            body: row.changes,
            chain_key: row.chain_key,
            chain: bytes("chain", &row.chain)?,
        })
    }
}

/// A transaction beside one of its entries.
#[derive(Debug, FromRow)]
pub struct PostedRow {
    /// The transaction.
    #[sqlx(flatten)]
    pub transaction: TransactionRow,
    /// The entry.
    #[sqlx(flatten)]
    pub entry: EntryRow,
}

impl TryFrom<PostedRow> for Transaction {
    type Error = StoreError;

    fn try_from(row: PostedRow) -> Result<Self, StoreError> {
        row.transaction.with(vec![row.entry.try_into()?])
    }
}

/// Where the entries of other accounts are, as [`TransactionRow::others`] reads it.
#[must_use]
pub fn others(transaction: &Transaction) -> Option<String> {
    let others: Vec<(&str, i64)> = transaction
        .entries
        .iter()
        .skip(1)
        .map(|entry| (entry.account.as_str(), entry.sequence))
        .collect();
    (!others.is_empty()).then(|| to_json(&others))
}

/// The caller's pairs, as [`TransactionRow::with`] reads them.
#[must_use]
pub fn metadata(transaction: &Transaction) -> Option<String> {
    let metadata = &transaction.note.metadata;
    (!metadata.is_empty()).then(|| to_json(metadata))
}

/// The entries of a batch, as [`super::Commit`] reads them. Those of one account are in their order;
/// that of different accounts means nothing.
#[must_use]
pub fn written(effects: &Effects) -> String {
    let entry = |(_, entry): (_, &Entry)| (entry.account.as_str().to_owned(), entry.sequence);
    let mut entries: Vec<(String, i64)> = effects.entries().map(entry).collect();
    entries.sort_unstable();
    to_json(&entries)
}

/// A fingerprint in bytes: per field its number and seven bytes of digest.
#[must_use]
pub fn pack(fingerprint: &Fingerprint) -> Vec<u8> {
    let fields = fingerprint.0.iter();
    fields.flat_map(|(number, digest)| std::iter::once(*number).chain(*digest)).collect()
}

fn unpack(packed: &[u8]) -> Fingerprint {
    let (fields, _) = packed.as_chunks::<8>();
    let fields = fields.iter().map(|[number, digest @ ..]| (*number, *digest));
    Fingerprint(fields.collect())
}

/// As the database keeps structured columns.
#[must_use]
pub fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("rows are plain data")
}

/// What [`to_json`] wrote in `column`.
///
/// # Errors
/// If it didn't.
pub fn from_json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|cause| StoreError::broken(format!("{column}: {cause}")))
}

/// The name of a transaction, grant or hold.
#[must_use]
pub fn transaction_id(id: Uuid) -> TransactionId {
    TransactionId::from_bytes(id.into_bytes())
}

/// The id as both databases keep it.
#[must_use]
pub fn uuid(id: TransactionId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

/// The name in two columns.
#[must_use]
pub fn name(account: &str, id: Uuid) -> Name {
    (AccountId::new(account), transaction_id(id))
}

/// Bytes that a database gives as hexadecimal.
fn from_hex<'t, D: Deserializer<'t>>(text: D) -> Result<Vec<u8>, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(text)?;
    unhex(&text).ok_or_else(|| serde::de::Error::custom("it isn't hexadecimal"))
}

/// Bytes from hexadecimal.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn bytes<const N: usize>(column: &str, bytes: &[u8]) -> Result<[u8; N], StoreError> {
    let wrong = |_| StoreError::broken(format!("{column}: {} bytes", bytes.len()));
    bytes.try_into().map_err(wrong)
}

fn status(text: &str) -> Result<Status, StoreError> {
    let mut all = [Status::Active, Status::Frozen, Status::Closed].into_iter();
    let found = all.find(|status| status.as_str() == text);
    found.ok_or_else(|| StoreError::broken(format!("accounts.status: {text}")))
}

fn transaction_type(text: &str) -> Result<TransactionType, StoreError> {
    let found = TransactionType::ALL.into_iter().find(|kind| kind.as_str() == text);
    found.ok_or_else(|| StoreError::broken(format!("transactions.type: {text}")))
}
