//! What is printed: tables in GitHub's format as they come, and all of them as JSON at the end.

use serde_json::{Value, json};
use std::{error::Error, fs, path::Path};

/// Tables so far.
#[derive(Debug, Default)]
pub struct Report {
    tables: Vec<Value>,
}

/// A table that is being printed.
#[derive(Debug)]
pub struct Table<'a> {
    report: &'a mut Report,
    title: &'a str,
    headings: &'a [&'a str],
    rows: Vec<Value>,
}

impl Report {
    /// Begins a table.
    pub fn table<'a>(&'a mut self, title: &'a str, headings: &'a [&'a str]) -> Table<'a> {
        println!("\n## {title}\n\n| {} |", headings.join(" | "));
        println!("|{}", "---|".repeat(headings.len()));
        Table { report: self, title, headings, rows: Vec::new() }
    }

    /// A sentence between the tables.
    pub fn say(&mut self, words: &str) {
        println!("\n{words}");
        self.tables.push(json!({ "words": words }));
    }

    /// Writes all of it as JSON.
    pub fn write(&self, file: Option<&Path>) -> Result<(), Box<dyn Error>> {
        if let Some(file) = file {
            fs::write(file, serde_json::to_string_pretty(&self.tables)?)?;
        }
        Ok(())
    }
}

impl Table<'_> {
    /// One row, a cell for each heading.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        println!("| {} |", cells.join(" | "));
        let named = self.headings.iter().zip(cells);
        self.rows.push(
            named.map(|(heading, cell)| ((*heading).to_owned(), Value::from(cell))).collect(),
        );
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        self.report.tables.push(json!({ "title": self.title, "rows": rows }));
    }
}

/// A count as a figure to calculate with.
#[expect(clippy::as_conversions, reason = "exact up to 2^53")]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// The middle one; of an even number, the upper of the middle two. 0 if there is none.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median([3.0, 1.0, 2.0]).total_cmp(&2.0), std::cmp::Ordering::Equal);
        assert_eq!(median([]).total_cmp(&0.0), std::cmp::Ordering::Equal);
    }

    #[test]
    fn tables_can_be_read_as_json() {
        let mut report = Report::default();
        report.table("speed", &["what", "how much"]).row(["a".to_owned(), "1".to_owned()]);
        let rows = &report.tables[0]["rows"];
        assert_eq!(*rows, json!([{ "what": "a", "how much": "1" }]));
    }
}
