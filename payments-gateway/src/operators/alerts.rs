//! Alerts: read, and seen to.

use super::{Operators, caller::Operator, fields::Fields, page::Page, status, wire, words};
use crate::{clock, store::alerts::Alert};
use proto::payments::v1::{
    AlertState, ErrorReason, ListAlertsRequest, ListAlertsResponse, ResolveAlertRequest,
    ResolveAlertResponse,
};
use tonic::{Code, Status};

impl Operators {
    pub(super) async fn alerts(
        &self,
        asked: ListAlertsRequest,
    ) -> Result<ListAlertsResponse, Status> {
        let (size, token) = (asked.page_size, asked.page_token.clone());
        let filters = ListAlertsRequest { page_size: 0, page_token: String::new(), ..asked };
        let (page, state) = Fields::read(|fields| {
            let page = Page::read(fields, (size, &token), &filters);
            let state = fields.filter::<AlertState>("state", filters.state);
            Some((page?, state?))
        })?;
        let found = self.store.alerts(state, page.after(), page.limit()).await;
        let found = found.map_err(|error| status::store(&error))?;
        let place = |it: &Alert| (it.last_at, it.id.clone());
        let rows = found.into_iter().map(|it| (place(&it), wire::alert(it))).collect();
        let (alerts, next_page_token) = page.cut(rows);
        Ok(ListAlertsResponse { alerts, next_page_token })
    }

    pub(super) async fn see_to(
        &self,
        who: &Operator,
        asked: ResolveAlertRequest,
    ) -> Result<ResolveAlertResponse, Status> {
        let made_of_it = asked.state();
        let (id, state, note) = Fields::read(|fields| {
            let id = fields.name("alert_id", asked.alert_id);
            let state = match made_of_it {
                AlertState::Acknowledged | AlertState::FalsePositive => {
                    words::word::<AlertState>(made_of_it.into())
                }
                AlertState::Unspecified | AlertState::Open => {
                    fields.fail("state", "give ACKNOWLEDGED or FALSE_POSITIVE")
                }
            };
            let note = fields.note("note", asked.note);
            Some((id?, state?, note?))
        })?;
        let by = format!("{}, {}", who.name(), clock::rfc3339(clock::now()));
        let words = if note.is_empty() { by } else { format!("{by}: {note}") };
        let resolved = self.store.resolve_alert(&id, state, &words).await;
        let Some(alert) = resolved.map_err(|error| status::store(&error))? else {
            let message = format!("there is no alert {id}");
            let reason = ErrorReason::AlertNotFound;
            return Err(status::new(Code::NotFound, reason, message, &[("alert_id", &id)]));
        };
        tracing::info!(alert = id, operator = who.name(), state, note, "an alert is seen to");
        Ok(ResolveAlertResponse { alert: Some(wire::alert(alert)) })
    }
}
