//! What time alone does to an account: holds and grants lapse, scheduled grants become effective.

use crate::{
    account::Account,
    funding::repayments,
    hold::HoldState,
    id::{System, TransactionId},
    policy::Policy,
    time::Time,
    transaction::{Change, TransactionType},
};

/// One thing that time did.
pub(crate) struct Lapse {
    pub(crate) kind: TransactionType,
    /// When it was due: never before the account's newest entry.
    pub(crate) at: Time,
    /// What lapsed.
    pub(crate) of: TransactionId,
    pub(crate) counter: System,
    pub(crate) changes: Vec<Change>,
}

impl Lapse {
    /// The service's own idempotency key for it. A grant can lapse more than once, as held or
    /// spent tokens come back to it, so its key carries the number of the entry.
    pub(crate) fn key(&self, sequence: i64) -> String {
        match self.kind {
            TransactionType::HoldExpiry => format!("sys/lapse/{}", self.of),
            TransactionType::Activation => format!("sys/activate/{}", self.of),
            TransactionType::GrantExpiry
            | TransactionType::Credit
            | TransactionType::Debit
            | TransactionType::Reversal
            | TransactionType::Transfer
            | TransactionType::Hold
            | TransactionType::Capture
            | TransactionType::Release
            | TransactionType::Clawback
            | TransactionType::Entitlement
            | TransactionType::Withdrawal
            | TransactionType::AccountChange
            | TransactionType::ExpiryNotice => format!("sys/expire/{}/{sequence}", self.of),
        }
    }
}

/// The next thing that is due by `now`, the earliest first; at the same time grants become
/// effective before holds lapse before grants expire.
pub(crate) fn next_lapse(account: &Account, now: Time) -> Option<Lapse> {
    let activations = account.body.grants.iter().filter_map(|grant| {
        let activate = || vec![Change::Activate(grant.id)];
        let lapse =
            |at| lapse(TransactionType::Activation, at, grant.id, System::Issuance, activate());
        grant.scheduled.map(lapse)
    });
    let holds = account.body.holds.iter().map(|hold| {
        let (id, state) = (hold.id, HoldState::Expired);
        let mut changes = vec![Change::Unhold { hold: id, captured: Vec::new(), state }];
        changes.extend(hold.unused());
        lapse(TransactionType::HoldExpiry, hold.expire, id, System::Usage, changes)
    });
    let grants = account.body.grants.iter().filter_map(|grant| {
        let expire = grant.expire.filter(|_| grant.available() > 0)?;
        let changes = vec![Change::Draw(grant.draw(grant.unheld()))];
        Some(lapse(TransactionType::GrantExpiry, expire, grant.id, System::Expiry, changes))
    });
    let due = activations.chain(holds).chain(grants).filter(|lapse| lapse.at <= now);
    let mut next = due.min_by_key(|lapse| lapse.at)?;
    next.at = next.at.max(account.updated);
    Some(next)
}

fn lapse(
    kind: TransactionType,
    at: Time,
    of: TransactionId,
    counter: System,
    changes: Vec<Change>,
) -> Lapse {
    Lapse { kind, at, of, counter, changes }
}

/// The account as it is at `now`, for reads: as if everything due had been posted.
#[must_use]
pub fn settled(account: &Account, policy: &Policy, now: Time) -> Account {
    let mut account = account.clone();
    let sequence = account.sequence;
    while let Some(lapse) = next_lapse(&account, now) {
        let counter = lapse.counter.id();
        account.fold(lapse.kind, &counter, lapse.at, &lapse.changes);
        account.fold(lapse.kind, &counter, lapse.at, &repayments(&account, policy));
        account.take_closed();
    }
    account.sequence = sequence;
    account
}
