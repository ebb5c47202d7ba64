//! One view of the whole database, for as long as it is wanted: what is read now and in a minute is as
//! of one moment, however much is written meanwhile.
//!
//! It has a connection of its own, which goes with it: whoever is given up in the middle leaves nothing
//! open. Tables are read page by page in the order of their keys, so that a ledger of any size takes
//! the memory of some pages. What can't be read is told row by row: somebody may have edited it.

use super::{Position, Store, StoreError};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sqlx::{
    AssertSqlSafe, Column as _, FromRow, Row as _, TypeInfo as _, ValueRef as _,
    postgres::{PgConnection, PgRow},
    sqlite::{SqliteConnection, SqliteRow},
};
use std::fmt::Write as _;
use uuid::Uuid;

/// Rows of a page of a table that is read as a whole.
pub const PAGE_ROWS: usize = 1_000;

/// A view of the database.
#[derive(Debug)]
pub enum Snapshot {
    /// Of a file.
    Sqlite(SqliteConnection),
    /// Of a server's database.
    Postgres(PgConnection),
}

/// Where a page ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum After {
    /// At a row named by one text.
    Text(String),
    /// At a row named by a number.
    Number(i64),
    /// At an account's row of a number.
    Numbered(String, i64),
    /// At an account's row of an id.
    Named(String, Uuid),
    /// At the row of an id, and then an account.
    Ordered(Uuid, String),
}

impl After {
    /// The account, if it is about one.
    #[must_use]
    pub fn account(&self) -> &str {
        match self {
            Self::Text(account)
            | Self::Numbered(account, _)
            | Self::Named(account, _)
            | Self::Ordered(_, account) => account,
            Self::Number(_) => "",
        }
    }
}

/// The key of a table, or of a join: in its order its pages are read.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The columns, as the condition names them.
    pub columns: &'static str,
    /// The columns, as the answer names them.
    pub names: &'static [&'static str],
    /// Before it there is no row.
    pub start: fn() -> After,
}

impl Key {
    /// A text.
    #[must_use]
    pub const fn text(columns: &'static str, names: &'static [&'static str]) -> Self {
        Self { columns, names, start: || After::Text(String::new()) }
    }

    /// A number.
    #[must_use]
    pub const fn number(columns: &'static str, names: &'static [&'static str]) -> Self {
        Self { columns, names, start: || After::Number(i64::MIN) }
    }

    /// An account and a number.
    #[must_use]
    pub const fn numbered(columns: &'static str, names: &'static [&'static str]) -> Self {
        Self { columns, names, start: || After::Numbered(String::new(), 0) }
    }

    /// An account and an id.
    #[must_use]
    pub const fn named(columns: &'static str, names: &'static [&'static str]) -> Self {
        Self { columns, names, start: || After::Named(String::new(), Uuid::nil()) }
    }

    /// An id and an account.
    #[must_use]
    pub const fn ordered(columns: &'static str, names: &'static [&'static str]) -> Self {
        Self { columns, names, start: || After::Ordered(Uuid::nil(), String::new()) }
    }
}

/// What to read.
#[derive(Clone, Debug)]
pub struct Select {
    /// `SELECT … FROM … WHERE`, or the same and conditions that end in `AND`; tables are `{}name`.
    pub head: String,
    /// In which order.
    pub key: Key,
    /// Only rows in which this column is this account.
    pub only: Option<(&'static str, String)>,
    /// How many at a time.
    pub rows: usize,
    /// The columns as one JSON array, if the driver should be given pages rather than rows: those of
    /// SQLite's go from one thread to another value by value, which takes longer than to find them.
    pub packed: Option<&'static str>,
}

/// A row and its key.
#[derive(Debug)]
pub struct Read<T> {
    /// Its key.
    pub key: After,
    /// What is in it, or in words why that can't be read.
    pub row: Result<T, String>,
}

/// A row of either database.
pub trait Readable:
    for<'r> FromRow<'r, SqliteRow>
    + for<'r> FromRow<'r, PgRow>
    + DeserializeOwned
    + Send
    + Unpin
    + 'static
{
}

impl<T> Readable for T where
    T: for<'r> FromRow<'r, SqliteRow>
        + for<'r> FromRow<'r, PgRow>
        + DeserializeOwned
        + Send
        + Unpin
        + 'static
{
}

/// The same for either database: a query, what is bound to it, and what becomes of its rows.
macro_rules! fetch {
    ($connection:expr, $sql:expr, $after:expr, $only:expr) => {{
        let query = sqlx::query(AssertSqlSafe($sql));
        let query = match $after {
            After::Text(text) => query.bind(text.clone()),
            After::Number(number) => query.bind(*number),
            After::Numbered(account, number) => query.bind(account.clone()).bind(*number),
            After::Named(account, id) => query.bind(account.clone()).bind(*id),
            After::Ordered(id, account) => query.bind(*id).bind(account.clone()),
        };
        let query = match $only {
            Some((_, account)) => query.bind(account.clone()),
            None => query,
        };
        query.fetch_all($connection).await?
    }};
}

/// A row's key, of the same kind as the one before.
macro_rules! key_of {
    ($row:expr, $names:expr, $like:expr) => {
        match ($like, $names) {
            (After::Text(_), [a, ..]) => $row.try_get(*a).map(After::Text),
            (After::Number(_), [a, ..]) => $row.try_get(*a).map(After::Number),
            (After::Numbered(..), [a, b, ..]) => {
                $row.try_get(*a).and_then(|account| Ok(After::Numbered(account, $row.try_get(*b)?)))
            }
            (After::Named(..), [a, b, ..]) => {
                $row.try_get(*a).and_then(|account| Ok(After::Named(account, $row.try_get(*b)?)))
            }
            (After::Ordered(..), [a, b, ..]) => {
                $row.try_get(*a).and_then(|id| Ok(After::Ordered(id, $row.try_get(*b)?)))
            }
            (_, _) => Err(sqlx::Error::ColumnNotFound($names.join(", "))),
        }
    };
}

/// A row as it is, column by column.
macro_rules! verbatim {
    ($row:expr) => {{
        let columns = $row.columns().iter().enumerate();
        let value = |at: usize, kind: &str| -> Result<Value, sqlx::Error> {
            Ok(match kind {
                "NULL" => Value::Null,
                "INT8" | "INTEGER" | "INT4" => Value::from($row.try_get::<i64, _>(at)?),
                "UUID" => Value::from(hex($row.try_get::<Uuid, _>(at)?.as_bytes())),
                "BYTEA" | "BLOB" => Value::from(hex(&$row.try_get::<Vec<u8>, _>(at)?)),
                _ => Value::from($row.try_get::<String, _>(at)?),
            })
        };
        let columns = columns.map(|(at, column)| {
            let raw = $row.try_get_raw(at);
            let read = raw.and_then(|raw| match raw.is_null() {
                true => Ok(Value::Null),
                false => value(at, raw.type_info().name()),
            });
            let read = read.unwrap_or_else(|why| {
                Value::Object(Map::from_iter([("unreadable".to_owned(), why.to_string().into())]))
            });
            (column.name().to_owned(), read)
        });
        columns.collect::<Map<String, Value>>()
    }};
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string can be written to");
        hex
    })
}

impl Snapshot {
    /// A view of the database as it is now.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn of(store: &Store) -> Result<Self, StoreError> {
        match store {
            Store::Sqlite(sqlite) => Ok(Self::Sqlite(sqlite.snapshot().await?)),
            Store::Postgres(postgres) => Ok(Self::Postgres(postgres.snapshot().await?)),
            #[cfg(feature = "simulator")]
            Store::Simulated(_) => {
                Err(StoreError::broken("the simulator's database is looked at from outside"))
            }
        }
    }

    fn sql(&self, text: &str) -> String {
        text.replace(
            "{}",
            match self {
                Self::Sqlite(_) => "",
                Self::Postgres(_) => "ledger.",
            },
        )
    }

    fn page_sql(&self, select: &Select, after: &After) -> String {
        let columns = select.key.columns;
        // Nothing comes before the start, but a row may be just there.
        let behind = if *after == (select.key.start)() { ">=" } else { ">" };
        let (condition, next) = match after {
            After::Text(_) | After::Number(_) => (format!("{columns} {behind} $1"), 2),
            After::Numbered(..) | After::Named(..) | After::Ordered(..) => {
                (format!("({columns}) {behind} ($1, $2)"), 3)
            }
        };
        let only = select.only.as_ref();
        let only = only.map(|(column, _)| format!(" AND {column} = ${next}")).unwrap_or_default();
        let head = &select.head;
        let rows = select.rows;
        self.sql(&format!("{head} {condition}{only} ORDER BY {columns} LIMIT {rows}"))
    }

    /// The page after this key; one with fewer rows than were asked for is the last.
    ///
    /// # Errors
    /// If the database fails, or a row's key can't be read.
    pub async fn page<T: Readable>(
        &mut self,
        select: &Select,
        after: &After,
    ) -> Result<Vec<Read<T>>, StoreError> {
        let sql = self.page_sql(select, after);
        if let (Self::Sqlite(connection), Some(packed)) = (&mut *self, select.packed)
            && let Some(page) = packed_page(connection, &sql, packed, select, after).await
        {
            return Ok(page);
        }
        macro_rules! read {
            ($connection:expr) => {{
                let rows = fetch!($connection, sql, after, &select.only);
                let read = rows.iter().map(|row| {
                    let key = key_of!(row, select.key.names, after)?;
                    Ok(Read { key, row: T::from_row(row).map_err(|why| why.to_string()) })
                });
                read.collect()
            }};
        }
        match self {
            Self::Sqlite(connection) => read!(connection),
            Self::Postgres(connection) => read!(connection),
        }
    }

    /// The same, every column as it is.
    ///
    /// # Errors
    /// If the database fails, or a row's key can't be read.
    pub async fn verbatim(
        &mut self,
        select: &Select,
        after: &After,
    ) -> Result<Vec<(After, Map<String, Value>)>, StoreError> {
        let sql = self.page_sql(select, after);
        macro_rules! read {
            ($connection:expr) => {{
                let rows = fetch!($connection, sql, after, &select.only);
                let read = rows
                    .iter()
                    .map(|row| Ok((key_of!(row, select.key.names, after)?, verbatim!(row))));
                read.collect()
            }};
        }
        match self {
            Self::Sqlite(connection) => read!(connection),
            Self::Postgres(connection) => read!(connection),
        }
    }

    /// How many rows `FROM …` has, of one account (by this column) or of all.
    ///
    /// # Errors
    /// If they can't be counted.
    pub async fn count(
        &mut self,
        from: &str,
        only: Option<&(&'static str, String)>,
    ) -> Result<i64, StoreError> {
        let condition = only.map(|(column, _)| format!(" WHERE {column} = $1")).unwrap_or_default();
        let sql = self.sql(&format!("SELECT count(*) FROM {{}}{from}{condition}"));
        macro_rules! read {
            ($connection:expr) => {{
                let query = sqlx::query_scalar(AssertSqlSafe(sql));
                let query = match only {
                    Some((_, account)) => query.bind(account.clone()),
                    None => query,
                };
                Ok(query.fetch_one($connection).await?)
            }};
        }
        match self {
            Self::Sqlite(connection) => read!(connection),
            Self::Postgres(connection) => read!(connection),
        }
    }

    /// Where the stream stands: the rows of its id, of which there should be one.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn positions(&mut self) -> Result<Vec<Position>, StoreError> {
        let sql = self.sql("SELECT epoch, position FROM {}stream WHERE stream_id = 1 LIMIT 2");
        macro_rules! read {
            ($connection:expr) => {
                sqlx::query_as(AssertSqlSafe(sql)).fetch_all($connection).await?
            };
        }
        let found: Vec<(String, i64)> = match self {
            Self::Sqlite(connection) => read!(connection),
            Self::Postgres(connection) => read!(connection),
        };
        Ok(found.into_iter().map(|(epoch, position)| Position { epoch, position }).collect())
    }
}

/// A page in one value; `None` if there is anything in it that can't be read: then it is read row by
/// row.
async fn packed_page<T: DeserializeOwned>(
    connection: &mut SqliteConnection,
    page: &str,
    packed: &str,
    select: &Select,
    after: &After,
) -> Option<Vec<Read<T>>> {
    let (first, second) = match select.key.names {
        [one] => (*one, "0"),
        [one, two, ..] => (*one, *two),
        [] => return None,
    };
    let sql =
        format!("SELECT json_group_array(json_array({first}, {second}, {packed})) FROM ({page})");
    let fetched = async { Ok::<_, StoreError>(fetch!(connection, sql, after, &select.only)) };
    let text: String = fetched.await.ok()?.first()?.try_get(0).ok()?;
    let read = |key, row| Read { key, row: Ok(row) };
    Some(match after {
        After::Text(_) => {
            let rows: Vec<(String, i64, T)> = serde_json::from_str(&text).ok()?;
            rows.into_iter().map(|(key, _, row)| read(After::Text(key), row)).collect()
        }
        After::Number(_) => {
            let rows: Vec<(i64, i64, T)> = serde_json::from_str(&text).ok()?;
            rows.into_iter().map(|(key, _, row)| read(After::Number(key), row)).collect()
        }
        After::Numbered(..) => {
            let rows: Vec<(String, i64, T)> = serde_json::from_str(&text).ok()?;
            let key = |(account, number, row)| read(After::Numbered(account, number), row);
            rows.into_iter().map(key).collect()
        }
        After::Named(..) | After::Ordered(..) => return None,
    })
}
