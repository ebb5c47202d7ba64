//! The real executable as a process of its own: what a test must be able to kill.

use crate::postgres;
use proto::v1::token_service_client::TokenServiceClient;
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
    time::timeout,
};
use tonic::transport::{Channel, Endpoint};

/// How long a process may take to come up or go down.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running token-service.
#[derive(Debug)]
pub struct Process {
    /// Where it answers.
    pub address: String,
    child: Child,
    pid: u32,
}

impl Process {
    /// Starts the service on the database `ledger.db` in `folder`, on a free port.
    ///
    /// # Panics
    /// If it doesn't come up.
    pub async fn start(folder: &Path, arguments: &[&str]) -> Self {
        let database = format!("sqlite:{}", folder.join("ledger.db").display());
        Self::start_on(&database, folder, arguments).await
    }

    /// Starts the service on a database, with its files in `folder`, on a free port.
    ///
    /// # Panics
    /// If it doesn't come up.
    pub async fn start_on(database: &str, folder: &Path, arguments: &[&str]) -> Self {
        Self::start_logging(database, folder, arguments, Stdio::inherit()).await
    }

    /// The same, with its log written somewhere.
    ///
    /// # Panics
    /// If it doesn't come up.
    pub async fn start_logging(
        database: &str,
        folder: &Path,
        arguments: &[&str],
        log: impl Into<Stdio>,
    ) -> Self {
        let keys = folder.join("ledger.db.keys");
        let says = |argument: &&str| argument.starts_with("--log");
        let quietly: &[&str] = if arguments.iter().any(says) { &[] } else { &["--log=warn"] };
        let told = arguments.iter().any(|argument| argument.starts_with("--listen"));
        let anywhere: &[&str] = if told { &[] } else { &["--listen=127.0.0.1:0"] };
        let mut child = tokio::process::Command::new(executable())
            .args(anywhere)
            .args(["--database", database])
            .arg("--chain-key-file")
            .arg(keys)
            .args(arguments)
            .args(quietly)
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the executable starts");
        let pid = child.id().expect("it runs");
        let output = child.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(output).lines();
        let first = timeout(PATIENCE, lines.next_line()).await.expect("it comes up in time");
        let first = first.expect("its output can be read").expect("it says that it answers");
        let address = first.split_whitespace().find(|word| word.starts_with("127.0.0.1:"));
        let address = address.expect("it says where it answers").to_owned();
        Self { address, child, pid }
    }

    /// A connection to it.
    ///
    /// # Panics
    /// If it doesn't answer.
    pub async fn client(&self) -> TokenServiceClient<Channel> {
        TokenServiceClient::new(self.channel().await)
    }

    /// The same, for a client of any service.
    ///
    /// # Panics
    /// If it doesn't answer.
    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address));
        let endpoint = endpoint.expect("it is an address").tcp_nodelay(true);
        endpoint.connect().await.expect("it answers")
    }

    /// The most memory that it has ever used, in KiB.
    ///
    /// # Panics
    /// Where `/proc` doesn't tell.
    #[must_use]
    pub fn memory_peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid));
        let status = status.expect("it runs, on Linux");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|it| it.split_whitespace().next()).and_then(|it| it.parse().ok());
        peak.expect("a number of KiB")
    }

    /// Ends it between any two instructions.
    ///
    /// # Panics
    /// If it can't be killed.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Asks it to stop; its exit code.
    ///
    /// # Panics
    /// If it doesn't stop in time.
    pub async fn terminate(mut self) -> Option<i32> {
        let asked = Command::new("kill").args(["-TERM", &self.pid.to_string()]).status();
        assert!(asked.expect("kill runs").success(), "it takes a signal");
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("it stops in time");
        ended.expect("its end can be waited for").code()
    }
}

/// Runs the executable to its end with these arguments and environment, in `folder`.
///
/// # Panics
/// If it doesn't start.
#[must_use]
pub fn run(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(executable())
        .current_dir(folder)
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .expect("the executable starts")
}

/// The service's executable of this build, built if it isn't yet.
///
/// # Panics
/// If it can't be built.
pub fn executable() -> &'static Path {
    static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();
    EXECUTABLE.get_or_init(|| built("token-service"))
}

/// The executable of a package of this workspace, built if it isn't yet.
///
/// # Panics
/// If it can't be built.
#[must_use]
pub fn built(package: &str) -> PathBuf {
    // What cargo tells this test about itself would make other builds' scripts run again, and
    // with them half of the dependencies.
    let ours =
        |name: &String| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    let ours = env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(ours);
    let mut build = Command::new(env!("CARGO"));
    ours.for_each(|name| {
        build.env_remove(name);
    });
    let built = build
        .args(["build", "--quiet", "--locked", "--package", package])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status();
    assert!(built.expect("cargo runs").success(), "{package} can be built");
    let this = env::current_exe().expect("this test has a path");
    let profile = this.ancestors().nth(2).expect("it is in the target folder");
    profile.join(package)
}

/// Where services keep their ledger, so that another can be started on what one has left.
#[derive(Debug)]
pub struct Home {
    url: String,
    // In this order: who runs on a database has stopped before it is given back.
    _database: Option<postgres::Database>,
    folder: TempDir,
}

impl Home {
    /// In a file.
    ///
    /// # Panics
    /// If there is no folder to be had.
    #[must_use]
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("ledger.db").display());
        Self { url, _database: None, folder }
    }

    /// In an empty database.
    ///
    /// # Panics
    /// If there is none to be had.
    pub async fn postgres() -> Self {
        let database = postgres::database().await;
        let url = database.url().to_owned();
        Self { url, _database: Some(database), folder: tempfile::tempdir().expect("a folder") }
    }

    /// In the database at this URL.
    ///
    /// # Panics
    /// If there is no folder to be had.
    #[must_use]
    pub fn at(url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { url: url.to_owned(), _database: None, folder }
    }

    /// Where the files are that services keep beside their database.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The database.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts a service here; several may run at once.
    pub async fn start(&self, arguments: &[&str]) -> Process {
        Process::start_on(&self.url, self.folder.path(), arguments).await
    }
}
