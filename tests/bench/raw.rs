//! Batches without a service: accounts updated and rows inserted by arrays, on one connection. What
//! PostgreSQL gives at best to whoever debits in batches.

use crate::{
    accounts::{Accounts, Spread, name},
    baseline,
    report::float,
    statements::{RAW_INSERT, RAW_KEY, RAW_UPDATE},
};
use sqlx::{Connection as _, Executor as _, PgConnection};
use std::{
    collections::BTreeMap,
    error::Error,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// One connection to a database with accounts.
#[derive(Debug)]
pub struct Raw {
    connection: PgConnection,
    accounts: Accounts,
}

impl Raw {
    /// Makes and fills the tables in this database.
    pub async fn prepare(url: &str, accounts: u64) -> Result<Self, Box<dyn Error>> {
        baseline::prepare(url, accounts).await?;
        let mut connection = PgConnection::connect(url).await?;
        connection.execute(RAW_KEY).await?;
        Ok(Self { connection, accounts: Accounts::new(accounts, Spread::Random) })
    }

    /// Debits per second in batches of so many.
    pub async fn run(&mut self, items: u64, lasts: Duration) -> Result<f64, Box<dyn Error>> {
        let begun = Instant::now();
        let mut done = 0;
        while begun.elapsed() < lasts {
            self.batch(items).await?;
            done += items;
        }
        Ok(float(done) / begun.elapsed().as_secs_f64())
    }

    #[expect(clippy::disallowed_methods, reason = "never given up; keys tell the time of day")]
    async fn batch(&mut self, items: u64) -> Result<(), sqlx::Error> {
        let mut counts = BTreeMap::<String, i64>::new();
        for _ in 0..items {
            *counts.entry(name(self.accounts.pick())).or_default() += 1;
        }
        let (ids, amounts): (Vec<String>, Vec<i64>) = counts.into_iter().unzip();
        let mut transaction = self.connection.begin().await?;
        let update = sqlx::query_as::<_, (String, i64, i64)>(RAW_UPDATE);
        let update = update.bind(&ids).bind(&amounts).bind(&amounts);
        let updated = update.fetch_all(&mut *transaction).await?;

        let mut rows = (vec![], vec![], vec![], vec![], vec![]);
        let debited = updated.iter().map(|row| (&row.0, row));
        let debited = debited.collect::<BTreeMap<_, _>>();
        for (id, count) in ids.iter().zip(&amounts) {
            let (_, balance, sequence) = debited.get(id).ok_or(sqlx::Error::RowNotFound)?;
            for left in (0..*count).rev() {
                rows.0.push(id.as_str());
                rows.1.push(sequence - left);
                rows.2.push(Uuid::now_v7().into_bytes().to_vec());
                rows.3.push(1_i64);
                rows.4.push(balance + left);
            }
        }
        let insert = sqlx::query(RAW_INSERT).bind(rows.0).bind(rows.1).bind(rows.2);
        insert.bind(rows.3).bind(rows.4).execute(&mut *transaction).await?;
        transaction.commit().await
    }
}
