//! ListAccounts: who is there, page by page, whatever the ids look like and whoever comes meanwhile.

use proto::{
    catalog::Catalog,
    v1::{self, AccountStatus, batch_command::Command},
};
use std::collections::BTreeSet;
use tests::{
    target::Target as _,
    world::{On, Wire, World},
};
use token_service::{
    grpc::convert::{Terms, query},
    identity::{Caller, Scope},
};

/// Ids whose characters a language, a pattern or a computer would order or match in their own ways.
const ODD: [&str; 24] = [
    "!", "!!", "%", "%a", "A", "A~", "AA", "Aa", "Z", "_", "a", "a!", "a%", "a_b", "aA", "aXb",
    "aa", "ab", "a~", "a~~", "b", "SYS/x", "~", "~~",
];

async fn wire(on: On) -> Wire {
    World::wire(&Catalog::load("phoenix").expect("shipped"), on).await
}

fn credit(account_id: &str, key: &str) -> v1::CreditRequest {
    v1::CreditRequest {
        account_id: account_id.to_owned(),
        idempotency_key: key.to_owned(),
        amount: 10,
        kind: v1::GrantKind::Purchased.into(),
        ..v1::CreditRequest::default()
    }
}

async fn make(wire: &mut Wire, ids: impl IntoIterator<Item: AsRef<str>>) {
    let commands = ids.into_iter().map(|id| v1::BatchCommand {
        command: Some(Command::Credit(credit(id.as_ref(), "first"))),
    });
    let mode = v1::BatchMode::Atomic.into();
    let request = v1::BatchRequest { commands: commands.collect(), mode, dry_run: false };
    wire.call(request.into()).await.expect("all of them are accepted");
}

async fn page(wire: &Wire, request: &v1::ListAccountsRequest) -> v1::ListAccountsResponse {
    wire.admin().list_accounts(request.clone()).await.expect("a page").into_inner()
}

/// Every page, and what to do between two of them.
async fn listed(
    wire: &mut Wire,
    mut request: v1::ListAccountsRequest,
    mut between: impl AsyncFnMut(&mut Wire),
) -> Vec<v1::Account> {
    let mut accounts = Vec::new();
    loop {
        let page = page(wire, &request).await;
        accounts.extend(page.accounts);
        if page.next_page_token.is_empty() {
            return accounts;
        }
        request.page_token = page.next_page_token;
        between(wire).await;
    }
}

fn ids(accounts: &[v1::Account]) -> Vec<&str> {
    accounts.iter().map(|account| account.account_id.as_str()).collect()
}

#[tokio::test]
async fn every_account_is_listed_once_while_others_are_made_on_sqlite() {
    every_account_is_listed_once_while_others_are_made(On::Sqlite).await;
}

#[tokio::test]
async fn every_account_is_listed_once_while_others_are_made_on_postgres() {
    every_account_is_listed_once_while_others_are_made(On::Postgres).await;
}

async fn every_account_is_listed_once_while_others_are_made(on: On) {
    let mut wire = wire(on).await;
    let there: Vec<String> = (0..90).map(|number| format!("account-{number}")).collect();
    make(&mut wire, &there).await;
    let mut made = 0;
    let request = v1::ListAccountsRequest { page_size: 7, ..Default::default() };
    let accounts = listed(&mut wire, request, async |wire| {
        made += 1;
        // Before all others, among them, and after them.
        make(wire, [format!("a{made}"), format!("account-{made}x"), format!("z{made}")]).await;
    })
    .await;
    let ids = ids(&accounts);
    assert!(ids.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()), "none twice: {ids:?}");
    let listed: BTreeSet<&str> = ids.into_iter().collect();
    for id in &there {
        assert!(listed.contains(id.as_str()), "{id} is missing");
    }
    wire.into_world().stop().await;
}

#[tokio::test]
async fn prefixes_are_compared_byte_by_byte_on_sqlite() {
    prefixes_are_compared_byte_by_byte(On::Sqlite).await;
}

#[tokio::test]
async fn prefixes_are_compared_byte_by_byte_on_postgres() {
    prefixes_are_compared_byte_by_byte(On::Postgres).await;
}

async fn prefixes_are_compared_byte_by_byte(on: On) {
    let mut wire = wire(on).await;
    make(&mut wire, ODD).await;
    for prefix in ODD.into_iter().chain(["", "c", "sys/", "a~~~"]) {
        let mut expected: Vec<&str> = ODD.into_iter().filter(|id| id.starts_with(prefix)).collect();
        expected.sort_unstable();
        for page_size in [1, 2, 1_000] {
            let prefix = prefix.to_owned();
            let request = v1::ListAccountsRequest { prefix, page_size, ..Default::default() };
            let accounts = listed(&mut wire, request.clone(), async |_| {}).await;
            assert_eq!(ids(&accounts), expected, "{request:?}");
        }
    }
    wire.into_world().stop().await;
}

#[tokio::test]
async fn accounts_are_listed_by_status_and_as_they_are_now_on_sqlite() {
    accounts_are_listed_by_status_and_as_they_are_now(On::Sqlite).await;
}

#[tokio::test]
async fn accounts_are_listed_by_status_and_as_they_are_now_on_postgres() {
    accounts_are_listed_by_status_and_as_they_are_now(On::Postgres).await;
}

async fn accounts_are_listed_by_status_and_as_they_are_now(on: On) {
    let mut wire = wire(on).await;
    make(&mut wire, ["a", "b", "c"]).await;
    // More grants than a row keeps, of which some lapse.
    let commands = (0..70).map(|number| {
        let expire_time = Some(prost_types::Timestamp { seconds: 50 + number, nanos: 0 });
        let credit = v1::CreditRequest { expire_time, ..credit("many", &format!("n{number}")) };
        v1::BatchCommand { command: Some(Command::Credit(credit)) }
    });
    let mode = v1::BatchMode::Atomic.into();
    let request = v1::BatchRequest { commands: commands.collect(), mode, dry_run: false };
    wire.call(request.into()).await.expect("all of them are accepted");
    let (account_id, note) = ("b".to_owned(), String::new());
    wire.call(v1::FreezeAccountRequest { account_id, note }.into()).await.expect("frozen");

    for (seconds, posted) in [(0, 700), (59, 600), (117, 20), (119, 0)] {
        wire.set_time(seconds * 1_000_000);
        let accounts = listed(&mut wire, v1::ListAccountsRequest::default(), async |_| {}).await;
        assert_eq!(ids(&accounts), ["a", "b", "c", "many"]);
        for account in &accounts {
            let request = v1::GetAccountRequest { account_id: account.account_id.clone() };
            let alone = wire.admin().get_account(request).await.expect("it is there").into_inner();
            assert_eq!(alone.account.as_ref(), Some(account));
        }
        let many =
            accounts.last().and_then(|account| account.balance.as_ref()).expect("it has one");
        assert_eq!(many.posted, posted, "at {seconds}");
    }
    let (account_id, note) = ("many".to_owned(), String::new());
    wire.call(v1::CloseAccountRequest { account_id, note }.into()).await.expect("it is empty");

    for (status, expected) in [
        (AccountStatus::Active, &["a", "c"][..]),
        (AccountStatus::Frozen, &["b"]),
        (AccountStatus::Closed, &["many"]),
    ] {
        for page_size in [1, 50] {
            let status = status.into();
            let request = v1::ListAccountsRequest { status, page_size, ..Default::default() };
            let accounts = listed(&mut wire, request, async |_| {}).await;
            assert_eq!(ids(&accounts), expected);
        }
    }
    wire.into_world().stop().await;
}

#[test]
fn a_caller_bound_to_a_prefix_lists_what_begins_with_it_alone() {
    let catalog = Catalog::load("phoenix").expect("shipped");
    let caller = Caller::new("shop").with_scopes([Scope::Admin]).with_prefix("shop/");
    let read = |prefix: &str, page_token: String| {
        let prefix = prefix.to_owned();
        let request =
            v1::ListAccountsRequest { prefix, page_token, page_size: 1, ..Default::default() };
        query::account_list(request, Terms { catalog: &catalog, caller: &caller })
    };
    for prefix in ["", "s", "shop", "Shop/", "other/"] {
        let denied = read(prefix, String::new()).expect_err("it isn't theirs");
        assert_eq!(denied.reason, v1::ErrorReason::ScopeMissing, "{prefix}");
    }
    let (query, page) = read("shop/a", String::new()).expect("it is theirs");
    assert_eq!(query.ids, "shop/a".to_owned().."shop/a\x7f".to_owned());
    // A page token that somebody made up doesn't lead anywhere else.
    let rows = vec![(ledger::AccountId::new("other/"), 1_i64), (ledger::AccountId::new("x"), 2)];
    let (_, token) = page.cut(rows);
    let (query, _) = read("shop/a", token).expect("a token");
    assert_eq!(query.ids, "shop/a".to_owned().."shop/a\x7f".to_owned());
}
