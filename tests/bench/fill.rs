//! Filling a ledger before it is measured: batches of 1,000, several at a time.

use crate::{
    calls::{Client, batch, debit},
    load::Load,
};
use proto::v1::{
    BatchCommand, BatchMode, BatchRequest, CreditRequest, GrantKind, batch_command::Command,
};
use std::error::Error;
use tokio::task::JoinSet;

/// Commands per filling call.
const COMMANDS: u64 = 1_000;

/// Filling calls at a time.
const IN_FLIGHT: usize = 4;

/// Tokens that every account begins with: more than any run can spend.
const TOKENS: i64 = 1_000_000_000;

/// Credits these accounts.
pub async fn credits(
    load: &Load,
    accounts: impl Iterator<Item = String>,
) -> Result<(), Box<dyn Error>> {
    let mut commands = accounts.map(|account_id| BatchCommand {
        command: Some(Command::Credit(CreditRequest {
            account_id,
            idempotency_key: "fill".to_owned(),
            amount: TOKENS,
            kind: GrantKind::Purchased.into(),
            ..CreditRequest::default()
        })),
    });
    let requests = std::iter::from_fn(|| {
        let commands: Vec<_> = commands.by_ref().take(usize::try_from(COMMANDS).ok()?).collect();
        let mode = BatchMode::Independent.into();
        (!commands.is_empty()).then_some(BatchRequest { commands, mode, dry_run: false })
    });
    send(load, requests).await
}

/// Debits one token each, from accounts that are picked so.
pub async fn debits(
    load: &Load,
    count: u64,
    mut pick: impl FnMut() -> String,
) -> Result<(), Box<dyn Error>> {
    let mut left = count;
    let requests = std::iter::from_fn(|| {
        let items = left.min(COMMANDS);
        left -= items;
        (items > 0).then(|| batch((0..items).map(|_| debit(pick()))))
    });
    send(load, requests).await
}

async fn send(
    load: &Load,
    requests: impl Iterator<Item = BatchRequest>,
) -> Result<(), Box<dyn Error>> {
    let mut calls = JoinSet::new();
    for (number, request) in requests.enumerate() {
        if calls.len() >= IN_FLIGHT
            && let Some(done) = calls.join_next().await
        {
            done??;
        }
        calls.spawn(call(load.client(number), request));
    }
    while let Some(done) = calls.join_next().await {
        done??;
    }
    Ok(())
}

async fn call(mut client: Client, request: BatchRequest) -> Result<(), String> {
    let answer = client.batch(request).await.map_err(|status| status.to_string())?;
    let mut refusals = answer.get_ref().results.iter().filter_map(|it| it.refusal.as_ref());
    refusals.next().map_or(Ok(()), |refusal| Err(refusal.message.clone()))
}
