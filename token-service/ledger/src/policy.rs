//! What the catalog decides for the ledger.

use crate::{
    grant::{Grant, GrantKind},
    time::Time,
    tokens::Tokens,
};
use sha2::{Digest as _, Sha256};
use std::cmp::Ordering;

/// Who may pay, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FundingStep {
    /// An entitlement.
    Entitlement,
    /// Tokens of one kind.
    Kind(GrantKind),
    /// Tokens of every kind that isn't a step of its own.
    Tokens,
}

/// What decides between two grants of the same funding step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BurnCriterion {
    /// The smaller priority first.
    Priority,
    /// The earlier expiry first, never last.
    Expiry,
    /// Unpaid before paid.
    UnpaidFirst,
    /// The older one first.
    Oldest,
}

/// What may be given away, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfers {
    /// Kinds that may be given away; empty: transfers are off.
    pub kinds: Vec<GrantKind>,
    /// The part of a transfer that goes to [`crate::System::Fees`], in hundredths of a percent.
    pub fee_basis_points: i64,
}

/// The rules that the catalog sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Who may pay, in order.
    pub funding_order: Vec<FundingStep>,
    /// How grants of one step are burnt down.
    pub burn_order: Vec<BurnCriterion>,
    /// Transfers.
    pub transfers: Transfers,
    /// Whether earned tokens may be withdrawn.
    pub withdrawals: bool,
    /// Days after which earned tokens are mature.
    pub maturity_days: i64,
    /// Tokens that an account's first Authorize grants; 0: no trial.
    pub trial_tokens: Tokens,
    /// How long trial tokens last, in microseconds; `None`: for ever.
    pub trial_lasts_micros: Option<i64>,
}

impl Policy {
    /// Where in the funding order a kind of tokens stands; kinds that it forgets come last.
    pub(crate) fn rank(&self, kind: GrantKind) -> usize {
        let at = |wanted| self.funding_order.iter().position(|step| *step == wanted);
        let own = at(FundingStep::Kind(kind)).or_else(|| at(FundingStep::Tokens));
        own.unwrap_or(usize::MAX)
    }

    /// Where in the funding order entitlements stand, if they may pay at all.
    pub(crate) fn entitlement_rank(&self) -> Option<usize> {
        self.funding_order.iter().position(|step| *step == FundingStep::Entitlement)
    }

    /// Which of two grants is spent first: the burn-down order.
    #[must_use]
    pub fn burn(&self, a: &Grant, b: &Grant) -> Ordering {
        let never = Time(i64::MAX);
        let by_step = self.rank(a.kind).cmp(&self.rank(b.kind));
        let by_criteria = self.burn_order.iter().map(|criterion| match criterion {
            BurnCriterion::Priority => a.priority.cmp(&b.priority),
            BurnCriterion::Expiry => a.expire.unwrap_or(never).cmp(&b.expire.unwrap_or(never)),
            BurnCriterion::UnpaidFirst => a.is_paid().cmp(&b.is_paid()),
            BurnCriterion::Oldest => a.sequence.cmp(&b.sequence),
        });
        let found = std::iter::once(by_step).chain(by_criteria).find(|order| order.is_ne());
        found.unwrap_or_else(|| a.sequence.cmp(&b.sequence))
    }

    /// Which of two grants rather stays in its account's row: the one that burns first, scheduled
    /// ones last.
    pub(crate) fn residence(&self, a: &Grant, b: &Grant) -> Ordering {
        let waits = |grant: &Grant| grant.scheduled.is_some();
        waits(a).cmp(&waits(b)).then_with(|| self.burn(a, b))
    }

    /// What the burn-down order depends on, in a few letters: the catalog may change it.
    pub(crate) fn order(&self) -> String {
        let order = format!("{:?} {:?}", self.funding_order, self.burn_order);
        let digest = Sha256::digest(order);
        digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Since when tokens must have been earned to be mature now.
    pub(crate) fn mature_since(&self, now: Time) -> Time {
        now.days_before(self.maturity_days)
    }
}
