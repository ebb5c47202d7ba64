//! Holds: tokens set aside for work whose outcome isn't known yet.

use crate::{
    entitlement::Entitled,
    grant::Draw,
    id::TransactionId,
    time::Time,
    tokens::{Tokens, is_default, sum},
    transaction::Change,
};
use serde::{Deserialize, Serialize};

/// What has become of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// The tokens are set aside.
    Open,
    /// Captured; the rest was given back.
    Captured,
    /// Given back.
    Released,
    /// Lapsed and given back.
    Expired,
}

impl HoldState {
    /// As the database writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Captured => "captured",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// Tokens set aside. What it reserves doesn't expire while it is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The transaction that made it.
    pub id: TransactionId,
    /// That transaction's entry in the account: holds age in this order.
    pub sequence: i64,
    /// What it reserves, in the order in which it would be spent.
    pub draws: Vec<Draw>,
    /// The action it was made for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub action: Option<String>,
    /// How many of the action.
    #[serde(default)]
    pub quantity: i64,
    /// What an entitlement covers of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub entitled: Option<Entitled>,
    /// When it was made.
    pub created: Time,
    /// When it lapses.
    pub expire: Time,
    /// What has become of it.
    pub state: HoldState,
    /// Tokens captured of it.
    #[serde(default)]
    pub captured: Tokens,
}

impl Hold {
    /// Tokens that it sets aside.
    #[must_use]
    pub fn amount(&self) -> Tokens {
        sum(self.draws.iter().map(|draw| draw.amount))
    }

    /// The units of a quota that come back when nothing of it is captured.
    pub(crate) fn unused(&self) -> Option<Change> {
        let quota = self.entitled.as_ref().zip(self.action.as_ref());
        quota.and_then(|(entitled, action)| entitled.returned(action))
    }
}
