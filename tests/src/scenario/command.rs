//! The lines that are calls: one function a command.

use super::{
    charge::{Charge, Common},
    read,
    scope::Scope,
    settings::{cap, status, threshold},
    time,
    words::{Words, Wrong},
};
use crate::target::Call;
use proto::v1::{
    self, AuthorizeMode, DebitMode, DebitPurpose, GrantKind, set_entitlement_request::Benefit,
};

/// The kinds of tokens by their words.
pub(super) const KINDS: [(&str, GrantKind); 6] = [
    ("purchased", GrantKind::Purchased),
    ("promotional", GrantKind::Promotional),
    ("trial", GrantKind::Trial),
    ("allowance", GrantKind::Allowance),
    ("earned", GrantKind::Earned),
    ("adjustment", GrantKind::Adjustment),
];

/// Fills in what all commands have in common, and names what it makes.
macro_rules! keyed {
    ($scope:ident, $common:ident, $account:expr, $request:ident { $($field:ident $(: $value:expr)?),* $(,)? }) => {{
        let (account_id, idempotency_key) = ($account, $common.key($scope));
        if let Some(name) = &$common.name {
            $scope.name(name, &account_id, &idempotency_key)?;
        }
        let request = v1::$request {
            $($field $(: $value)?,)*
            account_id,
            idempotency_key,
            description: $common.description,
            reference: $common.reference,
            metadata: $common.metadata,
            on_behalf_of: $common.on_behalf_of,
        };
        Ok((request.into(), $common.name))
    }};
}

/// A call, and what it is called.
pub(super) type Read = Result<(Call, Option<String>), Wrong>;

/// Reads a call, and what it is called.
pub(super) fn read(words: &mut Words, scope: &mut Scope) -> Read {
    match words.word("a command")?.as_str() {
        "credit" => credit(words, scope),
        "debit" => debit(words, scope, DebitPurpose::Unspecified),
        "withdraw" => debit(words, scope, DebitPurpose::Withdrawal),
        "reverse" => reverse(words, scope),
        "transfer" => transfer(words, scope),
        "hold" => hold(words, scope),
        "capture" => capture(words, scope),
        "release" => release(words, scope),
        "clawback" => clawback(words, scope),
        "entitle" => entitle(words, scope),
        "authorize" => authorize(words, scope),
        "freeze" => {
            status(words, |account_id, note| v1::FreezeAccountRequest { account_id, note }.into())
        }
        "unfreeze" => {
            status(words, |account_id, note| v1::UnfreezeAccountRequest { account_id, note }.into())
        }
        "close" => {
            status(words, |account_id, note| v1::CloseAccountRequest { account_id, note }.into())
        }
        "cap" => cap(words),
        "threshold" => threshold(words),
        other => read::read(other, words, scope),
    }
}

fn credit(words: &mut Words, scope: &mut Scope) -> Read {
    let account = scope.filled(&words.word("an account")?);
    let amount = words.number("an amount")?;
    let kind = KINDS.into_iter().find(|(word, _)| words.take(word)).map(|(_, kind)| kind);
    let (mut common, mut priority, mut effective_time, mut expire_time) = Default::default();
    let (mut actions, mut cost, mut supersede) = Default::default();
    while !words.is_empty() {
        if words.take("priority") {
            let number = words.number("a priority")?;
            priority =
                i32::try_from(number).map_err(|_| Wrong::new("a priority", "a larger number"))?;
        } else if words.take("effective") {
            effective_time = Some(time::to_wire(words.time(scope.now)?));
        } else if words.take("expires") {
            expire_time = Some(time::to_wire(words.time(scope.now)?));
        } else if words.take("for") {
            actions = words.list("actions")?;
        } else if words.take("cost") {
            let amount_minor = words.number("minor units of money")?;
            cost = Some(v1::Money { amount_minor, currency: words.word("a currency")? });
        } else if words.take("supersedes") {
            let grant_id = scope.named(words, "the name of a grant")?.id;
            words.need("carry")?;
            let carry_over_max = words.number("tokens to carry over at most")?;
            supersede = Some(v1::Supersede { grant_id, carry_over_max });
        } else if !Common::option(&mut common, words)? {
            common.finish(
                words,
                "`priority`, `effective`, `expires`, `for`, `cost`, `supersedes`, ",
            )?;
        }
    }
    let kind = kind.unwrap_or(GrantKind::Purchased).into();
    keyed!(
        scope,
        common,
        account,
        CreditRequest {
            amount,
            kind,
            priority,
            effective_time,
            expire_time,
            actions,
            cost,
            supersede,
        }
    )
}

fn debit(words: &mut Words, scope: &mut Scope, purpose: DebitPurpose) -> Read {
    let account = scope.filled(&words.word("an account")?);
    let mode = if words.take("upto") { DebitMode::UpTo } else { DebitMode::Unspecified };
    let charge = Charge::read(words)?;
    let common = Common::rest(words)?;
    keyed!(
        scope,
        common,
        account,
        DebitRequest {
            amount: charge.amount,
            action: charge.action,
            quantity: charge.quantity,
            mode: mode.into(),
            purpose: purpose.into(),
        }
    )
}

fn reverse(words: &mut Words, scope: &mut Scope) -> Read {
    let original = scope.named(words, "the name of a transaction")?;
    let amount = words.maybe_number();
    let common = Common::rest(words)?;
    keyed!(scope, common, original.account, ReverseRequest { transaction_id: original.id, amount })
}

fn transfer(words: &mut Words, scope: &mut Scope) -> Read {
    let account = words.word("an account")?;
    let to_account_id = words.word("another account")?;
    let amount = words.number("an amount")?;
    let common = Common::rest(words)?;
    keyed!(scope, common, account, TransferRequest { amount, to_account_id })
}

fn hold(words: &mut Words, scope: &mut Scope) -> Read {
    let account = words.word("an account")?;
    let charge = Charge::read(words)?;
    let duration = lasting(words)?;
    let common = Common::rest(words)?;
    keyed!(
        scope,
        common,
        account,
        CreateHoldRequest {
            amount: charge.amount,
            action: charge.action,
            quantity: charge.quantity,
            duration,
        }
    )
}

fn capture(words: &mut Words, scope: &mut Scope) -> Read {
    let hold = scope.named(words, "the name of a hold")?;
    let amount = words.maybe_number();
    let common = Common::rest(words)?;
    keyed!(scope, common, hold.account, CaptureHoldRequest { hold_id: hold.id, amount })
}

fn release(words: &mut Words, scope: &mut Scope) -> Read {
    let hold = scope.named(words, "the name of a hold")?;
    let common = Common::rest(words)?;
    keyed!(scope, common, hold.account, ReleaseHoldRequest { hold_id: hold.id })
}

fn clawback(words: &mut Words, scope: &mut Scope) -> Read {
    let credit = scope.named(words, "the name of a credit")?;
    words.need("target")?;
    let target = words.number("tokens to take back in all")?;
    words.need("revision")?;
    let revision = words.number("a revision")?;
    let common = Common::rest(words)?;
    keyed!(
        scope,
        common,
        credit.account,
        SetClawbackRequest { credit_key: credit.key, target, revision }
    )
}

fn entitle(words: &mut Words, scope: &mut Scope) -> Read {
    let account = words.word("an account")?;
    let source = scope.filled(&words.word("a source")?);
    let version = words.word("a version (v1)")?;
    let source_version = version.strip_prefix('v').and_then(|it| it.parse().ok());
    let source_version = source_version.ok_or_else(|| Wrong::new("a version (v1)", version))?;
    let benefit = if words.take("unlimited") {
        let actions = if words.take("for") { words.list("actions")? } else { Vec::new() };
        Benefit::Unlimited(v1::Unlimited { actions })
    } else {
        words.need("quota")?;
        let units = words.list("units by action (import_domain=50)")?.into_iter().map(|pair| {
            let read = pair
                .split_once('=')
                .and_then(|(action, units)| Some((action.to_owned(), units.parse().ok()?)));
            read.ok_or_else(|| Wrong::new("units by action (import_domain=50)", pair))
        });
        Benefit::Quota(v1::Quota { units: units.collect::<Result<_, _>>()? })
    };
    let mut moment = |word| {
        let there = words.take(word).then(|| words.time(scope.now));
        Ok(there.transpose()?.map(time::to_wire))
    };
    let (period, until) = (moment("period")?, moment("until")?);
    let mut common = Common::default();
    common.finish(words, "`period`, `until`, ")?;
    keyed!(
        scope,
        common,
        account,
        SetEntitlementRequest {
            source,
            source_version,
            benefit: Some(benefit),
            period_start_time: period,
            expire_time: until,
        }
    )
}

fn authorize(words: &mut Words, scope: &mut Scope) -> Read {
    let account = words.word("an account")?;
    let modes = [
        ("check", AuthorizeMode::Check),
        ("hold", AuthorizeMode::Hold),
        ("charge", AuthorizeMode::Charge),
    ];
    let mode = modes.into_iter().find(|(word, _)| words.take(word)).map(|(_, mode)| mode);
    let mode = mode.ok_or_else(|| words.wrong("`check`, `hold` or `charge`"))?;
    let charge = Charge::read(words)?;
    let hold_duration = lasting(words)?;
    let common = Common::rest(words)?;
    keyed!(
        scope,
        common,
        account,
        AuthorizeRequest {
            amount: charge.amount,
            action: charge.action,
            quantity: charge.quantity,
            mode: mode.into(),
            hold_duration,
        }
    )
}

fn lasting(words: &mut Words) -> Result<Option<prost_types::Duration>, Wrong> {
    let duration = words.take("for").then(|| words.duration());
    Ok(duration.transpose()?.map(time::duration_to_wire))
}
