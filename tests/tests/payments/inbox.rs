//! What became of the events that arrived. For as long as no operator can be asked by gRPC, this reads the
//! gateway's own table: the only place in these tests that knows how the gateway keeps anything.

use super::{wait::until, world::World};
use sqlx::{
    Connection as _, PgConnection, SqliteConnection, query_as, sqlite::SqliteConnectOptions,
};
use std::str::FromStr as _;

/// An event that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    pub event_id: String,
    pub kind: String,
    pub state: String,
    pub reason: String,
}

impl Arrived {
    /// Whether nothing more becomes of it by itself.
    pub fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "done" | "ignored" | "parked")
    }
}

type Row = (String, Option<String>, String, Option<String>);

/// All that arrived.
pub async fn inbox(world: &World) -> Vec<Arrived> {
    let rows: Vec<Row> = match world.database().strip_prefix("sqlite:") {
        Some(_) => {
            let options = SqliteConnectOptions::from_str(world.database()).expect("a database");
            let connected = SqliteConnection::connect_with(&options.read_only(true)).await;
            let mut connection = connected.expect("it can be opened");
            query_as("SELECT event_id, kind, state, reason FROM inbox")
                .fetch_all(&mut connection)
                .await
                .expect("it can be read")
        }
        None => {
            let connected = PgConnection::connect(world.database()).await;
            let mut connection = connected.expect("it answers");
            query_as("SELECT event_id, kind, state, reason FROM gateway.inbox")
                .fetch_all(&mut connection)
                .await
                .expect("it can be read")
        }
    };
    let arrived = |(event_id, kind, state, reason): Row| Arrived {
        event_id,
        kind: kind.unwrap_or_default(),
        state,
        reason: reason.unwrap_or_default(),
    };
    rows.into_iter().map(arrived).collect()
}

/// Waits until nothing more becomes of any event; all of them, each with a reason.
pub async fn settled(world: &World) -> Vec<Arrived> {
    let settled = until("the inbox to come to rest", async || {
        let arrived = inbox(world).await;
        match arrived.iter().find(|event| !event.is_over()) {
            Some(event) => Err(format!("{event:?}")),
            None => Ok(arrived),
        }
    })
    .await;
    for event in &settled {
        assert!(!event.reason.is_empty(), "every event's end has a reason: {event:?}");
    }
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
