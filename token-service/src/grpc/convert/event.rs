//! Entries as events: what those who follow the ledger get to see.

use super::wire;
use ledger::{Balance, Change, Transaction};
use proto::v1::{
    BalanceChangedEvent, BelowThresholdEvent, GrantExpiringEvent, watch_events_response::Event,
};

/// The events of a transaction's one entry that was read, at least one.
#[must_use]
pub fn events(transaction: &Transaction) -> Vec<Event> {
    let entry = transaction.own();
    let account = entry.account.as_str();
    let (posted, held) = (entry.balance_after, entry.held_after);
    let balance = wire::balance(account, Balance { posted, held, sequence: entry.sequence });
    let mut notices = Vec::new();
    for change in &entry.changes {
        if let Change::BelowThreshold(threshold) = change {
            let (balance, threshold) = (Some(balance.clone()), *threshold);
            notices.push(Event::BelowThreshold(BelowThresholdEvent { balance, threshold }));
        } else if let Change::Notice { grant, days_left } = change {
            let (grant, days_left) = (Some(wire::grant(account, grant)), *days_left);
            return vec![Event::GrantExpiring(GrantExpiringEvent { grant, days_left })];
        }
    }
    let changed = Event::BalanceChanged(BalanceChangedEvent {
        balance: Some(balance),
        transaction_id: transaction.id.to_string(),
        r#type: wire::transaction_type(transaction.kind).into(),
        amount: entry.amount,
    });
    let mut events = vec![changed];
    events.append(&mut notices);
    events
}

/// When it happened.
#[must_use]
pub fn time_of(transaction: &Transaction) -> prost_types::Timestamp {
    wire::time(transaction.created)
}
