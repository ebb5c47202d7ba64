//! The rules of an economy beyond its prices, each with the value it has when the file is silent.

use std::collections::BTreeSet;

use serde::Serialize;

use super::TOKENS_MAX;
use super::funding::GrantKind;
use super::packages::CustomAmount;
use super::section::Section;

/// The longest that a hold may last: 7 days.
const HOLD_HOURS_MAX: i64 = 7 * 24;

/// The longest time in days that the file can name: ten years.
const DAYS_MAX: i64 = 3_650;

/// The highest fee: a hundredth of a percent short of everything.
const FEE_MAX: i64 = 9_999;

/// The highest limit on purchases.
const PURCHASES_MAX: i64 = 1_000_000;

/// Free tokens, once for each user.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Trial {
    /// How many (3).
    pub tokens: i64,
    /// Days until they lapse; `None` for never.
    pub expires_days: Option<i64>,
}

/// Users giving tokens to each other. Without `[transfers]` they cannot.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Transfers {
    /// Whether they can; `[transfers]` must say so.
    pub enabled: bool,
    /// The system's share in hundredths of a percent (0).
    pub fee_basis_points: i64,
    /// The kinds of tokens that can be given away (purchased and earned).
    pub kinds: BTreeSet<GrantKind>,
}

/// What users received from others.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Earnings {
    /// Days until they can be withdrawn (14).
    pub maturity_days: i64,
    /// Whether users can ask for them in money (no).
    pub withdrawals_enabled: bool,
}

/// Tokens set aside for work of unknown outcome.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Holds {
    /// How long a hold lasts when its creator does not say, in minutes (15).
    pub default_minutes: i64,
    /// The longest that a creator may ask for, in hours (168).
    pub max_hours: i64,
}

/// How often one user can buy; auto-reloads and sessions used again don't count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Limits {
    /// Purchases in any hour (5).
    pub purchases_per_hour: i64,
    /// Purchases in any 24 hours (20).
    pub purchases_per_day: i64,
}

/// Buying again by itself when few tokens are left. Without `[auto_reload]` users cannot.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct AutoReload {
    /// Whether users can turn it on; `[auto_reload]` must say so.
    pub enabled: bool,
    /// The lowest threshold that they can choose, in tokens (1).
    pub threshold_min: i64,
    /// The highest threshold that they can choose, in tokens (100).
    pub threshold_max: i64,
    /// The fewest tokens to buy at a time (10).
    pub amount_min: i64,
}

impl Trial {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let tokens = section.get("tokens").whole_or(3, 1..=TOKENS_MAX);
        let expires_days = section.get("expires_days").whole(1..=DAYS_MAX);
        Some(Self { tokens: tokens?, expires_days })
    }
}

impl Transfers {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let enabled = section.declare("enabled");
        let fee_basis_points = section.get("fee_basis_points").whole_or(0, 0..=FEE_MAX);
        let kinds = section.get("kinds").list(|kind| kind.choice(GrantKind::WORDS));
        let kinds = kinds.unwrap_or_else(|| vec![GrantKind::Purchased, GrantKind::Earned]);
        Some(Self {
            enabled: enabled?,
            fee_basis_points: fee_basis_points?,
            kinds: kinds.into_iter().collect(),
        })
    }
}

impl Earnings {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let maturity_days = section.get("maturity_days").whole_or(14, 0..=DAYS_MAX);
        let withdrawals_enabled = section.get("withdrawals_enabled").flag_or(false);
        Some(Self { maturity_days: maturity_days?, withdrawals_enabled: withdrawals_enabled? })
    }
}

impl Holds {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let minutes = section.get("default_minutes").whole_or(15, 1..=HOLD_HOURS_MAX * 60);
        let hours = section.get("max_hours").whole_or(HOLD_HOURS_MAX, 1..=HOLD_HOURS_MAX);
        let (default_minutes, max_hours) = (minutes?, hours?);
        section
            .order(("default_minutes", default_minutes), ("max_hours in minutes", max_hours * 60));
        Some(Self { default_minutes, max_hours })
    }
}

impl Limits {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let hour = section.get("purchases_per_hour").whole_or(5, 1..=PURCHASES_MAX);
        let day = section.get("purchases_per_day").whole_or(20, 1..=PURCHASES_MAX);
        let (purchases_per_hour, purchases_per_day) = (hour?, day?);
        section.order(
            ("purchases_per_hour", purchases_per_hour),
            ("purchases_per_day", purchases_per_day),
        );
        Some(Self { purchases_per_hour, purchases_per_day })
    }
}

impl AutoReload {
    /// `custom` prices amounts that no package has.
    pub(super) fn read(section: &mut Section<'_>, custom: Option<CustomAmount>) -> Option<Self> {
        let enabled = section.declare("enabled");
        let threshold_min = section.get("threshold_min").whole_or(1, 1..=TOKENS_MAX);
        let threshold_max = section.get("threshold_max").whole_or(100, 1..=TOKENS_MAX);
        let amount_min = section.get("amount_min").whole_or(10, 1..=TOKENS_MAX);
        let (enabled, amount_min) = (enabled?, amount_min?);
        let (threshold_min, threshold_max) = (threshold_min?, threshold_max?);

        section.order(("threshold_min", threshold_min), ("threshold_max", threshold_max));
        if let Some(custom) = custom.filter(|_| enabled) {
            section
                .order(("custom_amount.min_tokens", custom.min_tokens), ("amount_min", amount_min));
            section
                .order(("amount_min", amount_min), ("custom_amount.max_tokens", custom.max_tokens));
        }
        Some(Self { enabled, threshold_min, threshold_max, amount_min })
    }
}
