//! What operators ask of an account: commands without a key, because asking twice is no different
//! from asking once.

use super::fields::{Fields, TEXT_CHARS_MAX, Terms};
use ledger::{Act, BALANCE_MAX, Command, Fingerprint, Note, SpendCap, Status};
use proto::{reason::Error, v1};

/// The command that gives an account a status; `note` says why.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn set_status(
    account_id: &str,
    note: &str,
    status: Status,
    terms: Terms<'_>,
) -> Result<Command, Error> {
    let act = Some(Act::SetStatus(status));
    Fields::read(terms, |fields| command(account_id, note, act, fields))
}

/// The command that changes an account's settings.
///
/// # Errors
/// SCOPE_MISSING, INVALID_FIELD.
pub fn set_settings(
    request: &v1::UpdateAccountRequest,
    terms: Terms<'_>,
) -> Result<Command, Error> {
    Fields::read(terms, |fields| {
        let act = settings(request, fields);
        command(&request.account_id, &request.note, act, fields)
    })
}

fn command(
    account_id: &str,
    note: &str,
    act: Option<Act>,
    fields: &mut Fields<'_>,
) -> Option<Command> {
    let account = fields.account("account_id", account_id);
    let description = fields.text("note", note, TEXT_CHARS_MAX);
    let note =
        Note { description: description?, actor: fields.actor().to_owned(), ..Note::default() };
    let fingerprint = Fingerprint::default();
    Some(Command { account: account?, key: None, act: act?, note, fingerprint })
}

fn settings(request: &v1::UpdateAccountRequest, fields: &mut Fields<'_>) -> Option<Act> {
    let expected = fields.within_range("expected_version", request.expected_version, 0, i64::MAX);
    let threshold = match request.low_balance_threshold {
        None => Some(None),
        Some(-1) => Some(Some(None)),
        Some(tokens) => fields
            .within_range("low_balance_threshold", tokens, 0, BALANCE_MAX)
            .map(|tokens| Some(Some(tokens))),
    };
    let caps = match &request.spend_caps {
        None => Some(None),
        Some(caps) => spend_caps(&caps.caps, fields).map(Some),
    };
    Some(Act::SetSettings { threshold: threshold?, caps: caps?, expected: expected? })
}

fn spend_caps(caps: &[v1::SpendCap], fields: &mut Fields<'_>) -> Option<Vec<SpendCap>> {
    let mut read: Vec<SpendCap> = Vec::new();
    for (index, cap) in caps.iter().enumerate() {
        let at = |field: &str| format!("spend_caps.caps[{index}].{field}");
        let limit = fields.within_range(&at("limit"), cap.limit, 0, BALANCE_MAX);
        let period = fields.cap_period(&at("period"), cap.period)?;
        let first = read.iter().all(|known| known.period != period);
        fields.check(first, &at("period"), "give at most one cap per period")?;
        read.push(SpendCap { period, limit: limit? });
    }
    Some(read)
}
