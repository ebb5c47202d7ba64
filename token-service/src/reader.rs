//! The reader: accounts to look up in, rows out, many in one query.
//!
//! As with the committer, a task takes whatever queued while its last query was in flight: a lone
//! caller waits for nobody, and a thousand share a few round trips. A row is read after it was asked
//! for, never before, so whoever has just written sees what they wrote.

use crate::{
    lanes,
    store::{Store, StoreError},
};
use ledger::{Account, AccountId};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Queries in flight.
const QUERIES_MAX: usize = 2;

/// Accounts of one query.
const ACCOUNTS_MAX: usize = 256;

/// Callers that may wait for one of the tasks; others wait to be let in.
const QUEUE_MAX: usize = 4_096;

/// Whose row is wanted, and who wants it.
type Wanted = (AccountId, oneshot::Sender<Answer>);
type Answer = Result<Option<Arc<Account>>, StoreError>;

/// The way into the queues. Clones share them.
#[derive(Clone, Debug)]
pub struct Reader {
    queues: Arc<[mpsc::Sender<Wanted>]>,
}

impl Reader {
    /// Starts the tasks that read, until they are told to stop.
    #[must_use]
    pub fn start(store: &Store, tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let start = |_| {
            let (queue, wanted) = mpsc::channel(QUEUE_MAX);
            tasks.spawn(stop.clone().run_until_cancelled_owned(run(store.clone(), wanted)));
            queue
        };
        Self { queues: (0..QUERIES_MAX).map(start).collect() }
    }

    /// The account's row, without what is due but not yet posted.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn account(&self, id: &AccountId) -> Result<Option<Arc<Account>>, StoreError> {
        let gone = || StoreError::Unavailable("the reader has ended".into());
        let (answer, row) = oneshot::channel();
        // The same account by the same task: then those who ask for it together share its row.
        let queue = lanes::of(&self.queues, id).ok_or_else(gone)?;
        queue.send((id.clone(), answer)).await.map_err(|_| gone())?;
        row.await.map_err(|_| gone())?
    }
}

async fn run(store: Store, mut wanted: mpsc::Receiver<Wanted>) {
    let mut batch = Vec::with_capacity(ACCOUNTS_MAX);
    while wanted.recv_many(&mut batch, ACCOUNTS_MAX).await > 0 {
        let mut waiting: HashMap<AccountId, Vec<oneshot::Sender<Answer>>> = HashMap::new();
        for (id, answer) in batch.drain(..) {
            waiting.entry(id).or_default().push(answer);
        }
        let ids: Vec<AccountId> = waiting.keys().cloned().collect();
        let mut tell = |id: &AccountId, row: &Result<Option<Arc<Account>>, StoreError>| {
            for answer in waiting.remove(id).into_iter().flatten() {
                // Whoever asked may be gone.
                drop(answer.send(match row {
                    Ok(row) => Ok(row.clone()),
                    Err(error) => Err(error.again()),
                }));
            }
        };
        match store.accounts(&ids).await {
            Ok(rows) => {
                for row in rows {
                    tell(&row.id.clone(), &Ok(Some(Arc::new(row))));
                }
                ids.iter().for_each(|id| tell(id, &Ok(None)));
            }
            // One row that can't be understood is nobody else's trouble.
            Err(StoreError::Broken(_)) if ids.len() > 1 => {
                for id in &ids {
                    let row = store.accounts(std::slice::from_ref(id)).await;
                    tell(id, &row.map(|mut rows| rows.pop().map(Arc::new)));
                }
            }
            Err(error) => {
                let error = Err(error);
                ids.iter().for_each(|id| tell(id, &error));
            }
        }
    }
}
