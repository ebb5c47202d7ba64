//! Payments on the customer's own page: a PaymentIntent instead of Stripe's page.

use super::{plan::PUBLISHABLE_KEY, user::User, world::World};
use serde_json::{Value, json};
use tests::{
    http::Answer,
    stripe_sim::{DECLINED, GOOD, text},
};

/// The intent of an answer: its secret begins with its id.
fn intent(answer: &Value) -> String {
    let secret = text(answer, "client_secret");
    let id = secret.split("_secret_").next().unwrap_or_default();
    assert!(id.starts_with("pi_"), "a secret of an intent: {answer}");
    id.to_owned()
}

/// What Stripe's script does on the page: it has no more than the secret and the publishable key.
async fn confirm(world: &World, answer: &Value, card: &str) -> Answer {
    let method = world.stripe.card(card).await;
    let path = format!("{}/v1/payment_intents/{}/confirm", world.stripe.url(), intent(answer));
    let form = [("client_secret", text(answer, "client_secret")), ("payment_method", &method)];
    world.http.post(&path).bearer(PUBLISHABLE_KEY).form(&form).send().await
}

async fn begin(user: &User, package: &str) -> Value {
    let answer = user.post("/v1/payment-intents", &json!({"package": package})).await.expect(201);
    assert_eq!(text(&answer, "publishable_key"), PUBLISHABLE_KEY);
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_intent_that_succeeds_is_credited() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let answer = begin(&ada, "pro").await;
    let purchase = text(&answer["purchase"], "id").to_owned();
    let made = world.stripe.get(&format!("/payment_intents/{}", intent(&answer))).await;
    assert_eq!((&made["amount"], &made["currency"]), (&json!(1_999), &json!("usd")));
    assert!(made["metadata"].to_string().contains(&purchase), "{made}");

    confirm(&world, &answer, DECLINED).await.expect(402);
    world.stripe.control("/settle", &json!({})).await;
    super::inbox::settled(&world).await;
    let state = ada.purchase(&purchase).await;
    assert!(["open", "failed"].contains(&text(&state, "state")), "{state}");
    assert_eq!(world.posted("ada").await, 0);

    // The same intent, another card.
    confirm(&world, &answer, GOOD).await.expect(200);
    let credited = ada.sees(&purchase, "credited").await;
    assert_eq!(world.credits("ada").await, [(format!("purchase/{purchase}"), 250)]);
    assert_eq!(credited["paid"], json!({"minor": 1_999, "currency": "usd"}));
    assert!(!text(&credited, "receipt_url").is_empty(), "{credited}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_comes_again_gives_the_same_intent() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let asking = || ada.ask("POST", "/v1/payment-intents").header("idempotency-key", "page-1");
    let first = asking().json(&json!({"package": "pro"})).send().await.expect(201);
    let again = asking().json(&json!({"package": "pro"})).send().await;
    assert!(again.status < 300, "{}", again.text());
    assert_eq!(again.json()["purchase"]["id"], first["purchase"]["id"]);
    assert_eq!(again.json()["client_secret"], first["client_secret"]);
    let other = asking().json(&json!({"package": "starter"})).send().await;
    other.refused(409, "idempotency_key_reused");
    let intents = world.stripe.all("/payment_intents").await;
    assert_eq!(intents.len(), 1, "{intents:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_told_to_nobody_but_its_buyer() {
    let world = World::start().await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let answer = begin(&ada, "pro").await;
    let secret = text(&answer, "client_secret");
    let path = format!("/v1/purchases/{}", text(&answer["purchase"], "id"));
    bob.get(&path).await.refused(404, "not_found");
    for path in ["/v1/purchases", "/v1/transactions", "/v1/stats", "/v1/balance"] {
        assert!(!bob.get(path).await.text().contains(secret), "{path}");
    }
    let mine = begin(&bob, "pro").await;
    assert_ne!(intent(&mine), intent(&answer));
}
