//! More open grants than an account's row keeps: what no scenario can say of them.

use proto::{
    catalog::Catalog,
    v1::{self, batch_command::Command, get_transaction_request::Name},
};
use tests::{
    core::Core,
    target::{Call, Reply, Target},
    world::{On, World},
};

/// Commands of one batch.
const COMMANDS: i64 = 100;

fn credit(account_id: &str, key: i64, amount: i64) -> v1::CreditRequest {
    v1::CreditRequest {
        account_id: account_id.to_owned(),
        idempotency_key: format!("credit/{key}"),
        amount,
        kind: v1::GrantKind::Purchased.into(),
        // Every other one burns before those that are there.
        priority: i32::try_from(key % 2 * -key).expect("a small number"),
        ..v1::CreditRequest::default()
    }
}

async fn batch(target: &mut impl Target, commands: impl Iterator<Item = Command>) {
    let commands = commands.map(|it| v1::BatchCommand { command: Some(it) }).collect();
    let mode = v1::BatchMode::Atomic.into();
    let request = v1::BatchRequest { commands, mode, dry_run: false };
    target.call(request.into()).await.expect("all of them are accepted");
}

#[tokio::test]
async fn a_new_catalog_says_anew_what_burns_first() {
    let catalog = |order: &str| {
        let text = format!(
            "economy = \"test\"\ntitle = \"Test\"\ncurrency = \"usd\"\n\
             funding_order = [\"tokens\"]\nburn_order = [\"{order}\"]\n"
        );
        Catalog::parse("test", &text).expect("a catalog")
    };
    let mut core = Core::new(&catalog("priority"));
    batch(&mut core, (1..=COMMANDS).map(|key| Command::Credit(credit("alice", key, 1)))).await;

    // By priority, those with odd keys go first, the youngest of them at the head.
    assert_eq!(drawn(&mut core, "one").await, "credit/99");
    core.change_catalog(&catalog("oldest"));
    assert_eq!(drawn(&mut core, "two").await, "credit/1");
    core.change_catalog(&catalog("priority"));
    assert_eq!(drawn(&mut core, "three").await, "credit/97");
}

/// Debits one token: the key of the credit that it came from.
async fn drawn(target: &mut impl Target, key: &str) -> String {
    let (account_id, idempotency_key) = ("alice".to_owned(), key.to_owned());
    let debit = v1::DebitRequest { account_id, idempotency_key, amount: 1, ..Default::default() };
    let Ok(Reply::Debit(reply)) = target.call(debit.into()).await else { panic!("it is enough") };
    let transaction = reply.transaction.expect("one");
    let draw = transaction.entries.iter().flat_map(|entry| &entry.draws).next().expect("a draw");
    let name = Some(Name::TransactionId(draw.grant_id.clone()));
    let find = v1::GetTransactionRequest { account_id: "alice".to_owned(), name };
    let Ok(Reply::GetTransaction(found)) = target.call(find.into()).await else { panic!("there") };
    found.transaction.expect("one").idempotency_key
}

#[tokio::test]
async fn grants_are_listed_in_burn_down_order_whatever_the_page() {
    let mut service = World::service(&Catalog::load("phoenix").expect("shipped"), On::Sqlite).await;
    for round in 0..2 {
        let credits = (round * COMMANDS..(round + 1) * COMMANDS).map(|key| credit("alice", key, 1));
        batch(&mut service, credits.map(Command::Credit)).await;
    }
    let debit = v1::DebitRequest {
        account_id: "alice".to_owned(),
        idempotency_key: "debit".to_owned(),
        amount: 30,
        ..v1::DebitRequest::default()
    };
    service.call(debit.into()).await.expect("it is enough");

    let all = listed(&mut service, 1_000).await;
    assert_eq!(all.len(), 200);
    let open = all.iter().take_while(|grant| grant.remaining > 0);
    let priorities: Vec<i32> = open.map(|grant| grant.priority).collect();
    assert_eq!(priorities.len(), 170);
    assert!(priorities.is_sorted(), "{priorities:?}");
    for page_size in [1, 50, 64, 65, 170] {
        assert_eq!(listed(&mut service, page_size).await, all, "by {page_size}");
    }
    service.into_world().stop().await;
}

async fn listed(target: &mut impl Target, page_size: i32) -> Vec<v1::Grant> {
    let (mut grants, mut page_token) = (Vec::new(), String::new());
    loop {
        let account_id = "alice".to_owned();
        let request = v1::ListGrantsRequest {
            account_id,
            all_states: true,
            page_size,
            page_token,
            ..v1::ListGrantsRequest::default()
        };
        let Ok(Reply::ListGrants(page)) = target.call(Call::from(request)).await else {
            panic!("a page of grants");
        };
        grants.extend(page.grants);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return grants;
        }
    }
}
