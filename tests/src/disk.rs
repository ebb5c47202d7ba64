//! A disk that is small enough to be filled.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// The file that takes the room that is left.
const BALLAST: &str = "ballast";

/// The ballast is written in pieces of so many bytes, and in the end of so few.
const PIECES_BYTES: [usize; 2] = [1024 * 1024, 4096];

/// A file system of its own, which goes when this does.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// A disk of so many MiB in memory; `None` where this process may not mount one, as when it
    /// isn't root.
    ///
    /// # Panics
    /// If there is no folder to be had.
    #[must_use]
    pub fn mount(size_mib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let size = format!("size={size_mib}m,mode=0777");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path());
        let mounted = mount.stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self { folder })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room that is left.
    ///
    /// # Panics
    /// If that can't be done.
    pub fn fill(&self) {
        let mut file = File::create(self.ballast()).expect("a file");
        for bytes in PIECES_BYTES {
            let piece = vec![1; bytes];
            let full = loop {
                if let Err(error) = file.write_all(&piece) {
                    break error;
                }
            };
            assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
        }
    }

    /// Gives it back.
    ///
    /// # Panics
    /// If that can't be done.
    pub fn empty(&self) {
        fs::remove_file(self.ballast()).expect("the ballast goes");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join(BALLAST)
    }
}

impl Drop for Disk {
    /// Even while somebody still has files open there.
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path().display());
        }
    }
}
