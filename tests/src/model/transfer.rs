//! Tokens from one account to another: README rule 20.

use super::account::Lot;
use super::book::words;
use super::{Expected, Model, Refused, wire};
use crate::target::Reply;
use proto::v1::{self, ErrorReason, GrantKind, TransactionType as Type};

impl Model {
    pub(crate) fn transfer(&mut self, r: &v1::TransferRequest) -> Expected {
        let from = self.need(&r.account_id)?;
        if self.rules.transferable.is_empty() {
            return Err(Refused::new(ErrorReason::NotEnabled));
        }
        self.may_spend(from)?;
        let amount = i128::from(r.amount);
        let account = &self.accounts[from];
        let mut usable = account.burn_down(&self.rules);
        usable.retain(|lot| lot.pays_for(None) && self.rules.transferable.contains(&lot.kind));
        let all: i128 = usable.iter().map(|lot| account.free_of(lot)).sum();
        if all < amount {
            return Err(self.not_enough(account, amount, all));
        }
        self.within_caps(from, amount)?;

        let draws = account.plan_draws(&usable, amount);
        let to = self.open(&r.to_account_id);
        let mut draft = self.begin(Type::Transfer, from, &r.idempotency_key, words!(r));
        for draw in draws {
            self.accounts[from].lot_mut(&draw.lot).remaining -= draw.tokens;
            draft.draws.push((from, draw));
        }
        self.accounts[from].spends.push((self.now, amount));
        let fee = amount * self.rules.fee_basis_points / 10_000;
        self.push_lot(
            to,
            Lot {
                label: format!("{}/{}", r.account_id, r.idempotency_key),
                kind: GrantKind::Earned,
                priority: 0,
                amount: amount - fee,
                remaining: amount - fee,
                waiting: false,
                effective: None,
                expire: None,
                actions: Vec::new(),
                cost: None,
                reference: r.reference.clone(),
                created: self.now,
                nth: 0,
            },
        );
        draft.amount = amount;
        draft.grant_in = Some(to);
        draft.counter.clone_from(&r.to_account_id);
        draft.other_counter.clone_from(&r.account_id);
        draft.split = ("sys/fees", -fee);
        let transaction = self.commit(draft);
        let spent_at = Some(self.now);
        let past = self.newest();
        past.to = Some(r.to_account_id.clone());
        (past.fee, past.spent_at) = (fee, spent_at);
        Ok(Reply::Transfer(v1::TransferResponse {
            transaction: Some(transaction),
            balance: Some(wire::balance(&self.accounts[from])),
            replayed: false,
            to_balance: Some(wire::balance(&self.accounts[to])),
        }))
    }
}
