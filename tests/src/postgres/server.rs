//! A PostgreSQL server of a test's own, which it may crash, and which ends when the test does,
//! however that ends: `supervise.sh` sees to it.

use super::{
    binaries::{self, Version},
    connect, user,
};
use sqlx::{Connection as _, PgConnection};
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    time::{sleep, timeout},
};

/// What keeps a server alive, as a shell script: no other language is always there.
const SUPERVISE: &str = include_str!("supervise.sh");

/// How long a server may take to come up, or down.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often we look whether it is up.
const LOOK: Duration = Duration::from_millis(5);

/// Below those from which systems take ports for outgoing connections: ours must be free again
/// when the server restarts.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// How often another port is tried.
const PORTS_TRIED_MAX: u32 = 10;

/// How much of its log is shown when it doesn't come up.
const LOG_LINES_MAX: usize = 30;

/// Settings of every server, before those of the caller.
const SETTINGS: [(&str, &str); 6] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("max_connections", "400"),
    ("shared_buffers", "32MB"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

/// What kind of server.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// Which PostgreSQL.
    pub version: Version,
    /// An existing folder to hold the data (in `data`), such as a small file system that a test
    /// fills; a temporary one if none is given. What is in it stays.
    pub folder: Option<&'a Path>,
    /// Settings of `postgresql.conf` by name. Without any, what is committed survives a crash.
    pub settings: &'a [(&'a str, &'a str)],
}

/// A server that runs, or could.
#[derive(Debug)]
pub struct Server {
    url: String,
    port: u16,
    folder: PathBuf,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    // Isn't killed when dropped: it ends by itself when `orders` closes, and cleans up.
    _supervisor: Child,
}

impl Server {
    /// Makes a server with nothing in it and starts it, on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If it can't be had or doesn't come up, with the end of its log.
    pub async fn start(options: Options<'_>) -> Self {
        let user = user::User::find();
        let folder = user::folder(user);
        let binaries = binaries::find(options.version, user, folder.path()).await;
        let data = options.folder.unwrap_or(folder.path()).join("data");
        fs::create_dir(&data).expect("a folder for the data");
        user::give(user, &data).expect("it is ours to give");
        let password = uuid::Uuid::new_v4().simple().to_string();
        let script = folder.path().join("supervise.sh");
        for (file, content) in
            [(folder.path().join("password"), &*password), (script.clone(), SUPERVISE)]
        {
            fs::write(&file, content).expect("a small file");
            user::give(user, &file).expect("it is ours to give");
        }
        let settings = SETTINGS.iter().chain(options.settings);
        let settings = settings.flat_map(|(name, value)| ["-c".into(), format!("{name}={value}")]);
        let mut command = tokio::process::Command::from(user::command(user, "sh"));
        command.arg(script).arg(binaries).arg(folder.path()).arg(data);
        command.args(settings).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // In a group of its own: Ctrl-C is for the tests, and their end is the sign for it.
        let mut supervisor = command.process_group(0).spawn().expect("a shell starts");
        let orders = supervisor.stdin.take().expect("its input is piped");
        let answers = supervisor.stdout.take().expect("its output is piped");
        let answers = BufReader::new(answers).lines();
        // From here on it is the supervisor's to remove.
        let folder = folder.keep();
        let url = String::new();
        let mut server = Self { url, port: 0, folder, orders, answers, _supervisor: supervisor };
        server.start_somewhere(&password).await;
        server
    }

    /// Between our look at a port and its use anybody may take it: then it is the next.
    async fn start_somewhere(&mut self, password: &str) {
        for _ in 0..PORTS_TRIED_MAX {
            self.port = free_port();
            self.url = format!("postgres://postgres:{password}@127.0.0.1:{}/postgres", self.port);
            match self.come_up().await {
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("PostgreSQL doesn't start:\n{log}"),
                Ok(()) => return,
            }
        }
        panic!("PostgreSQL finds no free port in {PORTS:?}");
    }

    /// `postgres://…` of its database `postgres`, as its superuser. Stays the same when it restarts.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills all its processes at once (SIGKILL), as if they had crashed.
    ///
    /// # Panics
    /// If it can't be done.
    pub async fn kill(&mut self) {
        self.order("crash").await;
    }

    /// Starts it after [`Self::kill`] or [`Self::stop`], and waits until it has recovered.
    ///
    /// # Panics
    /// If it doesn't come up, with the end of its log.
    pub async fn restart(&mut self) {
        let since = Instant::now();
        while let Err(log) = self.come_up().await {
            // What was killed takes a moment to be gone.
            let dying = log.contains("is still in use") && since.elapsed() < PATIENCE;
            assert!(dying, "PostgreSQL doesn't start again:\n{log}");
            sleep(LOOK).await;
        }
    }

    /// Waits until it answers, and starts it if it has ended by itself, as it does when it can't
    /// write its log.
    ///
    /// # Panics
    /// If it doesn't come up, with the end of its log.
    pub async fn recover(&mut self) {
        let since = Instant::now();
        while PgConnection::connect(&self.url).await.is_err() {
            assert!(
                since.elapsed() < PATIENCE,
                "PostgreSQL doesn't recover:\n{}",
                tail(&self.log())
            );
            if self.folder.join("ended").exists() {
                self.restart().await;
            }
            sleep(LOOK).await;
        }
    }

    /// Ends all sessions but the one that does it; how many there were.
    ///
    /// # Panics
    /// If it doesn't answer.
    pub async fn terminate_backends(&self) -> i64 {
        let mut connection = connect(&self.url).await;
        let ended = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        );
        let ended = ended.fetch_one(&mut connection).await.expect("sessions can be ended");
        connection.close().await.expect("it can be left");
        ended
    }

    /// Stops it in good order: sessions end, and what is in memory is written.
    ///
    /// # Panics
    /// If it doesn't stop in time.
    pub async fn stop(&mut self) {
        self.order("stop").await;
    }

    /// Starts it and waits until it answers; otherwise the end of its log.
    async fn come_up(&mut self) -> Result<(), String> {
        // What it said before it was started last isn't to be taken for what it says now.
        let log_length = self.log().len();
        self.order(&format!("start {}", self.port)).await;
        let since = Instant::now();
        loop {
            // Its own end is looked for first: another server may have our port.
            let ended = self.folder.join("ended").exists();
            if !ended && let Ok(connection) = PgConnection::connect(&self.url).await {
                connection.close().await.map_err(|error| error.to_string())?;
                return Ok(());
            }
            if ended || since.elapsed() > PATIENCE {
                return Err(tail(self.log().get(log_length..).unwrap_or_default()));
            }
            sleep(LOOK).await;
        }
    }

    async fn order(&mut self, order: &str) {
        let line = format!("{order}\n");
        let obeyed = async {
            self.orders.write_all(line.as_bytes()).await?;
            self.orders.flush().await?;
            self.answers.next_line().await
        };
        let answer = timeout(PATIENCE, obeyed).await;
        let done = matches!(&answer, Ok(Ok(Some(word))) if word == "done");
        assert!(done, "PostgreSQL's supervisor doesn't {order}: {answer:?}\n{}", tail(&self.log()));
    }

    fn log(&self) -> String {
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = std::iter::repeat_with(|| fastrand::u16(PORTS));
    ports.find(is_free).expect("it looks for ever")
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let first = lines.len().saturating_sub(LOG_LINES_MAX);
    lines.get(first..).unwrap_or_default().join("\n")
}
