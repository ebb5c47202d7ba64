//! Runs a scenario against a target, line by line, and compares what it answers.

use super::{
    Action, Answer, Fact, Group, Member, Scenario, Step, facts, names::Names, refusal::Said,
};
use crate::target::{Call, Reply, Target};
use proto::v1::{self, get_transaction_request::Name};
use std::fmt;

/// A refusal that a scenario saw: which reason, from which RPC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Observed {
    /// The reason, as on the wire.
    pub reason: String,
    /// The RPC that was refused.
    pub rpc: &'static str,
}

/// A line that didn't answer as it should have.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The file and the line.
    pub place: String,
    /// The scenario's sentence.
    pub title: String,
    /// The line.
    pub text: String,
    /// What it says should happen.
    pub expected: String,
    /// What happened.
    pub actual: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, title, text, expected, actual } = self;
        write!(f, "{place}: {title}\n    {text}\n  expected: {expected}\n  actual:   {actual}")
    }
}

impl std::error::Error for Failure {}

/// Runs a scenario on a target that is empty and has the scenario's catalog.
///
/// At the end every accepted command is repeated with its key, and must answer its first
/// transaction again; and every transaction must be found by its key.
///
/// # Errors
/// The first line that doesn't answer as it should.
pub async fn run<T: Target>(scenario: &Scenario, target: &mut T) -> Result<Vec<Observed>, Failure> {
    let mut run = Run {
        target,
        names: Names::default(),
        last: None,
        accepted: Vec::new(),
        observed: Vec::new(),
    };
    run.target.set_time(super::time::parse("2026-01-01", 0).expect("it is a date"));
    for step in &scenario.steps {
        run.step(step).await.map_err(|wrong| wrong.at(scenario, step.line, &step.text))?;
    }
    let last = scenario.steps.last().map_or(scenario.line, |step| step.line);
    run.repeat_all().await.map_err(|wrong| wrong.at(scenario, last, "(afterwards)"))?;
    Ok(run.observed)
}

/// What was expected and what came, and of a batch's member where.
struct Wrong {
    expected: String,
    actual: String,
    member: Option<(usize, String)>,
}

impl Wrong {
    fn new(expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Self { expected: expected.into(), actual: actual.into(), member: None }
    }

    fn at(self, scenario: &Scenario, line: usize, text: &str) -> Failure {
        let (line, text) = self.member.unwrap_or((line, text.to_owned()));
        Failure {
            place: format!("{}:{line}", scenario.file),
            title: scenario.title.clone(),
            text,
            expected: self.expected,
            actual: self.actual,
        }
    }
}

struct Run<'t, T> {
    target: &'t mut T,
    names: Names,
    last: Option<Call>,
    accepted: Vec<(Call, v1::Transaction)>,
    observed: Vec<Observed>,
}

impl<T: Target> Run<'_, T> {
    async fn step(&mut self, step: &Step) -> Result<(), Wrong> {
        match &step.action {
            Action::At(micros) => self.target.set_time(*micros),
            Action::Call(call, name) => {
                let reply = self.call(call, &step.answer).await?;
                if let Some((reply, name)) = reply.as_ref().zip(name.as_ref()) {
                    self.learn(name, transaction(reply))?;
                }
                if let Some(reply) = &reply {
                    self.compare(&step.answer, facts::of(reply, &self.names))?;
                }
            }
            Action::Again => {
                let last = self.last.clone();
                let last = last.ok_or_else(|| Wrong::new("a command before `again`", "none"))?;
                if let Some(reply) = self.call(&last, &step.answer).await? {
                    self.compare(&step.answer, facts::of(&reply, &self.names))?;
                }
            }
            Action::Batch(call, members) => {
                if let Some(Reply::Batch(reply)) = self.call(call, &step.answer).await? {
                    self.members(members, &reply)?;
                    self.compare(&step.answer, facts::of(&Reply::Batch(reply), &self.names))?;
                }
            }
        }
        Ok(())
    }

    /// Makes a call; `None` if it was refused as expected.
    async fn call(&mut self, call: &Call, answer: &Answer) -> Result<Option<Reply>, Wrong> {
        let mut call = call.clone();
        self.names.resolve_call(&mut call);
        if keyed(&call) || matches!(call, Call::Batch(_)) {
            self.last = Some(call.clone());
        }
        match self.target.call(call.clone()).await {
            Ok(reply) => {
                self.accepted.extend(
                    transaction(&reply).filter(|_| keyed(&call)).map(|it| (call, it.clone())),
                );
                match answer {
                    Answer::Accepted(_) => Ok(Some(reply)),
                    Answer::Refused(reason, _) => {
                        let said = facts::of(&reply, &self.names).map(|facts| show(&facts));
                        Err(Wrong::new(reason, said.unwrap_or_else(|wrong| wrong)))
                    }
                }
            }
            Err(status) => {
                let said = Said::of_status(&status, &self.names);
                let said =
                    said.map_err(|wrong| Wrong::new("a refusal as the contract has it", wrong))?;
                let (reason, rpc) = (said.reason.clone(), call.rpc());
                self.observed.push(Observed { reason, rpc });
                refused(answer, &said).map(|()| None)
            }
        }
    }

    fn members(&mut self, members: &[Member], reply: &v1::BatchResponse) -> Result<(), Wrong> {
        if members.len() != reply.results.len() {
            let (expected, actual) = (members.len(), reply.results.len());
            return Err(Wrong::new(format!("{expected} results"), actual.to_string()));
        }
        for (member, result) in members.iter().zip(&reply.results) {
            self.member(member, result).map_err(|wrong| Wrong {
                member: Some((member.line, member.text.clone())),
                ..wrong
            })?;
        }
        Ok(())
    }

    fn member(&mut self, member: &Member, result: &v1::BatchResult) -> Result<(), Wrong> {
        if let Some(refusal) = &result.refusal {
            let said = Said::of_member(refusal, &self.names);
            let said =
                said.map_err(|wrong| Wrong::new("a refusal as the contract has it", wrong))?;
            self.observed.push(Observed { reason: said.reason.clone(), rpc: "Batch" });
            return refused(&member.answer, &said);
        }
        if let Some(name) = &member.name {
            self.learn(name, result.transaction.as_ref())?;
        }
        self.compare(&member.answer, facts::of_member(result, &self.names))
    }

    fn learn(&mut self, name: &str, transaction: Option<&v1::Transaction>) -> Result<(), Wrong> {
        let made = transaction.ok_or_else(|| Wrong::new("a transaction to name", "none"))?;
        self.names.insert(name, &made.transaction_id);
        Ok(())
    }

    fn compare(&self, answer: &Answer, actual: Result<Vec<Fact>, String>) -> Result<(), Wrong> {
        let expected = match answer {
            Answer::Accepted(expected) => expected,
            Answer::Refused(reason, _) => {
                return Err(Wrong::new(reason, actual.map_or_else(|it| it, |it| show(&it))));
            }
        };
        let actual = actual.map_err(|wrong| Wrong::new(show(expected), wrong))?;
        let mentioned = expected.iter().map(|fact| &fact.group).chain([&Group::Flag]);
        for group in mentioned {
            if in_group(expected, group) != in_group(&actual, group) {
                return Err(Wrong::new(show(expected), show(&actual)));
            }
        }
        Ok(())
    }

    async fn repeat_all(&mut self) -> Result<(), Wrong> {
        for (call, first) in std::mem::take(&mut self.accepted) {
            let again = self.target.call(call.clone()).await;
            let same = again
                .as_ref()
                .is_ok_and(|reply| replayed(reply) && transaction(reply) == Some(&first));
            if !same {
                return Err(Wrong::new(format!("{first:?} again"), format!("{again:?}")));
            }
            let name = Some(Name::IdempotencyKey(first.idempotency_key.clone()));
            let account_id = first.account_id.clone();
            let found =
                self.target.call(v1::GetTransactionRequest { account_id, name }.into()).await;
            let same = found.as_ref().is_ok_and(|reply| transaction(reply) == Some(&first));
            if !same {
                return Err(Wrong::new(format!("{first:?} by its key"), format!("{found:?}")));
            }
        }
        Ok(())
    }
}

fn refused(answer: &Answer, said: &Said) -> Result<(), Wrong> {
    match answer {
        Answer::Refused(reason, pairs) if said.is(reason, pairs) => Ok(()),
        Answer::Refused(reason, pairs) => {
            let pairs = pairs.iter().map(|(name, value)| format!(" {name}={value}"));
            Err(Wrong::new(format!("{reason}{}", pairs.collect::<String>()), said.show()))
        }
        Answer::Accepted(facts) => Err(Wrong::new(show(facts), said.show())),
    }
}

/// The facts of a group, in the order in which they are compared.
fn in_group<'f>(facts: &'f [Fact], group: &Group) -> Vec<&'f str> {
    let found = facts.iter().filter(|fact| fact.group == *group);
    let mut found: Vec<&str> = found.map(|fact| fact.text.as_str()).collect();
    match group {
        Group::Kinds | Group::Settings(_) | Group::Flag => found.sort_unstable(),
        Group::Moves => {
            found.sort_by_key(|text| (text.contains("covered by"), text.contains("back to")))
        }
        // What has ended comes by id, which no scenario knows.
        Group::List => {
            found.sort_by_key(|text| if ended(text) { Some(text.to_owned()) } else { None })
        }
        Group::Funding | Group::One(_) => {}
    }
    found
}

fn ended(text: &str) -> bool {
    text.contains(" captured ")
        || [" closed", " released", " expired"].iter().any(|end| text.ends_with(end))
}

fn show(facts: &[Fact]) -> String {
    if facts.is_empty() {
        return "success".to_owned();
    }
    facts.iter().map(|fact| fact.text.as_str()).collect::<Vec<_>>().join(", ")
}

/// Whether an accepted call is stored under its key.
fn keyed(call: &Call) -> bool {
    match call {
        Call::Authorize(it) => it.mode() != v1::AuthorizeMode::Check,
        Call::Credit(_)
        | Call::Debit(_)
        | Call::Reverse(_)
        | Call::Transfer(_)
        | Call::CreateHold(_)
        | Call::CaptureHold(_)
        | Call::ReleaseHold(_)
        | Call::SetClawback(_)
        | Call::SetEntitlement(_) => true,
        _ => false,
    }
}

fn transaction(reply: &Reply) -> Option<&v1::Transaction> {
    match reply {
        Reply::Credit(it) => it.transaction.as_ref(),
        Reply::Debit(it) => it.transaction.as_ref(),
        Reply::Reverse(it) => it.transaction.as_ref(),
        Reply::Transfer(it) => it.transaction.as_ref(),
        Reply::CreateHold(it) => it.transaction.as_ref(),
        Reply::CaptureHold(it) => it.transaction.as_ref(),
        Reply::ReleaseHold(it) => it.transaction.as_ref(),
        Reply::SetClawback(it) => it.transaction.as_ref(),
        Reply::SetEntitlement(it) => it.transaction.as_ref(),
        Reply::Authorize(it) => it.transaction.as_ref(),
        Reply::GetTransaction(it) => it.transaction.as_ref(),
        _ => None,
    }
}

fn replayed(reply: &Reply) -> bool {
    match reply {
        Reply::Credit(it) => it.replayed,
        Reply::Debit(it) => it.replayed,
        Reply::Reverse(it) => it.replayed,
        Reply::Transfer(it) => it.replayed,
        Reply::CreateHold(it) => it.replayed,
        Reply::CaptureHold(it) => it.replayed,
        Reply::ReleaseHold(it) => it.replayed,
        Reply::SetClawback(it) => it.replayed,
        Reply::SetEntitlement(it) => it.replayed,
        Reply::Authorize(it) => it.replayed,
        _ => false,
    }
}
