//! One statement for many rows: `head (?, …), (?, …) tail`.
//!
//! SQLite has no arrays; rows are bound one value each, and every statement is a trip to the thread
//! that its driver keeps for the connection. So rows are padded with NULLs, which no statement
//! matches or inserts, up to one of a few fixed numbers: one statement takes them all, and its text is
//! one of ten and stays prepared.

use crate::store::records::{Columns, Record, Value};
use sqlx::{
    Sqlite,
    sqlite::{SqliteArguments, SqliteConnection},
};
use std::iter;

/// Rows per statement. 512 rows of 21 columns stay far below the 32,766 values that SQLite takes.
const SIZES: [usize; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

pub(super) type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

impl Columns for Query {
    fn column(self, value: impl Value) -> Self {
        self.bind(value)
    }
}

/// A statement for any number of rows.
pub(super) struct Many {
    statements: [String; SIZES.len()],
}

impl Many {
    pub(super) fn new(head: &str, columns: usize, tail: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let statement = |rows| format!("{head} {} {tail}", vec![row.as_str(); rows].join(", "));
        Self { statements: SIZES.map(statement) }
    }

    /// The statements for `rows`, each with how many of them it takes.
    pub(super) fn cut<'a, T>(
        &'static self,
        rows: &'a [T],
    ) -> impl Iterator<Item = (&'static str, &'a [T])> + use<'a, T> {
        let mut rest = rows;
        iter::from_fn(move || {
            let mut sizes = SIZES.into_iter().zip(&self.statements);
            let fits = |size: usize| rest.len() <= size || Some(&size) == SIZES.last();
            let (size, statement) = sizes.find(|(size, _)| !rest.is_empty() && fits(*size))?;
            let (chunk, others) = rest.split_at(size.min(rest.len()));
            rest = others;
            Some((statement.as_str(), chunk))
        })
    }

    /// Writes all rows.
    pub(super) async fn write<R: Record>(
        &'static self,
        connection: &mut SqliteConnection,
        rows: &[R],
    ) -> Result<(), sqlx::Error> {
        self.execute(connection, rows, |query, row| row.write(query)).await
    }

    /// Executes it with all rows.
    pub(super) async fn execute<T>(
        &'static self,
        connection: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(Query, &T) -> Query,
    ) -> Result<(), sqlx::Error> {
        for (statement, chunk) in self.cut(rows) {
            let query = chunk.iter().fold(sqlx::query(statement), &bind);
            query.execute(&mut *connection).await?;
        }
        Ok(())
    }
}
