//! Comma-separated values after RFC 4180, for people who open them in a spreadsheet.

/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// What must stand between quotes.
const SPECIAL: [char; 4] = [',', '"', '\r', '\n'];

/// Rows of cells.
#[derive(Debug, Default)]
pub struct Table {
    text: String,
    is_midway: bool,
}

impl Table {
    /// A whole row of words of our own.
    pub fn head(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.cell(name));
        self.end();
    }

    /// A number, a time, or a word of our own.
    pub fn cell(&mut self, value: &str) {
        if self.is_midway {
            self.text.push(',');
        }
        self.is_midway = true;
        if value.contains(SPECIAL) {
            self.text.extend(["\"", &value.replace('"', "\"\""), "\""]);
        } else {
            self.text.push_str(value);
        }
    }

    /// Somebody else's words. What a spreadsheet would take for a formula gets an apostrophe in front,
    /// by which it is told that this is text.
    pub fn text(&mut self, words: &str) {
        if words.starts_with(FORMULA) {
            self.cell(&format!("'{words}"));
        } else {
            self.cell(words);
        }
    }

    /// Ends the row.
    pub fn end(&mut self) {
        self.text.push_str("\r\n");
        self.is_midway = false;
    }

    /// All of it.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_formulas_are_text() {
        let mut table = Table::default();
        table.head(&["amount", "words"]);
        table.cell("-5");
        table.text("a \"b\", c");
        table.end();
        for words in ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "x=1", ""] {
            table.text(words);
        }
        table.end();
        let rows =
            "amount,words\r\n-5,\"a \"\"b\"\", c\"\r\n'=1+1,'+1,'-1,'@x,'\tx,\"'\rx\",x=1,\r\n";
        assert_eq!(table.finish(), rows);
    }
}
