//! TrialBalance and GetStats: sums over the whole ledger, held against its entries one by one.

use proto::{
    catalog::Catalog,
    reason,
    v1::{self, admin_service_client::AdminServiceClient},
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use std::{collections::BTreeMap, ops::Range};
use tests::{
    agree,
    process::Home,
    promises::{Accounts, Load},
    target::{Reply, Target as _},
    workload::{ACCOUNTS, Workload},
    world::{On, Wire, World},
};
use token_service::grpc::convert::wire::time;

/// Calls per workload.
const CALLS: usize = 150;

/// The most that an account holds.
const BALANCE_MAX: i64 = 1_000_000_000_000_000_000;

type Totals = BTreeMap<String, i64>;

async fn trial_balance(wire: &Wire) -> v1::TrialBalanceResponse {
    let request = v1::TrialBalanceRequest::default();
    wire.admin().trial_balance(request).await.expect("totals").into_inner()
}

/// What happened from a time on and before another.
async fn stats(wire: &Wire, period: Range<i64>) -> v1::GetStatsResponse {
    let request = v1::GetStatsRequest {
        start_time: Some(time(ledger::Time(period.start))),
        end_time: Some(time(ledger::Time(period.end))),
    };
    wire.admin().get_stats(request).await.expect("figures").into_inner()
}

fn ours(totals: &v1::TrialBalanceResponse) -> Totals {
    let totals = totals.system_totals.iter();
    totals.map(|total| (total.account_id.clone(), total.amount)).collect()
}

/// Every transaction with all its entries, account by account.
async fn history(wire: &Wire) -> Vec<v1::Transaction> {
    let mut all = Vec::new();
    for account in ACCOUNTS {
        let account_id = account.to_owned();
        let mut request =
            v1::ListTransactionsRequest { account_id, page_size: 1_000, ..Default::default() };
        loop {
            let page = wire.client().clone().list_transactions(request.clone()).await;
            let Ok(page) = page else { break };
            let page = page.into_inner();
            all.extend(page.transactions);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
    }
    all
}

#[tokio::test]
async fn totals_of_random_histories_are_what_their_entries_say_on_sqlite() {
    totals_are_what_the_entries_say(60_000..60_006, On::Sqlite).await;
}

#[tokio::test]
async fn totals_of_random_histories_are_what_their_entries_say_on_postgres() {
    totals_are_what_the_entries_say(70_000..70_003, On::Postgres).await;
}

async fn totals_are_what_the_entries_say(seeds: Range<u64>, on: On) {
    for seed in seeds {
        println!("seed {seed}");
        let workload = Workload::random(seed, CALLS);
        let mut wire = World::wire(&workload.catalog, on).await;
        agree::run(&mut wire, &workload).await.unwrap_or_else(|it| panic!("{it}"));
        let totals = trial_balance(&wire).await;
        assert_eq!(totals.sum, 0);

        let (mut posted, mut held, mut expected) = (0, 0, Totals::new());
        let mut names: Vec<(String, String)> = Vec::new();
        for transaction in history(&wire).await {
            names.push((transaction.account_id.clone(), transaction.transaction_id.clone()));
            for entry in transaction.entries {
                posted += entry.amount;
                held += entry.held_delta;
                let rest = entry.amount - entry.split_amount;
                for (other, part) in
                    [(entry.counter_account, rest), (entry.split_account, entry.split_amount)]
                {
                    if other.starts_with("sys/") {
                        *expected.entry(other).or_default() -= part;
                    }
                }
            }
        }
        assert_eq!((totals.posted, totals.held), (posted, held));
        assert_eq!(ours(&totals), expected);
        names.sort();
        names.dedup();

        let everything = wire.admin().get_stats(v1::GetStatsRequest::default()).await;
        let everything = everything.expect("figures").into_inner();
        assert_eq!(everything.accounts, totals.accounts);
        assert_eq!(everything.transactions, i64::try_from(names.len()).expect("a few"));
        let change = |of: &str| expected.get(of).copied().unwrap_or_default();
        assert_eq!(everything.credited, -change("sys/issuance"));
        assert_eq!(everything.spent, change("sys/usage"));
        assert_eq!(everything.expired, change("sys/expiry"));
        assert_eq!(everything.clawed_back, change("sys/clawback"));
        wire.into_world().stop().await;
    }
}

#[tokio::test]
async fn stats_tell_a_story_period_by_period_on_sqlite() {
    stats_tell_a_story_period_by_period(On::Sqlite).await;
}

#[tokio::test]
async fn stats_tell_a_story_period_by_period_on_postgres() {
    stats_tell_a_story_period_by_period(On::Postgres).await;
}

async fn stats_tell_a_story_period_by_period(on: On) {
    const DAY: i64 = 86_400_000_000;
    let mut wire = World::wire(&Catalog::load("phoenix").expect("shipped"), on).await;
    let none = v1::GetStatsResponse::default();
    assert_eq!(stats(&wire, 0..DAY).await, none, "an empty ledger");
    assert_eq!(trial_balance(&wire).await, v1::TrialBalanceResponse::default());

    // One of ours by its looks alone.
    let (alice, odd) = ("alice".to_owned(), "SYS/issuance".to_owned());
    let credit = |account_id: &String, key: &str, amount, expire_day: i64| v1::CreditRequest {
        account_id: account_id.clone(),
        idempotency_key: key.to_owned(),
        amount,
        kind: v1::GrantKind::Purchased.into(),
        expire_time: (expire_day > 0).then(|| time(ledger::Time(expire_day * DAY))),
        ..v1::CreditRequest::default()
    };
    wire.call(credit(&alice, "lasting", 100, 0).into()).await.expect("credited");
    wire.call(credit(&alice, "lapsing", 40, 2).into()).await.expect("credited");
    wire.call(credit(&odd, "first", 1, 0).into()).await.expect("credited");

    wire.set_time(DAY);
    let debit = v1::DebitRequest {
        account_id: alice.clone(),
        idempotency_key: "debit".to_owned(),
        amount: 30,
        ..v1::DebitRequest::default()
    };
    let Ok(Reply::Debit(debited)) = wire.call(debit.into()).await else {
        panic!("it is enough");
    };
    let tip = v1::TransferRequest {
        account_id: alice.clone(),
        idempotency_key: "tip".to_owned(),
        amount: 5,
        to_account_id: odd.clone(),
        ..v1::TransferRequest::default()
    };
    wire.call(tip.into()).await.expect("it is enough");

    // Five of the lapsing ones are left, and lapse; twelve come back to them, and lapse too.
    wire.set_time(3 * DAY);
    let reverse = v1::ReverseRequest {
        account_id: alice.clone(),
        idempotency_key: "reverse".to_owned(),
        transaction_id: debited.transaction.expect("one").transaction_id,
        amount: Some(12),
        ..v1::ReverseRequest::default()
    };
    wire.call(reverse.into()).await.expect("it can be reversed");
    let clawback = v1::SetClawbackRequest {
        account_id: alice.clone(),
        idempotency_key: "clawback".to_owned(),
        credit_key: "lasting".to_owned(),
        target: 50,
        revision: 1,
        ..v1::SetClawbackRequest::default()
    };
    wire.call(clawback.into()).await.expect("it can be clawed back");

    let figures = |transactions, credited, spent, expired, clawed_back| v1::GetStatsResponse {
        accounts: 2,
        transactions,
        credited,
        spent,
        expired,
        clawed_back,
    };
    for (day, expected) in [
        figures(3, 141, 0, 0, 0),
        figures(2, 0, 30, 0, 0),
        figures(1, 0, 0, 5, 0),
        figures(3, 0, -12, 12, 50),
        figures(0, 0, 0, 0, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let day = i64::try_from(day).expect("a small number");
        assert_eq!(stats(&wire, day * DAY..(day + 1) * DAY).await, expected, "day {day}");
    }
    assert_eq!(stats(&wire, 0..4 * DAY).await, figures(9, 141, 18, 17, 50));
    let totals = trial_balance(&wire).await;
    assert_eq!((totals.posted, totals.sum, totals.accounts), (56, 0, 2));
    let expected = [("clawback", 50), ("expiry", 17), ("issuance", -141), ("usage", 18)];
    assert_eq!(ours(&totals), expected.map(|(id, sum)| (format!("sys/{id}"), sum)).into());
    wire.into_world().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_sum_to_zero_while_the_service_writes_on_sqlite() {
    totals_sum_to_zero_while_the_service_writes(&Home::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_sum_to_zero_while_the_service_writes_on_postgres() {
    totals_sum_to_zero_while_the_service_writes(&Home::postgres().await).await;
}

async fn totals_sum_to_zero_while_the_service_writes(home: &Home) {
    let process = home.start(&[]).await;
    let client = process.client().await;
    let mut admin = AdminServiceClient::new(process.channel().await);
    let accounts = Accounts::fill(&client, "").await;
    let mut load = Load::start(&client, &accounts);
    let mut posted = Vec::new();
    for _ in 0..20 {
        // Many more than there are callers: each may still owe one answer from before the last look.
        load.progress(100).await;
        let totals = admin.trial_balance(v1::TrialBalanceRequest::default()).await;
        let totals = totals.expect("totals").into_inner();
        assert_eq!(totals.sum, 0);
        posted.push(totals.posted);
    }
    load.stop().await;
    assert!(posted.is_sorted_by(|before, after| before > after), "it goes on: {posted:?}");
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test]
async fn sums_beyond_64_bits_are_told_apart_from_failures_on_sqlite() {
    let home = Home::sqlite();
    sums_beyond_64_bits_are_told_apart_from_failures(&home, async |statement| {
        let url = home.url();
        let mut connection = SqliteConnection::connect(url).await.expect("a file");
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await;
        done.expect("it is done");
    })
    .await;
}

#[tokio::test]
async fn sums_beyond_64_bits_are_told_apart_from_failures_on_postgres() {
    let home = Home::postgres().await;
    sums_beyond_64_bits_are_told_apart_from_failures(&home, async |statement| {
        let mut connection = PgConnection::connect(home.url()).await.expect("it answers");
        let statement = statement.replace("accounts", "ledger.accounts");
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await;
        done.expect("it is done");
    })
    .await;
}

/// Nobody has so many tokens: what the rows say is made up, and shows that it is.
async fn sums_beyond_64_bits_are_told_apart_from_failures(
    home: &Home,
    execute: impl AsyncFn(String),
) {
    let process = home.start(&[]).await;
    let mut client = process.client().await;
    let mut admin = AdminServiceClient::new(process.channel().await);
    for number in 0..10 {
        let credit = v1::CreditRequest {
            account_id: format!("account-{number}"),
            idempotency_key: "credit".to_owned(),
            amount: 7,
            kind: v1::GrantKind::Purchased.into(),
            ..v1::CreditRequest::default()
        };
        client.credit(credit).await.expect("credited");
    }
    execute(format!(
        "UPDATE accounts SET posted = {BALANCE_MAX} + 7 WHERE account_id <> 'account-0'"
    ))
    .await;
    let totals = admin.trial_balance(v1::TrialBalanceRequest::default()).await;
    let totals = totals.expect("it fits").into_inner();
    assert_eq!((totals.posted, totals.sum), (9 * BALANCE_MAX + 70, 9 * BALANCE_MAX));

    execute(format!("UPDATE accounts SET posted = {BALANCE_MAX}")).await;
    let status = admin.trial_balance(v1::TrialBalanceRequest::default()).await;
    let (reason, figures) = reason::refusal(&status.expect_err("too much")).expect("a reason");
    assert_eq!((reason, &*figures["limit"]), (v1::ErrorReason::LimitExceeded, "int64"));
    assert_eq!(process.terminate().await, Some(0));
}
