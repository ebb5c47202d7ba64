//! Many callers, one account: nobody spends what isn't there.

use proto::v1::{
    GetBalanceRequest, GetTransactionRequest, TransferRequest, get_transaction_request::Name,
};
use sqlx::{Connection as _, PgConnection};
use tests::{
    postgres::{Options, Server, Version},
    process::{Home, Process},
    promises::{credit, request},
};
use tokio::task::JoinSet;
use tonic::Code;

/// Debits asked for.
const DEBITS: i64 = 1_280;

/// How many of them the balance doesn't cover.
const MISSING: i64 = 37;

/// Callers at a time.
const CALLERS: i64 = 64;

/// Transfers asked for.
const TRANSFERS: i64 = 1_280;

/// Who transfers, in the order in which nobody locks them by chance.
const ACCOUNTS: [&str; 4] = ["dora", "alice", "carol", "bob"];

/// Tokens of each of them.
const FILLED: i64 = 1_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_n_debits_on_a_balance_of_n_less_k_exactly_n_less_k_succeed_on_sqlite() {
    exactly_what_is_there_is_spent(&Home::sqlite(), &[&[]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_n_debits_on_a_balance_of_n_less_k_exactly_n_less_k_succeed_on_postgres() {
    exactly_what_is_there_is_spent(&Home::postgres().await, &[&[]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_n_debits_on_a_balance_of_n_less_k_exactly_n_less_k_succeed_with_four_committers() {
    exactly_what_is_there_is_spent(&Home::postgres().await, &[&["--committers=4"]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_n_debits_on_a_balance_of_n_less_k_exactly_n_less_k_succeed_in_two_processes() {
    let arguments: [&[&str]; 2] = [&[], &["--committers=4"]];
    exactly_what_is_there_is_spent(&Home::postgres().await, &arguments).await;
}

/// One of which locks whatever it reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_n_debits_on_a_balance_of_n_less_k_exactly_n_less_k_succeed_beside_one_for_a_pooler() {
    let arguments: [&[&str]; 2] = [&[], &["--postgres-pooler"]];
    exactly_what_is_there_is_spent(&Home::postgres().await, &arguments).await;
}

/// Whatever its operator prefers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_n_debits_on_a_balance_of_n_less_k_exactly_n_less_k_succeed_where_serializable_is_usual()
{
    let server = Server::start(Options::default()).await;
    let mut connection = PgConnection::connect(server.url()).await.expect("it answers");
    let prefer = "ALTER ROLE ALL SET default_transaction_isolation = 'serializable'";
    sqlx::raw_sql(prefer).execute(&mut connection).await.expect("it is preferred");
    let arguments: [&[&str]; 3] = [&[], &["--committers=4"], &["--postgres-pooler"]];
    exactly_what_is_there_is_spent(&Home::at(server.url()), &arguments).await;
}

/// The newest that the service supports; the others are on whatever this machine has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_n_debits_on_a_balance_of_n_less_k_exactly_n_less_k_succeed_on_postgresql_18() {
    let server = Server::start(Options { version: Version::Eighteen, ..Options::default() }).await;
    let arguments: [&[&str]; 2] = [&[], &["--committers=4"]];
    exactly_what_is_there_is_spent(&Home::at(server.url()), &arguments).await;
}

/// Callers of as many processes as there are lists of arguments debit one account.
async fn exactly_what_is_there_is_spent(home: &Home, arguments: &[&[&str]]) {
    let mut processes = Vec::new();
    for arguments in arguments {
        processes.push(home.start(arguments).await);
    }
    let mut clients = Vec::new();
    for process in &processes {
        clients.push(process.client().await);
    }
    credit(&clients[0], "alice", DEBITS - MISSING).await;

    let mut callers = JoinSet::new();
    for (caller, client) in (0..CALLERS).zip(clients.iter().cycle()) {
        let mut client = client.clone();
        callers.spawn(async move {
            let mut balances = Vec::new();
            for number in 0..DEBITS / CALLERS {
                match client.debit(request("alice", &format!("{caller}-{number}"))).await {
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

    for mut client in clients {
        let query = GetBalanceRequest { account_id: "alice".to_owned(), ..Default::default() };
        let balance = client.get_balance(query).await.expect("a balance").into_inner().balance;
        assert_eq!(balance.map(|it| (it.posted, it.available)), Some((0, 0)));
    }
    for process in processes {
        assert_eq!(process.terminate().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_in_both_directions_by_two_processes_neither_wait_for_ever_nor_lose_a_token() {
    let home = Home::postgres().await;
    // Its catalog lets tokens be given away, and takes no fee.
    let arguments = ["--catalog=phoenix", "--committers=4"];
    let processes = [home.start(&arguments).await, home.start(&arguments).await];
    let clients = [processes[0].client().await, processes[1].client().await];
    for account in ACCOUNTS {
        credit(&clients[0], account, FILLED).await;
    }
    let mut callers = JoinSet::new();
    for (caller, client) in (0..CALLERS).zip(clients.iter().cycle()) {
        let mut client = client.clone();
        callers.spawn(async move {
            for number in 0..TRANSFERS / CALLERS {
                let from = fastrand::usize(0..ACCOUNTS.len());
                let to = (from + fastrand::usize(1..ACCOUNTS.len())) % ACCOUNTS.len();
                let transfer = TransferRequest {
                    account_id: ACCOUNTS[from].to_owned(),
                    to_account_id: ACCOUNTS[to].to_owned(),
                    idempotency_key: format!("{caller}-{number}"),
                    amount: 1 + number % 3,
                    ..TransferRequest::default()
                };
                client.transfer(transfer).await.expect("nobody is in the way for long");
            }
        });
    }
    callers.join_all().await;
    let mut sum = 0;
    for account_id in ACCOUNTS {
        let query = GetBalanceRequest { account_id: account_id.to_owned(), ..Default::default() };
        let answer = clients[0].clone().get_balance(query).await.expect("a balance").into_inner();
        sum += answer.balance.expect("a balance").posted;
    }
    assert_eq!(sum, FILLED * i64::try_from(ACCOUNTS.len()).expect("few"));
    for process in processes {
        assert_eq!(process.terminate().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_answered_while_the_service_drains_finds_it_after_the_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(folder.path(), &[]).await;
    let client = process.client().await;
    credit(&client, "alice", 1_000_000).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let mut client = client.clone();
        callers.spawn(async move {
            let mut outcomes = Vec::new();
            // Until it is turned away: the service goes on answering what it has accepted.
            while outcomes.last().is_none_or(|(_, done)| *done) {
                let key = format!("{caller}-{}", outcomes.len());
                let done = client.debit(request("alice", &key)).await.is_ok();
                outcomes.push((key, done));
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
