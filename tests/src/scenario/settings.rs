//! The lines by which operators set an account's status and settings.

use super::{
    command::Read,
    words::{Words, Wrong},
};
use crate::target::Call;
use proto::v1::{self, CapPeriod};

pub(super) fn status(words: &mut Words, request: fn(String, String) -> Call) -> Read {
    let account = words.word("an account")?;
    let note = if words.take("note") { words.word("a note")? } else { String::new() };
    words.end("`note` or the line's end")?;
    Ok((request(account, note), None))
}

/// `cap alice day 100 month 1000`, `cap alice none`.
pub(super) fn cap(words: &mut Words) -> Read {
    let account_id = words.word("an account")?;
    let mut caps = Vec::new();
    if !words.take("none") {
        while words.peek() != Some("version") && (!words.is_empty() || caps.is_empty()) {
            let period = match words.peek() {
                Some("day") => CapPeriod::Day,
                Some("month") => CapPeriod::Month,
                _ => return Err(words.wrong("`day`, `month` or `none`")),
            };
            words.word("a period")?;
            let limit = words.number("the most tokens to spend in it")?;
            caps.push(v1::SpendCap { period: period.into(), limit, spent: 0 });
        }
    }
    let expected_version = version(words)?;
    let spend_caps = Some(v1::SpendCaps { caps });
    let request =
        v1::UpdateAccountRequest { account_id, expected_version, spend_caps, ..Default::default() };
    Ok((request.into(), None))
}

pub(super) fn threshold(words: &mut Words) -> Read {
    let account_id = words.word("an account")?;
    let threshold = if words.take("never") { -1 } else { words.number("tokens, or `never`")? };
    let (expected_version, low_balance_threshold) = (version(words)?, Some(threshold));
    let request = v1::UpdateAccountRequest {
        account_id,
        expected_version,
        low_balance_threshold,
        ..Default::default()
    };
    Ok((request.into(), None))
}

fn version(words: &mut Words) -> Result<i64, Wrong> {
    let version = if words.take("version") { words.number("the version seen")? } else { 0 };
    words.end("`version` or the line's end").map(|()| version)
}
