//! Many callers, one account: nobody spends what isn't there.

use proto::v1::{
    CreditRequest, DebitRequest, GetBalanceRequest, GetTransactionRequest, GrantKind,
    get_transaction_request::Name,
};
use tests::process::Process;
use tokio::task::JoinSet;
use tonic::Code;

/// Debits asked for.
const DEBITS: i64 = 1_280;

/// How many of them the balance doesn't cover.
const MISSING: i64 = 37;

/// Callers at a time.
const CALLERS: i64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_n_debits_on_a_balance_of_n_less_k_exactly_n_less_k_succeed() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(folder.path(), &[]).await;
    let mut client = process.client().await;
    let credit = CreditRequest {
        account_id: "alice".to_owned(),
        idempotency_key: "fill".to_owned(),
        amount: DEBITS - MISSING,
        kind: GrantKind::Purchased.into(),
        ..CreditRequest::default()
    };
    client.credit(credit).await.expect("credited");

    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let mut client = client.clone();
        callers.spawn(async move {
            let mut balances = Vec::new();
            for number in 0..DEBITS / CALLERS {
                let debit = DebitRequest {
                    account_id: "alice".to_owned(),
                    idempotency_key: format!("{caller}-{number}"),
                    amount: 1,
                    ..DebitRequest::default()
                };
                match client.debit(debit).await {
                    Ok(answer) => balances.extend(answer.into_inner().balance),
                    Err(status) => assert_eq!(status.code(), Code::FailedPrecondition, "{status}"),
                }
            }
            balances
        });
    }
    let mut left: Vec<i64> =
        callers.join_all().await.into_iter().flatten().map(|it| it.posted).collect();
    left.sort_unstable();
    let every_balance_once: Vec<i64> = (0..DEBITS - MISSING).collect();
    assert_eq!(left, every_balance_once, "each success saw a balance of its own");

    let query = GetBalanceRequest { account_id: "alice".to_owned(), ..Default::default() };
    let balance = client.get_balance(query).await.expect("a balance").into_inner().balance;
    assert_eq!(balance.map(|it| (it.posted, it.available)), Some((0, 0)));
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_answered_while_the_service_drains_finds_it_after_the_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(folder.path(), &[]).await;
    let mut client = process.client().await;
    let credit = CreditRequest {
        account_id: "alice".to_owned(),
        idempotency_key: "fill".to_owned(),
        amount: 1_000_000,
        kind: GrantKind::Purchased.into(),
        ..CreditRequest::default()
    };
    client.credit(credit).await.expect("credited");
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let mut client = client.clone();
        callers.spawn(async move {
            let mut outcomes = Vec::new();
            // Until it is turned away: the service goes on answering what it has accepted.
            while outcomes.last().is_none_or(|(_, done)| *done) {
                let key = format!("{caller}-{}", outcomes.len());
                let debit = DebitRequest {
                    account_id: "alice".to_owned(),
                    idempotency_key: key.clone(),
                    amount: 1,
                    ..DebitRequest::default()
                };
                outcomes.push((key, client.debit(debit).await.is_ok()));
            }
            outcomes
        });
    }
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(process.terminate().await, Some(0));
    let outcomes: Vec<(String, bool)> = callers.join_all().await.into_iter().flatten().collect();
    assert!(outcomes.len() > 100, "it was under load");

    let process = Process::start(folder.path(), &[]).await;
    let mut client = process.client().await;
    for (key, done) in outcomes {
        let name = Some(Name::IdempotencyKey(key.clone()));
        let query = GetTransactionRequest { account_id: "alice".to_owned(), name };
        let there = client.get_transaction(query).await.is_ok();
        assert_eq!(there, done, "{key}: what was accepted was answered, and nothing else was done");
    }
    assert_eq!(process.terminate().await, Some(0));
}
