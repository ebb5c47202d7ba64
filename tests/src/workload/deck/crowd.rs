//! Accounts with more open grants than their row keeps: of every kind, or tips of one token each.

use super::{Deck, story::Told};
use crate::target::Call;
use proto::v1::batch_command::Command;
use proto::v1::{self, BatchMode};

/// Grants of a crowd: some more than an account's row keeps, so that it shrinks below and grows
/// beyond that all the time.
const GRANTS: std::ops::Range<usize> = 60..90;

impl Deck {
    /// Grants that differ in whatever decides which of them burns first.
    pub(super) fn a_crowd_of_grants(&mut self, account_id: &str) -> Vec<Told> {
        let many = self.rng.usize(GRANTS);
        let alike = self.chance(30);
        let mut credits = Vec::new();
        while credits.len() < many {
            let Call::Credit(mut credit) = self.credit() else { continue };
            credit.account_id = account_id.to_owned();
            credit.supersede = None;
            if alike {
                (credit.effective_time, credit.expire_time, credit.priority) = (None, None, 0);
            }
            credits.push(Command::Credit(credit));
        }
        vec![(0, batch(credits))]
    }

    /// What a creator gets: many tips, none of which ever expires. Some of them come from one
    /// credit, which may go back later.
    pub(super) fn a_crowd_of_tips(&mut self, account_id: &str) -> Vec<Told> {
        let many = self.rng.usize(GRANTS);
        let (credit, _) = self.spent_first(account_id, 50);
        let (rest, _) = self.spent_first(account_id, 100);
        let mut commands = vec![Command::Credit(credit), Command::Credit(rest)];
        let key = self.key();
        let first = self.tip(account_id, &key, 1);
        let to_account_id = first.to_account_id;
        for _ in 0..many {
            let (key, amount) = (self.key(), self.rng.i64(1..3));
            let to_account_id = to_account_id.clone();
            commands.push(Command::Transfer(v1::TransferRequest {
                to_account_id,
                ..self.tip(account_id, &key, amount)
            }));
        }
        vec![(0, batch(commands))]
    }
}

fn batch(commands: Vec<Command>) -> Call {
    let commands = commands.into_iter().map(|it| v1::BatchCommand { command: Some(it) });
    let (commands, mode) = (commands.collect(), BatchMode::Independent.into());
    v1::BatchRequest { commands, mode, dry_run: false }.into()
}
