//! Callers without a pause, so that whatever happens to the service happens in the middle of things.

use super::{Accounts, Client, Promises};
use proto::v1::GetBalanceRequest;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::Status;

/// Callers at a time.
const CALLERS: u32 = 32;

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a caller that was told to come back waits: much less than it was told.
const PAUSE: Duration = Duration::from_millis(20);

/// One call in so many is a read.
const READ_ONE_IN: u8 = 8;

/// Callers at work.
#[derive(Debug)]
pub struct Load {
    callers: JoinSet<(Promises, Vec<Status>)>,
    stopped: Arc<AtomicBool>,
    answered: watch::Receiver<u64>,
}

impl Load {
    /// Sends callers to two accounts, until they are told to stop.
    #[must_use]
    pub fn start(client: &Client, accounts: &Accounts) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let (tell, answered) = watch::channel(0);
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (client, accounts) = (client.clone(), accounts.clone());
            let (stopped, tell) = (Arc::clone(&stopped), tell.clone());
            callers.spawn(async move {
                let (mut promises, mut unanswered) = (Promises::new(), Vec::new());
                for number in 0.. {
                    if stopped.load(Ordering::Relaxed) {
                        break;
                    }
                    let status = if fastrand::u8(0..READ_ONE_IN) == 0 {
                        read(&client, &accounts).await
                    } else {
                        let key = format!("{caller}-{number}");
                        accounts.debit(&client, key, PATIENCE, &mut promises).await
                    };
                    match status {
                        None => tell.send_modify(|answered| *answered += 1),
                        Some(status) => {
                            unanswered.push(status);
                            sleep(PAUSE).await;
                        }
                    }
                }
                (promises, unanswered)
            });
        }
        Self { callers, stopped, answered }
    }

    /// Waits until so many more calls are answered.
    ///
    /// # Panics
    /// If they aren't for a minute.
    pub async fn progress(&mut self, calls: u64) {
        let goal = *self.answered.borrow() + calls;
        let reached = timeout(PATIENCE, self.answered.wait_for(|answered| *answered >= goal)).await;
        drop(reached.expect("calls are answered").expect("the callers are there"));
    }

    /// What they know now, and the answers that were neither a yes nor a no.
    pub async fn stop(self) -> (Promises, Vec<Status>) {
        self.stopped.store(true, Ordering::Relaxed);
        let (promises, unanswered): (Vec<_>, Vec<_>) =
            self.callers.join_all().await.into_iter().unzip();
        (promises.into_iter().flatten().collect(), unanswered.into_iter().flatten().collect())
    }
}

async fn read(client: &Client, accounts: &Accounts) -> Option<Status> {
    let query = GetBalanceRequest { account_id: accounts.plenty.clone(), ..Default::default() };
    client.clone().get_balance(query).await.err()
}
