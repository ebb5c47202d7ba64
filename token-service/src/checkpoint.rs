//! Checkpoints: every account's newest entry under one root, with counts and totals, signed. Kept
//! elsewhere, one shows that the ledger is still the one it was, even if the whole database is replaced.
//!
//! The format is described in `docs/AUDIT.md`. The signing key is made from the chain key that signs.

use crate::{
    audit::Keys,
    store::{
        StoreError,
        filed::{HeadFile, Table},
        rows::unhex,
        snapshot::{Snapshot, hex},
    },
};
use ledger::{AccountId, ChainKey, Time, Tree};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

/// The version of the format.
const VERSION: u32 = 1;

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    version: u32,
    /// Microseconds since 1970.
    pub create_time: i64,
    /// The stream's epoch.
    pub epoch: String,
    /// It is about every entry up to this position of the stream.
    pub position: i64,
    accounts: i64,
    entries: i64,
    transactions: i64,
    posted: String,
    held: String,
    root: String,
    key_id: String,
    public_key: String,
}

/// A statement and its signature, as they are kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    statement: String,
    signature: String,
}

/// A checkpoint that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// What it says.
    pub statement: Statement,
    text: String,
    signature: Vec<u8>,
}

/// What a ledger comes to at one position.
#[derive(Debug, Default)]
pub struct Totals {
    accounts: i64,
    entries: i64,
    /// Transactions up to there.
    pub transactions: i64,
    posted: i128,
    held: i128,
    tree: Tree,
    /// Whether the stream has had another epoch since.
    pub epoch_differs: bool,
}

impl Totals {
    /// Adds an account's newest entry and its posted and held tokens; accounts come in their order.
    pub fn add(
        &mut self,
        account: &AccountId,
        sequence: i64,
        chain: &[u8; 32],
        (posted, held): (i64, i64),
    ) {
        self.accounts += 1;
        self.entries += sequence;
        self.posted += i128::from(posted);
        self.held += i128::from(held);
        self.tree.add(account, sequence, chain);
    }

    /// The names of those that the statement has other figures of.
    #[must_use]
    pub fn differing(&self, statement: &Statement) -> Vec<&'static str> {
        let differ = [
            ("accounts", self.accounts != statement.accounts),
            ("entries", self.entries != statement.entries),
            ("transactions", self.transactions != statement.transactions),
            ("posted", self.posted.to_string() != statement.posted),
            ("held", self.held.to_string() != statement.held),
            ("root", hex(&self.tree.root()) != statement.root),
        ];
        differ.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

impl Checkpoint {
    /// From the text that was kept.
    ///
    /// # Errors
    /// In words, why it isn't one.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let wrong = |why: serde_json::Error| format!("it isn't a checkpoint: {why}");
        let signed: Signed = serde_json::from_slice(text).map_err(wrong)?;
        let statement: Statement = serde_json::from_str(&signed.statement).map_err(wrong)?;
        if statement.version != VERSION {
            return Err(format!("it is a checkpoint of version {}", statement.version));
        }
        let signature = unhex(&signed.signature).ok_or("its signature isn't hexadecimal")?;
        Ok(Self { statement, text: signed.statement, signature })
    }

    /// Whether it was signed by this key, or by the one made from the chain key that it names.
    ///
    /// # Errors
    /// In words, why not.
    pub fn check(&self, keys: &Keys, public_key: Option<[u8; 32]>) -> Result<(), String> {
        let Statement { key_id, .. } = &self.statement;
        let ours = || keys.get(key_id).map(public_key_of);
        let key = public_key.or_else(ours);
        let key = key.ok_or_else(|| format!("its chain key `{key_id}` wasn't given"))?;
        if hex(&key) != self.statement.public_key {
            return Err(format!("it names the public key {}", self.statement.public_key));
        }
        let signed =
            UnparsedPublicKey::new(&ED25519, key).verify(self.text.as_bytes(), &self.signature);
        signed.map_err(|_| "its signature isn't its key's".to_owned())
    }

    /// Makes one of the ledger as the snapshot has it; its text.
    ///
    /// # Errors
    /// If the ledger can't be read, or is in no state to be signed: verify it.
    pub async fn make(
        snapshot: &mut Snapshot,
        key: &ChainKey,
        now: Time,
    ) -> Result<String, StoreError> {
        let mut stream = snapshot.positions().await?;
        let no_stream = || StoreError::broken("the stream's row is not there");
        let stream = stream.pop().ok_or_else(no_stream)?;
        let totals = totals(snapshot).await?;
        if totals.entries != stream.position {
            let words = format!(
                "the accounts have {} entries, the stream {}: verify the ledger",
                totals.entries, stream.position
            );
            return Err(StoreError::broken(words));
        }
        let statement = Statement {
            version: VERSION,
            create_time: now.0,
            epoch: stream.epoch,
            position: stream.position,
            accounts: totals.accounts,
            entries: totals.entries,
            transactions: totals.transactions,
            posted: totals.posted.to_string(),
            held: totals.held.to_string(),
            root: hex(&totals.tree.root()),
            key_id: key.id().to_owned(),
            public_key: hex(&public_key_of(key)),
        };
        let statement = serde_json::to_string(&statement).expect("a statement is plain data");
        let signature = hex(pair(key).sign(statement.as_bytes()).as_ref());
        let signed = Signed { statement, signature };
        Ok(serde_json::to_string(&signed).expect("a checkpoint is plain data"))
    }
}

async fn totals(snapshot: &mut Snapshot) -> Result<Totals, StoreError> {
    let transactions = snapshot.count("transactions", None).await?;
    let mut totals = Totals { transactions, ..Totals::default() };
    let select = HeadFile::select(None);
    let mut after = (select.key.start)();
    loop {
        let page = snapshot.page::<HeadFile>(&select, &after).await?;
        for read in &page {
            let row = read.row.as_ref().map_err(|why| StoreError::broken(why.clone()))?;
            let (account, chain, posted, held) = row.file()?;
            totals.add(&account, row.sequence, &chain, (posted, held));
        }
        match page.into_iter().last() {
            Some(last) => after = last.key,
            None => return Ok(totals),
        }
    }
}

fn pair(key: &ChainKey) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&key.checkpoint_seed()).expect("a seed has 32 bytes")
}

/// The public half of the key that signs checkpoints under this chain key.
///
/// # Panics
/// Never: every seed makes a key.
#[must_use]
pub fn public_key_of(key: &ChainKey) -> [u8; 32] {
    pair(key).public_key().as_ref().try_into().expect("a public key has 32 bytes")
}
