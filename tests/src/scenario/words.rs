//! The words of a line: cut at blanks, read one after the other. What isn't understood is told with
//! what would have been, and nothing is skipped.

use super::time;

/// What was expected where something else stood.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) expected: String,
    pub(super) found: String,
}

impl Wrong {
    pub(super) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into() }
    }
}

/// The words of a line, or of one side of its arrow, and how far they have been read.
#[derive(Clone, Debug)]
pub(super) struct Words {
    words: Vec<String>,
    next: usize,
}

impl Words {
    /// Cuts a text into words. Double quotes keep blanks together, a comma at a word's end is a word
    /// of its own, and `#` behind a blank begins a comment.
    pub(super) fn of(text: &str) -> Self {
        let mut words = Vec::new();
        let mut word = String::new();
        let (mut quoted, mut open) = (false, false);
        for letter in text.chars() {
            match letter {
                '"' => {
                    quoted = !quoted;
                    open = true;
                }
                '#' if !quoted && !open => break,
                _ if letter.is_whitespace() && !quoted => {
                    if open {
                        close(&mut words, &mut word);
                    }
                    open = false;
                }
                _ => {
                    word.push(letter);
                    open = true;
                }
            }
        }
        if open {
            close(&mut words, &mut word);
        }
        Self { words, next: 0 }
    }

    /// The words before the arrow, and those behind it if there is one.
    pub(super) fn split_at_arrow(mut self) -> (Self, Option<Self>) {
        let arrow = self.words.iter().position(|word| word == "->");
        let right = arrow.map(|at| {
            let words = self.words.split_off(at).split_off(1);
            Self { words, next: 0 }
        });
        (self, right)
    }

    /// The phrases between commas.
    pub(super) fn phrases(&self) -> Vec<Self> {
        let phrases = self.words.split(|word| word == ",");
        phrases.map(|words| Self { words: words.to_vec(), next: 0 }).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next >= self.words.len()
    }

    pub(super) fn peek(&self) -> Option<&str> {
        self.words.get(self.next).map(String::as_str)
    }

    /// What stands behind the next word.
    pub(super) fn peek_second(&self) -> Option<&str> {
        self.words.get(self.next + 1).map(String::as_str)
    }

    /// The next word, whatever it is.
    pub(super) fn word(&mut self, expected: &str) -> Result<String, Wrong> {
        let word = self.peek().map(ToOwned::to_owned).ok_or_else(|| self.wrong(expected))?;
        self.next += 1;
        Ok(word)
    }

    /// Whether the next word is this one; if so, it is read.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        if found {
            self.next += 1;
        }
        found
    }

    /// The next word must be this one.
    pub(super) fn need(&mut self, word: &str) -> Result<(), Wrong> {
        if self.take(word) { Ok(()) } else { Err(self.wrong(&format!("`{word}`"))) }
    }

    pub(super) fn number(&mut self, expected: &str) -> Result<i64, Wrong> {
        let number = self.peek().and_then(|word| word.parse().ok());
        let number = number.ok_or_else(|| self.wrong(expected))?;
        self.next += 1;
        Ok(number)
    }

    /// The next word if it is a number.
    pub(super) fn maybe_number(&mut self) -> Option<i64> {
        let number = self.peek().and_then(|word| word.parse().ok());
        if number.is_some() {
            self.next += 1;
        }
        number
    }

    /// A point in time: a date, a date with a time, or `+7d` from `now`.
    pub(super) fn time(&mut self, now: i64) -> Result<i64, Wrong> {
        let found = self.peek().and_then(|word| time::parse(word, now));
        let found =
            found.ok_or_else(|| self.wrong("a time (2026-01-31, 2026-01-31T12:00:00Z, +7d)"))?;
        self.next += 1;
        Ok(found)
    }

    /// A length of time in microseconds.
    pub(super) fn duration(&mut self) -> Result<i64, Wrong> {
        let found = self.peek().and_then(time::parse_duration);
        let found = found.ok_or_else(|| self.wrong("a duration (30s, 15m, 2h, 7d)"))?;
        self.next += 1;
        Ok(found)
    }

    /// Words with commas between them: `a,b`.
    pub(super) fn list(&mut self, expected: &str) -> Result<Vec<String>, Wrong> {
        Ok(self.word(expected)?.split(',').map(ToOwned::to_owned).collect())
    }

    /// That's all.
    pub(super) fn end(&self, expected: &str) -> Result<(), Wrong> {
        if self.is_empty() { Ok(()) } else { Err(self.wrong(expected)) }
    }

    /// The next word isn't what was expected.
    pub(super) fn wrong(&self, expected: &str) -> Wrong {
        let found = self.peek().map_or_else(|| "nothing".to_owned(), |word| format!("`{word}`"));
        Wrong::new(expected, found)
    }
}

fn close(words: &mut Vec<String>, word: &mut String) {
    let word = std::mem::take(word);
    match word.strip_suffix(',') {
        Some("") | None => words.push(word),
        Some(rest) => words.extend([rest.to_owned(), ",".to_owned()]),
    }
}
