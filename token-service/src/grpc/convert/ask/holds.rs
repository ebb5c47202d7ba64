//! Tokens set aside, and what becomes of them; Authorize, which may set them aside.

use super::{Ask, flat, method};
use crate::grpc::convert::{
    fields::{Common, Fields},
    funding::funding,
    wire::{self, Done},
};
use ledger::{Act, Mode, Receipt, Work};
use proto::{catalog::Catalog, v1};

/// A check's key: nothing is stored under it.
const CHECK_KEY: &str = "sys/check";

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

fn made_hold(account: &str, receipt: &Receipt) -> Option<v1::Hold> {
    receipt.transaction.as_ref()?.hold().map(|hold| wire::hold(account, hold))
}
