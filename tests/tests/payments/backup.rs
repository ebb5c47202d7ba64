//! Backups of the gateway's database where it is a file, as somebody makes them who can copy files.

use std::{ffi::OsString, fs, path::Path};

/// Replaces the database in a folder, and what belongs to it, by the one in another.
pub fn copy(from: &Path, to: &Path) {
    let files = |folder: &Path| {
        let files = fs::read_dir(folder).expect("a folder");
        let files = files.map(|file| file.expect("a file").file_name());
        let is_database = |name: &OsString| name.to_string_lossy().starts_with("gateway.db");
        files.filter(is_database).collect::<Vec<_>>()
    };
    for name in files(to) {
        fs::remove_file(to.join(name)).expect("it can be removed");
    }
    for name in files(from) {
        fs::copy(from.join(&name), to.join(&name)).expect("it can be copied");
    }
}
