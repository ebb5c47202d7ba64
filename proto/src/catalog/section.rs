//! A table of the file that knows which keys were asked of it: the reading code is the schema.

use toml::Spanned;
use toml::de::DeTable;

use super::mistakes::{Mistakes, Spot};
use super::value::{Value, hint};

/// The keys that stand before the first `[table]`. One that slipped below it belongs to that
/// table as far as TOML is concerned, which is worth a hint.
const TOP_KEYS: [&str; 5] = ["economy", "title", "currency", "funding_order", "burn_order"];

/// One TOML table being read.
pub(super) struct Section<'a> {
    /// Absent where the file is silent and every key has its default.
    table: Option<&'a DeTable<'a>>,
    spot: Spot,
    asked: Vec<&'static str>,
    mistakes: &'a Mistakes<'a>,
}

impl<'a> Section<'a> {
    /// Lets `read` take what it knows from the table, then notes every key that it did not ask for.
    pub fn read<T>(
        table: Option<&'a DeTable<'a>>,
        spot: Spot,
        mistakes: &'a Mistakes<'a>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut section = Self { table, spot, asked: Vec::new(), mistakes };
        let result = read(&mut section);
        section.note_unknown_keys();
        result
    }

    /// The value of a key that may be left out.
    pub fn get(&mut self, key: &'static str) -> Value<'a> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        let found = self.table.and_then(|table| table.get(key));
        let at = found.map_or(self.spot.at, |value| value.span().start);
        Value {
            name: key.to_owned(),
            found: found.map(Spanned::get_ref),
            spot: Spot { at, place: self.spot.place.clone() },
            mistakes: self.mistakes,
        }
    }

    /// The value of a key that must be there.
    pub fn need(&mut self, key: &'static str) -> Value<'a> {
        let value = self.get(key);
        if !value.is_given() {
            value.fail(format_args!("`{key}` is missing: add a line `{key} = …`"));
        }
        value
    }

    /// A flag that the file must set where it has this table at all; else it is off.
    pub fn declare(&mut self, key: &'static str) -> Option<bool> {
        match self.table {
            Some(_) => self.need(key).flag(),
            None => Some(false),
        }
    }

    /// Notes a mistake at the table's beginning.
    pub fn fail(&self, reason: impl std::fmt::Display) {
        self.mistakes.note(&self.spot, reason);
    }

    /// Notes that the first value exceeds the second, if it does.
    pub fn order(&self, (low, least): (&str, i64), (high, most): (&str, i64)) {
        if least > most {
            let found = |key| self.table?.get(key);
            let at = found(low).or(found(high)).map_or(self.spot.at, |value| value.span().start);
            self.mistakes.note(
                &Spot { at, ..self.spot.clone() },
                format_args!("{low} ({least}) is more than {high} ({most}); change one of them"),
            );
        }
    }

    fn note_unknown_keys(&self) {
        for key in self.table.iter().flat_map(|table| table.keys()) {
            let name: &str = key.get_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let hint = if TOP_KEYS.contains(&name) {
                "; it belongs at the top of the file, before the first [table]".to_owned()
            } else {
                hint(name, self.asked.iter().copied())
            };
            let spot = Spot { at: key.span().start, place: self.spot.place.clone() };
            self.mistakes.note(&spot, format_args!("unknown key `{name}`{hint}"));
        }
    }
}
