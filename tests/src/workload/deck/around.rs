//! Calls around the commands: status, settings, and reads.

use super::{Deck, NOWHERE};
use crate::target::Call;
use proto::v1::get_transaction_request::Name;
use proto::v1::{self, CapPeriod};

impl Deck {
    pub(super) fn status(&mut self) -> Call {
        let account_id = self.anyone();
        let note = String::new();
        let empty = self.of(&account_id).is_some_and(|account| account.posted() == 0);
        match self.rng.u32(..if empty { 12 } else { 6 }) {
            0 => v1::FreezeAccountRequest { account_id, note }.into(),
            1..5 => v1::UnfreezeAccountRequest { account_id, note }.into(),
            _ => v1::CloseAccountRequest { account_id, note }.into(),
        }
    }

    pub(super) fn settings(&mut self) -> Call {
        let account_id = self.someone();
        let at = self.model.accounts().iter().position(|account| account.id == account_id);
        let mut cap = |period: CapPeriod| {
            let spent = at.map_or(0, |at| self.model.spent(at, period));
            let room = [0, 1, 5, 20][self.rng.usize(..4)];
            let limit = i64::try_from(spent + room).expect("figures are small").max(0);
            v1::SpendCap { period: period.into(), limit, spent: 0 }
        };
        let (day, month) = (cap(CapPeriod::Day), cap(CapPeriod::Month));
        let caps = match self.rng.u32(..6) {
            0 | 1 => Vec::new(),
            2 => vec![day],
            3 => vec![month],
            4 => vec![day, month],
            _ => vec![month, day],
        };
        let version = at.map_or(0, |at| self.model.accounts()[at].version);
        v1::UpdateAccountRequest {
            expected_version: self.pick(&[
                0,
                0,
                version,
                version,
                (version - 1).max(0),
                version + 1,
            ]),
            account_id,
            low_balance_threshold: self.pick(&[None, Some(3), Some(-1)]),
            spend_caps: self.chance(80).then_some(v1::SpendCaps { caps }),
            note: String::new(),
        }
        .into()
    }

    pub(super) fn transaction(&mut self) -> Call {
        let account_id = self.anyone();
        let past = self.past(&account_id, |_| true);
        let by_id = self.rng.bool();
        let name = match past {
            Some(past) if by_id => Name::TransactionId(past.label),
            Some(past) => Name::IdempotencyKey(past.key),
            None if by_id => Name::TransactionId(NOWHERE.to_owned()),
            None => Name::IdempotencyKey("nowhere".to_owned()),
        };
        v1::GetTransactionRequest { account_id, name: Some(name) }.into()
    }

    pub(super) fn quote(&mut self) -> Call {
        let account_id = self.someone();
        let trial_due = self.model.rules().trial.is_some();
        let known = self.of(&account_id).is_some_and(|a| !trial_due || a.had_trial);
        let many = self.rng.usize(1..4);
        let items: Vec<_> = (0..many)
            .filter_map(|_| {
                let quantity = self.rng.i64(0..4);
                Some(v1::QuoteItem { action: self.action()?, quantity })
            })
            .collect();
        if items.is_empty() {
            return v1::GetAccountRequest { account_id }.into();
        }
        let account_id = if known { account_id } else { String::new() };
        v1::QuoteRequest { account_id, items }.into()
    }
}
