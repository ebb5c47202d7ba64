//! One batch, from its jobs to its answers.

use super::{Failure, Submission, stale::Stale, trouble::Trouble, watch::Watches};
use crate::{
    clock::Clock,
    store::{Store, StoreError, Writer},
};
use ledger::{
    Applied, ChainKey, Footprint, Job, Outcome, Policy, State, Time, apply, footprint,
    planted::{self, Bug},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;

/// How often a batch is tried while the database is away, or a single job while others are first.
const TRIES_MAX: u32 = 5;

/// How often a batch of several jobs is tried while others are first, before it is halved: most of
/// them have nothing to do with whoever keeps a lock.
const CONFLICTS_MAX: u32 = 2;

/// The wait before the second try; each further one is twice as long.
const BACKOFF_FIRST: Duration = Duration::from_millis(20);

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
    in_doubt: Option<Applied>,
    stale: Stale,
}

type Answers = Vec<Vec<Outcome>>;

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
            match self.run(&jobs).await {
                Ok(answers) => {
                    for (waiting, outcomes) in waiting.into_iter().zip(answers) {
                        // Whoever asked may be gone; what was done is done.
                        drop(waiting.answer.send(Ok(outcomes)));
                    }
                }
                Err(Broke::Jobs(cause) | Broke::Contended(cause)) if jobs.len() > 1 => {
                    tracing::warn!(jobs = jobs.len(), %cause, "a batch can't be committed: halving");
                    let middle = jobs.len() / 2;
                    let mut first: Vec<_> = jobs
                        .into_iter()
                        .zip(waiting)
                        .map(|(job, waiting)| Submission { job, waiting })
                        .collect();
                    stack.push(first.split_off(middle));
                    stack.push(first);
                }
                Err(broke) => {
                    for waiting in waiting {
                        let failure = match &broke {
                            Broke::Database | Broke::Contended(_) => Failure::StoreUnavailable,
                            Broke::Jobs(cause) => {
                                let span = &waiting.span;
                                tracing::error!(parent: span, %cause, "a job can't be committed");
                                Failure::Internal
                            }
                        };
                        drop(waiting.answer.send(Err(failure)));
                    }
                }
            }
        }
    }

    /// Runs the jobs until they are committed, or for as often as makes sense.
    async fn run(&mut self, jobs: &[Job]) -> Result<Answers, Broke> {
        self.in_doubt = None;
        self.stale = Stale::default();
        let mut backoff = BACKOFF_FIRST;
        let mut broke = Broke::Database;
        for attempt in 1..=TRIES_MAX {
            let tried = timeout(TRY_TIMEOUT, self.attempt(jobs)).await;
            match tried.unwrap_or_else(|late| Err(StoreError::Unavailable(late.into()))) {
                Ok(answers) => {
                    self.trouble.tell(false);
                    return Ok(answers);
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
                tokio::time::sleep(backoff).await;
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

    async fn attempt(&mut self, jobs: &[Job]) -> Result<Answers, StoreError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.store.writer().await?,
        };
        let mut needs = footprint(jobs);
        if let Some(doubt) = &self.in_doubt {
            needs.transactions.extend(doubt.effects.transactions.iter().map(|it| it.name()));
        }
        // Ends: every pass loads more rows than the one before, and there are only so many.
        loop {
            writer.begin().await?;
            let now = self.clock.now();
            #[cfg(feature = "simulator")]
            writer.witness(jobs, now);
            let tips_since = now.days_before(self.policy.maturity_days);
            let state = writer.load(&needs, tips_since).await?;
            let state = self.stale.instead_of(state, &needs);
            if let Some(committed) = self.in_doubt.take_if(|doubt| doubt.effects.are_in(&state)) {
                // It is there, whatever becomes of the connection now.
                let writer = writer.rollback().await.is_ok().then_some(writer);
                return Ok(self.answer(writer, committed));
            }
            match self.apply(jobs, state, now)? {
                Err(more) => {
                    writer.rollback().await?;
                    if !needs.extend(*more) {
                        return Err(StoreError::broken("the core asks for rows that it has"));
                    }
                }
                Ok(applied) if applied.effects.is_empty() => {
                    // Its locks were held to the end: nothing has changed since it was decided.
                    writer.rollback().await?;
                    return Ok(self.answer(Some(writer), applied));
                }
                Ok(applied) => {
                    writer.persist(&applied.effects).await?;
                    if planted::is(Bug::WatchUncommitted) {
                        self.watches.tell(applied.effects.all_accounts().map(|it| &it.id));
                    }
                    // Put aside before the commit: if its answer is lost, or late, this is the
                    // question that is asked next.
                    self.in_doubt = Some(applied);
                    let done = writer.commit().await;
                    if !planted::is(Bug::ReplyBeforeCommit) {
                        done?;
                    }
                    let committed = self.in_doubt.take().expect("nobody else takes it");
                    return Ok(self.answer(Some(writer), committed));
                }
            }
        }
    }

    /// What is durable is told.
    fn answer(&mut self, writer: Option<Writer>, applied: Applied) -> Answers {
        self.writer = writer;
        self.watches.tell(applied.effects.all_accounts().map(|account| &account.id));
        applied.outcomes
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
