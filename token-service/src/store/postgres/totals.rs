//! Sums over the whole ledger, on a connection of their own that is thrown away with whoever asks.
//! The settings of the others are for statements that find rows by index within moments; these read
//! tables from end to end.

use super::{Postgres, columns::PgQuery};
use crate::store::{
    StoreError,
    totals::{self, Activity, SumsRow, Totals},
};
use ledger::Time;
use sqlx::{Connection as _, FromRow as _};
use std::sync::LazyLock;

/// Settings of one transaction, whatever the connection's are: behind a pooler it has none.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; \
    SET LOCAL lock_timeout = '500ms'; \
    SET LOCAL statement_timeout = '110s'; \
    SET LOCAL idle_in_transaction_session_timeout = '10s'; \
    SET LOCAL plan_cache_mode = force_custom_plan; \
    SET LOCAL enable_seqscan = on; \
    SET LOCAL enable_hashjoin = on; \
    SET LOCAL enable_mergejoin = on; \
    SET LOCAL jit = off";

static TOTALS: LazyLock<String> = LazyLock::new(|| totals::totals("ledger."));

static ACTIVITY: LazyLock<String> =
    LazyLock::new(|| totals::activity("ledger.", "create_time >= $1 AND create_time < $2"));

impl Postgres {
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

    async fn sums(&self, query: PgQuery) -> Result<Vec<SumsRow>, StoreError> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(BEGIN).execute(&mut connection).await?;
        let rows = query.persistent(false).fetch_all(&mut connection).await?;
        sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
        connection.close().await?;
        rows.iter().map(|row| Ok(SumsRow::from_row(row)?)).collect()
    }
}
