//! Entitlements: what may be used without tokens.

use crate::{
    time::Time,
    tokens::{Exact, is_default},
    transaction::Change,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most entitlements of one account that may be active at a time.
pub(crate) const ENTITLEMENTS_MAX: i64 = 32;

/// The most that an account keeps: those that expired first make room for new ones.
pub(crate) const ENTITLEMENTS_KEPT_MAX: usize = 64;

/// What an entitlement allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Benefit {
    /// These actions without limit; empty: everything.
    Unlimited(Vec<String>),
    /// So many units of each action per period.
    Quota(BTreeMap<String, i64>),
}

/// A right to use actions without tokens, one per source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    /// What gives the right, e.g. `subscription/sub_123`.
    pub source: String,
    /// The source's version: an older one never replaces a newer one.
    pub version: i64,
    /// What it allows.
    pub benefit: Benefit,
    /// The period that the units are counted in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub period: Option<Time>,
    /// The right ends here; `None`: never.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expire: Option<Time>,
    /// Units used in the period.
    #[serde(default, skip_serializing_if = "is_default")]
    pub used: BTreeMap<String, i64>,
}

/// What an entitlement covered of one charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitled {
    /// The entitlement's source.
    pub source: String,
    /// Units of the action; tokens when a charge by amount is covered.
    pub quantity: i64,
    /// The period that the units were counted in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub period: Option<Time>,
    /// Whether the units were counted against a quota.
    #[serde(default, skip_serializing_if = "is_default")]
    pub counted: bool,
}

impl Entitled {
    /// The change by which units of a quota come back.
    pub(crate) fn returned(&self, action: &str) -> Option<Change> {
        let quantity = 0_i64.minus(self.quantity);
        let entitled = Self { quantity, ..self.clone() };
        self.counted.then(|| Change::Use { action: action.to_owned(), entitled })
    }
}

impl Entitlement {
    /// Whether the right exists at this time.
    #[must_use]
    pub fn is_active(&self, now: Time) -> bool {
        self.expire.is_none_or(|expire| now < expire)
    }

    /// How many units of the action it still covers. For a charge by amount (`None`) only a right
    /// to everything counts.
    pub(crate) fn covers(&self, action: Option<&str>) -> i64 {
        match (&self.benefit, action) {
            (Benefit::Unlimited(actions), _) if actions.is_empty() => i64::MAX,
            (Benefit::Unlimited(actions), Some(action)) => {
                if actions.iter().any(|allowed| allowed == action) { i64::MAX } else { 0 }
            }
            (Benefit::Quota(units), Some(action)) => {
                let used = self.used.get(action).copied().unwrap_or(0);
                units.get(action).map_or(0, |units| units.minus(used).max(0))
            }
            (Benefit::Unlimited(_) | Benefit::Quota(_), None) => 0,
        }
    }

    /// Whether a newer version says the same as this one.
    pub(crate) fn grants_the_same_as(&self, other: &Self) -> bool {
        self.benefit == other.benefit && self.period == other.period && self.expire == other.expire
    }
}
