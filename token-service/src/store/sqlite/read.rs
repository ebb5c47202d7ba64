//! Reading: what the writer loads under its lock, and what the readers answer.

use super::{Sqlite, many::Many};
use crate::store::{
    AccountQuery, Commit, Position, StoreError, TransactionQuery, Usage, in_order,
    records::named,
    rows::{
        ACCOUNT_COLUMNS, AccountRow, ENTRY_COLUMNS, EntryRow, PostedRow, TRANSACTION_COLUMNS,
        from_json, name, to_json,
    },
};
use ledger::{
    Account, AccountId, Balance, Clawback, Entry, EntryId, Grant, Hold, HoldState, Name, Reversal,
    Status, Time, Transaction, TransactionId,
};
use serde::de::DeserializeOwned;
use sqlx::{FromRow, Row as _, sqlite::SqliteConnection};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};
use uuid::Uuid;

static ACCOUNTS: LazyLock<Many> = LazyLock::new(|| {
    let head = format!("SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE account_id IN (VALUES");
    Many::new(&head, 1, ") ORDER BY account_id")
});

/// One text per status: the index of accounts that aren't active serves whoever names another.
fn listed(status: Option<Status>) -> &'static str {
    static TEXTS: LazyLock<[String; 4]> = LazyLock::new(|| {
        ["", "AND status = 'active'", "AND status = 'frozen'", "AND status = 'closed'"].map(
            |only| {
                format!(
                    "SELECT {ACCOUNT_COLUMNS} FROM accounts \
                 WHERE account_id >= ? AND account_id < ? {only} ORDER BY account_id LIMIT ?"
                )
            },
        )
    });
    let [all, active, frozen, closed] = &*TEXTS;
    match status {
        None => all,
        Some(Status::Active) => active,
        Some(Status::Frozen) => frozen,
        Some(Status::Closed) => closed,
    }
}

static WHOLE_ACCOUNT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {ACCOUNT_COLUMNS}, (SELECT json_group_array(json(g.body)) FROM grants g \
             WHERE g.account_id = a.account_id AND g.open = 1) AS spilled \
         FROM accounts a WHERE account_id = ?"
    )
});

static TRANSACTIONS: LazyLock<Many> = LazyLock::new(|| {
    let tail = format!(
        ") SELECT {TRANSACTION_COLUMNS}, {ENTRY_COLUMNS} FROM names \
         CROSS JOIN transactions t USING (account_id, transaction_id) \
         CROSS JOIN entries e ON e.account_id = t.account_id AND e.sequence = t.sequence"
    );
    Many::new("WITH names (account_id, transaction_id) AS (VALUES", 2, &tail)
});

static ENTRIES: LazyLock<Many> = LazyLock::new(|| {
    let tail = format!(
        ") SELECT {ENTRY_COLUMNS} FROM ids \
         CROSS JOIN entries e ON e.account_id = ids.account_id AND e.sequence = ids.sequence"
    );
    Many::new("WITH ids (account_id, sequence) AS (VALUES", 2, &tail)
});

static GRANTS: LazyLock<Many> = LazyLock::new(|| bodies("grants", "grant_id"));
static SPILLED: LazyLock<Many> = LazyLock::new(|| {
    let head = "SELECT account_id, grant_id AS id, body FROM grants \
                WHERE open = 1 AND account_id IN (VALUES";
    Many::new(head, 1, ")")
});

static HOLDS: LazyLock<Many> = LazyLock::new(|| bodies("holds", "hold_id"));
static CLAWBACKS: LazyLock<Many> = LazyLock::new(|| bodies("clawbacks", "transaction_id"));

static REVERSALS: LazyLock<Many> = LazyLock::new(|| {
    let head = "SELECT account_id, transaction_id, reversed, complete FROM reversals \
                WHERE (account_id, transaction_id) IN (VALUES";
    Many::new(head, 2, ")")
});

static LIST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {TRANSACTION_COLUMNS}, {ENTRY_COLUMNS} FROM entries e \
         JOIN transactions t ON t.account_id = coalesce(e.owner_id, e.account_id) \
              AND t.transaction_id = e.transaction_id \
         WHERE (?1 IS NULL OR e.account_id = ?1) \
           AND (?2 IS NULL OR e.account_id > ?2 OR (e.account_id = ?2 AND e.sequence < ?3)) \
           AND (?4 = '[]' OR t.type IN (SELECT value FROM json_each(?4))) \
           AND (?5 IS NULL OR t.action = ?5) \
           AND (?6 IS NULL OR e.create_time >= ?6) \
           AND (?7 IS NULL OR e.create_time < ?7) \
           AND (?8 IS NULL OR t.reference = ?8) \
           AND (?9 IS NULL OR instr(lower(t.description), lower(?9)) > 0) \
           AND NOT EXISTS (SELECT 1 FROM json_each(?10) wanted WHERE NOT EXISTS ( \
               SELECT 1 FROM json_each(t.metadata) had \
               WHERE had.key = wanted.key AND had.value = wanted.value)) \
         ORDER BY e.account_id, e.sequence DESC LIMIT ?11"
    )
});

static LIST_ACCOUNT: LazyLock<String> = LazyLock::new(|| {
    // Of one account: its entries between two numbers, newest first, straight from the index.
    LIST.replace("(?1 IS NULL OR e.account_id = ?1)", "e.account_id = ?1")
        .replace(
            "(?2 IS NULL OR e.account_id > ?2 OR (e.account_id = ?2 AND e.sequence < ?3))",
            "e.sequence < ?3 AND e.sequence >= ?12",
        )
        .replace("ORDER BY e.account_id, e.sequence", "ORDER BY e.sequence")
});

static TIPS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {TRANSACTION_COLUMNS}, {ENTRY_COLUMNS} FROM entries e \
         JOIN transactions t USING (account_id, transaction_id) \
         WHERE e.account_id = ?1 AND e.owner_id IS NULL AND t.type = 'transfer' \
           AND e.sequence >= ?3 AND e.sequence > (SELECT sequence FROM transactions \
               WHERE account_id = ?1 AND transaction_id = ?2) \
           AND instr(e.changes, ?4) > 0 \
         ORDER BY e.sequence DESC"
    )
});

fn bodies(table: &str, id: &str) -> Many {
    let head = format!(
        "SELECT account_id, {id} AS id, body FROM {table} WHERE (account_id, {id}) IN (VALUES"
    );
    Many::new(&head, 2, ")")
}

#[derive(FromRow)]
struct BodyRow {
    account_id: String,
    id: Uuid,
    body: String,
}

pub(super) async fn accounts(
    connection: &mut SqliteConnection,
    ids: &[AccountId],
) -> Result<Vec<Account>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for (statement, chunk) in ACCOUNTS.cut(ids) {
        let query = chunk
            .iter()
            .fold(sqlx::query(statement), |query, id| query.bind(id.as_str().to_owned()));
        for row in query.fetch_all(&mut *connection).await? {
            found.push(AccountRow::from_row(&row)?.try_into()?);
        }
    }
    Ok(found)
}

/// The transactions of these names, with all their entries.
pub(super) async fn transactions_named(
    connection: &mut SqliteConnection,
    names: &[Name],
) -> Result<Vec<Transaction>, StoreError> {
    let mut found = Vec::new();
    for (statement, chunk) in TRANSACTIONS.cut(names) {
        let query = chunk.iter().fold(sqlx::query(statement), named);
        for row in query.fetch_all(&mut *connection).await? {
            found.push(PostedRow::from_row(&row)?);
        }
    }
    with_all_entries(connection, found).await
}

/// The same transactions, each with the entries of other accounts behind its own.
async fn with_all_entries(
    connection: &mut SqliteConnection,
    rows: Vec<PostedRow>,
) -> Result<Vec<Transaction>, StoreError> {
    let others = rows.iter().map(|row| row.transaction.others());
    let others = others.collect::<Result<Vec<_>, _>>()?;
    let wanted: Vec<(String, i64)> = others.iter().flatten().cloned().collect();
    let mut found: BTreeMap<(String, i64), Entry> = BTreeMap::new();
    for entry in entries_at(connection, &wanted).await? {
        found.insert((entry.account.to_string(), entry.sequence), entry);
    }
    let mut transactions = Vec::with_capacity(rows.len());
    for (row, others) in rows.into_iter().zip(others) {
        let mut entries = vec![row.entry.try_into()?];
        entries.extend(others.iter().filter_map(|other| found.remove(other)));
        transactions.push(row.transaction.with(entries)?);
    }
    Ok(transactions)
}

async fn entries_at(
    connection: &mut SqliteConnection,
    ids: &[(String, i64)],
) -> Result<Vec<Entry>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for (statement, chunk) in ENTRIES.cut(ids) {
        let query = chunk.iter().fold(sqlx::query(statement), |query, (account, sequence)| {
            query.bind(account.clone()).bind(*sequence)
        });
        for row in query.fetch_all(&mut *connection).await? {
            found.push(EntryRow::from_row(&row)?.try_into()?);
        }
    }
    Ok(found)
}

pub(super) async fn grants(
    connection: &mut SqliteConnection,
    names: &BTreeSet<Name>,
) -> Result<Vec<(Name, Grant)>, StoreError> {
    bodies_named(connection, &GRANTS, names).await
}

/// The spilled grants of these accounts.
pub(super) async fn spilled(
    connection: &mut SqliteConnection,
    accounts: &BTreeSet<AccountId>,
) -> Result<Vec<(Name, Grant)>, StoreError> {
    let ids: Vec<&AccountId> = accounts.iter().collect();
    let mut found = Vec::new();
    for (statement, chunk) in SPILLED.cut(&ids) {
        let query = chunk
            .iter()
            .fold(sqlx::query(statement), |query, id| query.bind(id.as_str().to_owned()));
        for row in query.fetch_all(&mut *connection).await? {
            let row = BodyRow::from_row(&row)?;
            found.push((name(&row.account_id, row.id), from_json("grants.body", &row.body)?));
        }
    }
    Ok(found)
}

pub(super) async fn holds(
    connection: &mut SqliteConnection,
    names: &BTreeSet<Name>,
) -> Result<Vec<(Name, Hold)>, StoreError> {
    bodies_named(connection, &HOLDS, names).await
}

pub(super) async fn clawbacks(
    connection: &mut SqliteConnection,
    names: &BTreeSet<Name>,
) -> Result<Vec<(Name, Clawback)>, StoreError> {
    bodies_named(connection, &CLAWBACKS, names).await
}

async fn bodies_named<T: DeserializeOwned>(
    connection: &mut SqliteConnection,
    select: &'static Many,
    names: &BTreeSet<Name>,
) -> Result<Vec<(Name, T)>, StoreError> {
    let names: Vec<Name> = names.iter().cloned().collect();
    let mut found = Vec::new();
    for (statement, chunk) in select.cut(&names) {
        let query = chunk.iter().fold(sqlx::query(statement), named);
        for row in query.fetch_all(&mut *connection).await? {
            let row = BodyRow::from_row(&row)?;
            found.push((name(&row.account_id, row.id), from_json("body", &row.body)?));
        }
    }
    Ok(found)
}

pub(super) async fn reversals(
    connection: &mut SqliteConnection,
    names: &BTreeSet<Name>,
) -> Result<Vec<(Name, Reversal)>, StoreError> {
    let names: Vec<Name> = names.iter().cloned().collect();
    let mut found = Vec::new();
    for (statement, chunk) in REVERSALS.cut(&names) {
        let query = chunk.iter().fold(sqlx::query(statement), named);
        for row in query.fetch_all(&mut *connection).await? {
            let account: String = row.try_get(0)?;
            let id: Uuid = row.try_get(1)?;
            let (reversed, complete): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
            let reversal = Reversal { reversed, complete: complete != 0 };
            found.push((name(&account, id), reversal));
        }
    }
    Ok(found)
}

/// The transfers since then that drew from the credit's grant, newest first, with all their
/// entries. None of them is older than the credit.
pub(super) async fn tips(
    connection: &mut SqliteConnection,
    (account, credit): &Name,
    since: Time,
) -> Result<Vec<Transaction>, StoreError> {
    let first = first_entry_from(connection, account, since).await?;
    let rows = sqlx::query(TIPS.as_str())
        .bind(account.as_str().to_owned())
        .bind(credit.as_bytes().to_vec())
        .bind(first)
        .bind(credit.to_string())
        .fetch_all(&mut *connection)
        .await?;
    let rows = rows.iter().map(PostedRow::from_row).collect::<Result<Vec<_>, _>>()?;
    with_all_entries(connection, rows).await
}

async fn list(
    connection: &mut SqliteConnection,
    query: &TransactionQuery,
) -> Result<Vec<Transaction>, StoreError> {
    let types: Vec<&str> = query.types.iter().map(|kind| kind.as_str()).collect();
    let statement = if query.account.is_some() { &LIST_ACCOUNT } else { &LIST };
    let first = match (&query.account, query.start) {
        (Some(account), Some(start)) => first_entry_from(connection, account, start).await?,
        (Some(_) | None, _) => 1,
    };
    let before = query.before.as_ref();
    let bound = sqlx::query(statement.as_str())
        .bind(query.account.as_ref().map(|it| it.as_str().to_owned()))
        .bind(before.map(|(account, _)| account.as_str().to_owned()))
        .bind(before.map_or(i64::MAX, |(_, sequence)| *sequence))
        .bind(to_json(&types))
        .bind(query.action.clone())
        .bind(query.start.map(|time| time.0))
        .bind(query.end.map(|time| time.0))
        .bind(query.reference.clone())
        .bind(query.description.clone())
        .bind(to_json(&query.metadata))
        .bind(i64::try_from(query.limit).unwrap_or(i64::MAX));
    let bound = if query.account.is_some() { bound.bind(first) } else { bound };
    let rows = bound.fetch_all(&mut *connection).await?;
    rows.iter().map(|row| PostedRow::from_row(row)?.try_into()).collect()
}

/// The number of the account's first entry at or after a time; one past the last if there is none.
/// Numbers have no gaps and time never runs backwards for an account, so this is a binary search.
pub(super) async fn first_entry_from(
    connection: &mut SqliteConnection,
    account: &AccountId,
    time: Time,
) -> Result<i64, StoreError> {
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT sequence FROM accounts WHERE account_id = ?")
            .bind(account.as_str().to_owned())
            .fetch_optional(&mut *connection)
            .await?;
    let (mut low, mut high) = (1, newest.unwrap_or(0) + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let created: i64 = sqlx::query_scalar(
            "SELECT create_time FROM entries WHERE account_id = ? AND sequence = ?",
        )
        .bind(account.as_str().to_owned())
        .bind(middle)
        .fetch_one(&mut *connection)
        .await?;
        if created < time.0 { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

static POSTED: LazyLock<Many> = LazyLock::new(|| {
    let tail = format!(
        ") SELECT {TRANSACTION_COLUMNS}, {ENTRY_COLUMNS} FROM ids \
         CROSS JOIN entries e ON e.account_id = ids.account_id AND e.sequence = ids.sequence \
         CROSS JOIN transactions t ON t.transaction_id = e.transaction_id \
              AND t.account_id = coalesce(e.owner_id, e.account_id)"
    );
    Many::new("WITH ids (account_id, sequence) AS (VALUES", 2, &tail)
});

/// What the service's readers answer; each of these is documented at [`crate::store::Store`].
impl Sqlite {
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        // One that has to look into the file.
        sqlx::query("SELECT count(*) FROM chain_keys").execute(&self.readers).await?;
        Ok(())
    }

    pub(crate) async fn accounts(&self, ids: &[AccountId]) -> Result<Vec<Account>, StoreError> {
        accounts(&mut *self.readers.acquire().await?, ids).await
    }

    pub(crate) async fn whole_account(
        &self,
        id: &AccountId,
    ) -> Result<Option<Account>, StoreError> {
        // One statement sees one state of the file.
        let row = sqlx::query(WHOLE_ACCOUNT.as_str())
            .bind(id.as_str().to_owned())
            .fetch_optional(&self.readers)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let mut account: Account = AccountRow::from_row(&row)?.try_into()?;
        let spilled: Vec<Grant> = from_json("grants.body", row.try_get("spilled")?)?;
        account.take_in(spilled);
        Ok(Some(account))
    }

    pub(crate) async fn list_accounts(
        &self,
        query: &AccountQuery,
    ) -> Result<Vec<Account>, StoreError> {
        let rows = sqlx::query(listed(query.status))
            .bind(query.ids.start.clone())
            .bind(query.ids.end.clone())
            .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| AccountRow::from_row(row)?.try_into()).collect()
    }

    pub(crate) async fn due(&self, now: Time, limit: usize) -> Result<Vec<AccountId>, StoreError> {
        let due: Vec<String> = sqlx::query_scalar(
            "SELECT account_id FROM accounts WHERE due_time <= ? ORDER BY due_time LIMIT ?",
        )
        .bind(now.0)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?;
        Ok(due.iter().map(|id| AccountId::new(id)).collect())
    }

    pub(crate) async fn transaction(&self, name: &Name) -> Result<Option<Transaction>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let names = std::slice::from_ref(name);
        Ok(transactions_named(&mut connection, names).await?.pop())
    }

    pub(crate) async fn transactions(
        &self,
        query: &TransactionQuery,
    ) -> Result<Vec<Transaction>, StoreError> {
        list(&mut *self.readers.acquire().await?, query).await
    }

    pub(crate) async fn closed_grants(
        &self,
        account: &AccountId,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Vec<Grant>, StoreError> {
        let select = "SELECT body FROM grants WHERE account_id = ? AND grant_id > ? \
                      AND open = 0 ORDER BY grant_id LIMIT ?";
        let bodies: Vec<String> = sqlx::query_scalar(select)
            .bind(account.as_str().to_owned())
            .bind(after.map_or(Vec::new(), |id| id.as_bytes().to_vec()))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await?;
        bodies.iter().map(|body| from_json("grants.body", body)).collect()
    }

    pub(crate) async fn ended_holds(
        &self,
        account: &AccountId,
        state: Option<HoldState>,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Vec<Hold>, StoreError> {
        let select = "SELECT body FROM holds WHERE account_id = ?1 AND hold_id > ?2 \
                      AND (?3 IS NULL OR state = ?3) ORDER BY hold_id LIMIT ?4";
        let bodies: Vec<String> = sqlx::query_scalar(select)
            .bind(account.as_str().to_owned())
            .bind(after.map_or(Vec::new(), |id| id.as_bytes().to_vec()))
            .bind(state.map(HoldState::as_str))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await?;
        bodies.iter().map(|body| from_json("holds.body", body)).collect()
    }

    pub(crate) async fn usage(
        &self,
        account: &AccountId,
        start: Option<Time>,
        end: Option<Time>,
    ) -> Result<Vec<Usage>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let first = first_entry_from(&mut connection, account, start.unwrap_or(Time(0))).await?;
        let until = first_entry_from(&mut connection, account, end.unwrap_or(Time(i64::MAX)));
        let rows = sqlx::query(
            "SELECT t.action, \
                    sum(CASE t.type WHEN 'reversal' THEN -t.amount ELSE t.amount END), \
                    sum(CASE WHEN t.action IS NOT NULL THEN t.quantity \
                         ELSE t.type <> 'reversal' AND NOT EXISTS ( \
                             SELECT 1 FROM reversals r WHERE r.account_id = t.account_id \
                             AND r.transaction_id = t.transaction_id AND r.complete) END) \
             FROM entries e \
             JOIN transactions t USING (account_id, transaction_id) \
             WHERE e.account_id = ? AND e.sequence >= ? AND e.sequence < ? AND e.owner_id IS NULL \
               AND (t.type IN ('debit', 'capture') \
                    OR (t.type = 'reversal' AND e.counter_account = 'sys/usage')) \
             GROUP BY t.action ORDER BY 2 DESC, 1",
        )
        .bind(account.as_str().to_owned())
        .bind(first)
        .bind(until.await?)
        .fetch_all(&mut *connection)
        .await?;
        let usage = rows.iter().map(|row| {
            Ok(Usage { action: row.try_get(0)?, tokens: row.try_get(1)?, count: row.try_get(2)? })
        });
        usage.collect()
    }

    pub(crate) async fn balance_at(
        &self,
        account: &AccountId,
        at: Time,
    ) -> Result<Option<Balance>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let next = first_entry_from(&mut connection, account, at.after_micros(1)).await?;
        let found: Option<(i64, i64, i64)> = sqlx::query_as(
            "SELECT balance_after, held_after, sequence FROM entries \
             WHERE account_id = ? AND sequence = ?",
        )
        .bind(account.as_str().to_owned())
        .bind(next - 1)
        .fetch_optional(&mut *connection)
        .await?;
        Ok(found.map(|(posted, held, sequence)| Balance { posted, held, sequence }))
    }

    pub(crate) async fn position(&self) -> Result<Position, StoreError> {
        let select = sqlx::query_as("SELECT epoch, position FROM stream");
        let (epoch, position) = select.fetch_one(&self.readers).await?;
        Ok(Position { epoch, position })
    }

    pub(crate) async fn commits_after(
        &self,
        position: i64,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        let select = "SELECT position, entries FROM commits WHERE position > ? \
                      ORDER BY position LIMIT ?";
        let rows: Vec<(i64, String)> = sqlx::query_as(select)
            .bind(position)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|(position, entries)| Commit::of(*position, entries)).collect()
    }

    pub(crate) async fn posted(&self, ids: &[EntryId]) -> Result<Vec<Transaction>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let mut found = Vec::with_capacity(ids.len());
        for (statement, chunk) in POSTED.cut(ids) {
            let query = chunk.iter().fold(sqlx::query(statement), |query, (account, sequence)| {
                query.bind(account.as_str().to_owned()).bind(*sequence)
            });
            found.extend(query.fetch_all(&mut *connection).await?);
        }
        in_order(ids, found.iter().map(|row| PostedRow::from_row(row)?.try_into()))
    }
}
