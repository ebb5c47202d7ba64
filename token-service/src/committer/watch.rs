//! Who follows which account: told that something changed, never what; they read it themselves.

use ledger::AccountId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

/// Follows one account.
#[derive(Debug)]
pub struct Watch {
    account: AccountId,
    /// Taken when it ends.
    changes: Option<watch::Receiver<()>>,
    watches: Watches,
}

impl Watch {
    /// Waits until the account has changed since the last time this returned; several changes
    /// count as one. `false`: the service is going away.
    pub async fn changed(&mut self) -> bool {
        match &mut self.changes {
            Some(changes) => changes.changed().await.is_ok(),
            None => false,
        }
    }
}

impl Drop for Watch {
    /// The last one to follow an account takes its entry away.
    fn drop(&mut self) {
        let (account, changes) = (&self.account, self.changes.take());
        self.watches.with(|followed| {
            drop(changes);
            if followed.accounts.get(account).is_some_and(|it| it.receiver_count() == 0) {
                followed.accounts.remove(account);
            }
        });
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Watches {
    followed: Arc<Mutex<Followed>>,
}

#[derive(Debug, Default)]
struct Followed {
    accounts: HashMap<AccountId, watch::Sender<()>>,
    ended: bool,
}

impl Watches {
    pub(super) fn follow(&self, account: &AccountId) -> Watch {
        self.with(|followed| {
            let changes = if followed.ended {
                // The sender is gone at once, and so the first wait says that it is over.
                watch::channel(()).1
            } else {
                let known = followed.accounts.entry(account.clone());
                known.or_insert_with(|| watch::channel(()).0).subscribe()
            };
            Watch { account: account.clone(), changes: Some(changes), watches: self.clone() }
        })
    }

    pub(super) fn tell<'a>(&self, changed: impl Iterator<Item = &'a AccountId>) {
        self.with(|followed| {
            if followed.accounts.is_empty() {
                return;
            }
            for account in changed {
                if let Some(followers) = followed.accounts.get(account) {
                    followers.send_replace(());
                }
            }
        });
    }

    pub(super) fn end(&self) {
        self.with(|followed| {
            followed.ended = true;
            followed.accounts.clear();
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Followed) -> T) -> T {
        act(&mut self.followed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
