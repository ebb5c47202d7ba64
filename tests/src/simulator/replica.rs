//! A replica: a real committer, sweeper and feed over the simulated database, with a clock of their
//! own. It can die between any two steps; what it knew is gone then, and a new one takes its place.

use super::{database::Connections, world::World};
use ledger::Time;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use token_service::{
    clock::Clock,
    committer::{Committer, Limits},
    events,
    store::Store,
    sweeper,
};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// How often a replica sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Replica {
    pub(super) committer: Committer,
    pub(super) store: Store,
    /// Cancelled when it dies. Who waits is told in the order in which they came: a channel's
    /// watchers aren't.
    pub(super) life: CancellationToken,
    pub(super) skew_micros: i64,
    clock: Arc<AtomicI64>,
    limits: Limits,
    tasks: [AbortHandle; 3],
}

impl Replica {
    pub(super) fn start(world: &Arc<World>, number: usize, limits: Limits) -> Self {
        let clock = Arc::new(AtomicI64::new(0));
        let store = Store::Simulated(Arc::new(Connections::new(world, number)));
        let (committer, tasks) = come_up(world, &store, &clock, limits);
        let life = CancellationToken::new();
        Self { committer, store, life, skew_micros: 0, clock, limits, tasks }
    }

    pub(super) fn set(&self, truth: Time) {
        self.clock.store(truth.after_micros(self.skew_micros).0, Ordering::SeqCst);
    }

    /// Dies, wherever it is, and comes up again. Its clients see their connections end.
    pub(super) fn crash(&mut self, world: &World) {
        std::mem::take(&mut self.life).cancel();
        self.tasks.iter().for_each(AbortHandle::abort);
        (self.committer, self.tasks) = come_up(world, &self.store, &self.clock, self.limits);
    }
}

fn come_up(
    world: &World,
    store: &Store,
    clock: &Arc<AtomicI64>,
    limits: Limits,
) -> (Committer, [AbortHandle; 3]) {
    let (store, clock) = (store.clone(), Clock::Manual(Arc::clone(clock)));
    let policy = Arc::clone(&world.policy);
    let key = world.key.clone();
    let (committer, task) = Committer::start(store.clone(), policy, key, clock.clone(), limits);
    let stop = CancellationToken::new();
    let feed = events::run(store.clone(), committer.watches().clone(), stop.clone());
    let sweeper = sweeper::run(store, committer.clone(), clock, SWEEP_INTERVAL, stop);
    (committer, [task.abort_handle(), world.spawn(sweeper), world.spawn(feed)])
}
