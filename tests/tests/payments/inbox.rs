//! What became of the events that arrived, as operators are told.

use super::{wait::until, world::World};
use proto::payments::v1::{InboxEvent, InboxState, ListInboxEventsRequest};

/// Events of a page, at most.
const PAGE: i32 = 1_000;

/// Where Stripe's events come in; our own notes come in elsewhere.
const STRIPE: &str = "stripe";

/// An event that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    pub event_id: String,
    pub kind: String,
    pub state: InboxState,
    pub reason: String,
    pub is_from_stripe: bool,
}

impl Arrived {
    fn of(event: InboxEvent) -> Self {
        let state = event.state();
        let is_from_stripe = event.endpoint == STRIPE;
        let InboxEvent { event_id, r#type: kind, reason, .. } = event;
        Self { event_id, kind, state, reason, is_from_stripe }
    }

    /// Whether nothing more becomes of it by itself.
    pub fn is_over(&self) -> bool {
        matches!(self.state, InboxState::Done | InboxState::Ignored | InboxState::Parked)
    }
}

/// All that is there, our own notes too.
async fn everything(world: &World) -> Vec<Arrived> {
    let mut operators = world.operators().await;
    let (mut arrived, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = ListInboxEventsRequest { page_size: PAGE, page_token, ..Default::default() };
        let page = operators.list_inbox_events(asked).await.expect("a page").into_inner();
        arrived.extend(page.events.into_iter().map(Arrived::of));
        if page.next_page_token.is_empty() {
            return arrived;
        }
        page_token = page.next_page_token;
    }
}

/// All that arrived from Stripe.
pub async fn inbox(world: &World) -> Vec<Arrived> {
    let mut arrived = everything(world).await;
    arrived.retain(|event| event.is_from_stripe);
    arrived
}

/// Waits until nothing more becomes of anything; all that arrived from Stripe, each with a reason.
pub async fn settled(world: &World) -> Vec<Arrived> {
    let mut settled = until("the inbox to come to rest", async || {
        let arrived = everything(world).await;
        match arrived.iter().find(|event| !event.is_over()) {
            Some(event) => Err(format!("{event:?}")),
            None => Ok(arrived),
        }
    })
    .await;
    for event in &settled {
        assert!(!event.reason.is_empty(), "every event's end has a reason: {event:?}");
    }
    settled.retain(|event| event.is_from_stripe);
    settled
}

/// What became of one event.
pub async fn end_of(world: &World, event_id: &str) -> Arrived {
    until(&format!("the end of {event_id}"), async || {
        let arrived = inbox(world).await;
        let found = arrived.into_iter().find(|event| event.event_id == event_id);
        let found = found.ok_or_else(|| "it isn't there".to_owned())?;
        if found.is_over() { Ok(found) } else { Err(format!("{found:?}")) }
    })
    .await
}
