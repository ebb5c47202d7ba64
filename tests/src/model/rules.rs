//! What the model takes from a catalog.

use proto::catalog::{self, BurnCriterion, Catalog, FundingStep};
use proto::v1::GrantKind;
use std::collections::BTreeMap;

/// A day in microseconds.
pub(crate) const DAY: i64 = 86_400_000_000;

/// The rules of one economy.
#[derive(Clone, Debug)]
pub struct Rules {
    /// For each step of the funding order its kinds; none for the entitlement.
    pub(crate) steps: Vec<Option<Vec<GrantKind>>>,
    pub(crate) burn_order: Vec<BurnCriterion>,
    /// Price of one, by action.
    pub(crate) prices: BTreeMap<String, i128>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Free tokens, and after how many microseconds they lapse.
    pub(crate) trial: Option<(i128, Option<i64>)>,
    /// Kinds that may be given away; none when transfers are off.
    pub(crate) transferable: Vec<GrantKind>,
    pub(crate) fee_basis_points: i128,
    pub(crate) maturity: i64,
    pub(crate) withdrawals: bool,
    pub(crate) hold_default: i64,
    pub(crate) hold_max: i64,
    pub(crate) version: String,
}

impl Rules {
    /// The rules that a catalog sets.
    pub fn of(catalog: &Catalog) -> Self {
        let steps = catalog.funding_order.iter().map(|step| match step {
            FundingStep::Entitlement => None,
            tokens => Some(catalog.kinds(*tokens).into_iter().map(kind).collect()),
        });
        let given = catalog.transfers.enabled.then_some(&catalog.transfers.kinds);
        let trial = catalog
            .trial
            .map(|trial| (i128::from(trial.tokens), trial.expires_days.map(|days| days * DAY)));
        let actions = &catalog.actions;
        Self {
            steps: steps.collect(),
            burn_order: catalog.burn_order.clone(),
            prices: actions.iter().map(|a| (a.id.clone(), i128::from(a.tokens))).collect(),
            labels: actions.iter().map(|a| (a.id.clone(), a.label.clone())).collect(),
            trial,
            transferable: given.into_iter().flatten().copied().map(kind).collect(),
            fee_basis_points: i128::from(catalog.transfers.fee_basis_points),
            maturity: catalog.earnings.maturity_days * DAY,
            withdrawals: catalog.earnings.withdrawals_enabled,
            hold_default: catalog.holds.default_minutes * 60_000_000,
            hold_max: catalog.holds.max_hours * 3_600_000_000,
            version: catalog.digest(),
        }
    }

    /// Where in the funding order tokens of this kind stand.
    pub(crate) fn step_of(&self, kind: GrantKind) -> usize {
        let here = |step: &Option<Vec<GrantKind>>| step.as_ref().is_some_and(|s| s.contains(&kind));
        self.steps.iter().position(here).unwrap_or(usize::MAX)
    }

    /// Where in the funding order the entitlement stands, if it does.
    pub(crate) fn step_of_entitlement(&self) -> Option<usize> {
        self.steps.iter().position(Option::is_none)
    }
}

fn kind(kind: catalog::GrantKind) -> GrantKind {
    match kind {
        catalog::GrantKind::Purchased => GrantKind::Purchased,
        catalog::GrantKind::Promotional => GrantKind::Promotional,
        catalog::GrantKind::Trial => GrantKind::Trial,
        catalog::GrantKind::Allowance => GrantKind::Allowance,
        catalog::GrantKind::Earned => GrantKind::Earned,
        catalog::GrantKind::Adjustment => GrantKind::Adjustment,
    }
}
