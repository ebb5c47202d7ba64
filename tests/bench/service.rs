//! The service under load: a process of its own, with a database of its own.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
    time::timeout,
};

/// How long the service may take to come up or go down.
const PATIENCE: Duration = Duration::from_secs(30);

/// Clock ticks per second that the kernel counts CPU time in, on every Linux that matters.
const TICKS_PER_SECOND: u64 = 100;

pub struct Service {
    pub address: String,
    child: Child,
    pid: u32,
    _folder: TempDir,
}

impl Service {
    pub async fn start(
        executable: Option<PathBuf>,
        arguments: &[String],
    ) -> Result<Self, Box<dyn Error>> {
        let executable = match executable {
            Some(executable) => executable,
            None => build()?,
        };
        let folder = tempfile::tempdir()?;
        let database = format!("sqlite:{}", folder.path().join("ledger.db").display());
        let mut child = tokio::process::Command::new(executable)
            .args(["--listen", "127.0.0.1:0", "--database", &database, "--log", "warn"])
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().ok_or("the service ended at once")?;
        let output = child.stdout.take().ok_or("the service has no output")?;
        let mut lines = BufReader::new(output).lines();
        let first = timeout(PATIENCE, lines.next_line()).await??;
        let first = first.ok_or("the service ended before it answered")?;
        let address = first.split_whitespace().find(|word| word.starts_with("127.0.0.1:"));
        let address = address.ok_or("the service doesn't say where it answers")?.to_owned();
        Ok(Self { address, child, pid, _folder: folder })
    }

    /// CPU time that the service has used so far.
    pub fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // Behind the executable's name, which may hold anything but ends with the last bracket.
        let fields = stat.rsplit_once(')').ok_or("no name")?.1;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks = ticks.sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }

    /// The most memory that the service has had.
    pub fn memory_mib(&self) -> Result<f64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
        let kib = line.split_whitespace().nth(1).ok_or("no figure")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }

    pub async fn stop(mut self) -> Result<(), Box<dyn Error>> {
        Command::new("kill").arg(self.pid.to_string()).status()?;
        timeout(PATIENCE, self.child.wait()).await??;
        Ok(())
    }
}

fn build() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(cargo).args(["build", "--release", "-p", "token-service"]).status()?;
    if !built.success() {
        return Err("token-service can't be built".into());
    }
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(Path::parent).ok_or("no target folder")?;
    Ok(folder.join("release").join("token-service"))
}
