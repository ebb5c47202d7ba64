//! Posting: the one place where transactions come into being.

use super::{Book, Receipt};
use crate::{
    account::{Account, Balance},
    command::Command,
    entitlement::Entitled,
    funding::repayments,
    id::{AccountId, System, TransactionId},
    lapse::next_lapse,
    notice::due_notices,
    state::Stop,
    time::Time,
    tokens::{Exact, Tokens},
    transaction::{Change, Entry, Fingerprint, Note, Split, Transaction, TransactionType},
};
use std::sync::Arc;

/// A transaction about to be posted.
pub(super) struct Draft {
    pub(super) account: AccountId,
    pub(super) key: String,
    pub(super) kind: TransactionType,
    pub(super) at: Time,
    pub(super) amount: Tokens,
    pub(super) action: Option<String>,
    pub(super) quantity: i64,
    pub(super) entitled: Option<Entitled>,
    pub(super) related: Option<TransactionId>,
    pub(super) note: Note,
    pub(super) fingerprint: Fingerprint,
    /// The owner's first.
    pub(super) legs: Vec<Leg>,
}

/// What a transaction does to one account.
pub(super) struct Leg {
    pub(super) account: AccountId,
    pub(super) counter: AccountId,
    pub(super) split: Option<Split>,
    pub(super) changes: Vec<Change>,
}

/// Whether anything was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Settled {
    /// Nothing was.
    Already,
    /// It is posted now.
    Now,
}

impl Leg {
    pub(super) fn new(account: &AccountId, counter: System, changes: Vec<Change>) -> Self {
        Self { account: account.clone(), counter: counter.id(), split: None, changes }
    }
}

impl Draft {
    /// What the command says of itself; the rest is empty.
    pub(super) fn of(command: &Command, kind: TransactionType, at: Time) -> Self {
        Self {
            account: command.account.clone(),
            key: command.key.clone().unwrap_or_default(),
            kind,
            at,
            amount: 0,
            action: None,
            quantity: 0,
            entitled: None,
            related: None,
            note: command.note.clone(),
            fingerprint: command.fingerprint.clone(),
            legs: Vec::new(),
        }
    }

    /// The service's own.
    pub(super) fn own(account: &AccountId, key: String, kind: TransactionType, at: Time) -> Self {
        Self {
            account: account.clone(),
            key,
            kind,
            at,
            amount: 0,
            action: None,
            quantity: 0,
            entitled: None,
            related: None,
            note: Note { actor: "token-service".to_owned(), ..Note::default() },
            fingerprint: Fingerprint::default(),
            legs: Vec::new(),
        }
    }
}

/// Whether spending took the account below its threshold.
fn crossing(kind: TransactionType, before: Balance, account: &Account) -> Option<Change> {
    let spends =
        matches!(kind, TransactionType::Debit | TransactionType::Hold | TransactionType::Transfer);
    let threshold = account.body.settings.threshold.filter(|_| spends)?;
    let crosses = before.available() >= threshold && account.balance().available() < threshold;
    crosses.then_some(Change::BelowThreshold(threshold))
}

impl Book<'_> {
    /// The number of the account's next entry, and so of the grant or hold that it makes.
    pub(super) fn next_sequence(&self, account: &AccountId) -> Result<i64, Stop> {
        Ok(self.state.account(account)?.map_or(0, |account| account.sequence).plus(1))
    }

    /// Posts what time alone did to the account, each as a transaction of its own.
    pub(super) fn settle(&mut self, id: &AccountId) -> Result<(), Stop> {
        self.settle_together(&[id]).map(|_| ())
    }

    /// Settles accounts that one transaction is to touch: by the time which that will have. One
    /// of them may be ahead of our clock (another process wrote to it), and then so are all.
    pub(super) fn settle_together(&mut self, ids: &[&AccountId]) -> Result<Settled, Stop> {
        let by = self.now_for(ids)?;
        let mut settled = Settled::Already;
        for id in ids {
            settled = settled.max(self.settle_by(id, by)?);
        }
        Ok(settled)
    }

    fn settle_by(&mut self, id: &AccountId, by: Time) -> Result<Settled, Stop> {
        let mut settled = Settled::Already;
        while let Some(account) = self.state.account(id)? {
            if !account.stands_alone(self.policy, by) {
                return Err(Stop::lacks_spilled(account));
            }
            let Some(lapse) = next_lapse(account, by) else { break };
            let key = lapse.key(account.sequence.plus(1));
            let mut draft = Draft::own(id, key, lapse.kind, lapse.at);
            draft.related = Some(lapse.of);
            draft.legs = vec![Leg::new(id, lapse.counter, lapse.changes)];
            self.post_any_amount(draft);
            settled = Settled::Now;
        }
        Ok(settled)
    }

    /// Posts the notices that are due on an account on which nothing else is.
    pub(super) fn notify(&mut self, id: &AccountId) -> Result<Receipt, Stop> {
        let at = self.now_for(&[id])?;
        let account = self.state.existing(id)?;
        if account.body.spilled.notice().is_some_and(|notice| notice <= at) {
            return Err(Stop::lacks_spilled(account));
        }
        for notice in due_notices(account, at) {
            let Change::Notice { grant, days_left } = &notice else { continue };
            let key = format!("sys/notice/{}/{days_left}", grant.id);
            let mut draft = Draft::own(id, key, TransactionType::ExpiryNotice, at);
            draft.related = Some(grant.id);
            draft.legs = vec![Leg::new(id, System::Expiry, vec![notice])];
            self.post(draft);
        }
        self.unchanged(id)
    }

    /// Posts a transaction whose amount is whatever its first entry moves.
    pub(super) fn post_any_amount(&mut self, draft: Draft) -> Receipt {
        let moved = |entry: &Entry| entry.amount.abs().max(entry.held_delta.abs());
        self.write(draft, Some(moved))
    }

    /// Posts a transaction: every account it touches must be loaded, and its changes fit.
    pub(super) fn post(&mut self, draft: Draft) -> Receipt {
        self.write(draft, None)
    }

    fn write(&mut self, draft: Draft, amount: Option<fn(&Entry) -> Tokens>) -> Receipt {
        let mut transaction = Transaction {
            id: TransactionId::of(&draft.account, &draft.key),
            account: draft.account,
            key: draft.key,
            kind: draft.kind,
            created: draft.at,
            amount: draft.amount,
            action: draft.action,
            quantity: draft.quantity,
            entitled: draft.entitled,
            related: draft.related,
            note: draft.note,
            fingerprint: draft.fingerprint,
            entries: Vec::with_capacity(draft.legs.len()),
        };
        let mut touched = Vec::with_capacity(draft.legs.len());
        let own = transaction.account.clone();
        // An account that nothing happens to has no entry, unless it is its own command.
        let legs = draft.legs.into_iter();
        for leg in legs.filter(|leg| leg.account == own || !leg.changes.is_empty()) {
            let (account, entry) = self.fold(&transaction, leg);
            touched.push(account);
            transaction.entries.push(entry);
        }
        if let Some(amount) = amount {
            transaction.amount = amount(transaction.own());
        }
        let mut entries = std::mem::take(&mut transaction.entries);
        for (account, entry) in touched.iter_mut().zip(&mut entries) {
            account.head = self.key.link(&account.head.code, &transaction, entry);
            entry.chain_key.clone_from(&account.head.key);
            entry.chain = account.head.code;
        }
        transaction.entries = entries;
        let transaction = Arc::new(transaction);
        for account in touched {
            self.keep(account, &transaction);
        }
        self.state.transactions.put(&transaction.name(), Some(Arc::clone(&transaction)));
        if transaction.kind == TransactionType::Transfer {
            self.state.add_tip(&transaction);
        }
        Receipt::of(&transaction)
    }

    /// Applies one leg to a copy of its account. Tokens that become free pay off debt first.
    fn fold(&self, transaction: &Transaction, leg: Leg) -> (Account, Entry) {
        let known = self.state.accounts.get(&leg.account).flatten().cloned();
        let mut account =
            known.unwrap_or_else(|| Account::new(leg.account.clone(), transaction.created));
        let before = account.balance();
        let mut changes = leg.changes;
        self.return_grants(&mut account, &changes);
        account.fold(transaction.kind, &leg.counter, transaction.created, &changes);
        let repaid = repayments(&account, self.policy);
        if !repaid.is_empty() {
            account.sequence = before.sequence;
            account.fold(transaction.kind, &leg.counter, transaction.created, &repaid);
            changes.extend(repaid);
        }
        changes.extend(crossing(transaction.kind, before, &account));
        let body = serde_json::to_string(&changes).expect("changes are plain data");
        let entry = Entry {
            account: leg.account,
            sequence: account.sequence,
            amount: account.posted.minus(before.posted),
            held_delta: account.held.minus(before.held),
            balance_after: account.posted,
            held_after: account.held,
            counter: leg.counter,
            split: leg.split,
            changes,
            body,
            chain_key: String::new(),
            chain: [0; 32],
        };
        (account, entry)
    }

    /// Grants that closed or were spilled return to the account's row before something happens to
    /// them. Whoever made the changes has seen that they are loaded.
    fn return_grants(&self, account: &mut Account, changes: &[Change]) {
        for id in changes.iter().filter_map(Change::returns) {
            if account.grant(id).is_none() {
                let name = (account.id.clone(), id);
                let found = self.state.grants.get(&name).flatten().cloned();
                let grant = found.expect("changes name grants that exist");
                if !grant.is_closed() {
                    account.body.spilled.remove(&grant);
                }
                account.body.grants.push(grant);
                account.body.grants.sort_by_key(|grant| grant.sequence);
            }
        }
    }

    /// Keeps the account; grants and holds that ended leave its row, and so do grants that are too
    /// many, unless all of them are needed.
    fn keep(&mut self, mut account: Account, transaction: &Transaction) {
        let id = account.id.clone();
        let entry = transaction.entries.iter().find(|entry| entry.account == id);
        for change in entry.map_or(&[][..], |entry| &entry.changes) {
            if let Change::Unhold { hold, captured, state } = change {
                let was = self.state.accounts.get(&id).flatten().and_then(|it| it.hold(*hold));
                let mut hold = was.expect("a hold ends once").clone();
                hold.state = *state;
                hold.captured = crate::tokens::sum(captured.iter().map(|draw| draw.amount));
                self.state.holds.put(&(id.clone(), hold.id), Some(hold));
            } else if let Some(grant) = change.returns() {
                let name = (id.clone(), grant);
                if self.state.grants.get(&name).flatten().is_some() {
                    self.state.grants.put(&name, None);
                }
            }
        }
        for grant in account.take_closed() {
            self.state.grants.put(&(id.clone(), grant.id), Some(grant));
        }
        if !self.state.whole.contains(&id) {
            for grant in account.spill(self.policy) {
                self.state.grants.put(&(id.clone(), grant.id), Some(grant));
            }
        }
        self.state.accounts.put(&id, Some(account));
    }
}
