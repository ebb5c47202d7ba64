//! Reads the fields of a request, and remembers every one that isn't as it must be, so that all of them are
//! told at once.

use super::{status, words};
use tonic::Status;
use tonic_types::FieldViolation;

/// The longest name of anything: ours, Stripe's, an account's.
const NAME_BYTES_MAX: usize = 255;

/// The longest e-mail address.
const ADDRESS_CHARS_MAX: usize = 320;

/// The longest note.
const NOTE_CHARS_MAX: usize = 200;

/// What is wrong so far.
#[derive(Debug, Default)]
pub struct Fields {
    violations: Vec<FieldViolation>,
}

impl Fields {
    /// Reads a request by `read`, which complains here.
    ///
    /// # Errors
    /// INVALID_FIELD, if it has complained.
    pub fn read<T>(read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T, Status> {
        let mut fields = Self::default();
        match read(&mut fields) {
            Some(read) if fields.violations.is_empty() => Ok(read),
            Some(_) | None => Err(status::invalid(fields.violations)),
        }
    }

    /// A field isn't as it must be.
    pub fn fail<T>(&mut self, field: impl Into<String>, description: &str) -> Option<T> {
        self.violations.push(FieldViolation::new(field, description));
        None
    }

    /// The name of something, which must be given.
    pub fn name(&mut self, field: impl Into<String>, name: String) -> Option<String> {
        let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|c| c.is_ascii_graphic());
        if is_name {
            Some(name)
        } else {
            self.fail(field, "give 1 to 255 visible ASCII characters")
        }
    }

    /// The name of something, or none.
    pub fn optional_name(&mut self, field: &str, name: String) -> Option<Option<String>> {
        if name.is_empty() { Some(None) } else { self.name(field, name).map(Some) }
    }

    /// A name or an e-mail address.
    pub fn address(&mut self, field: &str, word: String) -> Option<String> {
        let chars = word.chars().count();
        let is_word = (1..=ADDRESS_CHARS_MAX).contains(&chars)
            && !word.chars().any(|c| c.is_control() || c.is_whitespace());
        let wrong = "give 1 to 320 characters without spaces";
        if is_word { Some(word) } else { self.fail(field, wrong) }
    }

    /// A note, which may be empty.
    pub fn note(&mut self, field: &str, note: String) -> Option<String> {
        let is_note = note.chars().count() <= NOTE_CHARS_MAX && !note.chars().any(char::is_control);
        if is_note {
            Some(note)
        } else {
            self.fail(field, "give at most 200 characters, on one line")
        }
    }

    /// A note that says something.
    pub fn needed_note(&mut self, field: &str, note: String) -> Option<String> {
        if note.trim().is_empty() {
            return self.fail(field, "say why, in 1 to 200 characters");
        }
        self.note(field, note)
    }

    /// A state that is filtered by, as the tables have it; or none.
    pub fn filter<E: words::Word>(
        &mut self,
        field: &str,
        number: i32,
    ) -> Option<Option<&'static str>> {
        if number == 0 {
            return Some(None);
        }
        match words::word::<E>(number) {
            Some(word) => Some(Some(word)),
            None => self.fail(field, "there is no such state"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::payments::v1::InboxState;

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let refused = Fields::read(|fields| {
            let name = fields.name("id", "a b".to_owned());
            let note = fields.needed_note("note", " ".to_owned());
            let state = fields.filter::<InboxState>("state", 99);
            Some((name?, note?, state?))
        });
        let message = refused.unwrap_err().message().to_owned();
        assert_eq!(message, "id: give 1 to 255 visible ASCII characters (and 2 more fields)");
    }

    #[test]
    fn what_the_database_cannot_keep_is_refused() {
        let mut fields = Fields::default();
        assert_eq!(fields.name("id", "a\0".to_owned()), None);
        assert_eq!(fields.note("note", "a\0".to_owned()), None);
        assert_eq!(fields.address("customer", "a\0".to_owned()), None);
        assert_eq!(fields.note("note", "ä".repeat(200)), Some("ä".repeat(200)));
        assert_eq!(fields.note("note", "ä".repeat(201)), None);
    }
}
