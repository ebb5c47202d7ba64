//! Who pays: the order of the sources, and of the grants within one.

use serde::Serialize;

use super::section::Section;
use super::value::Value;
use super::words::words;

words! {
    /// Where a grant's tokens came from.
    pub enum GrantKind {
        /// Bought with money.
        Purchased = "purchased",
        /// Given away.
        Promotional = "promotional",
        /// Given once to try the service.
        Trial = "trial",
        /// A plan's tokens for one period.
        Allowance = "allowance",
        /// Received from another user.
        Earned = "earned",
        /// Put right by an operator.
        Adjustment = "adjustment",
    }
}

words! {
    /// What decides which of two grants of one step is drawn first.
    pub enum BurnCriterion {
        /// The lower priority number.
        Priority = "priority",
        /// The earlier expiry; never expiring comes last.
        Expiry = "expiry",
        /// The one that nobody paid for.
        UnpaidFirst = "unpaid_first",
        /// The one that was there first.
        Oldest = "oldest",
    }
}

/// One source in the funding order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FundingStep {
    /// What a plan lets its subscriber do: unlimited use, or a quota.
    Entitlement,
    /// Tokens of every kind that is not a step of its own.
    Tokens,
    /// Tokens of one kind.
    Kind(GrantKind),
}

impl FundingStep {
    /// The word for it in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Entitlement => "entitlement",
            Self::Tokens => "tokens",
            Self::Kind(kind) => kind.as_str(),
        }
    }

    /// The kinds of grants that this step draws on, given the whole order.
    pub(super) fn kinds(self, order: &[Self]) -> Vec<GrantKind> {
        let all = GrantKind::WORDS.iter().map(|(_, kind)| *kind);
        match self {
            Self::Entitlement => Vec::new(),
            Self::Kind(kind) => vec![kind],
            Self::Tokens => all.filter(|kind| !order.contains(&Self::Kind(*kind))).collect(),
        }
    }
}

/// Reads `funding_order`; left out, a plan's entitlement pays before any tokens.
pub(super) fn read_funding_order(top: &mut Section<'_>) -> Vec<FundingStep> {
    let kinds = GrantKind::WORDS.iter().map(|(word, kind)| (*word, FundingStep::Kind(*kind)));
    let sources = [("entitlement", FundingStep::Entitlement), ("tokens", FundingStep::Tokens)];
    let words: Vec<_> = sources.into_iter().chain(kinds).collect();

    let value = top.get("funding_order");
    let Some(order) = value.list(|step| step.choice(&words)) else {
        return vec![FundingStep::Entitlement, FundingStep::Tokens];
    };
    note_unreachable_kinds(&value, &order);
    order
}

fn note_unreachable_kinds(value: &Value<'_>, order: &[FundingStep]) {
    if order.contains(&FundingStep::Tokens) {
        return;
    }
    let missing: Vec<_> = FundingStep::Tokens.kinds(order).iter().map(|k| k.as_str()).collect();
    if !missing.is_empty() {
        value.fail(format_args!(
            "funding_order never spends {} tokens: add the step `tokens`, which stands for every \
             kind without a step of its own",
            missing.join(", ")
        ));
    }
}

/// Reads `burn_order`; left out, it is all criteria in the order in which they are declared.
pub(super) fn read_burn_order(top: &mut Section<'_>) -> Vec<BurnCriterion> {
    let order = top.get("burn_order").list(|criterion| criterion.choice(BurnCriterion::WORDS));
    order.unwrap_or_else(|| BurnCriterion::WORDS.iter().map(|(_, criterion)| *criterion).collect())
}
