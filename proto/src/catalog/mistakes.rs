//! Every mistake of a catalog file with its place, so that a person mends the file in one go.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;

/// One mistake in a catalog file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CatalogError {
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in the line, in characters from 1.
    pub column: usize,
    /// What is wrong there and what to do about it, e.g. ``package `starter`: price_minor must be
    /// at least 1, not 0``.
    pub reason: String,
}

/// All mistakes of one catalog file in the order of its lines; there is at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CatalogErrors {
    source_name: String,
    errors: Vec<CatalogError>,
}

impl CatalogErrors {
    /// The file's name, as it was given to [`Catalog::parse`](super::Catalog::parse).
    pub fn source_name(&self) -> &str {
        &self.source_name
    }

    /// The mistakes, first line first.
    pub fn errors(&self) -> &[CatalogError] {
        &self.errors
    }
}

/// One line a mistake: `file:line:column: reason`.
impl fmt::Display for CatalogErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, CatalogError { line, column, reason }) in self.errors.iter().enumerate() {
            if nth > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:{line}:{column}: {reason}", self.source_name)?;
        }
        Ok(())
    }
}

impl Error for CatalogErrors {}

/// A place in the file: a byte offset, and the words for it in a message ("" at the top level).
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub at: usize,
    pub place: String,
}

/// Collects mistakes while the file is read; reading goes on after each.
pub(super) struct Mistakes<'a> {
    text: &'a str,
    found: RefCell<Vec<(usize, String)>>,
}

impl<'a> Mistakes<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, found: RefCell::default() }
    }

    pub fn note(&self, spot: &Spot, reason: impl fmt::Display) {
        let reason = match spot.place.as_str() {
            "" => reason.to_string(),
            place => format!("{place}: {reason}"),
        };
        self.found.borrow_mut().push((spot.at, reason));
    }

    pub fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// The line of a byte offset, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.before(at).matches('\n').count() + 1
    }

    pub fn into_errors(self, source_name: &str) -> CatalogErrors {
        let mut found = self.found.take();
        found.sort_by_key(|(at, _)| *at);
        let locate = |(at, reason)| CatalogError {
            line: self.line(at),
            column: self.before(at).chars().rev().take_while(|c| *c != '\n').count() + 1,
            reason,
        };
        let errors = found.into_iter().map(locate).collect();
        CatalogErrors { source_name: source_name.to_owned(), errors }
    }

    fn before(&self, at: usize) -> &'a str {
        self.text.get(..at).unwrap_or(self.text)
    }
}
