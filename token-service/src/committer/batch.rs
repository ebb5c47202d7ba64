//! One batch, from its jobs to its answers.

use super::{Failure, Submission, stale::Stale, trouble::Trouble, watch::Watches};
use crate::{
    clock::Clock,
    store::{Store, StoreError, UNLOCKED_TIME, Writer},
};
use ledger::{
    Applied, ChainKey, Footprint, Job, Outcome, Policy, State, Time, apply, footprint,
    planted::{self, Bug},
};
use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// How often a batch is tried while the database is away, or a single job while others are first.
const TRIES_MAX: u32 = 5;

/// How often a batch of several jobs is tried while others are first, before it is halved: most of
/// them have nothing to do with whoever keeps a lock.
const CONFLICTS_MAX: u32 = 2;

/// The wait before the second try; each further one is twice as long.
const BACKOFF_FIRST: Duration = Duration::from_millis(20);

/// After a batch that others were faster than, so many are locked, itself among them.
const LOCKED_AFTER_CONFLICT: u32 = 32;

/// How long one try may take: a connection can die without a word.
const TRY_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) struct Batcher {
    store: Store,
    writer: Option<Writer>,
    policy: Arc<Policy>,
    key: ChainKey,
    clock: Clock,
    watches: Watches,
    trouble: Trouble,
    /// What was about to be committed when the connection was lost: nobody knows whether it was.
    in_doubt: Option<Doubt>,
    /// Per job of the batch: its answers, if it turned out that it had been.
    known: Vec<Option<Vec<Outcome>>>,
    stale: Stale,
}

/// A commit whose answer was lost.
struct Doubt {
    /// Which jobs of the batch it was for.
    jobs: Vec<usize>,
    applied: Applied,
    /// Whether it can't happen behind the back of whoever asks with locks.
    locked: bool,
}

/// Why jobs weren't committed.
enum Broke {
    /// The database is away.
    Database,
    /// Others keep being first, or keep a lock.
    Contended(Box<dyn std::error::Error + Send + Sync>),
    /// One of them can't be: our bug.
    Jobs(Box<dyn std::error::Error + Send + Sync>),
}

impl Batcher {
    pub(super) fn new(
        store: Store,
        policy: Arc<Policy>,
        key: ChainKey,
        clock: Clock,
        watches: Watches,
        trouble: Trouble,
    ) -> Self {
        Self {
            store,
            writer: None,
            policy,
            key,
            clock,
            watches,
            trouble,
            in_doubt: None,
            known: Vec::new(),
            stale: Stale::default(),
        }
    }

    /// Commits the batch and answers everybody in it. A batch with a culprit is halved until the
    /// culprit stands alone.
    pub(super) async fn commit(&mut self, batch: Vec<Submission>) {
        let mut stack = vec![batch];
        while let Some(batch) = stack.pop() {
            let (jobs, waiting): (Vec<Job>, Vec<_>) =
                batch.into_iter().map(|it| (it.job, it.waiting)).unzip();
            let done = self.run(&jobs).await;
            let mut rest = Vec::new();
            for ((job, waiting), known) in jobs.into_iter().zip(waiting).zip(self.known.drain(..)) {
                match known {
                    // Whoever asked may be gone; what was done is done.
                    Some(outcomes) => drop(waiting.answer.send(Ok(outcomes))),
                    None => rest.push(Submission { job, waiting }),
                }
            }
            match done {
                Ok(()) => {}
                Err(Broke::Jobs(cause) | Broke::Contended(cause)) if rest.len() > 1 => {
                    tracing::warn!(jobs = rest.len(), %cause, "a batch can't be committed: halving");
                    stack.push(rest.split_off(rest.len() / 2));
                    stack.push(rest);
                }
                Err(broke) => fail(rest, &broke),
            }
        }
    }

    /// Runs the jobs until they are committed, or for as often as makes sense. What is known then of
    /// each is in `known`.
    async fn run(&mut self, jobs: &[Job]) -> Result<(), Broke> {
        self.in_doubt = None;
        self.known = vec![None; jobs.len()];
        self.stale = Stale::default();
        let mut backoff = BACKOFF_FIRST;
        let mut broke = Broke::Database;
        for attempt in 1..=TRIES_MAX {
            let tried = timeout(TRY_TIMEOUT, self.attempt(jobs)).await;
            match tried.unwrap_or_else(|late| Err(StoreError::Unavailable(late.into()))) {
                Ok(()) => {
                    self.trouble.tell(false);
                    return Ok(());
                }
                Err(StoreError::Broken(cause)) => {
                    self.writer = None;
                    broke = Broke::Jobs(cause);
                    break;
                }
                Err(StoreError::Conflict(cause)) => {
                    self.writer = None;
                    tracing::debug!(attempt, %cause, "another batch was first");
                    broke = Broke::Contended(cause);
                    if jobs.len() > 1 && attempt >= CONFLICTS_MAX {
                        break;
                    }
                }
                Err(StoreError::Unavailable(cause)) => {
                    self.writer = None;
                    self.trouble.tell(true);
                    tracing::warn!(attempt, %cause, "the database is unavailable");
                    broke = Broke::Database;
                }
            }
            if attempt < TRIES_MAX {
                sleep(backoff).await;
                backoff *= 2;
            }
        }
        // As long as nobody knows whether it was committed, nobody is told that nothing happened.
        if let (Broke::Jobs(cause) | Broke::Contended(cause), Some(_)) = (&broke, &self.in_doubt) {
            tracing::error!(%cause, "a batch that may have been committed can't be asked for");
            return Err(Broke::Database);
        }
        if matches!(broke, Broke::Database) {
            tracing::error!(jobs = jobs.len(), "gave a batch up: the database stays unavailable");
        }
        Err(broke)
    }

    async fn attempt(&mut self, jobs: &[Job]) -> Result<(), StoreError> {
        if let Some(doubt) = self.in_doubt.as_mut().filter(|doubt| !doubt.locked) {
            doubt.locked = true;
            sleep(UNLOCKED_TIME).await;
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.store.writer().await?,
        };
        let (mut numbers, mut open) = self.open(jobs);
        let mut needs = footprint(&open);
        if let Some(doubt) = &self.in_doubt {
            // Whoever still commits it keeps its locks: these are waited for.
            writer.lock_next(1);
            needs
                .transactions
                .extend(doubt.applied.effects.transactions.iter().map(|it| it.name()));
        }
        // Ends: every pass loads more rows than the one before, and there are only so many; or it
        // locks them, as the one before did not.
        loop {
            writer.begin().await?;
            let now = self.clock.now();
            #[cfg(feature = "simulator")]
            writer.witness(&open, now);
            let tips_since = now.days_before(self.policy.maturity_days);
            let state = writer.load(&needs, tips_since).await?;
            let state = self.stale.instead_of(state, &needs);
            if let Some(doubt) = self.in_doubt.take()
                && self.resolve(doubt, &state)
            {
                // They are there. The others are decided anew.
                writer.rollback().await?;
                (numbers, open) = self.open(jobs);
                if open.is_empty() {
                    self.writer = Some(writer);
                    return Ok(());
                }
                needs = footprint(&open);
                continue;
            }
            match self.apply(&open, state, now)? {
                Err(more) => {
                    writer.rollback().await?;
                    if !needs.extend(*more) {
                        return Err(StoreError::broken("the core asks for rows that it has"));
                    }
                }
                Ok(applied) if applied.effects.is_empty() => {
                    // What isn't written isn't proven, and this may be a server that is no longer
                    // the one to ask: it gives no locks.
                    if !writer.is_locked() {
                        writer.lock_next(1);
                        continue;
                    }
                    // They were held to the end: nothing has changed since it was decided.
                    writer.rollback().await?;
                    self.writer = Some(writer);
                    self.answer(numbers, applied);
                    return Ok(());
                }
                Ok(applied) => {
                    // Put aside before: if an answer is lost, or late, this is the question that is
                    // asked next.
                    let locked = writer.is_locked();
                    let doubt = self.in_doubt.insert(Doubt { jobs: numbers, applied, locked });
                    match writer.persist(&doubt.applied.effects).await {
                        Ok(()) => {}
                        Err(StoreError::Conflict(_)) if !locked => {
                            writer.lock_next(LOCKED_AFTER_CONFLICT);
                            numbers = self.in_doubt.take().map_or_else(Vec::new, |it| it.jobs);
                            continue;
                        }
                        Err(StoreError::Unavailable(cause)) => {
                            return Err(StoreError::Unavailable(cause));
                        }
                        Err(no) => {
                            self.in_doubt = None;
                            return Err(no);
                        }
                    }
                    if planted::is(Bug::WatchUncommitted) {
                        let effects = self.in_doubt.iter().map(|doubt| &doubt.applied.effects);
                        let changed = effects.flat_map(ledger::Effects::all_accounts);
                        self.watches.tell(changed.map(|account| &account.id));
                    }
                    let done = writer.commit().await;
                    if !planted::is(Bug::ReplyBeforeCommit) {
                        done?;
                    }
                    self.writer = Some(writer);
                    let done = self.in_doubt.take().expect("nobody else takes it");
                    self.answer(done.jobs, done.applied);
                    return Ok(());
                }
            }
        }
    }

    /// The jobs of which nothing is known yet, and their numbers.
    fn open<'j>(&self, jobs: &'j [Job]) -> (Vec<usize>, Cow<'j, [Job]>) {
        let numbers = (0..jobs.len()).filter(|n| self.known.get(*n).is_none_or(Option::is_none));
        let numbers: Vec<usize> = numbers.collect();
        if numbers.len() == jobs.len() {
            return (numbers, Cow::Borrowed(jobs));
        }
        let open = numbers.iter().filter_map(|n| jobs.get(*n).cloned()).collect();
        (numbers, Cow::Owned(open))
    }

    /// Looks for what a lost commit would have written: a job is known if all that it did is there.
    /// Others are not, though what preceded them (a lapse) may be: anybody could have posted that.
    /// Whether any is known now.
    fn resolve(&mut self, doubt: Doubt, state: &State) -> bool {
        let mut any = false;
        for (number, outcomes) in doubt.jobs.into_iter().zip(doubt.applied.outcomes) {
            if !outcomes.is_empty()
                && outcomes.iter().all(|outcome| state.has_done(outcome))
                && let Some(known) = self.known.get_mut(number)
            {
                *known = Some(outcomes);
                any = true;
            }
        }
        if any {
            let changed = doubt.applied.effects.all_accounts().map(|account| &account.id);
            self.watches.tell(changed);
        }
        any
    }

    /// What is durable is told.
    fn answer(&mut self, numbers: Vec<usize>, applied: Applied) {
        self.watches.tell(applied.effects.all_accounts().map(|account| &account.id));
        for (number, outcomes) in numbers.into_iter().zip(applied.outcomes) {
            if let Some(known) = self.known.get_mut(number) {
                *known = Some(outcomes);
            }
        }
    }

    /// Decides, and asserts the laws. What the core holds impossible is a bug of ours, and must
    /// not take the committer down with it.
    fn apply(
        &self,
        jobs: &[Job],
        state: State,
        now: Time,
    ) -> Result<Result<Applied, Box<Footprint>>, StoreError> {
        let decide = || {
            let applied = apply(jobs, state, &self.policy, &self.key, now);
            applied.map(|applied| applied.effects.check().map(|()| applied))
        };
        match catch_unwind(AssertUnwindSafe(decide)) {
            Ok(Ok(checked)) => Ok(Ok(checked.map_err(|broken| StoreError::Broken(broken.into()))?)),
            Ok(Err(needs)) => Ok(Err(needs)),
            Err(_) => Err(StoreError::broken("the core came upon something impossible")),
        }
    }
}

/// Tells everybody whose job wasn't committed why.
fn fail(rest: Vec<Submission>, broke: &Broke) {
    for Submission { waiting, .. } in rest {
        let failure = match broke {
            Broke::Database | Broke::Contended(_) => Failure::StoreUnavailable,
            Broke::Jobs(cause) => {
                tracing::error!(parent: &waiting.span, %cause, "a job can't be committed");
                Failure::Internal
            }
        };
        drop(waiting.answer.send(Err(failure)));
    }
}
