//! What operators see and decide: mismatches, alerts, events that are to be worked on again.

use super::{
    inbox::{end_of, settled},
    plan::{Plan, Ways},
    user::{Purchase, User},
    world::World,
};
use proto::payments::v1::{
    Alert, AlertKind, AlertState, GetPurchaseRequest, InboxState, ListAlertsRequest,
    PurchaseResolution, ReplayInboxEventsRequest, ResolveAlertRequest, ResolvePurchaseRequest,
};
use serde_json::json;
use std::collections::BTreeSet;
use tests::stripe_sim::text;

/// A card whose payments Radar warns of.
const FRAUDULENT: &str = "4000000000005423";

async fn alerts(world: &World, kind: AlertKind) -> Vec<Alert> {
    let asked = ListAlertsRequest { page_size: 1_000, ..Default::default() };
    let page = world.operators().await.list_alerts(asked).await.expect("a page").into_inner();
    page.alerts.into_iter().filter(|alert| alert.kind() == kind).collect()
}

/// A payment that Stripe says something else of than was quoted.
async fn mismatch(world: &World, account: &str) -> (User, Purchase) {
    let user = world.user(account).await;
    let bought = user.buys("starter").await;
    world.stripe.pay(&bought.session).await;
    let event = world.stripe.events(&["checkout.session.completed"], &bought.id).await.remove(0);
    let lie = ("\"amount_subtotal\": 499", "\"amount_subtotal\": 498");
    world.interceptor.change("/v1/checkout/sessions", lie.0, lie.1);
    world.deliver(&event).await;
    user.sees(&bought.id, "mismatch").await;
    end_of(world, text(&event, "id")).await;
    world.interceptor.change_nothing();
    (user, bought)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mismatch_is_credited_or_left_as_an_operator_says() {
    let world = World::with(Plan { ways: Ways::Intercepted, ..Plan::default() }).await;
    world.stripe.keep_webhooks().await;
    let mut operators = world.operators().await;
    let (ada, hers) = mismatch(&world, "ada").await;
    let (bob, his) = mismatch(&world, "bob").await;
    let told: BTreeSet<String> =
        alerts(&world, AlertKind::Mismatch).await.into_iter().map(|alert| alert.subject).collect();
    assert_eq!(told, BTreeSet::from([hers.id.clone(), his.id.clone()]));

    let decide = |purchase: &Purchase, resolution: PurchaseResolution| ResolvePurchaseRequest {
        purchase_id: purchase.id.clone(),
        resolution: resolution.into(),
        note: "looked at".to_owned(),
    };
    let left = decide(&his, PurchaseResolution::Leave);
    operators.resolve_purchase(left).await.expect("it is a mismatch");
    let credited = decide(&hers, PurchaseResolution::Credit);
    operators.resolve_purchase(credited.clone()).await.expect("it is a mismatch");
    world.credits_once(&ada, &hers, 50).await;
    operators.resolve_purchase(credited).await.expect_err("it isn't a mismatch any more");
    settled(&world).await;
    world.credits_once(&ada, &hers, 50).await;
    assert_eq!(bob.purchase(&his.id).await["state"], "mismatch");
    assert_eq!(world.posted("bob").await, 0);
    for alert in alerts(&world, AlertKind::Mismatch).await {
        assert_eq!(alert.state(), AlertState::Acknowledged, "{alert:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_should_know_is_an_alert_once_an_hour() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let bought = ada.buys("starter").await;
    let card = world.stripe.card(FRAUDULENT).await;
    world.stripe.confirm(&bought.session, &card).await.expect(200);
    world.credits_once(&ada, &bought, 50).await;
    let mut event =
        world.stripe.events(&["checkout.session.completed"], &bought.id).await.remove(0);

    for _ in 0..3 {
        world.deliver_signed(b"{}", "t=1,v1=00").await.expect(400);
    }
    world.deliver_bytes(b"not JSON").await.expect(200);
    event["id"] = json!("evt_other_mode");
    event["livemode"] = json!(true);
    world.deliver(&event).await;
    let ours = world.stripe.get(&format!("/checkout/sessions/{}", bought.session)).await;
    let foreign = super::events::foreign_session(&world.stripe, &ours, "499", "usd").await;
    world.stripe.pay(text(&foreign, "id")).await;
    let nobodys = ours.to_string().replace(&bought.id[24..], "00000000");
    let nobodys = serde_json::from_str(&nobodys).expect("JSON");
    let nobodys = super::events::foreign_session(&world.stripe, &nobodys, "499", "usd").await;
    world.stripe.pay(text(&nobodys, "id")).await;
    let bob = world.user("bob").await;
    for _ in 0..5 {
        let bought = bob.buys("starter").await;
        world.stripe.pay(&bought.session).await;
        bob.sees(&bought.id, "credited").await;
    }
    for _ in 0..2 {
        bob.click(&json!({"package": "starter"})).await.refused(429, "purchase_limit");
    }
    world.stripe.control("/settle", &json!({})).await;
    settled(&world).await;
    for (kind, least) in [
        (AlertKind::BadSignature, 3),
        (AlertKind::OtherMode, 1),
        (AlertKind::Parked, 1),
        (AlertKind::ForeignSession, 1),
        (AlertKind::UnknownPurchase, 1),
        (AlertKind::FraudWarning, 1),
        (AlertKind::PurchaseLimit, 2),
    ] {
        let found = alerts(&world, kind).await;
        let count: i64 = found.iter().map(|alert| alert.count).sum();
        assert!(count >= least, "{kind:?}: {found:?}");
        let subjects: BTreeSet<_> = found.iter().map(|alert| &alert.subject).collect();
        assert_eq!(subjects.len(), found.len(), "one of a subject: {found:?}");
    }

    let limit = alerts(&world, AlertKind::PurchaseLimit).await.remove(0);
    let state = AlertState::FalsePositive.into();
    let asked = ResolveAlertRequest { alert_id: limit.alert_id, state, note: "a party".to_owned() };
    world.operators().await.resolve_alert(asked).await.expect("it is there");
    let limit = alerts(&world, AlertKind::PurchaseLimit).await.remove(0);
    assert_eq!(limit.state(), AlertState::FalsePositive);
    assert!(limit.note.contains("a party"), "{limit:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_worked_on_again_change_nothing() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let bought = ada.buys("starter").await;
    world.stripe.pay(&bought.session).await;
    world.credits_once(&ada, &bought, 50).await;
    settled(&world).await;
    let mut operators = world.operators().await;
    for _ in 0..3 {
        let all = ReplayInboxEventsRequest { state: InboxState::Done.into(), ..Default::default() };
        let replayed = operators.replay_inbox_events(all).await.expect("they are there");
        assert!(replayed.into_inner().replayed > 0);
        settled(&world).await;
        world.credits_once(&ada, &bought, 50).await;
    }
    let asked = GetPurchaseRequest { purchase_id: bought.id.clone() };
    let told = operators.get_purchase(asked).await.expect("it is there").into_inner();
    let keys: Vec<_> = told.calls.iter().map(|call| call.key.clone()).collect();
    assert_eq!(keys, [format!("purchase/{}/attempt/1", bought.id)]);
    assert!(told.calls[0].body.contains("starter") || told.calls[0].body.contains("499"));
    assert!(!told.events.is_empty(), "{told:?}");
}
