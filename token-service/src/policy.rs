//! From the catalog to the rules that the ledger decides by. The two don't know each other.

use ledger::{BurnCriterion, FundingStep, GrantKind, Policy, Transfers};
use proto::catalog::{self, Catalog};

const DAY_MICROS: i64 = 86_400 * 1_000_000;

/// What the catalog decides for the ledger.
#[must_use]
pub fn policy(catalog: &Catalog) -> Policy {
    let trial = catalog.trial;
    let allowed = catalog.transfers.enabled.then_some(&catalog.transfers.kinds);
    Policy {
        funding_order: catalog.funding_order.iter().copied().map(step).collect(),
        burn_order: catalog.burn_order.iter().copied().map(criterion).collect(),
        transfers: Transfers {
            kinds: allowed.into_iter().flatten().copied().map(kind).collect(),
            fee_basis_points: catalog.transfers.fee_basis_points,
        },
        withdrawals: catalog.earnings.withdrawals_enabled,
        maturity_days: catalog.earnings.maturity_days,
        trial_tokens: trial.map_or(0, |trial| trial.tokens),
        trial_lasts_micros: trial.and_then(|trial| trial.expires_days).map(|it| it * DAY_MICROS),
    }
}

fn step(step: catalog::FundingStep) -> FundingStep {
    match step {
        catalog::FundingStep::Entitlement => FundingStep::Entitlement,
        catalog::FundingStep::Tokens => FundingStep::Tokens,
        catalog::FundingStep::Kind(of) => FundingStep::Kind(kind(of)),
    }
}

fn criterion(criterion: catalog::BurnCriterion) -> BurnCriterion {
    match criterion {
        catalog::BurnCriterion::Priority => BurnCriterion::Priority,
        catalog::BurnCriterion::Expiry => BurnCriterion::Expiry,
        catalog::BurnCriterion::UnpaidFirst => BurnCriterion::UnpaidFirst,
        catalog::BurnCriterion::Oldest => BurnCriterion::Oldest,
    }
}

/// The ledger's word for a kind of tokens.
#[must_use]
pub fn kind(kind: catalog::GrantKind) -> GrantKind {
    match kind {
        catalog::GrantKind::Purchased => GrantKind::Purchased,
        catalog::GrantKind::Promotional => GrantKind::Promotional,
        catalog::GrantKind::Trial => GrantKind::Trial,
        catalog::GrantKind::Allowance => GrantKind::Allowance,
        catalog::GrantKind::Earned => GrantKind::Earned,
        catalog::GrantKind::Adjustment => GrantKind::Adjustment,
    }
}
