//! Everything at once: events that come five times, late, in any order or not at all, gateways that die,
//! a ledger that is away, a Stripe that fails before and after it has done what was asked. In the end
//! everybody has what they have paid for.

use super::{
    inbox::settled,
    plan::{Kept, Plan},
    user::{Purchase, User},
    wait::until_within,
    world::World,
};
use futures::{StreamExt as _, stream};
use proto::payments::v1::InboxState;
use serde_json::{Value, json};
use std::{collections::BTreeMap, env, time::Duration};
use tests::{
    gateway::Settings,
    stripe_sim::{DECLINED, GOOD, StripeSim, text},
};
use tokio::time::{Instant, sleep};

/// Purchases, unless `STORM_PURCHASES` says how many: 2,000 take minutes.
const PURCHASES: usize = 300;

/// Users who buy at a time.
const AT_ONCE: usize = 16;

/// Gateways killed, and the longest time between two of them.
const KILLS: usize = 20;
const BETWEEN_KILLS_MILLIS_MAX: u64 = 2_000;

/// When the ledger goes away, and for how long.
const BEFORE_OUTAGE: Duration = Duration::from_secs(2);
const OUTAGE: Duration = Duration::from_secs(10);

/// How late an event may come.
const LATE_SECONDS_MAX: i64 = 72 * 3_600;

/// How long a user tries, and everything may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(600);

/// How soon somebody tries again.
const AGAIN: Duration = Duration::from_millis(100);

/// What the gateway asks Stripe for: buyers' own calls don't fail.
const ASKED: [&str; 9] = [
    "/v1/checkout/*",
    "/v1/customers*",
    "/v1/payment_intents*",
    "/v1/charges*",
    "/v1/refunds*",
    "/v1/disputes*",
    "/v1/events*",
    "/v1/prices*",
    "/v1/invoice*",
];

/// What the packages give.
const TOKENS: [(&str, i64); 4] =
    [("starter", 50), ("popular", 110), ("pro", 250), ("creator", 700)];

/// How often each: one call in ten fails before anything is done, one after.
const FAULTS: f64 = 0.1;

fn purchases() -> usize {
    env::var("STORM_PURCHASES").map_or(PURCHASES, |wanted| wanted.parse().expect("a number"))
}

/// Clicks until there is a page to pay on.
async fn click(user: &User, replicas: &[Settings], package: &str, key: &str) -> Purchase {
    let deadline = Instant::now() + PATIENCE;
    let mut last = String::new();
    while Instant::now() < deadline {
        let user = user.at(&replicas[fastrand::usize(..replicas.len())].url());
        match user.clicking(key, &json!({"package": package})).try_send().await {
            Ok(answer) if answer.status < 300 => return Purchase::of(&answer.json()),
            Ok(answer) => {
                // A user who is in order is never told that they aren't.
                let is_passing = answer.status >= 500 || answer.status == 409;
                assert!(is_passing, "{} {}", answer.status, answer.text());
                last = answer.text().into_owned();
            }
            Err(gone) => last = gone,
        }
        sleep(AGAIN).await;
    }
    panic!("{} got no page to pay on: {last}", user.account);
}

/// One purchase of one user: most pay, some twice declined, some never.
async fn buy(world: &World, number: usize) {
    let (account, key) = (format!("user-{number}"), format!("click-{number}"));
    let user = user(world, &account).await;
    let (package, _) = TOKENS[fastrand::usize(..TOKENS.len())];
    let bought = click(&user, &world.settings, package, &key).await;
    if fastrand::u8(..4) == 0 {
        let again = click(&user, &world.settings, package, &key).await;
        assert_eq!(again.id, bought.id, "the same key, the same purchase");
    }
    match fastrand::u8(..10) {
        0 => {}
        1 => {
            let card = world.stripe.card(DECLINED).await;
            world.stripe.confirm(&bought.session, &card).await.expect(402);
            let card = world.stripe.card(GOOD).await;
            world.stripe.confirm(&bought.session, &card).await.expect(200);
        }
        _ => {
            let card = world.stripe.card(GOOD).await;
            world.stripe.confirm(&bought.session, &card).await.expect(200);
        }
    }
}

/// A user of a gateway that may be gone.
async fn user(world: &World, account: &str) -> User {
    until_within(PATIENCE, "a session", async || {
        let tried = world.try_user(account).await;
        if tried.is_err() {
            sleep(AGAIN).await;
        }
        tried
    })
    .await
}

async fn bad_weather(stripe: &StripeSim) {
    let weather = json!({
        "drop": 0.1, "duplicate": 0.5, "copies": 4, "delay": 0.2,
        "delay_seconds": [1, LATE_SECONDS_MAX], "shuffle": true,
    });
    stripe.control("/weather", &weather).await;
    for path in ASKED {
        for when in ["before", "after"] {
            for answer in [json!(500), json!("timeout")] {
                let fault = json!({"path": path, "count": null, "probability": FAULTS / 2.0,
                                   "when": when, "answer": answer});
                stripe.control("/faults", &fault).await;
            }
        }
    }
}

/// The tokens that each account has paid for, by what Stripe alone says.
async fn truth(stripe: &StripeSim) -> BTreeMap<String, (i64, usize)> {
    let mut truth: BTreeMap<String, (i64, usize)> = BTreeMap::new();
    for session in stripe.all("/checkout/sessions").await {
        let account = account(&session);
        let amount = session["amount_subtotal"].as_i64().expect("an amount");
        let tokens = match amount {
            499 => 50,
            999 => 110,
            1_999 => 250,
            4_999 => 700,
            other => panic!("nobody asked for {other}"),
        };
        let paid = truth.entry(account).or_default();
        if text(&session, "payment_status") == "paid" {
            *paid = (paid.0 + tokens, paid.1 + 1);
        }
    }
    truth
}

/// Whose session it is: the account is the only text of this form in it.
fn account(session: &Value) -> String {
    let metadata = session["metadata"].as_object().expect("metadata");
    let named = metadata.values().filter_map(Value::as_str).find(|it| it.starts_with("user-"));
    named.unwrap_or_else(|| panic!("it names its user: {session}")).to_owned()
}

async fn storm(kept: Kept, replicas: usize) {
    let soon = |name| (name, "3".to_owned());
    let settings = ["PAYMENTS_GATEWAY_RECONCILE_SECONDS", "PAYMENTS_GATEWAY_LOOK_AGAIN_SECONDS"];
    let settings = settings.map(soon).to_vec();
    let world = World::with(Plan { kept, replicas, settings, ..Plan::default() }).await;
    let world = &world;
    bad_weather(&world.stripe).await;
    let purchases = purchases();
    let buying = async {
        let buyers = stream::iter(0..purchases);
        buyers.for_each_concurrent(AT_ONCE, |number| buy(world, number)).await;
    };
    let killing = async {
        for kill in 0..KILLS {
            sleep(Duration::from_millis(fastrand::u64(..BETWEEN_KILLS_MILLIS_MAX))).await;
            world.restart(kill % replicas).await;
        }
    };
    let ending = async {
        sleep(BEFORE_OUTAGE).await;
        world.stop_ledger().await;
        sleep(OUTAGE).await;
        world.start_ledger().await;
    };
    tokio::join!(buying, killing, ending);

    // The weather clears; what was held back comes at last, and what was dropped is missed by us.
    world.stripe.clear("/faults").await;
    world.stripe.clear("/weather").await;
    world.stripe.advance(LATE_SECONDS_MAX + 60).await;
    let settle = json!({"timeout_ms": 30_000});
    until_within(PATIENCE, "deliveries", async || {
        let settled = world.stripe.control("/settle", &settle).await;
        if settled["settled"] == true { Ok(()) } else { Err(settled.to_string()) }
    })
    .await;
    check(world, purchases).await;
}

/// Everybody has what they have paid for.
async fn check(world: &World, purchases: usize) {
    let truth = truth(&world.stripe).await;
    assert_eq!(truth.len(), purchases, "everybody began to buy");
    let paid: usize = truth.values().map(|(_, paid)| paid).sum();
    assert!(paid * 10 > purchases * 7, "most have paid: {paid} of {purchases}");
    let rest = until_within(PATIENCE, "everybody's tokens", async || {
        for (account, (tokens, _)) in &truth {
            let posted = world.posted(account).await;
            assert!(posted <= *tokens, "{account} has {posted} tokens and has paid for {tokens}");
            if posted < *tokens {
                return Err(format!("{account} has {posted} tokens and has paid for {tokens}"));
            }
        }
        Ok(())
    });
    rest.await;
    for (account, (tokens, paid)) in &truth {
        let credits = world.credits(account).await;
        assert_eq!(credits.len(), *paid, "{account}: {credits:?}");
        assert_eq!(credits.iter().map(|(_, amount)| amount).sum::<i64>(), *tokens, "{account}");
    }
    for account in truth.keys() {
        let user = user(world, account).await;
        let mut credited = 0;
        for purchase in user.purchases().await {
            let id = text(&purchase, "id");
            let last = user.sees_one_of(id, &["credited", "expired", "failed"]).await;
            credited += usize::from(text(&last, "state") == "credited");
        }
        assert_eq!(credited, truth[account].1, "{account}");
    }
    let arrived = settled(world).await;
    assert!(arrived.len() > paid, "events arrived: {}", arrived.len());
    let parked: Vec<_> = arrived.iter().filter(|event| event.state == InboxState::Parked).collect();
    assert!(parked.is_empty(), "nothing here needs an operator: {parked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_storm_everybody_has_what_they_paid_for_in_a_file() {
    storm(Kept::InAFile, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_storm_everybody_has_what_they_paid_for_in_postgresql() {
    storm(Kept::InPostgres, 2).await;
}
