//! Reading: what a writer loads, under its locks or not, and what readers answer.

use super::columns::{BindMany, PgQuery};
use crate::store::{
    AccountQuery, Commit, Position, StoreError, TransactionQuery, Usage, in_order,
    rows::{
        ACCOUNT_COLUMNS, AccountRow, ENTRY_COLUMNS, EntryRow, PostedRow, TRANSACTION_COLUMNS,
        from_json, name, to_json, uuid,
    },
};
use ledger::{
    Account, AccountId, Balance, Entry, EntryId, Footprint, Grant, Hold, HoldState, Name, Reversal,
    Status, Time, Transaction, TransactionId,
};
use serde::de::DeserializeOwned;
use sqlx::{
    FromRow, Row as _,
    postgres::{PgConnection, PgRow},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::LazyLock,
};
use uuid::Uuid;

static ACCOUNTS: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {ACCOUNT_COLUMNS} FROM ledger.accounts WHERE account_id = ANY($1)")
});

/// One text per status: the index of accounts that aren't active serves whoever names another.
fn listed(status: Option<Status>) -> &'static str {
    static TEXTS: LazyLock<[String; 4]> = LazyLock::new(|| {
        ["", "AND status = 'active'", "AND status = 'frozen'", "AND status = 'closed'"].map(
            |only| {
                format!(
                    "SELECT {ACCOUNT_COLUMNS} FROM ledger.accounts \
                 WHERE account_id >= $1 AND account_id < $2 {only} ORDER BY account_id LIMIT $3"
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

/// In one order for everybody, so that two batches never wait for each other.
static LOCKED_ACCOUNTS: LazyLock<String> =
    LazyLock::new(|| format!("{} ORDER BY account_id FOR UPDATE", ACCOUNTS.as_str()));

/// The database's time in microseconds.
pub(super) const CLOCK: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// The time, whether any of these transactions is there, and accounts: all as of one moment. There is
/// a row without an account if there is none.
static UNPOSTED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT asked_time, posted_before, {ACCOUNT_COLUMNS} \
         FROM (SELECT {CLOCK} AS asked_time, EXISTS ( \
             SELECT FROM unnest($2::text[], $3::uuid[]) AS n (account_id, transaction_id) \
             JOIN ledger.transactions t ON t.transaction_id = n.transaction_id \
                  AND t.account_id = n.account_id) AS posted_before) AS asked \
         LEFT JOIN ledger.accounts ON account_id = ANY($1)"
    )
});

static TRANSACTIONS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {TRANSACTION_COLUMNS}, {ENTRY_COLUMNS} \
         FROM unnest($1::text[], $2::uuid[]) AS n (account_id, transaction_id) \
         JOIN ledger.transactions t ON t.transaction_id = n.transaction_id \
              AND t.account_id = n.account_id \
         JOIN ledger.entries e ON e.account_id = t.account_id AND e.sequence = t.sequence"
    )
});

static ENTRIES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {ENTRY_COLUMNS} FROM unnest($1::text[], $2::bigint[]) AS n (account_id, sequence) \
         JOIN ledger.entries e ON e.account_id = n.account_id AND e.sequence = n.sequence"
    )
});

/// Entries beside their transactions.
static POSTED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {TRANSACTION_COLUMNS}, {ENTRY_COLUMNS} \
         FROM unnest($1::text[], $2::bigint[]) AS n (account_id, sequence) \
         JOIN ledger.entries e ON e.account_id = n.account_id AND e.sequence = n.sequence \
         JOIN ledger.transactions t ON t.transaction_id = e.transaction_id \
              AND t.account_id = coalesce(e.owner_id, e.account_id)"
    )
});

/// An account beside the bodies of its spilled grants.
static WHOLE_ACCOUNT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {ACCOUNT_COLUMNS}, ARRAY(SELECT g.body FROM ledger.grants g \
             WHERE g.account_id = a.account_id AND g.open = 1) AS spilled \
         FROM ledger.accounts a WHERE account_id = $1"
    )
});

/// Only what was posted after the credit can have drawn from its grant.
static TIPS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {TRANSACTION_COLUMNS}, {ENTRY_COLUMNS} FROM ledger.entries e \
         JOIN ledger.transactions t ON t.transaction_id = e.transaction_id \
              AND t.account_id = e.account_id \
         WHERE e.account_id = $1 AND e.owner_id IS NULL AND t.type = 'transfer' \
           AND e.sequence >= $3 AND e.sequence > (SELECT c.sequence FROM ledger.transactions c \
               WHERE c.transaction_id = $2 AND c.account_id = $1) \
           AND strpos(e.changes, $4) > 0 \
         ORDER BY e.sequence DESC"
    )
});

const SPILLED: &str = "SELECT account_id, grant_id, body FROM ledger.grants \
    WHERE open = 1 AND account_id = ANY($1)";

pub(super) const GRANTS: &str = "SELECT t.account_id, t.grant_id AS id, t.body \
    FROM unnest($1::text[], $2::uuid[]) AS n (account_id, id) \
    JOIN ledger.grants t ON t.account_id = n.account_id AND t.grant_id = n.id";

pub(super) const HOLDS: &str = "SELECT t.account_id, t.hold_id AS id, t.body \
    FROM unnest($1::text[], $2::uuid[]) AS n (account_id, id) \
    JOIN ledger.holds t ON t.account_id = n.account_id AND t.hold_id = n.id";

pub(super) const CLAWBACKS: &str = "SELECT t.account_id, t.transaction_id AS id, t.body \
    FROM unnest($1::text[], $2::uuid[]) AS n (account_id, id) \
    JOIN ledger.clawbacks t ON t.account_id = n.account_id AND t.transaction_id = n.id";

const REVERSALS: &str = "SELECT t.account_id, t.transaction_id, t.reversed, t.complete \
    FROM unnest($1::text[], $2::uuid[]) AS n (account_id, id) \
    JOIN ledger.reversals t ON t.account_id = n.account_id AND t.transaction_id = n.id";

/// Of all accounts, one after the other.
static LIST: LazyLock<String> = LazyLock::new(|| {
    list(
        "($1::text IS NULL OR e.account_id >= $1) \
          AND ($1::text IS NULL OR e.account_id > $1 OR e.sequence < $2) \
          AND e.sequence >= $3",
        "e.account_id, e.sequence DESC",
    )
});

/// Of one account: its entries between two numbers, newest first, straight from the index.
static LIST_ACCOUNT: LazyLock<String> = LazyLock::new(|| {
    list("e.account_id = $1 AND e.sequence < $2 AND e.sequence >= $3", "e.sequence DESC")
});

fn list(scope: &str, order: &str) -> String {
    format!(
        "SELECT {TRANSACTION_COLUMNS}, {ENTRY_COLUMNS} FROM ledger.entries e \
         JOIN ledger.transactions t ON t.account_id = coalesce(e.owner_id, e.account_id) \
              AND t.transaction_id = e.transaction_id \
         WHERE {scope} \
           AND (cardinality($4::text[]) = 0 OR t.type = ANY($4)) \
           AND ($5::text IS NULL OR t.action = $5) \
           AND ($6::bigint IS NULL OR e.create_time >= $6) \
           AND ($7::bigint IS NULL OR e.create_time < $7) \
           AND ($8::text IS NULL OR t.reference = $8) \
           AND ($9::text IS NULL OR strpos(lower(t.description COLLATE \"C\"), \
                                           lower($9 COLLATE \"C\")) > 0) \
           AND ($10::text = '{{}}' OR t.metadata::jsonb @> $10::jsonb) \
         ORDER BY {order} LIMIT $11"
    )
}

const USAGE: &str = "SELECT t.action, \
        sum(CASE t.type WHEN 'reversal' THEN -t.amount ELSE t.amount END)::bigint, \
        sum(CASE WHEN t.action IS NOT NULL THEN t.quantity \
                 WHEN t.type = 'reversal' THEN 0 \
                 WHEN EXISTS (SELECT 1 FROM ledger.reversals r \
                              WHERE r.account_id = t.account_id \
                              AND r.transaction_id = t.transaction_id AND r.complete = 1) THEN 0 \
                 ELSE 1 END)::bigint \
     FROM ledger.entries e \
     JOIN ledger.transactions t ON t.account_id = e.account_id \
          AND t.transaction_id = e.transaction_id \
     WHERE e.account_id = $1 AND e.sequence >= $2 AND e.sequence < $3 AND e.owner_id IS NULL \
       AND (t.type IN ('debit', 'capture') \
            OR (t.type = 'reversal' AND e.counter_account = 'sys/usage')) \
     GROUP BY t.action ORDER BY 2 DESC, t.action COLLATE \"C\" NULLS FIRST";

/// Accounts that may be written without a lock.
pub(super) struct Unposted {
    /// The database's time, in microseconds, when they were as they are told.
    pub(super) time: i64,
    pub(super) accounts: Vec<Account>,
}

/// A connection that reads.
pub(super) struct Reader<'c> {
    connection: &'c mut PgConnection,
    prepared: bool,
}

impl<'c> Reader<'c> {
    pub(super) fn new(connection: &'c mut PgConnection, prepared: bool) -> Self {
        Self { connection, prepared }
    }

    pub(super) fn query(&self, statement: &'static str) -> PgQuery {
        sqlx::query(statement).persistent(self.prepared)
    }

    pub(super) async fn rows(&mut self, query: PgQuery) -> Result<Vec<PgRow>, StoreError> {
        Ok(query.fetch_all(&mut *self.connection).await?)
    }

    pub(super) async fn locked_accounts(
        &mut self,
        ids: &BTreeSet<AccountId>,
    ) -> Result<Vec<Account>, StoreError> {
        let ids: Vec<&AccountId> = ids.iter().collect();
        let query = self.query(&LOCKED_ACCOUNTS).column(&ids, |id| id.as_str());
        accounts(&self.rows(query).await?)
    }

    /// The accounts, if no transaction of these names is there.
    pub(super) async fn unposted(
        &mut self,
        needs: &Footprint,
    ) -> Result<Option<Unposted>, StoreError> {
        let ids: Vec<&AccountId> = needs.accounts.iter().collect();
        let names: Vec<&Name> = needs.transactions.iter().collect();
        let query = self.query(&UNPOSTED).column(&ids, |id| id.as_str());
        let mut rows = self.rows(named(query, &names)).await?;
        let first = rows.first().ok_or_else(|| StoreError::broken("it doesn't tell the time"))?;
        let (time, posted) = (first.try_get("asked_time")?, first.try_get("posted_before")?);
        if first.try_get::<Option<&str>, _>("account_id")?.is_none() {
            rows.clear();
        }
        let accounts = accounts(&rows)?;
        Ok(if posted { None } else { Some(Unposted { time, accounts }) })
    }

    pub(super) async fn accounts(&mut self, ids: &[AccountId]) -> Result<Vec<Account>, StoreError> {
        let query = self.query(&ACCOUNTS).column(ids, AccountId::as_str);
        accounts(&self.rows(query).await?)
    }

    pub(super) async fn list_accounts(
        &mut self,
        query: &AccountQuery,
    ) -> Result<Vec<Account>, StoreError> {
        let ids = &query.ids;
        let listed = self.query(listed(query.status));
        let listed = listed.bind(ids.start.as_str()).bind(ids.end.as_str());
        accounts(&self.rows(listed.bind(count(query.limit))).await?)
    }

    pub(super) async fn due(
        &mut self,
        now: Time,
        limit: usize,
    ) -> Result<Vec<AccountId>, StoreError> {
        let due = "SELECT account_id FROM ledger.accounts WHERE due_time <= $1 \
                   ORDER BY due_time LIMIT $2";
        let query = self.query(due).bind(now.0).bind(count(limit));
        let rows = self.rows(query).await?;
        rows.iter().map(|row| Ok(AccountId::new(row.try_get::<&str, _>(0)?))).collect()
    }

    /// The transactions of these names, with all their entries.
    pub(super) async fn transactions_named(
        &mut self,
        names: impl IntoIterator<Item = &Name>,
    ) -> Result<Vec<Transaction>, StoreError> {
        let names: Vec<&Name> = names.into_iter().collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let query = named(self.query(&TRANSACTIONS), &names);
        let rows = self.rows(query).await?;
        let found = rows.iter().map(PostedRow::from_row).collect::<Result<Vec<_>, _>>()?;
        self.with_others(found).await
    }

    /// Whole transactions from those that stand beside their owner's entry.
    async fn with_others(&mut self, found: Vec<PostedRow>) -> Result<Vec<Transaction>, StoreError> {
        let others =
            found.iter().map(|row| row.transaction.others()).collect::<Result<Vec<_>, _>>()?;
        let wanted: Vec<(String, i64)> = others.iter().flatten().cloned().collect();
        let mut entries = self.entries_at(&wanted).await?;
        let mut transactions = Vec::with_capacity(found.len());
        for (row, others) in found.into_iter().zip(others) {
            let mut own = vec![row.entry.try_into()?];
            own.extend(others.iter().filter_map(|id| entries.remove(id)));
            transactions.push(row.transaction.with(own)?);
        }
        Ok(transactions)
    }

    async fn entries_at(
        &mut self,
        ids: &[(String, i64)],
    ) -> Result<HashMap<(String, i64), Entry>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let query = self.query(&ENTRIES).column(ids, |(account, _)| account.as_str());
        let query = query.column(ids, |(_, sequence)| *sequence);
        let rows = self.rows(query).await?;
        let entries = rows.iter().map(|row| {
            let entry: Entry = EntryRow::from_row(row)?.try_into()?;
            Ok(((entry.account.as_str().to_owned(), entry.sequence), entry))
        });
        entries.collect()
    }

    /// The transactions of these entries, each with that entry alone, in the order asked for.
    pub(super) async fn posted(&mut self, ids: &[EntryId]) -> Result<Vec<Transaction>, StoreError> {
        let query = self.query(&POSTED).column(ids, |(account, _)| account.as_str());
        let query = query.column(ids, |(_, sequence)| *sequence);
        let rows = self.rows(query).await?;
        in_order(ids, rows.iter().map(|row| PostedRow::from_row(row)?.try_into()))
    }

    pub(super) async fn bodies<T: DeserializeOwned>(
        &mut self,
        select: &'static str,
        names: &BTreeSet<Name>,
    ) -> Result<Vec<(Name, T)>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&Name> = names.iter().collect();
        let query = named(self.query(select), &names);
        named_bodies(&self.rows(query).await?)
    }

    pub(super) async fn reversals(
        &mut self,
        names: &BTreeSet<Name>,
    ) -> Result<Vec<(Name, Reversal)>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&Name> = names.iter().collect();
        let query = named(self.query(REVERSALS), &names);
        let rows = self.rows(query).await?;
        let reversals = rows.iter().map(|row| {
            let (account, id): (&str, Uuid) = (row.try_get(0)?, row.try_get(1)?);
            let (reversed, complete): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
            Ok((name(account, id), Reversal { reversed, complete: complete != 0 }))
        });
        reversals.collect()
    }

    /// The spilled grants of these accounts.
    pub(super) async fn spilled(
        &mut self,
        accounts: &BTreeSet<AccountId>,
    ) -> Result<Vec<(Name, Grant)>, StoreError> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let accounts: Vec<&AccountId> = accounts.iter().collect();
        let query = self.query(SPILLED).column(&accounts, |id| id.as_str());
        named_bodies(&self.rows(query).await?)
    }

    /// The account with its spilled grants: one statement sees one state of the database.
    pub(super) async fn whole_account(
        &mut self,
        id: &AccountId,
    ) -> Result<Option<Account>, StoreError> {
        let query = self.query(&WHOLE_ACCOUNT).bind(id.as_str());
        let rows = self.rows(query).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut account: Account = AccountRow::from_row(row)?.try_into()?;
        let bodies: Vec<String> = row.try_get("spilled")?;
        let spilled = bodies.into_iter().map(|body| from_json("grants.body", &body));
        account.take_in(spilled.collect::<Result<Vec<Grant>, _>>()?);
        Ok(Some(account))
    }

    /// The account's own transfers since then that drew from a credit's grant, newest first, with all
    /// their entries.
    pub(super) async fn tips(
        &mut self,
        (account, credit): &Name,
        since: Time,
    ) -> Result<Vec<Transaction>, StoreError> {
        let first = self.first_entry_from(account, since).await?;
        let query = self
            .query(&TIPS)
            .bind(account.as_str())
            .bind(uuid(*credit))
            .bind(first)
            .bind(credit.to_string());
        let rows = self.rows(query).await?;
        let found = rows.iter().map(PostedRow::from_row).collect::<Result<Vec<_>, _>>()?;
        self.with_others(found).await
    }

    pub(super) async fn transactions(
        &mut self,
        query: &TransactionQuery,
    ) -> Result<Vec<Transaction>, StoreError> {
        let types: Vec<&str> = query.types.iter().map(|kind| kind.as_str()).collect();
        let first = match (&query.account, query.start) {
            (Some(account), Some(start)) => self.first_entry_from(account, start).await?,
            (Some(_) | None, _) => 1,
        };
        let before = query.before.as_ref();
        let (statement, account) = match &query.account {
            Some(account) => (&LIST_ACCOUNT, Some(account)),
            None => (&LIST, before.map(|(account, _)| account)),
        };
        let bound = self
            .query(statement)
            .bind(account.map(AccountId::as_str))
            .bind(before.map_or(i64::MAX, |(_, sequence)| *sequence))
            .bind(first)
            .bind(types)
            .bind(query.action.as_deref())
            .bind(query.start.map(|time| time.0))
            .bind(query.end.map(|time| time.0))
            .bind(query.reference.as_deref())
            .bind(query.description.as_deref())
            .bind(to_json(&query.metadata))
            .bind(count(query.limit));
        let rows = self.rows(bound).await?;
        rows.iter().map(|row| PostedRow::from_row(row)?.try_into()).collect()
    }

    /// The number of the account's first entry at or after a time; one past the last if there is
    /// none. Numbers have no gaps and time never runs backwards for an account, so this is a binary
    /// search.
    pub(super) async fn first_entry_from(
        &mut self,
        account: &AccountId,
        time: Time,
    ) -> Result<i64, StoreError> {
        let newest = self
            .query("SELECT sequence FROM ledger.accounts WHERE account_id = $1")
            .bind(account.as_str());
        let newest = self.rows(newest).await?;
        let newest: i64 = newest.first().map_or(Ok(0), |row| row.try_get(0))?;
        let (mut low, mut high) = (1, newest + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let select = "SELECT create_time FROM ledger.entries \
                          WHERE account_id = $1 AND sequence = $2";
            let query = self.query(select).bind(account.as_str()).bind(middle);
            let created: i64 = query.fetch_one(&mut *self.connection).await?.try_get(0)?;
            if created < time.0 { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    pub(super) async fn closed_grants(
        &mut self,
        account: &AccountId,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Vec<Grant>, StoreError> {
        let select = "SELECT body FROM ledger.grants WHERE account_id = $1 AND grant_id > $2 AND open = 0 \
                      ORDER BY grant_id LIMIT $3";
        let query = self
            .query(select)
            .bind(account.as_str())
            .bind(after.map_or(Uuid::nil(), uuid))
            .bind(count(limit));
        self.bodies_only(query).await
    }

    pub(super) async fn ended_holds(
        &mut self,
        account: &AccountId,
        state: Option<HoldState>,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Vec<Hold>, StoreError> {
        let select = "SELECT body FROM ledger.holds WHERE account_id = $1 AND hold_id > $2 \
                      AND ($3::text IS NULL OR state = $3) ORDER BY hold_id LIMIT $4";
        let query = self
            .query(select)
            .bind(account.as_str())
            .bind(after.map_or(Uuid::nil(), uuid))
            .bind(state.map(HoldState::as_str))
            .bind(count(limit));
        self.bodies_only(query).await
    }

    async fn bodies_only<T: DeserializeOwned>(
        &mut self,
        query: PgQuery,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.rows(query).await?;
        rows.iter().map(|row| from_json("body", row.try_get::<&str, _>(0)?)).collect()
    }

    pub(super) async fn usage(
        &mut self,
        account: &AccountId,
        start: Option<Time>,
        end: Option<Time>,
    ) -> Result<Vec<Usage>, StoreError> {
        let first = self.first_entry_from(account, start.unwrap_or(Time(0))).await?;
        let until = self.first_entry_from(account, end.unwrap_or(Time(i64::MAX))).await?;
        let query = self.query(USAGE).bind(account.as_str()).bind(first).bind(until);
        let rows = self.rows(query).await?;
        let usage = rows.iter().map(|row| {
            Ok(Usage { action: row.try_get(0)?, tokens: row.try_get(1)?, count: row.try_get(2)? })
        });
        usage.collect()
    }

    pub(super) async fn balance_at(
        &mut self,
        account: &AccountId,
        at: Time,
    ) -> Result<Option<Balance>, StoreError> {
        let next = self.first_entry_from(account, at.after_micros(1)).await?;
        let select = "SELECT balance_after, held_after, sequence FROM ledger.entries \
                      WHERE account_id = $1 AND sequence = $2";
        let query = self.query(select).bind(account.as_str()).bind(next - 1);
        let rows = self.rows(query).await?;
        let balance = rows.first().map(|row| {
            Ok(Balance {
                posted: row.try_get(0)?,
                held: row.try_get(1)?,
                sequence: row.try_get(2)?,
            })
        });
        balance.transpose()
    }

    pub(super) async fn ping(&mut self) -> Result<(), StoreError> {
        // One that has to look into a table.
        let query = self.query("SELECT count(*) FROM ledger.chain_keys");
        self.rows(query).await.map(drop)
    }

    pub(super) async fn chain_keys(&mut self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let query = self.query("SELECT key_id, check_code FROM ledger.chain_keys");
        let rows = self.rows(query).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    pub(super) async fn transaction(
        &mut self,
        name: &Name,
    ) -> Result<Option<Transaction>, StoreError> {
        Ok(self.transactions_named([name]).await?.pop())
    }

    pub(super) async fn position(&mut self) -> Result<Position, StoreError> {
        let query = self.query("SELECT epoch, position FROM ledger.stream");
        let rows = self.rows(query).await?;
        let row =
            rows.first().ok_or_else(|| StoreError::broken("the stream's row is not there"))?;
        Ok(Position { epoch: row.try_get(0)?, position: row.try_get(1)? })
    }

    pub(super) async fn commits_after(
        &mut self,
        position: i64,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        let select = "SELECT position, entries FROM ledger.commits WHERE position > $1 \
                      ORDER BY position LIMIT $2";
        let query = self.query(select).bind(position).bind(count(limit));
        let rows = self.rows(query).await?;
        let commits = rows.iter().map(|row| Commit::of(row.try_get(0)?, row.try_get(1)?));
        commits.collect()
    }
}

fn accounts(rows: &[PgRow]) -> Result<Vec<Account>, StoreError> {
    rows.iter().map(|row| AccountRow::from_row(row)?.try_into()).collect()
}

/// Rows of account, id and body.
fn named_bodies<T: DeserializeOwned>(rows: &[PgRow]) -> Result<Vec<(Name, T)>, StoreError> {
    let body = |row: &PgRow| {
        let (account, id, body): (&str, Uuid, &str) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok((name(account, id), from_json("body", body)?))
    };
    rows.iter().map(body).collect()
}

fn named(query: PgQuery, names: &[&Name]) -> PgQuery {
    query.column(names, |(account, _)| account.as_str()).column(names, |(_, id)| uuid(*id))
}

pub(super) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
