//! Many credits as one stream. Each row is a Credit of its own, with its own key: whatever ends the
//! stream early, the same stream again credits what is missing and finds the rest done.
//!
//! Rows go into the queue in the order in which they come, so those of one account are credited in
//! that order. Only so many are at work at a time; the next is read when one of them is done, and until
//! then the client can't send. What bulk work may take of the queue is bounded too, for all such streams
//! together ([`Committer::submit_bulk`](crate::committer::Committer::submit_bulk)): others find room as
//! if nobody did this.

use super::{Api, convert, status};
use crate::{committer::Failure, identity::Caller};
use futures::{
    FutureExt as _, Stream, StreamExt as _,
    future::{BoxFuture, ready},
    stream::FuturesUnordered,
};
use ledger::Receipt;
use proto::{
    reason::{Error, Violation},
    v1::{self, ErrorReason},
};
use std::collections::BTreeMap;
use tonic::Status;

/// Rows of one stream.
const ROWS_MAX: i64 = 100_000;

/// Rows that are at work at a time.
const ROWS_AT_WORK_MAX: usize = 256;

/// Failures that are told.
const FAILURES_MAX: usize = 1_000;

/// Characters that are told of an id or a key, which may be anything.
const NAME_CHARS_MAX: usize = 255;

/// What is left to know of a row while its credit is at work.
struct Row {
    number: i64,
    account_id: String,
    idempotency_key: String,
    amount: i64,
}

/// What became of a row.
type Done = (Row, Result<Receipt, Error>);

impl Api {
    /// Credits the rows of a stream.
    ///
    /// # Errors
    /// What ended the stream early: whoever sent it, or an [`Error`]. Some of its rows may be credited.
    pub async fn bulk_credit(
        &self,
        caller: &Caller,
        mut rows: impl Stream<Item = Result<v1::BulkCreditRequest, Status>> + Unpin,
    ) -> Result<v1::BulkCreditResponse, Status> {
        let mut tally = Tally::default();
        let mut at_work: FuturesUnordered<BoxFuture<'_, Done>> = FuturesUnordered::new();
        let mut number = 0;
        let mut ended = loop {
            tokio::select! {
                Some(done) = at_work.next() => if let Err(error) = tally.count(done) {
                    break Some(error);
                },
                row = rows.next(), if at_work.len() < ROWS_AT_WORK_MAX => match row {
                    None => break None,
                    // Nobody is there to be told anything. What is at work is finished all the same.
                    Some(Err(broken)) => return Err(broken),
                    Some(Ok(_)) if number == ROWS_MAX => {
                        break Some(status::too_many_rows(ROWS_MAX));
                    }
                    Some(Ok(row)) => match self.begin(caller, number, row).await {
                        Ok(row) => {
                            at_work.push(row);
                            number += 1;
                        }
                        Err(error) => break Some(error),
                    },
                },
                () = self.committer.streams_end() => {
                    break Some(status::failed(&Failure::Draining));
                }
            }
        };
        while let Some(done) = at_work.next().await {
            if let Err(error) = tally.count(done) {
                ended.get_or_insert(error);
            }
        }
        match ended {
            None => Ok(tally.answer()),
            Some(error) => Err(status::bulk_ended(error, tally.rows()).into()),
        }
    }

    /// Puts a row into the queue, as soon as there is room.
    ///
    /// # Errors
    /// What ends the stream: a credential that may not ask this, or a service that goes away.
    async fn begin<'a>(
        &'a self,
        caller: &'a Caller,
        number: i64,
        row: v1::BulkCreditRequest,
    ) -> Result<BoxFuture<'a, Done>, Error> {
        let Some(credit) = row.credit else {
            let (field, description) = ("credit".to_owned(), "give a credit".to_owned());
            let refused = Error::invalid(vec![Violation { field, description }]);
            let row = Row::of(number, &v1::CreditRequest::default());
            return Ok(ready((row, Err(refused))).boxed());
        };
        let row = Row::of(number, &credit);
        match convert::command(&credit, self.terms(caller)) {
            Ok(command) => {
                let outcomes = self.committer.submit_bulk(command).await;
                let outcomes = outcomes.map_err(|failure| status::failed(&failure))?;
                let done = async { (row, self.outcome(outcomes.await, "Credit")) };
                Ok(done.boxed())
            }
            Err(refused) if refused.reason == ErrorReason::ScopeMissing => {
                Err(refused.with("row", number))
            }
            Err(refused) => {
                let first = async move { self.replay(&credit, caller).await?.ok_or(refused) };
                Ok(first.map(|first| (row, first)).boxed())
            }
        }
    }
}

impl Row {
    fn of(number: i64, credit: &v1::CreditRequest) -> Self {
        let name = |text: &str| text.chars().take(NAME_CHARS_MAX).collect();
        Self {
            number,
            account_id: name(&credit.account_id),
            idempotency_key: name(&credit.idempotency_key),
            amount: credit.amount,
        }
    }
}

/// What became of the rows so far.
#[derive(Debug, Default)]
struct Tally {
    answer: v1::BulkCreditResponse,
    /// By row: they are done in any order.
    failures: BTreeMap<i64, v1::BulkCreditFailure>,
}

impl Tally {
    /// Counts a row.
    ///
    /// # Errors
    /// What ends the stream: nobody knows what became of the row.
    fn count(&mut self, (row, done): Done) -> Result<(), Error> {
        match done {
            Ok(Receipt { replayed: true, .. }) => self.answer.replayed += 1,
            Ok(_) => {
                self.answer.credited += 1;
                self.answer.amount += row.amount;
            }
            Err(unknown) if unknown.code == tonic::Code::Unavailable => return Err(unknown),
            Err(refused) => {
                self.answer.failed += 1;
                let Row { number, account_id, idempotency_key, .. } = row;
                let refusal = Some(refused.into());
                let failure =
                    v1::BulkCreditFailure { row: number, account_id, idempotency_key, refusal };
                self.failures.insert(number, failure);
                if self.failures.len() > FAILURES_MAX {
                    self.failures.pop_last();
                }
            }
        }
        Ok(())
    }

    fn rows(&self) -> i64 {
        self.answer.credited + self.answer.replayed + self.answer.failed
    }

    fn answer(self) -> v1::BulkCreditResponse {
        v1::BulkCreditResponse { failures: self.failures.into_values().collect(), ..self.answer }
    }
}
