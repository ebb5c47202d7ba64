//! Who pays: README rules 9 to 16, for Debit, CreateHold and Authorize, and the withdrawal.

use super::account::{Account, Counted, Lot, Taken};
use super::book::{Words, words};
use super::{Expected, Model, Refused, wire};
use crate::target::Reply;
use proto::v1::{self, AccountStatus, ErrorReason, HoldState};
use proto::v1::{AuthorizeMode, DebitMode, DebitPurpose, GrantKind, TransactionType as Type};

/// What is asked for: units of an action, or of tokens.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    action: Option<String>,
    price: i128,
    units: i128,
    up_to: bool,
}

/// Who pays for how much.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    units: i128,
    entitled: Option<(String, i128)>,
    tokens: i128,
    draws: Vec<Taken>,
    /// So many of the draws come before the entitlement.
    before: usize,
}

impl Plan {
    /// Who pays, in order.
    pub(crate) fn funding(&self) -> Vec<v1::Funding> {
        let by_tokens = |draw: &Taken| {
            let amount = wire::tokens(draw.tokens);
            v1::Funding { kind: draw.kind.into(), amount, ..Default::default() }
        };
        let mut funding: Vec<v1::Funding> = self.draws.iter().map(by_tokens).collect();
        if let Some((source, units)) = &self.entitled {
            let part = v1::Funding {
                entitlement_source: source.clone(),
                entitled_quantity: wire::tokens(*units),
                ..v1::Funding::default()
            };
            funding.insert(self.before, part);
        }
        funding
    }
}

impl Model {
    pub(crate) fn debit(&mut self, r: &v1::DebitRequest) -> Expected {
        let (transaction, at) = if r.purpose() == DebitPurpose::Withdrawal {
            self.withdraw(r)?
        } else {
            let mut ask = self.ask(r.amount, &r.action, r.quantity)?;
            ask.up_to = r.mode() == DebitMode::UpTo;
            let (at, plan) = self.judge(&r.account_id, &ask)?;
            (self.charge(at, &r.idempotency_key, &ask, &plan, words!(r)), at)
        };
        Ok(Reply::Debit(v1::DebitResponse {
            transaction: Some(transaction),
            balance: Some(wire::balance(&self.accounts[at])),
            replayed: false,
        }))
    }

    pub(crate) fn authorize(&mut self, r: &v1::AuthorizeRequest) -> Expected {
        let ask = self.ask(r.amount, &r.action, r.quantity)?;
        self.grant_trial(&r.account_id);
        let (at, plan) = self.judge(&r.account_id, &ask)?;
        let mut hold = None;
        let transaction = if r.mode() == AuthorizeMode::Hold {
            let key = &r.idempotency_key;
            let duration = r.hold_duration.as_ref();
            let transaction = self.reserve(at, key, &ask, &plan, duration, words!(r));
            hold = self.accounts[at].holds.last().map(|held| wire::hold(&self.accounts[at], held));
            transaction
        } else {
            self.charge(at, &r.idempotency_key, &ask, &plan, words!(r))
        };
        Ok(Reply::Authorize(v1::AuthorizeResponse {
            transaction: Some(transaction),
            balance: Some(wire::balance(&self.accounts[at])),
            replayed: false,
            funding: plan.funding(),
            hold,
        }))
    }

    /// Authorize that only says so: as if charged, in a copy that is thrown away.
    pub(crate) fn check(&self, r: &v1::AuthorizeRequest) -> Expected {
        let mut copy = self.clone();
        let Reply::Authorize(reply) = copy.authorize(r)? else {
            panic!("authorize answers as such")
        };
        Ok(Reply::Authorize(v1::AuthorizeResponse { transaction: None, ..reply }))
    }

    /// The price of one; of a token, if there is no action.
    pub(crate) fn price(&self, action: &str) -> Result<i128, Refused> {
        if action.is_empty() {
            return Ok(1);
        }
        let price = self.rules.prices.get(action).copied();
        price.ok_or_else(|| Refused::new(ErrorReason::ActionNotFound).with("action", action))
    }

    pub(crate) fn ask(&self, amount: i64, action: &str, quantity: i64) -> Result<Ask, Refused> {
        let price = self.price(action)?;
        if action.is_empty() {
            return Ok(Ask { action: None, price, units: i128::from(amount), up_to: false });
        }
        let units = i128::from(quantity.max(1));
        Ok(Ask { action: Some(action.to_owned()), price, units, up_to: false })
    }

    /// Rule 15: exists, may spend, enough, within the caps.
    pub(crate) fn judge(&self, account_id: &str, ask: &Ask) -> Result<(usize, Plan), Refused> {
        let at = self.need(account_id)?;
        self.may_spend(at)?;
        let plan = self.plan(at, ask)?;
        self.within_caps(at, plan.tokens)?;
        Ok((at, plan))
    }

    pub(crate) fn may_spend(&self, at: usize) -> Result<(), Refused> {
        let account = &self.accounts[at];
        match account.status {
            AccountStatus::Frozen => {
                Err(Refused::new(ErrorReason::AccountFrozen).with("account_id", &account.id))
            }
            AccountStatus::Closed => {
                Err(Refused::new(ErrorReason::AccountClosed).with("account_id", &account.id))
            }
            _ if account.debt > 0 => {
                Err(Refused::new(ErrorReason::AccountInDebt).with("debt", account.debt))
            }
            _ => Ok(()),
        }
    }

    /// Rule 11.
    fn plan(&self, at: usize, ask: &Ask) -> Result<Plan, Refused> {
        let account = &self.accounts[at];
        let action = ask.action.as_deref();
        let mut usable = account.burn_down(&self.rules);
        usable.retain(|lot| lot.pays_for(action));

        let entitlement_step = self.rules.step_of_entitlement();
        let stands_before =
            |lot: &&&Lot| entitlement_step.is_none_or(|step| self.rules.step_of(lot.kind) < step);
        let first: i128 = usable.iter().filter(stands_before).map(|lot| account.free_of(lot)).sum();
        let rest = ask.units - ask.units.min(first / ask.price);
        let helps = entitlement_step.is_some() && rest > 0;
        let entitlement =
            account.entitlements.iter().find(|e| helps && e.active(self.now) && e.room(action) > 0);
        let covered = entitlement.map_or(0, |e| e.room(action).min(rest));

        let all: i128 = usable.iter().map(|lot| account.free_of(lot)).sum();
        let mut paid = ask.units - covered;
        let required = paid * ask.price;
        if all < required {
            paid = all / ask.price;
            if !ask.up_to || covered + paid == 0 {
                return Err(self.not_enough(account, required, all));
            }
        }
        let draws = account.plan_draws(&usable, paid * ask.price);
        let earlier = |draw: &&Taken| {
            entitlement_step.is_some_and(|step| self.rules.step_of(draw.kind) < step)
        };
        Ok(Plan {
            units: covered + paid,
            entitled: entitlement.map(|e| (e.source.clone(), covered)),
            tokens: paid * ask.price,
            before: draws.iter().take_while(earlier).count(),
            draws,
        })
    }

    /// Rule 13.
    pub(crate) fn not_enough(&self, account: &Account, required: i128, all: i128) -> Refused {
        let trial: i128 = account
            .lots
            .iter()
            .filter(|lot| lot.kind == GrantKind::Trial)
            .map(|lot| lot.remaining)
            .sum();
        let exhausted = account.had_trial && trial == 0 && !account.ever_bought;
        let reason = match exhausted {
            true => ErrorReason::TrialExhausted,
            false => ErrorReason::InsufficientBalance,
        };
        short(reason, required, all)
    }

    /// Spends what was planned.
    pub(crate) fn charge(
        &mut self,
        at: usize,
        key: &str,
        ask: &Ask,
        plan: &Plan,
        words: Words,
    ) -> v1::Transaction {
        let mut draft = self.begin(Type::Debit, at, key, words);
        for draw in &plan.draws {
            self.accounts[at].lot_mut(&draw.lot).remaining -= draw.tokens;
            draft.draws.push((at, draw.clone()));
        }
        self.accounts[at].spends.push((self.now, plan.tokens));
        let counted = self.count(at, ask, plan);
        draft.amount = plan.tokens;
        draft.action = ask.action.clone().unwrap_or_default();
        draft.quantity = if ask.action.is_some() { plan.units } else { 0 };
        draft.entitled = plan.entitled.clone();
        "sys/usage".clone_into(&mut draft.counter);
        let transaction = self.commit(draft);
        let spent_at = Some(self.now);
        let past = self.newest();
        (past.counted, past.spent_at) = (counted, spent_at);
        transaction
    }

    /// Sets aside what was planned.
    pub(crate) fn reserve(
        &mut self,
        at: usize,
        key: &str,
        ask: &Ask,
        plan: &Plan,
        duration: Option<&prost_types::Duration>,
        words: Words,
    ) -> v1::Transaction {
        let duration = duration.map_or(self.rules.hold_default, |duration| {
            duration.seconds * 1_000_000 + i64::from(duration.nanos / 1000)
        });
        let mut draft = self.begin(Type::Hold, at, key, words);
        let counted = self.count(at, ask, plan);
        let account = &mut self.accounts[at];
        account.spends.push((self.now, plan.tokens));
        let quantity = if ask.action.is_some() { plan.units } else { 0 };
        account.holds.push(super::Held {
            label: format!("{}/{key}", account.id),
            amount: plan.tokens,
            captured: 0,
            draws: plan.draws.clone(),
            action: ask.action.clone().unwrap_or_default(),
            quantity,
            entitled: plan.entitled.clone(),
            counted,
            created: self.now,
            expires: self.now + duration,
            state: HoldState::Open,
        });
        draft.amount = plan.tokens;
        draft.action = ask.action.clone().unwrap_or_default();
        draft.quantity = quantity;
        draft.entitled = plan.entitled.clone();
        self.commit(draft)
    }

    /// Rule 12: counts what a quota covers.
    fn count(&mut self, at: usize, ask: &Ask, plan: &Plan) -> Option<Counted> {
        let (source, units) = plan.entitled.clone()?;
        let action = ask.action.clone()?;
        let entitlements = &mut self.accounts[at].entitlements;
        let entitlement = entitlements.iter_mut().find(|e| e.source == source)?;
        let v1::set_entitlement_request::Benefit::Quota(_) = entitlement.benefit.as_ref()? else {
            return None;
        };
        *entitlement.used.entry(action.clone()).or_default() += units;
        Some(Counted { source, action, period_start: entitlement.period_start, units })
    }

    /// Rule 18.
    fn withdraw(&mut self, r: &v1::DebitRequest) -> Result<(v1::Transaction, usize), Refused> {
        let at = self.need(&r.account_id)?;
        if !self.rules.withdrawals {
            return Err(Refused::new(ErrorReason::NotEnabled));
        }
        self.may_spend(at)?;
        let account = &self.accounts[at];
        let mut usable = account.burn_down(&self.rules);
        usable.retain(|lot| {
            let mature = self.now - lot.created >= self.rules.maturity;
            lot.kind == GrantKind::Earned && lot.pays_for(None) && mature
        });
        let all: i128 = usable.iter().map(|lot| account.free_of(lot)).sum();
        let amount = i128::from(r.amount);
        if all < amount {
            return Err(self.not_enough(account, amount, all));
        }
        let draws = account.plan_draws(&usable, amount);
        let mut draft = self.begin(Type::Withdrawal, at, &r.idempotency_key, words!(r));
        for draw in draws {
            self.accounts[at].lot_mut(&draw.lot).remaining -= draw.tokens;
            draft.draws.push((at, draw));
        }
        draft.amount = amount;
        "sys/payouts".clone_into(&mut draft.counter);
        Ok((self.commit(draft), at))
    }
}

/// Not enough tokens.
pub(crate) fn short(reason: ErrorReason, required: i128, available: i128) -> Refused {
    Refused::new(reason)
        .with("required", required)
        .with("available", available)
        .with("shortfall", required - available)
}
