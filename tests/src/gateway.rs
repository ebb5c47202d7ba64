//! The gateway's real executable as a process of its own: what a test must be able to kill.

use crate::process;
use std::{
    fs::{File, OpenOptions},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};

/// How long it may take to come up or go down.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(2);

/// Ports that nobody is given who doesn't ask for one: a gateway that comes back finds its own free.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// The lines that it says when it answers: what begins them.
const ANSWERS: &str = "payments-gateway answers on ";
const OPERATORS: &str = "operators are answered on ";

/// How a gateway is started, and started again.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// The file that its log is written to.
    pub log: PathBuf,
    /// Its environment, beside that of the test.
    pub environment: Vec<(String, String)>,
}

impl Settings {
    /// Where it will answer.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// Where operators are answered: a host and a port.
    pub operators: String,
    child: Arc<Mutex<Child>>,
    // Whoever prints to a closed pipe panics.
    _output: Lines<BufReader<ChildStdout>>,
}

/// Ends a gateway between any two instructions, without waiting for anything.
#[derive(Clone, Debug)]
pub struct Killer(Arc<Mutex<Child>>);

impl Killer {
    /// Ends it.
    pub fn kill(&self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended before.
        child.start_kill().ok();
    }
}

impl Gateway {
    /// Starts one.
    ///
    /// # Panics
    /// If it doesn't come up, with what it said.
    pub async fn start(settings: &Settings) -> Self {
        let mut child = Self::spawn(settings);
        let output = child.stdout.take().expect("its output is piped");
        let mut output = BufReader::new(output).lines();
        let told = timeout(PATIENCE, told(&mut output)).await.ok().flatten();
        let Some((url, operators)) = told else {
            child.start_kill().ok();
            panic!("payments-gateway doesn't come up:\n{}", tail(&settings.log));
        };
        assert_eq!(url, settings.url(), "it answers where it was told to");
        Self { operators, child: Arc::new(Mutex::new(child)), _output: output }
    }

    /// Runs one that must refuse to start; its exit code and what it said.
    ///
    /// # Panics
    /// If it doesn't end.
    pub async fn fail(settings: &Settings) -> (Option<i32>, String) {
        let mut child = Self::spawn(settings);
        let ended = timeout(PATIENCE, child.wait()).await.expect("it ends in time");
        (ended.expect("its end can be waited for").code(), tail(&settings.log))
    }

    fn spawn(settings: &Settings) -> Child {
        static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();
        let executable = EXECUTABLE.get_or_init(|| process::built("payments-gateway"));
        let log: File = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&settings.log)
            .expect("a file for its log");
        let environment = settings.environment.iter().map(|(name, value)| (name, value));
        Command::new(executable)
            .env("PAYMENTS_GATEWAY_LISTEN", format!("127.0.0.1:{}", settings.port))
            .env("PAYMENTS_GATEWAY_OPERATOR_LISTEN", "127.0.0.1:0")
            .envs(environment)
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the executable starts")
    }

    /// What ends it from elsewhere.
    #[must_use]
    pub fn killer(&self) -> Killer {
        Killer(Arc::clone(&self.child))
    }

    /// Whether it runs.
    ///
    /// # Panics
    /// If that can't be told.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.try_wait().expect("its state can be told").is_none()
    }

    /// Ends it between any two instructions, and waits until it is gone.
    pub async fn kill(&self) {
        self.killer().kill();
        self.gone().await;
    }

    /// Waits until somebody has ended it.
    ///
    /// # Panics
    /// If nobody does.
    pub async fn gone(&self) {
        let gone = async {
            while self.is_running() {
                sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, gone).await.expect("it ends in time");
    }
}

/// What it says at the start: where people are answered, and operators.
async fn told(output: &mut Lines<BufReader<ChildStdout>>) -> Option<(String, String)> {
    let (mut url, mut operators) = (None, None);
    while url.is_none() || operators.is_none() {
        let line = output.next_line().await.ok()??;
        url = line.strip_prefix(ANSWERS).map(str::to_owned).or(url);
        operators = line.strip_prefix(OPERATORS).map(str::to_owned).or(operators);
    }
    url.zip(operators)
}

/// The last lines of a log, but for those that tell of what went well: whoever waits asks often.
#[must_use]
pub fn tail(log: &Path) -> String {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = said.lines().filter(|line| !line.contains("\"status\":200")).collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// A port that was free a moment ago, and that nobody gets by chance.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = std::iter::repeat_with(|| fastrand::u16(PORTS));
    ports.by_ref().take(1_000).find(is_free).expect("a free port")
}
