//! One statement for many rows: `head (?, …), (?, …) tail`.
//!
//! SQLite has no arrays; rows are bound one value each. A batch is cut into chunks of a few fixed
//! sizes, so that every statement's text is one of nine and stays prepared.

use crate::store::records::{Columns, Record, Value};
use sqlx::{
    Sqlite,
    sqlite::{SqliteArguments, SqliteConnection},
};
use std::iter;

/// Rows per statement, the largest first. 256 rows of 20 columns stay far below SQLite's 32,766.
const CHUNKS: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

pub(super) type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

impl Columns for Query {
    fn column(self, value: impl Value) -> Self {
        self.bind(value)
    }
}

/// A statement for any number of rows.
pub(super) struct Many {
    statements: [String; CHUNKS.len()],
}

impl Many {
    pub(super) fn new(head: &str, columns: usize, tail: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let statement = |rows| format!("{head} {} {tail}", vec![row.as_str(); rows].join(", "));
        Self { statements: CHUNKS.map(statement) }
    }

    /// The statements for `rows`, each with how many of them it takes.
    pub(super) fn cut<'a, T>(
        &'static self,
        rows: &'a [T],
    ) -> impl Iterator<Item = (&'static str, &'a [T])> + use<'a, T> {
        let mut rest = rows;
        iter::from_fn(move || {
            let mut sizes = CHUNKS.into_iter().zip(&self.statements);
            let (size, statement) = sizes.find(|(size, _)| *size <= rest.len())?;
            let (chunk, others) = rest.split_at(size);
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
