//! The hash chain over an account's entries: an edit made behind the service's back shows.
//!
//! `chain = HMAC-SHA-256(secret, fields)`, where the fields are netstrings (`5:hello,`; a missing
//! value is `-,`) in the order of [`ChainKey::link`], the previous link first. Text is UTF-8,
//! numbers are decimal, ids and links lower-case hex, so that thirty lines of any language can
//! check it.

use crate::transaction::{Entry, Transaction};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// A link of a chain: the name of the key it was made with, and the code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The key's name; empty before the first entry.
    pub key: String,
    /// The code; zeros before the first entry.
    pub code: [u8; 32],
}

/// A named secret that the database doesn't hold.
#[derive(Clone)]
pub struct ChainKey {
    id: String,
    mac: Hmac<Sha256>,
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl ChainKey {
    /// A key of this name and secret.
    ///
    /// # Panics
    /// Never: HMAC takes secrets of any length.
    #[must_use]
    pub fn new(id: &str, secret: &[u8]) -> Self {
        let mac = Hmac::new_from_slice(secret).expect("HMAC takes secrets of any length");
        Self { id: id.to_owned(), mac }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A code that only this secret gives: it tells a wrong secret under a known name.
    #[must_use]
    pub fn check_code(&self) -> [u8; 32] {
        self.mac.clone().chain_update("chain key").finalize().into_bytes().into()
    }

    /// What the key that signs checkpoints is made from: so there is no second secret to keep.
    #[must_use]
    pub fn checkpoint_seed(&self) -> [u8; 32] {
        self.mac.clone().chain_update("checkpoint key").finalize().into_bytes().into()
    }

    /// The link that `entry` of `transaction` adds to the chain that ends in `previous`.
    #[must_use]
    pub fn link(&self, previous: &[u8; 32], transaction: &Transaction, entry: &Entry) -> Link {
        let mut fields = Fields(Vec::with_capacity(1024));
        let entitled = transaction.entitled.as_ref();
        fields.hex(previous);
        fields.text(&self.id);
        fields.text(entry.account.as_str());
        fields.number(entry.sequence);
        fields.number(entry.amount);
        fields.number(entry.held_delta);
        fields.number(entry.balance_after);
        fields.number(entry.held_after);
        fields.text(entry.counter.as_str());
        fields.maybe(entry.split.as_ref().map(|split| split.account.as_str()));
        fields.number(entry.split.as_ref().map_or(0, |split| split.amount));
        fields.text(&entry.body);
        fields.text(transaction.account.as_str());
        fields.hex(transaction.id.as_bytes());
        fields.text(&transaction.key);
        fields.text(transaction.kind.as_str());
        fields.number(transaction.created.0);
        fields.number(transaction.amount);
        fields.maybe(transaction.action.as_deref());
        fields.number(transaction.quantity);
        fields.maybe(entitled.map(|it| it.source.as_str()));
        fields.number(entitled.map_or(0, |it| it.quantity));
        fields.number(entitled.and_then(|it| it.period).map_or(-1, |period| period.0));
        fields.number(i64::from(entitled.is_some_and(|it| it.counted)));
        fields.maybe_hex(transaction.related.as_ref().map(|id| &id.as_bytes()[..]));
        fields.text(&transaction.note.description);
        fields.text(&transaction.note.reference);
        fields.number_of(transaction.note.metadata.len());
        for (key, value) in &transaction.note.metadata {
            fields.text(key);
            fields.text(value);
        }
        fields.text(&transaction.note.actor);
        fields.text(&transaction.note.on_behalf_of);
        fields.number_of(transaction.fingerprint.0.len());
        for (number, digest) in &transaction.fingerprint.0 {
            fields.number(i64::from(*number));
            fields.hex(digest);
        }
        let code = self.mac.clone().chain_update(&fields.0).finalize().into_bytes();
        Link { key: self.id.clone(), code: code.into() }
    }
}

/// What is signed. Every debit goes through here: nothing is formatted, and nothing but the whole is
/// allocated.
pub(crate) struct Fields(pub(crate) Vec<u8>);

const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl Fields {
    pub(crate) fn text(&mut self, text: &str) {
        self.begin(text.len());
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b',');
    }

    fn maybe(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.0.extend_from_slice(b"-,"),
        }
    }

    pub(crate) fn number(&mut self, number: i64) {
        self.text(itoa::Buffer::new().format(number));
    }

    /// How many of something follow: lists of different lengths can't look alike.
    fn number_of(&mut self, items: usize) {
        self.text(itoa::Buffer::new().format(items));
    }

    pub(crate) fn hex(&mut self, bytes: &[u8]) {
        let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or_default();
        self.begin(bytes.len().saturating_mul(2));
        self.0.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]));
        self.0.push(b',');
    }

    fn maybe_hex(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.hex(bytes),
            None => self.maybe(None),
        }
    }

    fn begin(&mut self, bytes: usize) {
        self.0.extend_from_slice(itoa::Buffer::new().format(bytes).as_bytes());
        self.0.push(b':');
    }
}
