//! An account of the model: its lots and holds, and every figure as a sum over them.

use super::rules::Rules;
use proto::catalog::BurnCriterion;
use proto::v1::set_entitlement_request::Benefit;
use proto::v1::{AccountStatus, CapPeriod, GrantKind, HoldState, Money};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Tokens taken from (or given back to) one lot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Taken {
    pub lot: String,
    pub kind: GrantKind,
    pub tokens: i128,
}

/// A grant.
#[derive(Clone, Debug)]
pub struct Lot {
    /// The label of the transaction that made it.
    pub label: String,
    /// Its kind.
    pub kind: GrantKind,
    pub(crate) priority: i32,
    /// Tokens it began with.
    pub amount: i128,
    /// Tokens it has, held ones included.
    pub remaining: i128,
    /// True until its effective time has come.
    pub waiting: bool,
    pub(crate) effective: Option<i64>,
    /// When it lapses.
    pub expire: Option<i64>,
    pub(crate) actions: Vec<String>,
    pub(crate) cost: Option<Money>,
    pub(crate) reference: String,
    pub(crate) created: i64,
    /// How many the account had before it.
    pub(crate) nth: usize,
}

impl Lot {
    fn paid(&self) -> bool {
        self.kind == GrantKind::Purchased || self.cost.as_ref().is_some_and(|c| c.amount_minor > 0)
    }

    pub(crate) fn pays_for(&self, action: Option<&str>) -> bool {
        self.actions.is_empty()
            || action.is_some_and(|action| self.actions.iter().any(|a| a == action))
    }
}

/// Units that a quota has counted for one charge.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub source: String,
    pub action: String,
    pub period_start: Option<i64>,
    pub units: i128,
}

/// A hold.
#[derive(Clone, Debug)]
pub struct Held {
    /// The label of the transaction that made it.
    pub label: String,
    /// Tokens that it sets aside.
    pub amount: i128,
    pub(crate) captured: i128,
    pub(crate) draws: Vec<Taken>,
    pub(crate) action: String,
    pub(crate) quantity: i128,
    pub(crate) entitled: Option<(String, i128)>,
    pub(crate) counted: Option<Counted>,
    pub(crate) created: i64,
    /// When it lapses.
    pub expires: i64,
    /// What has become of it.
    pub state: HoldState,
}

/// An entitlement.
#[derive(Clone, Debug)]
pub(crate) struct Entitled {
    pub source: String,
    pub version: i64,
    pub benefit: Option<Benefit>,
    pub period_start: Option<i64>,
    pub expire: Option<i64>,
    pub used: BTreeMap<String, i128>,
}

impl Entitled {
    pub fn active(&self, now: i64) -> bool {
        self.expire.is_none_or(|expire| now < expire)
    }

    /// Units of the action that it can still cover; without an action: of tokens.
    pub fn room(&self, action: Option<&str>) -> i128 {
        match (&self.benefit, action) {
            (Some(Benefit::Unlimited(unlimited)), action) => {
                let all = unlimited.actions.is_empty();
                let named = action.is_some_and(|a| unlimited.actions.iter().any(|n| n == a));
                if all || named { i128::MAX } else { 0 }
            }
            (Some(Benefit::Quota(quota)), Some(action)) => {
                let units = quota.units.get(action).copied().map_or(0, i128::from);
                (units - self.used.get(action).copied().unwrap_or(0)).max(0)
            }
            (Some(Benefit::Quota(_)), None) | (None, _) => 0,
        }
    }
}

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// Its status.
    pub status: AccountStatus,
    /// Its grants, oldest first.
    pub lots: Vec<Lot>,
    /// Its holds, oldest first.
    pub holds: Vec<Held>,
    /// Tokens owed.
    pub debt: i128,
    pub(crate) sequence: i64,
    pub(crate) created: i64,
    pub(crate) newest: i64,
    pub(crate) version: i64,
    pub(crate) entitlements: Vec<Entitled>,
    pub(crate) caps: Vec<(CapPeriod, i128)>,
    /// What counts against the caps: when, and how many (below zero for what was given back).
    pub(crate) spends: Vec<(i64, i128)>,
    pub(crate) threshold: Option<i64>,
    pub(crate) had_trial: bool,
    pub(crate) ever_bought: bool,
}

impl Account {
    pub(crate) fn new(id: &str, now: i64) -> Self {
        Self {
            id: id.to_owned(),
            status: AccountStatus::Active,
            lots: Vec::new(),
            holds: Vec::new(),
            debt: 0,
            sequence: 0,
            created: now,
            newest: now,
            version: 0,
            entitlements: Vec::new(),
            caps: Vec::new(),
            spends: Vec::new(),
            threshold: None,
            had_trial: false,
            ever_bought: false,
        }
    }

    /// Tokens that effective grants hold, less debt.
    pub fn posted(&self) -> i128 {
        self.lots.iter().filter(|lot| !lot.waiting).map(|lot| lot.remaining).sum::<i128>()
            - self.debt
    }

    /// Tokens that open holds reserve.
    pub fn held(&self) -> i128 {
        self.open_holds().map(|hold| hold.amount).sum()
    }

    /// What can be spent.
    pub fn available(&self) -> i128 {
        self.posted() - self.held()
    }

    /// Tokens that aren't effective yet.
    pub fn scheduled(&self) -> i128 {
        self.lots.iter().filter(|lot| lot.waiting).map(|lot| lot.remaining).sum()
    }

    /// The open holds.
    pub fn open_holds(&self) -> impl Iterator<Item = &Held> {
        self.holds.iter().filter(|hold| hold.state == HoldState::Open)
    }

    /// Tokens of one lot that open holds reserve.
    pub fn held_of(&self, label: &str) -> i128 {
        let draws = self.open_holds().flat_map(|hold| &hold.draws);
        draws.filter(|draw| draw.lot == label).map(|draw| draw.tokens).sum()
    }

    /// Tokens of one lot that nothing reserves.
    pub fn free_of(&self, lot: &Lot) -> i128 {
        lot.remaining - self.held_of(&lot.label)
    }

    pub(crate) fn lot(&self, label: &str) -> Option<&Lot> {
        self.lots.iter().find(|lot| lot.label == label)
    }

    pub(crate) fn lot_mut(&mut self, label: &str) -> &mut Lot {
        let lot = self.lots.iter_mut().find(|lot| lot.label == label);
        lot.unwrap_or_else(|| panic!("no lot {label}"))
    }

    /// The effective lots with free tokens, in burn-down order.
    pub(crate) fn burn_down(&self, rules: &Rules) -> Vec<&Lot> {
        let mut lots: Vec<_> =
            self.lots.iter().filter(|lot| !lot.waiting && self.free_of(lot) > 0).collect();
        lots.sort_by(|a, b| before(rules, a, b)); // stable: the older one first
        lots
    }

    /// Takes so many free tokens from these lots, one lot after the other.
    pub(crate) fn plan_draws(&self, lots: &[&Lot], mut tokens: i128) -> Vec<Taken> {
        let mut draws = Vec::new();
        for lot in lots {
            let taken = tokens.min(self.free_of(lot));
            if taken > 0 {
                draws.push(Taken { lot: lot.label.clone(), kind: lot.kind, tokens: taken });
                tokens -= taken;
            }
        }
        assert_eq!(tokens, 0, "more was drawn than is free in {}", self.id);
        draws
    }

    /// Free tokens pay off debt.
    pub(crate) fn repay(&mut self, rules: &Rules) {
        if self.debt == 0 {
            return;
        }
        let free: i128 = self.burn_down(rules).iter().map(|lot| self.free_of(lot)).sum();
        let paid = free.min(self.debt);
        for draw in self.plan_draws(&self.burn_down(rules), paid) {
            self.lot_mut(&draw.lot).remaining -= draw.tokens;
        }
        self.debt -= paid;
    }

    /// The quota units return if the entitlement still counts the same period.
    pub(crate) fn uncount(&mut self, counted: Option<&Counted>) {
        let Some(counted) = counted else { return };
        let entitlement = self.entitlements.iter_mut().find(|entitlement| {
            entitlement.source == counted.source && entitlement.period_start == counted.period_start
        });
        if let Some(used) = entitlement.and_then(|e| e.used.get_mut(&counted.action)) {
            *used = (*used - counted.units).max(0);
        }
    }
}

fn before(rules: &Rules, a: &Lot, b: &Lot) -> Ordering {
    let steps = rules.step_of(a.kind).cmp(&rules.step_of(b.kind));
    rules.burn_order.iter().fold(steps, |order, criterion| {
        order.then_with(|| match criterion {
            BurnCriterion::Priority => a.priority.cmp(&b.priority),
            BurnCriterion::Expiry => {
                a.expire.unwrap_or(i64::MAX).cmp(&b.expire.unwrap_or(i64::MAX))
            }
            BurnCriterion::UnpaidFirst => a.paid().cmp(&b.paid()),
            BurnCriterion::Oldest => a.nth.cmp(&b.nth),
        })
    })
}
