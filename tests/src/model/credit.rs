//! Tokens in, and rights to use: README rules 17, 23 and the trial of 24.

use super::account::{Entitled, Lot, Taken};
use super::book::{Words, words};
use super::{Expected, Model, Refused, wire};
use crate::target::Reply;
use proto::v1::{self, AccountStatus, ErrorReason, GrantKind, TransactionType as Type};

impl Model {
    pub(crate) fn credit(&mut self, r: &v1::CreditRequest) -> Expected {
        let account_id = &r.account_id;
        let had_trial = self.find(account_id).is_some_and(|at| self.accounts[at].had_trial);
        if r.kind() == GrantKind::Trial && had_trial {
            return Err(Refused::new(ErrorReason::TrialAlreadyGranted));
        }
        if let Some(supersede) = &r.supersede {
            let account = self.find(account_id).map(|at| &self.accounts[at]);
            if account.and_then(|account| account.lot(&supersede.grant_id)).is_none() {
                return Err(Refused::new(ErrorReason::GrantNotFound)
                    .with("account_id", account_id)
                    .with("grant_id", &supersede.grant_id));
            }
        }

        let at = self.open(account_id);
        let mut draft = self.begin(Type::Credit, at, &r.idempotency_key, words!(r));
        let mut amount = i128::from(r.amount);
        let mut dropped = 0;
        "sys/issuance".clone_into(&mut draft.counter);
        if let Some(supersede) = &r.supersede {
            let account = &mut self.accounts[at];
            let old = account.lot(&supersede.grant_id).expect("it was there a moment ago");
            let rest = account.free_of(old);
            let (lot, kind, waiting) = (old.label.clone(), old.kind, old.waiting);
            let now = self.now;
            let ended = account.lot_mut(&lot);
            ended.remaining -= rest;
            ended.expire = Some(ended.expire.map_or(now, |time| time.min(now)));
            let carried = rest.min(i128::from(supersede.carry_over_max));
            amount += carried;
            dropped = rest - carried;
            // Tokens that were never posted don't lapse.
            draft.split = ("sys/expiry", if waiting { 0 } else { -dropped });
            draft.related.clone_from(&lot);
            draft.draws.push((at, Taken { lot, kind, tokens: rest }));
        }
        let label = format!("{account_id}/{}", r.idempotency_key);
        let effective = r.effective_time.as_ref().map(wire::micros);
        self.push_lot(
            at,
            Lot {
                label: label.clone(),
                kind: r.kind(),
                priority: r.priority,
                amount,
                remaining: amount,
                waiting: effective.is_some_and(|time| time > self.now),
                effective,
                expire: r.expire_time.as_ref().map(wire::micros),
                actions: r.actions.clone(),
                cost: r.cost.clone(),
                reference: r.reference.clone(),
                created: self.now,
                nth: 0,
            },
        );
        draft.amount = i128::from(r.amount);
        draft.grant_in = Some(at);
        let transaction = self.commit(draft);
        let past = self.newest();
        (past.grant_kind, past.dropped) = (Some(r.kind()), dropped);
        Ok(Reply::Credit(v1::CreditResponse {
            transaction: Some(transaction),
            balance: Some(wire::balance(&self.accounts[at])),
            replayed: false,
            grant_id: label,
        }))
    }

    /// A lot comes into an account: it reopens, and remembers what it ever got.
    pub(crate) fn push_lot(&mut self, at: usize, mut lot: Lot) {
        let account = &mut self.accounts[at];
        lot.nth = account.lots.len();
        if account.status == AccountStatus::Closed {
            account.status = AccountStatus::Active;
            account.version += 1;
        }
        let paid = lot.cost.as_ref().is_some_and(|cost| cost.amount_minor > 0);
        let bought = matches!(lot.kind, GrantKind::Purchased | GrantKind::Allowance);
        account.ever_bought |= paid || bought;
        account.had_trial |= lot.kind == GrantKind::Trial;
        account.lots.push(lot);
    }

    /// The catalog's trial, if the account never had one.
    pub(crate) fn grant_trial(&mut self, account_id: &str) {
        let Some((amount, lapses_after)) = self.rules.trial else { return };
        if self.find(account_id).is_some_and(|at| self.accounts[at].had_trial) {
            return;
        }
        let at = self.open(account_id);
        let mut draft = self.begin(Type::Credit, at, "sys/trial", Words::default());
        self.push_lot(
            at,
            Lot {
                label: format!("{account_id}/sys/trial"),
                kind: GrantKind::Trial,
                priority: 0,
                amount,
                remaining: amount,
                waiting: false,
                effective: None,
                expire: lapses_after.map(|after| self.now + after),
                actions: Vec::new(),
                cost: None,
                reference: String::new(),
                created: self.now,
                nth: 0,
            },
        );
        draft.amount = amount;
        draft.grant_in = Some(at);
        "sys/issuance".clone_into(&mut draft.counter);
        self.commit(draft);
        self.newest().grant_kind = Some(GrantKind::Trial);
    }

    pub(crate) fn set_entitlement(&mut self, r: &v1::SetEntitlementRequest) -> Expected {
        let new = Entitled {
            source: r.source.clone(),
            version: r.source_version,
            benefit: r.benefit.clone(),
            period_start: r.period_start_time.as_ref().map(wire::micros),
            expire: r.expire_time.as_ref().map(wire::micros),
            used: Default::default(),
        };
        let known = self.find(&r.account_id).map(|at| (at, &self.accounts[at]));
        let known = known.and_then(|(at, account)| {
            Some((at, account.entitlements.iter().find(|old| old.source == r.source)?))
        });
        if let Some((at, old)) = known.filter(|(_, old)| r.source_version <= old.version) {
            let same = old.benefit == new.benefit
                && old.period_start == new.period_start
                && old.expire == new.expire;
            if r.source_version == old.version && !same {
                return Err(
                    Refused::new(ErrorReason::RevisionReused).with("revision", r.source_version)
                );
            }
            return Ok(Reply::SetEntitlement(v1::SetEntitlementResponse {
                transaction: None,
                balance: Some(wire::balance(&self.accounts[at])),
                replayed: false,
                stale: true,
            }));
        }

        let at = self.open(&r.account_id);
        let draft = self.begin(Type::Entitlement, at, &r.idempotency_key, words!(r));
        let account = &mut self.accounts[at];
        account.ever_bought = true;
        match account.entitlements.iter_mut().find(|old| old.source == new.source) {
            Some(old) if old.period_start == new.period_start => {
                *old = Entitled { used: old.used.clone(), ..new };
            }
            Some(old) => *old = new,
            None => account.entitlements.push(new),
        }
        let transaction = self.commit(draft);
        Ok(Reply::SetEntitlement(v1::SetEntitlementResponse {
            transaction: Some(transaction),
            balance: Some(wire::balance(&self.accounts[at])),
            replayed: false,
            stale: false,
        }))
    }
}
