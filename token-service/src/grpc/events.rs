//! WatchEvents: every entry of the ledger as an event, in the order in which they became visible,
//! at least once, from wherever the follower was.
//!
//! A cursor is the stream's epoch and the position of an entry. The stream is read page by page as the
//! follower takes it: a slow one costs a page of memory, and a gone one nothing.

use super::{
    Api, Asked,
    convert::{Fields, event},
    expiry::while_it_holds,
    status,
};
use crate::{
    committer::{Failure, Watch},
    store::Position,
};
use futures::{Stream, stream};
use ledger::{AccountId, EntryId};
use proto::{reason::Error, v1};
use std::{collections::VecDeque, pin::Pin};
use tonic::Status;

/// Commits read in one go.
const COMMITS_MAX: usize = 64;

/// Entries read in one go.
const ENTRIES_MAX: usize = 256;

/// Commits without an event for this follower after which it is told at least how far it is: or it
/// would begin at the same place again whenever it is cut off.
const SILENT_COMMITS_MAX: usize = 1_024;

/// The cursor that stands before the first event there ever was.
const START: &str = "start";

/// What the method streams.
pub(super) type Events =
    Pin<Box<dyn Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send>>;

/// Somebody who follows the stream.
struct Follower {
    api: Api,
    /// Only this account's.
    account: Option<AccountId>,
    epoch: String,
    /// Read up to here.
    position: i64,
    /// Commits read since the last answer.
    silent: usize,
    changes: Watch,
    /// Entries to read, each with its position.
    entries: VecDeque<(i64, EntryId)>,
    /// Answers to give.
    answers: VecDeque<v1::WatchEventsResponse>,
}

impl Api {
    pub(super) async fn watch_events(
        &self,
        (caller, request): Asked<v1::WatchEventsRequest>,
    ) -> Result<Events, Error> {
        let account =
            Fields::read(self.terms(&caller), |fields| match request.account_id.as_str() {
                "" => fields.all_accounts("account_id").map(|()| None),
                id => fields.account("account_id", id).map(Some),
            })?;
        // Following begins before the first read: what is committed in between is not missed.
        let changes = match &account {
            Some(account) => self.committer.watch(account),
            None => self.committer.watch_all(),
        };
        let newest = self.store.position().await.map_err(|error| status::unread(&error))?;
        let position = position(&request.cursor, &newest)?;
        let epoch = newest.epoch;
        let mut answers = VecDeque::new();
        if request.cursor.is_empty() {
            // Whoever is cut off before the first event must know where to go on.
            answers.push_back(only_cursor(&epoch, position));
        }
        let (api, entries) = (self.clone(), VecDeque::new());
        let follower =
            Follower { api, account, epoch, position, silent: 0, changes, entries, answers };
        let events = stream::try_unfold(follower, |mut follower| async {
            let event = follower.next().await.map_err(Status::from)?;
            Ok(Some((event, follower)))
        });
        Ok(while_it_holds(events, &caller, self.clock.now()))
    }
}

impl Follower {
    async fn next(&mut self) -> Result<v1::WatchEventsResponse, Error> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                self.silent = 0;
                return Ok(answer);
            }
            if self.entries.is_empty() && self.silent >= SILENT_COMMITS_MAX {
                self.answers.push_back(only_cursor(&self.epoch, self.position));
                continue;
            }
            if self.entries.is_empty() && !self.read_commits().await? {
                if !self.changes.changed().await {
                    return Err(status::failed(&Failure::Draining));
                }
                continue;
            }
            self.read_entries().await?;
        }
    }

    /// Finds out which entries are next; whether there were any commits.
    async fn read_commits(&mut self) -> Result<bool, Error> {
        let commits = self.api.store.commits_after(self.position, COMMITS_MAX).await;
        let commits = commits.map_err(|error| status::unread(&error))?;
        for commit in &commits {
            let first = commit.position - i64::try_from(commit.entries.len()).unwrap_or(0) + 1;
            let numbered = (first..).zip(commit.entries.iter().cloned());
            let wanted = |(at, (account, _)): &(i64, EntryId)| {
                *at > self.position && self.account.as_ref().is_none_or(|only| only == account)
            };
            self.entries.extend(numbered.filter(wanted).collect::<Vec<_>>());
            self.position = commit.position;
        }
        self.silent += commits.len();
        Ok(!commits.is_empty())
    }

    /// Turns the next entries into answers.
    async fn read_entries(&mut self) -> Result<(), Error> {
        let count = self.entries.len().min(ENTRIES_MAX);
        let (positions, ids): (Vec<i64>, Vec<EntryId>) = self.entries.drain(..count).unzip();
        if ids.is_empty() {
            return Ok(());
        }
        let posted = self.api.store.posted(&ids).await.map_err(|error| status::unread(&error))?;
        for (position, transaction) in positions.into_iter().zip(&posted) {
            let mut events = event::events(transaction).into_iter().peekable();
            while let Some(event) = events.next() {
                // An entry is done with its last event: whoever goes on from an earlier one gets
                // all of them again.
                let done = if events.peek().is_none() { position } else { position - 1 };
                self.answers.push_back(v1::WatchEventsResponse {
                    cursor: cursor(&self.epoch, done),
                    event_time: Some(event::time_of(transaction)),
                    event: Some(event),
                });
            }
        }
        Ok(())
    }
}

/// How far a follower is, and nothing else.
fn only_cursor(epoch: &str, position: i64) -> v1::WatchEventsResponse {
    v1::WatchEventsResponse { cursor: cursor(epoch, position), event_time: None, event: None }
}

fn cursor(epoch: &str, position: i64) -> String {
    format!("{epoch}.{position}")
}

/// Where a cursor stands in this stream.
fn position(cursor: &str, newest: &Position) -> Result<i64, Error> {
    match cursor {
        "" => return Ok(newest.position),
        START => return Ok(0),
        _ => {}
    }
    let parts = cursor.split_once('.').and_then(|(epoch, at)| Some((epoch, at.parse().ok()?)));
    match parts {
        Some((epoch, at)) if epoch == newest.epoch && (0..=newest.position).contains(&at) => Ok(at),
        Some((_, at)) if at >= 0_i64 => Err(status::cursor_invalid(&newest.epoch)),
        Some(_) | None => Err(Error::invalid(vec![proto::reason::Violation {
            field: "cursor".to_owned(),
            description: format!("give a cursor as it was returned, `{START}`, or none"),
        }])),
    }
}
