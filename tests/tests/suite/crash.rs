//! Callers go away, processes are killed: what was acknowledged is there, what was refused is not,
//! and what nobody knows is there once or not at all.

use proto::v1::{
    CreditRequest, DebitRequest, GetBalanceRequest, GetTransactionRequest, GrantKind, Transaction,
    get_transaction_request::Name, token_service_client::TokenServiceClient,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tests::process::Process;
use tokio::{task::JoinSet, time::timeout};
use tonic::{Code, transport::Channel};

type Client = TokenServiceClient<Channel>;

/// Tokens of the account that is never empty.
const PLENTY: i64 = 1_000_000;

/// Tokens of the account that soon is.
const LITTLE: i64 = 400;

/// What a caller knows of one key.
#[derive(Clone, Debug)]
enum Known {
    Acknowledged(Box<Transaction>),
    Refused,
    Nothing,
}

type Ledger = BTreeMap<(String, String), Known>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_cancelled_at_random_moments_lose_and_double_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(folder.path(), &[]).await;
    let client = process.client().await;
    fill(client.clone()).await;
    let mut callers = JoinSet::new();
    for caller in 0..50 {
        let client = client.clone();
        callers.spawn(async move {
            let mut known = Ledger::new();
            for number in 0..200 {
                // From before it is sent until long after the answer, on any machine.
                let patience = Duration::from_micros(1 << fastrand::u32(7..19));
                debit(&client, format!("{caller}-{number}"), patience, &mut known).await;
            }
            known
        });
    }
    let known: Ledger = callers.join_all().await.into_iter().flatten().collect();
    assert_eq!(known.len(), 10_000);
    let nothing = known.values().filter(|it| matches!(it, Known::Nothing)).count();
    assert!((500..9_500).contains(&nothing), "moments are random: {nothing} cancelled");
    check(&client, &known).await;
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_and_double_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(folder.path(), &[]).await;
    fill(process.client().await).await;
    process.kill().await;
    let mut known = Ledger::new();
    for round in 0..20 {
        let process = Process::start(folder.path(), &[]).await;
        let client = process.client().await;
        let mut callers = JoinSet::new();
        let next = Arc::new(AtomicU64::new(0));
        for _ in 0..32 {
            let (client, next) = (client.clone(), Arc::clone(&next));
            callers.spawn(async move {
                let mut known = Ledger::new();
                while !known.values().any(|it| matches!(it, Known::Nothing)) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let patience = Duration::from_secs(10);
                    debit(&client, format!("{round}-{number}"), patience, &mut known).await;
                }
                known
            });
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..300))).await;
        process.kill().await;
        known.extend(callers.join_all().await.into_iter().flatten());
    }
    let process = Process::start(folder.path(), &[]).await;
    check(&process.client().await, &known).await;
    assert_eq!(process.terminate().await, Some(0));
}

async fn fill(mut client: Client) {
    for (account_id, amount) in [("plenty", PLENTY), ("little", LITTLE)] {
        let request = CreditRequest {
            account_id: account_id.to_owned(),
            idempotency_key: "fill".to_owned(),
            amount,
            kind: GrantKind::Purchased.into(),
            ..CreditRequest::default()
        };
        client.credit(request).await.expect("credited");
    }
}

fn request(account_id: &str, key: &str) -> DebitRequest {
    DebitRequest {
        account_id: account_id.to_owned(),
        idempotency_key: key.to_owned(),
        amount: 1,
        ..DebitRequest::default()
    }
}

/// One debit that its caller waits for only so long.
async fn debit(client: &Client, key: String, patience: Duration, known: &mut Ledger) {
    let account = if fastrand::u8(0..8) == 0 { "little" } else { "plenty" };
    let mut client = client.clone();
    let outcome = match timeout(patience, client.debit(request(account, &key))).await {
        Ok(Ok(answer)) => {
            let transaction = answer.into_inner().transaction.expect("a debit posts one");
            Known::Acknowledged(Box::new(transaction))
        }
        Ok(Err(status)) if status.code() == Code::FailedPrecondition => Known::Refused,
        Ok(Err(_)) | Err(_) => Known::Nothing,
    };
    known.insert((account.to_owned(), key), outcome);
}

/// Holds what the callers know against what the ledger says.
async fn check(client: &Client, known: &Ledger) {
    let mut client = client.clone();
    let mut spent = BTreeMap::from([("plenty", 0), ("little", 0)]);
    for ((account, key), known) in known {
        let name = Some(Name::IdempotencyKey(key.clone()));
        let query = GetTransactionRequest { account_id: account.clone(), name };
        let there = match client.get_transaction(query).await {
            Ok(found) => found.into_inner().transaction,
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => panic!("{account} {key}: {status}"),
        };
        let spent = spent.get_mut(account.as_str()).expect("one of two accounts");
        *spent += there.as_ref().map_or(0, |transaction| transaction.amount);
        match known {
            Known::Acknowledged(acknowledged) => {
                assert_eq!(there.as_ref(), Some(&**acknowledged), "{account} {key} was promised");
            }
            Known::Refused => assert_eq!(there, None, "{account} {key} was refused"),
            Known::Nothing => {
                let again = client.debit(request(account, key)).await;
                let Ok(again) = again.map(tonic::Response::into_inner) else {
                    assert_eq!(there, None, "{account} {key} is there and must be replayed");
                    continue;
                };
                assert_eq!(again.replayed, there.is_some(), "{account} {key}");
                *spent += if again.replayed { 0 } else { 1 };
                let third = client.debit(request(account, key)).await.expect("a replay");
                assert!(third.get_ref().replayed);
                assert_eq!(third.into_inner().transaction, again.transaction, "{account} {key}");
                assert!(there.is_none() || there == again.transaction, "{account} {key}");
            }
        }
    }
    for (account, filled) in [("plenty", PLENTY), ("little", LITTLE)] {
        let query = GetBalanceRequest { account_id: account.to_owned(), ..Default::default() };
        let answer = client.get_balance(query).await.expect("a balance").into_inner();
        let posted = answer.balance.expect("a balance").posted;
        assert_eq!(posted, filled - spent.get(account).expect("one of two"), "{account}");
        assert!(posted >= 0);
    }
}
