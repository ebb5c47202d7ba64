//! The PostgreSQL server that everything is measured on, and databases of our own in it.

use crate::process::{family_cpu, parent_of};
use ::tests::postgres::{Options, Server};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use std::{error::Error, time::Duration};

/// What our databases' names begin with; what is called so is dropped without asking.
const PREFIX: &str = "token_bench_";

/// Settings that decide what a commit means and costs.
const SETTINGS: [&str; 5] =
    ["server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers"];

/// What a small server of one's own would be given. Everything about durability is as it comes.
const DURABLE: [(&str, &str); 3] =
    [("shared_buffers", "1GB"), ("max_wal_size", "4GB"), ("jit", "off")];

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    /// Ours, ends with us.
    _own: Option<Server>,
    /// Its first process, if it runs on this machine.
    postmaster: Option<u32>,
}

impl Postgres {
    /// The server at this address, or a durable one of our own.
    pub async fn find(url: Option<String>) -> Result<Self, Box<dyn Error>> {
        let own = match &url {
            Some(_) => None,
            None => Some(Server::start(Options { settings: &DURABLE, ..Options::default() }).await),
        };
        let url = url.or_else(|| Some(own.as_ref()?.url().to_owned()));
        let url = url.ok_or("there is no server")?;
        let mut connection = PgConnection::connect(&url).await?;
        let backend: i32 =
            sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
        let postmaster = postmaster(&backend.to_string());
        connection.close().await?;
        Ok(Self { url, _own: own, postmaster })
    }

    /// An empty database with this name; its address.
    pub async fn fresh(&self, name: &str) -> Result<String, Box<dyn Error>> {
        let mut connection = PgConnection::connect(&self.url).await?;
        for statement in ["DROP DATABASE IF EXISTS @ WITH (FORCE)", "CREATE DATABASE @"] {
            let statement = statement.replace('@', &format!("{PREFIX}{name}"));
            connection.execute(AssertSqlSafe(statement)).await?;
        }
        connection.close().await?;
        with_database(&self.url, &format!("{PREFIX}{name}"))
    }

    /// CPU time that all of its processes have used so far; 0 if it runs elsewhere.
    pub fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        self.postmaster.map_or(Ok(Duration::ZERO), family_cpu)
    }

    /// Its version and how durable it is, in words.
    pub async fn words(&self) -> Result<String, Box<dyn Error>> {
        let mut connection = PgConnection::connect(&self.url).await?;
        let mut words = Vec::new();
        for setting in SETTINGS {
            let value: String = sqlx::query_scalar("SELECT current_setting($1)")
                .bind(setting)
                .fetch_one(&mut connection)
                .await?;
            words.push(format!("{setting} {value}"));
        }
        connection.close().await?;
        Ok(format!("PostgreSQL: {}.", words.join(", ")))
    }
}

/// The parent of the process that serves our connection, if both are PostgreSQL's.
fn postmaster(backend: &str) -> Option<u32> {
    let is_postgres = |pid: &str| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.trim() == "postgres")
    };
    let parent = is_postgres(backend).then(|| parent_of(backend).ok())??;
    is_postgres(&parent.to_string()).then_some(parent)
}

/// The address of another database in the same server.
fn with_database(url: &str, name: &str) -> Result<String, Box<dyn Error>> {
    let (scheme, rest) = url.split_once("://").ok_or("an address begins with postgres://")?;
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(a, b)| (a, Some(b)));
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{scheme}://{host}/{name}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_an_address_changes() {
        for (url, expected) in [
            ("postgres://a@b:1/c", "postgres://a@b:1/x"),
            ("postgres://a:p@b", "postgres://a:p@b/x"),
            ("postgresql://b/c?sslmode=disable", "postgresql://b/x?sslmode=disable"),
        ] {
            assert_eq!(with_database(url, "x").unwrap(), expected);
        }
    }
}
