//! Reads: every figure is added up from the lots, the holds and the past.

use super::account::Lot;
use super::book::Past;
use super::{Expected, Model, Refused, wire};
use crate::target::Reply;
use proto::v1::get_transaction_request::Name;
use proto::v1::set_entitlement_request::Benefit;
use proto::v1::{self, ErrorReason, GrantKind, TransactionType as Type};
use std::collections::BTreeMap;

/// The last second of the year 9999.
const NEVER: i64 = 253_402_300_799_000_000;

const KINDS: [GrantKind; 6] = [
    GrantKind::Purchased,
    GrantKind::Promotional,
    GrantKind::Trial,
    GrantKind::Allowance,
    GrantKind::Earned,
    GrantKind::Adjustment,
];

impl Model {
    pub(crate) fn get_balance(&self, r: &v1::GetBalanceRequest) -> Expected {
        let at = self.need(&r.account_id)?;
        let account = &self.accounts[at];
        if let Some(as_of) = &r.as_of_time {
            return Ok(Reply::GetBalance(self.balance_at(&account.id, wire::micros(as_of))));
        }
        let effective = || account.lots.iter().filter(|lot| !lot.waiting);
        let kinds = KINDS.iter().map(|kind| {
            let lots: Vec<&Lot> = effective().filter(|lot| lot.kind == *kind).collect();
            let held: i128 = lots.iter().map(|lot| account.held_of(&lot.label)).sum();
            v1::KindBalance {
                kind: (*kind).into(),
                posted: wire::tokens(lots.iter().map(|lot| lot.remaining).sum()),
                held: wire::tokens(held),
            }
        });
        let lapsing = || effective().filter(|lot| account.free_of(lot) > 0);
        let next = lapsing().filter_map(|lot| lot.expire).min();
        let then = lapsing().filter(|lot| next.is_some() && lot.expire == next);
        let unlimited = account.entitlements.iter().filter(|entitlement| {
            let all =
                matches!(&entitlement.benefit, Some(Benefit::Unlimited(u)) if u.actions.is_empty());
            all && entitlement.active(self.now)
        });
        let spent = [Type::Debit, Type::Capture];
        let bought = |past: &Past| past.grant_kind == Some(GrantKind::Purchased);
        Ok(Reply::GetBalance(v1::GetBalanceResponse {
            balance: Some(wire::balance(account)),
            status: account.status.into(),
            kinds: kinds.filter(|kind| kind.posted != 0).collect(),
            lifetime_purchased: self.sum(|past| match past.account_id == account.id {
                true if bought(past) => past.amount - past.reversed,
                _ => 0,
            }),
            lifetime_spent: self.sum(|past| match past.account_id == account.id {
                true if spent.contains(&past.kind) => past.amount - past.reversed,
                _ => 0,
            }),
            lifetime_earned: self.sum(|past| match past.to.as_ref() == Some(&account.id) {
                true => past.amount - past.fee - (past.reversed - past.fee_returned),
                false => 0,
            }),
            debt: wire::tokens(account.debt),
            next_expire_time: next.map(wire::stamp),
            next_expire_amount: wire::tokens(then.map(|lot| account.free_of(lot)).sum()),
            unlimited_until_time: unlimited
                .map(|e| e.expire.unwrap_or(NEVER))
                .max()
                .map(wire::stamp),
            scheduled: wire::tokens(account.scheduled()),
        }))
    }

    /// The figures after the newest entry that isn't younger.
    fn balance_at(&self, account_id: &str, time: i64) -> v1::GetBalanceResponse {
        let pasts = self.pasts.iter().filter(|past| past.time <= time);
        let entries = pasts.flat_map(|past| &past.transaction.entries);
        let newest = entries.rev().find(|entry| entry.account_id == account_id);
        let (posted, held) = newest.map_or((0, 0), |it| (it.balance_after, it.held_after));
        let balance = v1::Balance {
            account_id: account_id.to_owned(),
            posted,
            held,
            available: posted - held,
            sequence: 0,
        };
        v1::GetBalanceResponse { balance: Some(balance), ..Default::default() }
    }

    /// All of an account's transactions, newest first, each with the account's own entry.
    pub(crate) fn list_transactions(&self, r: &v1::ListTransactionsRequest) -> Expected {
        let account = &self.accounts[self.need(&r.account_id)?];
        let mut transactions: Vec<v1::Transaction> =
            self.pasts.iter().map(|past| past.transaction.clone()).collect();
        for transaction in &mut transactions {
            transaction.entries.retain(|entry| entry.account_id == account.id);
        }
        transactions.retain(|transaction| !transaction.entries.is_empty());
        transactions.sort_by_key(|transaction| std::cmp::Reverse(transaction.entries[0].sequence));
        let next_page_token = String::new();
        let response = v1::ListTransactionsResponse { transactions, next_page_token };
        Ok(Reply::ListTransactions(response))
    }

    /// What was used since the beginning. A debit by amount counts as one, unless all of it
    /// was reversed.
    pub(crate) fn get_usage(&self, r: &v1::GetUsageRequest) -> Expected {
        self.need(&r.account_id)?;
        let mut used: BTreeMap<&str, v1::ActionUsage> = BTreeMap::new();
        let spent = [Type::Debit, Type::Capture];
        let mine = |past: &&Past| past.account_id == r.account_id && spent.contains(&past.kind);
        for past in self.pasts.iter().filter(mine) {
            let usage = used.entry(&past.action).or_default();
            usage.action.clone_from(&past.action);
            usage.tokens += wire::tokens(past.amount - past.reversed);
            usage.count += match past.action.as_str() {
                _ if past.reversed_whole => 0,
                "" => 1,
                _ => wire::tokens(past.quantity),
            };
        }
        let mut actions: Vec<v1::ActionUsage> = used.into_values().collect();
        actions.sort_by_key(|usage| std::cmp::Reverse(usage.tokens));
        Ok(Reply::GetUsage(v1::GetUsageResponse {
            tokens: actions.iter().map(|usage| usage.tokens).sum(),
            count: actions.iter().map(|usage| usage.count).sum(),
            actions,
        }))
    }

    fn sum(&self, figure: impl Fn(&Past) -> i128) -> i64 {
        wire::tokens(self.pasts.iter().map(figure).sum())
    }

    pub(crate) fn get_account(&self, r: &v1::GetAccountRequest) -> Expected {
        let account = Some(self.account(self.need(&r.account_id)?));
        Ok(Reply::GetAccount(v1::GetAccountResponse { account }))
    }

    pub(crate) fn get_transaction(&self, r: &v1::GetTransactionRequest) -> Expected {
        let mine = |past: &&Past| past.account_id == r.account_id;
        let (name, wanted) = match &r.name {
            Some(Name::TransactionId(label)) => ("transaction_id", label),
            Some(Name::IdempotencyKey(key)) => ("idempotency_key", key),
            None => panic!("a transaction needs a name"),
        };
        let named = |past: &&Past| match name {
            "transaction_id" => past.label == *wanted,
            _ => past.key == *wanted,
        };
        let past = self.pasts.iter().filter(mine).find(named).ok_or_else(|| {
            Refused::new(ErrorReason::TransactionNotFound)
                .with("account_id", &r.account_id)
                .with(name, wanted)
        })?;
        let transaction = Some(past.transaction.clone());
        Ok(Reply::GetTransaction(v1::GetTransactionResponse { transaction }))
    }

    /// Scheduled and open grants; the open ones in burn-down order, after them the scheduled ones.
    pub(crate) fn list_grants(&self, r: &v1::ListGrantsRequest) -> Expected {
        let account = &self.accounts[self.need(&r.account_id)?];
        let mut everything_free = account.clone();
        everything_free.holds.clear();
        let mut lots = everything_free.burn_down(&self.rules);
        lots.extend(account.lots.iter().filter(|lot| lot.waiting && lot.remaining > 0));
        let grants = lots.into_iter().map(|lot| wire::grant(account, lot)).collect();
        let next_page_token = String::new();
        Ok(Reply::ListGrants(v1::ListGrantsResponse { grants, next_page_token }))
    }

    /// Open holds, oldest first.
    pub(crate) fn list_holds(&self, r: &v1::ListHoldsRequest) -> Expected {
        let account = &self.accounts[self.need(&r.account_id)?];
        let holds = account.open_holds().map(|held| wire::hold(account, held)).collect();
        let next_page_token = String::new();
        Ok(Reply::ListHolds(v1::ListHoldsResponse { holds, next_page_token }))
    }

    pub(crate) fn by_label(&self, label: &str) -> &Past {
        let past = self.pasts.iter().find(|past| past.label == label);
        past.unwrap_or_else(|| panic!("no transaction {label}"))
    }
}
