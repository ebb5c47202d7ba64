//! Who doesn't answer is left alone for a while, but for one who tries.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Failures in a row after which nobody calls any more.
const FAILURES_MAX: u32 = 10;

/// How long, until one tries.
const PAUSE: Duration = Duration::from_secs(5);

/// Knows whether calling makes sense.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Who may try next, from then on.
    closed_until: Option<Instant>,
}

impl Breaker {
    /// May somebody call now? After a pause the first who asks may, the others wait for what they find.
    pub fn admits(&self) -> bool {
        let state = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match state.closed_until {
            Some(until) if now < until => false,
            Some(_) => {
                state.closed_until = Some(now + PAUSE);
                true
            }
            None => true,
        }
    }

    /// Tells how a call ended.
    pub fn note(&self, answered: bool) {
        let state = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            *state = State::default();
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_MAX {
            state.closed_until = Some(Instant::now() + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_doesnt_answer_is_left_alone_but_for_one_who_tries() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            assert!(breaker.admits());
            breaker.note(false);
        }
        assert!(!breaker.admits());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.admits(), "one tries");
        assert!(!breaker.admits(), "the others wait");
        breaker.note(true);
        assert!(breaker.admits() && breaker.admits());
    }
}
