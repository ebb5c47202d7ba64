//! What the reader of a scenario knows at a line: the time, the line, and the names given so far.

use super::words::{Words, Wrong};
use std::collections::BTreeMap;

/// What stands for something that never existed.
pub(super) const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

/// What the reader knows at a line.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Where the clock stands.
    pub(super) now: i64,
    line: usize,
    nth: Option<i64>,
    names: BTreeMap<String, Named>,
}

/// Something that a command was called.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// The account whose command it was.
    pub(super) account: String,
    /// Its idempotency key.
    pub(super) key: String,
    /// Stands for its id until it is known.
    pub(super) id: String,
}

impl Scope {
    /// The next command is read: the `nth` on this line.
    pub(super) fn begin(&mut self, line: usize, nth: Option<i64>) {
        (self.line, self.nth) = (line, nth);
    }

    /// The key of a command that names none.
    pub(super) fn default_key(&self) -> String {
        let line = self.line;
        self.nth.map_or_else(|| format!("line-{line}"), |nth| format!("line-{line}/{nth}"))
    }

    /// A word in which `{n}` is the number of the repetition.
    pub(super) fn filled(&self, word: &str) -> String {
        self.nth.map_or_else(|| word.to_owned(), |nth| word.replace("{n}", &nth.to_string()))
    }

    pub(super) fn name(&mut self, name: &str, account: &str, key: &str) -> Result<(), Wrong> {
        let fits =
            name.chars().all(|it| it.is_ascii_alphanumeric()) && name.parse::<i64>().is_err();
        if !fits || name == "unknown" || self.names.contains_key(name) {
            return Err(Wrong::new("a new name of letters and digits behind `as`", name));
        }
        let (account, key, id) = (account.to_owned(), key.to_owned(), format!("{{{name}}}"));
        self.names.insert(name.to_owned(), Named { account, key, id });
        Ok(())
    }

    /// A name, or `unknown`, and `of` another account than its own.
    pub(super) fn named(&self, words: &mut Words, expected: &str) -> Result<Named, Wrong> {
        let known = words.peek().and_then(|name| self.names.get(name)).cloned();
        let unknown = words.peek() == Some("unknown");
        if known.is_none() && !unknown {
            return Err(words.wrong(expected));
        }
        words.word(expected)?;
        let of = words.take("of");
        let account = if of { Some(words.word("an account")?) } else { None };
        match (known, account) {
            (Some(known), None) => Ok(known),
            (Some(known), Some(account)) => Ok(Named { account, ..known }),
            (None, Some(account)) => {
                Ok(Named { account, key: "never-used".to_owned(), id: UNKNOWN.to_owned() })
            }
            (None, None) => Err(words.wrong("`of` and an account")),
        }
    }
}
