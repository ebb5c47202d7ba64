//! Why a command is refused. Refused is a value: nothing was stored, the key may be tried again.

use crate::{
    hold::HoldState,
    id::{AccountId, TransactionId},
    time::Time,
    tokens::Tokens,
    transaction::TransactionType,
};

/// A limit that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`crate::BALANCE_MAX`], of tokens held or ever received.
    Balance,
    /// The account's spend cap per day.
    SpendPerDay,
    /// The account's spend cap per month.
    SpendPerMonth,
    /// Active entitlements per account.
    Entitlements,
    /// Open holds per account.
    Holds,
}

impl Limit {
    /// The name that callers see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::SpendPerDay => "spend_per_day",
            Self::SpendPerMonth => "spend_per_month",
            Self::Entitlements => "entitlements",
            Self::Holds => "open_holds",
        }
    }
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// No such account.
    AccountNotFound {
        /// The account.
        account: AccountId,
    },
    /// No such transaction in the account.
    TransactionNotFound {
        /// The account.
        account: AccountId,
        /// The id or key it was asked for by.
        name: String,
    },
    /// No such hold in the account.
    HoldNotFound {
        /// The account.
        account: AccountId,
        /// The hold.
        hold: TransactionId,
    },
    /// No such grant in the account.
    GrantNotFound {
        /// The account.
        account: AccountId,
        /// The grant.
        grant: TransactionId,
    },
    /// Not enough usable tokens.
    InsufficientBalance {
        /// Tokens needed.
        required: Tokens,
        /// Tokens that could be used for it.
        available: Tokens,
    },
    /// The trial is spent and nothing was ever bought.
    TrialExhausted {
        /// Tokens needed.
        required: Tokens,
        /// Tokens that could be used for it.
        available: Tokens,
    },
    /// The account had its trial.
    TrialAlreadyGranted,
    /// The account is frozen.
    AccountFrozen {
        /// The account.
        account: AccountId,
    },
    /// The account owes tokens.
    AccountInDebt {
        /// How many.
        debt: Tokens,
    },
    /// The account is closed.
    AccountClosed {
        /// The account.
        account: AccountId,
    },
    /// The account can't be closed yet.
    AccountNotEmpty {
        /// Its posted tokens.
        posted: Tokens,
        /// Its held tokens.
        held: Tokens,
        /// What it owes.
        debt: Tokens,
        /// Tokens not effective yet.
        scheduled: Tokens,
    },
    /// The hold has ended.
    HoldNotOpen {
        /// The hold.
        hold: TransactionId,
        /// How it ended.
        state: HoldState,
    },
    /// More than the hold holds.
    CaptureExceedsHold {
        /// Tokens asked for.
        required: Tokens,
        /// Tokens held.
        held: Tokens,
    },
    /// This type of transaction has no mirror image.
    NotReversible {
        /// The type.
        kind: TransactionType,
    },
    /// The caller may not reverse that.
    OutOfReach {
        /// What it is instead.
        kind: TransactionType,
    },
    /// Nothing is left to reverse.
    AlreadyReversed {
        /// The original.
        transaction: TransactionId,
    },
    /// More than is left to reverse.
    ReversalExceedsOriginal {
        /// Tokens asked for.
        required: Tokens,
        /// Tokens left to reverse.
        reversible: Tokens,
    },
    /// Only credits are clawed back.
    NotACredit {
        /// What it is instead.
        kind: TransactionType,
    },
    /// More than was credited.
    ClawbackExceedsCredit {
        /// Tokens asked for.
        target: Tokens,
        /// Tokens credited.
        amount: Tokens,
    },
    /// The revision, or the source's version, was used with other content.
    RevisionReused {
        /// The revision.
        revision: i64,
    },
    /// The catalog doesn't allow transfers, or withdrawals.
    NotEnabled {
        /// Which of them.
        what: &'static str,
    },
    /// The account changed since it was read.
    VersionMismatch {
        /// The version that the caller has seen.
        expected: i64,
        /// The version now.
        version: i64,
    },
    /// The key names something else.
    IdempotencyKeyReused {
        /// The numbers of the fields that differ; see [`crate::Fingerprint`].
        fields: Vec<u8>,
        /// The transaction that the key names.
        transaction: TransactionId,
    },
    /// A limit is reached.
    LimitExceeded {
        /// Which.
        limit: Limit,
        /// How much it allows.
        maximum: Tokens,
        /// When the command may pass, if waiting helps.
        retry: Option<Time>,
    },
}
