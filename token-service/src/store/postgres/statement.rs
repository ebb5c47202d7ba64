//! An account's history, oldest first.

use super::read::{Reader, count};
use crate::store::{
    Statement, StatementQuery, StoreError,
    rows::{ENTRY_COLUMNS, PostedRow, TRANSACTION_COLUMNS},
};
use ledger::{Balance, Time};
use sqlx::{FromRow as _, Row as _};
use std::sync::LazyLock;

static STATEMENT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {TRANSACTION_COLUMNS}, {ENTRY_COLUMNS} FROM ledger.entries e \
         JOIN ledger.transactions t ON t.account_id = coalesce(e.owner_id, e.account_id) \
              AND t.transaction_id = e.transaction_id \
         WHERE e.account_id = $1 AND e.sequence >= $2 AND e.sequence < $3 \
         ORDER BY e.sequence LIMIT $4"
    )
});

const BEFORE: &str = "SELECT balance_after, held_after FROM ledger.entries \
    WHERE account_id = $1 AND sequence = $2";

impl Reader<'_> {
    pub(super) async fn statement(
        &mut self,
        query: &StatementQuery,
    ) -> Result<Statement, StoreError> {
        let account = &query.account;
        let first = match query.after {
            Some(after) => after.saturating_add(1).max(1),
            None => self.first_entry_from(account, query.start.unwrap_or(Time(0))).await?,
        };
        let until = self.first_entry_from(account, query.end.unwrap_or(Time(i64::MAX))).await?;
        let before = self.query(BEFORE).bind(account.as_str()).bind(first - 1);
        let before = self.rows(before).await?;
        let (posted, held) = match before.first() {
            Some(row) => (row.try_get(0)?, row.try_get(1)?),
            None => (0, 0),
        };
        let rows = self
            .query(&STATEMENT)
            .bind(account.as_str())
            .bind(first)
            .bind(until)
            .bind(count(query.limit));
        let rows = self.rows(rows).await?;
        let transactions = rows.iter().map(|row| PostedRow::from_row(row)?.try_into());
        Ok(Statement {
            opening: Balance { posted, held, sequence: first - 1 },
            transactions: transactions.collect::<Result<_, _>>()?,
        })
    }
}
