//! Whom the gateway believes: whoever knows one of our secrets, just now, about these very bytes.

use super::{inbox::inbox, world::World};
use serde_json::{Value, json};
use tests::{
    credentials,
    http::Answer,
    stripe_sim::{code, signature, signature_at, text},
};

/// How old a signature may be.
const TOLERANCE_SECONDS: i64 = 300;

/// How large a body may be.
const BODY_BYTES_MAX: usize = 1 << 20;

fn now() -> i64 {
    i64::try_from(credentials::now()).expect("a time")
}

/// An event that is nobody's business, with this id.
fn event(id: &str) -> String {
    json!({"id": id, "object": "event", "type": "customer.created", "created": now(),
           "livemode": false, "api_version": "2026-09-30.endive", "pending_webhooks": 1,
           "data": {"object": {"id": "cus_1", "object": "customer"}}})
    .to_string()
}

async fn is_kept(world: &World, id: &str) -> bool {
    inbox(world).await.iter().any(|event| event.event_id == id)
}

/// Refused, and not kept.
async fn check_refused(world: &World, id: &str, answer: &Answer) {
    assert_eq!(answer.status, 400, "{id}: {}", answer.text());
    assert!(!is_kept(world, id).await, "{id} is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_is_good_for_300_seconds() {
    let world = World::start().await;
    // The second in which it is signed may be over before it is judged: then it doesn't count.
    let (id, answer) = loop {
        let (id, at) = (format!("evt_in_{}", fastrand::u64(..)), now());
        let body = event(&id);
        let signed = signature_at(&world.secret, at - TOLERANCE_SECONDS + 1, body.as_bytes());
        let answer = world.deliver_signed(body.as_bytes(), &signed).await;
        if now() <= at + 1 {
            break (id, answer);
        }
    };
    answer.expect(200);
    assert!(is_kept(&world, &id).await);

    let body = event("evt_out");
    for late in [TOLERANCE_SECONDS + 1, 3_600, 10 * 366 * 86_400, now()] {
        let signed = signature_at(&world.secret, now() - late, body.as_bytes());
        let answer = world.deliver_signed(body.as_bytes(), &signed).await;
        check_refused(&world, "evt_out", &answer).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_right_signature_is_believed() {
    let world = World::start().await;
    let body = event("evt_1");
    let bytes = body.as_bytes();
    let right = code(&world.secret, now(), bytes);
    let wrong = code("whsec_of_somebody_else", now(), bytes);
    let at = now();
    for header in [
        String::new(),
        "t".to_owned(),
        ",,=,".to_owned(),
        format!("v1={right}"),
        format!("t={at}"),
        format!("t={at},v1="),
        format!("t={at},v1={wrong}"),
        format!("t={at},v0={right}"),
        format!("t={at},v2={right}"),
        format!("t={at},v1={}", &right[..63]),
        format!("t={at},v1={right}0"),
        format!("t={at},v1={}", "0".repeat(64)),
        format!("t={at},v1=zz{}", &right[2..]),
        format!("t=,v1={right}"),
        format!("t=yesterday,v1={right}"),
        format!("t=-{at},v1={right}"),
        format!("t={},v1={right}", at + 1),
        format!("t={at}.0,v1={right}"),
        format!("t=99999999999999999999999,v1={right}"),
        signature("", bytes),
    ] {
        let answer = world.deliver_signed(bytes, &header).await;
        assert_eq!(answer.status, 400, "{header}: {}", answer.text());
    }
    let hook = world.http.post(&world.at("/webhooks/stripe")).body(body.clone());
    hook.send().await.expect(400);
    assert!(inbox(&world).await.is_empty(), "nothing is kept of what isn't Stripe's");

    // One good one among several, as while secrets are exchanged.
    let right = code(&world.secret, at, bytes);
    let several = format!("t={at},v1={wrong},v1={right},v0={wrong}");
    world.deliver_signed(bytes, &several).await.expect(200);
    assert!(is_kept(&world, "evt_1").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_signed_is_the_bytes_of_the_body() {
    let world = World::start().await;
    let odd = |id: &str| {
        format!(
            "\n{{ \"type\" : \"customer.created\",\t\"object\":\"event\",\r\n \"id\": \"{id}\", \
             \"livemode\":false, \"data\":{{\"object\":{{\"name\":\"Zoë \\u00eb \\/ 𝄞 \\ud834\\udd1e\", \
             \"object\":\"customer\",\"id\":\"cus_1\",\"n\":1.0e2}}}} }}\n \n"
        )
    };
    let body = odd("evt_odd");
    world.deliver_bytes(body.as_bytes()).await.expect(200);
    assert!(is_kept(&world, "evt_odd").await);

    let body = odd("evt_changed");
    let signed = signature(&world.secret, body.as_bytes());
    let reformatted: Value = serde_json::from_str(&body).expect("JSON");
    for changed in [
        reformatted.to_string(),
        body.trim().to_owned(),
        body.replace("\r\n", "\n"),
        body.replace("\\u00eb", "ë"),
        body.replace("\\/", "/"),
        body.replace("1.0e2", "100"),
        format!("{body} "),
        format!("{body}\0"),
        body.replace("false", "true "),
    ] {
        assert_ne!(changed, body);
        let answer = world.deliver_signed(changed.as_bytes(), &signed).await;
        check_refused(&world, "evt_changed", &answer).await;
    }
    world.deliver_signed(body.as_bytes(), &signed).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_one_mebibyte_is_taken_and_one_byte_more_isnt() {
    let world = World::start().await;
    let padded = |id: &str, bytes: usize| {
        let body = event(id);
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    let largest = padded("evt_largest", BODY_BYTES_MAX);
    assert_eq!(largest.len(), BODY_BYTES_MAX);
    world.deliver_bytes(largest.as_bytes()).await.expect(200);
    assert!(is_kept(&world, "evt_largest").await);
    for bytes in [BODY_BYTES_MAX + 1, 3 * BODY_BYTES_MAX] {
        let body = padded("evt_larger", bytes);
        let signed = signature(&world.secret, body.as_bytes());
        let request = world.http.post(&world.at("/webhooks/stripe"));
        let request = request.header("stripe-signature", &signed).body(body);
        // It may be answered, or hung up on, before all of it is sent.
        if let Ok(answer) = request.try_send().await {
            assert_eq!(answer.status, 413, "{}", answer.text());
        }
        assert!(!is_kept(&world, "evt_larger").await);
    }
    let by_one = padded("evt_larger", BODY_BYTES_MAX + 1);
    world.deliver_bytes(by_one.as_bytes()).await.expect(413);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_secrets_are_exchanged_both_are_good() {
    let older = "whsec_the_older_one";
    let mut world = World::start().await;
    let newer = world.secret.clone();
    let only = |world: &mut World, secrets: &str| {
        let environment = &mut world.settings[0].environment;
        environment.retain(|(name, _)| name != "STRIPE_WEBHOOK_SECRETS");
        environment.push(("STRIPE_WEBHOOK_SECRETS".to_owned(), secrets.to_owned()));
    };
    for (round, (secrets, good, bad)) in [
        (older.to_owned(), vec![older], vec![newer.as_str()]),
        (format!("{newer},{older}"), vec![older, newer.as_str()], vec!["whsec_third"]),
        (newer.clone(), vec![newer.as_str()], vec![older]),
    ]
    .into_iter()
    .enumerate()
    {
        only(&mut world, &secrets);
        world.restart(0).await;
        for (number, secret) in good.iter().enumerate() {
            let id = format!("evt_good_{round}_{number}");
            let body = event(&id);
            let signed = signature(secret, body.as_bytes());
            world.deliver_signed(body.as_bytes(), &signed).await.expect(200);
            assert!(is_kept(&world, &id).await);
        }
        for secret in bad {
            let id = format!("evt_bad_{round}");
            let body = event(&id);
            let signed = signature(secret, body.as_bytes());
            let answer = world.deliver_signed(body.as_bytes(), &signed).await;
            check_refused(&world, &id, &answer).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_rotated_at_stripe_without_losing_an_event() {
    let mut world = World::start().await;
    let rotated = format!("/webhook_endpoints/{}/rotate", world.endpoint);
    let newer = world.stripe.control(&rotated, &json!({"overlap": 600})).await;
    let newer = text(&newer, "secret").to_owned();
    // Stripe signs with both, and we know the older one.
    let ada = world.user("ada").await;
    let bought = ada.buys("starter").await;
    world.stripe.pay(&bought.session).await;
    world.credits_once(&ada, &bought, 50).await;
    // Then the newer one, too; and at last that one alone signs.
    let both = format!("{newer},{}", world.secret);
    world.settings[0].environment.push(("STRIPE_WEBHOOK_SECRETS".to_owned(), both));
    world.restart(0).await;
    let bob = world.user("bob").await;
    let bought = bob.buys("starter").await;
    world.stripe.advance(700).await;
    world.stripe.pay(&bought.session).await;
    world.credits_once(&bob, &bought, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn badly_signed_weather_changes_nothing_and_stripe_tries_again() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    for weather in ["bad", "stale", "none"] {
        world.stripe.control("/weather", &json!({"signature": weather})).await;
        let bought = ada.buys("starter").await;
        world.stripe.pay(&bought.session).await;
        world.stripe.control("/settle", &json!({})).await;
        assert_eq!(ada.purchase(&bought.id).await["state"], "open", "{weather}");
        world.stripe.clear("/weather").await;
        // The next try is signed well.
        world.stripe.advance(5).await;
        ada.sees(&bought.id, "credited").await;
    }
    assert_eq!(world.credits("ada").await.len(), 3);
}
