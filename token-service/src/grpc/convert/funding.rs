//! Who paid, in order, as the contract tells it.

use super::wire::grant_kind;
use crate::policy;
use ledger::{Draw, Transaction};
use proto::{
    catalog::{Catalog, FundingStep},
    v1,
};

/// Who paid for these transactions, in the order in which they did: debits and holds.
#[must_use]
pub fn funding<'a>(
    paid: impl IntoIterator<Item = &'a Transaction>,
    catalog: &Catalog,
) -> Vec<v1::Funding> {
    let mut funding: Vec<v1::Funding> = Vec::new();
    for part in paid.into_iter().flat_map(|it| parts(it, catalog)) {
        let known = funding.iter_mut().find(|known| {
            (&known.entitlement_source, known.kind) == (&part.entitlement_source, part.kind)
        });
        match known {
            None => funding.push(part),
            Some(known) => {
                known.amount += part.amount;
                known.entitled_quantity += part.entitled_quantity;
            }
        }
    }
    funding
}

/// The entitlement stands behind the kinds that pay before it.
fn parts(of: &Transaction, catalog: &Catalog) -> Vec<v1::Funding> {
    let held = of.hold().map_or(&[][..], |hold| &hold.draws);
    let mut parts: Vec<v1::Funding> = held.iter().chain(of.own().draws()).map(by_tokens).collect();
    if let Some(entitled) = &of.entitled {
        let order = &catalog.funding_order;
        let before = order.iter().take_while(|it| **it != FundingStep::Entitlement);
        let before: Vec<i32> = before
            .flat_map(|step| catalog.kinds(*step))
            .map(|kind| grant_kind(policy::kind(kind)).into())
            .collect();
        let at = parts.iter().take_while(|part| before.contains(&part.kind)).count();
        let part = v1::Funding {
            entitlement_source: entitled.source.clone(),
            entitled_quantity: entitled.quantity,
            ..v1::Funding::default()
        };
        parts.insert(at, part);
    }
    parts
}

fn by_tokens(draw: &Draw) -> v1::Funding {
    v1::Funding {
        kind: grant_kind(draw.kind).into(),
        amount: draw.amount,
        ..v1::Funding::default()
    }
}
