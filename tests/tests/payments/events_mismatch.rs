//! Payments that don't agree with what was quoted: nothing is credited until an operator says so. And
//! those that agree although nothing is due.

use super::{
    events::foreign_session,
    inbox::{end_of, settled},
    plan::{Plan, Ways},
    user::{Purchase, User},
    world::World,
};
use tests::{
    http::Http,
    stripe_sim::{StripeSim, text},
};

/// Changes to what Stripe says of a session, its lines and its intent: each is one lie.
const LIES: [(&str, &str, &str); 5] = [
    ("subtotal", "\"amount_subtotal\": 499", "\"amount_subtotal\": 498"),
    ("price", "\"unit_amount\": 499", "\"unit_amount\": 498"),
    ("number", "\"quantity\": 1", "\"quantity\": 2"),
    ("currency", "\"currency\": \"usd\"", "\"currency\": \"cad\""),
    ("mode", "\"livemode\": false", "\"livemode\": true "),
];

async fn paid(world: &World, account: &str) -> (User, Purchase) {
    let user = world.user(account).await;
    let bought = user.buys("starter").await;
    world.stripe.pay(&bought.session).await;
    (user, bought)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_doesnt_agree_with_the_quote_is_a_mismatch_and_credits_nothing() {
    let world = World::with(Plan { ways: Ways::Intercepted, ..Plan::default() }).await;
    world.stripe.keep_webhooks().await;
    for (name, from, to) in LIES {
        let (user, bought) = paid(&world, name).await;
        let event =
            world.stripe.events(&["checkout.session.completed"], &bought.id).await.remove(0);
        world.interceptor.change("/v1/checkout/sessions", from, to);
        world.deliver(&event).await;
        let end = end_of(&world, text(&event, "id")).await;
        assert!(!end.reason.is_empty(), "{end:?}");
        let after = user.sees_one_of(&bought.id, &["mismatch", "credited"]).await;
        assert_eq!(after["state"], "mismatch", "{name}: {after}");
        // Neither another event of it nor time changes that: an operator does.
        world.interceptor.change_nothing();
        let event = world.stripe.events(&["charge.succeeded"], &bought.id).await.remove(0);
        world.deliver(&event).await;
        end_of(&world, text(&event, "id")).await;
        assert_eq!(user.purchase(&bought.id).await["state"], "mismatch", "{name}");
        assert!(world.credits(name).await.is_empty(), "{name}");
        assert_eq!(user.balance().await, 0);
    }
    let (user, bought) = paid(&world, "truth").await;
    let event = world.stripe.events(&["checkout.session.completed"], &bought.id).await.remove(0);
    world.deliver(&event).await;
    world.credits_once(&user, &bought, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cheap_session_that_names_a_dear_purchase_credits_nothing() {
    let world = World::start().await;
    for (account, price, currency) in
        [("cheap", "50", "usd"), ("same", "499", "usd"), ("elsewhere", "499", "eur")]
    {
        let user = world.user(account).await;
        let bought = user.buys("starter").await;
        let ours = world.stripe.get(&format!("/checkout/sessions/{}", bought.session)).await;
        let foreign = foreign_session(&world.stripe, &ours, price, currency).await;
        world.stripe.pay(text(&foreign, "id")).await;
        world.stripe.control("/settle", &serde_json::json!({})).await;
        let arrived = settled(&world).await;
        assert!(arrived.iter().any(|event| event.kind == "checkout.session.completed"));
        assert_eq!(world.posted(account).await, 0, "{account}");
    }
}

/// A Stripe with a code that takes everything off, and one that takes half; the codes' ids.
async fn with_codes() -> (StripeSim, [String; 3]) {
    let stripe = StripeSim::start().await;
    let mut ids = Vec::new();
    for (code, percent) in [("OURS100", "100"), ("OURS50", "50"), ("THEIRS100", "100")] {
        let coupon = [("percent_off", percent), ("duration", "once")];
        let coupon = stripe.post("/coupons", &coupon).await;
        let params = [
            ("promotion[type]", "coupon"),
            ("promotion[coupon]", text(&coupon, "id")),
            ("code", code),
        ];
        ids.push(text(&stripe.post("/promotion_codes", &params).await, "id").to_owned());
    }
    (stripe, ids.try_into().expect("three"))
}

/// Types a code on the page, and completes the order.
async fn pay_with_code(stripe: &StripeSim, bought: &Purchase, code: &str) {
    let page = format!("{}/c/pay/{}", stripe.url(), bought.session);
    let typed =
        Http::default().post(&format!("{page}/promotion")).form(&[("code", code)]).send().await;
    assert!(typed.status < 400, "{}", typed.text());
    let session = stripe.get(&format!("/checkout/sessions/{}", bought.session)).await;
    if session["amount_total"] == 0 {
        let path = format!("/payment_pages/{}/confirm", bought.session);
        stripe.post(&path, &[]).await;
    } else {
        stripe.pay(&bought.session).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_due_by_our_own_promotion_is_credited_and_by_another_isnt() {
    let (stripe, [all_off, half_off, _]) = with_codes().await;
    let settings = vec![("STRIPE_PROMOTION_CODES", format!("{all_off},{half_off}"))];
    let world = World::with(Plan { stripe: Some(stripe), settings, ..Plan::default() }).await;
    for (account, code, paid) in [("ada", "OURS100", 0), ("bob", "OURS50", 249)] {
        let user = world.user(account).await;
        let bought = user.buys("starter").await;
        pay_with_code(&world.stripe, &bought, code).await;
        let credited = world.credits_once(&user, &bought, 50).await;
        let minor = credited["paid"]["minor"].as_i64().expect("money");
        assert!((paid..=paid + 1).contains(&minor), "{credited}");
    }
    let eve = world.user("eve").await;
    let bought = eve.buys("starter").await;
    pay_with_code(&world.stripe, &bought, "THEIRS100").await;
    let after = eve.sees_one_of(&bought.id, &["mismatch", "credited"]).await;
    assert_eq!(after["state"], "mismatch", "{after}");
    settled(&world).await;
    assert!(world.credits("eve").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_promotions_of_ours_nobody_is_asked_for_a_code() {
    let (stripe, _) = with_codes().await;
    let world = World::with(Plan { stripe: Some(stripe), ..Plan::default() }).await;
    let bought = world.user("ada").await.buys("starter").await;
    let session = world.stripe.get(&format!("/checkout/sessions/{}", bought.session)).await;
    assert_ne!(session["allow_promotion_codes"], true, "{session}");
}
