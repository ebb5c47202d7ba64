//! The judge: runs every batch again, job by job and in the order of the commits, on a ledger of its
//! own that has no bugs, and holds against it what was written, what clients were told and what
//! followers saw.
//!
//! So each command lies, as a whole, somewhere between its request and its answer, in one order that
//! is the same for all: what is told is linearizable. Only what is refused beside others that write may
//! be told as it was a moment before them.

use crate::rows::Rows;
use ledger::{
    AccountId, Applied, Balance, ChainKey, Effects, Job, Name, Outcome, Policy, Time,
    planted::{self, Bug},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};
use token_service::committer::Failure;

/// What names a submission: a job that is sent twice has two.
pub(super) type Tag = u64;

/// What a batch was about to decide.
#[derive(Clone, Debug)]
pub(super) struct Witnessed {
    pub(super) jobs: Vec<Job>,
    pub(super) now: Time,
    /// Accounts that didn't exist when the batch was loaded. Nothing locks them.
    pub(super) missing: BTreeSet<AccountId>,
    /// Without locks: what there was when it was loaded. Whoever wrote nothing was told of that.
    pub(super) snapshot: Option<Rows>,
}

/// What should be, and what was said.
#[derive(Debug)]
pub(super) struct Judge {
    /// The bug that its own ledger has: none, unless the laws are to find it without the judge.
    bug: Option<Bug>,
    policy: Arc<Policy>,
    key: ChainKey,
    should: Rows,
    /// Every balance that was ever committed.
    balances: BTreeMap<(AccountId, i64), Balance>,
    /// What came of each submission, each time that it was run and that it counted.
    runs: HashMap<Tag, Vec<Vec<Outcome>>>,
    submitted: HashMap<Tag, Job>,
    tags: Tag,
    /// Submissions whose clients were told that nothing was tried.
    untried: HashSet<Tag>,
    /// Submissions whose clients know what came of them.
    told: HashSet<Tag>,
}

/// What is wrong, in words.
pub(super) type Verdict = Result<(), String>;

impl Judge {
    pub(super) fn new(policy: Arc<Policy>, key: ChainKey, bug: Option<Bug>) -> Self {
        Self {
            bug,
            policy,
            key,
            should: Rows::default(),
            balances: BTreeMap::new(),
            runs: HashMap::new(),
            submitted: HashMap::new(),
            tags: 0,
            untried: HashSet::new(),
            told: HashSet::new(),
        }
    }

    /// A name for the next submission.
    pub(super) fn tag(&mut self) -> Tag {
        self.tags += 1;
        self.tags
    }

    /// A client sends this.
    pub(super) fn submitted(&mut self, tag: Tag, job: &Job) {
        self.submitted.insert(tag, job.clone());
    }

    /// The database is about to make `effects` durable.
    pub(super) fn commits(&mut self, batch: &Witnessed, effects: &Effects) -> Verdict {
        let _own = planted::plant(self.bug);
        let hidden = self.hidden(batch);
        let mut transactions: BTreeSet<Name> = BTreeSet::new();
        let mut accounts: BTreeSet<AccountId> = BTreeSet::new();
        let mut snapshot = batch.snapshot.clone();
        for job in &batch.jobs {
            let ledger = snapshot.as_ref().unwrap_or(&self.should);
            let applied = self.decide(ledger, job, batch.now, &hidden);
            if let Some(snapshot) = &mut snapshot {
                for id in applied.effects.all_accounts().map(|it| &it.id) {
                    if snapshot.accounts.get(id) != self.should.accounts.get(id) {
                        return Err(format!("writes {id}, which others have changed"));
                    }
                }
                snapshot.write(applied.effects.clone());
            }
            transactions.extend(applied.effects.transactions.iter().map(|it| it.name()));
            accounts.extend(applied.effects.all_accounts().map(|it| it.id.clone()));
            self.should.write(applied.effects);
            self.ran(job, applied.outcomes)?;
        }
        for transaction in &effects.transactions {
            let should = self.should.transactions.get(&transaction.name());
            if !transactions.contains(&transaction.name()) || should != Some(transaction) {
                return Err(format!("commits {transaction:#?}\nbut should {should:#?}"));
            }
            for entry in &transaction.entries {
                let (posted, held) = (entry.balance_after, entry.held_after);
                let balance = Balance { posted, held, sequence: entry.sequence };
                self.balances.insert((entry.account.clone(), entry.sequence), balance);
            }
        }
        for account in effects.all_accounts() {
            let should = self.should.accounts.get(&account.id);
            if !accounts.contains(&account.id) || should != Some(account) {
                return Err(format!("writes {account:#?}\nbut should {should:#?}"));
            }
        }
        let written = (effects.transactions.len(), effects.all_accounts().count());
        if written != (transactions.len(), accounts.len()) {
            return Err(format!("commits {written:?} rows, but should {transactions:?}"));
        }
        Ok(())
    }

    /// A batch was rolled back: because it has no effects, or because it needs more rows.
    pub(super) fn rolls_back(&mut self, batch: &Witnessed) -> Verdict {
        let _own = planted::plant(self.bug);
        let hidden = self.hidden(batch);
        let decided =
            batch.jobs.iter().map(|job| self.decide(&self.should, job, batch.now, &hidden));
        let decided: Vec<Applied> = decided.collect();
        if decided.iter().all(|applied| applied.effects.is_empty()) {
            for (job, applied) in batch.jobs.iter().zip(decided) {
                self.ran(job, applied.outcomes)?;
            }
        }
        Ok(())
    }

    /// A client is told this.
    pub(super) fn answered(&mut self, tag: Tag, told: &Result<Vec<Outcome>, Failure>) -> Verdict {
        let runs = self.runs.get(&tag).map_or(&[][..], Vec::as_slice);
        match told {
            Ok(told) if runs.iter().any(|run| same(run, told)) => {
                self.told.insert(tag);
                Ok(())
            }
            Ok(told) => Err(format!("#{tag} is told {told:#?}\nbut what came of it is {runs:#?}")),
            Err(Failure::StoreUnavailable) => Ok(()),
            Err(Failure::Internal) => Err(format!("#{tag} is told INTERNAL")),
            Err(Failure::Overloaded | Failure::Draining) if runs.is_empty() => {
                self.untried.insert(tag);
                Ok(())
            }
            Err(failure) => Err(format!("#{tag} is told {failure}, but it was run")),
        }
    }

    /// A follower sees this balance.
    pub(super) fn seen(&self, account: &AccountId, seen: Balance) -> Verdict {
        match self.balances.get(&(account.clone(), seen.sequence)) {
            Some(committed) if *committed == seen => Ok(()),
            committed => Err(format!("{account} is seen with {seen:?}; committed: {committed:?}")),
        }
    }

    /// Whether the database holds what it should.
    pub(super) fn holds(&self, rows: &Rows) -> Verdict {
        if *rows == self.should {
            return Ok(());
        }
        Err(format!("the database holds {rows:#?}\nbut should {:#?}", self.should))
    }

    /// What there should be of these accounts now.
    pub(super) fn snapshot(&self, accounts: &BTreeSet<AccountId>) -> Rows {
        self.should.only(accounts)
    }

    /// What the batch couldn't know: accounts that were made while it was at work.
    fn hidden(&self, batch: &Witnessed) -> BTreeSet<AccountId> {
        let made = batch.missing.iter().filter(|id| self.should.accounts.contains_key(*id));
        made.cloned().collect()
    }

    fn decide(&self, ledger: &Rows, job: &Job, now: Time, hidden: &BTreeSet<AccountId>) -> Applied {
        let jobs = std::slice::from_ref(job);
        let mut needs = ledger::footprint(jobs);
        loop {
            let state = ledger.load_but(&needs, hidden);
            match ledger::apply(jobs, state, &self.policy, &self.key, now) {
                Ok(applied) => return applied,
                Err(more) => assert!(needs.extend(*more), "it asks for rows that it has"),
            }
        }
    }

    fn ran(&mut self, job: &Job, mut outcomes: Vec<Vec<Outcome>>) -> Verdict {
        let Some(tag) = tag(job) else { return Ok(()) };
        let sent = self.submitted.get(&tag);
        let as_sent = |sent: &Job| sent.commands == job.commands && sent.mode == job.mode;
        if !sent.is_some_and(as_sent) {
            return Err(format!("runs {job:#?}\nbut was sent {sent:#?}"));
        }
        if self.untried.contains(&tag) {
            return Err(format!("#{tag} is run after its client was told that it wasn't"));
        }
        if self.told.contains(&tag) {
            return Err(format!("#{tag} is run again after its client was told what came of it"));
        }
        self.runs.entry(tag).or_default().extend(outcomes.pop());
        Ok(())
    }
}

/// The submission that a job is; `None`: the sweeper's.
pub(super) fn tag(job: &Job) -> Option<Tag> {
    job.commands.first().and_then(|command| command.note.reference.parse().ok())
}

fn same(run: &[Outcome], told: &[Outcome]) -> bool {
    let one = |(run, told): (&Outcome, &Outcome)| match (run, told) {
        (Ok(run), Ok(told)) => {
            run.transaction == told.transaction
                && run.balance == told.balance
                && run.replayed == told.replayed
                && run.clawback == told.clawback
        }
        (Err(run), Err(told)) => run == told,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    };
    run.len() == told.len() && run.iter().zip(told).all(one)
}
