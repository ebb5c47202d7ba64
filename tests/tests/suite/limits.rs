//! Limits that no scenario can reach: it would take a million commands.

use proto::{catalog::Catalog, reason, v1};
use tests::{
    core::Core,
    target::{Call, Target as _},
};

/// All that an account can ever receive.
const BALANCE_MAX: i64 = 1_000_000_000_000_000_000;

fn credit(account: &str, amount: i64, key: &str) -> Call {
    let (account_id, idempotency_key) = (account.to_owned(), key.to_owned());
    let kind = v1::GrantKind::Purchased.into();
    v1::CreditRequest { account_id, idempotency_key, amount, kind, ..Default::default() }.into()
}

fn transfer(amount: i64) -> Call {
    let (account_id, to_account_id) = ("bob".to_owned(), "alice".to_owned());
    let idempotency_key = "tip".to_owned();
    v1::TransferRequest { account_id, idempotency_key, amount, to_account_id, ..Default::default() }
        .into()
}

/// What a call was refused for: the limit and its maximum.
async fn limit(core: &mut Core, call: Call) -> Option<(String, String)> {
    let status = core.call(call).await.expect_err("it is refused");
    let (reason, metadata) = reason::refusal(&status).expect("a refusal has a reason");
    assert_eq!(reason, v1::ErrorReason::LimitExceeded);
    Some((metadata.get("limit")?.clone(), metadata.get("maximum")?.clone()))
}

#[tokio::test]
async fn an_account_receives_at_most_10_to_the_18_tokens() {
    let mut core = Core::new(&Catalog::load("phoenix").expect("a shipped catalog"));
    core.call(credit("alice", 1, "first")).await.expect("it is the first");
    core.call(credit("bob", 10, "first")).await.expect("it is the first");
    for account in core.accounts_mut().filter(|account| account.id.as_str() == "alice") {
        account.body.received = BALANCE_MAX - 5;
    }

    let balance = Some(("balance".to_owned(), BALANCE_MAX.to_string()));
    assert_eq!(limit(&mut core, credit("alice", 6, "too-much")).await, balance);
    assert_eq!(limit(&mut core, transfer(6)).await, balance);
    core.call(credit("alice", 5, "just-enough")).await.expect("it fits");
    assert_eq!(limit(&mut core, transfer(1)).await, balance);
}
