//! Reads of the core: what the service reads from its store, read from maps.

use super::Core;
use ledger::{
    Account, AccountId, Balance, Grant, Hold, HoldState, Rejection, System, Transaction,
    TransactionType,
};
use proto::{reason::Error, v1};
use std::collections::BTreeMap;
use token_service::{
    grpc::{
        convert::{account, query, wire},
        status,
    },
    store::TransactionQuery,
};

impl Core {
    pub(super) fn get_balance(
        &self,
        request: &v1::GetBalanceRequest,
    ) -> Result<v1::GetBalanceResponse, Error> {
        let query = query::balance(request, self.terms(), self.now)?;
        let row = self.existing(&query.account)?;
        if row.sequence < query.min_sequence {
            return Err(status::behind(query.min_sequence));
        }
        let Some(as_of) = query.as_of else {
            return Ok(account::holdings(&self.settled(&row), self.now));
        };
        let balance = if as_of >= row.updated {
            ledger::settled(&row, &self.policy, as_of).balance()
        } else {
            let mut entries = self.rows.entries_of(&row.id).filter(|it| it.created <= as_of);
            let entry = entries.find_map(|it| it.entries.iter().find(|it| it.account == row.id));
            entry.map_or(Balance { posted: 0, held: 0, sequence: 0 }, |entry| Balance {
                posted: entry.balance_after,
                held: entry.held_after,
                sequence: entry.sequence,
            })
        };
        let balance = Some(wire::balance(row.id.as_str(), balance));
        Ok(v1::GetBalanceResponse { balance, ..v1::GetBalanceResponse::default() })
    }

    pub(super) fn get_transaction(
        &self,
        request: &v1::GetTransactionRequest,
    ) -> Result<v1::GetTransactionResponse, Error> {
        let named = query::transaction(request, self.terms())?;
        let found = self.rows.transactions.get(&named.name).ok_or_else(|| {
            status::transaction_not_found(&named.name.0, named.named_by, &named.text)
        })?;
        Ok(v1::GetTransactionResponse { transaction: Some(wire::transaction(found)) })
    }

    pub(super) fn list_transactions(
        &self,
        request: v1::ListTransactionsRequest,
    ) -> Result<v1::ListTransactionsResponse, Error> {
        let (query, page) = query::transactions(request, self.terms())?;
        let id = query.account.as_ref().expect("scenarios list the transactions of one account");
        self.existing(id)?;
        let found = self.rows.entries_of(id).filter(|it| wanted(it, &query));
        let rows = found.map(|transaction| {
            let mut listed = Transaction::clone(transaction);
            listed.entries.retain(|entry| entry.account == *id);
            ((id.clone(), listed.own().sequence), wire::transaction(&listed))
        });
        let before = query.before.as_ref().map_or(i64::MAX, |(_, sequence)| *sequence);
        let rows = rows.filter(|((_, sequence), _)| *sequence < before).take(query.limit);
        let (transactions, next_page_token) = page.cut(rows.collect());
        Ok(v1::ListTransactionsResponse { transactions, next_page_token })
    }

    pub(super) fn list_grants(
        &self,
        request: v1::ListGrantsRequest,
    ) -> Result<v1::ListGrantsResponse, Error> {
        let query::GrantQuery { account: id, states, .. } = query::grants(request, self.terms())?;
        self.existing(&id)?;
        let row = self.rows.whole(&id).expect("it exists");
        let now = self.settled(&row);
        let lapsed = |grant: &Grant| Grant { remaining: 0, scheduled: None, ..grant.clone() };
        let as_now = |it: &Grant| now.grant(it.id).cloned().unwrap_or_else(|| lapsed(it));
        let mut grants: Vec<Grant> = row.body.grants.iter().map(as_now).collect();
        grants.sort_by(|a, b| self.policy.burn(a, b));
        grants.extend(of(&self.rows.grants, &id).into_iter().filter(Grant::is_closed));
        let grants = grants.iter().filter(|grant| states.contains(&wire::grant_state(grant)));
        let grants = grants.map(|grant| wire::grant(id.as_str(), grant)).collect();
        Ok(v1::ListGrantsResponse { grants, next_page_token: String::new() })
    }

    pub(super) fn list_holds(
        &self,
        request: v1::ListHoldsRequest,
    ) -> Result<v1::ListHoldsResponse, Error> {
        let query::HoldQuery { account: id, state, .. } = query::holds(request, self.terms())?;
        let row = self.existing(&id)?;
        let now = self.settled(&row);
        let lapsed = |hold: &Hold| Hold { state: HoldState::Expired, ..hold.clone() };
        let as_now = |it: &Hold| now.hold(it.id).cloned().unwrap_or_else(|| lapsed(it));
        let mut holds: Vec<Hold> = row.body.holds.iter().map(as_now).collect();
        holds.extend(of(&self.rows.holds, &id));
        let holds = holds.iter().filter(|hold| state.is_none_or(|state| state == hold.state));
        let holds = holds.map(|hold| wire::hold(id.as_str(), hold)).collect();
        Ok(v1::ListHoldsResponse { holds, next_page_token: String::new() })
    }

    pub(super) fn get_usage(
        &self,
        request: &v1::GetUsageRequest,
    ) -> Result<v1::GetUsageResponse, Error> {
        let (id, start, end) = query::usage(request, self.terms())?;
        self.existing(&id)?;
        let mut used: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for transaction in self.rows.entries_of(&id).filter(|it| it.account == id) {
            let in_period = start.is_none_or(|start| transaction.created >= start)
                && end.is_none_or(|end| transaction.created < end);
            let sign = match transaction.kind {
                TransactionType::Debit | TransactionType::Capture => 1,
                TransactionType::Reversal
                    if transaction.own().counter.as_str() == System::Usage.as_str() =>
                {
                    -1
                }
                _ => 0,
            };
            if !in_period || sign == 0 {
                continue;
            }
            let action = transaction.action.clone();
            let whole = self.rows.is_reversed(&transaction.name());
            let count = match action {
                Some(_) => transaction.quantity,
                None if whole => 0,
                None => sign.max(0),
            };
            let (tokens, counted) = used.entry(action.unwrap_or_default()).or_default();
            *tokens += sign * transaction.amount;
            *counted += count;
        }
        let mut actions: Vec<v1::ActionUsage> = used
            .into_iter()
            .map(|(action, (tokens, count))| v1::ActionUsage { action, tokens, count })
            .collect();
        actions.sort_by_key(|it| std::cmp::Reverse(it.tokens));
        Ok(v1::GetUsageResponse {
            tokens: actions.iter().map(|it| it.tokens).sum(),
            count: actions.iter().map(|it| it.count).sum(),
            actions,
        })
    }

    pub(super) fn get_account(
        &self,
        request: &v1::GetAccountRequest,
    ) -> Result<v1::GetAccountResponse, Error> {
        let id = query::account(&request.account_id, self.terms())?;
        Ok(v1::GetAccountResponse { account: Some(self.account_now(&id)?) })
    }

    pub(super) fn account_now(&self, id: &AccountId) -> Result<v1::Account, Error> {
        Ok(account::account(&self.settled(&self.existing(id)?), self.now))
    }

    /// The account's row; with the grants that it lacks, if any of them is due.
    fn existing(&self, id: &AccountId) -> Result<Account, Error> {
        let row = self.rows.accounts.get(id).ok_or_else(|| {
            self.refused(&Rejection::AccountNotFound { account: id.clone() }, "GetAccount")
        })?;
        let whole = || self.rows.whole(id).expect("it exists");
        Ok(if row.lacks_due(self.now) { whole() } else { row.clone() })
    }

    fn settled(&self, row: &Account) -> Account {
        ledger::settled(row, &self.policy, self.now)
    }
}

/// The rows of one account, by id.
fn of<T: Clone>(rows: &BTreeMap<ledger::Name, T>, id: &AccountId) -> Vec<T> {
    rows.iter().filter(|((owner, _), _)| owner == id).map(|(_, row)| row.clone()).collect()
}

fn wanted(transaction: &Transaction, query: &TransactionQuery) -> bool {
    let note = &transaction.note;
    let description = query.description.as_ref().map(|text| text.to_ascii_lowercase());
    (query.types.is_empty() || query.types.contains(&transaction.kind))
        && (query.action.is_none() || query.action == transaction.action)
        && query.start.is_none_or(|start| transaction.created >= start)
        && query.end.is_none_or(|end| transaction.created < end)
        && query.reference.as_ref().is_none_or(|reference| *reference == note.reference)
        && description.is_none_or(|text| note.description.to_ascii_lowercase().contains(&text))
        && query.metadata.iter().all(|(key, value)| note.metadata.get(key) == Some(value))
}
