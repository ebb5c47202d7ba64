//! What commands have in common: what to charge, and what the caller says about it.

use super::{
    scope::Scope,
    words::{Words, Wrong},
};
use std::collections::BTreeMap;

/// What a caller says about a command.
#[derive(Debug, Default)]
pub(super) struct Common {
    key: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: String,
    pub(super) reference: String,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) on_behalf_of: String,
}

impl Common {
    /// Reads one of the options that every command has, if one comes next.
    pub(super) fn option(&mut self, words: &mut Words) -> Result<bool, Wrong> {
        if words.take("key") {
            self.key = Some(words.word("an idempotency key")?);
        } else if words.take("as") {
            self.name = Some(words.word("a name")?);
        } else if words.take("note") {
            self.description = words.word("a description")?;
        } else if words.take("ref") {
            self.reference = words.word("a reference")?;
        } else if words.take("behalf") {
            self.on_behalf_of = words.word("for whom")?;
        } else if words.take("meta") {
            let pair = words.word("a pair (name=value)")?;
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| Wrong::new("a pair (name=value)", pair.as_str()))?;
            self.metadata.insert(name.to_owned(), value.to_owned());
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Reads these options to the line's end; another word is a mistake.
    pub(super) fn rest(words: &mut Words) -> Result<Self, Wrong> {
        let mut common = Self::default();
        common.finish(words, "")?;
        Ok(common)
    }

    /// Reads these options to the line's end; `expected` are those that come before them.
    pub(super) fn finish(&mut self, words: &mut Words, expected: &str) -> Result<(), Wrong> {
        while !words.is_empty() {
            if !self.option(words)? {
                let common = "`key`, `as`, `note`, `ref`, `meta`, `behalf` or the line's end";
                return Err(words.wrong(&format!("{expected}{common}")));
            }
        }
        Ok(())
    }

    pub(super) fn key(&self, scope: &Scope) -> String {
        self.key.clone().unwrap_or_else(|| scope.default_key())
    }
}

/// Tokens, or so many of an action.
#[derive(Debug, Default)]
pub(super) struct Charge {
    pub(super) amount: i64,
    pub(super) action: String,
    pub(super) quantity: i64,
}

impl Charge {
    /// `60`, `import_domain` or `import_domain x 100`.
    pub(super) fn read(words: &mut Words) -> Result<Self, Wrong> {
        if let Some(amount) = words.maybe_number() {
            return Ok(Self { amount, ..Self::default() });
        }
        let action = words.word("an amount or an action")?;
        let quantity = if words.take("x") { words.number("how many of the action")? } else { 0 };
        Ok(Self { amount: 0, action, quantity })
    }
}
