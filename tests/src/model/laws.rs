//! What must hold of the model itself, whatever was called: a judge must be above suspicion.

use super::Model;
use super::account::Account;
use proto::v1::{CapPeriod, TransactionType as Type};

impl Model {
    /// Panics if the model breaks a law.
    pub fn check_laws(&self) {
        for at in 0..self.accounts.len() {
            self.check_figures(at);
            self.check_fold(&self.accounts[at]);
        }
        for past in &self.pasts {
            let drawn: i128 = past.draws.iter().map(|draw| draw.tokens).sum();
            let spends = [Type::Debit, Type::Capture, Type::Transfer, Type::Withdrawal];
            if spends.contains(&past.kind) {
                assert_eq!(drawn, past.amount, "draws of {}", past.label);
            }
            let undone = past.reversed + past.clawed_back();
            assert!((0..=past.amount).contains(&undone), "undone of {}", past.label);
            assert!((0..=past.fee).contains(&past.fee_returned), "fee of {}", past.label);
        }
        let posted: i128 = self.accounts.iter().map(Account::posted).sum();
        assert_eq!(posted, self.system_side(), "everything sums to zero");
    }

    fn check_figures(&self, at: usize) {
        let account = &self.accounts[at];
        let name = &account.id;
        for lot in &account.lots {
            let held = account.held_of(&lot.label);
            assert!((0..=lot.remaining).contains(&held), "{name}: held of {}", lot.label);
            assert!(!lot.waiting || held == 0, "{name}: held before its time: {}", lot.label);
            assert!(!lot.waiting || lot.effective.is_some(), "{name}: {}", lot.label);
            let lapsed = lot.expire.is_some_and(|expire| expire <= self.now) && !lot.waiting;
            assert!(!lapsed || lot.remaining == held, "{name}: lapsed: {}", lot.label);
        }
        for hold in account.open_holds() {
            let draws: i128 = hold.draws.iter().map(|draw| draw.tokens).sum();
            assert_eq!(draws, hold.amount, "{name}: draws of {}", hold.label);
            assert!(hold.expires > self.now, "{name}: should have lapsed: {}", hold.label);
        }
        let free: i128 =
            account.lots.iter().filter(|lot| !lot.waiting).map(|lot| account.free_of(lot)).sum();
        assert!(account.debt >= 0, "{name}: debt");
        assert_eq!(account.available(), free - account.debt, "{name}: available");
        assert!(account.debt == 0 || free == 0, "{name}: free tokens beside debt");
        for entitlement in &account.entitlements {
            let used = entitlement.used.values();
            assert!(used.min().is_none_or(|used| *used >= 0), "{name}: {}", entitlement.source);
        }
        for period in [CapPeriod::Day, CapPeriod::Month] {
            assert!(self.spent(at, period) >= 0, "{name}: spent per {period:?}");
        }
    }

    /// An account is the fold of its entries, numbered without gaps.
    fn check_fold(&self, account: &Account) {
        let (mut posted, mut held, mut sequence) = (0, 0, 0);
        let entries = self.pasts.iter().flat_map(|past| &past.transaction.entries);
        for entry in entries.filter(|entry| entry.account_id == account.id) {
            (posted, held, sequence) =
                (posted + entry.amount, held + entry.held_delta, sequence + 1);
            assert_eq!(entry.sequence, sequence, "{}: sequence", account.id);
            assert_eq!(entry.balance_after, posted, "{}: balance after", account.id);
            assert_eq!(entry.held_after, held, "{}: held after", account.id);
        }
        assert_eq!(i128::from(posted), account.posted(), "{}: posted", account.id);
        assert_eq!(i128::from(held), account.held(), "{}: held", account.id);
    }

    /// What the system's side has given out, less what came back to it, from the amounts alone.
    fn system_side(&self) -> i128 {
        let scheduled: i128 = self.accounts.iter().map(Account::scheduled).sum();
        let mut out = -scheduled;
        for past in &self.pasts {
            out += match past.kind {
                // A credit that supersedes lets go of the rest that it doesn't carry over.
                Type::Credit => past.amount - past.dropped,
                Type::Debit | Type::Capture | Type::Withdrawal | Type::GrantExpiry => -past.amount,
                Type::Transfer => -past.fee,
                Type::Reversal => past.back,
                Type::Clawback => past.back,
                _ => 0,
            };
        }
        out
    }
}
