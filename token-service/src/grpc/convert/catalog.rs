//! The catalog as a message of the contract.

use super::wire;
use crate::policy::policy;
use proto::{
    catalog::{Benefit, Catalog, CustomAmount, Package, Plan},
    v1,
};

/// The catalog as this service understands it.
#[must_use]
pub fn catalog(catalog: &Catalog) -> v1::Catalog {
    let policy = policy(catalog);
    let price =
        |amount_minor| v1::Money { amount_minor, currency: catalog.currency.code().to_owned() };
    let kinds = policy.transfers.kinds.iter();
    let labels = catalog.labels.iter();
    v1::Catalog {
        version: catalog.digest(),
        catalog_id: catalog.economy.clone(),
        title: catalog.title.clone(),
        currency: catalog.currency.code().to_owned(),
        packages: catalog.packages.iter().map(|it| package(it, price(it.price_minor))).collect(),
        plans: catalog.plans.iter().map(|it| plan(it, price(it.price_minor))).collect(),
        actions: catalog.actions.iter().map(action).collect(),
        custom_amount: catalog
            .custom_amount
            .map(|it| custom_amount(it, price(it.price_minor_per_token))),
        trial_tokens: policy.trial_tokens,
        funding_order: catalog.funding_order.iter().map(|it| it.as_str().to_owned()).collect(),
        hold_duration: Some(seconds(catalog.holds.default_minutes * 60)),
        hold_duration_max: Some(seconds(catalog.holds.max_hours * 3_600)),
        transfer_fee_basis_points: policy.transfers.fee_basis_points,
        transferable_kinds: kinds.map(|it| wire::grant_kind(*it).into()).collect(),
        labels: labels.map(|(label, text)| (label.as_str().to_owned(), text.clone())).collect(),
    }
}

fn package(package: &Package, price: v1::Money) -> v1::Package {
    v1::Package {
        package_id: package.id.clone(),
        name: package.name.clone(),
        tokens: package.tokens,
        price: Some(price),
        badge: package.badge.clone().unwrap_or_default(),
        bonus_percent: package.bonus_percent.unwrap_or_default(),
        savings_percent: package.savings_percent.unwrap_or_default(),
    }
}

fn plan(plan: &Plan, price: v1::Money) -> v1::Plan {
    use v1::plan::Benefit as Wire;
    v1::Plan {
        plan_id: plan.id.clone(),
        name: plan.name.clone(),
        price: Some(price),
        benefit: Some(match &plan.benefit {
            Benefit::Tokens { tokens, rollover: _ } => Wire::Tokens(*tokens),
            Benefit::Unlimited { actions } => {
                let actions = actions.iter().flatten().cloned().collect();
                Wire::Unlimited(v1::Unlimited { actions })
            }
            Benefit::Quotas(units) => Wire::Quota(v1::Quota { units: units.clone() }),
        }),
    }
}

fn action(action: &proto::catalog::Action) -> v1::Action {
    v1::Action { action_id: action.id.clone(), label: action.label.clone(), tokens: action.tokens }
}

fn custom_amount(amount: CustomAmount, price_per_token: v1::Money) -> v1::CustomAmount {
    v1::CustomAmount {
        price_per_token: Some(price_per_token),
        tokens_min: amount.min_tokens,
        tokens_max: amount.max_tokens,
    }
}

fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_catalog_can_be_told() {
        for name in ["phoenix", "landscape", "domains", "vantage"] {
            let read = Catalog::load(name).expect(name);
            let told = catalog(&read);
            assert_eq!((told.catalog_id.as_str(), told.version.len()), (name, 64));
            assert_eq!(told.actions.len(), read.actions.len());
            // Labels are always told in the same words as the contract's types.
            let known =
                |label: &String| proto::catalog::Label::WORDS.iter().any(|it| it.0 == label);
            assert!(told.labels.keys().all(known));
        }
    }
}
