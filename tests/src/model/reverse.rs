//! The mirror image: README rule 19.

use super::account::Taken;
use super::book::{Past, words};
use super::charge::short;
use super::{Expected, Model, Refused, wire};
use crate::target::Reply;
use proto::v1::{self, ErrorReason, TransactionType as Type};

impl Model {
    pub(crate) fn reverse(&mut self, r: &v1::ReverseRequest) -> Expected {
        let at = self.need(&r.account_id)?;
        let nth = self
            .pasts
            .iter()
            .position(|past| past.label == r.transaction_id && past.account_id == r.account_id);
        let nth = nth.ok_or_else(|| {
            Refused::new(ErrorReason::TransactionNotFound)
                .with("account_id", &r.account_id)
                .with("transaction_id", &r.transaction_id)
        })?;
        let original = self.pasts[nth].clone();
        let back = match original.kind {
            Type::Debit | Type::Capture | Type::Withdrawal | Type::Transfer => false,
            Type::Credit => true,
            other => {
                let name = other.as_str_name().trim_start_matches("TRANSACTION_TYPE_");
                return Err(Refused::new(ErrorReason::NotReversible).with("type", name));
            }
        };
        let left = original.amount - original.reversed - original.clawed_back();
        if left == 0 && (original.amount > 0 || original.reversed_whole) {
            return Err(Refused::new(ErrorReason::AlreadyReversed)
                .with("transaction_id", &r.transaction_id));
        }
        let amount = r.amount.map_or(left, i128::from);
        if amount > left {
            return Err(Refused::new(ErrorReason::ReversalExceedsOriginal)
                .with("required", amount)
                .with("reversible", left));
        }
        // From whom tokens come back: the credited account's grant, or the receiver's.
        let whole = original.reversed + amount == original.amount;
        let fee = match original.amount {
            0 => 0,
            all => original.fee * (original.reversed + amount) / all - original.fee_returned,
        };
        let mut giver = None;
        if back || original.to.is_some() {
            let giver_id = original.to.as_deref().unwrap_or(&r.account_id);
            let giver_at = self.need(giver_id)?;
            let account = &self.accounts[giver_at];
            let lot = account.lot(&original.label).expect("its grant is there for ever");
            let (given, free) = (amount - fee, account.free_of(lot));
            if free < given {
                return Err(short(ErrorReason::InsufficientBalance, given, free));
            }
            giver =
                Some((giver_at, Taken { lot: lot.label.clone(), kind: lot.kind, tokens: given }));
        }

        let mut draft = self.begin(Type::Reversal, at, &r.idempotency_key, words!(r));
        if let Some((giver_at, given)) = giver {
            self.accounts[giver_at].lot_mut(&given.lot).remaining -= given.tokens;
            draft.draws.push((giver_at, given));
        }
        if !back {
            for restored in first(&original.draws_left_last_first(), amount) {
                self.accounts[at].lot_mut(&restored.lot).remaining += restored.tokens;
                draft.restored.push((at, restored));
            }
            if let Some(spent_at) = original.spent_at {
                self.accounts[at].spends.push((spent_at, -amount));
            }
        }
        if whole {
            self.accounts[at].uncount(original.counted.as_ref());
            draft.quantity = -original.quantity;
        }
        draft.amount = amount;
        draft.action = original.action;
        match (original.kind, &original.to) {
            (Type::Credit, _) => "sys/issuance".clone_into(&mut draft.counter),
            (Type::Withdrawal, _) => "sys/payouts".clone_into(&mut draft.counter),
            (_, Some(to)) => {
                draft.counter.clone_from(to);
                draft.other_counter.clone_from(&r.account_id);
                draft.split = ("sys/fees", fee);
            }
            _ => "sys/usage".clone_into(&mut draft.counter),
        }
        draft.related = original.label;
        let transaction = self.commit(draft);
        self.newest().back = match original.kind {
            Type::Credit => -amount,
            Type::Transfer => fee,
            _ => amount,
        };
        let past: &mut Past = &mut self.pasts[nth];
        past.reversed += amount;
        past.reversed_whole |= whole;
        past.fee_returned += fee;
        Ok(Reply::Reverse(v1::ReverseResponse {
            transaction: Some(transaction),
            balance: Some(wire::balance(&self.accounts[at])),
            replayed: false,
        }))
    }
}

/// So many tokens from the front of a list.
fn first(list: &[Taken], mut tokens: i128) -> Vec<Taken> {
    let mut taken = Vec::new();
    for item in list {
        let part = tokens.min(item.tokens);
        tokens -= part;
        if part > 0 {
            taken.push(Taken { tokens: part, ..item.clone() });
        }
    }
    assert_eq!(tokens, 0, "more is reversed than was drawn");
    taken
}
