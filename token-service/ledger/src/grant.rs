//! Grants: the lots that tokens come in.

use crate::{
    id::TransactionId,
    time::Time,
    tokens::{Exact, Tokens, is_default},
};
use serde::{Deserialize, Serialize};

/// Where tokens came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// Paid for with money.
    Purchased,
    /// Given away.
    Promotional,
    /// Given once per account, ever.
    Trial,
    /// A plan's tokens for one period.
    Allowance,
    /// Received from another account.
    Earned,
    /// Put right by an operator.
    Adjustment,
}

impl GrantKind {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::Purchased,
        Self::Promotional,
        Self::Trial,
        Self::Allowance,
        Self::Earned,
        Self::Adjustment,
    ];

    /// As the catalog and the database write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Purchased => "purchased",
            Self::Promotional => "promotional",
            Self::Trial => "trial",
            Self::Allowance => "allowance",
            Self::Earned => "earned",
            Self::Adjustment => "adjustment",
        }
    }
}

/// An amount of money: what a grant cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// In the currency's minor unit, >= 0.
    pub amount_minor: i64,
    /// ISO 4217, lower case.
    pub currency: String,
}

/// What one transaction took from, or gave back to, one grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// The grant.
    pub grant: TransactionId,
    /// Its kind.
    pub kind: GrantKind,
    /// Tokens, > 0.
    pub amount: Tokens,
}

/// A lot of tokens that came in together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The transaction that made it.
    pub id: TransactionId,
    /// That transaction's entry in the account: grants age in this order.
    pub sequence: i64,
    /// Where the tokens came from.
    pub kind: GrantKind,
    /// Smaller goes first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: i32,
    /// Tokens it began with.
    pub amount: Tokens,
    /// The part of `amount` that was carried over from the grant it superseded.
    #[serde(default, skip_serializing_if = "is_default")]
    pub carried: Tokens,
    /// Tokens not spent, held ones included.
    pub remaining: Tokens,
    /// Tokens of it that open holds reserve.
    #[serde(default, skip_serializing_if = "is_default")]
    pub held: Tokens,
    /// Granted, but not effective yet: its tokens are not posted before this time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scheduled: Option<Time>,
    /// When it was to become effective, if later than it was made.
    #[serde(default, skip_serializing_if = "is_default")]
    pub effective: Option<Time>,
    /// When its unheld rest lapses; `None`: never.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expire: Option<Time>,
    /// Days left at the last notice that it will expire; 0: there was none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub noticed: i32,
    /// Actions it may pay for; empty: everything.
    #[serde(default, skip_serializing_if = "is_default")]
    pub actions: Vec<String>,
    /// What was paid for it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cost: Option<Money>,
    /// The caller's reference.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reference: String,
    /// When it was made.
    pub created: Time,
}

impl Grant {
    /// Tokens that are neither spent nor reserved.
    #[must_use]
    pub fn unheld(&self) -> Tokens {
        self.remaining.minus(self.held)
    }

    /// Posted tokens: none while it is scheduled.
    #[must_use]
    pub fn posted(&self) -> Tokens {
        if self.scheduled.is_some() { 0 } else { self.remaining }
    }

    /// Tokens that a debit could take now.
    #[must_use]
    pub fn available(&self) -> Tokens {
        if self.scheduled.is_some() { 0 } else { self.unheld() }
    }

    /// Whether money was paid for it.
    #[must_use]
    pub fn is_paid(&self) -> bool {
        self.kind == GrantKind::Purchased
            || self.cost.as_ref().is_some_and(|cost| cost.amount_minor > 0)
    }

    /// Whether it may pay for this action (`None`: a debit by amount).
    #[must_use]
    pub fn pays_for(&self, action: Option<&str>) -> bool {
        self.actions.is_empty()
            || action.is_some_and(|action| self.actions.iter().any(|allowed| allowed == action))
    }

    /// Whether nothing of it is left.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.remaining == 0
    }

    /// A draw of this many of its tokens.
    #[must_use]
    pub fn draw(&self, amount: Tokens) -> Draw {
        Draw { grant: self.id, kind: self.kind, amount }
    }
}
