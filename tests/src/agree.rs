//! Holds the model against a target: the same calls to both, and every answer must be the same.
//!
//! After each call the balance of every account is compared too, and at the end usage, past balances,
//! grants, holds, settings and each stored transaction, what lapsed included. A disagreement shows its
//! seed and the way to it.

mod compare;
mod ids;
mod names;
#[cfg(test)]
mod self_test;
mod show;

use crate::model::{Model, Past, Refused, Rules, wire};
use crate::target::{Call, Target};
use crate::workload::{ACCOUNTS, Workload};
use names::Names;
use proto::catalog::Catalog;
use proto::v1::{self, AuthorizeMode, get_transaction_request::Name};
use std::collections::VecDeque;
use std::fmt;

/// How many calls before a disagreement are shown.
const CALLS_SHOWN: usize = 12;

/// How many runs a shrinking may take.
const RUNS_MAX: usize = 600;

/// The model and the target answered differently.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// What the workload was made from.
    pub seed: u64,
    /// The number of the call, from 0.
    pub step: usize,
    /// The calls before it and the call, with their answers.
    pub calls: Vec<String>,
    /// The answers that differ.
    pub difference: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the model disagrees: seed {}, step {}", self.seed, self.step)?;
        for call in &self.calls {
            writeln!(f, "  {call}")?;
        }
        write!(f, "{}", self.difference)
    }
}

impl std::error::Error for Disagreement {}

/// Runs the workload of a seed on a target that is empty and has the workload's catalog.
pub async fn agree<T: Target>(target: &mut T, seed: u64, calls: usize) -> Result<(), Disagreement> {
    run(target, &Workload::random(seed, calls)).await
}

/// Runs a workload on a target that is empty and has the workload's catalog.
pub async fn run<T: Target>(target: &mut T, workload: &Workload) -> Result<(), Disagreement> {
    let mut run = Run {
        target,
        model: Model::new(Rules::of(&workload.catalog)),
        names: Names::default(),
        calls: VecDeque::new(),
    };
    for (nth, step) in workload.steps.iter().enumerate() {
        run.step(step.at_micros, &step.call).await.map_err(|difference| Disagreement {
            seed: workload.seed,
            step: nth,
            calls: run.calls.iter().cloned().collect(),
            difference,
        })?;
    }
    let end = workload.steps.last().map_or(0, |step| step.at_micros);
    run.end(end).await.map_err(|difference| Disagreement {
        seed: workload.seed,
        step: workload.steps.len(),
        calls: run.calls.iter().cloned().collect(),
        difference,
    })
}

/// Drops calls, then members of batches, for as long as some disagreement stays: a shorter workload,
/// and what it shows.
pub async fn shrink<T: Target>(
    mut make: impl AsyncFnMut(&Catalog) -> T,
    workload: Workload,
    found: Disagreement,
) -> (Workload, Disagreement) {
    let (mut workload, mut found) = (workload, found);
    workload.steps.truncate(found.step + 1);
    let mut runs = 0;
    let mut size = workload.steps.len().div_ceil(2);
    while size > 0 {
        let mut start = 0;
        while start < workload.steps.len() {
            let mut shorter = workload.clone();
            shorter.steps.drain(start..(start + size).min(workload.steps.len()));
            runs += 1;
            match run(&mut make(&workload.catalog).await, &shorter).await {
                Err(disagreement) if runs < RUNS_MAX => {
                    shorter.steps.truncate(disagreement.step + 1);
                    (workload, found) = (shorter, disagreement);
                }
                _ => start += size,
            }
        }
        size /= 2;
    }
    for nth in 0..workload.steps.len() {
        for member in (0..members(&workload, nth)).rev() {
            if members(&workload, nth) < 2 {
                break;
            }
            let mut shorter = workload.clone();
            if let Call::Batch(batch) = &mut shorter.steps[nth].call {
                batch.commands.remove(member);
            }
            let result = run(&mut make(&workload.catalog).await, &shorter).await;
            if let Err(disagreement) = result {
                (workload, found) = (shorter, disagreement);
            }
        }
    }
    (workload, found)
}

fn members(workload: &Workload, nth: usize) -> usize {
    match workload.steps.get(nth).map(|step| &step.call) {
        Some(Call::Batch(batch)) if batch.commands.len() > 1 => batch.commands.len(),
        _ => 0,
    }
}

/// Runs the workload of a seed on a target made for it; panics with the shortest disagreement.
pub async fn check<T: Target>(mut make: impl AsyncFnMut(&Catalog) -> T, seed: u64, calls: usize) {
    let workload = Workload::random(seed, calls);
    let mut target = make(&workload.catalog).await;
    if let Err(found) = run(&mut target, &workload).await {
        let (shortest, found) = shrink(make, workload, found).await;
        panic!("under the catalog {}, {found}", shortest.catalog.economy);
    }
}

/// A run under way.
struct Run<'t, T> {
    target: &'t mut T,
    model: Model,
    names: Names,
    calls: VecDeque<String>,
}

impl<T: Target> Run<'_, T> {
    async fn step(&mut self, at: i64, call: &Call) -> Result<(), String> {
        self.same(at, call, true).await?;
        for account_id in ACCOUNTS {
            self.look(
                at,
                v1::GetBalanceRequest { account_id: account_id.into(), ..Default::default() },
            )
            .await?;
        }
        Ok(())
    }

    async fn end(&mut self, at: i64) -> Result<(), String> {
        self.look_back(at).await?;
        // Whatever is due by now is posted before a change of settings.
        let accounts: Vec<_> = self.model.accounts().iter().map(|it| it.id.clone()).collect();
        for account_id in accounts {
            self.look(at, v1::UpdateAccountRequest { account_id, ..Default::default() }).await?;
        }
        for id in ACCOUNTS {
            let (account_id, page_size) = (id.to_owned(), 1000);
            self.look(at, v1::GetAccountRequest { account_id: account_id.clone() }).await?;
            self.look(
                at,
                v1::ListGrantsRequest {
                    account_id: account_id.clone(),
                    page_size,
                    ..Default::default()
                },
            )
            .await?;
            self.look(
                at,
                v1::ListHoldsRequest {
                    account_id: account_id.clone(),
                    page_size,
                    ..Default::default()
                },
            )
            .await?;
            self.look(
                at,
                v1::ListTransactionsRequest { account_id, page_size, ..Default::default() },
            )
            .await?;
        }
        let named: Vec<_> = self
            .model
            .pasts()
            .iter()
            .filter(|past| past.key == "sys/trial" || !past.key.starts_with("sys/"))
            .map(|past| (past.account_id.clone(), past.key.clone()))
            .collect();
        for (account_id, key) in named {
            let name = Some(Name::IdempotencyKey(key));
            self.look(at, v1::GetTransactionRequest { account_id, name }).await?;
        }
        Ok(())
    }

    /// What was used, and every account's balance at, and right before, every moment at which
    /// something happened.
    async fn look_back(&mut self, at: i64) -> Result<(), String> {
        for id in ACCOUNTS {
            let account_id = id.to_owned();
            self.look(at, v1::GetUsageRequest { account_id, ..Default::default() }).await?;
            let pasts = self.model.pasts().iter();
            let own = pasts.filter(|past| past.touches(id));
            let mut moments: Vec<i64> = own.map(Past::time).collect();
            moments.dedup();
            for moment in moments.iter().flat_map(|moment| [moment - 1, *moment]) {
                let (account_id, as_of_time) = (id.to_owned(), Some(wire::stamp(moment)));
                self.look(
                    at,
                    v1::GetBalanceRequest { account_id, as_of_time, ..Default::default() },
                )
                .await?;
            }
        }
        Ok(())
    }

    /// A read of the driver's own: shown only if it differs.
    async fn look(&mut self, at: i64, read: impl Into<Call>) -> Result<(), String> {
        self.same(at, &read.into(), false).await
    }

    /// Makes one call on both sides; differs with both answers.
    async fn same(&mut self, at: i64, call: &Call, shown: bool) -> Result<(), String> {
        let known = self.names.known(call);
        let expected = self.model.answer(&known, at);
        self.target.set_time(at);
        let actual = self.target.call(self.names.to_ids(&known)).await;
        let actual = if dry(&known) {
            let mut names = self.names.clone();
            actual.iter().for_each(|reply| names.learn(reply));
            names.answer(actual)
        } else {
            actual.iter().for_each(|reply| self.names.learn(reply));
            self.learn_trials().await;
            self.names.answer(actual)
        };
        let (expected, actual) = compare::comparable(&known, expected, actual);

        let agreed = expected == actual;
        if shown || !agreed {
            if self.calls.len() == CALLS_SHOWN {
                self.calls.pop_front();
            }
            self.calls.push_back(show::line(at, &known, &expected));
        }
        if agreed {
            return Ok(());
        }
        Err(show::difference(&expected, &actual))
    }

    /// No reply tells a trial's id: ask for it by its key as soon as the model grants one.
    async fn learn_trials(&mut self) {
        let trials = self.model.pasts().iter().filter(|past| past.key == "sys/trial");
        let unknown = trials.filter(|past| !self.names.knows(&past.label));
        let accounts: Vec<_> = unknown.map(|past| past.account_id.clone()).collect();
        for account_id in accounts {
            let name = Some(Name::IdempotencyKey("sys/trial".to_owned()));
            let read = v1::GetTransactionRequest { account_id, name };
            if let Ok(reply) = self.target.call(read.into()).await {
                self.names.learn(&reply);
            }
        }
    }
}

/// Calls that store nothing, so that ids in their answers name nothing.
fn dry(call: &Call) -> bool {
    match call {
        Call::Batch(batch) => batch.dry_run,
        Call::Authorize(authorize) => authorize.mode() == AuthorizeMode::Check,
        _ => false,
    }
}

/// What the refusal looks like when the status says nothing that the contract promises.
fn unexplained(status: &tonic::Status) -> Refused {
    Refused::new(v1::ErrorReason::Unspecified).with("status", status)
}
