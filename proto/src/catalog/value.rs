//! A value of the file on its way to a type: every reader checks it, and notes what is wrong.
//!
//! A reader of an absent value answers `None` in silence; [`Section::need`] has noted that already.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::IntErrorKind;
use std::ops::RangeInclusive;

use toml::de::DeValue;

use super::currency::Currency;
use super::mistakes::{Mistakes, Spot};
use super::section::Section;

/// The longest id.
const ID_CHARS_MAX: usize = 64;

/// Ids already taken, each with the line that took it.
pub(super) type Ids = BTreeMap<String, usize>;

/// The value of one key, or of one place in a list.
pub(super) struct Value<'a> {
    pub name: String,
    pub found: Option<&'a DeValue<'a>>,
    pub spot: Spot,
    pub mistakes: &'a Mistakes<'a>,
}

impl<'a> Value<'a> {
    pub fn is_given(&self) -> bool {
        self.found.is_some()
    }

    /// Notes a mistake at this value, or at its table where the value is absent.
    pub fn fail(&self, reason: impl Display) {
        self.mistakes.note(&self.spot, reason);
    }

    /// A whole number within the range.
    pub fn whole(&self, range: RangeInclusive<i64>) -> Option<i64> {
        let name = &self.name;
        let (start, end) = range.into_inner();
        let DeValue::Integer(digits) = self.found? else {
            let hint = match self.found? {
                DeValue::Float(_) if name.starts_with("price_minor") => {
                    "; money is counted in minor units: $4.99 is 499"
                }
                DeValue::String(_) => "; write it without quotes",
                _ => "",
            };
            return self.wrong_type(&format!("a whole number{hint}"));
        };
        let whole = i64::from_str_radix(digits.as_str(), digits.radix());
        let too_low = match &whole {
            Ok(whole) => *whole < start,
            Err(error) => *error.kind() == IntErrorKind::NegOverflow,
        };
        if too_low {
            return self.refuse(format_args!("{name} must be at least {start}, not {digits}"));
        }
        let whole = whole.ok().filter(|whole| *whole <= end);
        whole.or_else(|| self.refuse(format_args!("{name} must be at most {end}, not {digits}")))
    }

    /// A whole number within the range, or the default where there is none.
    pub fn whole_or(&self, default: i64, range: RangeInclusive<i64>) -> Option<i64> {
        if self.is_given() { self.whole(range) } else { Some(default) }
    }

    /// `true` or `false`, or the default where there is neither.
    pub fn flag_or(&self, default: bool) -> Option<bool> {
        if self.is_given() { self.flag() } else { Some(default) }
    }

    /// `true` or `false`.
    pub fn flag(&self) -> Option<bool> {
        match self.found? {
            DeValue::Boolean(flag) => Some(*flag),
            _ => self.wrong_type("true or false, without quotes"),
        }
    }

    /// Any string.
    pub fn string(&self) -> Option<&'a str> {
        match self.found? {
            DeValue::String(string) => Some(string),
            _ => self.wrong_type("a text in quotes"),
        }
    }

    /// A line of text for people, at most so many characters long.
    pub fn text(&self, chars_max: usize) -> Option<String> {
        let (name, text) = (&self.name, self.string()?);
        if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
            return self.refuse(format_args!(
                "{name} must be one line of text, not empty, without blanks around it"
            ));
        }
        if text.chars().count() > chars_max {
            return self.refuse(format_args!("{name} is longer than {chars_max} characters"));
        }
        Some(text.to_owned())
    }

    /// An id: `[a-z0-9_]{1,64}`.
    pub fn id(&self) -> Option<String> {
        let (name, id) = (&self.name, self.string()?);
        if is_id(id) {
            return Some(id.to_owned());
        }
        self.refuse(format_args!("{name} `{id}` must be 1 to {ID_CHARS_MAX} of a-z, 0-9 and _"))
    }

    /// An ISO 4217 code in lower case.
    pub fn currency(&self) -> Option<Currency> {
        let code = self.string()?;
        Currency::from_code(code).or_else(|| {
            let lower = code.to_lowercase();
            let hint = match Currency::from_code(&lower) {
                Some(_) => format!("write `{lower}`"),
                None => "write its ISO 4217 code in lower case, e.g. `usd`".to_owned(),
            };
            self.refuse(format_args!("{} `{code}` is unknown: {hint}", self.name))
        })
    }

    /// The id of a Stripe price: `price_…`.
    pub fn stripe_price(&self) -> Option<String> {
        let (name, id) = (&self.name, self.string()?);
        let rest = id.strip_prefix("price_").unwrap_or_default();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !rest.is_empty() && rest.bytes().all(allowed) {
            return Some(id.to_owned());
        }
        self.refuse(format_args!(
            "{name} `{id}` is not the id of a Stripe price: price_ and letters and digits"
        ))
    }

    /// Notes a string that was taken before; otherwise takes it.
    pub fn once(self, taken: &mut Ids) -> Self {
        if let Some(DeValue::String(id)) = self.found {
            let line = self.mistakes.line(self.spot.at);
            if let Some(first) = taken.get(id.as_ref()) {
                let name = &self.name;
                self.fail(format_args!("{name} `{id}` is already taken in line {first}"));
            } else {
                taken.insert(id.to_string(), line);
            }
        }
        self
    }

    /// One of a closed set of words.
    pub fn choice<T: Clone>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let (name, word) = (&self.name, self.string()?);
        match words.iter().find(|(known, _)| *known == word) {
            Some((_, choice)) => Some(choice.clone()),
            None => {
                let hint = hint(word, words.iter().map(|(known, _)| *known));
                self.refuse(format_args!("{name} cannot be `{word}`{hint}"))
            }
        }
    }

    /// A list of at least one item, each read by `read`; `None` if one of them has a mistake.
    pub fn list<T: PartialEq>(&self, read: impl Fn(&Value<'a>) -> Option<T>) -> Option<Vec<T>> {
        let name = &self.name;
        let DeValue::Array(array) = self.found? else {
            return self.wrong_type("a list: [\"…\", \"…\"]");
        };
        if array.is_empty() {
            return self.refuse(format_args!("{name} must not be empty; leave it out instead"));
        }
        let items = array.iter().map(|item| self.part(format!("an item of {name}"), item));
        let read = items.map(|item| (read(&item), item)).collect::<Vec<_>>();
        for (nth, (one, item)) in read.iter().enumerate() {
            if one.is_some() && read.iter().take(nth).any(|(earlier, _)| earlier == one) {
                item.fail(format_args!("{} stands there twice", item.name));
            }
        }
        read.into_iter().map(|(item, _)| item).collect()
    }

    /// A table whose keys are the file's own ids, e.g. `[labels]`; `None` if one of its values has
    /// a mistake.
    pub fn map<T>(&self, read: impl Fn(&Value<'a>) -> Option<T>) -> Option<BTreeMap<String, T>> {
        let DeValue::Table(table) = self.found? else {
            return self.wrong_type("a table: { … = … }");
        };
        let entry = |(key, value): (&'a toml::Spanned<_>, _)| {
            let part = self.part(key.to_string(), value);
            let value = Value { spot: Spot { at: part.spot.at, ..self.inside() }, ..part };
            if !is_id(&value.name) {
                value.fail(format_args!("key `{key}` must be 1 to {ID_CHARS_MAX} of a-z, 0-9, _"));
            }
            read(&value).map(|read| (value.name, read))
        };
        // Every one is read, and only then does a mistake in one count against all.
        let entries: Vec<_> = table.iter().map(entry).collect();
        entries.into_iter().collect()
    }

    /// A table with known keys that may be left out as a whole.
    pub fn table<T>(&self, read: impl FnOnce(&mut Section<'a>) -> T) -> Option<T> {
        let table = self.found?.as_table().or_else(|| self.wrong_type("a table"))?;
        Some(Section::read(Some(table), self.inside(), self.mistakes, read))
    }

    /// A table with known keys, each of which has its default also when the table is left out.
    pub fn settings<T>(&self, read: impl FnOnce(&mut Section<'a>) -> Option<T>) -> Option<T> {
        match self.found {
            Some(_) => self.table(read).flatten(),
            None => Section::read(None, self.inside(), self.mistakes, read),
        }
    }

    /// A list of tables; each is called by its id where it has one, else by its number.
    pub fn tables<T>(&self, noun: &str, mut read: impl FnMut(&mut Section<'a>) -> T) -> Vec<T> {
        let Some(found) = self.found else { return Vec::new() };
        let Some(tables) = found.as_array() else {
            self.wrong_type::<()>(&format!(
                "a list of tables: write [[{}]] before each",
                self.name
            ));
            return Vec::new();
        };
        let mut results = Vec::new();
        for (nth, item) in tables.iter().enumerate() {
            let item = self.part(noun.to_owned(), item);
            let Some(DeValue::Table(table)) = item.found else {
                item.wrong_type::<()>("a table: { … }");
                continue;
            };
            let place = match table.get("id").and_then(|id| id.get_ref().as_str()) {
                Some(id) => format!("{noun} `{id}`"),
                None => format!("{noun} {}", nth + 1),
            };
            let spot = Spot { place, ..item.spot };
            results.push(Section::read(Some(table), spot, self.mistakes, &mut read));
        }
        results
    }

    /// Notes the mistake and answers `None`.
    pub fn refuse<T>(&self, reason: impl Display) -> Option<T> {
        self.fail(reason);
        None
    }

    fn inside(&self) -> Spot {
        let place = match self.spot.place.as_str() {
            "" => format!("[{}]", self.name),
            outer => format!("{outer}: {}", self.name),
        };
        Spot { place, ..self.spot.clone() }
    }

    fn part(&self, name: String, part: &'a toml::Spanned<DeValue<'a>>) -> Value<'a> {
        let spot = Spot { at: part.span().start, ..self.spot.clone() };
        Value { name, found: Some(part.get_ref()), spot, mistakes: self.mistakes }
    }

    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        let kind = self.found?.type_str();
        self.refuse(format_args!("{} is a TOML {kind}, but must be {wanted}", self.name))
    }
}

fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

/// `; did you mean …?` where something known is near, else the list of what is known.
pub(super) fn hint<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.collect();
    let distance = |known: &str| {
        let part = known.starts_with(word) || word.starts_with(known);
        if part { 1 } else { strsim::damerau_levenshtein(word, known) }
    };
    let nearest = known.iter().map(|known| (distance(known), *known)).min();
    match nearest {
        Some((distance, near)) if distance <= word.chars().count().div_ceil(3) => {
            format!("; did you mean `{near}`?")
        }
        Some(_) => format!("; known here: {}", known.join(", ")),
        None => String::new(),
    }
}
