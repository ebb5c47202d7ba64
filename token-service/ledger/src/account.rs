//! An account, and the one way in which it changes: [`Account::fold`].

use crate::{
    chain::Link,
    entitlement::{ENTITLEMENTS_KEPT_MAX, Entitled, Entitlement},
    grant::{Draw, Grant, GrantKind},
    hold::Hold,
    id::{AccountId, System, TransactionId},
    notice::next_notice,
    time::Time,
    tokens::{Exact, Tokens, is_default, sum},
    transaction::{Change, TransactionType},
};
use serde::{Deserialize, Serialize};

/// Whether an account may spend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It may do everything.
    #[default]
    Active,
    /// It may not spend.
    Frozen,
    /// Closed at zero; a later credit reopens it.
    Closed,
}

impl Status {
    /// As the database writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Frozen => "frozen",
            Self::Closed => "closed",
        }
    }
}

/// A calendar period in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapPeriod {
    /// From midnight to midnight.
    Day,
    /// From the first to the first.
    Month,
}

impl CapPeriod {
    const ALL: [Self; 2] = [Self::Day, Self::Month];
}

/// A limit on what may be spent in one period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendCap {
    /// The period.
    pub period: CapPeriod,
    /// Tokens per period, >= 0.
    pub limit: Tokens,
}

/// What was spent or held in the day and the month of `at`, the last time that either changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    at: Time,
    day: Tokens,
    month: Tokens,
}

impl Default for Spending {
    fn default() -> Self {
        Self { at: Time(0), day: 0, month: 0 }
    }
}

impl Spending {
    /// Tokens spent or held in the period that `now` lies in.
    #[must_use]
    pub fn in_period(&self, period: CapPeriod, now: Time) -> Tokens {
        match period {
            _ if now.start_of(period) != self.at.start_of(period) => 0,
            CapPeriod::Day => self.day,
            CapPeriod::Month => self.month,
        }
    }

    /// Counts tokens that were spent at `spent` (below zero: that came back) at `now`; what was
    /// spent in an earlier period doesn't count in this one.
    fn count(&mut self, amount: Tokens, spent: Time, now: Time) {
        let [day, month] = CapPeriod::ALL.map(|period| {
            let so_far = self.in_period(period, now);
            let counts = spent >= now.start_of(period);
            if counts { so_far.plus(amount).max(0) } else { so_far }
        });
        *self = Self { at: now, day, month };
    }
}

/// What an operator sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Falling below this many available tokens is worth an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Tokens>,
    /// Limits on spending, at most one per period.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<SpendCap>,
}

/// The three figures of an account. posted = held + available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// All tokens, less debt.
    pub posted: Tokens,
    /// Tokens that open holds reserve.
    pub held: Tokens,
    /// The entry that these figures follow.
    pub sequence: i64,
}

impl Balance {
    /// Tokens that can be spent; below zero in debt.
    #[must_use]
    pub fn available(&self) -> Tokens {
        self.posted.minus(self.held)
    }
}

/// An account as the database keeps it, in one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Whether it may spend.
    pub status: Status,
    /// Its newest entry's number.
    pub sequence: i64,
    /// All tokens, less debt.
    pub posted: Tokens,
    /// Tokens that open holds reserve.
    pub held: Tokens,
    /// When it came into being.
    pub created: Time,
    /// When its newest entry was made: time never runs backwards for an account.
    pub updated: Time,
    /// The newest link of its hash chain.
    pub head: Link,
    /// Everything else.
    pub body: Body,
}

/// The part of an account that the database keeps as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Grants that are scheduled or have tokens left, oldest first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grants: Vec<Grant>,
    /// Open holds, oldest first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub holds: Vec<Hold>,
    /// Entitlements, one per source.
    #[serde(default, skip_serializing_if = "is_default")]
    pub entitlements: Vec<Entitlement>,
    /// Tokens owed after a clawback.
    #[serde(default, skip_serializing_if = "is_default")]
    pub debt: Tokens,
    /// What an operator sets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub settings: Settings,
    /// Changes of status and settings so far.
    #[serde(default, skip_serializing_if = "is_default")]
    pub version: i64,
    /// What counts against spend caps, whether there are any or not.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spending: Spending,
    /// Tokens ever purchased, less reversals.
    #[serde(default, skip_serializing_if = "is_default")]
    pub purchased: Tokens,
    /// Tokens ever spent by debits and captures, less reversals.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spent: Tokens,
    /// Tokens ever received from others, less reversals.
    #[serde(default, skip_serializing_if = "is_default")]
    pub earned: Tokens,
    /// Tokens of all grants ever.
    #[serde(default, skip_serializing_if = "is_default")]
    pub received: Tokens,
    /// Whether it had its trial.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tried: bool,
    /// Whether it ever bought tokens or a plan.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bought: bool,
}

impl Account {
    /// An account that doesn't exist yet.
    pub(crate) fn new(id: AccountId, now: Time) -> Self {
        Self {
            id,
            status: Status::Active,
            sequence: 0,
            posted: 0,
            held: 0,
            created: now,
            updated: now,
            head: Link::default(),
            body: Body::default(),
        }
    }

    /// Its three figures.
    #[must_use]
    pub fn balance(&self) -> Balance {
        Balance { posted: self.posted, held: self.held, sequence: self.sequence }
    }

    /// Tokens granted but not effective yet.
    #[must_use]
    pub fn scheduled(&self) -> Tokens {
        sum(self.body.grants.iter().filter(|it| it.scheduled.is_some()).map(|it| it.remaining))
    }

    /// The scheduled or open grant of this name.
    #[must_use]
    pub fn grant(&self, id: TransactionId) -> Option<&Grant> {
        self.body.grants.iter().find(|grant| grant.id == id)
    }

    /// The open hold of this name.
    #[must_use]
    pub fn hold(&self, id: TransactionId) -> Option<&Hold> {
        self.body.holds.iter().find(|hold| hold.id == id)
    }

    /// When something of it lapses or becomes effective next.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        let holds = self.body.holds.iter().map(|hold| Some(hold.expire));
        let grants = self.body.grants.iter().map(|grant| match grant.scheduled {
            Some(effective) => Some(effective),
            None => grant.expire.filter(|_| grant.unheld() > 0),
        });
        holds.chain(grants).flatten().min()
    }

    /// When the sweeper has something to do: something is [due](Self::due), or worth a notice.
    #[must_use]
    pub fn sweep_time(&self) -> Option<Time> {
        let notices = self.body.grants.iter().filter_map(next_notice);
        self.due().into_iter().chain(notices).min()
    }

    /// Applies the changes of one entry, in order.
    ///
    /// # Panics
    /// When the changes don't fit the account: that is a bug in whoever made them, or an entry that
    /// was edited behind the service's back.
    pub fn fold(
        &mut self,
        kind: TransactionType,
        counter: &AccountId,
        at: Time,
        changes: &[Change],
    ) {
        for change in changes {
            self.change(kind, counter, at, change);
        }
        self.posted = sum(self.body.grants.iter().map(Grant::posted)).minus(self.body.debt);
        self.held = sum(self.body.grants.iter().map(|grant| grant.held));
        self.sequence = self.sequence.plus(1);
        self.updated = at;
    }

    /// Takes out the grants of which nothing is left.
    pub(crate) fn take_closed(&mut self) -> Vec<Grant> {
        self.body.grants.extract_if(.., |grant| grant.is_closed()).collect()
    }

    fn change(&mut self, kind: TransactionType, counter: &AccountId, at: Time, change: &Change) {
        match change {
            Change::Open(grant) => self.open(grant),
            Change::Activate(id) => self.grant_mut(*id).scheduled = None,
            Change::End(id) => {
                let grant = self.grant_mut(*id);
                grant.expire = Some(grant.expire.map_or(at, |expire| expire.min(at)));
            }
            Change::Draw(draw) => {
                self.grant_mut(draw.grant).take(draw.amount);
                self.count_draw(kind, counter, at, draw);
            }
            Change::Restore(draw) => {
                let grant = self.grant_mut(draw.grant);
                grant.remaining = grant.remaining.plus(draw.amount);
                // It was closed when it was to become effective, so nothing did that.
                grant.scheduled = grant.scheduled.filter(|effective| *effective > at);
                if kind == TransactionType::Reversal && counter.as_str() == System::Usage.as_str() {
                    self.body.spent = self.body.spent.minus(draw.amount);
                }
            }
            Change::Repay(draw) => {
                self.grant_mut(draw.grant).take(draw.amount);
                self.body.debt = self.body.debt.minus(draw.amount);
            }
            Change::Owe(amount) => self.body.debt = self.body.debt.plus(*amount),
            Change::Hold(hold) => {
                for draw in &hold.draws {
                    let grant = self.grant_mut(draw.grant);
                    grant.held = grant.held.plus(draw.amount);
                }
                self.body.spending.count(hold.amount(), at, at);
                self.body.holds.push((**hold).clone());
            }
            Change::Unhold { hold, captured, .. } => self.unhold(*hold, captured, at),
            Change::Use { action, entitled } => self.use_quota(action, entitled),
            Change::Entitle(entitlement) => self.entitle(entitlement),
            Change::Unspend { amount, spent } => {
                self.body.spending.count(0_i64.minus(*amount), *spent, at);
            }
            Change::Clawback(_) | Change::BelowThreshold(_) => {}
            Change::Notice { grant, days_left } => self.grant_mut(grant.id).noticed = *days_left,
            Change::Status(status) => {
                self.status = *status;
                self.body.version = self.body.version.plus(1);
            }
            Change::Settings(settings) => {
                self.body.settings = (**settings).clone();
                self.body.version = self.body.version.plus(1);
            }
        }
    }

    fn open(&mut self, grant: &Grant) {
        let fresh = grant.amount.minus(grant.carried);
        match grant.kind {
            GrantKind::Purchased => self.body.purchased = self.body.purchased.plus(fresh),
            GrantKind::Earned => self.body.earned = self.body.earned.plus(fresh),
            GrantKind::Trial => self.body.tried = true,
            GrantKind::Promotional | GrantKind::Allowance | GrantKind::Adjustment => {}
        }
        self.body.received = self.body.received.plus(fresh);
        self.body.bought |= grant.is_paid() || grant.kind == GrantKind::Allowance;
        if self.status == Status::Closed {
            self.status = Status::Active;
            self.body.version = self.body.version.plus(1);
        }
        self.body.grants.push(grant.clone());
    }

    fn count_draw(&mut self, kind: TransactionType, counter: &AccountId, at: Time, draw: &Draw) {
        if matches!(kind, TransactionType::Debit | TransactionType::Transfer) {
            self.body.spending.count(draw.amount, at, at);
        }
        if kind == TransactionType::Debit {
            self.body.spent = self.body.spent.plus(draw.amount);
        } else if kind == TransactionType::Reversal {
            let mirrors_credit = counter.as_str() == System::Issuance.as_str();
            match draw.kind {
                GrantKind::Purchased if mirrors_credit => {
                    self.body.purchased = self.body.purchased.minus(draw.amount);
                }
                GrantKind::Earned => self.body.earned = self.body.earned.minus(draw.amount),
                GrantKind::Purchased
                | GrantKind::Promotional
                | GrantKind::Trial
                | GrantKind::Allowance
                | GrantKind::Adjustment => {}
            }
        }
    }

    fn unhold(&mut self, id: TransactionId, captured: &[Draw], at: Time) {
        let position = self.body.holds.iter().position(|hold| hold.id == id);
        let hold = self.body.holds.remove(position.expect("a hold ends once"));
        for draw in &hold.draws {
            let grant = self.grant_mut(draw.grant);
            grant.held = grant.held.minus(draw.amount);
        }
        for draw in captured {
            self.grant_mut(draw.grant).take(draw.amount);
            self.body.spent = self.body.spent.plus(draw.amount);
        }
        let released = hold.amount().minus(sum(captured.iter().map(|draw| draw.amount)));
        self.body.spending.count(0_i64.minus(released), hold.created, at);
    }

    fn use_quota(&mut self, action: &str, entitled: &Entitled) {
        let same =
            |it: &&mut Entitlement| it.source == entitled.source && it.period == entitled.period;
        if let Some(entitlement) = self.body.entitlements.iter_mut().find(same) {
            let used = entitlement.used.entry(action.to_owned()).or_default();
            *used = used.plus(entitled.quantity).max(0);
        }
    }

    fn entitle(&mut self, new: &Entitlement) {
        self.body.bought = true;
        let mut new = new.clone();
        let known = self.body.entitlements.iter_mut().find(|it| it.source == new.source);
        match known {
            Some(old) => {
                if old.period == new.period {
                    new.used = std::mem::take(&mut old.used);
                }
                *old = new;
            }
            None => {
                if self.body.entitlements.len() >= ENTITLEMENTS_KEPT_MAX {
                    let ended = self.body.entitlements.iter().filter_map(|it| it.expire).min();
                    self.body.entitlements.retain(|it| it.expire.is_none() || it.expire > ended);
                }
                self.body.entitlements.push(new);
            }
        }
    }

    fn grant_mut(&mut self, id: TransactionId) -> &mut Grant {
        let found = self.body.grants.iter_mut().find(|grant| grant.id == id);
        found.expect("changes name grants that the account has")
    }
}

impl Grant {
    fn take(&mut self, amount: Tokens) {
        assert!(amount <= self.unheld(), "a draw is no larger than the grant's unheld rest");
        self.remaining = self.remaining.minus(amount);
    }
}
