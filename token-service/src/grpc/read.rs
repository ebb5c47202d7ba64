//! Answers that are read from the store: balances, transactions, usage.

use super::{
    Api, Asked,
    convert::{account, query, wire},
    seen, status,
};
use ledger::{AccountId, Balance};
use proto::{reason::Error, v1};
use std::{collections::BTreeMap, time::Duration};

/// How often, and how long, a read waits for an entry that its caller has seen elsewhere.
const SEEN_ATTEMPTS_MAX: usize = 20;
const SEEN_INTERVAL: Duration = Duration::from_millis(25);

impl Api {
    pub(super) async fn get_balance(
        &self,
        (caller, request): Asked<v1::GetBalanceRequest>,
    ) -> Result<v1::GetBalanceResponse, Error> {
        let query = query::balance(&request, self.terms(&caller), self.clock.now())?;
        let mut attempts = 1;
        let found = loop {
            let found = self.existing(&query.account).await?;
            if found.row.sequence >= query.min_sequence {
                break found;
            }
            if attempts == SEEN_ATTEMPTS_MAX {
                return Err(status::behind(query.min_sequence));
            }
            attempts += 1;
            tokio::time::sleep(SEEN_INTERVAL).await;
        };
        let Some(as_of) = query.as_of else {
            return Ok(account::holdings(&found.now, found.at));
        };
        // Since its newest entry, time alone has changed it.
        let balance = if as_of >= found.row.updated {
            ledger::settled(&found.row, &self.policy, as_of).balance()
        } else {
            let then = self.store.balance_at(&query.account, as_of).await;
            let then = then.map_err(|error| status::unread(&error))?;
            then.unwrap_or(Balance { posted: 0, held: 0, sequence: 0 })
        };
        Ok(v1::GetBalanceResponse {
            balance: Some(wire::balance(query.account.as_str(), balance)),
            ..v1::GetBalanceResponse::default()
        })
    }

    pub(super) async fn batch_get_balances(
        &self,
        (caller, request): Asked<v1::BatchGetBalancesRequest>,
    ) -> Result<v1::BatchGetBalancesResponse, Error> {
        let ids = query::accounts(&request.account_ids, self.terms(&caller))?;
        let rows = self.store.accounts(&ids).await.map_err(|error| status::unread(&error))?;
        let now = self.clock.now();
        let mut found: BTreeMap<AccountId, Balance> = BTreeMap::new();
        for row in rows {
            let id = row.id.clone();
            let account = match row.lacks_due(now) {
                true => self.existing(&id).await?.now,
                false => ledger::settled(&row, &self.policy, now),
            };
            found.insert(id, account.balance());
        }
        let (known, missing): (Vec<_>, Vec<_>) =
            ids.into_iter().partition(|id| found.contains_key(id));
        let balances =
            known.iter().filter_map(|id| Some(wire::balance(id.as_str(), *found.get(id)?)));
        Ok(v1::BatchGetBalancesResponse {
            balances: balances.collect(),
            missing_account_ids: missing.iter().map(ToString::to_string).collect(),
        })
    }

    pub(super) async fn get_transaction(
        &self,
        (caller, request): Asked<v1::GetTransactionRequest>,
    ) -> Result<v1::GetTransactionResponse, Error> {
        let named = query::transaction(&request, self.terms(&caller))?;
        let found = self.store.transaction(&named.name).await;
        let mut found = found.map_err(|error| status::unread(&error))?.ok_or_else(|| {
            status::transaction_not_found(&named.name.0, named.named_by, &named.text)
        })?;
        seen(&caller, &mut found);
        Ok(v1::GetTransactionResponse { transaction: Some(wire::transaction(&found)) })
    }

    pub(super) async fn get_usage(
        &self,
        (caller, request): Asked<v1::GetUsageRequest>,
    ) -> Result<v1::GetUsageResponse, Error> {
        let (account, start, end) = query::usage(&request, self.terms(&caller))?;
        let usage = self.store.usage(&account, start, end).await;
        let usage = usage.map_err(|error| status::unread(&error))?;
        if usage.is_empty() {
            self.existing(&account).await?;
        }
        Ok(v1::GetUsageResponse {
            tokens: usage.iter().map(|it| it.tokens).sum(),
            count: usage.iter().map(|it| it.count).sum(),
            actions: usage
                .into_iter()
                .map(|it| v1::ActionUsage {
                    action: it.action.unwrap_or_default(),
                    tokens: it.tokens,
                    count: it.count,
                })
                .collect(),
        })
    }

    pub(super) async fn get_account(
        &self,
        (caller, request): Asked<v1::GetAccountRequest>,
    ) -> Result<v1::GetAccountResponse, Error> {
        let id = query::account(&request.account_id, self.terms(&caller))?;
        Ok(v1::GetAccountResponse { account: Some(self.account_now(&id).await?) })
    }

    /// An account with its settings, as it is now.
    pub(super) async fn account_now(&self, id: &AccountId) -> Result<v1::Account, Error> {
        let found = self.existing(id).await?;
        Ok(account::account(&found.now, found.at))
    }
}
