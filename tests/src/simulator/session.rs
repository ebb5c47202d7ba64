//! A session of the simulated database: what PostgreSQL promises and no more. Rows that exist are
//! locked in their order, rows that don't can't be; two sessions may make the same account, and one
//! of them then fails. Every step may meet a fault, before and after.

use super::{
    database::unavailable,
    judge::Witnessed,
    world::{Fault, State, World},
};
use ledger::{
    AccountId, Act, Effects, Footprint, Job, Time,
    planted::{self, Bug},
};
use std::{collections::BTreeSet, future::pending, sync::Arc, time::Duration};
use token_service::store::{
    StoreError,
    simulated::{Answer, Session},
};
use tokio::time::sleep;

/// The longest that a commit whose client has gone is still under way.
const LATE_MILLIS_MAX: u64 = 300;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    world: Arc<World>,
    replica: usize,
    id: u64,
    /// The crashes when it was made.
    crashes: u64,
    broken: bool,
    batch: Option<Witnessed>,
    /// Whether the batch's accounts are locked: if not, writing them makes them durable.
    locked: bool,
    /// Whether the next ones are to be locked.
    to_lock: bool,
}

/// A step of a batch, for the trace.
#[derive(Clone, Copy, Debug)]
enum Step {
    Connect,
    Begin,
    Load,
    Persist,
    Commit,
    Rollback,
}

/// How a commit ends.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    /// As it should.
    Done,
    /// The database says no.
    Refused,
    /// It is done, but nobody learns of it.
    AnswerLost,
    /// Nobody learns of it, and it isn't done yet: it will be.
    Late,
}

impl Session for Connection {
    fn witness(&mut self, jobs: &[Job], now: Time) {
        self.batch =
            Some(Witnessed { jobs: jobs.to_vec(), now, missing: BTreeSet::new(), snapshot: None });
    }

    fn begin(&mut self) -> Answer<'_, ()> {
        Box::pin(self.meet(Step::Begin))
    }

    fn load<'a>(&'a mut self, needs: &'a Footprint, _: Time) -> Answer<'a, ledger::State> {
        Box::pin(async {
            self.meet(Step::Load).await?;
            let loaded = match self.read_unlocked(needs) {
                Some(loaded) => loaded,
                None => self.lock_and_read(needs).await?,
            };
            self.meet(Step::Load).await?;
            Ok(loaded)
        })
    }

    fn persist<'a>(&'a mut self, effects: &'a Effects) -> Answer<'a, ()> {
        Box::pin(async {
            self.meet(Step::Persist).await?;
            if !self.locked {
                for account in &effects.accounts {
                    self.take(&account.id).await?;
                }
            }
            self.world.lock().tables.uncommitted.insert(self.id, effects.clone());
            if !self.locked {
                return self.make_durable().await;
            }
            self.meet(Step::Persist).await
        })
    }

    fn is_locked(&self) -> bool {
        self.locked
    }

    fn lock_next(&mut self, _: u32) {
        self.to_lock = true;
    }

    fn commit(&mut self) -> Answer<'_, ()> {
        Box::pin(async { if self.locked { self.make_durable().await } else { Ok(()) } })
    }

    fn rollback(&mut self) -> Answer<'_, ()> {
        Box::pin(async {
            self.meet(Step::Rollback).await?;
            if let Some(batch) = self.batch.take().filter(|_| self.locked) {
                let verdict = self.world.lock().judge.rolls_back(&batch);
                self.world.judge(verdict);
            }
            self.release();
            self.meet(Step::Rollback).await
        })
    }
}

impl Connection {
    pub(super) async fn connect(world: &Arc<World>, replica: usize) -> Result<Self, StoreError> {
        let mut session = Self::new(world, replica);
        session.meet(Step::Connect).await?;
        Ok(session)
    }

    fn new(world: &Arc<World>, replica: usize) -> Self {
        let mut state = world.lock();
        state.tables.sessions += 1;
        let (id, crashes) = (state.tables.sessions, state.tables.crashes);
        let world = Arc::clone(world);
        let (broken, locked, to_lock) = (false, false, false);
        Self { world, replica, id, crashes, broken, batch: None, locked, to_lock }
    }

    /// One step takes its time, and whatever the weather brings.
    async fn meet(&mut self, step: Step) -> Result<(), StoreError> {
        self.world.linger().await;
        let (replica, session) = (self.replica, self.id);
        let fault = self.world.lock().fault();
        if let Some(fault) = fault {
            let words = || format!("replica {replica} session {session} {step:?}: {fault:?}");
            self.world.lock().note(words);
        }
        match fault {
            Some(Fault::Lost) => self.end(),
            Some(Fault::ReplicaCrash) => self.crash_replica().await,
            Some(Fault::DatabaseCrash) => {
                self.world.lock().tables.crash();
                self.world.released.notify_waiters();
            }
            Some(Fault::ClockJump) => self.world.lock().jump(replica),
            None => {}
        }
        self.alive()
    }

    fn alive(&self) -> Result<(), StoreError> {
        if self.broken || self.world.lock().tables.crashes != self.crashes {
            return Err(unavailable("the connection is lost"));
        }
        Ok(())
    }

    /// If it is this replica that dies, then here and now.
    async fn crash_replica(&self) {
        let which = {
            let mut state = self.world.lock();
            let State { rng, replicas, .. } = &mut *state;
            let which = rng.usize(..replicas.len());
            replicas[which].crash(&self.world);
            let now = state.now();
            state.replicas[which].set(now);
            state.note(|| format!("replica {which} dies"));
            which
        };
        if which == self.replica {
            pending::<()>().await;
        }
    }

    async fn make_durable(&mut self) -> Result<(), StoreError> {
        self.meet(Step::Commit).await?;
        match self.fate() {
            Fate::Done => {
                self.apply(Fate::Done)?;
                self.meet(Step::Commit).await
            }
            Fate::Refused => self.refuse("could not serialize access"),
            Fate::AnswerLost => {
                self.apply(Fate::AnswerLost)?;
                self.end();
                Err(unavailable("the answer to COMMIT is lost"))
            }
            Fate::Late => {
                self.commit_late();
                Err(unavailable("the connection is lost while it commits"))
            }
        }
    }

    /// What was to be committed is gone; a connection whose transaction was one statement goes on.
    fn refuse(&mut self, why: &str) -> Result<(), StoreError> {
        if !self.locked {
            self.release()
        } else {
            self.end()
        }
        Err(StoreError::Conflict(why.into()))
    }

    /// The rows as they are now, if they are all accounts, and none of the transactions is there.
    fn read_unlocked(&mut self, needs: &Footprint) -> Option<ledger::State> {
        let mut state = self.world.lock();
        let State { tables, judge, rng, .. } = &mut *state;
        let posted =
            |name| tables.rows.transactions.contains_key(name) && !tables.keyless.contains(name);
        self.locked = std::mem::take(&mut self.to_lock)
            || rng.bool()
            || !needs.is_plain()
            || needs.transactions.iter().any(posted);
        if self.locked {
            return None;
        }
        if let Some(batch) = &mut self.batch {
            batch.snapshot = Some(judge.snapshot(&needs.accounts));
        }
        let mut loaded = tables.rows.load(needs);
        for name in &needs.transactions {
            loaded.transactions.load(name.clone(), None);
        }
        Some(loaded)
    }

    /// Waits for the lock.
    async fn take(&self, id: &AccountId) -> Result<(), StoreError> {
        loop {
            // Nothing runs between looking and waiting: there is but one thread.
            self.alive()?;
            let held = {
                let locks = &mut self.world.lock().tables.locks;
                *locks.entry(id.clone()).or_insert(self.id) != self.id
            };
            if !held {
                return Ok(());
            }
            self.world.released.notified().await;
        }
    }

    async fn lock_and_read(&mut self, needs: &Footprint) -> Result<ledger::State, StoreError> {
        let missing: BTreeSet<AccountId> = {
            let accounts = &self.world.lock().tables.rows.accounts;
            let there = |id: &&AccountId| !accounts.contains_key(*id);
            needs.accounts.iter().filter(there).cloned().collect()
        };
        for id in needs.accounts.iter().filter(|id| !missing.contains(*id)) {
            if self.is_receiver(id) && planted::is(Bug::ReceiverNotLocked) {
                continue;
            }
            self.take(id).await?;
        }
        if let Some(batch) = &mut self.batch {
            batch.missing.extend(missing.iter().cloned());
        }
        let state = self.world.lock();
        let mut loaded = state.tables.rows.load_but(needs, &missing);
        for name in needs.transactions.intersection(&state.tables.keyless) {
            loaded.transactions.load(name.clone(), None);
        }
        Ok(loaded)
    }

    /// Whether the account is there only because somebody transfers to it.
    fn is_receiver(&self, id: &AccountId) -> bool {
        let jobs = self.batch.iter().flat_map(|batch| &batch.jobs);
        let mut commands = jobs.flat_map(|job| &job.commands);
        let receives = |act: &Act| matches!(act, Act::Transfer { to, .. } if to == id);
        commands.clone().any(|command| receives(&command.act))
            && commands.all(|command| command.account != *id)
    }

    fn fate(&self) -> Fate {
        let mut state = self.world.lock();
        let fates = [Fate::Refused, Fate::AnswerLost, Fate::Late];
        if state.fault().is_some() { fates[state.rng.usize(..3)] } else { Fate::Done }
    }

    /// Makes it durable, and lets the judge look at it.
    fn apply(&mut self, fate: Fate) -> Result<(), StoreError> {
        let mut state = self.world.lock();
        let State { tables, judge, .. } = &mut *state;
        let Some(effects) = tables.uncommitted.remove(&self.id) else {
            return Err(unavailable("there is nothing to commit"));
        };
        if effects.new_accounts.iter().any(|it| tables.rows.accounts.contains_key(&it.id)) {
            drop(state);
            return self.refuse("somebody else made the account");
        }
        if !self.locked && effects.entries().any(|(_, entry)| tables.has_entry(entry)) {
            drop(state);
            return self.refuse("somebody else wrote the account's next entry");
        }
        let batch = self.batch.take().expect("a batch is witnessed before it is loaded");
        let mut verdict = judge.commits(&batch, &effects);
        if verdict.is_ok() {
            verdict = tables.write(effects, fate);
        }
        let (replica, session) = (self.replica, self.id);
        state.note(|| {
            let jobs: Vec<_> = batch.jobs.iter().filter_map(super::judge::tag).collect();
            format!("replica {replica} session {session} commits {jobs:?}")
        });
        drop(state);
        self.world.judge(verdict);
        self.release();
        Ok(())
    }

    /// The database goes on with a commit whose client has gone. Without locks, the statement that
    /// writes and commits isn't even there yet: nothing is locked until it is, and it may be no more.
    fn commit_late(&mut self) {
        let (world, replica) = (Arc::clone(&self.world), self.replica);
        let (id, crashes) = (self.id, self.crashes);
        let batch = self.batch.take();
        let (broken, locked, to_lock) = (false, self.locked, false);
        let mut orphan = Self { world, replica, id, crashes, broken, batch, locked, to_lock };
        let effects = self.world.lock().tables.uncommitted.get(&id).cloned();
        if !locked {
            self.release();
        }
        // From here on it is the orphan's: this end has nothing to take back.
        self.id = 0;
        self.broken = true;
        self.world.spawn(async move {
            let millis = orphan.world.lock().rng.u64(..LATE_MILLIS_MAX);
            sleep(Duration::from_millis(millis)).await;
            if !orphan.locked {
                let effects = effects.expect("it was about to be written");
                for account in &effects.accounts {
                    if orphan.take(&account.id).await.is_err() {
                        return;
                    }
                }
                orphan.world.lock().tables.uncommitted.insert(orphan.id, effects);
            }
            if orphan.alive().is_ok() {
                drop(orphan.apply(Fate::Late));
            }
        });
    }

    /// The connection ends; what wasn't committed is gone.
    fn end(&mut self) {
        self.broken = true;
        self.release();
    }

    fn release(&self) {
        let tables = &mut self.world.lock().tables;
        tables.uncommitted.remove(&self.id);
        tables.locks.retain(|_, owner| *owner != self.id);
        self.world.released.notify_waiters();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.release();
    }
}
