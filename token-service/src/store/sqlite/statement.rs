//! An account's history, oldest first.

use super::{Sqlite, read::first_entry_from};
use crate::store::{
    Statement, StatementQuery, StoreError,
    rows::{ENTRY_COLUMNS, PostedRow, TRANSACTION_COLUMNS},
};
use ledger::{Balance, Time};
use sqlx::FromRow as _;
use std::sync::LazyLock;

static STATEMENT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {TRANSACTION_COLUMNS}, {ENTRY_COLUMNS} FROM entries e \
         JOIN transactions t ON t.account_id = coalesce(e.owner_id, e.account_id) \
              AND t.transaction_id = e.transaction_id \
         WHERE e.account_id = ? AND e.sequence >= ? AND e.sequence < ? \
         ORDER BY e.sequence LIMIT ?"
    )
});

impl Sqlite {
    pub(crate) async fn statement(&self, query: &StatementQuery) -> Result<Statement, StoreError> {
        let account = &query.account;
        let mut connection = self.readers.acquire().await?;
        let first = match query.after {
            Some(after) => after.saturating_add(1).max(1),
            None => {
                let start = query.start.unwrap_or(Time(0));
                first_entry_from(&mut connection, account, start).await?
            }
        };
        let end = query.end.unwrap_or(Time(i64::MAX));
        let until = first_entry_from(&mut connection, account, end).await?;
        let before: Option<(i64, i64)> = sqlx::query_as(
            "SELECT balance_after, held_after FROM entries WHERE account_id = ? AND sequence = ?",
        )
        .bind(account.as_str().to_owned())
        .bind(first - 1)
        .fetch_optional(&mut *connection)
        .await?;
        let (posted, held) = before.unwrap_or_default();
        let rows = sqlx::query(STATEMENT.as_str())
            .bind(account.as_str().to_owned())
            .bind(first)
            .bind(until)
            .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
            .fetch_all(&mut *connection)
            .await?;
        let transactions = rows.iter().map(|row| PostedRow::from_row(row)?.try_into());
        Ok(Statement {
            opening: Balance { posted, held, sequence: first - 1 },
            transactions: transactions.collect::<Result<_, _>>()?,
        })
    }
}
