//! The inbox: read, and played again.

use super::{Operators, caller::Operator, fields::Fields, page::Page, status, wire, words};
use crate::{clock, store::inbox::Entry};
use proto::payments::v1::{
    ErrorReason, GetInboxEventRequest, GetInboxEventResponse, InboxState, ListInboxEventsRequest,
    ListInboxEventsResponse, ReplayInboxEventsRequest, ReplayInboxEventsResponse,
};
use tonic::{Code, Status};

/// Events that one call plays again.
const REPLAYS_MAX: usize = 1_000;

/// What one call plays again.
#[derive(Debug, PartialEq, Eq)]
enum Which {
    These(Vec<String>),
    AllThatAre(&'static str),
}

impl Operators {
    pub(super) async fn events(
        &self,
        asked: ListInboxEventsRequest,
    ) -> Result<ListInboxEventsResponse, Status> {
        let (size, token) = (asked.page_size, asked.page_token.clone());
        let filters = ListInboxEventsRequest { page_size: 0, page_token: String::new(), ..asked };
        let (page, state, purchase_id) = Fields::read(|fields| {
            let page = Page::read(fields, (size, &token), &filters);
            let state = fields.filter::<InboxState>("state", filters.state);
            let purchase_id = fields.optional_name("purchase_id", filters.purchase_id.clone());
            Some((page?, state?, purchase_id?))
        })?;
        let found = self.store.entries(state, purchase_id.as_deref(), page.after(), page.limit());
        let found = found.await.map_err(|error| status::store(&error))?;
        let place = |it: &Entry| (it.received_at, it.id.clone());
        let rows = found.into_iter().map(|it| (place(&it), wire::event(it))).collect();
        let (events, next_page_token) = page.cut(rows);
        Ok(ListInboxEventsResponse { events, next_page_token })
    }

    pub(super) async fn event(
        &self,
        asked: GetInboxEventRequest,
    ) -> Result<GetInboxEventResponse, Status> {
        let id = Fields::read(|fields| fields.name("id", asked.id))?;
        let found = self.store.entry(&id).await.map_err(|error| status::store(&error))?;
        let Some((entry, body)) = found else {
            let message = format!("there is no event {id} in the inbox");
            let reason = ErrorReason::EventNotFound;
            return Err(status::new(Code::NotFound, reason, message, &[("id", &id)]));
        };
        Ok(GetInboxEventResponse { event: Some(wire::event(entry)), body })
    }

    pub(super) async fn replay(
        &self,
        who: &Operator,
        asked: ReplayInboxEventsRequest,
    ) -> Result<ReplayInboxEventsResponse, Status> {
        let which = Fields::read(|fields| which(fields, asked))?;
        let now = clock::now();
        let replayed = match &which {
            Which::These(ids) => self.store.replay(ids, now).await,
            Which::AllThatAre(state) => {
                let limit = i64::try_from(REPLAYS_MAX).unwrap_or(i64::MAX);
                self.store.replay_all(state, now, limit).await
            }
        };
        let replayed = replayed.map_err(|error| status::store(&error))?;
        tracing::info!(operator = who.name(), replayed, "events are played again");
        self.intake.kept.notify_one();
        Ok(ReplayInboxEventsResponse { replayed: i64::try_from(replayed).unwrap_or(i64::MAX) })
    }
}

fn which(fields: &mut Fields, asked: ReplayInboxEventsRequest) -> Option<Which> {
    let ReplayInboxEventsRequest { mut ids, state } = asked;
    match (ids.is_empty(), state) {
        (true, 0) => fields.fail("ids", "give ids, or a state"),
        (false, 1..) | (false, ..=-1) => fields.fail("state", "give either ids or a state"),
        (false, 0) if ids.len() > REPLAYS_MAX => fields.fail("ids", "give at most 1000"),
        (false, 0) => {
            let named: Vec<Option<String>> = ids
                .drain(..)
                .enumerate()
                .map(|(row, id)| fields.name(format!("ids[{row}]"), id))
                .collect();
            named.into_iter().collect::<Option<Vec<String>>>().map(Which::These)
        }
        (true, _) => match InboxState::try_from(state) {
            Ok(InboxState::Processing) => {
                fields.fail("state", "what a worker has can't be played again")
            }
            Ok(_) | Err(_) => match words::word::<InboxState>(state) {
                Some(word) => Some(Which::AllThatAre(word)),
                None => fields.fail("state", "there is no such state"),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_some_are_played_again_or_all_in_a_state() {
        let read = |ids: &[&str], state: i32| {
            let ids = ids.iter().map(|id| (*id).to_owned()).collect();
            Fields::read(|fields| which(fields, ReplayInboxEventsRequest { ids, state }))
                .map_err(|status| status.message().to_owned())
        };
        let parked = InboxState::Parked.into();
        let these = Which::These(vec!["evt_1".to_owned(), "x".to_owned()]);
        assert_eq!(read(&["evt_1", "x"], 0), Ok(these));
        assert_eq!(read(&[], parked), Ok(Which::AllThatAre("parked")));
        for (ids, state, expected) in [
            (vec![], 0, "ids: give ids, or a state"),
            (vec!["x"], parked, "state: give either ids or a state"),
            (vec!["x"], -1, "state: give either ids or a state"),
            (vec![], 99, "state: there is no such state"),
            (vec![], InboxState::Processing.into(), "state: what a worker has can't be"),
            (vec!["x"; 1_001], 0, "ids: give at most 1000"),
            (vec!["x", "a b"], 0, "ids[1]: give 1 to 255 visible ASCII characters"),
        ] {
            let refused = read(&ids, state).unwrap_err();
            assert!(refused.starts_with(expected), "{refused}");
        }
    }
}
