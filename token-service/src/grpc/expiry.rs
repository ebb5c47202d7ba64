//! Streams last as long as the credential of whoever reads them.

use super::status;
use crate::identity::Caller;
use futures::{Stream, StreamExt as _, stream};
use ledger::Time;
use std::{pin::Pin, time::Duration};
use tonic::Status;

/// What a method streams.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The same stream, which ends with CREDENTIAL_INVALID when the caller's credential does.
pub(super) fn while_it_holds<T: Send + 'static>(
    answers: impl Stream<Item = Result<T, Status>> + Send + 'static,
    caller: &Caller,
    now: Time,
) -> Answers<T> {
    let Some(until) = caller.until() else { return answers.boxed() };
    let rest = Duration::from_micros(u64::try_from(until.0.saturating_sub(now.0)).unwrap_or(0));
    let expired = || Err(Status::from(status::unauthenticated("the token has expired")));
    let end = stream::once(async move { expired() });
    answers.take_until(tokio::time::sleep(rest)).chain(end).boxed()
}
