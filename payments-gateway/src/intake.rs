//! The one door into the inbox: events of Stripe's, from webhooks or fetched, and our own notes to look again.
//!
//! Whatever waits while the last statement was on its way is kept by the next one, so that a burst costs a few
//! statements; and nobody is answered before theirs is durable.

use crate::{
    clock,
    store::{
        Store,
        inbox::{LOOK, NewEvent, OURS, ROWS_MAX},
    },
};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot};

/// Events that may wait; beyond them Stripe is told to come again.
const QUEUE_MAX: usize = 4_096;

/// Why an event wasn't kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// Too many wait already.
    #[error("too many events wait to be kept")]
    Full,
    /// The database didn't take it, or nobody knows.
    #[error("the database didn't take it")]
    Failed,
}

struct Waiting {
    event: NewEvent,
    answer: oneshot::Sender<bool>,
}

/// Keeps events. Clones are one door.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Waiting>,
    /// Told whenever something was kept.
    pub kept: Arc<Notify>,
}

/// Who writes down what comes in; a task of its own, until everybody who might bring something is gone.
pub struct Scribe {
    queue: mpsc::Receiver<Waiting>,
    store: Store,
    kept: Arc<Notify>,
}

/// Makes the door, and who stands behind it.
#[must_use]
pub fn open(store: Store) -> (Intake, Scribe) {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    let kept = Arc::new(Notify::new());
    let scribe = Scribe { queue: receiver, store, kept: Arc::clone(&kept) };
    (Intake { queue: sender, kept }, scribe)
}

impl Intake {
    /// Keeps an event: it is durable once this says so.
    ///
    /// # Errors
    /// It may not be kept: whoever brought it brings it again.
    pub async fn keep(&self, event: NewEvent) -> Result<(), NotKept> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Waiting { event, answer }).map_err(|_| NotKept::Full)?;
        match answered.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(NotKept::Failed),
        }
    }

    /// Puts a note into the inbox to look at a purchase again. Each note is an event of its own.
    ///
    /// # Errors
    /// See [`Self::keep`].
    pub async fn look_at(&self, purchase_id: &str, why: &str) -> Result<(), NotKept> {
        self.note(format!("look_{}", uuid::Uuid::new_v4().simple()), purchase_id, why).await
    }

    /// The same for somebody who may ask again and again: one note a second is enough.
    ///
    /// # Errors
    /// See [`Self::keep`].
    pub async fn glance_at(&self, purchase_id: &str, why: &str) -> Result<(), NotKept> {
        let second = clock::seconds(clock::now());
        self.note(format!("glance_{purchase_id}_{second}"), purchase_id, why).await
    }

    async fn note(&self, event_id: String, purchase_id: &str, why: &str) -> Result<(), NotKept> {
        let body = json!({ "purchase": purchase_id, "why": why }).to_string().into_bytes();
        self.keep(NewEvent { endpoint: OURS, event_id, kind: LOOK.to_owned(), body }).await
    }
}

impl Scribe {
    /// Writes down what comes in.
    pub async fn run(mut self) {
        let mut waiting = Vec::with_capacity(ROWS_MAX);
        while self.queue.recv_many(&mut waiting, ROWS_MAX).await > 0 {
            let (events, answers): (Vec<NewEvent>, Vec<_>) =
                waiting.drain(..).map(|it| (it.event, it.answer)).unzip();
            let kept = self.store.keep(events, clock::now()).await;
            if let Err(error) = &kept {
                tracing::error!(%error, events = answers.len(), "events can't be kept");
            }
            for answer in answers {
                // Who doesn't wait any more comes again.
                answer.send(kept.is_ok()).ok();
            }
            self.kept.notify_one();
        }
    }
}
