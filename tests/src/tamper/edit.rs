//! One tampering after the other, drawn by chance.

use super::{Kind, Row, TABLES, Table, Tampering};
use ledger::{Body, Clawback, Grant, Hold};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// The rows of a ledger, by table.
pub(super) type Rows = BTreeMap<String, Vec<Row>>;

/// How the database writes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// What tampers.
pub(super) struct Hand<'r> {
    pub(super) rng: fastrand::Rng,
    pub(super) rows: &'r Rows,
    pub(super) dialect: Dialect,
}

impl Hand<'_> {
    /// A tampering that means something, if this throw of the dice gives one.
    pub(super) fn tamper(&mut self) -> Option<Tampering> {
        match self.rng.u32(..100) {
            0..45 => self.edit(),
            45..55 => self.edit_changes(),
            55..65 => self.edit_account(),
            65..77 => self.delete(),
            77..88 => self.swap(),
            _ => self.insert(),
        }
    }

    fn table(&mut self) -> Option<(&'static Table, Row)> {
        let table = &TABLES[self.rng.usize(..TABLES.len())];
        Some((table, self.row(table)?))
    }

    fn row(&mut self, table: &Table) -> Option<Row> {
        let rows = self.rows.get(table.name)?;
        (!rows.is_empty()).then(|| rows[self.rng.usize(..rows.len())].clone())
    }

    /// Another value in any column of any table.
    fn edit(&mut self) -> Option<Tampering> {
        let (table, row) = self.table()?;
        let at = self.rng.usize(..table.columns.len());
        self.edit_column(table, &row, at)
    }

    /// Another draw, grant, amount: anything that an entry says happened.
    fn edit_changes(&mut self) -> Option<Tampering> {
        let table = named("entries");
        let row = self.row(table)?;
        self.edit_column(table, &row, position(table, "changes"))
    }

    /// Another state of an account.
    fn edit_account(&mut self) -> Option<Tampering> {
        let table = named("accounts");
        let row = self.row(table)?;
        self.edit_column(table, &row, position(table, "body"))
    }

    fn edit_column(&mut self, table: &Table, row: &Row, at: usize) -> Option<Tampering> {
        let (column, kind) = table.columns[at];
        let old = &row[column];
        let new = self.other(table, column, kind, old).filter(|new| new != old)?;
        if kind == Kind::Json && means_the_same(table.name, old, &new) {
            return None;
        }
        let what =
            format!("{}.{column} of {} from {old} to {new}", table.name, self.key(table, row));
        let set = format!("{column} = {}", self.literal(kind, &new));
        Some(Tampering { what, statements: vec![self.update(table, row, &set)] })
    }

    fn delete(&mut self) -> Option<Tampering> {
        let (table, row) = self.table()?;
        let key = self.key(table, &row);
        let statements = vec![format!("DELETE FROM {{}}{} WHERE {key}", table.name)];
        Some(Tampering { what: format!("{} without {key}", table.name), statements })
    }

    /// What two rows say, exchanged.
    fn swap(&mut self) -> Option<Tampering> {
        let (table, one) = self.table()?;
        let two = self.row(table)?;
        let rest = &table.columns[table.keys..];
        let differ = rest.iter().any(|(column, _)| one[*column] != two[*column]);
        // Batches of different accounts that change places change no account.
        if !differ || (table.name == "commits" && !share_an_account(&one, &two)) {
            return None;
        }
        let set = |from: &Row| {
            let set = rest.iter();
            let set = set.map(|(column, kind)| {
                format!("{column} = {}", self.literal(*kind, &from[*column]))
            });
            set.collect::<Vec<_>>().join(", ")
        };
        let statements =
            vec![self.update(table, &one, &set(&two)), self.update(table, &two, &set(&one))];
        let keys = (self.key(table, &one), self.key(table, &two));
        Some(Tampering {
            what: format!("{}: {} and {} exchanged", table.name, keys.0, keys.1),
            statements,
        })
    }

    /// A row that was never written, much like one that was.
    fn insert(&mut self) -> Option<Tampering> {
        let (table, mut row) = self.table()?;
        let (column, kind) = table.columns[self.rng.usize(..table.keys)];
        let other = self.other(table, column, kind, &row[column])?;
        row.insert(column.to_owned(), other);
        let columns: Vec<&str> = table.columns.iter().map(|(column, _)| *column).collect();
        let values: Vec<String> =
            table.columns.iter().map(|(column, kind)| self.literal(*kind, &row[*column])).collect();
        let statement = format!(
            "INSERT INTO {{}}{} ({}) VALUES ({})",
            table.name,
            columns.join(", "),
            values.join(", ")
        );
        // The stream's columns aren't all of them.
        let inserts = table.name != "stream";
        let what = format!("{} with {}", table.name, self.key(table, &row));
        inserts.then_some(Tampering { what, statements: vec![statement] })
    }

    fn update(&self, table: &Table, row: &Row, set: &str) -> String {
        format!("UPDATE {{}}{} SET {set} WHERE {}", table.name, self.key(table, row))
    }

    fn key(&self, table: &Table, row: &Row) -> String {
        let keys = table.columns[..table.keys].iter();
        let keys =
            keys.map(|(column, kind)| format!("{column} = {}", self.literal(*kind, &row[*column])));
        keys.collect::<Vec<_>>().join(" AND ")
    }

    fn literal(&self, kind: Kind, value: &Value) -> String {
        match (kind, value) {
            (_, Value::Null) => "NULL".to_owned(),
            (Kind::Number, number) => number.to_string(),
            (Kind::Text | Kind::Json, text) => quoted(text.as_str().expect("text")),
            (Kind::Id | Kind::Bytes, hex) => {
                let hex = hex.as_str().expect("hexadecimal");
                match (self.dialect, kind) {
                    (Dialect::Sqlite, _) => format!("x'{hex}'"),
                    (Dialect::Postgres, Kind::Id) => format!("'{hex}'::uuid"),
                    (Dialect::Postgres, _) => format!("'\\x{hex}'::bytea"),
                }
            }
        }
    }

    /// Another value of the same kind, that means something else.
    fn other(&mut self, table: &Table, column: &str, kind: Kind, old: &Value) -> Option<Value> {
        let optional = [
            "due_time",
            "action",
            "entitlement_source",
            "entitlement_period",
            "related_id",
            "metadata",
            "others",
            "owner_id",
            "split_account",
        ];
        if optional.contains(&column) && !old.is_null() && self.rng.u32(..3) == 0 {
            return Some(Value::Null);
        }
        // Some other row's, or one of our own making.
        let elsewhere = self.row(table).map(|row| row[column].clone());
        if self.rng.bool() && kind != Kind::Json {
            return elsewhere.filter(|it| !it.is_null());
        }
        match (kind, old) {
            (Kind::Number, old) => {
                let old = old.as_i64().unwrap_or(0);
                let near = [old + 1, old - 1, -old, 0, old ^ 8, 1 - old, old + 1_000_000];
                Some(near[self.rng.usize(..near.len())].into())
            }
            (Kind::Text, old) => {
                let old = old.as_str().unwrap_or("");
                Some(
                    [format!("{old}x"), old.to_uppercase(), "x".to_owned()][self.rng.usize(..3)]
                        .clone()
                        .into(),
                )
            }
            (Kind::Id | Kind::Bytes, Value::Null) => Some("0".repeat(32).into()),
            (Kind::Id | Kind::Bytes, old) => self.other_hex(old.as_str()?).map(Value::from),
            (Kind::Json, Value::Null) => {
                let made = if column == "metadata" { r#"{"a":"b"}"# } else { r#"[["ann",1]]"# };
                Some(made.into())
            }
            (Kind::Json, old) => self.other_json(old.as_str()?).map(Value::from),
        }
    }

    fn other_hex(&mut self, old: &str) -> Option<String> {
        let at = self.rng.usize(..old.len().max(1));
        let digit = u8::from_str_radix(old.get(at..at + 1)?, 16).ok()?;
        let digit = digit ^ self.rng.u8(1..16);
        Some(format!("{}{digit:x}{}", &old[..at], &old[at + 1..]))
    }

    /// One leaf, element or member of it is another one.
    fn other_json(&mut self, old: &str) -> Option<String> {
        let mut value: Value = serde_json::from_str(old).expect("it is JSON");
        let mut paths = Vec::new();
        walk(&value, &mut String::new(), &mut paths);
        let path = paths[self.rng.usize(..paths.len())].clone();
        // Of the first spilled grant only what the order depends on is ever read, and of a row that
        // was written under another order nothing.
        let read = ["id", "sequence", "kind", "priority", "expire"];
        if path.starts_with("/spilled/order")
            || (path.starts_with("/spilled/first/")
                && !read.iter().any(|it| path == format!("/spilled/first/{it}")))
        {
            return None;
        }
        let removes = self.rng.u32(..4) == 0;
        if removes && let Some((parent, name)) = path.rsplit_once('/') {
            match value.pointer_mut(parent)? {
                Value::Array(items) => drop(items.remove(name.parse().ok()?)),
                Value::Object(members) => drop(members.remove(name)),
                _ => return None,
            }
        } else {
            let leaf = value.pointer_mut(&path)?;
            *leaf = match &*leaf {
                Value::Number(number) => {
                    (number.as_i64()? + [1, -1, 7][self.rng.usize(..3)]).into()
                }
                Value::String(text) if text.len() == 36 => {
                    let (first, rest) = text.split_at(1);
                    let other = if first == "0" { "1" } else { "0" };
                    format!("{other}{rest}").into()
                }
                Value::String(text) => match text.as_str() {
                    "purchased" => "earned".into(),
                    "captured" => "released".into(),
                    text => format!("{text}x").into(),
                },
                Value::Bool(it) => (!it).into(),
                Value::Null => 1.into(),
                Value::Array(items) => {
                    let mut items = items.clone();
                    let twice = items.first().cloned().unwrap_or(1.into());
                    items.push(twice);
                    items.into()
                }
                Value::Object(_) => return None,
            };
        }
        Some(value.to_string())
    }
}

/// Whether the service reads the same from both.
fn means_the_same(table: &str, old: &Value, new: &Value) -> bool {
    fn same<T: DeserializeOwned + PartialEq>(old: &str, new: &str) -> bool {
        let read = |text| serde_json::from_str::<T>(text).ok();
        read(old) == read(new)
    }
    let (Some(old), Some(new)) = (old.as_str(), new.as_str()) else { return false };
    match table {
        "accounts" => same::<Body>(old, new),
        "grants" => same::<Grant>(old, new),
        "holds" => same::<Hold>(old, new),
        "clawbacks" => same::<Clawback>(old, new),
        "commits" => same::<Vec<(String, i64)>>(old, new),
        _ => false,
    }
}

/// The paths of everything in it.
fn walk(value: &Value, path: &mut String, paths: &mut Vec<String>) {
    let length = path.len();
    let mut into = |name: &str, value: &Value, path: &mut String| {
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        walk(value, path, paths);
        path.truncate(length);
    };
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| into(&at.to_string(), item, path));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| into(name, member, path));
        }
        _ => {}
    }
    paths.push(path.clone());
}

fn share_an_account(one: &Row, two: &Row) -> bool {
    let accounts = |row: &Row| {
        let text = row["entries"].as_str().expect("text");
        let entries: Vec<(String, i64)> = serde_json::from_str(text).expect("entries");
        entries.into_iter().map(|(account, _)| account).collect::<Vec<_>>()
    };
    let theirs = accounts(two);
    accounts(one).iter().any(|account| theirs.contains(account))
}

fn named(name: &str) -> &'static Table {
    TABLES.iter().find(|table| table.name == name).expect("a table")
}

fn position(table: &Table, name: &str) -> usize {
    table.columns.iter().position(|(column, _)| *column == name).expect("a column")
}

pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
