//! Transactions of the model: how one is written down, and what later ones need to know of it.

use super::Model;
use super::account::{Account, Counted, Taken};
use super::wire::{draws, stamp, tokens};
use crate::target::{Call, Reply};
use proto::v1::{self, GrantKind, TransactionType as Type};
use std::collections::BTreeMap;

/// What a caller says about a transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    pub description: String,
    pub reference: String,
    pub metadata: BTreeMap<String, String>,
    pub on_behalf_of: String,
}

/// The words of any request.
macro_rules! words {
    ($request:expr) => {
        $crate::model::book::Words {
            description: $request.description.clone(),
            reference: $request.reference.clone(),
            metadata: $request.metadata.clone(),
            on_behalf_of: $request.on_behalf_of.clone(),
        }
    };
}
pub(crate) use words;

/// Where tokens of a clawed-back credit were taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Own,
    Tip(String),
    Other(String),
    Debt,
}

/// A transaction, with what later commands need to know of it.
#[derive(Clone, Debug)]
pub struct Past {
    /// `account/key`.
    pub label: String,
    /// The account whose command it was.
    pub account_id: String,
    /// The key.
    pub key: String,
    /// What it did.
    pub kind: Type,
    /// Tokens moved or set aside.
    pub amount: i128,
    pub(crate) time: i64,
    pub(crate) draws: Vec<Taken>,
    /// Tokens reversed so far.
    pub reversed: i128,
    pub(crate) reversed_whole: bool,
    pub(crate) action: String,
    pub(crate) quantity: i128,
    pub(crate) counted: Option<Counted>,
    /// When its tokens were counted against the caps, if they were.
    pub(crate) spent_at: Option<i64>,
    /// A transfer's receiver.
    pub to: Option<String>,
    pub(crate) fee: i128,
    pub(crate) fee_returned: i128,
    pub(crate) grant_kind: Option<GrantKind>,
    /// Tokens of a superseded grant that a credit did not carry over.
    pub(crate) dropped: i128,
    /// Tokens that a reversal or clawback brought out of the system's side; below zero: into it.
    pub(crate) back: i128,
    /// A credit's newest clawback.
    pub revision: i64,
    pub(crate) target: i64,
    /// Where tokens of it were taken back, and how many; what was given back is gone from it.
    pub(crate) clawed: Vec<(Place, i128)>,
    pub(crate) transaction: v1::Transaction,
    /// The call that made it, and what it answered.
    pub first: Option<(Call, Reply)>,
}

impl Past {
    pub(crate) fn is(&self, account_id: &str, key: &str) -> bool {
        self.account_id == account_id && self.key == key
    }

    /// Whether the account has an entry of it.
    pub fn touches(&self, account_id: &str) -> bool {
        self.transaction.entries.iter().any(|entry| entry.account_id == account_id)
    }

    /// When it was accepted; of what lapsed: when it was due.
    pub fn time(&self) -> i64 {
        self.time
    }

    /// Tokens of a credit that are taken back in all.
    pub fn clawed_back(&self) -> i128 {
        self.clawed.iter().map(|(_, tokens)| tokens).sum()
    }

    /// The labels of the grants that a tip drew from.
    pub(crate) fn tipped_from(&self) -> Vec<String> {
        let draws = self.draws.iter().filter(|_| self.kind == Type::Transfer);
        draws.map(|draw| draw.lot.clone()).collect()
    }

    /// Its draws, last first, without those that reversals gave back.
    pub(crate) fn draws_left_last_first(&self) -> Vec<Taken> {
        let mut skip = self.reversed;
        let mut left = Vec::new();
        for draw in self.draws.iter().rev() {
            let skipped = skip.min(draw.tokens);
            skip -= skipped;
            if draw.tokens > skipped {
                left.push(Taken { tokens: draw.tokens - skipped, ..draw.clone() });
            }
        }
        left
    }
}

/// A transaction about to be written down.
#[derive(Debug)]
pub(crate) struct Draft {
    pub kind: Type,
    pub owner: usize,
    pub key: String,
    pub time: i64,
    pub amount: i128,
    pub words: Words,
    pub action: String,
    pub quantity: i128,
    pub entitled: Option<(String, i128)>,
    pub related: String,
    /// By account.
    pub draws: Vec<(usize, Taken)>,
    pub restored: Vec<(usize, Taken)>,
    /// The account in which it makes a grant.
    pub grant_in: Option<usize>,
    /// Who stands on the other side of the owner's entry, and of the others'; empty: left open.
    pub counter: String,
    pub other_counter: String,
    /// The part of the owner's amount that stands against somebody else.
    pub split: (&'static str, i128),
    before: Vec<(i128, i128)>,
}

impl Model {
    /// Begins a transaction: remembers every account's figures, so that an entry is what changed.
    pub(crate) fn begin(&self, kind: Type, owner: usize, key: &str, words: Words) -> Draft {
        let figures = |account: &Account| (account.posted(), account.held());
        Draft {
            kind,
            owner,
            key: key.to_owned(),
            time: self.now,
            amount: 0,
            words,
            action: String::new(),
            quantity: 0,
            entitled: None,
            related: String::new(),
            draws: Vec::new(),
            restored: Vec::new(),
            grant_in: None,
            counter: String::new(),
            other_counter: String::new(),
            split: ("", 0),
            before: self.accounts.iter().map(figures).collect(),
        }
    }

    /// Ends a transaction: pays debts, writes the entries, and remembers it as the newest past.
    pub(crate) fn commit(&mut self, draft: Draft) -> v1::Transaction {
        for account in &mut self.accounts {
            account.repay(&self.rules);
        }
        let label = format!("{}/{}", self.accounts[draft.owner].id, draft.key);
        let others = (0..self.accounts.len()).filter(|at| *at != draft.owner);
        let order: Vec<usize> = std::iter::once(draft.owner).chain(others).collect();
        let entries = order.into_iter().filter_map(|at| self.entry(&draft, at, &label)).collect();
        let (source, units) = draft.entitled.clone().unwrap_or_default();
        let account_id = self.accounts[draft.owner].id.clone();
        let transaction = v1::Transaction {
            transaction_id: label.clone(),
            account_id: account_id.clone(),
            idempotency_key: draft.key.clone(),
            r#type: draft.kind.into(),
            amount: tokens(draft.amount),
            entries,
            action: draft.action,
            quantity: tokens(draft.quantity),
            entitlement_source: source,
            entitled_quantity: tokens(units),
            related_transaction_id: draft.related,
            description: draft.words.description,
            reference: draft.words.reference,
            metadata: draft.words.metadata,
            actor: String::new(),
            on_behalf_of: draft.words.on_behalf_of,
            create_time: Some(stamp(draft.time)),
        };
        self.pasts.push(Past {
            label,
            account_id,
            key: draft.key,
            kind: draft.kind,
            amount: draft.amount,
            time: draft.time,
            draws: of(&draft.draws, draft.owner),
            reversed: 0,
            reversed_whole: false,
            action: transaction.action.clone(),
            quantity: draft.quantity,
            counted: None,
            spent_at: None,
            to: None,
            fee: 0,
            fee_returned: 0,
            grant_kind: None,
            dropped: 0,
            back: 0,
            revision: 0,
            target: 0,
            clawed: Vec::new(),
            transaction: transaction.clone(),
            first: None,
        });
        transaction
    }

    /// The newest transaction, to be completed by the command that made it.
    pub(crate) fn newest(&mut self) -> &mut Past {
        self.pasts.last_mut().expect("a transaction was committed")
    }

    fn entry(&mut self, draft: &Draft, at: usize, label: &str) -> Option<v1::Entry> {
        let account = &mut self.accounts[at];
        let (posted, held) = (account.posted(), account.held());
        let before = draft.before[at];
        if at != draft.owner && before == (posted, held) {
            return None;
        }
        let own = at == draft.owner;
        let counter = if own { &draft.counter } else { &draft.other_counter };
        let split = if own && draft.split.1 != 0 { draft.split } else { ("", 0) };
        account.sequence += 1;
        account.newest = account.newest.max(draft.time);
        Some(v1::Entry {
            account_id: account.id.clone(),
            sequence: account.sequence,
            amount: tokens(posted - before.0),
            held_delta: tokens(held - before.1),
            balance_after: tokens(posted),
            held_after: tokens(held),
            counter_account: counter.clone(),
            split_account: split.0.to_owned(),
            split_amount: tokens(split.1),
            draws: draws(&of(&draft.draws, at)),
            restored: draws(&of(&draft.restored, at)),
            grant_id: if draft.grant_in == Some(at) { label.to_owned() } else { String::new() },
        })
    }
}

fn of(list: &[(usize, Taken)], account: usize) -> Vec<Taken> {
    list.iter().filter(|(at, _)| *at == account).map(|(_, taken)| taken.clone()).collect()
}
