//! WatchBalance: what an account holds, now and after every change. A reader who is slow misses
//! states in between, never the newest one.

use super::{
    Api, Asked,
    convert::{account, query, wire},
    expiry::while_it_holds,
    status,
};
use crate::committer::{Failure, Watch};
use futures::{Stream, stream};
use ledger::{AccountId, Balance, Time};
use proto::{reason::Error, v1};
use std::{pin::Pin, time::Duration};
use tonic::Status;

/// How long to sleep at most before something is due: the clock may be set in between.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// What the method streams.
pub(super) type Balances =
    Pin<Box<dyn Stream<Item = Result<v1::WatchBalanceResponse, Status>> + Send>>;

/// Somebody who follows an account.
struct Follower {
    api: Api,
    account: AccountId,
    changes: Watch,
    last: Option<v1::WatchBalanceResponse>,
    due: Option<Time>,
}

impl Api {
    pub(super) fn watch_balance(
        &self,
        (caller, request): Asked<v1::WatchBalanceRequest>,
    ) -> Result<Balances, Error> {
        let account = query::account(&request.account_id, self.terms(&caller))?;
        // Following begins before the first read: what changes in between is not lost.
        let changes = self.committer.watch(&account);
        let follower = Follower { api: self.clone(), account, changes, last: None, due: None };
        let states = stream::try_unfold(follower, |mut follower| async {
            let state = follower.next().await.map_err(Status::from)?;
            Ok(Some((state, follower)))
        });
        Ok(while_it_holds(states, &caller, self.clock.now()))
    }
}

impl Follower {
    /// The state now if it is the first, else the next one that differs from the last.
    async fn next(&mut self) -> Result<v1::WatchBalanceResponse, Error> {
        loop {
            if self.last.is_some() {
                self.wait().await?;
            }
            let state = self.read().await?;
            if self.last.as_ref() != Some(&state) {
                self.last = Some(state.clone());
                return Ok(state);
            }
        }
    }

    /// Waits until the account may have changed.
    async fn wait(&mut self) -> Result<(), Error> {
        let until_due = self.due.map(|due| due.0.saturating_sub(self.api.clock.now().0));
        let until_due = until_due
            .map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)).min(SLEEP_MAX));
        tokio::select! {
            goes_on = self.changes.changed() => {
                if !goes_on {
                    return Err(status::failed(&Failure::Draining));
                }
            }
            () = tokio::time::sleep(until_due.unwrap_or(SLEEP_MAX)) => {}
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<v1::WatchBalanceResponse, Error> {
        let Some(found) = self.api.find(&self.account).await? else {
            let nothing = Balance { posted: 0, held: 0, sequence: 0 };
            return Ok(v1::WatchBalanceResponse {
                balance: Some(wire::balance(self.account.as_str(), nothing)),
                status: v1::AccountStatus::Active.into(),
                ..v1::WatchBalanceResponse::default()
            });
        };
        self.due = found.now.due();
        Ok(account::watched(account::holdings(&found.now, found.at)))
    }
}
