//! Sums over the whole file, on a connection of their own: they take long, and the readers are few.

use super::Sqlite;
use crate::store::{
    StoreError,
    totals::{self, Activity, SumsRow, Totals},
};
use ledger::Time;
use sqlx::{Connection as _, FromRow as _, sqlite::SqliteConnection};
use std::sync::LazyLock;

static TOTALS: LazyLock<String> = LazyLock::new(|| totals::totals(""));

static ACTIVITY: LazyLock<String> =
    LazyLock::new(|| totals::activity("", "create_time >= ?1 AND create_time < ?2"));

impl Sqlite {
    pub(crate) async fn totals(&self) -> Result<Totals, StoreError> {
        Totals::of(self.sums(sqlx::query(TOTALS.as_str())).await?)
    }

    pub(crate) async fn activity(
        &self,
        start: Option<Time>,
        end: Option<Time>,
    ) -> Result<Activity, StoreError> {
        let (start, end) = (start.unwrap_or(Time(0)), end.unwrap_or(Time(i64::MAX)));
        let query = sqlx::query(ACTIVITY.as_str()).bind(start.0).bind(end.0);
        Activity::of(self.sums(query).await?)
    }

    async fn sums(&self, query: super::many::Query) -> Result<Vec<SumsRow>, StoreError> {
        let options = self.options.clone().read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let rows = query.fetch_all(&mut connection).await?;
        connection.close().await?;
        rows.iter().map(|row| Ok(SumsRow::from_row(row)?)).collect()
    }
}
