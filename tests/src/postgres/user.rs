//! Who runs PostgreSQL. It refuses to run as root, which containers and CI often are: then it is an
//! unprivileged user, who must be able to reach every folder that he is to use.

use std::{
    env, fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// The one who runs PostgreSQL, if it isn't whoever runs the tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Nobody else unless we are root.
    pub(super) fn find() -> Option<Self> {
        let mine = TempDir::new().expect("a folder");
        let we = fs::metadata(mine.path()).expect("it is there").uid();
        if we != 0 {
            return None;
        }
        let users = fs::read_to_string("/etc/passwd").expect("the users of this machine");
        let found = ["nobody", "postgres"].iter().find_map(|name| Self::named(name, &users));
        Some(found.expect(
            "PostgreSQL refuses to run as root, and there is no user `nobody` or `postgres` to run \
             it as: add one, run the tests as another user, or set TEST_POSTGRES_URL",
        ))
    }

    fn named(name: &str, users: &str) -> Option<Self> {
        let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        lines.find_map(|fields| match fields.as_slice() {
            [found, _, uid, gid, ..] if *found == name => {
                Some(Self { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
            }
            _ => None,
        })
    }
}

/// A folder for `user`'s use alone.
pub(super) fn folder(user: Option<User>) -> TempDir {
    let usual = env::temp_dir();
    let parent = if reaches(user, &usual) { usual.as_path() } else { Path::new("/tmp") };
    let made = tempfile::Builder::new().prefix("pg-").tempdir_in(parent).expect("a folder");
    give(user, made.path()).expect("it is ours to give");
    made
}

/// Makes `user` its owner, and its parents such that he can pass, where they are temporary folders.
pub(super) fn give(user: Option<User>, path: &Path) -> io::Result<()> {
    let Some(User { uid, gid }) = user else { return Ok(()) };
    chown(path, Some(uid), Some(gid))?;
    for parent in path.ancestors().skip(1).filter(|it| it.starts_with(env::temp_dir())) {
        let mut permissions = fs::metadata(parent)?.permissions();
        if permissions.mode() & 0o001 == 0 {
            permissions.set_mode(permissions.mode() | 0o001);
            fs::set_permissions(parent, permissions)?;
        }
    }
    Ok(())
}

/// Makes `user` the owner of a folder and of all that is in it.
pub(super) fn give_all(user: User, path: &Path) {
    let owner = format!("{}:{}", user.uid, user.gid);
    let given = Command::new("chown").arg("-R").arg(owner).arg(path).status();
    assert!(given.is_ok_and(|status| status.success()), "{} can be given", path.display());
}

/// Whether `user` can come to `path`, and read it.
pub(super) fn reaches(user: Option<User>, path: &Path) -> bool {
    let reads = command(user, "ls").arg(path).stdout(Stdio::null()).stderr(Stdio::null()).status();
    reads.is_ok_and(|status| status.success())
}

/// A command that runs as `user`.
pub(super) fn command(user: Option<User>, program: &str) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    command.current_dir("/");
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    command
}
