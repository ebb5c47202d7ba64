//! Decides: commands and loaded rows in, outcomes and rows to write out.
//!
//! Commands run one after the other, as if each were alone. Before and after each one, what is due
//! on the accounts it touches is posted as transactions of its own. Every command has the same
//! silhouette: *replay? exists? allowed? enough?*, a blank line, then moves; nothing after the line
//! can fail.
//!
//! [`apply`] is pure and total, so a batch that lost a race is loaded and applied again. Where it
//! finds that it needs rows that [`crate::footprint`] couldn't foresee (the receiver of a transfer
//! to be reversed, a closed grant), it says which, for all commands at once, and is run again with
//! them.

mod account;
mod clawback;
mod credit;
mod debit;
mod entitlement;
mod hold;
mod post;
mod reverse;
mod transfer;

use crate::{
    account::Balance,
    chain::ChainKey,
    command::{Act, Command},
    effects::Effects,
    footprint::Footprint,
    id::{AccountId, TransactionId},
    planted::{self, Bug},
    policy::Policy,
    rejection::Rejection,
    state::{Clawback, State, Stop},
    time::Time,
    transaction::Transaction,
};
use std::sync::Arc;

/// How the commands of a job depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each on its own.
    Independent,
    /// All or nothing.
    Atomic,
    /// Each on its own, and nothing is stored.
    DryRun,
    /// All or nothing, and nothing is stored.
    AtomicDryRun,
}

/// Commands that came together. One command is a job of one.
#[derive(Clone, Debug)]
pub struct Job {
    /// The commands, in order.
    pub commands: Vec<Command>,
    /// How they depend on each other.
    pub mode: Mode,
}

/// What an accepted command did.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The transaction; `None` if there was nothing to do (an older revision, a sweep, a status
    /// that the account had already).
    pub transaction: Option<Arc<Transaction>>,
    /// The command's account right after it.
    pub balance: Balance,
    /// Whether it had been done before, and wasn't done again.
    pub replayed: bool,
    /// Of a clawback: the facts now in force, also if there was nothing to do.
    pub clawback: Option<Clawback>,
}

/// Accepted or refused.
pub type Outcome = Result<Receipt, Rejection>;

/// What a batch did.
#[derive(Debug)]
pub struct Applied {
    /// Per job, per command. An atomic job that was refused has the refusal in its place and
    /// nothing behind it.
    pub outcomes: Vec<Vec<Outcome>>,
    /// Rows to write.
    pub effects: Effects,
}

/// The rows at work, and what stays the same for the whole batch.
struct Book<'a> {
    state: State,
    policy: &'a Policy,
    key: &'a ChainKey,
    now: Time,
}

/// Runs the jobs in order at `now`.
///
/// # Errors
/// The rows that are still needed: load everything again with them, and run again.
pub fn apply(
    jobs: &[Job],
    state: State,
    policy: &Policy,
    key: &ChainKey,
    now: Time,
) -> Result<Applied, Box<Footprint>> {
    let mut book = Book { state, policy, key, now };
    book.state.unite();
    let mut needs = Footprint::default();
    let outcomes = jobs.iter().map(|job| book.run(job, &mut needs)).collect();
    if needs.is_empty() {
        Ok(Applied { outcomes, effects: Effects::of(book.state, policy) })
    } else {
        Err(Box::new(needs))
    }
}

impl Book<'_> {
    fn run(&mut self, job: &Job, needs: &mut Footprint) -> Vec<Outcome> {
        let (atomic, dry) = match job.mode {
            Mode::Independent => (false, false),
            Mode::Atomic => (true, false),
            Mode::DryRun => (false, true),
            Mode::AtomicDryRun => (true, true),
        };
        if atomic || dry {
            self.state.begin();
        }
        let mut outcomes = Vec::with_capacity(job.commands.len());
        for command in &job.commands {
            match self.execute(command) {
                Ok(receipt) => outcomes.push(Ok(receipt)),
                Err(Stop::Lacks(rows)) => {
                    needs.extend(*rows);
                }
                Err(Stop::Refused(rejection)) => {
                    outcomes.push(Err(rejection));
                    if atomic {
                        self.state.undo();
                        return outcomes;
                    }
                }
            }
        }
        if dry {
            self.state.undo();
        }
        self.state.keep();
        outcomes
    }

    fn execute(&mut self, command: &Command) -> Result<Receipt, Stop> {
        if let Some(receipt) = self.replay(command)? {
            return Ok(receipt);
        }
        if !planted::is(Bug::LapseNotPosted) {
            self.settle_together(&command.accounts().collect::<Vec<_>>())?;
        }
        let receipt = self.act(command)?;
        // What came back past its expiry expires at once.
        let touched = receipt.transaction.iter().flat_map(|it| &it.entries);
        for account in touched.map(|entry| entry.account.clone()).collect::<Vec<_>>() {
            self.settle(&account)?;
        }
        Ok(receipt)
    }

    fn act(&mut self, command: &Command) -> Result<Receipt, Stop> {
        match &command.act {
            Act::Credit(credit) => self.credit(command, credit),
            Act::Debit { charge, extent, purpose } => {
                self.debit(command, charge, *extent, *purpose)
            }
            Act::Reverse { original, amount, reach } => {
                self.reverse(command, *original, *amount, *reach)
            }
            Act::Transfer { amount, to } => self.transfer(command, *amount, to),
            Act::CreateHold { charge, lasts_micros } => {
                self.create_hold(command, charge, *lasts_micros)
            }
            Act::CaptureHold { hold, amount } => self.capture_hold(command, *hold, *amount),
            Act::ReleaseHold { hold } => self.release_hold(command, *hold),
            Act::SetClawback { credit, target, revision } => {
                self.set_clawback(command, credit, *target, *revision)
            }
            Act::SetEntitlement(entitlement) => self.set_entitlement(command, entitlement),
            Act::Authorize { charge, work } => self.authorize(command, charge, *work),
            Act::SetStatus(status) => self.set_status(command, *status),
            Act::SetSettings { threshold, caps, expected } => {
                self.set_settings(command, *threshold, caps.as_deref(), *expected)
            }
            Act::Sweep => self.notify(&command.account),
        }
    }

    /// The first transaction again, if the key was used before.
    fn replay(&self, command: &Command) -> Result<Option<Receipt>, Stop> {
        let Some(id) = command.id() else { return Ok(None) };
        let Some(first) = self.state.transaction(&(command.account.clone(), id))? else {
            return Ok(None);
        };
        let fields = first.fingerprint.differing(&command.fingerprint);
        let same = fields.is_empty() || planted::is(Bug::KeyWithoutContent);
        if !same || Some(&first.key) != command.key.as_ref() {
            return Err(Rejection::IdempotencyKeyReused { fields, transaction: id }.into());
        }
        Ok(Some(Receipt::replay(first)))
    }

    /// Nothing to do: the account as it is.
    fn unchanged(&self, account: &AccountId) -> Result<Receipt, Stop> {
        let balance = self.state.existing(account)?.balance();
        Ok(Receipt { transaction: None, balance, replayed: false, clawback: None })
    }

    /// The time of whatever touches these accounts: never before their newest entries.
    fn now_for(&self, accounts: &[&AccountId]) -> Result<Time, Stop> {
        let mut now = self.now;
        for id in accounts {
            now = self.state.account(id)?.map_or(now, |account| now.max(account.updated));
        }
        Ok(now)
    }
}

impl Receipt {
    /// What a transaction's owner gets to see right after it.
    fn of(transaction: &Arc<Transaction>) -> Self {
        let own = transaction.own();
        Self {
            transaction: Some(Arc::clone(transaction)),
            balance: Balance {
                posted: own.balance_after,
                held: own.held_after,
                sequence: own.sequence,
            },
            replayed: false,
            clawback: transaction.clawback().cloned(),
        }
    }

    /// What its owner gets to see whenever it is asked for again.
    #[must_use]
    pub fn replay(transaction: &Arc<Transaction>) -> Self {
        Self { replayed: true, ..Self::of(transaction) }
    }
}

impl Command {
    /// The accounts that it names.
    fn accounts(&self) -> impl Iterator<Item = &AccountId> {
        let receiver = if let Act::Transfer { to, .. } = &self.act { Some(to) } else { None };
        [Some(&self.account), receiver].into_iter().flatten()
    }

    fn wanted_id(&self) -> TransactionId {
        self.id().expect("commands that move tokens carry a key: the edge refuses them otherwise")
    }
}
