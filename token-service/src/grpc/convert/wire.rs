//! Transactions, grants and holds as messages of the contract.

use ledger::{
    Balance, Change, Draw, Entry, Grant, GrantKind, Hold, HoldState, Receipt, Time, Transaction,
    TransactionType,
};
use proto::v1;

const SECOND_MICROS: i64 = 1_000_000;

/// What every accepted command answers.
pub(super) struct Done {
    pub(super) transaction: Option<v1::Transaction>,
    pub(super) balance: Option<v1::Balance>,
    pub(super) replayed: bool,
}

/// What an accepted command of this account answers.
pub(super) fn done(account: &str, receipt: &Receipt) -> Done {
    Done {
        transaction: receipt.transaction.as_deref().map(transaction),
        balance: Some(balance(account, receipt.balance)),
        replayed: receipt.replayed,
    }
}

/// A point in time.
#[must_use]
pub fn time(time: Time) -> prost_types::Timestamp {
    let nanos = time.0.rem_euclid(SECOND_MICROS) * 1_000;
    prost_types::Timestamp {
        seconds: time.0.div_euclid(SECOND_MICROS),
        nanos: i32::try_from(nanos).expect("less than a second"),
    }
}

/// The three figures of an account.
#[must_use]
pub fn balance(account: &str, balance: Balance) -> v1::Balance {
    v1::Balance {
        account_id: account.to_owned(),
        posted: balance.posted,
        held: balance.held,
        available: balance.available(),
        sequence: balance.sequence,
    }
}

/// A transaction with the entries that it comes with.
#[must_use]
pub fn transaction(of: &Transaction) -> v1::Transaction {
    let (entitlement_source, entitled_quantity) =
        of.entitled.clone().map(|it| (it.source, it.quantity)).unwrap_or_default();
    v1::Transaction {
        transaction_id: of.id.to_string(),
        account_id: of.account.to_string(),
        idempotency_key: of.key.clone(),
        r#type: transaction_type(of.kind).into(),
        amount: of.amount,
        entries: of.entries.iter().map(entry).collect(),
        action: of.action.clone().unwrap_or_default(),
        quantity: of.quantity,
        entitlement_source,
        entitled_quantity,
        related_transaction_id: of.related.map(|id| id.to_string()).unwrap_or_default(),
        description: of.note.description.clone(),
        reference: of.note.reference.clone(),
        metadata: of.note.metadata.clone(),
        actor: of.note.actor.clone(),
        on_behalf_of: of.note.on_behalf_of.clone(),
        create_time: Some(time(of.created)),
    }
}

fn entry(of: &Entry) -> v1::Entry {
    let restored = of.changes.iter().filter_map(|change| {
        if let Change::Restore(restored) = change { Some(draw(restored)) } else { None }
    });
    let opened = of.changes.iter().find_map(|change| {
        if let Change::Open(grant) = change { Some(grant.id.to_string()) } else { None }
    });
    let (split_account, split_amount) =
        of.split.as_ref().map(|it| (it.account.to_string(), it.amount)).unwrap_or_default();
    v1::Entry {
        account_id: of.account.to_string(),
        sequence: of.sequence,
        amount: of.amount,
        held_delta: of.held_delta,
        balance_after: of.balance_after,
        held_after: of.held_after,
        counter_account: of.counter.to_string(),
        split_account,
        split_amount,
        draws: of.draws().map(draw).collect(),
        restored: restored.collect(),
        grant_id: opened.unwrap_or_default(),
    }
}

fn draw(of: &Draw) -> v1::Draw {
    v1::Draw { grant_id: of.grant.to_string(), kind: grant_kind(of.kind).into(), amount: of.amount }
}

/// A grant of an account.
#[must_use]
pub fn grant(account: &str, of: &Grant) -> v1::Grant {
    v1::Grant {
        grant_id: of.id.to_string(),
        account_id: account.to_owned(),
        kind: grant_kind(of.kind).into(),
        priority: of.priority,
        amount: of.amount,
        remaining: of.remaining,
        held: of.held,
        effective_time: of.effective.map(time),
        expire_time: of.expire.map(time),
        actions: of.actions.clone(),
        cost: of.cost.as_ref().map(|cost| v1::Money {
            amount_minor: cost.amount_minor,
            currency: cost.currency.clone(),
        }),
        reference: of.reference.clone(),
        create_time: Some(time(of.created)),
        state: grant_state(of).into(),
    }
}

/// What has become of a grant.
#[must_use]
pub fn grant_state(of: &Grant) -> v1::GrantState {
    match of.scheduled {
        _ if of.is_closed() => v1::GrantState::Closed,
        Some(_) => v1::GrantState::Scheduled,
        None => v1::GrantState::Open,
    }
}

/// A hold of an account.
#[must_use]
pub fn hold(account: &str, of: &Hold) -> v1::Hold {
    let (entitlement_source, entitled_quantity) =
        of.entitled.clone().map(|it| (it.source, it.quantity)).unwrap_or_default();
    v1::Hold {
        hold_id: of.id.to_string(),
        account_id: account.to_owned(),
        amount: of.amount(),
        captured: of.captured,
        draws: of.draws.iter().map(draw).collect(),
        action: of.action.clone().unwrap_or_default(),
        quantity: of.quantity,
        entitlement_source,
        entitled_quantity,
        create_time: Some(time(of.created)),
        expire_time: Some(time(of.expire)),
        state: hold_state(of.state).into(),
    }
}

/// A kind of tokens.
#[must_use]
pub fn grant_kind(kind: GrantKind) -> v1::GrantKind {
    match kind {
        GrantKind::Purchased => v1::GrantKind::Purchased,
        GrantKind::Promotional => v1::GrantKind::Promotional,
        GrantKind::Trial => v1::GrantKind::Trial,
        GrantKind::Allowance => v1::GrantKind::Allowance,
        GrantKind::Earned => v1::GrantKind::Earned,
        GrantKind::Adjustment => v1::GrantKind::Adjustment,
    }
}

/// What has become of a hold.
#[must_use]
pub fn hold_state(state: HoldState) -> v1::HoldState {
    match state {
        HoldState::Open => v1::HoldState::Open,
        HoldState::Captured => v1::HoldState::Captured,
        HoldState::Released => v1::HoldState::Released,
        HoldState::Expired => v1::HoldState::Expired,
    }
}

/// What a transaction did.
#[must_use]
pub fn transaction_type(kind: TransactionType) -> v1::TransactionType {
    match kind {
        TransactionType::Credit => v1::TransactionType::Credit,
        TransactionType::Debit => v1::TransactionType::Debit,
        TransactionType::Reversal => v1::TransactionType::Reversal,
        TransactionType::Transfer => v1::TransactionType::Transfer,
        TransactionType::Hold => v1::TransactionType::Hold,
        TransactionType::Capture => v1::TransactionType::Capture,
        TransactionType::Release => v1::TransactionType::Release,
        TransactionType::Clawback => v1::TransactionType::Clawback,
        TransactionType::Entitlement => v1::TransactionType::Entitlement,
        TransactionType::GrantExpiry => v1::TransactionType::GrantExpiry,
        TransactionType::HoldExpiry => v1::TransactionType::HoldExpiry,
        TransactionType::Activation => v1::TransactionType::Activation,
        TransactionType::Withdrawal => v1::TransactionType::Withdrawal,
        TransactionType::AccountChange => v1::TransactionType::AccountChange,
        TransactionType::ExpiryNotice => v1::TransactionType::ExpiryNotice,
    }
}
