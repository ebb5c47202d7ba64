//! pgbench running the same SQL: what the ways cost without a server in between, and so whether our
//! servers of these ways are good enough to be compared with.

use std::{error::Error, fs, path::PathBuf};
use tokio::process::Command;

/// Where distributions put it if it isn't on the path.
const VERSIONS: &str = "/usr/lib/postgresql";

/// What pgbench shall do.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    pub script: &'a str,
    pub accounts: u64,
    pub clients: usize,
    pub seconds: u64,
    /// The database's address.
    pub url: &'a str,
}

/// The executable: this one, or one on the path, or the newest of those installed.
pub fn executable(given: Option<PathBuf>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = || std::env::split_paths(&path).map(|folder| folder.join("pgbench"));
    let installed = || {
        let mut folders: Vec<_> =
            fs::read_dir(VERSIONS).into_iter().flatten().flatten().map(|it| it.path()).collect();
        folders.sort();
        folders.into_iter().rev().map(|folder| folder.join("bin/pgbench"))
    };
    given.or_else(|| on_path().chain(installed()).find(|file| file.is_file()))
}

/// Transactions per second.
pub async fn run(executable: &PathBuf, task: Task<'_>) -> Result<f64, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("way.sql");
    fs::write(&script, task.script)?;
    let output = Command::new(executable)
        .args(["--no-vacuum", "--protocol=prepared"])
        .arg(format!("--client={}", task.clients))
        .arg(format!("--jobs={}", task.clients.min(2)))
        .arg(format!("--time={}", task.seconds))
        .arg(format!("--define=accounts={}", task.accounts))
        .arg(format!("--define=run={}", fastrand::u32(1..900_000)))
        .arg("--define=n=0")
        .arg("--file")
        .arg(&script)
        .arg(task.url)
        .output()
        .await?;
    if !output.status.success() {
        return Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    per_second(&text).ok_or_else(|| format!("pgbench says something else: {text}").into())
}

/// The rate in what pgbench prints; nothing if it printed none, or if transactions failed.
fn per_second(printed: &str) -> Option<f64> {
    let after = |label: &str| {
        let mut lines = printed.lines();
        let rest = lines.find_map(|line| line.strip_prefix(label))?;
        rest.split_whitespace().next()
    };
    if after("number of failed transactions:").is_some_and(|failed| failed != "0") {
        return None;
    }
    after("tps = ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "pgbench (15.18)
transaction type: way.sql
number of transactions actually processed: 43215
number of failed transactions: 0 (0.000%)
latency average = 1.851 ms
initial connection time = 12.345 ms
tps = 4321.098765 (without initial connection time)
";

    #[test]
    fn the_rate_is_found_in_what_pgbench_prints() {
        assert_eq!(per_second(PRINTED).map(|it| it.to_string()).unwrap(), "4321.098765");
    }

    #[test]
    fn a_run_with_failures_or_without_a_rate_counts_for_nothing() {
        assert!(per_second(&PRINTED.replace("transactions: 0", "transactions: 7")).is_none());
        assert!(per_second("pgbench (15.18)\n").is_none());
    }
}
