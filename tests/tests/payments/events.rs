//! Whatever Stripe says, however late and however often: a payment is credited once, when the money is
//! there, and every event ends.

use super::{
    inbox::{self, end_of, settled},
    user::{Purchase, User},
    world::World,
};
use proto::payments::v1::InboxState;
use serde_json::{Value, json};
use tests::stripe_sim::{StripeSim, text};

/// Shapes that Stripe's API has had.
const VERSIONS: [&str; 9] = [
    "2020-08-27",
    "2022-11-15",
    "2023-10-16",
    "2024-06-20",
    "2024-12-18.acacia",
    "2025-03-31.basil",
    "2025-09-30.clover",
    "2026-03-25.dahlia",
    "2026-09-30.endive",
];

/// Somebody who has paid, of which nobody was told.
async fn paid(world: &World, account: &str) -> (User, Purchase) {
    let user = world.user(account).await;
    let bought = user.buys("starter").await;
    world.stripe.pay(&bought.session).await;
    (user, bought)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_of_a_payment_is_enough_and_all_together_credit_once() {
    let world = World::start().await;
    world.stripe.keep_webhooks().await;
    let kinds = ["checkout.session.completed", "payment_intent.succeeded", "charge.succeeded"];
    for kind in kinds {
        let (user, bought) = paid(&world, kind).await;
        let alone = world.stripe.events(&[kind], &bought.id).await;
        assert_eq!(alone.len(), 1, "{kind}");
        world.deliver(&alone[0]).await;
        let end = end_of(&world, text(&alone[0], "id")).await;
        assert_eq!(end.state, InboxState::Done, "{end:?}");
        world.credits_once(&user, &bought, 50).await;

        let all = world.stripe.events(&[], &bought.id).await;
        assert!(all.len() >= 4, "{all:?}");
        for event in all.iter().chain(&all).rev() {
            world.deliver(event).await;
        }
        let arrived = settled(&world).await;
        for event in &all {
            let of = arrived.iter().filter(|it| it.event_id == text(event, "id"));
            assert_eq!(of.count(), 1, "an event is kept once: {event}");
        }
        world.credits_once(&user, &bought, 50).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_says_expired_or_failed_undoes_nothing() {
    let world = World::start().await;
    let (ada, bought) = paid(&world, "ada").await;
    world.credits_once(&ada, &bought, 50).await;
    let completed =
        world.stripe.events(&["checkout.session.completed"], &bought.id).await.remove(0);
    for (number, kind) in ["expired", "async_payment_failed"].into_iter().enumerate() {
        let mut event = completed.clone();
        event["id"] = json!(format!("evt_undo_{number}"));
        event["type"] = json!(format!("checkout.session.{kind}"));
        event["data"]["object"]["status"] = json!("expired");
        event["data"]["object"]["payment_status"] = json!("unpaid");
        world.deliver(&event).await;
        assert!(end_of(&world, &format!("evt_undo_{number}")).await.is_over());
        world.credits_once(&ada, &bought, 50).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_says_paid_pays_for_nothing() {
    let world = World::start().await;
    world.stripe.keep_webhooks().await;
    let (_, pattern) = paid(&world, "bob").await;
    let pattern = world.stripe.events(&["checkout.session.completed"], &pattern.id).await.remove(0);
    let ada = world.user("ada").await;
    let bought = ada.buys("starter").await;
    let session = world.stripe.get(&format!("/checkout/sessions/{}", bought.session)).await;
    let mut event = pattern;
    event["id"] = json!("evt_premature");
    event["data"]["object"] = session;
    event["data"]["object"]["status"] = json!("complete");
    event["data"]["object"]["payment_status"] = json!("paid");
    world.deliver(&event).await;
    assert!(end_of(&world, "evt_premature").await.is_over());
    assert_eq!(ada.purchase(&bought.id).await["state"], "open", "Stripe says so when asked");
    assert_eq!(world.posted("ada").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_that_nobody_knows_end_and_lose_no_payment() {
    let world = World::start().await;
    world.stripe.keep_webhooks().await;
    let (ada, bought) = paid(&world, "ada").await;
    let completed =
        world.stripe.events(&["checkout.session.completed"], &bought.id).await.remove(0);
    let stranger = json!({"id": "wiz_1", "object": "wizard", "spell": {"name": "x", "level": 3}});
    for (id, kind, object) in [
        ("evt_1", "wizard.appeared", stranger.clone()),
        ("evt_2", "checkout.session.levitated", stranger),
        ("evt_3", "customer.created", json!({"id": "cus_1", "object": "customer"})),
        ("evt_4", "x", json!({"id": "x", "object": ""})),
    ] {
        let mut event = completed.clone();
        (event["id"], event["type"], event["data"]["object"]) = (json!(id), json!(kind), object);
        world.deliver(&event).await;
        let end = end_of(&world, id).await;
        assert!([InboxState::Ignored, InboxState::Parked].contains(&end.state), "{kind}: {end:?}");
        assert!(!end.reason.is_empty(), "{end:?}");
        assert_eq!(world.posted("ada").await, 0);
    }
    // A type that nobody knows, of a session that is paid: what matters is the session.
    let mut event = completed;
    event["id"] = json!("evt_5");
    event["type"] = json!("checkout.session.enchanted");
    world.deliver(&event).await;
    world.credits_once(&ada, &bought, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_of_the_api_is_understood() {
    let world = World::start().await;
    for version in VERSIONS {
        world.stripe.control("/weather", &json!({"api_version": version})).await;
        let (user, bought) = paid(&world, version).await;
        world.credits_once(&user, &bought, 50).await;
        let session = world.stripe.get(&format!("/checkout/sessions/{}", bought.session)).await;
        let refund = [("payment_intent", text(&session, "payment_intent")), ("amount", "250")];
        world.stripe.post("/refunds", &refund).await;
        let after = user.sees(&bought.id, "partly_reversed").await;
        assert_eq!(after["reversed_tokens"], 25, "{version}: {after}");
        assert_eq!(world.posted(version).await, 25, "{version}");
    }
    for event in settled(&world).await {
        assert_ne!(event.state, InboxState::Parked, "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_the_other_mode_is_kept_and_changes_nothing() {
    let world = World::start().await;
    world.stripe.control("/weather", &json!({"livemode": true})).await;
    let (ada, bought) = paid(&world, "ada").await;
    assert_eq!(world.stripe.control("/settle", &json!({})).await["settled"], true);
    let arrived = settled(&world).await;
    assert!(arrived.iter().any(|event| event.kind == "checkout.session.completed"));
    for event in &arrived {
        assert_eq!(event.state, InboxState::Ignored, "{event:?}");
    }
    assert_eq!((world.posted("ada").await, ada.balance().await), (0, 0));
    // Stripe's own mistake is Stripe's to mend: the payment is still to be had.
    world.stripe.clear("/weather").await;
    let mut event = world.stripe.events(&["charge.succeeded"], &bought.id).await.remove(0);
    event["id"] = json!("evt_of_our_mode");
    world.deliver(&event).await;
    world.credits_once(&ada, &bought, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_others_are_parked() {
    let world = World::start().await;
    world.stripe.keep_webhooks().await;
    let (ada, bought) = paid(&world, "ada").await;
    let completed =
        world.stripe.events(&["checkout.session.completed"], &bought.id).await.remove(0);
    let mut connected = completed.clone();
    connected["id"] = json!("evt_connected");
    connected["account"] = json!("acct_1Other");
    world.deliver(&connected).await;
    assert_eq!(end_of(&world, "evt_connected").await.state, InboxState::Parked);

    // A session as ours are, of a purchase that isn't in our database.
    let unknown = format!("{}00000000", &bought.id[..bought.id.len() - 8]);
    let session = completed["data"]["object"].to_string().replace(&bought.id, &unknown);
    let session: Value = serde_json::from_str(&session).expect("JSON");
    let made = foreign_session(&world.stripe, &session, "499", "usd").await;
    let made = world.stripe.pay(text(&made, "id")).await;
    let kinds = ["checkout.session.completed"];
    let event = world.stripe.events(&kinds, text(&made, "id")).await.remove(0);
    world.deliver(&event).await;
    let end = end_of(&world, text(&event, "id")).await;
    assert_eq!(end.state, InboxState::Parked, "{end:?}");
    assert_eq!(world.posted("ada").await, 0);
    world.deliver(&completed).await;
    world.credits_once(&ada, &bought, 50).await;
}

/// A session that isn't ours and says that it is.
pub async fn foreign_session(
    stripe: &StripeSim,
    like: &Value,
    price: &str,
    currency: &str,
) -> Value {
    let mut params = vec![
        ("mode".to_owned(), "payment".to_owned()),
        ("success_url".to_owned(), "https://example.com/done".to_owned()),
        ("client_reference_id".to_owned(), text(like, "client_reference_id").to_owned()),
        ("line_items[0][quantity]".to_owned(), "1".to_owned()),
        ("line_items[0][price_data][unit_amount]".to_owned(), price.to_owned()),
        ("line_items[0][price_data][currency]".to_owned(), currency.to_owned()),
        ("line_items[0][price_data][product_data][name]".to_owned(), "Tokens".to_owned()),
    ];
    for (name, value) in like["metadata"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        params.push((format!("metadata[{name}]"), value.to_owned()));
        params.push((format!("payment_intent_data[metadata][{name}]"), value.to_owned()));
    }
    params.retain(|(_, value)| !value.is_empty());
    let params: Vec<_> =
        params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    stripe.post("/checkout/sessions", &params).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_comes_again_before_it_is_done_isnt_swallowed() {
    let world = World::start().await;
    world.stripe.keep_webhooks().await;
    let (ada, bought) = paid(&world, "ada").await;
    let event = world.stripe.events(&["checkout.session.completed"], &bought.id).await.remove(0);
    world.stop_ledger().await;
    for _ in 0..3 {
        world.deliver(&event).await;
    }
    let arrived = inbox::inbox(&world).await;
    let waiting: Vec<_> = arrived.iter().filter(|it| it.event_id == text(&event, "id")).collect();
    assert!(matches!(waiting.as_slice(), [one] if !one.is_over()), "{waiting:?}");
    // Nobody remembers it but the database.
    world.restart(0).await;
    world.start_ledger().await;
    world.credits_once(&ada, &bought, 50).await;
    assert_eq!(end_of(&world, text(&event, "id")).await.state, InboxState::Done);
}
