//! The ten requests that are one command each: what they ask for, and what they are answered.

mod holds;
mod tokens;
mod versioned;

use super::fields::{Common, Fields, Terms};
use crate::grpc::fingerprint;
use ledger::{AccountId, Act, Command, Fingerprint, Mode, Receipt};
use proto::{catalog::Catalog, reason::Error};

/// A request that is one command.
pub trait Ask: prost::Message {
    /// The RPC's name.
    const METHOD: &'static str;

    /// The RPC's answer.
    type Answer;

    /// What it carries beside what it asks for.
    fn common(&self) -> Common<'_>;

    /// What it asks for.
    fn act(&self, fields: &mut Fields<'_>) -> Option<Act>;

    /// What it is answered when it was accepted.
    fn answer(&self, receipt: &Receipt, catalog: &Catalog) -> Self::Answer;

    /// The name of its effect.
    fn key(&self, fields: &mut Fields<'_>) -> Option<String> {
        fields.key("idempotency_key", self.common().idempotency_key)
    }

    /// Whether its effect is stored.
    fn mode(&self) -> Mode {
        Mode::Independent
    }
}

/// The command that a request asks for.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD with every field that isn't as it must be, or ACTION_NOT_FOUND.
pub fn command<R: Ask>(request: &R, terms: Terms<'_>) -> Result<Command, Error> {
    Fields::read(terms, |fields| read(request, fields))
}

/// The account and the key that name a request's effect, whatever else it asks.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn effect<R: Ask>(request: &R, terms: Terms<'_>) -> Result<(AccountId, String), Error> {
    Fields::read(terms, |fields| {
        let account = fields.account("account_id", request.common().account_id);
        let key = fields.key("idempotency_key", request.common().idempotency_key);
        Some((account?, key?))
    })
}

/// The command, if its fields are as they must be.
pub(super) fn read<R: Ask>(request: &R, fields: &mut Fields<'_>) -> Option<Command> {
    let common = request.common();
    let account = fields.account("account_id", common.account_id);
    let key = request.key(fields);
    let act = request.act(fields);
    let note = fields.note(&common);
    Some(Command {
        account: account?,
        key: Some(key?),
        act: act?,
        note: note?,
        fingerprint: fingerprint(request, fields.actor()),
    })
}

/// What the request asked, field by field.
pub fn fingerprint<R: Ask>(request: &R, actor: &str) -> Fingerprint {
    fingerprint::of(R::METHOD, actor, request)
}

/// The RPC's name and what all ten requests have in common.
macro_rules! method {
    ($name:literal) => {
        const METHOD: &'static str = $name;

        fn common(&self) -> Common<'_> {
            Common {
                account_id: &self.account_id,
                idempotency_key: &self.idempotency_key,
                description: &self.description,
                reference: &self.reference,
                metadata: &self.metadata,
                on_behalf_of: &self.on_behalf_of,
            }
        }
    };
}

use method;

/// What was read of something that need not be there: `None` if it is there and was noted.
fn flat<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}
