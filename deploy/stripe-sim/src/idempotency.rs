//! Idempotency keys, as Stripe's first API has them: what a call answered once it had begun to do something
//! (402 and 500 too) is what its key answers for a day.

use crate::fail::Fail;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, VecDeque};

/// For how long a key is remembered.
const KEY_SECONDS: i64 = 24 * 3_600;

/// Keys remembered at most; the oldest are forgotten first.
pub(crate) const KEYS_MAX: usize = 25_000;

/// Characters of a key.
const KEY_MAX: usize = 255;

/// What was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// JSON.
    pub(crate) body: String,
    pub(crate) request_id: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Used {
    /// A hash of method, path and parameters.
    call: String,
    at: i64,
    /// None while the call is under way.
    answered: Option<Answered>,
}

/// The keys used in the last day.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Keys {
    used: HashMap<String, Used>,
    /// Those that answer, oldest first.
    answering: VecDeque<(i64, String)>,
}

impl Keys {
    /// Begins a call: what the key answered before, if it did.
    pub(crate) fn begin(
        &mut self,
        key: &str,
        call: &str,
        now: i64,
    ) -> Result<Option<Answered>, Fail> {
        self.forget(now);
        if key.is_empty() || key.chars().count() > KEY_MAX {
            let said = format!(
                "The idempotency key provided is longer than {KEY_MAX} characters, or empty."
            );
            return Err(Fail::idempotency(400, said));
        }
        let call = hex::encode(Sha256::digest(call));
        match self.used.get(key) {
            Some(used) if used.call != call => Err(Fail::idempotency(400, format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used \
                 with. Try using a key other than '{key}' if you meant to execute a different request."
            ))),
            Some(Used { answered: None, .. }) => Err(Fail::idempotency(409, format!(
                "There is currently another in-progress request using this Idempotent Key '{key}' (that \
                 probably means you submitted twice, and the other request is still going through). Please \
                 try again later."
            ))
            .code("idempotency_key_in_use")),
            Some(Used { answered: Some(answered), .. }) => Ok(Some(answered.clone())),
            None => {
                self.used.insert(key.to_owned(), Used { call, at: now, answered: None });
                Ok(None)
            }
        }
    }

    /// Ends a call: with what the key answers from now on, or as if it had never been used.
    pub(crate) fn end(&mut self, key: &str, answered: Option<Answered>) {
        match (answered, self.used.get_mut(key)) {
            (Some(answered), Some(used)) => {
                used.answered = Some(answered);
                self.answering.push_back((used.at, key.to_owned()));
            }
            (None, Some(_)) => {
                self.used.remove(key);
            }
            (_, None) => {}
        }
    }

    /// Calls that were under way when a snapshot was taken never ended.
    pub(crate) fn revive(&mut self) {
        self.used.retain(|_, used| used.answered.is_some());
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.used.len()
    }

    fn forget(&mut self, now: i64) {
        let is_old = |at: i64| now - at >= KEY_SECONDS;
        while let Some((at, _)) = self.answering.front() {
            if !is_old(*at) && self.used.len() < KEYS_MAX {
                break;
            }
            if let Some((_, key)) = self.answering.pop_front() {
                self.used.remove(&key);
            }
        }
    }
}
