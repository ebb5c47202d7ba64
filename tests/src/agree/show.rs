//! Calls and answers as people read them.

use crate::model::Expected;
use crate::target::Call;

/// A call and its answer in one line: fields that say nothing are left out.
pub(super) fn line(at: i64, call: &Call, answer: &Expected) -> String {
    let answer = match answer {
        Ok(_) => "ok".to_owned(),
        Err(refused) => format!("{} {:?}", refused.reason.as_str_name(), refused.metadata),
    };
    format!("at {at} {} -> {answer}", short(&format!("{call:?}")))
}

/// Both answers, and the lines in which they differ.
pub(super) fn difference(expected: &Expected, actual: &Expected) -> String {
    let (left, right) = (format!("{expected:#?}"), format!("{actual:#?}"));
    let mut text = format!(
        "expected {}\nactual   {}\n",
        short(&format!("{expected:?}")),
        short(&format!("{actual:?}"))
    );
    let (left, right): (Vec<_>, Vec<_>) = (left.lines().collect(), right.lines().collect());
    if left.len() == right.len() {
        for (left, right) in left.iter().zip(&right).filter(|(left, right)| left != right) {
            text.push_str(&format!("  {} <> {}\n", left.trim(), right.trim()));
        }
    }
    text
}

/// Debug text without the fields that have nothing in them.
fn short(text: &str) -> String {
    let nothing = ["\"\"", "0", "None", "[]", "{}", "false", "Unspecified"];
    let mut out = String::new();
    for part in text.split(", ") {
        let value = part.rsplit_once(": ").filter(|(name, _)| !name.contains([' ', '(', '{']));
        let closers = value.and_then(|(_, value)| {
            let rest = nothing.iter().find_map(|nothing| value.strip_prefix(nothing))?;
            rest.chars().all(|c| " })]".contains(c)).then_some(rest)
        });
        match closers {
            Some(closers) => out.push_str(closers),
            None if out.is_empty() => out.push_str(part),
            None => {
                out.push_str(", ");
                out.push_str(part);
            }
        }
    }
    out
}
