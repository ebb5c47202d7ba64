//! Events that aren't as they should be: if Stripe has signed one, it is kept, answered 200, and ends
//! with a reason. None of them credits anything twice, and none stops what comes after it.

use super::{
    inbox::{Arrived, end_of, settled},
    world::World,
};
use proto::payments::v1::InboxState;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tests::stripe_sim::text;

/// A paid session's event, as Stripe sends it.
async fn genuine(world: &World) -> Value {
    let ada = world.user("ada").await;
    let bought = ada.buys("starter").await;
    world.stripe.pay(&bought.session).await;
    world.stripe.events(&["checkout.session.completed"], &bought.id).await.remove(0)
}

/// What could stand in a value's place.
fn mistyped(value: &Value) -> Vec<Value> {
    let others = [
        json!(null),
        json!(true),
        json!(17),
        json!(-1),
        json!(1.5),
        json!("text"),
        json!(""),
        json!([]),
        json!({}),
        json!([[null]]),
        json!("9".repeat(30)),
    ];
    others.into_iter().filter(|other| other != value).collect()
}

/// Every way to damage one member of an object: gone, or of another type.
fn damages(object: &Map<String, Value>) -> Vec<(String, Map<String, Value>)> {
    let mut damaged = Vec::new();
    for (name, value) in object {
        let mut without = object.clone();
        without.remove(name);
        damaged.push((format!("without {name}"), without));
        for other in mistyped(value) {
            let mut with = object.clone();
            with.insert(name.clone(), other.clone());
            damaged.push((format!("{name}: {other}"), with));
        }
    }
    damaged
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_with_a_damaged_envelope_is_kept_and_ends() {
    let world = World::start().await;
    world.stripe.keep_webhooks().await;
    let event = genuine(&world).await;
    let mut sent = 0;
    for (number, (damage, mut damaged)) in damages(object(&event)).into_iter().enumerate() {
        // Only its own damage makes an event another one.
        if damaged.get("id") == Some(&event["id"]) {
            damaged.insert("id".to_owned(), json!(format!("evt_envelope_{number}")));
        }
        let body = Value::Object(damaged).to_string();
        let answer = world.deliver_bytes(body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{damage}: {}", answer.text());
        sent += 1;
    }
    assert!(sent > 50, "{sent} damages");
    let arrived = settled(&world).await;
    assert!(arrived.len() > sent / 2, "they are kept: {} of {sent}", arrived.len());
    assert!(world.credits("ada").await.len() <= 1, "at most once");
    check_health(&world, &event, &arrived).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_about_a_damaged_object_is_kept_and_ends() {
    let world = World::start().await;
    world.stripe.keep_webhooks().await;
    let event = genuine(&world).await;
    let mut sent = BTreeMap::new();
    for (number, (damage, damaged)) in
        damages(object(&event["data"]["object"])).into_iter().enumerate()
    {
        let id = format!("evt_object_{number}");
        let mut event = event.clone();
        event["id"] = json!(id);
        event["data"]["object"] = Value::Object(damaged);
        let answer = world.deliver_bytes(event.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{damage}: {}", answer.text());
        sent.insert(id, damage);
    }
    assert!(sent.len() > 200, "{} damages", sent.len());
    let arrived = settled(&world).await;
    let ids: BTreeMap<&str, &Arrived> =
        arrived.iter().map(|event| (event.event_id.as_str(), event)).collect();
    for (id, damage) in &sent {
        assert!(ids.contains_key(id.as_str()), "{damage} is lost");
    }
    assert!(world.credits("ada").await.len() <= 1, "at most once");
    check_health(&world, &event, &arrived).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_event_at_all_is_kept_and_parked() {
    let world = World::start().await;
    world.stripe.keep_webhooks().await;
    let event = genuine(&world).await;
    let whole = event.to_string();
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let bodies: [&[u8]; 14] = [
        b"{}",
        b"[]",
        b"null",
        b"17",
        b"\"text\"",
        b"not JSON",
        b"",
        b" ",
        b"\xff\xfe\x00",
        b"{\"id\":\"evt_x\"}",
        b"{\"object\":\"event\"}",
        &whole.as_bytes()[..whole.len() / 2],
        deep.as_bytes(),
        b"{\"id\":\"evt_twice\",\"id\":\"evt_thrice\",\"object\":\"event\"}",
    ];
    for body in bodies {
        let answer = world.deliver_bytes(body).await;
        let said = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert_eq!(answer.status, 200, "{said}: {}", answer.text());
    }
    let arrived = settled(&world).await;
    assert_eq!(arrived.len(), bodies.len(), "each is kept: {arrived:?}");
    for event in &arrived {
        assert_eq!(event.state, InboxState::Parked, "{event:?}");
    }
    // The same again is the same.
    world.deliver_bytes(bodies[5]).await.expect(200);
    assert_eq!(settled(&world).await.len(), bodies.len());
    check_health(&world, &event, &arrived).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thin_event_and_one_with_more_than_is_known_are_taken() {
    let world = World::start().await;
    world.stripe.keep_webhooks().await;
    let event = genuine(&world).await;
    let thin = json!({
        "id": "evt_thin", "object": "v2.core.event", "type": "v1.billing.meter.error_report_triggered",
        "created": "2026-11-01T00:00:00.000Z", "livemode": false, "context": null,
        "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"},
        "reason": null,
    });
    world.deliver(&thin).await;
    let end = end_of(&world, "evt_thin").await;
    assert!([InboxState::Ignored, InboxState::Parked].contains(&end.state), "{end:?}");
    assert!(!end.reason.is_empty(), "{end:?}");

    let mut rich = event.clone();
    rich["id"] = json!("evt_rich");
    rich["wizard"] = json!({"spell": [1, 2, 3]});
    rich["data"]["wizard"] = json!(1);
    rich["data"]["object"]["wizard"] = json!({"deep": {"deeper": null}});
    rich["data"]["object"]["payment_method_types"] = json!(["card", "teleportation"]);
    // Expanded where an id is usual.
    rich["data"]["object"]["payment_intent"] =
        json!({"id": event["data"]["object"]["payment_intent"], "object": "payment_intent"});
    world.deliver(&rich).await;
    assert_eq!(end_of(&world, "evt_rich").await.state, InboxState::Done);
    assert_eq!(world.posted("ada").await, 50);
}

/// After all of that an ordinary payment is credited as always.
async fn check_health(world: &World, event: &Value, arrived: &[Arrived]) {
    world.deliver(event).await;
    assert_eq!(end_of(world, text(event, "id")).await.state, InboxState::Done, "{}", arrived.len());
    assert_eq!(world.credits("ada").await.len(), 1);
    assert_eq!(world.posted("ada").await, 50);
    world.stripe.clear("/weather").await;
    let bob = world.user("bob").await;
    let bought = bob.buys("starter").await;
    world.stripe.pay(&bought.session).await;
    world.credits_once(&bob, &bought, 50).await;
}
