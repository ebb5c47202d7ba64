//! What may be asked of the ledger.

use crate::{
    account::{SpendCap, Status},
    entitlement::Entitlement,
    grant::{GrantKind, Money},
    id::{AccountId, TransactionId},
    time::Time,
    tokens::Tokens,
    transaction::{Fingerprint, Note},
};

/// What to charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charge {
    /// This many tokens, > 0.
    Tokens(Tokens),
    /// So many of an action.
    Action {
        /// The action.
        action: String,
        /// How many, > 0.
        quantity: i64,
        /// The catalog's price of one, in tokens, >= 0; price × quantity is within
        /// [`crate::AMOUNT_MAX`].
        unit: Tokens,
    },
}

impl Charge {
    /// The action, if it charges for one.
    #[must_use]
    pub fn action(&self) -> Option<&str> {
        match self {
            Self::Tokens(_) => None,
            Self::Action { action, .. } => Some(action),
        }
    }
}

/// How much of a charge to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it or nothing.
    Exact,
    /// As much as is there, in whole units of an action.
    UpTo,
}

/// What tokens are debited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The product was used.
    Usage,
    /// A payout in money: mature earned tokens only.
    Withdrawal,
}

/// A grant that ends with the credit that takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supersede {
    /// The grant.
    pub grant: TransactionId,
    /// Tokens of its unheld rest that move into the new one, at most.
    pub carry_over_max: Tokens,
}

/// Tokens in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Tokens, > 0.
    pub amount: Tokens,
    /// Where they come from.
    pub kind: GrantKind,
    /// Smaller goes first.
    pub priority: i32,
    /// Not usable before.
    pub effective: Option<Time>,
    /// What is left lapses then.
    pub expire: Option<Time>,
    /// Actions it may pay for; empty: everything.
    pub actions: Vec<String>,
    /// What was paid.
    pub cost: Option<Money>,
    /// The grant whose place it takes.
    pub supersede: Option<Supersede>,
}

/// What to do with authorized tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Set them aside for so many microseconds.
    Hold(i64),
    /// Spend them.
    Charge,
}

/// What a caller may reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// What was spent: debits and captures.
    Spending,
    /// Whatever touches this account alone.
    Account,
    /// Transfers too, whose receivers give tokens back.
    Everything,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Tokens in.
    Credit(Box<Credit>),
    /// Tokens out.
    Debit {
        /// What to charge.
        charge: Charge,
        /// How much of it.
        extent: Extent,
        /// What for.
        purpose: Purpose,
    },
    /// The mirror image of an earlier transaction.
    Reverse {
        /// The original.
        original: TransactionId,
        /// Tokens to mirror, > 0; `None`: all that is left.
        amount: Option<Tokens>,
        /// What the caller may reverse.
        reach: Reach,
    },
    /// Tokens to another account.
    Transfer {
        /// Tokens that leave the payer, > 0.
        amount: Tokens,
        /// The receiver, not the payer.
        to: AccountId,
    },
    /// Tokens set aside.
    CreateHold {
        /// What to set aside.
        charge: Charge,
        /// For how long, in microseconds, > 0.
        lasts_micros: i64,
    },
    /// Held tokens spent.
    CaptureHold {
        /// The hold.
        hold: TransactionId,
        /// Tokens, > 0; `None`: all of them.
        amount: Option<Tokens>,
    },
    /// Held tokens given back.
    ReleaseHold {
        /// The hold.
        hold: TransactionId,
    },
    /// How many of a credit's tokens are to be taken back in all.
    SetClawback {
        /// The idempotency key of the credit.
        credit: String,
        /// Tokens, >= 0.
        target: Tokens,
        /// Older ones do nothing.
        revision: i64,
    },
    /// A right to use actions without tokens.
    SetEntitlement(Box<Entitlement>),
    /// The catalog's trial if the account had none, then a debit or a hold.
    Authorize {
        /// What to charge.
        charge: Charge,
        /// What to do with it.
        work: Work,
    },
    /// Freeze, unfreeze or close.
    SetStatus(Status),
    /// New settings.
    SetSettings {
        /// `None`: as it is; `Some(None)`: no threshold.
        threshold: Option<Option<Tokens>>,
        /// `None`: as they are.
        caps: Option<Vec<SpendCap>>,
        /// The version that the caller has seen; 0: any.
        expected: i64,
    },
    /// Nothing but the lapses that are due.
    Sweep,
}

/// One command of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Whose it is.
    pub account: AccountId,
    /// The caller's name for the effect; `None` for those that need none (status, settings, sweep).
    pub key: Option<String>,
    /// What to do.
    pub act: Act,
    /// What the caller says about it.
    pub note: Note,
    /// What was asked, field by field.
    pub fingerprint: Fingerprint,
}

impl Command {
    /// The name that the command's transaction has, or will have.
    #[must_use]
    pub fn id(&self) -> Option<TransactionId> {
        self.key.as_deref().map(|key| TransactionId::of(&self.account, key))
    }
}
