//! Figures about the whole ledger: the trial balance, and what happened in a period.
//!
//! Both are sums over our own accounts: every token that a customer gets or loses stands on one of them
//! with the opposite sign. So the figures of a period are what two trial balances differ by.

use super::{Api, Asked, convert::query, status};
use ledger::{AccountId, System};
use proto::{reason::Error, v1};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// How many may read the whole ledger at a time; others wait for their turn.
pub(super) const SCANS_MAX: usize = 2;

impl Api {
    pub(super) async fn trial_balance(&self) -> Result<v1::TrialBalanceResponse, Error> {
        let _turn = self.turn().await;
        let totals = self.store.totals().await.map_err(|error| status::unread(&error))?;
        let ours: i128 = totals.system.iter().map(|(_, amount)| amount).sum();
        let system_totals = totals.system.iter().map(|(id, amount)| {
            Ok(v1::SystemTotal { account_id: id.to_string(), amount: figure(*amount)? })
        });
        Ok(v1::TrialBalanceResponse {
            posted: figure(totals.posted)?,
            held: figure(totals.held)?,
            system_totals: system_totals.collect::<Result<_, _>>()?,
            sum: figure(totals.posted + ours)?,
            accounts: totals.accounts,
        })
    }

    pub(super) async fn get_stats(
        &self,
        (caller, request): Asked<v1::GetStatsRequest>,
    ) -> Result<v1::GetStatsResponse, Error> {
        let (start, end) = query::stats(&request, self.terms(&caller))?;
        let _turn = self.turn().await;
        let activity = self.store.activity(start, end).await;
        let activity = activity.map_err(|error| status::unread(&error))?;
        let ours = |system| change(&activity.system, system);
        Ok(v1::GetStatsResponse {
            accounts: activity.accounts,
            transactions: activity.transactions,
            credited: figure(-ours(System::Issuance))?,
            spent: figure(ours(System::Usage))?,
            expired: figure(ours(System::Expiry))?,
            clawed_back: figure(ours(System::Clawback))?,
        })
    }

    /// Waits for it.
    pub(super) async fn turn(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.scans).acquire_owned().await.expect("nobody closes it")
    }
}

fn change(of: &[(AccountId, i128)], system: System) -> i128 {
    let found = of.iter().find(|(id, _)| id.as_str() == system.as_str());
    found.map_or(0, |(_, amount)| *amount)
}

/// A sum as the contract tells it.
fn figure(sum: i128) -> Result<i64, Error> {
    i64::try_from(sum).map_err(|_| status::sum_too_large(sum))
}
