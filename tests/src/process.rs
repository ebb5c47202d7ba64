//! The real executable as a process of its own: what a test must be able to kill.

use proto::v1::token_service_client::TokenServiceClient;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    time::Duration,
};
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
        let mut child = tokio::process::Command::new(executable())
            .args(["--listen", "127.0.0.1:0", "--database", &database, "--log", "warn"])
            .args(arguments)
            .stdout(Stdio::piped())
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
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address));
        let endpoint = endpoint.expect("it is an address").tcp_nodelay(true);
        TokenServiceClient::new(endpoint.connect().await.expect("it answers"))
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

/// The executable of this build, built if it isn't yet.
///
/// # Panics
/// If it can't be built.
pub fn executable() -> &'static Path {
    static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();
    EXECUTABLE.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--package", "token-service"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .status();
        assert!(built.expect("cargo runs").success(), "token-service can be built");
        let this = std::env::current_exe().expect("this test has a path");
        let profile = this.ancestors().nth(2).expect("it is in the target folder");
        profile.join("token-service")
    })
}
