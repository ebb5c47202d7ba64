//! Who follows what: told that something changed, never what; they read it themselves.

use ledger::AccountId;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

/// Follows one account, or all of them.
#[derive(Debug)]
pub struct Watch {
    /// `None`: all.
    account: Option<AccountId>,
    /// Taken when it ends.
    changes: Option<watch::Receiver<()>>,
    watches: Watches,
}

impl Watch {
    /// Waits until there was a change since the last time this returned; several changes count as
    /// one. `false`: the service is going away.
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
        let (account, changes) = (self.account.take(), self.changes.take());
        self.watches.with(|followed| {
            drop(changes);
            if let Some(account) = account
                && followed.accounts.get(&account).is_some_and(|it| it.receiver_count() == 0)
            {
                followed.accounts.remove(&account);
            }
        });
        self.watches.count.send_modify(|followers| *followers = followers.saturating_sub(1));
    }
}

/// Everybody who follows something. Clones share it.
#[derive(Clone, Debug)]
pub struct Watches {
    followed: Arc<Mutex<Followed>>,
    count: Arc<watch::Sender<usize>>,
}

#[derive(Debug)]
struct Followed {
    /// In order, so that they are always told in the same one: the simulator repeats its worlds.
    accounts: BTreeMap<AccountId, watch::Sender<()>>,
    all: watch::Sender<()>,
    ended: bool,
}

impl Default for Watches {
    fn default() -> Self {
        let all = watch::channel(()).0;
        let followed = Followed { accounts: BTreeMap::new(), all, ended: false };
        Self { followed: Arc::new(Mutex::new(followed)), count: Arc::new(watch::channel(0).0) }
    }
}

impl Watches {
    /// Follows one account, or all of them.
    pub(super) fn follow(&self, account: Option<&AccountId>) -> Watch {
        self.count.send_modify(|followers| *followers = followers.saturating_add(1));
        self.with(|followed| {
            let changes = match account {
                // The sender is gone at once, and so the first wait says that it is over.
                _ if followed.ended => watch::channel(()).1,
                Some(account) => {
                    let known = followed.accounts.entry(account.clone());
                    known.or_insert_with(|| watch::channel(()).0).subscribe()
                }
                None => followed.all.subscribe(),
            };
            Watch { account: account.cloned(), changes: Some(changes), watches: self.clone() }
        })
    }

    /// These accounts have changed.
    pub fn tell<'a>(&self, changed: impl Iterator<Item = &'a AccountId>) {
        self.with(|followed| {
            let mut any = false;
            for account in changed {
                any = true;
                if followed.accounts.is_empty() {
                    break;
                }
                if let Some(followers) = followed.accounts.get(account) {
                    followers.send_replace(());
                }
            }
            if any {
                followed.all.send_replace(());
            }
        });
    }

    /// Any account may have changed.
    pub fn tell_all(&self) {
        self.with(|followed| {
            followed.accounts.values().chain([&followed.all]).for_each(|it| {
                it.send_replace(());
            });
        });
    }

    /// Whether anybody follows anything.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        *self.count.borrow() > 0
    }

    /// Waits until somebody follows something.
    pub async fn followed(&self) {
        // The sender is ours, so it can't be gone.
        drop(self.count.subscribe().wait_for(|followers| *followers > 0).await);
    }

    pub(super) fn end(&self) {
        self.with(|followed| {
            followed.ended = true;
            followed.accounts.clear();
            followed.all = watch::channel(()).0;
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Followed) -> T) -> T {
        act(&mut self.followed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
