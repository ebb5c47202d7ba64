//! Answers that come page by page: accounts, transactions, grants, holds.

use super::{
    Api, Asked,
    convert::{
        account,
        query::{self, GrantQuery, HoldQuery, Place},
        wire,
    },
    status,
};
use ledger::{Grant, Hold, HoldState};
use proto::{reason::Error, v1};
use std::sync::Arc;

impl Api {
    /// By id, each as it is now.
    pub(super) async fn list_accounts(
        &self,
        (caller, request): Asked<v1::ListAccountsRequest>,
    ) -> Result<v1::ListAccountsResponse, Error> {
        let (query, page) = query::account_list(request, self.terms(&caller))?;
        let rows = self.store.list_accounts(&query).await;
        let mut listed = Vec::new();
        for row in rows.map_err(|error| status::unread(&error))? {
            let (id, now) = (row.id.clone(), self.clock.now());
            let whole = if row.lacks_due(now) { self.find_whole(&id).await? } else { None };
            let found = whole.unwrap_or_else(|| self.found(Arc::new(row), now));
            listed.push((id, account::account(&found.now, found.at)));
        }
        let (accounts, next_page_token) = page.cut(listed);
        Ok(v1::ListAccountsResponse { accounts, next_page_token })
    }

    pub(super) async fn list_transactions(
        &self,
        (caller, request): Asked<v1::ListTransactionsRequest>,
    ) -> Result<v1::ListTransactionsResponse, Error> {
        let (query, page) = query::transactions(request, self.terms(&caller))?;
        let found = self.store.transactions(&query).await;
        let found = found.map_err(|error| status::unread(&error))?;
        if let Some(account) = query.account.as_ref().filter(|_| found.is_empty()) {
            self.existing(account).await?;
        }
        let rows = found.iter().map(|transaction| {
            let listed = transaction.own();
            ((listed.account.clone(), listed.sequence), wire::transaction(transaction))
        });
        let (transactions, next_page_token) = page.cut(rows.collect());
        Ok(v1::ListTransactionsResponse { transactions, next_page_token })
    }

    /// The open and scheduled ones in burn-down order, then the closed ones by id.
    pub(super) async fn list_grants(
        &self,
        (caller, request): Asked<v1::ListGrantsRequest>,
    ) -> Result<v1::ListGrantsResponse, Error> {
        let GrantQuery { account: id, states, page } = query::grants(request, self.terms(&caller))?;
        let account = id.as_str();
        let mut found = self.existing(&id).await?;
        if found.row.body.spilled.count() > 0 {
            found = self.find_whole(&id).await?.unwrap_or(found);
        }
        let most = page.rows_max + 1;

        // A grant that has lapsed is closed, even if nobody has posted that yet.
        let lapsed = |grant: &Grant| Grant { remaining: 0, scheduled: None, ..grant.clone() };
        let in_row = found.row.body.grants.iter();
        let as_now = in_row.map(|it| found.now.grant(it.id).cloned().unwrap_or_else(|| lapsed(it)));
        let mut open: Vec<Grant> = as_now
            .filter(|grant| states.contains(&wire::grant_state(grant)))
            .filter(|grant| match &page.after {
                None => true,
                Some(Place::Row(last)) => self.policy.burn(grant, last).is_gt(),
                Some(Place::Ended(_)) => false,
            })
            .collect();
        open.sort_by(|a, b| self.policy.burn(a, b));
        open.truncate(most);
        let mut rows: Vec<_> = open
            .iter()
            .map(|grant| (Place::Row(grant.ordering_part()), wire::grant(account, grant)))
            .collect();

        if states.contains(&v1::GrantState::Closed) && rows.len() < most {
            let closed = self.store.closed_grants(&id, ended(&page.after), most - rows.len()).await;
            let closed = closed.map_err(|error| status::unread(&error))?;
            rows.extend(closed.iter().map(|it| (Place::Ended(it.id), wire::grant(account, it))));
        }
        let (grants, next_page_token) = page.cut(rows);
        Ok(v1::ListGrantsResponse { grants, next_page_token })
    }

    /// Those in the account's row, the oldest first, then those that ended by id.
    pub(super) async fn list_holds(
        &self,
        (caller, request): Asked<v1::ListHoldsRequest>,
    ) -> Result<v1::ListHoldsResponse, Error> {
        let HoldQuery { account: id, state, page } = query::holds(request, self.terms(&caller))?;
        let account = id.as_str();
        let found = self.existing(&id).await?;
        let most = page.rows_max + 1;

        // A hold that has lapsed is expired, even if nobody has posted that yet.
        let lapsed = |hold: &Hold| Hold { state: HoldState::Expired, ..hold.clone() };
        let in_row = found.row.body.holds.iter();
        let as_now = in_row.map(|it| found.now.hold(it.id).cloned().unwrap_or_else(|| lapsed(it)));
        let mut rows: Vec<_> = as_now
            .filter(|hold| state.is_none_or(|state| state == hold.state))
            .filter(|hold| match &page.after {
                None => true,
                Some(Place::Row(last)) => hold.sequence > *last,
                Some(Place::Ended(_)) => false,
            })
            .map(|hold| (Place::Row(hold.sequence), wire::hold(account, &hold)))
            .take(most)
            .collect();

        if state != Some(HoldState::Open) && rows.len() < most {
            let (after, limit) = (ended(&page.after), most - rows.len());
            let ended = self.store.ended_holds(&id, state, after, limit).await;
            let ended = ended.map_err(|error| status::unread(&error))?;
            rows.extend(ended.iter().map(|it| (Place::Ended(it.id), wire::hold(account, it))));
        }
        let (holds, next_page_token) = page.cut(rows);
        Ok(v1::ListHoldsResponse { holds, next_page_token })
    }
}

/// Where to go on among those that ended.
fn ended<R>(after: &Option<Place<R>>) -> Option<ledger::TransactionId> {
    match after {
        Some(Place::Ended(id)) => Some(*id),
        Some(Place::Row(_)) | None => None,
    }
}
