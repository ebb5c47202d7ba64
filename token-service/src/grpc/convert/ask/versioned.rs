//! What callers set as they know it, with a version: older knowledge does nothing.

use super::{Ask, method};
use crate::grpc::convert::{
    fields::{Common, Fields, NAME_CHARS_MAX},
    wire::{self, Done},
};
use ledger::{AMOUNT_MAX, Act, Benefit, Entitlement, Receipt, Source};
use proto::{catalog::Catalog, v1};

/// Actions that an entitlement names at most.
const ACTIONS_MAX: usize = 64;

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
        let taken = facts.iter().flat_map(|facts| &facts.sources).map(Source::amount);
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
                .actions("unlimited.actions", &unlimited.actions, ACTIONS_MAX)
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

fn quota_units(fields: &mut Fields<'_>, quota: &v1::Quota) -> Option<Benefit> {
    let named: Vec<String> = quota.units.keys().cloned().collect();
    fields.check(!named.is_empty(), "quota.units", "name an action and its units")?;
    fields.actions("quota.units", &named, ACTIONS_MAX)?;
    for units in quota.units.values() {
        fields.within_range("quota.units", *units, 1, AMOUNT_MAX)?;
    }
    Some(Benefit::Quota(quota.units.clone()))
}
