//! Transactions, their entries, and the changes that entries make to accounts.

use crate::{
    account::{Settings, Status},
    entitlement::{Entitled, Entitlement},
    grant::{Draw, Grant},
    hold::{Hold, HoldState},
    id::{AccountId, Name, TransactionId},
    state::Clawback,
    time::Time,
    tokens::{Exact, Tokens},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a transaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionType {
    /// Tokens came in.
    Credit,
    /// Tokens were spent.
    Debit,
    /// An earlier transaction was mirrored.
    Reversal,
    /// Tokens went to another account.
    Transfer,
    /// Tokens were set aside.
    Hold,
    /// Held tokens were spent.
    Capture,
    /// Held tokens were given back.
    Release,
    /// Tokens were taken back, or returned, because money went back or came again.
    Clawback,
    /// An entitlement was set.
    Entitlement,
    /// A grant expired.
    GrantExpiry,
    /// A hold expired.
    HoldExpiry,
    /// A scheduled grant became effective.
    Activation,
    /// Earned tokens left for a payout in money.
    Withdrawal,
    /// Status or settings changed.
    AccountChange,
    /// Whoever follows events was told that a grant will expire.
    ExpiryNotice,
}

impl TransactionType {
    /// Every one of them.
    pub const ALL: [Self; 15] = [
        Self::Credit,
        Self::Debit,
        Self::Reversal,
        Self::Transfer,
        Self::Hold,
        Self::Capture,
        Self::Release,
        Self::Clawback,
        Self::Entitlement,
        Self::GrantExpiry,
        Self::HoldExpiry,
        Self::Activation,
        Self::Withdrawal,
        Self::AccountChange,
        Self::ExpiryNotice,
    ];

    /// As the database writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credit => "credit",
            Self::Debit => "debit",
            Self::Reversal => "reversal",
            Self::Transfer => "transfer",
            Self::Hold => "hold",
            Self::Capture => "capture",
            Self::Release => "release",
            Self::Clawback => "clawback",
            Self::Entitlement => "entitlement",
            Self::GrantExpiry => "grant_expiry",
            Self::HoldExpiry => "hold_expiry",
            Self::Activation => "activation",
            Self::Withdrawal => "withdrawal",
            Self::AccountChange => "account_change",
            Self::ExpiryNotice => "expiry_notice",
        }
    }
}

/// What the caller says about a command, for people and for finding it again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Words for people.
    pub description: String,
    /// The caller's reference.
    pub reference: String,
    /// The caller's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// Who asked, from the credential.
    pub actor: String,
    /// For whom, as a trusted caller says.
    pub on_behalf_of: String,
}

/// What was asked, field by field: `(field number, digest of the field as sent)`, in the order of
/// the numbers. Two requests are the same when their fingerprints are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(pub Vec<(u8, [u8; 7])>);

impl Fingerprint {
    /// The numbers of the fields in which the two differ.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<u8> {
        let fields = |print: &Self| print.0.iter().copied().collect::<BTreeMap<_, _>>();
        let (mine, theirs) = (fields(self), fields(other));
        let mut numbers: Vec<u8> = mine.keys().chain(theirs.keys()).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.retain(|number| mine.get(number) != theirs.get(number));
        numbers
    }
}

/// One change of one account. An entry's changes, folded in order, are all that happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A grant came in.
    Open(Box<Grant>),
    /// A scheduled grant became effective.
    Activate(TransactionId),
    /// A grant was superseded: whatever comes back to it lapses at once.
    End(TransactionId),
    /// Unheld tokens left a grant.
    Draw(Draw),
    /// Tokens came back to a grant.
    Restore(Draw),
    /// Unheld tokens of a grant paid off debt.
    Repay(Draw),
    /// Debt grew by this much, or shrank by it (below zero).
    Owe(Tokens),
    /// Tokens were set aside.
    Hold(Box<Hold>),
    /// A hold ended: what it captured was spent, the rest given back.
    Unhold {
        /// The hold.
        hold: TransactionId,
        /// What was spent of it.
        captured: Vec<Draw>,
        /// What has become of it.
        state: HoldState,
    },
    /// Units of a quota were used, or given back (below zero).
    Use {
        /// The action.
        action: String,
        /// Whose quota, how many units, in which period.
        entitled: Entitled,
    },
    /// An entitlement was set.
    Entitle(Box<Entitlement>),
    /// Spent tokens came back: they don't count against the spend caps of the periods that they
    /// were spent in.
    Unspend {
        /// Tokens.
        amount: Tokens,
        /// When they were spent.
        spent: Time,
    },
    /// A clawback's new facts.
    Clawback(Box<Clawback>),
    /// The account may spend, or may not.
    Status(Status),
    /// New settings.
    Settings(Box<Settings>),
    /// Spending took the available tokens below the account's threshold: this one.
    BelowThreshold(Tokens),
    /// A grant, as it is, has so many days left.
    Notice {
        /// The grant.
        grant: Box<Grant>,
        /// Whole days until it expires.
        days_left: i32,
    },
}

impl Change {
    /// The grant that it may happen to after it closed.
    pub(crate) fn reopens(&self) -> Option<TransactionId> {
        if let Self::Restore(draw) = self {
            Some(draw.grant)
        } else if let Self::End(grant) = self {
            Some(*grant)
        } else {
            None
        }
    }
}

/// The part of an entry's amount that stands against a second counter-account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The second counter-account.
    pub account: AccountId,
    /// The part.
    pub amount: Tokens,
}

/// An account and a sequence number: what names an entry.
pub type EntryId = (AccountId, i64);

/// One account's side of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The account.
    pub account: AccountId,
    /// Its number within the account, from 1, without gaps.
    pub sequence: i64,
    /// Change of the posted balance.
    pub amount: Tokens,
    /// Change of the held tokens.
    pub held_delta: Tokens,
    /// The posted balance right after it.
    pub balance_after: Tokens,
    /// The held tokens right after it.
    pub held_after: Tokens,
    /// Who stands on the other side.
    pub counter: AccountId,
    /// The second other side, if there are two.
    pub split: Option<Split>,
    /// What happened to the account.
    pub changes: Vec<Change>,
    /// `changes` as stored: JSON.
    pub body: String,
    /// The name of the key that `chain` was made with.
    pub chain_key: String,
    /// The account's hash chain up to and including this entry.
    pub chain: [u8; 32],
}

impl Entry {
    /// Who stands on the other side, and for how much of the amount.
    pub fn counterparts(&self) -> impl Iterator<Item = (&AccountId, Tokens)> {
        let split = self.split.as_ref().map(|split| (&split.account, split.amount));
        let rest = self.amount.minus(split.map_or(0, |(_, amount)| amount));
        [Some((&self.counter, rest)), split].into_iter().flatten()
    }

    /// What it took from grants to spend, in order: draws and captures.
    pub fn draws(&self) -> impl Iterator<Item = &Draw> {
        self.changes.iter().flat_map(|change| {
            if let Change::Draw(draw) = change {
                std::slice::from_ref(draw)
            } else if let Change::Unhold { captured, .. } = change {
                captured.as_slice()
            } else {
                &[]
            }
        })
    }
}

/// One accepted command. Never changed, never deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Whose command it was.
    pub account: AccountId,
    /// Its name within the account, made from the key.
    pub id: TransactionId,
    /// The caller's name for the effect.
    pub key: String,
    /// What it did.
    pub kind: TransactionType,
    /// When it was accepted; for a lapse, when it was due.
    pub created: Time,
    /// Tokens moved or set aside, >= 0.
    pub amount: Tokens,
    /// The action charged for.
    pub action: Option<String>,
    /// How many of the action; below 0 in the reversal that completes one.
    pub quantity: i64,
    /// What an entitlement covered of it.
    pub entitled: Option<Entitled>,
    /// The transaction of the same account that it reverses, captures, releases, lapses, claws back.
    pub related: Option<TransactionId>,
    /// What the caller says about it.
    pub note: Note,
    /// What was asked; empty for the service's own.
    pub fingerprint: Fingerprint,
    /// One per account that it touches, the owner's first.
    pub entries: Vec<Entry>,
}

impl Transaction {
    /// The owner and the id, which together name it.
    #[must_use]
    pub fn name(&self) -> Name {
        (self.account.clone(), self.id)
    }

    /// The entry of the account whose command it was.
    ///
    /// # Panics
    /// Never: every transaction has one.
    #[must_use]
    pub fn own(&self) -> &Entry {
        self.entries.first().expect("a transaction has its owner's entry")
    }

    /// The entry of the other account, if it touches two.
    #[must_use]
    pub fn other(&self) -> Option<&Entry> {
        self.entries.get(1)
    }

    /// The hold that it made.
    #[must_use]
    pub fn hold(&self) -> Option<&Hold> {
        self.own()
            .changes
            .iter()
            .find_map(|change| if let Change::Hold(hold) = change { Some(&**hold) } else { None })
    }

    /// The facts of the clawback that it set.
    #[must_use]
    pub fn clawback(&self) -> Option<&Clawback> {
        self.own().changes.iter().find_map(|change| {
            if let Change::Clawback(clawback) = change { Some(&**clawback) } else { None }
        })
    }
}
