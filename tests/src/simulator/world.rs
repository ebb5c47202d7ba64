//! What everybody in a simulated world shares: the dice, the time, the faults, the judge, the trace.

use super::{
    Bugs,
    database::Tables,
    judge::{Judge, Verdict},
    replica::Replica,
};
use ledger::{AccountId, ChainKey, Policy, Time};
use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

/// When every world begins: 2026-01-01.
const BEGIN: Time = Time(1_767_225_600_000_000);

/// How far one jump may set a replica's clock, either way.
const JUMP_MICROS_MAX: i64 = 2 * 3_600 * 1_000_000;

/// The longest that a step takes by itself.
const STEP_MILLIS_MAX: u64 = 8;

/// Events that a violation shows.
const TRACE_LINES_MAX: usize = 60;

/// How often something goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// Steps in a thousand that meet a fault.
    pub(super) faults_per_mille: u32,
    /// One step in so many takes a while.
    pub(super) slow_one_in: u32,
    /// What may go wrong.
    pub(super) faults: &'static [Fault],
}

/// What can happen to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection is lost.
    Lost,
    /// Some replica dies, perhaps the one at work, and comes up again.
    ReplicaCrash,
    /// The database dies and comes up again.
    DatabaseCrash,
    /// The replica's clock jumps.
    ClockJump,
}

/// Everything that changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) rng: fastrand::Rng,
    pub(super) tables: Tables,
    pub(super) judge: Judge,
    pub(super) replicas: Vec<Replica>,
    pub(super) weather: Weather,
    /// The newest entry that followers have seen, by replica and account.
    pub(super) followed: BTreeMap<(usize, AccountId), i64>,
    truth: Time,
    /// Steps so far.
    steps: u64,
    tracing: Tracing,
    pub(super) trace: Vec<String>,
    violation: Option<String>,
}

/// Shared by all tasks of one world.
pub(super) struct World {
    state: Mutex<State>,
    pub(super) policy: Arc<Policy>,
    pub(super) key: ChainKey,
    /// Told when locks are released.
    pub(super) released: Notify,
    violated: Notify,
    tasks: Mutex<JoinSet<()>>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// Whether to write down what happens: it costs as much as the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tracing {
    On,
    Off,
}

impl World {
    pub(super) fn new(
        rng: fastrand::Rng,
        weather: Weather,
        policy: Arc<Policy>,
        key: ChainKey,
        bugs: Bugs,
        tracing: Tracing,
    ) -> Arc<Self> {
        let state = State {
            rng,
            tables: Tables::default(),
            judge: Judge::new(Arc::clone(&policy), key.clone(), bugs.judge),
            replicas: Vec::new(),
            weather,
            followed: BTreeMap::new(),
            truth: BEGIN,
            steps: 0,
            tracing,
            trace: Vec::new(),
            violation: None,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            policy,
            key,
            released: Notify::new(),
            violated: Notify::new(),
            tasks: Mutex::default(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs beside everything else, until the world ends.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task)
    }

    /// Waits until something is wrong.
    pub(super) async fn violated(&self) {
        self.violated.notified().await;
    }

    pub(super) fn judge(&self, verdict: Verdict) {
        if let Err(what) = verdict {
            let mut state = self.lock();
            let step = state.steps;
            state.violation.get_or_insert_with(|| format!("at step {step}: {what}"));
            self.violated.notify_one();
        }
    }

    /// A while, or none.
    pub(super) async fn linger(&self) {
        let millis = {
            let mut state = self.lock();
            let slow = state.weather.slow_one_in;
            if state.rng.u32(..slow) > 0 { None } else { Some(state.rng.u64(..STEP_MILLIS_MAX)) }
        };
        if let Some(millis) = millis {
            sleep(Duration::from_millis(millis)).await;
        }
    }
}

impl State {
    /// What happens to this step, if anything does.
    pub(super) fn fault(&mut self) -> Option<Fault> {
        self.steps += 1;
        if self.rng.u32(..1_000) >= self.weather.faults_per_mille {
            return None;
        }
        Some(self.weather.faults[self.rng.usize(..self.weather.faults.len())])
    }

    /// Lets time go by, for everybody.
    pub(super) fn pass(&mut self, micros: i64) {
        self.truth = self.truth.after_micros(micros);
        for replica in &self.replicas {
            replica.set(self.truth);
        }
    }

    /// The replica's clock jumps, forwards or backwards.
    pub(super) fn jump(&mut self, replica: usize) {
        let by = self.rng.i64(-JUMP_MICROS_MAX..=JUMP_MICROS_MAX);
        self.replicas[replica].skew_micros = by;
        self.replicas[replica].set(self.truth);
        self.note(|| format!("the clock of replica {replica} is off by {} s", by / 1_000_000));
    }

    pub(super) fn now(&self) -> Time {
        self.truth
    }

    pub(super) fn note(&mut self, words: impl FnOnce() -> String) {
        let step = self.steps;
        if self.tracing == Tracing::On {
            self.trace.push(format!("{step:>6}  {}", words()));
        }
    }

    /// Whether everybody who follows an account has seen its newest balance.
    pub(super) fn followers_are_up_to_date(&self) -> Verdict {
        for account in self.tables.rows.accounts.values() {
            for replica in 0..self.replicas.len() {
                let seen = self.followed.get(&(replica, account.id.clone())).copied();
                if seen != Some(account.sequence) {
                    let (id, newest) = (&account.id, account.sequence);
                    return Err(format!(
                        "{id} is followed at replica {replica} up to {seen:?} of {newest}"
                    ));
                }
            }
        }
        Ok(())
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// What was wrong, and how it came about.
    pub(super) fn violation(&self) -> Option<String> {
        let what = self.violation.as_ref()?;
        let (_, last) = self.trace.split_at(self.trace.len().saturating_sub(TRACE_LINES_MAX));
        Some(format!("{what}\n{}", last.join("\n")))
    }
}
