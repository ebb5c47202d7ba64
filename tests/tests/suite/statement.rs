//! GetStatement: opening, entries and closing reconcile, whatever happened and however it is cut.

use proto::{catalog::Catalog, reason, v1};
use tests::{
    agree,
    target::Target as _,
    workload::{ACCOUNTS, Workload},
    world::{On, Wire, World},
};
use token_service::grpc::convert::wire::time;

/// Calls per workload.
const CALLS: usize = 150;

/// Posted and held.
type Figures = (i64, i64);

fn figures(balance: Option<&v1::Balance>) -> Figures {
    let balance = balance.expect("it is told");
    assert_eq!(balance.available, balance.posted - balance.held);
    (balance.posted, balance.held)
}

async fn page(
    wire: &Wire,
    request: &v1::GetStatementRequest,
) -> Result<v1::GetStatementResponse, tonic::Status> {
    Ok(wire.client().clone().get_statement(request.clone()).await?.into_inner())
}

/// A statement read to its end.
#[derive(Debug, Default)]
struct Statement {
    opening: Figures,
    transactions: Vec<v1::Transaction>,
    closing: Figures,
    csv: String,
}

impl Statement {
    /// Page by page, each of which reconciles and goes on where the one before ended.
    async fn read(wire: &Wire, mut request: v1::GetStatementRequest) -> Self {
        let mut whole: Option<Self> = None;
        loop {
            let page = page(wire, &request).await.expect("a page");
            let opening = page.opening_balance.as_ref();
            let closing = page.closing_balance.as_ref();
            let entries =
                page.transactions.iter().map(|transaction| match &transaction.entries[..] {
                    [entry] => entry,
                    more => panic!("the account's entry only: {more:?}"),
                });
            let entries: Vec<_> = entries.collect();
            let (mut posted, mut held) = figures(opening);
            let mut sequence = opening.expect("it is told").sequence;
            for entry in &entries {
                assert_eq!(entry.account_id, request.account_id);
                (posted, held) = (posted + entry.amount, held + entry.held_delta);
                sequence += 1;
                let told = (entry.balance_after, entry.held_after, entry.sequence);
                assert_eq!(told, (posted, held, sequence));
            }
            assert_eq!(figures(closing), (posted, held), "it reconciles");
            assert_eq!(closing.expect("it is told").sequence, sequence);
            let whole = whole.get_or_insert_with(|| Self {
                opening: figures(opening),
                closing: figures(opening),
                ..Self::default()
            });
            assert_eq!(whole.closing, figures(opening), "pages fit together");
            whole.closing = figures(closing);
            whole.transactions.extend(page.transactions);
            whole.csv.push_str(&page.csv);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return std::mem::take(whole);
            }
        }
    }
}

fn of(account: &str) -> v1::GetStatementRequest {
    v1::GetStatementRequest { account_id: account.to_owned(), ..Default::default() }
}

/// All transactions of an account, oldest first.
async fn history(wire: &Wire, account: &str) -> Vec<v1::Transaction> {
    let account_id = account.to_owned();
    let mut request =
        v1::ListTransactionsRequest { account_id, page_size: 1_000, ..Default::default() };
    let mut all = Vec::new();
    loop {
        let page = wire.client().clone().list_transactions(request.clone()).await;
        let page = page.expect("a page").into_inner();
        all.extend(page.transactions);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            all.reverse();
            return all;
        }
    }
}

#[tokio::test]
async fn statements_of_random_histories_reconcile_on_sqlite() {
    statements_of_random_histories_reconcile(40_000..40_006, On::Sqlite).await;
}

#[tokio::test]
async fn statements_of_random_histories_reconcile_on_postgres() {
    statements_of_random_histories_reconcile(50_000..50_003, On::Postgres).await;
}

async fn statements_of_random_histories_reconcile(seeds: std::ops::Range<u64>, on: On) {
    for seed in seeds {
        println!("seed {seed}");
        let workload = Workload::random(seed, CALLS);
        let mut wire = World::wire(&workload.catalog, on).await;
        agree::run(&mut wire, &workload).await.unwrap_or_else(|it| panic!("{it}"));
        for account in ACCOUNTS {
            reconciles(&wire, account, &mut fastrand::Rng::with_seed(seed)).await;
        }
        wire.into_world().stop().await;
    }
}

async fn reconciles(wire: &Wire, account: &str, rng: &mut fastrand::Rng) {
    let balance = v1::GetBalanceRequest { account_id: account.to_owned(), ..Default::default() };
    let Ok(balance) = wire.client().clone().get_balance(balance).await else {
        let status = page(wire, &of(account)).await.expect_err("there is no such account");
        let (reason, _) = reason::refusal(&status).expect("a reason");
        assert_eq!(reason, v1::ErrorReason::AccountNotFound);
        return;
    };
    let whole = Statement::read(wire, of(account)).await;
    let all = history(wire, account).await;
    assert_eq!(whole.transactions, all);
    assert_eq!(whole.opening, (0, 0));
    assert_eq!(whole.closing, figures(balance.into_inner().balance.as_ref()));

    let moment = |transaction: &v1::Transaction| {
        let at = transaction.create_time.expect("it is told");
        at.seconds * 1_000_000 + i64::from(at.nanos / 1_000)
    };
    for _ in 0..20 {
        // Right at entries, and beside them.
        let mut pick = || {
            let near = rng.choice(&all).map(moment).expect("an account has entries");
            (near + rng.i64(-1..=1)).max(0)
        };
        let (one, other) = (pick(), pick());
        let (start, end) = (one.min(other), one.max(other) + 1);
        let cut = v1::GetStatementRequest {
            start_time: Some(time(ledger::Time(start))),
            end_time: Some(time(ledger::Time(end))),
            page_size: [1, 2, 7, 1_000][rng.usize(..4)],
            ..of(account)
        };
        let statement = Statement::read(wire, cut.clone()).await;
        let (before, rest): (Vec<_>, Vec<_>) =
            all.iter().cloned().partition(|transaction| moment(transaction) < start);
        let within: Vec<_> = rest.into_iter().filter(|it| moment(it) < end).collect();
        assert_eq!(statement.transactions, within, "{cut:?}");
        let opening = before.last().map_or((0, 0), |last| {
            let entry = &last.entries[0];
            (entry.balance_after, entry.held_after)
        });
        assert_eq!(statement.opening, opening, "{cut:?}");
    }
}

#[tokio::test]
async fn the_statement_of_a_past_period_never_changes_on_sqlite() {
    the_statement_of_a_past_period_never_changes(On::Sqlite).await;
}

#[tokio::test]
async fn the_statement_of_a_past_period_never_changes_on_postgres() {
    the_statement_of_a_past_period_never_changes(On::Postgres).await;
}

async fn the_statement_of_a_past_period_never_changes(on: On) {
    let mut wire = World::wire(&Catalog::load("phoenix").expect("shipped"), on).await;
    let at = |seconds: i64| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let credit = v1::CreditRequest {
        account_id: "alice".to_owned(),
        idempotency_key: "credit".to_owned(),
        amount: 10,
        kind: v1::GrantKind::Purchased.into(),
        expire_time: at(100),
        ..v1::CreditRequest::default()
    };
    wire.call(credit.into()).await.expect("credited");
    // Nobody sweeps here: what is due is posted because the statement is asked for.
    wire.set_time(1_000_000_000);
    let quiet = v1::GetStatementRequest { end_time: at(100), ..of("alice") };
    let quiet = Statement::read(&wire, quiet).await;
    assert_eq!((quiet.opening, quiet.transactions.len(), quiet.closing), ((0, 0), 1, (10, 0)));
    assert_eq!(history(&wire, "alice").await.len(), 1, "that isn't in the period");

    let period =
        || v1::GetStatementRequest { start_time: at(50), end_time: at(200), ..of("alice") };
    for _ in 0..2 {
        let lapsed = Statement::read(&wire, period()).await;
        assert_eq!((lapsed.opening, lapsed.closing), ((10, 0), (0, 0)));
        let expiry = lapsed.transactions.iter().map(|it| (it.r#type(), it.create_time));
        let expected = (v1::TransactionType::GrantExpiry, at(100));
        assert_eq!(expiry.collect::<Vec<_>>(), [expected]);
        wire.set_time(2_000_000_000);
    }
    for (start, opening) in [(0, (0, 0)), (50, (10, 0)), (101, (0, 0)), (9_000, (0, 0))] {
        let start_time = at(start).filter(|_| start > 0);
        let end_time = if start == 0 { None } else { at(start + 1) };
        let statement =
            Statement::read(&wire, v1::GetStatementRequest { start_time, end_time, ..of("alice") });
        let statement = statement.await;
        assert_eq!(statement.opening, opening, "from {start}");
        if start > 0 {
            assert!(statement.transactions.is_empty());
            assert_eq!(statement.closing, opening, "an empty period");
        }
    }
    wire.into_world().stop().await;
}

#[tokio::test]
async fn a_statement_as_csv_says_the_same() {
    let mut wire = World::wire(&Catalog::load("phoenix").expect("shipped"), On::Sqlite).await;
    let words = [
        "=HYPERLINK(\"http://example.com\",\"x\")",
        "+1",
        "-1",
        "@sum",
        "a, \"b\"; 'c'",
        "Grüße, 世界",
        "'",
        "plain",
        "",
    ];
    for (number, words) in words.into_iter().enumerate() {
        let credit = v1::CreditRequest {
            account_id: "alice".to_owned(),
            idempotency_key: format!("=key-{number}"),
            amount: 10,
            kind: v1::GrantKind::Purchased.into(),
            description: words.to_owned(),
            reference: format!("@{number}"),
            ..v1::CreditRequest::default()
        };
        wire.call(credit.into()).await.expect("credited");
    }
    let debit = v1::DebitRequest {
        account_id: "alice".to_owned(),
        idempotency_key: "debit".to_owned(),
        amount: 3,
        ..v1::DebitRequest::default()
    };
    wire.call(debit.into()).await.expect("debited");

    for page_size in [1, 3, 1_000] {
        let format = v1::StatementFormat::Csv.into();
        let request = v1::GetStatementRequest { format, page_size, ..of("alice") };
        let statement = Statement::read(&wire, request).await;
        assert!(statement.csv.ends_with("\r\n"));
        let mut reader = csv::Reader::from_reader(statement.csv.as_bytes());
        let names = reader.headers().expect("names").clone();
        let rows: Vec<csv::StringRecord> =
            reader.records().map(|row| row.expect("a row")).collect();
        assert_eq!(rows.len(), words.len() + 1, "names stand on the first page only");
        for (row, transaction) in rows.iter().zip(&statement.transactions) {
            let cell = |name: &str| {
                row.get(names.iter().position(|it| it == name).expect("a column")).expect("a cell")
            };
            let entry = &transaction.entries[0];
            let time = transaction.create_time.expect("it is told").to_string();
            for (name, expected) in [
                ("create_time", time),
                ("sequence", entry.sequence.to_string()),
                ("transaction_id", transaction.transaction_id.clone()),
                ("amount", entry.amount.to_string()),
                ("balance_after", entry.balance_after.to_string()),
                ("counter_account", entry.counter_account.clone()),
                ("description", as_text(&transaction.description)),
                ("reference", as_text(&transaction.reference)),
                ("idempotency_key", as_text(&transaction.idempotency_key)),
            ] {
                assert_eq!(cell(name), expected, "{name}");
            }
        }
        let last = rows.last().expect("a row");
        assert!(last.iter().any(|cell| cell == "-3"), "a number is no formula: {last:?}");
    }
    let structured = page(&wire, &of("alice")).await.expect("a page");
    assert_eq!(structured.csv, "");
    wire.into_world().stop().await;
}

/// What a spreadsheet shows as text.
fn as_text(words: &str) -> String {
    match words.chars().next() {
        Some('=' | '+' | '-' | '@') => format!("'{words}"),
        _ => words.to_owned(),
    }
}
