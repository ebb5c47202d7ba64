//! Names of accounts and transactions.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};
use uuid::Uuid;

/// A holder of tokens, as the caller names its user; or one of our own accounts, see [`System`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(Arc<str>);

impl AccountId {
    /// Any text; what a customer's id may look like is checked at the edge.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for AccountId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Our side of the ledger. These accounts have no row: a total is a sum over the entries that name
/// them, or every debit would lock the same row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Where credits come from.
    Issuance,
    /// Where spent tokens go.
    Usage,
    /// Where expired tokens go.
    Expiry,
    /// Where tokens go when money goes back.
    Clawback,
    /// Where withdrawn tokens go.
    Payouts,
    /// Where transfer fees go.
    Fees,
}

impl System {
    /// Every one of them.
    pub const ALL: [Self; 6] =
        [Self::Issuance, Self::Usage, Self::Expiry, Self::Clawback, Self::Payouts, Self::Fees];

    /// Its id; customers' ids never begin with `sys/`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issuance => "sys/issuance",
            Self::Usage => "sys/usage",
            Self::Expiry => "sys/expiry",
            Self::Clawback => "sys/clawback",
            Self::Payouts => "sys/payouts",
            Self::Fees => "sys/fees",
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(self) -> AccountId {
        AccountId::new(self.as_str())
    }
}

/// The name of a transaction, and of the grant or hold that it made.
///
/// It is made from the account and the idempotency key, so that one unique index serves both: to
/// find a transaction by key is to find it by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionId(Uuid);

/// The account and id that together name a transaction, grant or hold.
pub type Name = (AccountId, TransactionId);

impl TransactionId {
    /// The name of the effect that `account` calls `key`.
    ///
    /// A key that is a time-ordered UUID (version 7) gives the id its first 48 bits, so that ids
    /// made one after the other lie side by side in the index.
    #[must_use]
    pub fn of(account: &AccountId, key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(account.as_str());
        hash.update([0]);
        hash.update(key);
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        if let Some(ordered) = Uuid::try_parse(key).ok().filter(|key| key.get_version_num() == 7) {
            bytes.iter_mut().zip(ordered.into_bytes()).take(6).for_each(|(to, from)| *to = from);
        }
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// From the 16 bytes that the database keeps.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes that the database keeps.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TransactionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}
