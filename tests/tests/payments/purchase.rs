//! Somebody buys: what they pay for is theirs, once; what they don't pay for isn't.

use super::{
    plan::{Catalog, Plan},
    user::Purchase,
    visitors::Visitor,
    world::World,
};
use serde_json::{Value, json};
use tests::stripe_sim::{DECLINED, GOOD, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_that_is_paid_for_is_credited_and_everything_says_so() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    assert_eq!(ada.balance().await, 0);

    let answer = ada.click(&json!({"package": "starter"})).await.expect(201);
    let bought = Purchase::of(&answer);
    assert!(is_time(&answer["expires_at"]), "{answer}");
    let open = ada.purchase(&bought.id).await;
    assert_eq!(open["id"], bought.id.as_str());
    assert_eq!((text(&open, "state"), text(&open, "package")), ("open", "starter"));
    assert_eq!(open["price"], json!({"minor": 499, "currency": "usd"}));
    assert_eq!((&open["tokens"], &open["reversed_tokens"]), (&json!(50), &json!(0)));
    assert_eq!(text(&open, "checkout_url"), bought.url);
    assert_eq!((&open["credited_at"], &open["receipt_url"]), (&Value::Null, &Value::Null));

    let session = world.stripe.get(&format!("/checkout/sessions/{}", bought.session)).await;
    assert_eq!((&session["amount_total"], &session["currency"]), (&json!(499), &json!("usd")));
    assert!(session["metadata"].to_string().contains(&bought.id), "{session}");
    assert!(session["metadata"].to_string().contains("ada"), "{session}");

    let session = world.stripe.pay(&bought.session).await;
    assert!(!text(&session, "customer").is_empty(), "the customer is kept: {session}");
    let credited = world.credits_once(&ada, &bought, 50).await;
    assert_eq!(credited["paid"], json!({"minor": 499, "currency": "usd"}));
    assert!(is_time(&credited["created_at"]) && is_time(&credited["credited_at"]), "{credited}");
    assert!(credited["checkout_url"].is_null(), "it can't be paid twice: {credited}");
    assert_eq!(credited["reversed_tokens"], 0);
    let intent =
        format!("/payment_intents/{}?expand[]=latest_charge", text(&session, "payment_intent"));
    let intent = world.stripe.get(&intent).await;
    assert_eq!(credited["receipt_url"], intent["latest_charge"]["receipt_url"]);
    assert!(intent["metadata"].to_string().contains(&bought.id), "refunds find home: {intent}");

    let balance = ada.get("/v1/balance").await.expect(200);
    for (member, expected) in [("posted", 50), ("available", 50), ("held", 0)] {
        assert_eq!(balance[member], expected, "{member} of {balance}");
    }
    assert_eq!(
        (&balance["account_id"], &balance["by_kind"]["purchased"]["posted"]),
        (&json!("ada"), &json!(50))
    );
    assert_eq!(balance["lifetime"], json!({"purchased": 50, "spent": 0, "earned": 0}));
    let transactions = ada.get("/v1/transactions").await.expect(200);
    let newest = &transactions["data"][0];
    assert_eq!((&newest["amount"], &newest["balance_after"]), (&json!(50), &json!(50)));
    assert_eq!(text(newest, "label"), "purchase", "{newest}");
    assert_eq!(transactions["data"].as_array().map(Vec::len), Some(1), "{transactions}");
    let stats = ada.get("/v1/stats").await.expect(200);
    assert_eq!((&stats["balance"], &stats["total_purchased"]), (&json!(50), &json!(50)), "{stats}");
    assert_eq!(stats["total_paid"], json!({"minor": 499, "currency": "usd"}));
    assert_eq!(stats["purchase_count"], 1);
    assert_eq!(ada.purchases().await, [ada.purchase(&bought.id).await]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_card_changes_nothing_and_another_one_pays() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let bought = ada.buys("starter").await;
    let before = ada.purchase(&bought.id).await;
    let card = world.stripe.card(DECLINED).await;
    world.stripe.confirm(&bought.session, &card).await.expect(402);
    world.stripe.control("/settle", &json!({})).await;
    // What the bank's no was told by has been looked at, too.
    super::inbox::settled(&world).await;
    let after = ada.purchase(&bought.id).await;
    assert_eq!(after, before);
    assert_eq!((ada.balance().await, world.posted("ada").await), (0, 0));

    world.stripe.pay(&bought.session).await;
    world.credits_once(&ada, &bought, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_purchase_can_no_longer_be_paid_and_another_can_be_begun() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let given_up = ada.buys("starter").await;
    let path = format!("/v1/checkout/sessions/{}/cancel", given_up.id);
    let cancelled = ada.post(&path, &json!({})).await.expect(200);
    assert_eq!(cancelled["id"], given_up.id.as_str(), "{cancelled}");
    let session = world.stripe.get(&format!("/checkout/sessions/{}", given_up.session)).await;
    assert_eq!(session["status"], "expired");
    ada.sees(&given_up.id, "expired").await;
    let card = world.stripe.card(GOOD).await;
    world.stripe.confirm(&given_up.session, &card).await.expect(400);
    // Whoever clicks twice is told the same.
    assert_eq!(ada.post(&path, &json!({})).await.expect(200)["state"], "expired");

    let bought = ada.buys("starter").await;
    assert_ne!(bought.id, given_up.id);
    world.stripe.pay(&bought.session).await;
    world.credits_once(&ada, &bought, 50).await;
    // What is paid can't be cancelled: it stays what it is.
    let path = format!("/v1/checkout/sessions/{}/cancel", bought.id);
    ada.post(&path, &json!({})).await;
    assert_eq!(text(&ada.purchase(&bought.id).await, "state"), "credited");
    assert_eq!(world.posted("ada").await, 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_and_paying_at_once_ends_as_stripe_says() {
    let world = World::start().await;
    let (mut paid, mut expired) = (0, 0);
    for number in 0..12 {
        let user = world.user(&format!("user-{number}")).await;
        let bought = user.buys("starter").await;
        let card = world.stripe.card(GOOD).await;
        let path = format!("/v1/checkout/sessions/{}/cancel", bought.id);
        let nothing = json!({});
        // Paying has the shorter way; now and then it comes first, now and then it doesn't.
        if number % 3 == 0 {
            tokio::join!(user.post(&path, &nothing), world.stripe.confirm(&bought.session, &card));
        } else {
            tokio::join!(user.post(&path, &nothing), async {
                for _ in 0..number {
                    tokio::task::yield_now().await;
                    world.stripe.get("/balance").await;
                }
                world.stripe.confirm(&bought.session, &card).await
            });
        }
        let session = world.stripe.get(&format!("/checkout/sessions/{}", bought.session)).await;
        match text(&session, "status") {
            "complete" => {
                paid += 1;
                world.credits_once(&user, &bought, 50).await;
            }
            "expired" => {
                expired += 1;
                user.sees(&bought.id, "expired").await;
                assert_eq!(world.posted(&user.account).await, 0);
            }
            other => panic!("either way it is over: {other}"),
        }
    }
    println!("{paid} paid, {expired} expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_amount_of_tokens_is_bought_where_the_catalog_prices_one() {
    let plan = Plan { catalog: Catalog::Shipped("vantage"), ..Plan::default() };
    let world = World::with(plan).await;
    let ada = world.user("ada").await;
    let bought = ada.begins(&json!({"tokens": 37})).await;
    assert_eq!(Purchase::of(&ada.click(&json!({"tokens": 37})).await.expect(200)), bought);
    let session = world.stripe.pay(&bought.session).await;
    assert_eq!(session["amount_total"], 3_700);
    let credited = world.credits_once(&ada, &bought, 37).await;
    assert_eq!(credited["price"], json!({"minor": 3_700, "currency": "usd"}));
    assert_eq!(credited["tokens"], 37);
    assert!(credited["package"].is_null(), "{credited}");

    for (what, field) in [
        (json!({"tokens": 0}), "tokens"),
        (json!({"tokens": -1}), "tokens"),
        (json!({"tokens": 10_001}), "tokens"),
        (json!({"package": "nothing-like-it"}), "package"),
    ] {
        let problem = ada.click(&what).await.refused(400, "invalid_request");
        let named = problem["errors"].as_array().expect("which fields").iter();
        let named: Vec<_> = named.map(|error| text(error, "field")).collect();
        assert_eq!(named, [field], "{what}: {problem}");
    }
    for what in [
        json!({}),
        json!({"tokens": 1, "package": "starter"}),
        json!({"tokens": 1.5}),
        json!({"tokens": "1"}),
        json!([]),
        json!(null),
    ] {
        ada.click(&what).await.refused(400, "invalid_request");
    }
    assert_eq!(ada.purchases().await.len(), 1, "what is refused leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amount_is_refused_where_the_catalog_prices_none() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    ada.click(&json!({"tokens": 10})).await.refused(400, "invalid_request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_buys_for_somebody_else() {
    let world = World::start().await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    for member in
        ["account_id", "account", "user", "user_id", "on_behalf_of", "client_reference_id"]
    {
        let answer = ada.click(&json!({"package": "starter", member: "bob"})).await;
        // A member that nobody knows may be refused or passed over; it decides nothing.
        assert!([200, 201, 400].contains(&answer.status), "{member}: {}", answer.text());
        let path = format!("/v1/checkout/sessions?{member}=bob");
        let answer = ada.post(&path, &json!({"package": "starter"})).await;
        assert!([200, 201, 400].contains(&answer.status), "{member}: {}", answer.text());
    }
    for purchase in ada.purchases().await {
        let session = text(&purchase, "checkout_url").rsplit('/').next().unwrap_or_default();
        world.stripe.pay(session).await;
        ada.sees(text(&purchase, "id"), "credited").await;
    }
    assert!(world.posted("ada").await >= 50, "somebody bought something");
    assert_eq!((world.posted("bob").await, bob.purchases().await.len()), (0, 0));
    assert!(world.stripe.sessions_naming("bob").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_after_paying_asks_for_a_second_look_and_never_credits_by_itself() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let (her, him) = (Visitor::enter(&world, "ada").await, Visitor::enter(&world, "bob").await);
    world.stripe.keep_webhooks().await;
    let bought = ada.buys("starter").await;
    let page = format!("/tokens/success?session_id={}", bought.session);
    // Not paid yet: looking at the page pays for nothing.
    her.sees(&world, &page).await;
    super::inbox::settled(&world).await;
    assert_eq!(world.posted("ada").await, 0);
    world.stripe.pay(&bought.session).await;
    // Somebody else's session is of no interest to anybody.
    let answer = him.sees(&world, &page).await;
    assert!(!answer.text().contains(&bought.id), "{}", answer.text());
    her.sees(&world, &page).await.expect(200);
    world.credits_once(&ada, &bought, 50).await;
    assert_eq!(world.posted("bob").await, 0);
    let nobodys = her.sees(&world, "/tokens/success?session_id=cs_test_nobody").await;
    assert!(nobodys.status < 500, "{}", nobodys.text());
}

/// Whether this is a time of RFC 3339.
fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T') && text.ends_with('Z')
}
