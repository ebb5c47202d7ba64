//! From the model's figures to the contract's messages.

use super::account::{Account, Held, Lot, Taken};
use prost_types::Timestamp;
use proto::v1;

/// Tokens as the contract counts them.
pub(crate) fn tokens(tokens: i128) -> i64 {
    i64::try_from(tokens).expect("the workload's amounts are small")
}

/// A time as the contract writes it.
pub(crate) fn stamp(micros: i64) -> Timestamp {
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1000).expect("less than a second");
    Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

/// A time in microseconds since 1970.
pub(crate) fn micros(stamp: &Timestamp) -> i64 {
    stamp.seconds * 1_000_000 + i64::from(stamp.nanos / 1000)
}

pub(crate) fn draws(taken: &[Taken]) -> Vec<v1::Draw> {
    let draw = |taken: &Taken| v1::Draw {
        grant_id: taken.lot.clone(),
        kind: taken.kind.into(),
        amount: tokens(taken.tokens),
    };
    taken.iter().filter(|taken| taken.tokens > 0).map(draw).collect()
}

pub(crate) fn balance(account: &Account) -> v1::Balance {
    v1::Balance {
        account_id: account.id.clone(),
        posted: tokens(account.posted()),
        held: tokens(account.held()),
        available: tokens(account.available()),
        sequence: account.sequence,
    }
}

pub(crate) fn grant(account: &Account, lot: &Lot) -> v1::Grant {
    let state = match lot {
        lot if lot.remaining == 0 => v1::GrantState::Closed,
        lot if lot.waiting => v1::GrantState::Scheduled,
        _ => v1::GrantState::Open,
    };
    v1::Grant {
        grant_id: lot.label.clone(),
        account_id: account.id.clone(),
        kind: lot.kind.into(),
        priority: lot.priority,
        amount: tokens(lot.amount),
        remaining: tokens(lot.remaining),
        held: tokens(account.held_of(&lot.label)),
        effective_time: lot.effective.map(stamp),
        expire_time: lot.expire.map(stamp),
        actions: lot.actions.clone(),
        cost: lot.cost.clone(),
        reference: lot.reference.clone(),
        create_time: Some(stamp(lot.created)),
        state: state.into(),
    }
}

pub(crate) fn hold(account: &Account, hold: &Held) -> v1::Hold {
    let (source, units) = hold.entitled.clone().unwrap_or_default();
    v1::Hold {
        hold_id: hold.label.clone(),
        account_id: account.id.clone(),
        amount: tokens(hold.amount),
        captured: tokens(hold.captured),
        draws: draws(&hold.draws),
        action: hold.action.clone(),
        quantity: tokens(hold.quantity),
        entitlement_source: source,
        entitled_quantity: tokens(units),
        create_time: Some(stamp(hold.created)),
        expire_time: Some(stamp(hold.expires)),
        state: hold.state.into(),
    }
}
