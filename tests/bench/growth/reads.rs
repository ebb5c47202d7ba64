//! Reads that could become slow in a grown ledger: a balance at a time, a page of history.

use super::Growing;
use crate::{
    accounts::name,
    calls::Client,
    goals::{Figures, Goal},
    load::Run,
    report::Report,
};
use prost_types::Timestamp;
use proto::v1::{GetBalanceRequest, ListTransactionsRequest};
use std::{
    error::Error,
    time::{Instant, SystemTime},
};

/// Rows of a page.
const PAGE_ROWS: i32 = 50;

/// Rows of the pages that lead into the depth.
const WALK_ROWS: i32 = 1_000;

/// What is read, in the order of the table.
#[derive(Clone, Copy, Debug)]
enum Read {
    BalanceAt,
    DeepBalanceAt,
    FirstPage,
    DeepFirstPage,
    DeepPage,
}

/// Reads of each kind one after the other, prints, notes.
pub async fn measure(
    growing: &Growing,
    reads: u64,
    report: &mut Report,
    figures: &mut Figures,
) -> Result<(), Box<dyn Error>> {
    let mut client = growing.service.load.client(0);
    let tokens = walk(&mut client).await?;
    let headings = ["read, one at a time", "p50 ms", "p99 ms", "max ms", "failed"];
    let title = format!("Reads of {} transactions", growing.size.transactions);
    let mut table = report.table(&title, &headings);
    let (mut point_in_time, mut history) = (0.0_f64, 0.0_f64);
    for read in
        [Read::BalanceAt, Read::DeepBalanceAt, Read::FirstPage, Read::DeepFirstPage, Read::DeepPage]
    {
        let mut run = Run::empty();
        for _ in 0..reads {
            one(read, growing, &tokens, &mut client, &mut run).await;
        }
        if let Some(failure) = &run.failure {
            eprintln!("{read:?}: {failure}");
        }
        let latency = [50.0, 99.0, 100.0].map(|it| format!("{:.2}", run.latency_ms(it)));
        let cells = [read.words()].into_iter().chain(latency);
        table.row(cells.chain([run.failed.to_string()]));
        match read {
            Read::BalanceAt | Read::DeepBalanceAt => {
                point_in_time = point_in_time.max(run.latency_ms(99.0));
            }
            Read::FirstPage | Read::DeepFirstPage | Read::DeepPage => {
                history = history.max(run.latency_ms(99.0));
            }
        }
    }
    figures.note(Goal::PointInTime, point_in_time);
    figures.note(Goal::HistoryPage, history);
    Ok(())
}

/// One read, noted.
async fn one(read: Read, growing: &Growing, tokens: &[String], client: &mut Client, run: &mut Run) {
    let number = match read {
        Read::BalanceAt | Read::FirstPage => fastrand::u64(0..growing.size.accounts),
        Read::DeepBalanceAt | Read::DeepFirstPage | Read::DeepPage => 0,
    };
    let account_id = name(number);
    let deep = || fastrand::choice(tokens).cloned().unwrap_or_default();
    let page_token = if matches!(read, Read::DeepPage) { deep() } else { String::new() };
    let as_of_time = Some(between(growing.since, now()));
    let begun = Instant::now();
    let answered = match read {
        Read::BalanceAt | Read::DeepBalanceAt => {
            let request = GetBalanceRequest { account_id, as_of_time, min_sequence: 0 };
            client.get_balance(request).await.map(|_| 0)
        }
        Read::FirstPage | Read::DeepFirstPage | Read::DeepPage => {
            let request = ListTransactionsRequest {
                account_id,
                page_size: PAGE_ROWS,
                page_token,
                ..ListTransactionsRequest::default()
            };
            client.list_transactions(request).await.map(|_| 0)
        }
    };
    run.call(begun.elapsed(), 1, answered);
}

impl Read {
    fn words(self) -> String {
        let words = match self {
            Self::BalanceAt => "balance at a time, any account",
            Self::DeepBalanceAt => "balance at a time, the account with the longest history",
            Self::FirstPage => "first page of 50, any account",
            Self::DeepFirstPage => "first page of 50, the longest history",
            Self::DeepPage => "a page of 50 from the depth of the longest history",
        };
        words.to_owned()
    }
}

/// Tokens of all pages of the longest history.
async fn walk(client: &mut Client) -> Result<Vec<String>, Box<dyn Error>> {
    let mut tokens = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListTransactionsRequest {
            account_id: name(0),
            page_size: WALK_ROWS,
            page_token,
            ..ListTransactionsRequest::default()
        };
        page_token = client.list_transactions(request).await?.into_inner().next_page_token;
        if page_token.is_empty() {
            return Ok(tokens);
        }
        tokens.push(page_token.clone());
    }
}

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "callers ask for balances by the time of day")]
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Any second between two moments.
fn between(from: Timestamp, to: Timestamp) -> Timestamp {
    let seconds = fastrand::i64(from.seconds..=to.seconds.max(from.seconds));
    Timestamp { seconds: seconds.max(from.seconds + 1).min(to.seconds), nanos: 0 }
}
