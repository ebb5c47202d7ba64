//! The keys of the ledger's hash chain: where they come from, and whether they are the right ones.

use crate::{
    config::{Config, NamedSecret, NamedSecrets},
    store::{Store, StoreError},
};
use ledger::ChainKey;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// Why the chain's keys can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The ledger needs a key that wasn't given.
    #[error(
        "the ledger was signed with the chain key `{id}`, which is neither in LEDGER_CHAIN_KEYS \
         nor in the chain key file; give it again, or restore the file"
    )]
    Missing {
        /// Its name.
        id: String,
    },
    /// There is none.
    #[error("there is no chain key: give LEDGER_CHAIN_KEYS, or the chain key file")]
    None,
    /// The key has another secret than when it signed.
    #[error("the chain key `{id}` has another secret than it had when it signed the ledger")]
    Changed {
        /// Its name.
        id: String,
    },
    /// The file doesn't hold keys.
    #[error("the chain key file {} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The file can't be read or made.
    #[error("the chain key file {} can't be used: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The database can't be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The keys, the signing one first. Without any given, and for a ledger that was never signed, a
/// file is made that only its owner can read.
///
/// # Errors
/// If a key that signed is missing or isn't the same any more.
pub async fn chain_keys(config: &Config, store: &Store) -> Result<Vec<ChainKey>, KeyError> {
    let signed_with = store.chain_keys().await?;
    let given = match &config.chain_keys {
        Some(keys) => Some(keys.clone()),
        None => read(&config.chain_key_file)?,
    };
    let given = match (given, signed_with.first()) {
        (Some(keys), _) => keys,
        (None, Some((id, _))) => return Err(KeyError::Missing { id: id.clone() }),
        (None, None) => make(&config.chain_key_file)?,
    };
    let keys: Vec<ChainKey> = given.iter().map(chain_key).collect();
    hold_against(&keys, signed_with)?;
    if let Some(signing) = keys.first() {
        store.add_chain_key(signing).await?;
    }
    // Another process may have signed first, with another secret under the same name.
    hold_against(&keys, store.chain_keys().await?)?;
    Ok(keys)
}

/// The keys that were given, the signing one first: none is made, and none held against the ledger.
///
/// # Errors
/// If there are none, or they can't be read.
pub fn given_keys(config: &Config) -> Result<Vec<ChainKey>, KeyError> {
    let given = match &config.chain_keys {
        Some(keys) => Some(keys.clone()),
        None => read(&config.chain_key_file)?,
    };
    Ok(given.ok_or(KeyError::None)?.iter().map(chain_key).collect())
}

fn chain_key(key: &NamedSecret) -> ChainKey {
    ChainKey::new(&key.id, key.secret.expose().as_bytes())
}

/// Every key that signed is there, with the secret that it had.
fn hold_against(keys: &[ChainKey], signed_with: Vec<(String, Vec<u8>)>) -> Result<(), KeyError> {
    for (id, code) in signed_with {
        match keys.iter().find(|key| key.id() == id) {
            None => return Err(KeyError::Missing { id }),
            Some(key) if key.check_code() != code.as_slice() => {
                return Err(KeyError::Changed { id });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Option<NamedSecrets>, KeyError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(KeyError::File { path: path.to_owned(), cause }),
    };
    let damaged = |why: String| KeyError::Damaged { path: path.to_owned(), why };
    text.parse().map(Some).map_err(damaged)
}

/// Makes a key and a file for it, whole or not at all; if another process was first, theirs it is.
fn make(path: &Path) -> Result<NamedSecrets, KeyError> {
    // Two random UUIDs: 244 bits of the operating system's randomness.
    let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let failed = |cause| KeyError::File { path: path.to_owned(), cause };
    let draft = path.with_extension(format!("{}.new", Uuid::new_v4().simple()));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
    let written = written.and_then(|mut file| {
        file.write_all(format!("local:{secret}\n").as_bytes())?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(cause),
            Ok(()) | Err(_) => Ok(()),
        }?;
        fs::remove_file(&draft)?;
        // The folder too, or a power cut leaves a signed ledger without its key.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    });
    written.map_err(failed)?;
    tracing::info!(file = %path.display(), "made the keys of the ledger's hash chain: keep them");
    read(path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
}
