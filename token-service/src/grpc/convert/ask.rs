//! The ten requests that are one command each: what they ask for, and what they are answered.

use super::{
    fields::{Common, Fields, NAME_CHARS_MAX},
    funding::funding,
    wire::{self, Done},
};
use crate::grpc::fingerprint;
use ledger::{
    AMOUNT_MAX, Act, Benefit, Command, Credit, Entitlement, Extent, GrantKind, Mode, Purpose,
    Receipt, Supersede, Work,
};
use proto::{catalog::Catalog, reason::Error, v1};

/// Actions that a grant may be limited to, and that an entitlement names, at most.
const GRANT_ACTIONS_MAX: usize = 32;
const ENTITLEMENT_ACTIONS_MAX: usize = 64;

/// A check's key: nothing is stored under it.
const CHECK_KEY: &str = "sys/check";

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
/// INVALID_FIELD with every field that isn't as it must be, or ACTION_NOT_FOUND.
pub fn command<R: Ask>(request: &R, catalog: &Catalog, actor: &str) -> Result<Command, Error> {
    Fields::read(catalog, |fields| read(request, fields, actor))
}

/// The command, if its fields are as they must be.
pub(super) fn read<R: Ask>(request: &R, fields: &mut Fields<'_>, actor: &str) -> Option<Command> {
    let common = request.common();
    let account = fields.account("account_id", common.account_id);
    let key = request.key(fields);
    let act = request.act(fields);
    let note = fields.note(&common, actor);
    Some(Command {
        account: account?,
        key: Some(key?),
        act: act?,
        note: note?,
        fingerprint: fingerprint::of(R::METHOD, actor, request),
    })
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

impl Ask for v1::CreditRequest {
    method!("Credit");
    type Answer = v1::CreditResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        let amount = fields.amount("amount", self.amount);
        let kind = fields.grant_kind("kind", self.kind).and_then(|kind| {
            let ours = "give another kind: only a Transfer makes EARNED tokens";
            fields.check(kind != GrantKind::Earned, "kind", ours).map(|()| kind)
        });
        let period = fields
            .period(("effective_time", self.effective_time), ("expire_time", self.expire_time));
        let actions = fields.actions("actions", &self.actions, GRANT_ACTIONS_MAX);
        let cost = self.cost.as_ref().map(|cost| fields.money("cost", cost));
        let supersede = self.supersede.as_ref().map(|it| {
            let grant = fields.id("supersede.grant_id", &it.grant_id);
            let most = it.carry_over_max;
            let most = fields.within_range("supersede.carry_over_max", most, 0, AMOUNT_MAX);
            Some(Supersede { grant: grant?, carry_over_max: most? })
        });
        let (effective, expire) = period?;
        Some(Act::Credit(Box::new(Credit {
            amount: amount?,
            kind: kind?,
            priority: self.priority,
            effective,
            expire,
            actions: actions?,
            cost: flat(cost)?,
            supersede: flat(supersede)?,
        })))
    }

    fn answer(&self, receipt: &Receipt, _: &Catalog) -> v1::CreditResponse {
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        let grant_id = transaction.as_ref().map(|it| it.transaction_id.clone()).unwrap_or_default();
        v1::CreditResponse { transaction, balance, replayed, grant_id }
    }
}

impl Ask for v1::DebitRequest {
    method!("Debit");
    type Answer = v1::DebitResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        let charge = fields.charge(self.amount, &self.action, self.quantity);
        let extent = match v1::DebitMode::try_from(self.mode) {
            Ok(v1::DebitMode::Unspecified | v1::DebitMode::Exact) => Some(Extent::Exact),
            Ok(v1::DebitMode::UpTo) => Some(Extent::UpTo),
            Err(_) => fields.fail("mode", "give exact or up to"),
        };
        let purpose = match v1::DebitPurpose::try_from(self.purpose) {
            Ok(v1::DebitPurpose::Unspecified | v1::DebitPurpose::Usage) => Some(Purpose::Usage),
            Ok(v1::DebitPurpose::Withdrawal) => Some(Purpose::Withdrawal),
            Err(_) => fields.fail("purpose", "give usage or withdrawal"),
        };
        if purpose == Some(Purpose::Withdrawal) {
            let exact = extent != Some(Extent::UpTo);
            fields.check(exact, "mode", "leave it out: a withdrawal is exact");
            fields.check(self.action.is_empty(), "action", "give an amount: it is a withdrawal");
        }
        Some(Act::Debit { charge: charge?, extent: extent?, purpose: purpose? })
    }

    fn answer(&self, receipt: &Receipt, _: &Catalog) -> v1::DebitResponse {
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        v1::DebitResponse { transaction, balance, replayed }
    }
}

impl Ask for v1::ReverseRequest {
    method!("Reverse");
    type Answer = v1::ReverseResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        let original = fields.id("transaction_id", &self.transaction_id);
        let amount = self.amount.map(|amount| fields.amount("amount", amount));
        Some(Act::Reverse { original: original?, amount: flat(amount)? })
    }

    fn answer(&self, receipt: &Receipt, _: &Catalog) -> v1::ReverseResponse {
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        v1::ReverseResponse { transaction, balance, replayed }
    }
}

impl Ask for v1::TransferRequest {
    method!("Transfer");
    type Answer = v1::TransferResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        let amount = fields.amount("amount", self.amount);
        let to = fields.account("to_account_id", &self.to_account_id);
        let other = self.to_account_id != self.account_id;
        fields.check(other, "to_account_id", "give another account than the payer's");
        Some(Act::Transfer { amount: amount?, to: to? })
    }

    fn answer(&self, receipt: &Receipt, _: &Catalog) -> v1::TransferResponse {
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        let other = receipt.transaction.as_ref().and_then(|it| it.other());
        let to_balance = other.map(|entry| {
            let (posted, held) = (entry.balance_after, entry.held_after);
            let after = ledger::Balance { posted, held, sequence: entry.sequence };
            wire::balance(&self.to_account_id, after)
        });
        v1::TransferResponse { transaction, balance, replayed, to_balance }
    }
}

impl Ask for v1::CreateHoldRequest {
    method!("CreateHold");
    type Answer = v1::CreateHoldResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        let charge = fields.charge(self.amount, &self.action, self.quantity);
        let lasts_micros = fields.hold_micros("duration", self.duration);
        Some(Act::CreateHold { charge: charge?, lasts_micros: lasts_micros? })
    }

    fn answer(&self, receipt: &Receipt, _: &Catalog) -> v1::CreateHoldResponse {
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        let hold = made_hold(&self.account_id, receipt);
        v1::CreateHoldResponse { transaction, balance, replayed, hold }
    }
}

impl Ask for v1::CaptureHoldRequest {
    method!("CaptureHold");
    type Answer = v1::CaptureHoldResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        let hold = fields.id("hold_id", &self.hold_id);
        let amount = self.amount.map(|amount| fields.amount("amount", amount));
        Some(Act::CaptureHold { hold: hold?, amount: flat(amount)? })
    }

    fn answer(&self, receipt: &Receipt, _: &Catalog) -> v1::CaptureHoldResponse {
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        let released =
            receipt.transaction.as_ref().map_or(0, |it| -it.own().held_delta - it.amount);
        v1::CaptureHoldResponse { transaction, balance, replayed, released }
    }
}

impl Ask for v1::ReleaseHoldRequest {
    method!("ReleaseHold");
    type Answer = v1::ReleaseHoldResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        let hold = fields.id("hold_id", &self.hold_id);
        Some(Act::ReleaseHold { hold: hold? })
    }

    fn answer(&self, receipt: &Receipt, _: &Catalog) -> v1::ReleaseHoldResponse {
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        let released = receipt.transaction.as_ref().map_or(0, |it| it.amount);
        v1::ReleaseHoldResponse { transaction, balance, replayed, released }
    }
}

impl Ask for v1::SetClawbackRequest {
    method!("SetClawback");
    type Answer = v1::SetClawbackResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        let credit = fields.known_key("credit_key", &self.credit_key);
        let target = fields.within_range("target", self.target, 0, AMOUNT_MAX);
        let revision = fields.within_range("revision", self.revision, 1, i64::MAX);
        Some(Act::SetClawback { credit: credit?, target: target?, revision: revision? })
    }

    fn answer(&self, receipt: &Receipt, _: &Catalog) -> v1::SetClawbackResponse {
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        let facts = receipt.clawback.as_ref();
        let taken = facts.iter().flat_map(|facts| &facts.sources).map(ledger::Source::amount);
        v1::SetClawbackResponse {
            stale: transaction.is_none(),
            clawed_back: taken.sum(),
            revision: facts.map_or(0, |facts| facts.revision),
            transaction,
            balance,
            replayed,
        }
    }
}

impl Ask for v1::SetEntitlementRequest {
    method!("SetEntitlement");
    type Answer = v1::SetEntitlementResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        use v1::set_entitlement_request::Benefit as Wire;
        let source = fields.visible("source", &self.source, 1, NAME_CHARS_MAX);
        let version = fields.within_range("source_version", self.source_version, 1, i64::MAX);
        let benefit = match &self.benefit {
            None => fields.fail("benefit", "give unlimited or quota"),
            Some(Wire::Unlimited(unlimited)) => fields
                .actions("unlimited.actions", &unlimited.actions, ENTITLEMENT_ACTIONS_MAX)
                .map(Benefit::Unlimited),
            Some(Wire::Quota(quota)) => quota_units(fields, quota),
        };
        let period = fields.time("period_start_time", self.period_start_time);
        let expire = fields.time("expire_time", self.expire_time);
        Some(Act::SetEntitlement(Box::new(Entitlement {
            source: source?,
            version: version?,
            benefit: benefit?,
            period: period?,
            expire: expire?,
            used: [].into(),
        })))
    }

    fn answer(&self, receipt: &Receipt, _: &Catalog) -> v1::SetEntitlementResponse {
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        let stale = transaction.is_none();
        v1::SetEntitlementResponse { transaction, balance, replayed, stale }
    }
}

impl Ask for v1::AuthorizeRequest {
    method!("Authorize");
    type Answer = v1::AuthorizeResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        let charge = fields.charge(self.amount, &self.action, self.quantity);
        let lasts_micros = fields.hold_micros("hold_duration", self.hold_duration);
        let work = match v1::AuthorizeMode::try_from(self.mode) {
            Ok(v1::AuthorizeMode::Hold) => lasts_micros.map(Work::Hold),
            Ok(v1::AuthorizeMode::Charge | v1::AuthorizeMode::Check) => Some(Work::Charge),
            Ok(v1::AuthorizeMode::Unspecified) | Err(_) => {
                fields.fail("mode", "give check, hold or charge")
            }
        };
        Some(Act::Authorize { charge: charge?, work: work? })
    }

    fn answer(&self, receipt: &Receipt, catalog: &Catalog) -> v1::AuthorizeResponse {
        let funding = funding(receipt.transaction.as_deref(), catalog);
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        let (transaction, hold) = match self.mode() {
            v1::AuthorizeMode::Check => (None, None),
            v1::AuthorizeMode::Hold
            | v1::AuthorizeMode::Charge
            | v1::AuthorizeMode::Unspecified => (transaction, made_hold(&self.account_id, receipt)),
        };
        v1::AuthorizeResponse { transaction, balance, replayed, funding, hold }
    }

    fn key(&self, fields: &mut Fields<'_>) -> Option<String> {
        match Ask::mode(self) {
            Mode::DryRun | Mode::AtomicDryRun => Some(CHECK_KEY.to_owned()),
            Mode::Independent | Mode::Atomic => {
                fields.key("idempotency_key", &self.idempotency_key)
            }
        }
    }

    fn mode(&self) -> Mode {
        match self.mode() {
            v1::AuthorizeMode::Check => Mode::DryRun,
            v1::AuthorizeMode::Hold
            | v1::AuthorizeMode::Charge
            | v1::AuthorizeMode::Unspecified => Mode::Independent,
        }
    }
}

fn quota_units(fields: &mut Fields<'_>, quota: &v1::Quota) -> Option<Benefit> {
    let named: Vec<String> = quota.units.keys().cloned().collect();
    fields.check(!named.is_empty(), "quota.units", "name an action and its units")?;
    fields.actions("quota.units", &named, ENTITLEMENT_ACTIONS_MAX)?;
    for units in quota.units.values() {
        fields.within_range("quota.units", *units, 1, AMOUNT_MAX)?;
    }
    Some(Benefit::Quota(quota.units.clone()))
}

fn made_hold(account: &str, receipt: &Receipt) -> Option<v1::Hold> {
    receipt.transaction.as_ref()?.hold().map(|hold| wire::hold(account, hold))
}

/// What was read of something that need not be there: `None` if it is there and was noted.
fn flat<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}
