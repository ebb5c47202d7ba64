//! Where PostgreSQL's programs are: on this machine, or fetched.

use super::{
    fetch,
    user::{self, User},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The oldest that the service supports, and so the oldest that is of use.
const OLDEST_MAJOR: u32 = 15;

/// Which PostgreSQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// The newest on this machine; if there is none that the service supports, [`Self::Eighteen`].
    #[default]
    Newest,
    /// PostgreSQL 18: the one on this machine, or fetched.
    Eighteen,
}

impl Version {
    fn accepts(self, major: u32) -> bool {
        match self {
            Self::Newest => major >= OLDEST_MAJOR,
            Self::Eighteen => major == 18,
        }
    }
}

/// The folder that holds `initdb` and `postgres`, where `user` can run them; `folder` is his own.
///
/// # Panics
/// If there is none and none can be fetched, saying what to do.
pub(super) async fn find(version: Version, user: Option<User>, folder: &Path) -> PathBuf {
    if let Some(found) = on_this_machine(version, user) {
        return found;
    }
    let fetched = fetch::fetched().await.unwrap_or_else(|error| {
        panic!(
            "no PostgreSQL for the tests ({version:?}): none in PATH or /usr/lib/postgresql, and it \
             can't be fetched: {error}. Install PostgreSQL ({OLDEST_MAJOR} or newer, and 18 for the \
             tests that ask for it), or set TEST_POSTGRES_URL for those that need only a database"
        )
    });
    match user {
        Some(him) if !user::reaches(user, &fetched) => copied(&fetched, him, folder),
        Some(_) | None => fetched,
    }
}

fn on_this_machine(version: Version, user: Option<User>) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = env::split_paths(&path).chain(packaged.map(|entry| entry.path().join("bin")));
    let found = folders.filter(|folder| folder.join("initdb").exists());
    let found = found.filter_map(|folder| Some((major(&folder)?, folder)));
    let usable =
        found.filter(|(major, folder)| version.accepts(*major) && user::reaches(user, folder));
    usable.max_by_key(|(major, _)| *major).map(|(_, folder)| folder)
}

/// From `postgres (PostgreSQL) 15.14 (Debian …)` or `postgres (PostgreSQL) 18beta1`.
fn major(folder: &Path) -> Option<u32> {
    let told = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let number =
        told.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number.get(..digits)?.parse().ok()
}

/// The clone of this project may be in a folder that only root can enter: then the programs go to
/// the server's own folder, and away with it.
fn copied(fetched: &Path, user: User, folder: &Path) -> PathBuf {
    let installation = fetched.parent().expect("…/bin");
    let copy = folder.join("postgresql");
    let copied = Command::new("cp").arg("-R").arg(installation).arg(&copy).status();
    assert!(copied.is_ok_and(|status| status.success()), "PostgreSQL can be copied");
    user::give_all(user, &copy);
    copy.join("bin")
}
