//! Rows as parameters: PostgreSQL takes a batch's rows of one table as one array of records, in a
//! statement of fixed text. Arrays of each column would do too, but every one of them is a function
//! to scan: sixty of these cost more than all else that a small batch does.

use crate::store::records::{Columns, Record, Table, Value};
use sqlx::{
    Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgArguments, PgHasArrayType, PgTypeInfo},
};

pub(super) type PgQuery = sqlx::query::Query<'static, Postgres, PgArguments>;

/// Rows from the parameter `$number`.
pub(super) fn insert(table: &Table, number: usize) -> String {
    let (name, columns) = (table.name, table.columns.join(", "));
    format!("INSERT INTO ledger.{name} ({columns}) SELECT {columns} FROM {}", unnest(table, number))
}

/// Changes the rows whose key is that of a row in the parameter `$number`.
pub(super) fn update(table: &Table, number: usize) -> String {
    let (keys, rest) = table.columns.split_at(table.keys);
    let pairs = |columns: &[&str], before: &str, between: &str| {
        let pairs: Vec<String> =
            columns.iter().map(|column| format!("{before}{column} = n.{column}")).collect();
        pairs.join(between)
    };
    let (set, same) = (pairs(rest, "", ", "), pairs(keys, "t.", " AND "));
    format!(
        "UPDATE ledger.{} t SET {set} FROM {} n WHERE {same}",
        table.name,
        unnest(table, number)
    )
}

/// Inserts the rows of the parameter `$number`, or changes those that are there.
pub(super) fn upsert(table: &Table, number: usize) -> String {
    format!("{} {}", insert(table, number), table.or_update())
}

/// Deletes the rows of a name, whose columns are the parameters `$first` and the next.
pub(super) fn delete(table: &Table, first: usize) -> String {
    let (name, keys) = (table.name, table.columns.split_at(table.keys).0);
    let same: Vec<String> = keys.iter().map(|key| format!("t.{key} = n.{key}")).collect();
    format!(
        "DELETE FROM ledger.{name} t USING unnest(${first}::text[], ${}::uuid[]) AS n ({}) WHERE {}",
        first + 1,
        keys.join(", "),
        same.join(" AND "),
    )
}

fn unnest(table: &Table, number: usize) -> String {
    format!("unnest(${number}::{}[])", table.record)
}

/// Binding what is many.
pub(super) trait BindMany {
    /// One value of each.
    fn column<'r, R, V>(self, rows: &'r [R], value: impl Fn(&'r R) -> V) -> Self
    where
        V: for<'q> Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType;

    /// Whole rows.
    fn records<R: Record>(self, rows: &[R]) -> Self;
}

impl BindMany for PgQuery {
    fn column<'r, R, V>(self, rows: &'r [R], value: impl Fn(&'r R) -> V) -> Self
    where
        V: for<'q> Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType,
    {
        self.bind(rows.iter().map(value).collect::<Vec<V>>())
    }

    fn records<R: Record>(self, rows: &[R]) -> Self {
        self.bind(rows.iter().map(Row).collect::<Vec<_>>())
    }
}

/// A row as PostgreSQL's binary form of a record: the number of its columns, and of each the type,
/// the length, the value.
struct Row<'r, R>(&'r R);

impl<R: Record> Type<Postgres> for Row<'_, R> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name(R::TABLE.record)
    }
}

impl<R: Record> PgHasArrayType for Row<'_, R> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::array_of(R::TABLE.record)
    }
}

impl<R: Record> Encode<'_, Postgres> for Row<'_, R> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let columns = i32::try_from(R::TABLE.columns.len())?;
        buffer.extend_from_slice(&columns.to_be_bytes());
        self.0.write(RowBuffer { buffer, failed: None }).failed.map_or(Ok(IsNull::No), Err)
    }
}

struct RowBuffer<'b> {
    buffer: &'b mut PgArgumentBuffer,
    failed: Option<BoxDynError>,
}

impl RowBuffer<'_> {
    fn append(&mut self, value: impl Value) -> Result<(), BoxDynError> {
        let of = type_of(&value).oid().ok_or("a column's type isn't PostgreSQL's own")?;
        self.buffer.extend_from_slice(&of.0.to_be_bytes());
        // Its length, as soon as that is known; a minus means NULL.
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&(-1_i32).to_be_bytes());
        let written = self.buffer.len();
        if let IsNull::No = Encode::<Postgres>::encode(value, self.buffer)? {
            let length = i32::try_from(self.buffer.len() - written)?;
            let place = self.buffer.get_mut(start..written).ok_or("the buffer has shrunk")?;
            place.copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }
}

fn type_of<V: Value>(_: &V) -> PgTypeInfo {
    <V as Type<Postgres>>::type_info()
}

impl Columns for RowBuffer<'_> {
    fn column(mut self, value: impl Value) -> Self {
        if self.failed.is_none() {
            self.failed = self.append(value).err();
        }
        self
    }
}
