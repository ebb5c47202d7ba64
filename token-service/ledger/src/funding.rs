//! Who pays: from an account's entitlements and grants, in the catalog's order, to draws.

use crate::{
    account::{Account, CapPeriod},
    command::{Charge, Extent},
    entitlement::{Benefit, Entitled},
    grant::{Draw, Grant, GrantKind},
    policy::Policy,
    rejection::{Limit, Rejection},
    time::Time,
    tokens::{Exact, Tokens, sum},
    transaction::Change,
};

/// Who pays for a charge.
#[derive(Debug)]
pub(crate) struct Funding {
    /// What tokens pay.
    pub(crate) draws: Vec<Draw>,
    /// What an entitlement covers.
    pub(crate) entitled: Option<Entitled>,
    /// Units of the action in all, tokens' and the entitlement's; 0 for a charge by amount.
    pub(crate) quantity: i64,
}

impl Funding {
    pub(crate) fn tokens(&self) -> Tokens {
        sum(self.draws.iter().map(|draw| draw.amount))
    }

    /// The units of a quota that it uses.
    pub(crate) fn used(&self, charge: &Charge) -> Option<Change> {
        let (entitled, action) = self.entitled.as_ref().zip(charge.action())?;
        let (action, entitled) = (action.to_owned(), entitled.clone());
        entitled.counted.then_some(Change::Use { action, entitled })
    }
}

/// Decides who pays for `charge`.
///
/// Entitlements cover whole units of an action; what stands before them in the funding order pays
/// as many whole units as it can first, what stands behind them pays the rest. One entitlement per
/// charge: the first that covers anything.
pub(crate) fn fund(
    account: &Account,
    policy: &Policy,
    charge: &Charge,
    extent: Extent,
    now: Time,
) -> Result<Funding, Rejection> {
    let action = charge.action();
    let grants = payers(account, policy, |grant| grant.pays_for(action));
    let there = available(&grants);
    let cover = policy.entitlement_rank().and_then(|rank| {
        let mut active = account.body.entitlements.iter().filter(|it| it.is_active(now));
        let covering = active.find(|it| it.covers(action) > 0)?;
        let first = grants.iter().filter(|grant| policy.rank(grant.kind) < rank);
        Some((covering, sum(first.map(|grant| grant.available()))))
    });

    let (wanted, unit) = match charge {
        Charge::Tokens(amount) => (*amount, 1),
        Charge::Action { quantity, unit, .. } => (*quantity, *unit),
    };
    let affordable = |tokens: Tokens| tokens.checked_div(unit).unwrap_or(i64::MAX);
    let covered = cover.map_or(0, |(entitlement, before)| {
        let paid_before = affordable(before).min(wanted);
        wanted.minus(paid_before).min(entitlement.covers(action))
    });
    let rest = wanted.minus(covered);
    let payable = affordable(there).min(rest);
    let required = i128::from(rest).saturating_mul(i128::from(unit));
    let nothing = payable == 0 && covered == 0;
    if payable < rest && (extent == Extent::Exact || nothing) {
        let required = Tokens::try_from(required).unwrap_or(Tokens::MAX);
        return Err(insufficient(account, required, there));
    }

    let tokens = payable.saturating_mul(unit);
    let entitled = cover.filter(|_| covered > 0).map(|(entitlement, _)| Entitled {
        source: entitlement.source.clone(),
        quantity: covered,
        period: entitlement.period,
        counted: matches!(entitlement.benefit, Benefit::Quota(_)),
    });
    let quantity = if action.is_some() { payable.plus(covered) } else { 0 };
    Ok(Funding { draws: draw(&grants, tokens), entitled, quantity })
}

/// The grants that pay for a transfer or a withdrawal of `amount`, which entitlements never cover.
pub(crate) fn give(
    account: &Account,
    policy: &Policy,
    amount: Tokens,
    may_leave: impl Fn(&Grant) -> bool,
) -> Result<Funding, Rejection> {
    let grants = payers(account, policy, |grant| grant.pays_for(None) && may_leave(grant));
    let there = available(&grants);
    if amount > there {
        return Err(insufficient(account, amount, there));
    }
    Ok(Funding { draws: draw(&grants, amount), entitled: None, quantity: 0 })
}

/// Which grants may pay a withdrawal.
pub(crate) fn is_mature(policy: &Policy, now: Time) -> impl Fn(&Grant) -> bool {
    let since = policy.mature_since(now);
    move |grant| grant.kind == GrantKind::Earned && grant.created <= since
}

/// Unheld tokens in burn-down order, whatever they may pay for: what a debt takes.
pub(crate) fn take_any(account: &Account, policy: &Policy, amount: Tokens) -> Vec<Draw> {
    let grants = payers(account, policy, |_| true);
    let there = available(&grants);
    draw(&grants, amount.min(there))
}

/// The changes by which unheld tokens pay off debt.
pub(crate) fn repayments(account: &Account, policy: &Policy) -> Vec<Change> {
    take_any(account, policy, account.body.debt).into_iter().map(Change::Repay).collect()
}

/// Whether the account may spend at all.
pub(crate) fn may_spend(account: &Account) -> Result<(), Rejection> {
    match account.status {
        crate::Status::Active if account.body.debt > 0 => {
            Err(Rejection::AccountInDebt { debt: account.body.debt })
        }
        crate::Status::Active => Ok(()),
        crate::Status::Frozen => Err(Rejection::AccountFrozen { account: account.id.clone() }),
        crate::Status::Closed => Err(Rejection::AccountClosed { account: account.id.clone() }),
    }
}

/// Whether the account's caps allow `tokens` more.
pub(crate) fn within_caps(account: &Account, tokens: Tokens, now: Time) -> Result<(), Rejection> {
    let hit = account.body.settings.caps.iter().find(|cap| {
        tokens > 0 && account.body.spending.in_period(cap.period, now).plus(tokens) > cap.limit
    });
    match hit {
        None => Ok(()),
        Some(cap) => Err(Rejection::LimitExceeded {
            limit: match cap.period {
                CapPeriod::Day => Limit::SpendPerDay,
                CapPeriod::Month => Limit::SpendPerMonth,
            },
            maximum: cap.limit,
            retry: Some(now.end_of(cap.period)).filter(|_| tokens <= cap.limit),
        }),
    }
}

fn insufficient(account: &Account, required: Tokens, available: Tokens) -> Rejection {
    let body = &account.body;
    let trying = body.grants.iter().any(|it| it.kind == GrantKind::Trial && it.remaining > 0);
    if body.tried && !body.bought && !trying {
        Rejection::TrialExhausted { required, available }
    } else {
        Rejection::InsufficientBalance { required, available }
    }
}

fn payers<'a>(
    account: &'a Account,
    policy: &Policy,
    may_pay: impl Fn(&Grant) -> bool,
) -> Vec<&'a Grant> {
    let grants = account.body.grants.iter();
    let mut grants: Vec<&Grant> =
        grants.filter(|grant| grant.available() > 0 && may_pay(grant)).collect();
    grants.sort_by(|a, b| policy.burn(a, b));
    grants
}

fn available(grants: &[&Grant]) -> Tokens {
    sum(grants.iter().map(|grant| grant.available()))
}

fn draw(grants: &[&Grant], amount: Tokens) -> Vec<Draw> {
    let mut rest = amount;
    let mut draws = Vec::new();
    for grant in grants {
        let taken = rest.min(grant.available());
        if taken > 0 {
            draws.push(grant.draw(taken));
            rest = rest.minus(taken);
        }
    }
    assert!(rest == 0, "what was judged affordable is there");
    draws
}
