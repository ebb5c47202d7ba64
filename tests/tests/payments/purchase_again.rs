//! Clicks that come again: one purchase, one session, however often and however many at once.

use super::{
    user::{Purchase, User},
    world::World,
};
use futures::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;
use tests::stripe_sim::text;

/// Clicks at once.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_click_leads_to_the_session_that_is_open() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let package = json!({"package": "popular"});
    let first = Purchase::of(&ada.click(&package).await.expect(201));
    let second = Purchase::of(&ada.click(&package).await.expect(200));
    assert_eq!(second, first);
    assert_eq!(world.stripe.sessions_naming("ada").await.len(), 1);
    // Something else is another purchase, and somebody else's click too.
    let other = ada.buys("starter").await;
    let bobs = world.user("bob").await.buys("popular").await;
    assert_eq!(BTreeSet::from([&first.id, &other.id, &bobs.id]).len(), 3);
    let again = Purchase::of(&ada.click(&package).await.expect(200));
    assert_eq!(again, first, "whatever else is open");

    // What is paid isn't open any more.
    world.stripe.pay(&first.session).await;
    ada.sees(&first.id, "credited").await;
    let third = ada.buys("popular").await;
    assert_ne!(third.id, first.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clicks_at_once_make_one_session() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let package = json!({"package": "popular"});
    let answers = join_all((0..AT_ONCE).map(|_| ada.click(&package))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1, "{:?}", statuses(&answers));
    let purchases: BTreeSet<String> = answers
        .iter()
        .map(|answer| Purchase::of(&answer.expect(if answer.status == 201 { 201 } else { 200 })).id)
        .collect();
    assert_eq!(purchases.len(), 1, "{purchases:?}");
    assert_eq!(world.stripe.sessions_naming("ada").await.len(), 1);
    assert!(customers(&world, "ada").await <= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_comes_again_gives_the_same_purchase_whatever_has_become_of_it() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let package = json!({"package": "popular"});
    let first = Purchase::of(&ada.click_with("click-1", &package).await.expect(201));
    let again = ada.click_with("click-1", &package).await;
    assert!(again.status < 300, "{}", again.text());
    assert_eq!(Purchase::of(&again.json()), first);

    world.stripe.pay(&first.session).await;
    world.credits_once(&ada, &first, 110).await;
    let again = ada.click_with("click-1", &package).await;
    assert!(again.status < 300, "{}", again.text());
    assert_eq!(text(&again.json()["purchase"], "id"), first.id, "not another one, not even now");
    assert_eq!(world.stripe.sessions_naming("ada").await.len(), 1);

    // Another body with the same key is a mistake, and is told so.
    let other = json!({"package": "starter"});
    ada.click_with("click-1", &other).await.refused(409, "idempotency_key_reused");
    // Another's key is another's.
    let bob = world.user("bob").await;
    let bobs = Purchase::of(&bob.click_with("click-1", &other).await.expect(201));
    assert_ne!(bobs.id, first.id);
    // The same body with another key, once the first is paid, is another purchase.
    let second = Purchase::of(&ada.click_with("click-2", &package).await.expect(201));
    assert_ne!(second.id, first.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_at_once_makes_one_purchase() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let package = json!({"package": "pro"});
    let answers = join_all((0..AT_ONCE).map(|_| ada.click_with("one-key", &package))).await;
    let good: Vec<_> = answers.iter().filter(|answer| answer.status < 300).collect();
    assert!(!good.is_empty(), "{:?}", statuses(&answers));
    let purchases: BTreeSet<String> = good.iter().map(|it| Purchase::of(&it.json()).id).collect();
    assert_eq!(purchases.len(), 1, "{purchases:?}");
    // Whoever comes too early may be told to come again, and nothing worse.
    let others = statuses(&answers).into_iter().filter(|it| ![200, 201, 409, 503].contains(it));
    assert_eq!(others.count(), 0, "{:?}", statuses(&answers));
    assert_eq!(world.stripe.sessions_naming("ada").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_isnt_one_is_refused() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let package = json!({"package": "pro"});
    let long = "k".repeat(256);
    for key in ["", long.as_str(), "with space"] {
        ada.click_with(key, &package).await.refused(400, "invalid_request");
    }
    ada.click_with(&"k".repeat(255), &package).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_is_known_again() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    buy(&world, &ada, "starter").await;
    buy(&world, &ada, "popular").await;
    let sessions = world.stripe.sessions_naming("ada").await;
    let known: BTreeSet<_> = sessions.iter().map(|session| text(session, "customer")).collect();
    assert_eq!((sessions.len(), known.len()), (2, 1), "{known:?}");
    assert_eq!(customers(&world, "ada").await, 1);
}

async fn buy(world: &World, user: &User, package: &str) {
    let bought = user.buys(package).await;
    world.stripe.pay(&bought.session).await;
    user.sees(&bought.id, "credited").await;
}

/// How many customers Stripe has by this name.
async fn customers(world: &World, name: &str) -> usize {
    let customers = world.stripe.all("/customers").await;
    customers.iter().filter(|customer| customer.to_string().contains(name)).count()
}

fn statuses(answers: &[tests::http::Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}
