//! The committer: commands in, batches to the store, answers out.
//!
//! No request owns a database transaction. It puts a job into a bounded queue and waits; one task
//! takes whatever queued while the last commit was in flight (no timer: an idle service pays one
//! commit's latency), and takes it through *load, apply, check, persist, commit* before it answers
//! anybody. A request that goes away changes nothing: the task is never cancelled.
//!
//! Round trips per batch: the store's, see there; their number doesn't depend on the batch's size. What
//! bounds a batch: [`Limits::batch_commands_max`], or one job that is larger by itself. What is true
//! after a crash between any two steps: before the commit, nothing happened; after it, everything did,
//! and a caller who was told nothing finds it by its key. So a batch that failed for a reason that may
//! pass is simply run again; if its commit was left without an answer, whether it is there is looked up
//! first, and then it has its first answers.
//!
//! A batch that fails because of what is in it is halved until the culprit stands alone; only that
//! one is told INTERNAL.

mod batch;
mod stale;
mod trouble;
mod watch;

pub use trouble::Trouble;
pub use watch::{Watch, Watches};

use crate::{clock::Clock, lanes, limits::Limit, store::Store};
use batch::Batcher;
use ledger::{AccountId, ChainKey, Command, Job, Mode, Outcome, Policy};
use std::sync::Arc;
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore, TryAcquireError,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tracing::Span;

/// Commands of bulk work that wait or are at work, or half of the queue if that is less. What comes
/// while there is such work waits for one batch of it, not for all of it.
const BULK_COMMANDS_MAX: usize = 512;

/// Why a job has no outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The queue is full. Nothing was tried.
    #[error("the queue is full; nothing was tried")]
    Overloaded,
    /// The service is going away. Nothing was tried.
    #[error("the service is going away; nothing was tried")]
    Draining,
    /// The database is away, full or busy. It may have happened: ask again with the same key.
    #[error("the database is unavailable; it may have happened")]
    StoreUnavailable,
    /// Our bug. Nothing happened; the log has the cause.
    #[error("internal error")]
    Internal,
}

/// How much is taken on at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Commands that wait or are at work; more are refused.
    pub queue_commands_max: usize,
    /// Commands that commit together.
    pub batch_commands_max: usize,
    /// Batches in flight: an account's commands always go by the same lane.
    pub lanes: usize,
}

/// The way into the queue. Clones share it.
#[derive(Clone, Debug)]
pub struct Committer {
    lanes: Arc<[mpsc::Sender<Submission>]>,
    room: Arc<Semaphore>,
    bulk_room: Arc<Semaphore>,
    streams_end: CancellationToken,
    closed: CancellationToken,
    watches: Watches,
    trouble: Trouble,
}

type Outcomes = oneshot::Receiver<Result<Vec<Outcome>, Failure>>;

/// A job and whoever waits for it.
#[derive(Debug)]
struct Submission {
    job: Job,
    waiting: Waiting,
}

/// Whoever waits, the span of their request, and their room in the queue.
#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Result<Vec<Outcome>, Failure>>,
    span: Span,
    _room: OwnedSemaphorePermit,
    _bulk_room: Option<OwnedSemaphorePermit>,
}

impl Committer {
    /// Starts the tasks that commit, one per lane. They end once the queue is closed and empty.
    #[must_use]
    pub fn start(
        store: Store,
        policy: Arc<Policy>,
        key: ChainKey,
        clock: Clock,
        limits: Limits,
    ) -> (Self, JoinHandle<()>) {
        let watches = Watches::default();
        let closed = CancellationToken::new();
        let trouble = Trouble::default();
        let mut tasks = JoinSet::new();
        let mut lanes = Vec::with_capacity(limits.lanes);
        for _ in 0..limits.lanes {
            let (lane, submissions) = mpsc::channel(limits.queue_commands_max);
            let (store, policy, key) = (store.clone(), Arc::clone(&policy), key.clone());
            let (watches, trouble) = (watches.clone(), trouble.clone());
            let batcher = Batcher::new(store, policy, key, clock.clone(), watches, trouble);
            tasks.spawn(run(batcher, submissions, closed.clone(), limits.batch_commands_max));
            lanes.push(lane);
        }
        #[expect(clippy::disallowed_methods, reason = "whoever drains waits for this handle")]
        let task = tokio::spawn(async move { while tasks.join_next().await.is_some() {} });
        let room = Arc::new(Semaphore::new(limits.queue_commands_max));
        let bulk_commands_max = BULK_COMMANDS_MAX.min(limits.queue_commands_max / 2);
        let bulk_room = Arc::new(Semaphore::new(bulk_commands_max));
        let (lanes, streams_end) = (lanes.into(), CancellationToken::new());
        (Self { lanes, room, bulk_room, streams_end, closed, watches, trouble }, task)
    }

    /// Submits a job, at once; what it returns waits for the outcomes, one per command (fewer for an
    /// atomic job that was refused). The job goes on if the caller doesn't wait. Whoever waits holds a
    /// receiver, not the job: there are thousands of them, and they are moved about.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn submit(
        &self,
        job: Job,
    ) -> impl Future<Output = Result<Vec<Outcome>, Failure>> + Send + use<> {
        let outcomes = self.enqueue(job);
        async { outcomes?.await.unwrap_or(Err(Failure::Internal)) }
    }

    fn enqueue(&self, job: Job) -> Result<Outcomes, Failure> {
        let commands = u32::try_from(job.commands.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(commands);
        let room = room.map_err(|full| match full {
            TryAcquireError::NoPermits => {
                Limit::QueueCapacity.bites();
                Failure::Overloaded
            }
            TryAcquireError::Closed => Failure::Draining,
        })?;
        self.send(job, room, None)
    }

    /// Submits a command of bulk work as soon as there is room for it, and waits in line for that: a
    /// queue that is full is nothing to tell whoever has all day. What it returns waits for the outcome.
    ///
    /// # Errors
    /// If the service is going away.
    pub async fn submit_bulk(
        &self,
        command: Command,
    ) -> Result<impl Future<Output = Result<Vec<Outcome>, Failure>> + Send + use<>, Failure> {
        let draining = |_| Failure::Draining;
        let bulk_room = Arc::clone(&self.bulk_room).acquire_owned().await.map_err(draining)?;
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(draining)?;
        let job = Job { commands: vec![command], mode: Mode::Independent };
        let outcomes = self.send(job, room, Some(bulk_room))?;
        Ok(async { outcomes.await.unwrap_or(Err(Failure::Internal)) })
    }

    fn send(
        &self,
        job: Job,
        room: OwnedSemaphorePermit,
        bulk_room: Option<OwnedSemaphorePermit>,
    ) -> Result<Outcomes, Failure> {
        let (answer, outcomes) = oneshot::channel();
        let waiting = Waiting { answer, span: Span::current(), _room: room, _bulk_room: bulk_room };
        let submission = Submission { job, waiting };
        // By its first account. A job may touch others too: the numbers of their entries keep lanes
        // apart, as they do processes.
        let first = submission.job.commands.first().ok_or(Failure::Internal)?;
        let lane = lanes::of(&self.lanes, &first.account).ok_or(Failure::Internal)?;
        // A lane has room for whatever `room` lets in.
        lane.try_send(submission).map_err(|refused| match refused {
            TrySendError::Full(_) => Failure::Overloaded,
            TrySendError::Closed(_) => Failure::Draining,
        })?;
        Ok(outcomes)
    }

    /// Follows one account.
    #[must_use]
    pub fn watch(&self, account: &AccountId) -> Watch {
        self.watches.follow(Some(account))
    }

    /// Follows whatever is committed.
    #[must_use]
    pub fn watch_all(&self) -> Watch {
        self.watches.follow(None)
    }

    /// Everybody who follows something.
    #[must_use]
    pub fn watches(&self) -> &Watches {
        &self.watches
    }

    /// Whether the database takes what is committed.
    #[must_use]
    pub fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// Takes on nothing more. What was accepted is finished and answered.
    pub fn close(&self) {
        self.room.close();
        self.closed.cancel();
    }

    /// Ends every watch and takes no more bulk work, so that their streams can end.
    pub fn end_streams(&self) {
        self.watches.end();
        self.bulk_room.close();
        self.streams_end.cancel();
    }

    /// Waits until [`Committer::end_streams`].
    pub fn streams_end(&self) -> WaitForCancellationFuture<'_> {
        self.streams_end.cancelled()
    }
}

/// Takes what has queued, and commits it; over and over, until the queue is closed and empty.
async fn run(
    mut batcher: Batcher,
    mut submissions: mpsc::Receiver<Submission>,
    closed: CancellationToken,
    commands_max: usize,
) {
    let mut next = None;
    loop {
        let waiting = next.take().or_else(|| submissions.try_recv().ok());
        let first = match waiting {
            Some(submission) => submission,
            None => tokio::select! {
                submission = submissions.recv() => match submission {
                    Some(submission) => submission,
                    None => return,
                },
                // What is in the queue is still taken out; what comes later is turned away.
                () = closed.cancelled(), if !submissions.is_closed() => {
                    submissions.close();
                    continue;
                }
            },
        };
        let mut commands = first.job.commands.len();
        let mut batch = vec![first];
        while let Ok(submission) = submissions.try_recv() {
            commands += submission.job.commands.len();
            if commands > commands_max {
                next = Some(submission);
                break;
            }
            batch.push(submission);
        }
        batcher.commit(batch).await;
    }
}
