//! Rows as columns: PostgreSQL takes a batch as one array per column, in a statement of fixed text.

use sqlx::{
    Encode, Postgres, Type,
    postgres::{PgArguments, PgHasArrayType},
};

pub(super) type PgQuery = sqlx::query::Query<'static, Postgres, PgArguments>;

/// A table of the schema `ledger`, and its columns with their types, the key first.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, &'static str)],
}

impl Table {
    /// Rows from the parameters `$first`, …; and the number of the parameter after the last.
    pub(super) fn insert(&self, first: usize) -> (String, usize) {
        let (unnest, next) = self.unnest(first);
        let columns = self.names().join(", ");
        (format!("INSERT INTO ledger.{} ({columns}) SELECT * FROM {unnest}", self.name), next)
    }

    /// Changes the rows whose first column is that of a row in the parameters.
    pub(super) fn update(&self, first: usize) -> (String, usize) {
        let (unnest, next) = self.unnest(first);
        let (key, rest) = self
            .names()
            .split_first()
            .map(|(key, rest)| (*key, rest.to_vec()))
            .expect("a table has columns");
        let set: Vec<String> = rest.iter().map(|column| format!("{column} = n.{column}")).collect();
        let (name, set, columns) = (self.name, set.join(", "), self.names().join(", "));
        let update = format!(
            "UPDATE ledger.{name} t SET {set} FROM {unnest} AS n ({columns}) WHERE t.{key} = n.{key}"
        );
        (update, next)
    }

    /// Inserts rows, or changes those that are there; the first `keys` columns say which.
    pub(super) fn upsert(&self, keys: usize) -> String {
        let (insert, _) = self.insert(1);
        let names = self.names();
        let (key, rest) = names.split_at(keys);
        let set: Vec<String> =
            rest.iter().map(|column| format!("{column} = excluded.{column}")).collect();
        format!("{insert} ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), set.join(", "))
    }

    fn names(&self) -> Vec<&'static str> {
        self.columns.iter().map(|(name, _)| *name).collect()
    }

    fn unnest(&self, first: usize) -> (String, usize) {
        let arrays: Vec<String> = (first..)
            .zip(self.columns)
            .map(|(number, (_, sql_type))| format!("${number}::{sql_type}[]"))
            .collect();
        (format!("unnest({})", arrays.join(", ")), first + self.columns.len())
    }
}

/// Binding rows column by column.
pub(super) trait Columns {
    /// One column of all rows.
    fn column<'r, R, V>(self, rows: &'r [R], value: impl Fn(&'r R) -> V) -> Self
    where
        V: for<'q> Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType;
}

impl Columns for PgQuery {
    fn column<'r, R, V>(self, rows: &'r [R], value: impl Fn(&'r R) -> V) -> Self
    where
        V: for<'q> Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType,
    {
        self.bind(rows.iter().map(value).collect::<Vec<V>>())
    }
}
