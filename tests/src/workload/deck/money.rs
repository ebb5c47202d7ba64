//! The calls that bring tokens in, set them aside, pass them on, or undo what was done.

use super::{DAY, Deck, NOWHERE};
use crate::model::{Past, wire, wire::stamp};
use crate::target::Call;
use proto::v1::set_entitlement_request::Benefit;
use proto::v1::{self, GrantKind, HoldState, TransactionType as Type};

impl Deck {
    pub(super) fn credit(&mut self) -> Call {
        let account_id = self.someone();
        let debt = self.of(&account_id).map_or(0, |account| account.debt);
        let amount = if debt > 0 { self.near(debt) } else { self.rng.i64(1..21) };
        let kind = self.pick(&[
            GrantKind::Purchased,
            GrantKind::Purchased,
            GrantKind::Purchased,
            GrantKind::Promotional,
            GrantKind::Promotional,
            GrantKind::Allowance,
            GrantKind::Adjustment,
            GrantKind::Trial,
        ]);
        let kind =
            if kind == GrantKind::Trial && self.chance(60) { GrantKind::Promotional } else { kind };
        let later = self.later();
        let effective = match self.rng.u32(..20) {
            0 => Some(self.now),
            1 => Some(self.now - 1),
            2..5 => Some(later),
            _ => None,
        };
        let expire = self.later();
        let expire = match effective {
            _ if self.chance(45) => None,
            Some(effective) if effective >= expire => Some(effective + 1),
            _ => Some(expire),
        };
        let paid = self.chance(if kind == GrantKind::Purchased { 80 } else { 15 });
        let cost =
            paid.then(|| v1::Money { amount_minor: amount * 10, currency: "usd".to_owned() });
        let only = self.action().filter(|_| self.chance(15));
        v1::CreditRequest {
            idempotency_key: self.key(),
            amount,
            kind: kind.into(),
            priority: self.pick(&[0, 0, 0, -1, 1, 7]),
            effective_time: effective.map(stamp),
            expire_time: expire.map(stamp),
            actions: only.into_iter().collect(),
            cost,
            supersede: self.supersede(&account_id),
            account_id,
            ..v1::CreditRequest::default()
        }
        .into()
    }

    fn supersede(&mut self, account_id: &str) -> Option<v1::Supersede> {
        if !self.chance(12) {
            return None;
        }
        let elsewhere = if self.chance(10) { self.someone() } else { account_id.to_owned() };
        let account = self.of(&elsewhere)?.clone();
        let lot = self.rng.choice(&account.lots)?;
        let rest = account.free_of(lot);
        let carry_over_max = self.near(rest) - i64::from(self.chance(30));
        Some(v1::Supersede { grant_id: lot.label.clone(), carry_over_max })
    }

    pub(super) fn create_hold(&mut self) -> Call {
        let account_id = self.anyone();
        let (amount, action, quantity) = self.ask(&account_id);
        v1::CreateHoldRequest {
            idempotency_key: self.key(),
            account_id,
            amount,
            action,
            quantity,
            duration: self.duration(),
            ..v1::CreateHoldRequest::default()
        }
        .into()
    }

    /// A hold, mostly an open one, mostly with its own account; and what it holds.
    fn hold(&mut self) -> (String, String, i128) {
        let open = self.chance(85);
        let accounts = self.model.accounts().iter();
        let holds =
            accounts.flat_map(|account| account.holds.iter().map(|hold| (&account.id, hold)));
        let holds = holds.filter(|(_, hold)| !open || hold.state == HoldState::Open);
        let holds: Vec<_> =
            holds.map(|(id, hold)| (id.clone(), hold.label.clone(), hold.amount)).collect();
        let Some((account_id, label, amount)) = self.rng.choice(holds) else {
            return (self.anyone(), NOWHERE.to_owned(), 1);
        };
        if self.chance(3) { (self.anyone(), label, amount) } else { (account_id, label, amount) }
    }

    pub(super) fn capture(&mut self) -> Call {
        let (account_id, hold_id, held) = self.hold();
        let amount = self.near(held);
        v1::CaptureHoldRequest {
            idempotency_key: self.key(),
            account_id,
            hold_id,
            amount: self.chance(65).then_some(amount),
            ..v1::CaptureHoldRequest::default()
        }
        .into()
    }

    pub(super) fn release(&mut self) -> Call {
        let (account_id, hold_id, _) = self.hold();
        let idempotency_key = self.key();
        v1::ReleaseHoldRequest { idempotency_key, account_id, hold_id, ..Default::default() }.into()
    }

    pub(super) fn reverse(&mut self) -> Call {
        let account_id = self.anyone();
        let wanted: fn(&Past) -> bool = match self.rng.u32(..100) {
            0..66 => |past| reversible(past.kind) && past.kind != Type::Credit,
            66..88 => |past| reversible(past.kind),
            _ => |_| true,
        };
        let past = self.past(&account_id, wanted);
        let left = past.as_ref().map_or(1, |past| past.amount - past.reversed - past.clawed_back());
        let amount = self.near(left);
        let partly = self.chance(60);
        v1::ReverseRequest {
            idempotency_key: self.key(),
            account_id,
            transaction_id: past.map_or(NOWHERE.to_owned(), |past| past.label),
            amount: partly.then_some(amount),
            ..v1::ReverseRequest::default()
        }
        .into()
    }

    pub(super) fn transfer(&mut self) -> Call {
        let account_id = self.anyone();
        let mut to_account_id = self.someone();
        while to_account_id == account_id {
            to_account_id = self.someone();
        }
        let available = self.of(&account_id).map_or(0, |account| {
            let kinds = &self.model.rules().transferable;
            let lots = account
                .lots
                .iter()
                .filter(|lot| !lot.waiting && lot.pays_for(None) && kinds.contains(&lot.kind));
            lots.map(|lot| account.free_of(lot)).sum()
        });
        v1::TransferRequest {
            amount: self.near(available),
            idempotency_key: self.key(),
            account_id,
            to_account_id,
            ..v1::TransferRequest::default()
        }
        .into()
    }

    pub(super) fn clawback(&mut self) -> Call {
        let account_id = self.anyone();
        let tipped: Vec<String> = self.model.pasts().iter().flat_map(Past::tipped_from).collect();
        let tipped = self.rng.choice(tipped).filter(|_| self.chance(60));
        let tipped = tipped.and_then(|label| {
            let mut credits = self.model.pasts().iter().filter(|past| past.kind == Type::Credit);
            credits.find(|past| past.label == label).cloned()
        });
        let wanted: fn(&Past) -> bool = match self.rng.u32(..10) {
            0 => |_| true,
            1..5 => |past| past.kind == Type::Credit && past.clawed_back() > 0,
            _ => |past| past.kind == Type::Credit && past.key != "sys/trial",
        };
        let account_id = tipped.as_ref().map_or(account_id, |past| past.account_id.clone());
        let from_tip = tipped.is_some();
        let credit = tipped.or_else(|| self.past(&account_id, wanted));
        let credit = credit.or_else(|| self.past(&account_id, |past| past.kind == Type::Credit));
        let (credit_key, amount, newest, clawed) = match credit {
            Some(past) => {
                (past.key.clone(), wire::tokens(past.amount), past.revision, past.clawed_back())
            }
            None => ("nowhere".to_owned(), 1, 0, 0),
        };
        let some = self.rng.i64(0..=amount);
        let near = self.near(clawed);
        let target = self.pick(&[0, amount, amount, some, some, near.min(amount)]);
        let target = match self.rng.u32(..100) {
            0..4 => amount + 1,
            4..60 if from_tip => amount,
            _ => target,
        };
        let revision = (newest + self.pick(&[1, 1, 1, 1, 2, 0, -1])).max(1);
        v1::SetClawbackRequest {
            idempotency_key: self.key(),
            account_id,
            credit_key,
            target,
            revision,
            ..v1::SetClawbackRequest::default()
        }
        .into()
    }

    pub(super) fn entitlement(&mut self) -> Call {
        let account_id = self.someone();
        let source = self.pick(&["plan/1", "plan/2"]).to_owned();
        let known = self.of(&account_id).and_then(|account| {
            account.entitlements.iter().find(|entitled| entitled.source == source).cloned()
        });
        let (action, units) = (self.action(), self.rng.i64(1..7));
        let (named, other) = (self.rng.bool(), self.action());
        let quota = self.chance(65);
        let mut benefit = match action {
            Some(action) if quota => {
                let mut units_by_action = std::collections::BTreeMap::from([(action, units)]);
                if let Some(other) = other.filter(|_| named) {
                    units_by_action.insert(other, 2);
                }
                Benefit::Quota(v1::Quota { units: units_by_action })
            }
            Some(action) if named => Benefit::Unlimited(v1::Unlimited { actions: vec![action] }),
            _ => Benefit::Unlimited(v1::Unlimited { actions: Vec::new() }),
        };
        let mut period_start = Some(self.start - self.pick(&[30, 60]) * DAY);
        let later = self.later();
        let mut expire = self.pick(&[
            Some(later),
            Some(later),
            Some(later),
            Some(self.now),
            Some(self.now - 1),
            None,
        ]);
        let version = known.as_ref().map_or(0, |entitled| entitled.version);
        let step = self.pick(&[1, 1, 1, 1, 2, 0, 0, -1]);
        let same = self.chance(70);
        if let Some(known) = known.filter(|_| step == 0 && same) {
            benefit = known.benefit.expect("the workload sends one");
            (period_start, expire) = (known.period_start, known.expire);
        }
        v1::SetEntitlementRequest {
            idempotency_key: self.key(),
            account_id,
            source,
            source_version: (version + step).max(1),
            benefit: Some(benefit),
            period_start_time: period_start.map(stamp),
            expire_time: expire.map(stamp),
            ..v1::SetEntitlementRequest::default()
        }
        .into()
    }
}

fn reversible(kind: Type) -> bool {
    matches!(kind, Type::Debit | Type::Capture | Type::Withdrawal | Type::Credit | Type::Transfer)
}
