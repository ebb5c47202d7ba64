//! Several commands at once, and one command several times.

use super::Deck;
use crate::target::Call;
use proto::v1::batch_command::Command;
use proto::v1::{self, BatchMode};

impl Deck {
    pub(super) fn batch(&mut self) -> Call {
        let many = self.rng.usize(1..6);
        let mut commands = Vec::new();
        for _ in 0..many {
            // Now and then something that was sent before, or a key twice in one batch.
            let call = match self.rng.choice(self.sent.clone()).filter(|_| self.chance(12)) {
                Some(sent) => sent,
                None => self.remember(Self::command),
            };
            let command = match call {
                Call::Credit(r) => Command::Credit(r),
                Call::Debit(r) => Command::Debit(r),
                Call::Reverse(r) => Command::Reverse(r),
                Call::Transfer(r) => Command::Transfer(r),
                Call::CreateHold(r) => Command::CreateHold(r),
                Call::CaptureHold(r) => Command::CaptureHold(r),
                Call::ReleaseHold(r) => Command::ReleaseHold(r),
                Call::SetClawback(r) => Command::SetClawback(r),
                Call::SetEntitlement(r) => Command::SetEntitlement(r),
                _ => continue,
            };
            commands.push(v1::BatchCommand { command: Some(command) });
        }
        if commands.is_empty() {
            return self.remember(Self::command);
        }
        let mode = self.pick(&[BatchMode::Atomic, BatchMode::Independent]);
        let dry_run = self.chance(20);
        v1::BatchRequest { commands, mode: mode.into(), dry_run }.into()
    }

    /// Something that was sent before: the same again, or its key for something else.
    pub(super) fn repeat(&mut self) -> Call {
        let Some(mut call) = self.rng.choice(self.sent.clone()) else {
            return self.remember(Self::command);
        };
        let (same, other_method, account_id) = (self.chance(60), self.chance(15), self.someone());
        if other_method && let Call::Debit(r) = &call {
            return v1::CreateHoldRequest {
                account_id: r.account_id.clone(),
                idempotency_key: r.idempotency_key.clone(),
                amount: r.amount.max(1),
                ..v1::CreateHoldRequest::default()
            }
            .into();
        }
        if !same {
            match &mut call {
                Call::Credit(r) => r.amount += 1,
                Call::Debit(r) => r.description = "another".to_owned(),
                Call::Reverse(r) => r.reference = "another".to_owned(),
                Call::Transfer(r) if r.account_id != account_id => r.to_account_id = account_id,
                Call::CaptureHold(r) => r.amount = Some(1),
                Call::SetClawback(r) => r.target += 1,
                Call::SetEntitlement(r) => r.source_version += 1,
                Call::Authorize(r) => {
                    r.metadata.insert("for".to_owned(), "another".to_owned());
                }
                _ => {}
            }
        }
        call
    }
}
