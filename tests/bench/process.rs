//! What is measured from outside: a server as a process of its own, and the CPU that processes use.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

/// How long a server may take to come up or go down.
const PATIENCE: Duration = Duration::from_secs(30);

/// Clock ticks per second that the kernel counts CPU time in, on every Linux that matters.
const TICKS_PER_SECOND: u64 = 100;

/// A server that has said where it answers.
#[derive(Debug)]
pub struct Process {
    pub address: String,
    child: Child,
    pid: u32,
    /// Kept open: a server that says more must not stumble over it.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts an executable whose first line names an address of this machine.
    pub async fn start(executable: &Path, arguments: &[String]) -> Result<Self, Box<dyn Error>> {
        let mut child = tokio::process::Command::new(executable)
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", executable.display()))?;
        let pid = child.id().ok_or("the server ended at once")?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(output).lines();
        let first = timeout(PATIENCE, lines.next_line()).await??;
        let first = first.ok_or("the server ended before it answered")?;
        let mut words = first.split_whitespace().map(|word| word.trim_start_matches("http://"));
        let address = words.find(|word| word.starts_with("127.0.0.1:"));
        let address = address.ok_or("the server doesn't say where it answers")?.to_owned();
        Ok(Self { address, child, pid, _output: lines })
    }

    /// CPU time that it has used so far.
    pub fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        cpu(&self.pid.to_string(), Whose::Own)
    }

    /// The most memory that it has had.
    pub fn memory_mib(&self) -> Result<f64, Box<dyn Error>> {
        memory_mib(self.pid)
    }

    /// Asks it to end and waits for it.
    pub async fn stop(mut self) -> Result<(), Box<dyn Error>> {
        Command::new("kill").arg(self.pid.to_string()).status()?;
        timeout(PATIENCE, self.child.wait()).await??;
        Ok(())
    }
}

/// The most memory that a process has had.
pub fn memory_mib(pid: u32) -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
    let kib = line.split_whitespace().nth(1).ok_or("no figure")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}

/// CPU time of this process, the client.
pub fn own_cpu() -> Result<Duration, Box<dyn Error>> {
    cpu("self", Whose::Own)
}

/// CPU time of a process and all of its children, those that have ended too.
pub fn family_cpu(parent: u32) -> Result<Duration, Box<dyn Error>> {
    let mut total = cpu(&parent.to_string(), Whose::WithEndedChildren)?;
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // One that ends while we look is counted by its parent the next time.
        if name.parse::<u32>().is_ok() && parent_of(&name).is_ok_and(|it| it == parent) {
            total += cpu(&name, Whose::Own).unwrap_or_default();
        }
    }
    Ok(total)
}

/// The process that started this one.
pub fn parent_of(pid: &str) -> Result<u32, Box<dyn Error>> {
    Ok(fields(pid)?.get(1).ok_or("no parent")?.parse()?)
}

enum Whose {
    Own,
    WithEndedChildren,
}

fn cpu(pid: &str, whose: Whose) -> Result<Duration, Box<dyn Error>> {
    let fields = fields(pid)?;
    let count = match whose {
        Whose::Own => 2,
        Whose::WithEndedChildren => 4,
    };
    let ticks = fields.iter().skip(11).take(count).map(|ticks| ticks.parse::<u64>());
    let ticks = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// What the kernel says of a process, behind the executable's name, which may hold anything but
/// ends with the last bracket.
fn fields(pid: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(')').ok_or("no name")?.1;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// The service's executable: this one, or the release build, made now.
pub fn service_executable(given: Option<PathBuf>) -> Result<PathBuf, Box<dyn Error>> {
    if let Some(given) = given {
        return Ok(given);
    }
    release("token-service")
}

/// The release build of an executable of ours, made if need be.
pub fn release(package: &str) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "-p", package])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()?;
    if !built.success() {
        return Err(format!("{package} can't be built").into());
    }
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(Path::parent).ok_or("no target folder")?;
    Ok(folder.join("release").join(package))
}
