//! How often a user may buy: so often, whichever replica they ask.

use super::{
    plan::{Catalog, Kept, Plan},
    user::{Purchase, User},
    world::World,
};
use futures::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;
use tests::http::Answer;

/// A catalog in which any amount is another purchase.
fn catalog(per_hour: u32, per_day: u32) -> Catalog {
    Catalog::Own(format!(
        "economy = \"limits\"\ntitle = \"Limits\"\ncurrency = \"usd\"\n\n\
         [[packages]]\nid = \"one\"\nname = \"One\"\ntokens = 10\nprice_minor = 1000\n\n\
         [custom_amount]\nprice_minor_per_token = 100\nmin_tokens = 1\nmax_tokens = 1000\n\n\
         [limits]\npurchases_per_hour = {per_hour}\npurchases_per_day = {per_day}\n"
    ))
}

async fn two_replicas(catalog: Catalog) -> World {
    let plan = Plan { catalog, kept: Kept::InPostgres, replicas: 2, ..Plan::default() };
    World::with(plan).await
}

/// So many different purchases at once, at one replica and the other in turn.
async fn clicks(world: &World, user: &User, amounts: std::ops::Range<usize>) -> Vec<Answer> {
    let click = |amount: usize| {
        let user = user.at(&world.settings[amount % 2].url());
        async move { user.click(&json!({"tokens": amount})).await }
    };
    join_all(amounts.map(click)).await
}

fn check_refusal(answer: &Answer, limit: u64, window_seconds: u64) {
    let problem = answer.refused(429, "purchase_limit");
    assert_eq!(problem["limit"], limit, "{problem}");
    assert_eq!(problem["window_seconds"], window_seconds, "{problem}");
    let after: u64 = answer.header("retry-after").parse().expect("Retry-After in seconds");
    assert!((1..=window_seconds + 1).contains(&after), "{after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_purchases_an_hour_whichever_replica_is_asked() {
    let plan = Plan {
        catalog: Catalog::Shipped("vantage"),
        kept: Kept::InPostgres,
        replicas: 2,
        ..Plan::default()
    };
    let world = World::with(plan).await;
    let ada = world.user("ada").await;
    let answers = clicks(&world, &ada, 1..13).await;
    let made: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 5, "{:?}", answers.iter().map(|it| it.status).collect::<Vec<_>>());
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        check_refusal(answer, 5, 3_600);
    }
    assert_eq!(world.stripe.sessions_naming("ada").await.len(), 5, "the refused cost nothing");

    // What is open is reused all the same, at either replica, and can be paid.
    let first = Purchase::of(&made[0].json());
    let amount = json!({"tokens": ada.purchase(&first.id).await["tokens"]});
    for settings in &world.settings {
        let again = ada.at(&settings.url()).click(&amount).await;
        assert_eq!(Purchase::of(&again.expect(200)).id, first.id);
    }
    world.stripe.pay(&first.session).await;
    ada.sees(&first.id, "credited").await;
    // Neither payment nor another kind of payment makes room; others aren't concerned.
    check_refusal(&ada.click(&json!({"tokens": 99})).await, 5, 3_600);
    check_refusal(&ada.post("/v1/payment-intents", &json!({"tokens": 98})).await, 5, 3_600);
    world.user("bob").await.begins(&json!({"tokens": 99})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_purchases_a_day_whichever_replica_is_asked() {
    let world = two_replicas(catalog(20, 20)).await;
    let ada = world.user("ada").await;
    let mut answers = Vec::new();
    for amounts in [1..13, 13..26] {
        answers.extend(clicks(&world, &ada, amounts).await);
    }
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 20, "{:?}", answers.iter().map(|it| it.status).collect::<Vec<_>>());
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        // In an hour it would be too early still.
        check_refusal(answer, 20, 86_400);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_made_at_one_replica_is_reused_at_the_other() {
    let world = two_replicas(catalog(5, 20)).await;
    let ada = world.user("ada").await;
    let package = json!({"package": "one"});
    let replicas: Vec<User> = world.settings.iter().map(|it| ada.at(&it.url())).collect();
    let clicks = (0..8).map(|number| replicas[number % 2].click(&package));
    let answers = join_all(clicks).await;
    let made = answers.iter().map(|answer| Purchase::of(&answer.json()));
    let made: BTreeSet<String> = made.map(|purchase| purchase.id).collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(world.stripe.sessions_naming("ada").await.len(), 1);
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1, "{:?}", answers.iter().map(|it| it.status).collect::<Vec<_>>());
}
