//! Clients: they ask, lose patience, ask again with the same key, ask twice; and followers, who want
//! to know what an account holds.

use super::{dice::Dice, judge::Tag, world::World};
use ledger::{AccountId, Job};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use token_service::committer::Failure;
use tokio::time::sleep;

/// The longest pause between two of a client's commands.
const PAUSE_MILLIS_MAX: u64 = 20;

/// The longest that a client waits for an answer.
const PATIENCE_MILLIS_MAX: u64 = 400;

/// How late a request that was sent twice may arrive the second time.
const LATE_MILLIS_MAX: u64 = 600;

/// How often a client asks at most.
const TRIES_MAX: u32 = 4;

/// What all clients know.
pub(super) struct Shared {
    pub(super) world: Arc<World>,
    pub(super) dice: Mutex<Dice>,
    pub(super) commands_max: usize,
}

/// What a client knows after it asked.
#[derive(PartialEq, Eq)]
enum Known {
    /// It was told.
    Everything,
    /// Ask again.
    Nothing,
}

/// Asks for so many commands, one after the other.
pub(super) async fn run(shared: Arc<Shared>, mut rng: fastrand::Rng, commands: usize) {
    let mut left = commands;
    while left > 0 {
        sleep(Duration::from_millis(rng.u64(..PAUSE_MILLIS_MAX))).await;
        let job = {
            let mut state = shared.world.lock();
            state.pass(time_between(&mut rng));
            let now = state.now();
            let mut dice = shared.dice.lock().unwrap_or_else(PoisonError::into_inner);
            dice.job(&mut rng, now, left.min(shared.commands_max))
        };
        left -= job.commands.len();
        if rng.u32(..16) == 0 {
            let (world, job) = (Arc::clone(&shared.world), job.clone());
            let late = rng.u64(..LATE_MILLIS_MAX);
            let mut rng = rng.fork();
            shared.world.spawn(async move {
                sleep(Duration::from_millis(late)).await;
                ask(&world, &mut rng, &job).await;
            });
        }
        for _ in 0..TRIES_MAX {
            if ask(&shared.world, &mut rng, &job).await == Known::Everything {
                break;
            }
            sleep(Duration::from_millis(rng.u64(..PAUSE_MILLIS_MAX))).await;
        }
    }
}

/// Mostly seconds, sometimes hours.
fn time_between(rng: &mut fastrand::Rng) -> i64 {
    const SECOND: i64 = 1_000_000;
    match rng.u32(..60) {
        0 => rng.i64(0..86_400 * SECOND),
        1..4 => rng.i64(0..3_600 * SECOND),
        _ => rng.i64(0..30 * SECOND),
    }
}

/// Sends the job to some replica.
async fn ask(world: &Arc<World>, rng: &mut fastrand::Rng, job: &Job) -> Known {
    let mut job = job.clone();
    let (tag, committer, life) = {
        let mut state = world.lock();
        let replica = rng.usize(..state.replicas.len());
        let tag = state.judge.tag();
        for command in &mut job.commands {
            command.note.reference = tag.to_string();
        }
        state.judge.submitted(tag, &job);
        state.note(|| format!("#{tag} to replica {replica}: {}", words(&job)));
        let replica = &state.replicas[replica];
        (tag, replica.committer.clone(), replica.life.clone())
    };
    let patience = Duration::from_millis(rng.u64(50..PATIENCE_MILLIS_MAX));
    let told = tokio::select! {
        biased;
        () = life.cancelled() => None,
        told = committer.submit(job) => Some(told),
        () = sleep(patience) => None,
    };
    let known = match &told {
        Some(Ok(_)) => Known::Everything,
        Some(Err(_)) | None => Known::Nothing,
    };
    tell(world, tag, told);
    known
}

fn tell(world: &World, tag: Tag, told: Option<Result<Vec<ledger::Outcome>, Failure>>) {
    let mut state = world.lock();
    state.note(|| match &told {
        Some(Ok(outcomes)) => format!("#{tag} is told {}", outcome_words(outcomes)),
        Some(Err(failure)) => format!("#{tag} is told: {failure}"),
        None => format!("#{tag} is told nothing"),
    });
    if let Some(told) = told {
        let verdict = state.judge.answered(tag, &told);
        drop(state);
        world.judge(verdict);
    }
}

fn words(job: &Job) -> String {
    let commands = job.commands.iter().map(|command| {
        let key = command.key.as_deref().unwrap_or("-");
        format!("{} {key} {:?}", command.account, command.act)
    });
    format!("{:?} {}", job.mode, commands.collect::<Vec<_>>().join("; "))
}

fn outcome_words(outcomes: &[ledger::Outcome]) -> String {
    let outcomes = outcomes.iter().map(|outcome| match outcome {
        Ok(receipt) => {
            let replayed = if receipt.replayed { " again" } else { "" };
            format!("done{replayed}, {:?}", receipt.balance)
        }
        Err(rejection) => format!("{rejection:?}"),
    });
    outcomes.collect::<Vec<_>>().join("; ")
}

/// Follows an account at one replica, and at the next one when that dies. What it sees must be
/// committed, never older than what it saw before, and the newest at last.
pub(super) async fn follow(world: Arc<World>, replica: usize, account: AccountId) {
    loop {
        let (committer, life) = {
            let state = world.lock();
            let replica = &state.replicas[replica];
            (replica.committer.clone(), replica.life.clone())
        };
        let mut changes = committer.watch(&account);
        tokio::select! {
            biased;
            () = life.cancelled() => {}
            () = async {
                let mut last = 0;
                loop {
                    look(&world, replica, &account, &mut last).await;
                    if !changes.changed().await {
                        return;
                    }
                }
            } => {}
        }
    }
}

async fn look(world: &Arc<World>, replica: usize, account: &AccountId, last: &mut i64) {
    let store = {
        let state = world.lock();
        state.replicas[replica].store.clone()
    };
    let seen = loop {
        match store.accounts(std::slice::from_ref(account)).await.map(|mut rows| rows.pop()) {
            Ok(Some(seen)) => break seen,
            Ok(None) => return,
            // Whoever follows asks again.
            Err(_) => sleep(Duration::from_millis(PAUSE_MILLIS_MAX)).await,
        }
    };
    let mut state = world.lock();
    let seen = seen.balance();
    state.note(|| format!("{account} is seen at replica {replica}: {seen:?}"));
    let mut verdict = state.judge.seen(account, seen);
    if seen.sequence < *last {
        verdict = Err(format!("{account} is seen with {seen:?} after sequence {last}"));
    }
    *last = seen.sequence;
    state.followed.insert((replica, account.clone()), seen.sequence);
    drop(state);
    world.judge(verdict);
}
