//! Sums over the whole ledger: what customers hold, and what stands on our side.
//!
//! Our accounts have no rows, so that no debit locks them; each of their totals is a sum over the
//! entries that name them. A sum of 64-bit numbers needn't fit into 64 bits, and of the two databases one
//! then fails and the other answers with a type of its own: so both sum quotient and remainder by
//! [`PART`] apart, which are small, and the two meet here.

use super::StoreError;
use ledger::AccountId;
use sqlx::FromRow;

/// What numbers are divided by before they are summed. Billions of rows, each of a number of at most
/// 2 × 10^18, then stay within 64 bits.
const PART: i64 = 1_000_000_000;

/// What all accounts hold, and our side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Accounts.
    pub accounts: i64,
    /// Posted tokens of all of them.
    pub posted: i128,
    /// Of them, held.
    pub held: i128,
    /// Our accounts that occur, by id, with their balances.
    pub system: Vec<(AccountId, i128)>,
}

/// What happened in a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Accounts in all, now.
    pub accounts: i64,
    /// Transactions of the period.
    pub transactions: i64,
    /// Our accounts that occur, by id, with what their balances changed by.
    pub system: Vec<(AccountId, i128)>,
}

/// A row of either: about all accounts (without an id), or about one of ours.
#[derive(Debug, FromRow)]
pub(super) struct SumsRow {
    account_id: Option<String>,
    accounts: i64,
    transactions: i64,
    posted_parts: i64,
    posted_rest: i64,
    held_parts: i64,
    held_rest: i64,
}

impl SumsRow {
    fn posted(&self) -> i128 {
        whole(self.posted_parts, self.posted_rest)
    }

    fn ours(rows: Vec<Self>) -> Vec<(AccountId, i128)> {
        let ours = rows.into_iter().filter_map(|row| {
            let total = row.posted();
            row.account_id.map(|id| (AccountId::new(&id), total))
        });
        let mut ours: Vec<_> = ours.collect();
        ours.sort();
        ours
    }
}

fn whole(parts: i64, rest: i64) -> i128 {
    i128::from(parts) * i128::from(PART) + i128::from(rest)
}

/// The row about all accounts.
fn all(rows: &[SumsRow]) -> Result<&SumsRow, StoreError> {
    let all = rows.iter().find(|row| row.account_id.is_none());
    all.ok_or_else(|| StoreError::broken("the row about all accounts is not there"))
}

impl Totals {
    /// From what [`totals`] selects.
    pub(super) fn of(rows: Vec<SumsRow>) -> Result<Self, StoreError> {
        let all = all(&rows)?;
        let (accounts, posted) = (all.accounts, all.posted());
        let held = whole(all.held_parts, all.held_rest);
        Ok(Self { accounts, posted, held, system: SumsRow::ours(rows) })
    }
}

impl Activity {
    /// From what [`activity`] selects.
    pub(super) fn of(rows: Vec<SumsRow>) -> Result<Self, StoreError> {
        let SumsRow { accounts, transactions, .. } = *all(&rows)?;
        Ok(Self { accounts, transactions, system: SumsRow::ours(rows) })
    }
}

/// Selects [`Totals`] from tables whose names begin so: one statement, which sees one moment.
pub(super) fn totals(schema: &str) -> String {
    let (posted, held) = (sum("posted"), sum("held"));
    let all = format!(
        "SELECT NULL AS account_id, count(*) AS accounts, CAST(0 AS bigint) AS transactions, \
         {posted}, {held} FROM {schema}accounts"
    );
    format!("{} UNION ALL {}", columns(&all), ours(schema, "TRUE"))
}

/// Selects [`Activity`] of what `period` says of a `create_time`.
pub(super) fn activity(schema: &str, period: &str) -> String {
    let all = format!(
        "SELECT NULL, (SELECT count(*) FROM {schema}accounts), \
         (SELECT count(*) FROM {schema}transactions WHERE {period}), \
         CAST(0 AS bigint), CAST(0 AS bigint), CAST(0 AS bigint), CAST(0 AS bigint)"
    );
    format!("{} UNION ALL {}", columns(&all), ours(schema, period))
}

/// A query with the columns of a [`SumsRow`].
fn columns(query: &str) -> String {
    format!(
        "WITH all_accounts (account_id, accounts, transactions, \
             posted_parts, posted_rest, held_parts, held_rest) AS ({query}) \
         SELECT * FROM all_accounts"
    )
}

/// Our accounts: what customers have, our side hasn't.
fn ours(schema: &str, period: &str) -> String {
    let amount = sum("amount");
    format!(
        "SELECT account_id, 0, 0, {amount}, 0, 0 FROM ( \
             SELECT counter_account AS account_id, split_amount - amount AS amount \
             FROM {schema}entries WHERE {period} \
             UNION ALL \
             SELECT split_account, -split_amount FROM {schema}entries \
             WHERE split_account IS NOT NULL AND {period}) AS sides \
         WHERE substr(account_id, 1, 4) = 'sys/' GROUP BY account_id"
    )
}

/// Two columns: the sum of quotients, and that of remainders.
fn sum(number: &str) -> String {
    format!(
        "CAST(coalesce(sum({number} / {PART}), 0) AS bigint), \
         CAST(coalesce(sum({number} % {PART}), 0) AS bigint)"
    )
}
