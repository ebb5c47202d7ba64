//! Somebody who follows WatchEvents and notices what is missed.

use crate::promises::Client;
use proto::v1::{WatchEventsRequest, WatchEventsResponse, watch_events_response::Event};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::timeout;
use tonic::{Status, Streaming};

/// How long the next event may take that is sure to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What somebody who follows the ledger knows.
#[derive(Debug)]
pub struct Follower {
    request: WatchEventsRequest,
    /// Of each account: number and balance of the newest entry.
    newest: BTreeMap<String, (i64, i64)>,
}

impl Follower {
    /// From the first event on, of this account or of all (`""`).
    #[must_use]
    pub fn new(account: &str) -> Self {
        let request =
            WatchEventsRequest { cursor: "start".to_owned(), account_id: account.to_owned() };
        Self { request, newest: BTreeMap::new() }
    }

    /// Goes on where it was, for so many events at most or until it has seen so many entries in all.
    ///
    /// # Panics
    /// If one was missed or came out of order, or none comes any more.
    pub async fn follow(&mut self, client: &Client, events_max: usize, entries: i64) {
        let mut stream = watch(client, &self.request).await.expect("the cursor is known");
        for _ in 0..events_max {
            if self.entries() >= entries {
                return;
            }
            let event = timeout(PATIENCE, stream.message()).await.expect("there is more to come");
            self.see(event.expect("an event").expect("it goes on"));
        }
    }

    /// Entries that it has seen, each counted once.
    #[must_use]
    pub fn entries(&self) -> i64 {
        self.newest.values().map(|(sequence, _)| sequence).sum()
    }

    /// The number of the newest entry of each account.
    pub fn newest(&self) -> impl Iterator<Item = (&str, i64)> {
        self.newest.iter().map(|(account, (sequence, _))| (account.as_str(), *sequence))
    }

    fn see(&mut self, answer: WatchEventsResponse) {
        self.request.cursor = answer.cursor;
        let Some(Event::BalanceChanged(changed)) = answer.event else { return };
        let balance = changed.balance.expect("it has changed");
        let (newest, posted) = self.newest.entry(balance.account_id.clone()).or_default();
        if balance.sequence <= *newest {
            return;
        }
        let expected = (*newest + 1, *posted + changed.amount);
        assert_eq!((balance.sequence, balance.posted), expected, "{}", balance.account_id);
        (*newest, *posted) = expected;
    }
}

/// A stream of events.
///
/// # Errors
/// If the service says no.
pub async fn watch(
    client: &Client,
    request: &WatchEventsRequest,
) -> Result<Streaming<WatchEventsResponse>, Status> {
    Ok(client.clone().watch_events(request.clone()).await?.into_inner())
}
