//! Verifying an account: its entries are folded anew, and every row of it held against what comes out.
//!
//! The chain is looked at first. What isn't authentic is never folded, so whatever somebody wrote into
//! the database can't upset the fold; and from the first entry that doesn't fit, nothing after it can
//! be proven, so the account isn't followed any further.
//!
//! Between two entries the account holds no grants: each entry takes those that it names, and gives
//! them back. So an account costs what its entries cost, however many grants it has.

use crate::{
    account::{Account, Body},
    chain::{ChainKey, Link},
    grant::Grant,
    hold::Hold,
    id::{AccountId, System, TransactionId},
    policy::Policy,
    state::{Clawback, Source},
    time::Time,
    tokens::{Exact, Tokens},
    transaction::{Change, Entry, EntryId, Transaction, TransactionType},
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// What doesn't fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingCode {
    /// A row isn't one that the service could have written.
    RowUnreadable,
    /// An account's entries aren't numbered from 1 without gaps.
    SequenceBroken,
    /// An entry names a chain key that wasn't given.
    ChainKeyUnknown,
    /// The table of keys isn't what the keys say.
    ChainKeyMismatch,
    /// An entry, or its transaction, isn't what was signed.
    ChainBroken,
    /// An entry has no transaction.
    TransactionMissing,
    /// A transaction has no entry.
    EntryMissing,
    /// Columns of an entry that the chain doesn't cover say something else than its transaction.
    EntryMismatch,
    /// Columns of a transaction that the chain doesn't cover say something else than its entries.
    TransactionMismatch,
    /// An entry's figures aren't what its changes make of the account.
    FoldMismatch,
    /// An account's row isn't what its entries make.
    AccountMismatch,
    /// What an account's row says of its spilled grants isn't what they are.
    SpilledMismatch,
    /// A closed or spilled grant isn't what the entries make.
    GrantMismatch,
    /// An ended hold isn't what the entries make.
    HoldMismatch,
    /// What was reversed isn't what the entries reversed.
    ReversalMismatch,
    /// The facts of a clawback aren't those of the newest entry that set them.
    ClawbackMismatch,
    /// The commits don't name every entry once, in the order of its account.
    CommitMismatch,
    /// The stream's position isn't that of the last commit.
    StreamMismatch,
    /// A checkpoint isn't one, or isn't signed by its key.
    CheckpointInvalid,
    /// A checkpoint knows of entries that aren't there: the database was set back.
    CheckpointAhead,
    /// At a checkpoint's position the ledger was another one.
    CheckpointMismatch,
}

impl FindingCode {
    /// As it is told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RowUnreadable => "ROW_UNREADABLE",
            Self::SequenceBroken => "SEQUENCE_BROKEN",
            Self::ChainKeyUnknown => "CHAIN_KEY_UNKNOWN",
            Self::ChainKeyMismatch => "CHAIN_KEY_MISMATCH",
            Self::ChainBroken => "CHAIN_BROKEN",
            Self::TransactionMissing => "TRANSACTION_MISSING",
            Self::EntryMissing => "ENTRY_MISSING",
            Self::EntryMismatch => "ENTRY_MISMATCH",
            Self::TransactionMismatch => "TRANSACTION_MISMATCH",
            Self::FoldMismatch => "FOLD_MISMATCH",
            Self::AccountMismatch => "ACCOUNT_MISMATCH",
            Self::SpilledMismatch => "SPILLED_MISMATCH",
            Self::GrantMismatch => "GRANT_MISMATCH",
            Self::HoldMismatch => "HOLD_MISMATCH",
            Self::ReversalMismatch => "REVERSAL_MISMATCH",
            Self::ClawbackMismatch => "CLAWBACK_MISMATCH",
            Self::CommitMismatch => "COMMIT_MISMATCH",
            Self::StreamMismatch => "STREAM_MISMATCH",
            Self::CheckpointInvalid => "CHECKPOINT_INVALID",
            Self::CheckpointAhead => "CHECKPOINT_AHEAD",
            Self::CheckpointMismatch => "CHECKPOINT_MISMATCH",
        }
    }
}

/// Something that doesn't fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The account, if it is about one.
    pub account: Option<AccountId>,
    /// The entry's number, if it is about one.
    pub sequence: Option<i64>,
    /// What doesn't fit.
    pub code: FindingCode,
    /// The same for people.
    pub message: String,
}

impl Finding {
    /// About the ledger as a whole.
    #[must_use]
    pub fn new(code: FindingCode, message: impl Into<String>) -> Self {
        Self { account: None, sequence: None, code, message: message.into() }
    }

    /// The same, about an account.
    #[must_use]
    pub fn of(self, account: &AccountId) -> Self {
        Self { account: Some(account.clone()), ..self }
    }

    /// The same, about an entry.
    #[must_use]
    pub fn at(self, sequence: i64) -> Self {
        Self { sequence: Some(sequence), ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())?;
        if let Some(account) = &self.account {
            write!(f, " {account}")?;
        }
        if let Some(sequence) = self.sequence {
            write!(f, " entry {sequence}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// An entry as the database holds it, and what its rows say beside what is signed.
#[derive(Clone, Debug)]
pub struct Filed {
    /// The transaction with this entry alone.
    pub transaction: Transaction,
    /// The owner that the entry's row names: `None` if the account owns the transaction.
    pub owner: Option<AccountId>,
    /// When the entry's row says it was made.
    pub created: Time,
    /// Where the transaction's row says its own entry is.
    pub own_sequence: i64,
    /// Where it says the entries of other accounts are.
    pub others: Vec<EntryId>,
}

/// A digest of a row that is expected: large ones are many.
type Digest = [u8; 16];

/// An account as its entries make it, entry by entry.
#[derive(Debug)]
pub struct Refold {
    /// Without grants.
    account: Account,
    /// Every grant there ever was.
    grants: BTreeMap<TransactionId, Grant>,
    /// What they hold.
    granted: Tokens,
    reserved: Tokens,
    /// Grants that were superseded, and when they would have expired.
    ended: BTreeMap<TransactionId, Option<Time>>,
    holds: BTreeMap<TransactionId, Digest>,
    reversed: BTreeMap<TransactionId, Tokens>,
    clawbacks: BTreeMap<TransactionId, Clawback>,
    /// Of the grants those that were found in a table of their own.
    spilled: Vec<Grant>,
}

impl Refold {
    /// An account of which no entry is known yet.
    #[must_use]
    pub fn new(id: AccountId) -> Self {
        Self {
            account: Account::new(id, Time(0)),
            grants: BTreeMap::new(),
            granted: 0,
            reserved: 0,
            ended: BTreeMap::new(),
            holds: BTreeMap::new(),
            reversed: BTreeMap::new(),
            clawbacks: BTreeMap::new(),
            spilled: Vec::new(),
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn id(&self) -> &AccountId {
        &self.account.id
    }

    /// The account so far, without its grants.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// What doesn't fit: nothing after it can be proven.
    pub fn take(
        &mut self,
        keys: &BTreeMap<String, ChainKey>,
        filed: &Filed,
    ) -> Result<(), Finding> {
        let (transaction, entry) = (&filed.transaction, filed.transaction.own());
        let finding = |code, words: String| {
            Err(Finding::new(code, words).of(&entry.account).at(entry.sequence))
        };
        let follows = self.account.sequence.saturating_add(1);
        if entry.sequence != follows {
            let words = format!("entry {follows} should be here; nothing after it can be proven");
            return finding(FindingCode::SequenceBroken, words);
        }
        let Some(key) = keys.get(&entry.chain_key) else {
            let words = format!("it names the chain key `{}`, which wasn't given", entry.chain_key);
            return finding(FindingCode::ChainKeyUnknown, words);
        };
        if key.link(&self.account.head.code, transaction, entry).code != entry.chain {
            let words = "it isn't what was signed; nothing after it can be proven";
            return finding(FindingCode::ChainBroken, words.to_owned());
        }
        if let Some((code, words)) = self.unsigned(filed) {
            return finding(code, words);
        }
        if entry.sequence == 1 {
            self.account.created = transaction.created;
        }
        if let Err(words) = self.fold(transaction, entry) {
            return finding(FindingCode::FoldMismatch, words);
        }
        self.account.head = Link { key: entry.chain_key.clone(), code: entry.chain };
        self.expect(transaction, entry);
        Ok(())
    }

    /// What of the rows isn't signed: it must follow from what is.
    fn unsigned(&self, filed: &Filed) -> Option<(FindingCode, String)> {
        let (transaction, entry) = (&filed.transaction, filed.transaction.own());
        let own = entry.account == transaction.account;
        if filed.owner.as_ref() != (!own).then_some(&transaction.account) {
            return Some((FindingCode::EntryMismatch, "its owner_id is another".to_owned()));
        }
        if filed.created != transaction.created {
            let words = "its create_time isn't its transaction's";
            return Some((FindingCode::EntryMismatch, words.to_owned()));
        }
        let listed = |it: &&EntryId| it.0 == entry.account && it.1 == entry.sequence;
        let fits = if own {
            filed.own_sequence == entry.sequence
                && filed.others.iter().map(|(account, _)| account).eq(&self.others(transaction))
        } else {
            filed.others.iter().filter(listed).count() == 1
        };
        let words =
            || format!("its transaction {} says that its entries are elsewhere", transaction.id);
        (!fits).then(|| (FindingCode::TransactionMismatch, words()))
    }

    /// The other accounts that the transaction must have an entry in, by what its owner's says.
    fn others(&self, transaction: &Transaction) -> BTreeSet<AccountId> {
        let tips = |facts: Option<&Clawback>| {
            let mut taken: BTreeMap<AccountId, Tokens> = BTreeMap::new();
            for source in facts.iter().flat_map(|facts| &facts.sources) {
                if let Source::Tip(receiver, _, amount) = source {
                    let sum = taken.entry(receiver.clone()).or_default();
                    *sum = sum.plus(*amount);
                }
            }
            taken
        };
        if let Some(facts) = transaction.clawback() {
            let (before, after) = (tips(self.clawbacks.get(&facts.credit)), tips(Some(facts)));
            let receivers = before.keys().chain(after.keys());
            return receivers.filter(|it| before.get(*it) != after.get(*it)).cloned().collect();
        }
        let counterparts = transaction.own().counterparts();
        let theirs = counterparts.filter(|(account, part)| *part != 0 && !is_ours(account));
        theirs.map(|(account, _)| account.clone()).collect()
    }

    /// Lets the entry happen to the account; in words what doesn't fit.
    fn fold(&mut self, transaction: &Transaction, entry: &Entry) -> Result<(), String> {
        let before = self.account.balance();
        let account = &mut self.account;
        for id in named(account, &entry.changes)? {
            // One that the entry itself makes isn't there yet.
            if let Some(grant) = self.grants.remove(&id) {
                self.granted = self.granted.minus(grant.posted());
                self.reserved = self.reserved.minus(grant.held);
                account.body.grants.push(grant);
            } else if !makes(&entry.changes, id) {
                return Err(format!("it names the grant {id}, which there isn't"));
            }
        }
        for change in &entry.changes {
            if let Change::End(id) = change {
                let expire = account.grant(*id).and_then(|grant| grant.expire);
                self.ended.entry(*id).or_insert(expire);
            } else if let Change::Unhold { hold, captured, state } = change {
                let mut ended =
                    account.hold(*hold).ok_or("it ends a hold that isn't open")?.clone();
                ended.state = *state;
                ended.captured = crate::tokens::sum(captured.iter().map(|draw| draw.amount));
                self.holds.insert(ended.id, digest(&ended));
            }
        }
        account.fold(transaction.kind, &entry.counter, transaction.created, &entry.changes);
        for grant in account.body.grants.drain(..) {
            self.granted = self.granted.plus(grant.posted());
            self.reserved = self.reserved.plus(grant.held);
            self.grants.insert(grant.id, grant);
        }
        account.posted = self.granted.minus(account.body.debt);
        account.held = self.reserved;

        let says = (entry.amount, entry.held_delta, entry.balance_after, entry.held_after);
        let (posted, held) = (account.posted, account.held);
        let is = (posted.minus(before.posted), held.minus(before.held), posted, held);
        if says == is {
            return Ok(());
        }
        Err(format!("its changes come to (amount, held, balance, held) {is:?}, it says {says:?}"))
    }

    /// What other tables must hold because of the entry.
    fn expect(&mut self, transaction: &Transaction, entry: &Entry) {
        if entry.account != transaction.account {
            return;
        }
        if let (TransactionType::Reversal, Some(original)) = (transaction.kind, transaction.related)
        {
            let reversed = self.reversed.entry(original).or_default();
            *reversed = reversed.plus(transaction.amount);
        }
        if let Some(facts) = transaction.clawback() {
            self.clawbacks.insert(facts.credit, facts.clone());
        }
    }

    /// Holds a row of `grants` against the entries. Rows of every table come before the account's.
    ///
    /// # Errors
    /// What doesn't fit.
    pub fn grant_row(&mut self, id: TransactionId, open: i64, row: &Grant) -> Result<(), Finding> {
        let finding =
            |words: &str| self.finding(FindingCode::GrantMismatch, format!("{words} {id}"));
        let Some(grant) = self.grants.get(&id) else {
            return Err(finding("the entries know nothing, or not twice, of the grant"));
        };
        if grant != row || i64::from(!grant.is_closed()) != open {
            return Err(finding("the entries make something else of the grant"));
        }
        if grant.held > 0 {
            return Err(finding("an open hold reserves tokens of the spilled grant"));
        }
        let grant = self.grants.remove(&id);
        self.spilled.extend(grant.filter(|grant| !grant.is_closed()));
        Ok(())
    }

    /// Holds a row of `holds` against the entries.
    ///
    /// # Errors
    /// What doesn't fit.
    pub fn hold_row(&mut self, id: TransactionId, state: &str, row: &Hold) -> Result<(), Finding> {
        let fits = row.state.as_str() == state && self.holds.remove(&id) == Some(digest(row));
        let words = || format!("the entries make something else, or nothing, of the hold {id}");
        if fits { Ok(()) } else { Err(self.finding(FindingCode::HoldMismatch, words())) }
    }

    /// Holds a row of `reversals` against the entries; `original` is the amount of what was reversed.
    ///
    /// # Errors
    /// What doesn't fit.
    pub fn reversal_row(
        &mut self,
        id: TransactionId,
        reversed: Tokens,
        complete: i64,
        original: Option<Tokens>,
    ) -> Result<(), Finding> {
        let fits = self.reversed.remove(&id) == Some(reversed)
            && original.is_some_and(|original| i64::from(reversed == original) == complete);
        let words = || format!("the entries reverse something else, or nothing, of {id}");
        if fits { Ok(()) } else { Err(self.finding(FindingCode::ReversalMismatch, words())) }
    }

    /// Holds a row of `clawbacks` against the entries.
    ///
    /// # Errors
    /// What doesn't fit.
    pub fn clawback_row(&mut self, id: TransactionId, row: &Clawback) -> Result<(), Finding> {
        let fits = self.clawbacks.remove(&id).as_ref() == Some(row);
        let words = || format!("the newest entry about {id} set other facts, or none did");
        if fits { Ok(()) } else { Err(self.finding(FindingCode::ClawbackMismatch, words())) }
    }

    /// Holds the account's row against the entries, and tells what they make that has no row.
    #[must_use]
    pub fn account_row(
        mut self,
        row: Option<(&Account, Option<Time>)>,
        policy: &Policy,
    ) -> Vec<Finding> {
        let mut found = Vec::new();
        match row {
            None if self.account.sequence > 0 => {
                let words = "it has entries, and no row".to_owned();
                return vec![self.finding(FindingCode::AccountMismatch, words)];
            }
            None => {}
            Some(_) if self.account.sequence == 0 => {
                let words = "it has a row, and no entries".to_owned();
                return vec![self.finding(FindingCode::AccountMismatch, words)];
            }
            Some((row, due)) => self.compare(row, due, policy, &mut found),
        }
        let mut missing = |code, what: &str, ids: Vec<&TransactionId>| {
            found.extend(
                ids.into_iter().map(|id| self.finding(code, format!("{what} {id} is missing"))),
            );
        };
        missing(FindingCode::GrantMismatch, "the grant", self.grants.keys().collect());
        missing(FindingCode::HoldMismatch, "the ended hold", self.holds.keys().collect());
        missing(
            FindingCode::ReversalMismatch,
            "what was reversed of",
            self.reversed.keys().collect(),
        );
        missing(FindingCode::ClawbackMismatch, "the clawback of", self.clawbacks.keys().collect());
        found
    }

    fn compare(
        &mut self,
        row: &Account,
        due: Option<Time>,
        policy: &Policy,
        found: &mut Vec<Finding>,
    ) {
        let is = &self.account;
        let rest = |body: &Body| Body {
            grants: Vec::new(),
            spilled: crate::Spilled::default(),
            ..body.clone()
        };
        let differing = [
            ("status", row.status != is.status),
            ("sequence", row.sequence != is.sequence),
            ("posted", row.posted != is.posted),
            ("held", row.held != is.held),
            ("create_time", row.created != is.created),
            ("update_time", row.updated != is.updated),
            ("chain_key", row.head.key != is.head.key),
            ("chain", row.head.code != is.head.code),
            ("due_time", row.sweep_time() != due),
            ("body", rest(&row.body) != rest(&is.body)),
            ("body.grants", !row.body.grants.is_sorted_by(|a, b| a.sequence < b.sequence)),
        ];
        let names: Vec<&str> =
            differing.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
        if !names.is_empty() {
            let words = format!("the entries make something else of its {}", names.join(", "));
            found.push(self.finding(FindingCode::AccountMismatch, words));
        }
        let known = |id: TransactionId| {
            let there = self.grants.get(&id).or_else(|| self.spilled.iter().find(|it| it.id == id));
            there.map(|grant| (grant, self.ended.get(&id).copied()))
        };
        let summary = row.body.spilled.check(&self.spilled, &row.body.grants, policy, known);
        if let Err(words) = summary {
            found.push(self.finding(FindingCode::SpilledMismatch, words.to_owned()));
        }
        for grant in &row.body.grants {
            if self.grants.remove(&grant.id).is_none_or(|is| is != *grant || is.is_closed()) {
                let words =
                    format!("the entries make something else of the grant {} in its row", grant.id);
                found.push(self.finding(FindingCode::AccountMismatch, words));
            }
        }
    }

    fn finding(&self, code: FindingCode, words: String) -> Finding {
        Finding::new(code, words).of(&self.account.id)
    }
}

/// Whether it is one of our own accounts.
fn is_ours(account: &AccountId) -> bool {
    System::ALL.iter().any(|ours| ours.as_str() == account.as_str())
}

/// The grants that the changes happen to.
fn named(account: &Account, changes: &[Change]) -> Result<BTreeSet<TransactionId>, String> {
    let mut ids = BTreeSet::new();
    for change in changes {
        match change {
            Change::Activate(id) | Change::End(id) => {
                ids.insert(*id);
            }
            Change::Draw(draw) | Change::Restore(draw) | Change::Repay(draw) => {
                ids.insert(draw.grant);
            }
            Change::Hold(hold) => ids.extend(hold.draws.iter().map(|draw| draw.grant)),
            Change::Unhold { hold, captured, .. } => {
                let hold = account.hold(*hold).ok_or("it ends a hold that isn't open")?;
                ids.extend(hold.draws.iter().chain(captured).map(|draw| draw.grant));
            }
            Change::Notice { grant, .. } => {
                ids.insert(grant.id);
            }
            Change::Open(_)
            | Change::Owe(_)
            | Change::Use { .. }
            | Change::Entitle(_)
            | Change::Unspend { .. }
            | Change::Clawback(_)
            | Change::Status(_)
            | Change::Settings(_)
            | Change::BelowThreshold(_) => {}
        }
    }
    Ok(ids)
}

/// Whether one of the changes makes this grant.
fn makes(changes: &[Change], id: TransactionId) -> bool {
    changes.iter().any(|change| matches!(change, Change::Open(grant) if grant.id == id))
}

fn digest(row: &impl Serialize) -> Digest {
    let text = serde_json::to_vec(row).expect("rows are plain data");
    let mut digest = Digest::default();
    digest.iter_mut().zip(Sha256::digest(text)).for_each(|(to, from)| *to = from);
    digest
}
