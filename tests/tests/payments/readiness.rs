//! Whether it can be relied upon just now: it says so itself, and what it can't do it refuses in time.

use super::{plan::Plan, wait::until, world::World};
use serde_json::json;

/// Waits until it is ready, or isn't.
async fn becomes(world: &World, status: u16) {
    until(&format!("readiness to be {status}"), async || {
        let answer = world.http.get(&world.at("/readyz")).send().await;
        if answer.status == status { Ok(()) } else { Err(answer.text().into_owned()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_ready_while_the_ledger_is_there() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    becomes(&world, 200).await;
    world.stop_ledger().await;
    becomes(&world, 503).await;
    world.http.get(&world.at("/livez")).send().await.expect(200);
    let answer = ada.get("/v1/balance").await;
    answer.refused(503, "unavailable");
    assert!(!answer.header("retry-after").is_empty(), "{:?}", answer.headers);
    // What needs no ledger goes on: Stripe is answered, and whoever wants to buy may.
    let bought = ada.buys("starter").await;
    world.stripe.pay(&bought.session).await;
    assert_eq!(world.stripe.control("/settle", &json!({})).await["settled"], true);
    world.start_ledger().await;
    becomes(&world, 200).await;
    world.credits_once(&ada, &bought, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_isnt_ready_while_the_ledger_has_another_catalog() {
    let settings = vec![("PAYMENTS_GATEWAY_CATALOG", "vantage".to_owned())];
    let world = World::with(Plan { settings, ..Plan::default() }).await;
    becomes(&world, 503).await;
    world.http.get(&world.at("/livez")).send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stripe_that_is_away_is_told_as_such_and_nothing_is_left_behind() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    for answer in [json!(500), json!("timeout"), json!(429)] {
        let fault = json!({"path": "/v1/*", "count": null, "answer": answer});
        world.stripe.control("/faults", &fault).await;
        let refused = ada.click_with("once", &json!({"package": "pro"})).await;
        assert!([502, 503, 504].contains(&refused.status), "{}", refused.text());
        world.stripe.clear("/faults").await;
    }
    // The breaker may be open for some seconds; then the same click goes through.
    until("Stripe to be asked again", async || {
        let answer = ada.click_with("once", &json!({"package": "pro"})).await;
        if answer.status < 300 { Ok(()) } else { Err(answer.text().into_owned()) }
    })
    .await;
    assert_eq!(world.stripe.sessions_naming("ada").await.len(), 1);
    assert_eq!(ada.purchases().await.len(), 1);
}
