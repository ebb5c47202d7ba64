//! Names that scenarios give to what commands make, in place of ids that nobody knows beforehand.

use super::scope::UNKNOWN;
use crate::target::Call;
use proto::v1::{self, get_transaction_request::Name};
use std::collections::BTreeMap;

/// Names that scenarios give, and the ids that they stand for.
#[derive(Clone, Debug)]
pub(super) struct Names {
    ids: BTreeMap<String, String>,
}

impl Default for Names {
    fn default() -> Self {
        Self { ids: [("unknown".to_owned(), UNKNOWN.to_owned())].into() }
    }
}

impl Names {
    /// This name stands for this id from now on.
    pub(super) fn insert(&mut self, name: &str, id: &str) {
        self.ids.insert(name.to_owned(), id.to_owned());
    }

    /// The name of this id; `None` if it has none.
    pub(super) fn of_id(&self, id: &str) -> Option<String> {
        let known = self.ids.iter().find(|(_, known)| *known == id);
        known.map(|(name, _)| name.clone())
    }

    /// The name of a draw's grant, or else its kind.
    pub(super) fn of_draw(&self, draw: &v1::Draw) -> String {
        let kind = draw.kind().as_str_name().trim_start_matches("GRANT_KIND_");
        self.of_id(&draw.grant_id).unwrap_or_else(|| kind.to_ascii_lowercase())
    }

    /// Puts ids in the place of `{name}`.
    fn resolve(&self, text: &mut String) {
        for (name, id) in &self.ids {
            *text = text.replace(&format!("{{{name}}}"), id);
        }
    }

    /// Puts ids in the place of the names that a call holds.
    pub(super) fn resolve_call(&self, call: &mut Call) {
        match call {
            Call::Credit(it) => self.resolve_credit(it),
            Call::Reverse(it) => self.resolve(&mut it.transaction_id),
            Call::CaptureHold(it) => self.resolve(&mut it.hold_id),
            Call::ReleaseHold(it) => self.resolve(&mut it.hold_id),
            Call::GetTransaction(v1::GetTransactionRequest { name: Some(name), .. }) => {
                match name {
                    Name::TransactionId(text) | Name::IdempotencyKey(text) => self.resolve(text),
                }
            }
            Call::Batch(it) => {
                for command in it.commands.iter_mut().filter_map(|it| it.command.as_mut()) {
                    use v1::batch_command::Command;
                    match command {
                        Command::Credit(it) => self.resolve_credit(it),
                        Command::Reverse(it) => self.resolve(&mut it.transaction_id),
                        Command::CaptureHold(it) => self.resolve(&mut it.hold_id),
                        Command::ReleaseHold(it) => self.resolve(&mut it.hold_id),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn resolve_credit(&self, credit: &mut v1::CreditRequest) {
        credit.supersede.iter_mut().for_each(|it| self.resolve(&mut it.grant_id));
    }
}
