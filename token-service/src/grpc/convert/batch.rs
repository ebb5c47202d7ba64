//! Many commands at once.

use super::{
    ask::{self, Ask},
    fields::{Fields, Terms},
    wire::{self, Done},
};
use crate::{grpc::status, identity::method};
use ledger::{Command, Job, Mode, Outcome, Time};
use proto::{
    catalog::Catalog,
    reason::Error,
    v1::{self, batch_command::Command as Wire},
};

/// The most commands of one batch.
const COMMANDS_MAX: usize = 1_000;

/// The commands of a batch. Those that name an action that the catalog doesn't have are refused
/// before they come to the ledger.
#[derive(Clone, Debug)]
pub struct Batch {
    mode: Mode,
    members: Vec<Result<Member, Error>>,
}

#[derive(Clone, Debug)]
struct Member {
    method: &'static str,
    command: Command,
}

impl Batch {
    /// Reads a batch.
    ///
    /// # Errors
    /// INVALID_FIELD with every field of every command that isn't as it must be, as
    /// `commands[3].amount`; if it is all or nothing, whatever refuses one of them.
    pub fn read(request: &v1::BatchRequest, terms: Terms<'_>) -> Result<Self, Error> {
        let batch = Fields::read(terms, |fields| {
            let mode = match (v1::BatchMode::try_from(request.mode), request.dry_run) {
                (Ok(v1::BatchMode::Atomic), false) => Some(Mode::Atomic),
                (Ok(v1::BatchMode::Atomic), true) => Some(Mode::AtomicDryRun),
                (Ok(v1::BatchMode::Independent), false) => Some(Mode::Independent),
                (Ok(v1::BatchMode::Independent), true) => Some(Mode::DryRun),
                (Ok(v1::BatchMode::Unspecified) | Err(_), _) => {
                    fields.fail("mode", "give atomic or independent")
                }
            };
            let commands = &request.commands;
            let many = format!("give 1 to {COMMANDS_MAX} commands");
            fields.check((1..=COMMANDS_MAX).contains(&commands.len()), "commands", &many);
            let members = commands.iter().enumerate();
            let members = members.map(|(index, command)| member(index, command, fields));
            // All of them first: the fields of every one are to be named.
            let members: Option<Vec<_>> = members.collect::<Vec<_>>().into_iter().collect();
            Some(Self { mode: mode?, members: members? })
        })?;
        if batch.is_atomic() {
            for (index, member) in batch.members.iter().enumerate() {
                member.as_ref().map_err(|error| error.clone().with("index", index))?;
            }
        }
        Ok(batch)
    }

    /// What the ledger is asked.
    #[must_use]
    pub fn job(&self) -> Job {
        let members = self.members.iter().flatten();
        Job { commands: members.map(|it| it.command.clone()).collect(), mode: self.mode }
    }

    /// What became of it, given the outcomes of [`Batch::job`].
    ///
    /// # Errors
    /// If it is all or nothing: the first refusal, with its `index`.
    ///
    /// # Panics
    /// If the outcomes are another job's.
    pub fn answer(
        &self,
        outcomes: Vec<Outcome>,
        catalog: &Catalog,
        now: Time,
    ) -> Result<v1::BatchResponse, Error> {
        let mut outcomes = outcomes.into_iter();
        let mut results = Vec::with_capacity(self.members.len());
        for (index, member) in self.members.iter().enumerate() {
            let result = match member {
                Err(error) => Err(error.clone()),
                Ok(member) => {
                    let outcome = outcomes.next().expect("an outcome for each command");
                    let account = member.command.account.as_str();
                    let refused = |it| status::refused(&it, member.method, catalog, now);
                    outcome.map(|receipt| wire::done(account, &receipt)).map_err(refused)
                }
            };
            results.push(match result {
                Ok(Done { transaction, balance, replayed }) => {
                    v1::BatchResult { transaction, balance, replayed, refusal: None }
                }
                Err(error) if self.is_atomic() => return Err(error.with("index", index)),
                Err(error) => {
                    v1::BatchResult { refusal: Some(error.into()), ..v1::BatchResult::default() }
                }
            });
        }
        Ok(v1::BatchResponse { results })
    }

    fn is_atomic(&self) -> bool {
        match self.mode {
            Mode::Atomic | Mode::AtomicDryRun => true,
            Mode::Independent | Mode::DryRun => false,
        }
    }
}

/// Reads one command. An unknown action is its own affair; everything else is the batch's.
fn member(
    index: usize,
    command: &v1::BatchCommand,
    batch: &mut Fields<'_>,
) -> Option<Result<Member, Error>> {
    let mut fields = batch.part(format!("commands[{index}]."));
    let read = match &command.command {
        Some(Wire::Credit(it)) => named(it, &mut fields),
        Some(Wire::Debit(it)) => named(it, &mut fields),
        Some(Wire::Reverse(it)) => named(it, &mut fields),
        Some(Wire::Transfer(it)) => named(it, &mut fields),
        Some(Wire::CreateHold(it)) => named(it, &mut fields),
        Some(Wire::CaptureHold(it)) => named(it, &mut fields),
        Some(Wire::ReleaseHold(it)) => named(it, &mut fields),
        Some(Wire::SetClawback(it)) => named(it, &mut fields),
        Some(Wire::SetEntitlement(it)) => named(it, &mut fields),
        None => fields.fail("command", "give one of the commands"),
    };
    batch.absorb(fields, read)
}

fn named<R: Ask>(request: &R, fields: &mut Fields<'_>) -> Option<Member> {
    let access = method::access(method::TOKEN_SERVICE, R::METHOD);
    fields.may(access.expect("every command is a method"))?;
    let command = ask::read(request, fields)?;
    Some(Member { method: R::METHOD, command })
}
