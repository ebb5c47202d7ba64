//! The simulator: a world by seed, in which everything that can break does, and a judge.
//!
//! Two replicas with their real committers, sweepers and watches share one simulated database. Time
//! is simulated, all dice are thrown by one seed, there is one thread: a seed is always the same
//! world. At every step (connect, begin, load, persist, commit, roll back; before and after) a
//! connection may be lost, a replica or the database may crash, a clock may jump; a commit may be
//! refused, done in silence, or done later; clients lose patience, ask again, ask twice.
//!
//! What is then held against what: see `judge` (linearizable, nothing lost, nothing doubled) and
//! `laws` (the rows by themselves).

mod client;
mod database;
mod dice;
mod judge;
mod laws;
mod replica;
mod session;
mod world;

use client::Shared;
use dice::Dice;
use ledger::{
    ChainKey,
    planted::{self, Bug},
};
use replica::Replica;
use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};
use token_service::committer::Limits;
use tokio::{task::JoinSet, time::sleep};
use world::{Fault, Tracing, Weather, World};

/// Commands per world.
const COMMANDS: usize = 200;

/// Time for everything that is still under way to end, once the weather is calm.
const CALM: Duration = Duration::from_secs(2);

/// What a world was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Steps in which something could have gone wrong.
    pub steps: u64,
    /// Transactions in the end.
    pub transactions: usize,
}

/// What is planted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bugs {
    /// In the service and its database.
    service: Option<Bug>,
    /// In the ledger of the judge.
    judge: Option<Bug>,
}

impl Bugs {
    /// In the service alone: the judge must see it.
    #[must_use]
    pub fn unknown_to_the_judge(bug: Bug) -> Self {
        Self { service: Some(bug), judge: None }
    }

    /// In the service and the judge: the laws must see it.
    #[must_use]
    pub fn shared_by_the_judge(bug: Bug) -> Self {
        Self { service: Some(bug), judge: Some(bug) }
    }
}

/// Something that must not be.
#[derive(Debug)]
pub struct Violation {
    /// The world's seed.
    pub seed: u64,
    /// What is wrong, and how it came about.
    pub words: String,
}

/// Lives through the worlds of these seeds, with planted bugs or none.
///
/// # Errors
/// The first violation.
pub fn run(seeds: impl IntoIterator<Item = u64>, bugs: Bugs) -> Result<Summary, Violation> {
    let mut all = Summary::default();
    for seed in seeds {
        match world(seed, bugs, Tracing::Off) {
            Ok(one) => {
                all.steps += one.steps;
                all.transactions += one.transactions;
            }
            // The same again, to see how it comes about.
            Err(words) => {
                let words = world(seed, bugs, Tracing::On).err().unwrap_or(words);
                return Err(Violation { seed, words });
            }
        }
    }
    Ok(all)
}

/// All that happens in the world of a seed, line by line.
#[must_use]
pub fn trace(seed: u64) -> Vec<String> {
    in_a_world(async {
        std::mem::take(&mut live(seed, Bugs::default(), Tracing::On).await.lock().trace)
    })
}

/// One world, from its seed to its end.
fn world(seed: u64, bugs: Bugs, tracing: Tracing) -> Result<Summary, String> {
    let _planted = planted::plant(bugs.service);
    in_a_world(async {
        let world = live(seed, bugs, tracing).await;
        let state = world.lock();
        match state.violation() {
            Some(words) => Err(words),
            None => Ok(Summary {
                steps: state.steps(),
                transactions: state.tables.rows.transactions.len(),
            }),
        }
    })
}

/// One thread, and time that passes when nobody has anything to do.
fn in_a_world<T>(life: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(life)
}

async fn live(seed: u64, bugs: Bugs, tracing: Tracing) -> Arc<World> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let policy = Arc::new(dice::policy(&mut rng));
    let key = ChainKey::new("test", b"sixteen or more.");
    let weather = weather(&mut rng);
    let (accounts, clients) = (rng.usize(2..6), rng.usize(1..9));
    let batch_commands_max = [1, 2, 4, 64][rng.usize(..4)];
    let queue_commands_max = [8, 64][rng.usize(..2)];
    let lanes = [1, 1, 2, 4][rng.usize(..4)];
    let limits = Limits { queue_commands_max, batch_commands_max, lanes };
    let world = World::new(rng.fork(), weather, policy, key, bugs, tracing);
    for number in 0..2 {
        let replica = Replica::start(&world, number, limits);
        world.lock().replicas.push(replica);
    }
    world.lock().pass(0);
    let dice = Dice::new(accounts);
    for account in dice.accounts() {
        for replica in 0..2 {
            world.spawn(client::follow(Arc::clone(&world), replica, account.clone()));
        }
    }
    let dice = Mutex::new(dice);
    let shared = Arc::new(Shared { world: Arc::clone(&world), dice, commands_max: 4 });
    let mut asking = JoinSet::new();
    for nth in 0..clients {
        let commands = COMMANDS / clients + usize::from(nth < COMMANDS % clients);
        asking.spawn(client::run(Arc::clone(&shared), rng.fork(), commands));
    }
    let course = async {
        while let Some(ended) = asking.join_next().await {
            ended.expect("clients don't panic");
        }
        world.lock().weather.faults_per_mille = 0;
        sleep(CALM).await;
    };
    tokio::select! {
        biased;
        () = world.violated() => {}
        () = course => world.judge(end(&world)),
    }
    world
}

/// What must be true in the end.
fn end(world: &World) -> Result<(), String> {
    let state = world.lock();
    let rows = &state.tables.rows;
    state.judge.holds(rows)?;
    laws::check(rows, &world.policy, &world.key)?;
    state.followers_are_up_to_date()
}

fn weather(rng: &mut fastrand::Rng) -> Weather {
    use Fault::{ClockJump, DatabaseCrash, Lost, ReplicaCrash};
    let faults: [&[Fault]; 4] = [
        &[Lost, ReplicaCrash, DatabaseCrash, ClockJump],
        &[Lost, ReplicaCrash, DatabaseCrash],
        &[ReplicaCrash],
        &[Lost, ClockJump],
    ];
    Weather {
        faults_per_mille: [0, 5, 20, 60][rng.usize(..4)],
        slow_one_in: [1, 2, 4][rng.usize(..3)],
        faults: faults[rng.usize(..4)],
    }
}
