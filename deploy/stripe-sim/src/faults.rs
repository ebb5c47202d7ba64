//! Calls that fail on demand, before or after they had their effect.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Faults waiting at a time.
pub(crate) const FAULTS_MAX: usize = 1_000;

/// When a call fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum When {
    /// Nothing was done.
    #[default]
    Before,
    /// It was done, and the caller isn't told.
    After,
}

/// What the caller gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Reply {
    /// An error of this status.
    Status(u16),
    /// The connection ends.
    Text(Timeout),
}

/// No answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Timeout {
    /// The connection ends.
    Timeout,
}

/// A fault, as `POST /_sim/faults` describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// GET, POST or DELETE; any, if absent.
    #[serde(default)]
    pub(crate) method: Option<String>,
    /// A path, or the beginning of one with `*` behind it.
    #[serde(default = "everywhere")]
    pub(crate) path: String,
    /// How many more calls; until cleared, if null.
    #[serde(default = "once")]
    pub(crate) count: Option<u32>,
    #[serde(default = "always")]
    pub(crate) probability: f64,
    #[serde(default)]
    pub(crate) when: When,
    #[serde(default)]
    pub(crate) answer: Option<Reply>,
    #[serde(default)]
    pub(crate) latency_ms: u64,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Does the idempotency key remember a 5xx after the effect?
    #[serde(default = "yes")]
    pub(crate) stored: bool,
}

fn everywhere() -> String {
    "*".to_owned()
}

#[expect(clippy::unnecessary_wraps, reason = "serde asks for the field's type")]
fn once() -> Option<u32> {
    Some(1)
}

fn always() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

/// The longest latency: clients give up before.
const LATENCY_MS_MAX: u64 = 600_000;

impl Fault {
    /// What is wrong with it, if anything.
    pub(crate) fn complaint(&self) -> Option<&'static str> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Some("probability is a number from 0 to 1");
        }
        if self.latency_ms > LATENCY_MS_MAX {
            return Some("latency_ms is at most 600000");
        }
        match self.answer {
            Some(Reply::Status(status)) if !(400..600).contains(&status) => {
                Some("answer is a status from 400 to 599, or \"timeout\"")
            }
            _ => None,
        }
    }

    fn is_about(&self, method: &str, path: &str) -> bool {
        let path_fits = match self.path.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == self.path,
        };
        path_fits && self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
    }
}

/// Faults in the order in which they were asked for: the first that is about a call is the one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Faults {
    pub(crate) waiting: Vec<Fault>,
}

impl Faults {
    /// The fault that this call meets; it is used up by one.
    pub(crate) fn meet(
        &mut self,
        method: &str,
        path: &str,
        dice: &mut fastrand::Rng,
    ) -> Option<Fault> {
        let at = self
            .waiting
            .iter()
            .position(|fault| fault.is_about(method, path) && dice.f64() < fault.probability)?;
        let fault = self.waiting.get_mut(at)?;
        let met = fault.clone();
        if let Some(count) = &mut fault.count {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.waiting.remove(at);
            }
        }
        Some(met)
    }
}
