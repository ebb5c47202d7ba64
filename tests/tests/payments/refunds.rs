//! Money that goes back, one case each: what was spent, what comes back after all, what a bank only asks.

use super::{inbox::settled, wait::until, world::World};
use serde_json::json;
use tests::stripe_sim::{REFUNDS_FAIL, text};

/// What a purchase gives.
const TOKENS: i64 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_spent_already_become_a_debt_that_the_next_purchase_pays() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let bought = ada.buys("starter").await;
    let session = world.stripe.pay(&bought.session).await;
    world.credits_once(&ada, &bought, TOKENS).await;
    world.spend("ada", 40).await;
    let intent = text(&session, "payment_intent").to_owned();
    world.stripe.post("/refunds", &[("payment_intent", &intent)]).await;
    ada.sees(&bought.id, "reversed").await;
    assert_eq!((world.posted("ada").await, ada.balance().await), (-40, -40));
    let next = ada.buys("popular").await;
    world.stripe.pay(&next.session).await;
    ada.sees(&next.id, "credited").await;
    assert_eq!(ada.balance().await, 70);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_fails_days_later_gives_the_tokens_back() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let bought = ada.buys("starter").await;
    let card = world.stripe.card(REFUNDS_FAIL).await;
    world.stripe.confirm(&bought.session, &card).await.expect(200);
    world.credits_once(&ada, &bought, TOKENS).await;
    let session = world.stripe.get(&format!("/checkout/sessions/{}", bought.session)).await;
    world.stripe.post("/refunds", &[("payment_intent", text(&session, "payment_intent"))]).await;
    ada.sees(&bought.id, "reversed").await;
    assert_eq!(world.posted("ada").await, 0);
    world.stripe.advance(2 * 86_400).await;
    ada.sees(&bought.id, "credited").await;
    assert_eq!(world.posted("ada").await, TOKENS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inquiry_takes_nothing_back() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let bought = ada.buys("starter").await;
    let session = world.stripe.pay(&bought.session).await;
    world.credits_once(&ada, &bought, TOKENS).await;
    let inquiry = json!({"payment_intent": session["payment_intent"], "inquiry": true});
    let dispute = world.stripe.control("/disputes", &inquiry).await;
    world.stripe.control("/settle", &json!({})).await;
    settled(&world).await;
    assert_eq!(world.posted("ada").await, TOKENS);
    // The bank makes up its mind.
    let path = format!("/disputes/{}", text(&dispute, "id"));
    world.stripe.control(&path, &json!({"status": "needs_response"})).await;
    ada.sees(&bought.id, "reversed").await;
    assert_eq!(world.posted("ada").await, 0);
}

/// Two workers look at one payment; the one that looked first, before the second refund, writes last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_seen_before_never_overwrites_what_was_seen_after_it() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let bought = ada.buys("starter").await;
    let session = world.stripe.pay(&bought.session).await;
    world.credits_once(&ada, &bought, TOKENS).await;
    settled(&world).await;
    world.stripe.keep_webhooks().await;
    let intent = text(&session, "payment_intent");
    let refund = async |amount| {
        let params = [("payment_intent", intent), ("amount", amount)];
        let refund = world.stripe.post("/refunds", &params).await;
        let named = text(&refund, "id").to_owned();
        world.stripe.events(&["refund.created"], &named).await.remove(0)
    };
    let first = refund("100").await;
    // Whoever looks now knows of one refund, and waits for the disputes.
    let slow = json!({"method": "GET", "path": "/v1/disputes", "count": 1, "latency_ms": 4_000});
    world.stripe.control("/faults", &slow).await;
    world.deliver(&first).await;
    until("somebody waits for the disputes", async || {
        let faults = world.http.get(&format!("{}/_sim/faults", world.stripe.url())).send().await;
        match faults.expect(200)["data"].as_array().map(Vec::as_slice) {
            Some([]) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let second = refund("200").await;
    world.deliver(&second).await;
    // Of 50 tokens for 499: 100 are 10, and 300 are 30.
    until("both refunds are known", async || match world.posted("ada").await {
        20 => Ok(()),
        other => Err(format!("{other} tokens")),
    })
    .await;
    let arrived = settled(&world).await;
    assert_eq!(world.posted("ada").await, TOKENS - 30, "{arrived:?}");
}
