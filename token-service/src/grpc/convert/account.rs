//! Accounts and what they hold as messages of the contract.

use super::wire::{balance, grant_kind, time};
use ledger::{Account, Benefit, CapPeriod, Entitlement, GrantKind, Status, Time};
use proto::v1;

/// The last second of the year 9999, the last that a Timestamp can tell: a right that never ends.
const NEVER: Time = Time(253_402_300_799_000_000);

/// What an account, settled at `now`, holds.
#[must_use]
pub fn holdings(account: &Account, now: Time) -> v1::GetBalanceResponse {
    let grants = &account.body.grants;
    let kinds = GrantKind::ALL.into_iter().map(|kind| {
        let grants = grants.iter().filter(|grant| grant.kind == kind && grant.scheduled.is_none());
        let spilled = account.body.spilled.posted_of(|of| of == kind);
        let (posted, held) =
            grants.fold((spilled, 0), |(posted, held), it| (posted + it.remaining, held + it.held));
        v1::KindBalance { kind: grant_kind(kind).into(), posted, held }
    });
    let expiring = || {
        let grants = grants.iter().filter(|grant| grant.available() > 0);
        let grants = grants.filter_map(|grant| Some((grant.expire?, grant.available())));
        grants.chain(account.body.spilled.expires())
    };
    let next_expire = expiring().map(|(at, _)| at).min();
    let expiring_then = expiring().filter(|(at, _)| Some(*at) == next_expire);
    let unlimited = account
        .body
        .entitlements
        .iter()
        .filter(|it| it.is_active(now) && it.benefit == Benefit::Unlimited(Vec::new()));
    v1::GetBalanceResponse {
        balance: Some(balance(account.id.as_str(), account.balance())),
        status: status(account.status).into(),
        kinds: kinds.filter(|kind| kind.posted > 0).collect(),
        lifetime_purchased: account.body.purchased,
        lifetime_spent: account.body.spent,
        lifetime_earned: account.body.earned,
        debt: account.body.debt,
        next_expire_time: next_expire.map(time),
        next_expire_amount: expiring_then.map(|(_, tokens)| tokens).sum(),
        unlimited_until_time: unlimited.map(|it| it.expire.unwrap_or(NEVER)).max().map(time),
        scheduled: account.scheduled(),
    }
}

/// The same figures for whoever watches them.
#[must_use]
pub fn watched(holdings: v1::GetBalanceResponse) -> v1::WatchBalanceResponse {
    v1::WatchBalanceResponse {
        balance: holdings.balance,
        status: holdings.status,
        kinds: holdings.kinds,
        lifetime_purchased: holdings.lifetime_purchased,
        lifetime_spent: holdings.lifetime_spent,
        lifetime_earned: holdings.lifetime_earned,
        debt: holdings.debt,
        next_expire_time: holdings.next_expire_time,
        next_expire_amount: holdings.next_expire_amount,
        unlimited_until_time: holdings.unlimited_until_time,
        scheduled: holdings.scheduled,
    }
}

/// An account, settled at `now`, with its settings.
#[must_use]
pub fn account(of: &Account, now: Time) -> v1::Account {
    let caps = of.body.settings.caps.iter().map(|cap| v1::SpendCap {
        period: cap_period(cap.period).into(),
        limit: cap.limit,
        spent: of.body.spending.in_period(cap.period, now),
    });
    v1::Account {
        account_id: of.id.to_string(),
        status: status(of.status).into(),
        balance: Some(balance(of.id.as_str(), of.balance())),
        debt: of.body.debt,
        low_balance_threshold: of.body.settings.threshold,
        spend_caps: caps.collect(),
        entitlements: of.body.entitlements.iter().map(entitlement).collect(),
        version: of.body.version,
        create_time: Some(time(of.created)),
        update_time: Some(time(of.updated)),
    }
}

fn entitlement(of: &Entitlement) -> v1::Entitlement {
    use v1::entitlement::Benefit as Wire;
    v1::Entitlement {
        source: of.source.clone(),
        source_version: of.version,
        benefit: Some(match &of.benefit {
            Benefit::Unlimited(actions) => {
                Wire::Unlimited(v1::Unlimited { actions: actions.clone() })
            }
            Benefit::Quota(units) => Wire::Quota(v1::Quota { units: units.clone() }),
        }),
        period_start_time: of.period.map(time),
        expire_time: of.expire.map(time),
        used_units: of.used.clone(),
    }
}

/// Whether an account may spend.
#[must_use]
pub fn status(status: Status) -> v1::AccountStatus {
    match status {
        Status::Active => v1::AccountStatus::Active,
        Status::Frozen => v1::AccountStatus::Frozen,
        Status::Closed => v1::AccountStatus::Closed,
    }
}

fn cap_period(period: CapPeriod) -> v1::CapPeriod {
    match period {
        CapPeriod::Day => v1::CapPeriod::Day,
        CapPeriod::Month => v1::CapPeriod::Month,
    }
}
