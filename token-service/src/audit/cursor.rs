//! Reading ahead: while a page is looked at, the next one is being read.

use crate::store::{
    StoreError,
    filed::Table,
    snapshot::{After, Read, Select, Snapshot},
};
use futures::future::BoxFuture;
use ledger::AccountId;
use std::collections::VecDeque;
use tokio::sync::{mpsc, oneshot};

/// Something to do with the snapshot.
type Job =
    Box<dyn for<'s> FnOnce(&'s mut Snapshot) -> BoxFuture<'s, Result<(), StoreError>> + Send>;

/// Things to do that may wait.
const JOBS_MAX: usize = 16;

/// The snapshot is gone: what became of it is known to whoever runs it.
#[derive(Debug, thiserror::Error)]
#[error("the snapshot is gone")]
pub(super) struct Gone;

/// The way to whoever has the snapshot.
#[derive(Clone)]
pub(super) struct Reading {
    jobs: mpsc::Sender<Job>,
}

impl Reading {
    /// The way to a snapshot, and what does there what is asked for until nobody asks any more.
    pub(super) fn of(
        mut snapshot: Snapshot,
    ) -> (Self, impl Future<Output = Result<(), StoreError>> + Send) {
        let (jobs, mut asked) = mpsc::channel::<Job>(JOBS_MAX);
        let run = async move {
            while let Some(job) = asked.recv().await {
                job(&mut snapshot).await?;
            }
            Ok(())
        };
        (Self { jobs }, run)
    }

    /// Asks for something; it is there some time later. Never from within a runtime's own thread.
    fn ask<T: Send + 'static>(
        &self,
        job: impl for<'s> FnOnce(&'s mut Snapshot) -> BoxFuture<'s, Result<T, StoreError>>
        + Send
        + 'static,
    ) -> Result<oneshot::Receiver<T>, Gone> {
        let (answer, asked) = oneshot::channel();
        let job: Job = Box::new(move |snapshot| {
            let found = job(snapshot);
            Box::pin(async move {
                // Whoever asked may have ended.
                drop(answer.send(found.await?));
                Ok(())
            })
        });
        self.jobs.blocking_send(job).map_err(|_| Gone)?;
        Ok(asked)
    }

    /// Waits for something.
    pub(super) fn now<T: Send + 'static>(
        &self,
        job: impl for<'s> FnOnce(&'s mut Snapshot) -> BoxFuture<'s, Result<T, StoreError>>
        + Send
        + 'static,
    ) -> Result<T, Gone> {
        self.ask(job)?.blocking_recv().map_err(|_| Gone)
    }

    /// The rows of a table, of one account or of all.
    pub(super) fn cursor<T: Table>(&self, only: Option<&AccountId>) -> Result<Cursor<T>, Gone> {
        self.cursor_of(T::select(only), None)
    }

    /// The rows of a table after this key.
    pub(super) fn cursor_of<T: Table>(
        &self,
        select: Select,
        after: Option<After>,
    ) -> Result<Cursor<T>, Gone> {
        let after = after.unwrap_or_else(select.key.start);
        let mut cursor =
            Cursor { reading: self.clone(), select, page: VecDeque::new(), next: None, rows: 0 };
        cursor.read_after(after)?;
        Ok(cursor)
    }
}

/// Rows of one table, in the order of their keys.
pub(super) struct Cursor<T> {
    reading: Reading,
    select: Select,
    page: VecDeque<Read<T>>,
    next: Option<oneshot::Receiver<Vec<Read<T>>>>,
    rows: i64,
}

impl<T: Table> Cursor<T> {
    fn read_after(&mut self, after: After) -> Result<(), Gone> {
        let select = self.select.clone();
        let page = self
            .reading
            .ask(move |snapshot| Box::pin(async move { snapshot.page(&select, &after).await }));
        self.next = Some(page?);
        Ok(())
    }

    /// The key of the next row.
    pub(super) fn peek(&mut self) -> Result<Option<&After>, Gone> {
        if self.page.is_empty()
            && let Some(next) = self.next.take()
        {
            self.page = next.blocking_recv().map_err(|_| Gone)?.into();
            if self.page.len() >= self.select.rows
                && let Some(last) = self.page.back()
            {
                self.read_after(last.key.clone())?;
            }
        }
        Ok(self.page.front().map(|read| &read.key))
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<Read<T>>, Gone> {
        self.peek()?;
        let read = self.page.pop_front();
        self.rows += i64::from(read.is_some());
        Ok(read)
    }

    /// The next row, if it is this account's.
    pub(super) fn next_of(&mut self, account: &str) -> Result<Option<Read<T>>, Gone> {
        match self.peek()? {
            Some(key) if key.account() == account => self.next(),
            Some(_) | None => Ok(None),
        }
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> i64 {
        self.rows
    }
}
