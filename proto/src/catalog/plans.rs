//! What is subscribed to, and what tokens are spent on.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use toml::de::DeValue;

use super::funding::FundingStep;
use super::section::Section;
use super::value::{Ids, Value, hint};
use super::words::words;
use super::{NAME_CHARS_MAX, PRICE_MINOR_MAX, TOKENS_MAX};

/// How long a plan's benefit may outlast its paid period: 30 days.
const GRACE_HOURS_MAX: i64 = 30 * 24;

/// Something that tokens are spent on.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Action {
    /// The id, unique among actions: `[a-z0-9_]{1,64}`.
    pub id: String,
    /// What people read in their history.
    pub label: String,
    /// The price of doing it once. At least 1.
    pub tokens: i64,
}

/// Something to subscribe to. A plan with a price of 0 is free and never reaches Stripe.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Plan {
    /// The id, unique among plans: `[a-z0-9_]{1,64}`.
    pub id: String,
    /// The name that people read.
    pub name: String,
    /// The price of one period in minor units of the catalog's currency; 0 is free.
    pub price_minor: i64,
    /// How often it renews.
    pub interval: Interval,
    /// What the subscriber gets in each period.
    pub benefit: Benefit,
    /// How long the benefit outlasts a period that was not renewed, in hours.
    pub grace_hours: i64,
    /// The Stripe price to charge; without one the gateway sends the price inline.
    pub stripe_price: Option<String>,
}

/// What a plan gives in each period: exactly one of three.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Benefit {
    /// An allowance of tokens.
    Tokens {
        /// How many. At least 1.
        tokens: i64,
        /// What becomes of those left over when the next period begins.
        rollover: Rollover,
    },
    /// An entitlement to use as much as one likes.
    Unlimited {
        /// The actions that it covers; `None` for all of them.
        actions: Option<BTreeSet<String>>,
    },
    /// An entitlement to so many units of each action named.
    Quotas(BTreeMap<String, i64>),
}

/// What becomes of an allowance's rest when the next one comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rollover {
    /// It lapses.
    None,
    /// It is carried over.
    All,
    /// At most so many tokens of it are carried over; the others lapse.
    Cap(i64),
}

words! {
    /// How often a plan renews.
    pub enum Interval {
        /// Every month.
        Month = "month",
        /// Every year.
        Year = "year",
    }
}

/// Reads `[[actions]]`, and all ids of actions, also of those with mistakes elsewhere.
pub(super) fn read_actions(value: &Value<'_>) -> (Option<Vec<Action>>, Ids) {
    let mut ids = Ids::new();
    let actions = value.tables("action", |section| {
        let id = section.need("id").once(&mut ids).id();
        let label = section.need("label").text(NAME_CHARS_MAX);
        let tokens = section.need("tokens").whole(1..=TOKENS_MAX);
        Some(Action { id: id?, label: label?, tokens: tokens? })
    });
    (actions.into_iter().collect(), ids)
}

/// Reads `[[plans]]`; `prices` are the Stripe prices taken so far.
pub(super) fn read(
    value: &Value<'_>,
    actions: &Ids,
    funding_order: &[FundingStep],
    prices: &mut Ids,
) -> Option<Vec<Plan>> {
    let mut ids = Ids::new();
    let plans = value.tables("plan", |section| {
        let id = section.need("id").once(&mut ids).id();
        let name = section.need("name").text(NAME_CHARS_MAX);
        let price_minor = section.need("price_minor").whole(0..=PRICE_MINOR_MAX);
        let interval = section.need("interval").choice(Interval::WORDS);
        let benefit = read_benefit(section, actions, funding_order);
        let grace_hours = section.get("grace_hours").whole_or(24, 0..=GRACE_HOURS_MAX);
        let stripe_price = section.get("stripe_price").once(prices);
        if price_minor == Some(0) && stripe_price.is_given() {
            stripe_price.fail("a plan with price_minor = 0 is free and needs no stripe_price");
        }
        Some(Plan {
            id: id?,
            name: name?,
            price_minor: price_minor?,
            interval: interval?,
            benefit: benefit?,
            grace_hours: grace_hours?,
            stripe_price: stripe_price.stripe_price(),
        })
    });
    plans.into_iter().collect()
}

fn read_benefit(
    section: &mut Section<'_>,
    actions: &Ids,
    funding_order: &[FundingStep],
) -> Option<Benefit> {
    let (tokens, unlimited) = (section.get("tokens"), section.get("unlimited"));
    let (quotas, rollover) = (section.get("quotas"), section.get("rollover"));
    let covered = section.get("actions");

    let given = [&tokens, &unlimited, &quotas].into_iter().filter(|benefit| benefit.is_given());
    if given.count() != 1 {
        section.fail("give exactly one of tokens = …, unlimited = true, quotas = { action = … }");
    }
    if rollover.is_given() && !tokens.is_given() {
        rollover.fail("rollover is for plans with tokens = …; remove it");
    }
    if covered.is_given() && !unlimited.is_given() {
        covered.fail("actions is for plans with unlimited = true; quotas name theirs themselves");
    }
    for entitlement in [&unlimited, &quotas] {
        if entitlement.is_given() && !funding_order.contains(&FundingStep::Entitlement) {
            entitlement.fail(format_args!(
                "{} would never be used: add the step `entitlement` to funding_order",
                entitlement.name
            ));
        }
    }

    let rollover = read_rollover(&rollover);
    let allowance = tokens.whole(1..=TOKENS_MAX).map(|tokens| Benefit::Tokens { tokens, rollover });

    let covered = covered.list(|id| known_action(id, id.string()?, actions));
    let covered = covered.map(BTreeSet::from_iter);
    let use_at_will = match unlimited.flag() {
        Some(true) => Some(Benefit::Unlimited { actions: covered }),
        Some(false) => unlimited.refuse("unlimited = false says nothing: leave it out"),
        None => None,
    };

    let units = quotas.map(|quota| {
        known_action(quota, &quota.name, actions);
        quota.whole(1..=TOKENS_MAX)
    });
    if units.as_ref().is_some_and(BTreeMap::is_empty) {
        quotas.fail("quotas names no action: { action = units }");
    }
    allowance.or(use_at_will).or(units.map(Benefit::Quotas))
}

fn read_rollover(value: &Value<'_>) -> Rollover {
    const WORDS: [(&str, Rollover); 2] = [("none", Rollover::None), ("all", Rollover::All)];
    let rollover = match value.found {
        Some(DeValue::Table(_)) => {
            let cap = value.table(|cap| cap.need("cap").whole(1..=TOKENS_MAX)).flatten();
            cap.map(Rollover::Cap)
        }
        _ => value.choice(&WORDS),
    };
    rollover.unwrap_or(Rollover::None)
}

fn known_action(value: &Value<'_>, id: &str, actions: &Ids) -> Option<String> {
    if actions.contains_key(id) {
        return Some(id.to_owned());
    }
    let hint = hint(id, actions.keys().map(String::as_str));
    value.refuse(format_args!("no [[actions]] has the id `{id}`{hint}"))
}
