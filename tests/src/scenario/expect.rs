//! What a line expects: a refusal, or facts.

use super::{
    Answer, Fact, Group,
    command::KINDS,
    time,
    words::{Words, Wrong},
};

/// What transactions are.
const TYPES: [&str; 14] = [
    "credit",
    "debit",
    "reversal",
    "transfer",
    "hold",
    "capture",
    "release",
    "clawback",
    "entitlement",
    "grant_expiry",
    "hold_expiry",
    "activation",
    "withdrawal",
    "account_change",
];

/// Figures that are a word and a number.
const FIGURES: [&str; 12] = [
    "posted",
    "held",
    "available",
    "sequence",
    "debt",
    "scheduled",
    "amount",
    "fee",
    "lapsed",
    "revision",
    "version",
    "threshold",
];

/// Words that stand alone, and what they are about.
const ALONE: [(&str, &str); 5] = [
    ("active", "status"),
    ("frozen", "status"),
    ("closed", "status"),
    ("affordable", "affordable"),
    ("unaffordable", "affordable"),
];

/// Reads what stands behind an arrow.
pub(super) fn answer(words: &Words, now: i64) -> Result<Answer, Wrong> {
    let mut words = words.clone();
    let reason = words.peek().filter(|word| is_reason(word)).map(ToOwned::to_owned);
    let Some(reason) = reason else {
        return facts(&words, now).map(Answer::Accepted);
    };
    words.word("a reason")?;
    let known = super::contract().iter().any(|known| known.reason == reason);
    if !known {
        return Err(Wrong::new("a reason of the contract", reason));
    }
    let mut pairs = Vec::new();
    while !words.is_empty() {
        let pair = words.word("a pair (available=50)")?;
        let read = pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        pairs.push(read.ok_or_else(|| Wrong::new("a pair (available=50)", pair))?);
    }
    Ok(Answer::Refused(reason, pairs))
}

fn is_reason(word: &str) -> bool {
    word.starts_with(|it: char| it.is_ascii_uppercase())
        && word.chars().all(|it| it.is_ascii_uppercase() || it == '_')
}

fn facts(words: &Words, now: i64) -> Result<Vec<Fact>, Wrong> {
    let mut facts = Vec::new();
    for mut phrase in words.phrases() {
        if phrase.is_empty() {
            return Err(phrase.wrong("a fact"));
        }
        while !phrase.is_empty() {
            read(&mut phrase, now, &mut facts)?;
        }
    }
    Ok(facts)
}

fn read(words: &mut Words, now: i64, facts: &mut Vec<Fact>) -> Result<(), Wrong> {
    if let Some(number) = words.maybe_number() {
        facts.push(of_number(number, words, now)?);
        return Ok(());
    }
    if words.take("lifetime") {
        loop {
            let figure = words.word("`purchased`, `spent` or `earned`")?;
            if !["purchased", "spent", "earned"].contains(&figure.as_str()) {
                return Err(Wrong::new("`purchased`, `spent` or `earned`", figure));
            }
            facts.push(Fact::figure(&format!("lifetime {figure}"), words.number("tokens")?));
            if words.is_empty() {
                return Ok(());
            }
        }
    }
    let first = words.word("a fact")?;
    facts.push(of_word(&first, words, now)?);
    Ok(())
}

fn of_number(number: i64, words: &mut Words, now: i64) -> Result<Fact, Wrong> {
    let second =
        words.word("what the tokens do (from, back to, covered by, given back, by, expire)")?;
    Ok(match second.as_str() {
        "from" => Fact::moves(format!("{number} from {}", words.word("a grant")?)),
        "back" => {
            words.need("to")?;
            Fact::moves(format!("{number} back to {}", words.word("a grant")?))
        }
        "covered" => {
            words.need("by")?;
            Fact::moves(format!("{number} covered by {}", words.word("a source")?))
        }
        "given" => {
            words.need("back")?;
            Fact::one("given back", format!("{number} given back"))
        }
        "by" => Fact::new(Group::Funding, format!("{number} by {}", words.word("a kind")?)),
        "expire" => {
            let at = time::show(words.time(now)?);
            Fact::one("next expiry", format!("{number} expire {at}"))
        }
        "units" => Fact::one("units", format!("{number} units")),
        "in" => {
            words.need("all")?;
            Fact::one("in all", format!("{number} in all"))
        }
        other => {
            let expected = "`from`, `back to`, `covered by`, `given back`, `by`, `expire`, `units` or `in all`";
            return Err(Wrong::new(expected, format!("`{other}`")));
        }
    })
}

fn of_word(first: &str, words: &mut Words, now: i64) -> Result<Fact, Wrong> {
    if let Some((word, about)) = ALONE.into_iter().find(|(word, _)| *word == first) {
        return Ok(Fact::one(about, word.to_owned()));
    }
    if FIGURES.contains(&first) {
        return Ok(Fact::figure(first, words.number("a number")?));
    }
    if TYPES.contains(&first) {
        let amount = words.number("its amount")?;
        return Ok(Fact::new(Group::List, format!("{first} {amount}")));
    }
    // A grant that has no name is called by its kind.
    let is_grant = words.peek() == Some("closed")
        || ["left", "scheduled"].map(Some).contains(&words.peek_second());
    if KINDS.iter().any(|(word, _)| *word == first) && !is_grant {
        let tokens = words.number("tokens")?;
        let held = if words.take("held") { words.number("held tokens")? } else { 0 };
        return Ok(Fact::kind(first, tokens, held));
    }
    Ok(match first {
        "nothing" => Fact::moves(first.to_owned()),
        "none" => Fact::new(Group::List, first.to_owned()),
        "replayed" | "stale" | "unchanged" => Fact::new(Group::Flag, first.to_owned()),
        "clawed" => {
            words.need("back")?;
            Fact::figure("clawed back", words.number("tokens")?)
        }
        "until" | "at" => Fact::one(first, format!("{first} {}", time::show(words.time(now)?))),
        "unlimited" => {
            words.need("until")?;
            Fact::one("unlimited", format!("unlimited until {}", time::show(words.time(now)?)))
        }
        "not" => {
            words.need("unlimited")?;
            Fact::one("unlimited", "not unlimited".to_owned())
        }
        "never" => {
            words.need("expire")?;
            Fact::one("next expiry", "never expire".to_owned())
        }
        "no" => match words.word("`threshold`, `caps`, `rights` or `use`")?.as_str() {
            "threshold" => Fact::one("threshold", "no threshold".to_owned()),
            "caps" => Fact::new(Group::Settings("cap"), "no caps".to_owned()),
            "rights" => Fact::new(Group::Settings("right"), "no rights".to_owned()),
            "use" => Fact::new(Group::Settings("used"), "no use".to_owned()),
            other => return Err(Wrong::new("`threshold`, `caps`, `rights` or `use`", other)),
        },
        "of" | "note" | "ref" | "against" | "because" => {
            Fact::one(first, format!("{first} {}", words.word("a word")?))
        }
        "action" => {
            let action = words.word("an action")?;
            Fact::one("action", format!("action {action}"))
        }
        "cap" => {
            let (period, limit) = (words.word("a period")?, words.number("its limit")?);
            words.need("spent")?;
            let spent = words.number("what was spent")?;
            Fact::new(Group::Settings("cap"), format!("cap {period} {limit} spent {spent}"))
        }
        "right" => {
            let (source, version) = (words.word("a source")?, words.word("a version")?);
            Fact::new(Group::Settings("right"), format!("right {source} {version}"))
        }
        "used" => {
            let units = words.number("units")?;
            let action = words.word("an action")?;
            words.need("under")?;
            let source = words.word("a source")?;
            Fact::new(Group::Settings("used"), format!("used {units} {action} under {source}"))
        }
        name => named(name, words)?,
    })
}

/// Something that has a name: an account, a grant, a hold, an action.
fn named(name: &str, words: &mut Words) -> Result<Fact, Wrong> {
    let list = |text: String| Ok(Fact::new(Group::List, text));
    if words.take("posted") {
        let posted = words.number("tokens")?;
        return Ok(Fact::one(&format!("{name} posted"), format!("{name} posted {posted}")));
    }
    for end in ["closed", "released", "expired"] {
        if words.take(end) {
            return list(format!("{name} {end}"));
        }
    }
    if words.take("captured") {
        return list(format!("{name} captured {}", words.number("tokens")?));
    }
    let signed = words.peek().is_some_and(|word| word.starts_with(['+', '-']));
    let expected = "a fact (see the module `scenario`)";
    let Some(number) = words.maybe_number() else {
        return Err(Wrong::new(expected, format!("`{name}`")));
    };
    if words.take("left") {
        let held = if words.take("held") { words.number("held tokens")? } else { 0 };
        return list(Fact::left(name, number, held));
    }
    for state in ["scheduled", "open"] {
        if words.take(state) {
            return list(format!("{name} {number} {state}"));
        }
    }
    if words.take("tokens") {
        words.need("for")?;
        return list(format!("{name} {number} tokens for {}", words.number("units")?));
    }
    if signed {
        return Ok(Fact::one(name, format!("{name} {number:+}")));
    }
    let behind = format!("`left`, `scheduled`, `open` or `tokens for` behind `{name} {number}`");
    Err(words.wrong(&behind))
}

impl Fact {
    pub(super) fn new(group: Group, text: String) -> Self {
        Self { group, text }
    }

    pub(super) fn moves(text: String) -> Self {
        Self::new(Group::Moves, text)
    }

    pub(super) fn one(about: &str, text: String) -> Self {
        Self::new(Group::One(about.to_owned()), text)
    }

    pub(super) fn figure(about: &str, number: i64) -> Self {
        Self::one(about, format!("{about} {number}"))
    }

    pub(super) fn kind(kind: &str, tokens: i64, held: i64) -> Self {
        let held = if held == 0 { String::new() } else { format!(" held {held}") };
        Self::new(Group::Kinds, format!("{kind} {tokens}{held}"))
    }

    pub(super) fn left(name: &str, tokens: i64, held: i64) -> String {
        let held = if held == 0 { String::new() } else { format!(" held {held}") };
        format!("{name} {tokens} left{held}")
    }
}
