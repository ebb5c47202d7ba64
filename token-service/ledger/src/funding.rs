//! Who pays: from an account's entitlements and grants, in the catalog's order, to draws.

use crate::{
    account::{Account, CapPeriod},
    command::{Charge, Extent},
    entitlement::{Benefit, Entitled},
    grant::{Draw, Grant, GrantKind},
    planted::{self, Bug},
    policy::Policy,
    rejection::{Limit, Rejection},
    state::Stop,
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
) -> Result<Funding, Stop> {
    let action = charge.action();
    let may_pay = |grant: &Grant| grant.pays_for(action);
    let rivals = account.body.spilled.posted();
    let grants = payers(account, policy, rivals, may_pay);
    let cover = policy.entitlement_rank().and_then(|rank| {
        let mut active = account.body.entitlements.iter().filter(|it| it.is_active(now));
        let covering = active.find(|it| it.covers(action) > 0)?;
        let goes_before = |kind| policy.rank(kind) < rank;
        let before = usable(account, |grant| may_pay(grant) && goes_before(grant.kind));
        let spilled = account.body.spilled.posted_of(goes_before);
        Some((covering, before, spilled))
    });

    let (wanted, unit) = match charge {
        Charge::Tokens(amount) => (*amount, 1),
        Charge::Action { quantity, unit, .. } => (*quantity, *unit),
    };
    let affordable = |tokens: Tokens| tokens.checked_div(unit).unwrap_or(i64::MAX);
    if cover.is_some_and(|(_, before, spilled)| affordable(before) < wanted && spilled > 0) {
        return Err(Stop::lacks_spilled(account));
    }
    let covered = cover.map_or(0, |(entitlement, before, _)| {
        let paid_before = affordable(before).min(wanted);
        wanted.minus(paid_before).min(entitlement.covers(action))
    });
    let rest = wanted.minus(covered);
    let payable = affordable(available(&grants)).min(rest);
    let there = usable(account, may_pay).plus(rivals);
    // Where even all of it is too little, nobody needs to know which grants that would be.
    let all_may_pay = account.body.spilled.bound() == 0;
    let hopeless = extent == Extent::Exact && all_may_pay && affordable(there) < rest;
    if payable < rest && rivals > 0 && !hopeless {
        return Err(Stop::lacks_spilled(account));
    }
    let required = i128::from(rest).saturating_mul(i128::from(unit));
    let nothing = payable == 0 && covered == 0;
    if payable < rest && (extent == Extent::Exact || nothing) {
        let required = Tokens::try_from(required).unwrap_or(Tokens::MAX);
        return Err(insufficient(account, required, there).into());
    }

    let tokens = payable.saturating_mul(unit);
    let entitled = cover.filter(|_| covered > 0).map(|(entitlement, ..)| Entitled {
        source: entitlement.source.clone(),
        quantity: covered,
        period: entitlement.period,
        counted: matches!(entitlement.benefit, Benefit::Quota(_)),
    });
    let quantity = if action.is_some() { payable.plus(covered) } else { 0 };
    Ok(Funding { draws: draw(&grants, tokens), entitled, quantity })
}

/// The grants that pay for a transfer or a withdrawal of `amount`, which entitlements never cover:
/// those of some kinds that may leave.
pub(crate) fn give(
    account: &Account,
    policy: &Policy,
    amount: Tokens,
    kinds: &[GrantKind],
    may_leave: impl Fn(&Grant) -> bool,
) -> Result<Funding, Stop> {
    let rivals = account.body.spilled.free_of(kinds);
    let grants = payers(account, policy, rivals, |grant| {
        grant.pays_for(None) && kinds.contains(&grant.kind) && may_leave(grant)
    });
    let there = available(&grants);
    if amount > there && rivals > 0 {
        return Err(Stop::lacks_spilled(account));
    }
    if amount > there {
        return Err(insufficient(account, amount, there).into());
    }
    Ok(Funding { draws: draw(&grants, amount), entitled: None, quantity: 0 })
}

/// Which earned grants may pay a withdrawal.
pub(crate) fn is_mature(policy: &Policy, now: Time) -> impl Fn(&Grant) -> bool {
    let since = policy.mature_since(now);
    move |grant| grant.created <= since
}

/// Unheld tokens in burn-down order, whatever they may pay for: what a clawback takes.
pub(crate) fn take_any(
    account: &Account,
    policy: &Policy,
    amount: Tokens,
) -> Result<Vec<Draw>, Stop> {
    let rivals = account.body.spilled.posted();
    let grants = payers(account, policy, rivals, |_| true);
    let there = available(&grants);
    if amount > there && rivals > 0 {
        return Err(Stop::lacks_spilled(account));
    }
    Ok(draw(&grants, amount.min(there)))
}

/// The changes by which unheld tokens pay off debt. An account in debt has none that are spilled.
pub(crate) fn repayments(account: &Account, policy: &Policy) -> Vec<Change> {
    if account.body.debt == 0 {
        return Vec::new();
    }
    let grants = payers(account, policy, 0, |_| true);
    let amount = account.body.debt.min(available(&grants));
    draw(&grants, amount).into_iter().map(Change::Repay).collect()
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
    let trial = GrantKind::Trial;
    let trying = body.grants.iter().any(|it| it.kind == trial && it.remaining > 0);
    if body.tried && !body.bought && !trying && !body.spilled.has(trial) {
        Rejection::TrialExhausted { required, available }
    } else {
        Rejection::InsufficientBalance { required, available }
    }
}

/// The grants in the account's row that surely pay first, in burn-down order. While spilled ones have
/// tokens that may pay too, `rivals`, those in the row that burn after one of them (a hold keeps them
/// there) are left out.
fn payers<'a>(
    account: &'a Account,
    policy: &Policy,
    rivals: Tokens,
    may_pay: impl Fn(&Grant) -> bool,
) -> Vec<&'a Grant> {
    let surely = |grant: &Grant| rivals == 0 || account.body.spilled.burn_after(grant, policy);
    let grants = account.body.grants.iter();
    let grants = grants.filter(|grant| grant.available() > 0 && may_pay(grant) && surely(grant));
    let mut grants: Vec<&Grant> = grants.collect();
    grants.sort_by(|a, b| policy.burn(a, b));
    if planted::is(Bug::DrawOrder) {
        grants.reverse();
    }
    grants
}

fn usable(account: &Account, may_pay: impl Fn(&Grant) -> bool) -> Tokens {
    let grants = account.body.grants.iter().filter(|grant| may_pay(grant));
    sum(grants.map(Grant::available))
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
