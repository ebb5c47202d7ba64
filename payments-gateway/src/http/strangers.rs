//! Who claims to be Stripe, and isn't: counted here and told once a second, so that nobody has us write a row for
//! each lie.

use crate::{
    clock,
    store::{Store, alerts::Kind as Alert},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often they are told of.
const TELL: Duration = Duration::from_secs(1);

/// Those who came since the last time: how many, and what was wrong with the last of them.
#[derive(Clone, Debug, Default)]
pub struct Strangers(Arc<Mutex<(i64, String)>>);

impl Strangers {
    /// Notes one.
    pub fn note(&self, what: String) {
        let came = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        came.0 = came.0.saturating_add(1);
        came.1 = what;
    }

    fn take(&self) -> (i64, String) {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells of them now and then, and once more at the end: a task's work.
    pub async fn tell(self, store: Store, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(TELL) => {}
            }
            let (count, what) = self.take();
            if count == 0 {
                continue;
            }
            let subject = "/webhooks/stripe";
            let told = store.alerts_of(Alert::BadSignature, subject, &what, count, clock::now());
            if let Err(error) = told.await {
                tracing::error!(%error, count, "bad signatures can't be told of");
            }
        }
    }
}
