//! Refusals: what the contract promises of each, and what one says.

use super::{names::Names, time};
use proto::{
    reason::{self, Error},
    v1,
};
use std::{collections::BTreeMap, sync::OnceLock, time::Duration};
use tonic::{Code, Status};

/// What the contract says of one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Its name on the wire.
    pub reason: String,
    /// Its status code.
    pub code: Code,
    /// Metadata that it always has; of those between which there is an "or", one.
    pub metadata: Vec<Vec<String>>,
}

/// What `error.proto` says of every reason, read from its comments.
///
/// # Panics
/// If a comment isn't `// CODE. Words [metadata].`.
pub fn contract() -> &'static [Contract] {
    static CONTRACT: OnceLock<Vec<Contract>> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let text = include_str!("../../../proto/token/v1/error.proto");
        let mut comment = "";
        let mut found = Vec::new();
        for line in text.lines().map(str::trim) {
            if let Some(words) = line.strip_prefix("// ") {
                comment = words;
            }
            let name = line.strip_prefix("ERROR_REASON_").and_then(|rest| rest.split_once(" = "));
            if let Some((reason, _)) = name.filter(|(reason, _)| *reason != "UNSPECIFIED") {
                found.push(promise(reason, comment));
            }
        }
        found
    })
}

fn promise(reason: &str, comment: &str) -> Contract {
    let code = comment.split_once('.').and_then(|(code, _)| code_of(code));
    let code = code.unwrap_or_else(|| panic!("{reason}: a comment begins with its code"));
    let brackets = comment.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let names = brackets.map_or("", |(names, _)| names).split(',').map(str::trim);
    let alternatives = |names: &str| {
        let name = |it: &str| it.split(':').next().unwrap_or(it).trim().to_owned();
        names.split(" or ").map(name).collect()
    };
    let metadata = names.filter(|names| !names.is_empty()).map(alternatives).collect();
    Contract { reason: reason.to_owned(), code, metadata }
}

fn code_of(name: &str) -> Option<Code> {
    // "UNAVAILABLE" of the contract is "Unavailable" here.
    let camel: String = name
        .split('_')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            format!("{first}{}", rest.to_ascii_lowercase())
        })
        .collect();
    (0..=16).map(Code::from_i32).find(|code| format!("{code:?}") == camel)
}

/// What a refusal says, with names in place of ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) reason: String,
    pub(super) pairs: BTreeMap<String, String>,
}

impl Said {
    /// What a status says.
    ///
    /// # Errors
    /// What the contract promises and it doesn't keep.
    pub(super) fn of_status(status: &Status, names: &Names) -> Result<Self, String> {
        let error =
            Error::of(status).ok_or_else(|| format!("a status without a reason: {status}"))?;
        let reason = reason::name(error.reason).to_owned();
        let mut said = Self::of(reason, error.code, error.metadata, names)?;
        let delay = |retry: Duration| i64::try_from(retry.as_micros()).expect("a delay is short");
        let retry = error.retry.map(|retry| time::show_duration(delay(retry)));
        said.pairs.insert("retry".to_owned(), retry.unwrap_or_else(|| "none".to_owned()));
        if !error.violations.is_empty() {
            let fields: Vec<_> = error.violations.into_iter().map(|it| it.field).collect();
            said.pairs.insert("fields".to_owned(), fields.join(","));
        }
        Ok(said)
    }

    /// What the refusal of a batch's member, or of a quote, says.
    ///
    /// # Errors
    /// What the contract promises and it doesn't keep.
    pub(super) fn of_member(refusal: &v1::Refusal, names: &Names) -> Result<Self, String> {
        let reason = reason::name(refusal.reason()).to_owned();
        Self::of(reason, Code::from_i32(refusal.code), refusal.metadata.clone(), names)
    }

    fn of(
        reason: String,
        code: Code,
        metadata: BTreeMap<String, String>,
        names: &Names,
    ) -> Result<Self, String> {
        let promised = contract().iter().find(|it| it.reason == reason);
        let promised = promised.ok_or_else(|| format!("an unknown reason: {reason}"))?;
        if promised.code != code {
            return Err(format!("{reason} with code {code:?}, not {:?}", promised.code));
        }
        for names in &promised.metadata {
            if !names.iter().any(|name| metadata.contains_key(name)) {
                return Err(format!("{reason} without {}: {metadata:?}", names.join(" or ")));
            }
        }
        if code == Code::FailedPrecondition && !metadata.contains_key("next_step") {
            return Err(format!("{reason} without next_step"));
        }
        let named = |(name, value): (String, String)| {
            let value = names.of_id(&value).unwrap_or(value);
            (name, value)
        };
        Ok(Self { reason, pairs: metadata.into_iter().map(named).collect() })
    }

    /// Whether it is the refusal that was expected: the reason, and every pair that was written.
    pub(super) fn is(&self, reason: &str, pairs: &[(String, String)]) -> bool {
        let same = |(name, value): &(String, String)| self.pairs.get(name) == Some(value);
        self.reason == reason && pairs.iter().all(same)
    }

    /// As a scenario would write it.
    pub(super) fn show(&self) -> String {
        let quoted = |value: &String| {
            if value.contains(' ') { format!("\"{value}\"") } else { value.clone() }
        };
        let pairs = self.pairs.iter().map(|(name, value)| format!(" {name}={}", quoted(value)));
        format!("{}{}", self.reason, pairs.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_read_from_its_comments() {
        let found = |reason| contract().iter().find(|it| it.reason == reason).expect(reason);
        assert_eq!(contract().len(), 33);
        assert_eq!(found("LIMIT_EXCEEDED").code, Code::ResourceExhausted);
        assert_eq!(found("TRANSACTION_NOT_FOUND").metadata[1].len(), 2);
        assert_eq!(found("IDEMPOTENCY_KEY_REUSED").metadata[0], ["fields"]);
    }
}
