//! One batch, from its jobs to its answers.

use super::{Failure, Submission, watch::Watches};
use crate::{
    clock::Clock,
    store::{Store, StoreError, Writer},
};
use ledger::{Applied, ChainKey, Footprint, Job, Outcome, Policy, State, Time, apply, footprint};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

/// How often a batch is tried while the database is away.
const TRIES_MAX: u32 = 5;

/// The wait before the second try; each further one is twice as long.
const BACKOFF_FIRST: Duration = Duration::from_millis(20);

/// How often a batch may find that it needs more rows. Four levels are known: a reversal's original,
/// its receiver, the closed grants, and the rows behind those.
const PASSES_MAX: usize = 8;

pub(super) struct Batcher {
    store: Store,
    writer: Option<Writer>,
    policy: Arc<Policy>,
    key: ChainKey,
    clock: Clock,
    watches: Watches,
}

type Answers = Vec<Vec<Outcome>>;

impl Batcher {
    pub(super) fn new(
        store: Store,
        policy: Arc<Policy>,
        key: ChainKey,
        clock: Clock,
        watches: Watches,
    ) -> Self {
        Self { store, writer: None, policy, key, clock, watches }
    }

    /// Commits the batch and answers everybody in it. A batch with a culprit is halved until the
    /// culprit stands alone.
    pub(super) async fn commit(&mut self, batch: Vec<Submission>) {
        let mut stack = vec![batch];
        while let Some(mut batch) = stack.pop() {
            let (jobs, waiting): (Vec<Job>, Vec<_>) =
                batch.drain(..).map(|it| (it.job, (it.answer, it._room))).unzip();
            match self.run(&jobs).await {
                Ok(answers) => {
                    for ((answer, _room), outcomes) in waiting.into_iter().zip(answers) {
                        // Whoever asked may be gone; what was done is done.
                        drop(answer.send(Ok(outcomes)));
                    }
                }
                Err(Failure::Internal) if jobs.len() > 1 => {
                    let mut halves = jobs.into_iter().zip(waiting).map(|(job, (answer, _room))| {
                        Submission { job, answer, _room }
                    });
                    let middle = halves.len() / 2;
                    let first: Vec<_> = halves.by_ref().take(middle).collect();
                    stack.push(halves.collect());
                    stack.push(first);
                }
                Err(failure) => {
                    for (answer, _room) in waiting {
                        drop(answer.send(Err(failure)));
                    }
                }
            }
        }
    }

    /// Runs the jobs until they are committed, or for as often as makes sense.
    async fn run(&mut self, jobs: &[Job]) -> Result<Answers, Failure> {
        let mut backoff = BACKOFF_FIRST;
        for attempt in 1..=TRIES_MAX {
            match self.attempt(jobs).await {
                Ok(answers) => return Ok(answers),
                Err(StoreError::Broken(cause)) => {
                    self.writer = None;
                    tracing::error!(jobs = jobs.len(), %cause, "a batch can't be committed");
                    return Err(Failure::Internal);
                }
                Err(StoreError::Unavailable(cause)) => {
                    self.writer = None;
                    tracing::warn!(attempt, %cause, "the database is unavailable");
                }
            }
            if attempt < TRIES_MAX {
                tokio::time::sleep(backoff).await;
                backoff *= 2;
            }
        }
        tracing::error!(jobs = jobs.len(), "gave a batch up: the database stays unavailable");
        Err(Failure::StoreUnavailable)
    }

    async fn attempt(&mut self, jobs: &[Job]) -> Result<Answers, StoreError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.store.writer().await?,
        };
        let mut needs = footprint(jobs);
        for _ in 0..PASSES_MAX {
            writer.begin().await?;
            let now = self.clock.now();
            let tips_since = now.days_before(self.policy.maturity_days);
            let state = writer.load(&needs, tips_since).await?;
            match self.apply(jobs, state, now)? {
                Err(more) => {
                    writer.rollback().await?;
                    needs.extend(*more);
                }
                Ok(applied) if applied.effects.is_empty() => {
                    writer.rollback().await?;
                    self.writer = Some(writer);
                    return Ok(applied.outcomes);
                }
                Ok(applied) => {
                    writer.persist(&applied.effects).await?;
                    writer.commit().await?;
                    self.writer = Some(writer);
                    self.watches.tell(applied.effects.all_accounts().map(|account| &account.id));
                    return Ok(applied.outcomes);
                }
            }
        }
        Err(StoreError::broken(format!("{PASSES_MAX} passes didn't find all rows of a batch")))
    }

    /// Decides, and asserts the laws. What the core holds impossible is a bug of ours, and must
    /// not take the committer down with it.
    fn apply(
        &self,
        jobs: &[Job],
        state: State,
        now: Time,
    ) -> Result<Result<Applied, Box<Footprint>>, StoreError> {
        let decide = || apply(jobs, state, &self.policy, &self.key, now);
        let applied = catch_unwind(AssertUnwindSafe(decide))
            .map_err(|_| StoreError::broken("the core came upon something impossible"))?;
        if let Ok(applied) = &applied {
            applied.effects.check().map_err(|broken| StoreError::Broken(broken.into()))?;
        }
        Ok(applied)
    }
}
