//! PostgreSQL for the tests: a database of one's own within milliseconds, on a server that this
//! process shares, or a server of one's own that can be crashed.
//!
//! The shared server is what `TEST_POSTGRES_URL` names, if it is set (its user must be a superuser).
//! Else it is started from the newest PostgreSQL on this machine, else from one that is fetched into
//! `.tools/postgres/`. It is one per process: a server that outlived its process would need an owner
//! of its own, and a second costs a second.

mod binaries;
mod fetch;
mod reset;
mod server;
mod user;

pub use binaries::Version;
pub use reset::{put_rows_back, remember_rows};
pub use server::{Options, Server};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::{env, future::Future, thread};
use tokio::{runtime, sync::OnceCell};

/// Settings of the shared server: nothing on it need survive anything, and it may be slow at one
/// thing only: many small databases at once.
const QUICK: [(&str, &str); 9] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "1h"),
    ("shared_buffers", "64MB"),
    ("jit", "off"),
];

/// Where databases are made.
#[derive(Debug)]
enum Shared {
    /// Ours: it goes when this process does, and takes its databases with it.
    Ours(Box<Server>),
    /// Somebody else's: what we make there we drop.
    Foreign(String),
}

impl Shared {
    async fn get() -> &'static Self {
        static SHARED: OnceCell<Shared> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        match env::var("TEST_POSTGRES_URL") {
            Ok(url) if !url.is_empty() => Self::Foreign(url),
            Ok(_) | Err(_) => {
                let options = Options { settings: &QUICK, ..Options::default() };
                Self::Ours(Box::new(Server::start(options).await))
            }
        }
    }

    fn url(&self) -> &str {
        match self {
            Self::Ours(server) => server.url(),
            Self::Foreign(url) => url,
        }
    }
}

/// A database that nobody else uses.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: String,
    afterwards: Afterwards,
}

/// What becomes of a database that is no longer needed.
#[derive(Debug)]
enum Afterwards {
    /// It goes with its server.
    Stay,
    /// The next who wants one alike gets it.
    Again(&'static str),
    /// It is dropped on the server at this URL.
    Drop(String),
}

impl Database {
    /// `postgres://…`, as a superuser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection to it.
    ///
    /// # Panics
    /// If the server doesn't answer.
    pub async fn connect(&self) -> PgConnection {
        connect(&self.url).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        match &self.afterwards {
            Afterwards::Stay => {}
            Afterwards::Again(kind) => reset::give_back(kind, &self.name),
            Afterwards::Drop(server) => drop_database(server, &self.name),
        }
    }
}

/// A new database with nothing in it. Takes some tens of milliseconds: [`database_like`] is quicker.
///
/// # Panics
/// If there is no server to be had, saying what to do.
pub async fn database() -> Database {
    let shared = Shared::get().await;
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let mut connection = connect(shared.url()).await;
    // As files: quicker here than through the log, and nothing else is written meanwhile.
    let create = format!("CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.expect("a new database");
    connection.close().await.expect("it can be left");
    let afterwards = match shared {
        Shared::Ours(_) => Afterwards::Stay,
        Shared::Foreign(url) => Afterwards::Drop(url.clone()),
    };
    Database { url: with_database(shared.url(), &name), name, afterwards }
}

/// A database as `prepare` leaves it, given its URL: for hundreds of tests that want the same tables.
/// One that an earlier test of this process is done with is used again, if there is any of this
/// `kind`: its sessions are ended, and its rows and sequences put back to what they were. So tests
/// may change rows, past any trigger, but not tables; who still runs on it must have stopped before
/// it is dropped. On a foreign server each is made anew, because
/// nobody would drop them in the end.
///
/// # Panics
/// If there is no server to be had, or it can't be put back.
pub async fn database_like<F: Future<Output = ()>>(
    kind: &'static str,
    prepare: impl FnOnce(String) -> F,
) -> Database {
    let shared = Shared::get().await;
    if let Some(name) = reset::take(kind) {
        let url = with_database(shared.url(), &name);
        let mut database = Database { name, url, afterwards: Afterwards::Stay };
        reset::put_back(&database).await;
        database.afterwards = Afterwards::Again(kind);
        return database;
    }
    let mut database = database().await;
    prepare(database.url().to_owned()).await;
    if let Shared::Ours(_) = shared {
        reset::remember(&database).await;
        database.afterwards = Afterwards::Again(kind);
    }
    database
}

async fn connect(url: &str) -> PgConnection {
    let connected = PgConnection::connect(url).await;
    connected.unwrap_or_else(|error| panic!("PostgreSQL doesn't answer: {error}"))
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL: postgres://…");
    let (place, query) = rest.split_once('?').map_or((rest, None), |(a, b)| (a, Some(b)));
    let authority = place.split_once('/').map_or(place, |(authority, _)| authority);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}/{name}{query}")
}

/// In a thread of its own: whoever drops a database may be in a runtime, and can't wait in it.
fn drop_database(server: &str, name: &str) {
    let work = async {
        let mut connection = PgConnection::connect(server).await?;
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await?;
        connection.close().await
    };
    let dropped = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(work)
        });
        thread.join()
    });
    match dropped {
        Ok(Ok(())) => {}
        Ok(Err(error)) => eprintln!("the database {name} is left behind: {error}"),
        Err(_) => eprintln!("the database {name} is left behind"),
    }
}
