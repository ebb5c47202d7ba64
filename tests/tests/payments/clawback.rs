//! Money goes back, and with it tokens: as many as Stripe's facts say in the end, whatever order they are
//! told in, however often, to whichever replica, and whoever dies in between.

use super::{
    plan::{Kept, Plan},
    user::{Purchase, User},
    wait::until_within,
    world::World,
};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use std::{
    env,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tests::stripe_sim::{StripeSim, text};
use tokio::time::sleep;

/// What a purchase costs and gives.
const PAID: i64 = 499;
const TOKENS: i64 = 50;

/// Events of a purchase, and the orders that there are.
const EVENTS: usize = 6;
const ORDERS: usize = 720;

/// Purchases under way at a time.
const AT_ONCE: usize = 8;

/// Gateways killed meanwhile, and the longest time between two of them.
const KILLS: usize = 20;
const BETWEEN_KILLS_MILLIS_MAX: u64 = 1_500;

/// How long everything may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often something is tried that may be away.
const AGAIN: Duration = Duration::from_millis(20);

/// What becomes of one purchase.
#[derive(Clone, Debug)]
struct Story {
    number: usize,
    first_refund: i64,
    /// Fails in the end.
    second_refund: i64,
    disputed: i64,
    is_won: bool,
}

impl Story {
    fn new(number: usize) -> Self {
        Self {
            number,
            first_refund: fastrand::i64(1..300),
            second_refund: fastrand::i64(1..199),
            disputed: fastrand::i64(1..=PAID),
            is_won: number.is_multiple_of(2),
        }
    }

    /// What is to be taken back in the end, by the words of the product alone.
    fn target(&self) -> i64 {
        let disputed = if self.is_won { 0 } else { self.disputed };
        let returned = (self.first_refund + disputed).min(PAID);
        if returned == PAID { TOKENS } else { TOKENS * returned / PAID }
    }

    /// The facts come about at Stripe, and their events: six, in the order of the facts.
    async fn happens(&self, stripe: &StripeSim, bought: &Purchase) -> Vec<Value> {
        let session = stripe.get(&format!("/checkout/sessions/{}", bought.session)).await;
        let intent = text(&session, "payment_intent");
        let mut refunds = Vec::new();
        for amount in [self.first_refund, self.second_refund] {
            let params = [("payment_intent", intent), ("amount", &amount.to_string())];
            refunds.push(stripe.post("/refunds", &params).await);
        }
        let failed = format!("/refunds/{}", text(&refunds[1], "id"));
        stripe.control(&failed, &json!({"status": "failed"})).await;
        let dispute = json!({"payment_intent": intent, "amount": self.disputed});
        let dispute = stripe.control("/disputes", &dispute).await;
        let outcome = if self.is_won { "won" } else { "lost" };
        let dispute = text(&dispute, "id");
        stripe.control(&format!("/disputes/{dispute}"), &json!({"status": outcome})).await;
        let kinds = [
            "refund.created",
            "refund.failed",
            "charge.dispute.created",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.closed",
        ];
        let events = stripe.last_events(EVENTS, &kinds, intent).await;
        assert_eq!(events.len(), EVENTS, "{events:?}");
        events
    }
}

/// The order with this number, of all the orders in which so many things can stand.
fn order(mut number: usize, things: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..things).collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let choices = left.len();
        order.push(left.remove(number % choices));
        number /= choices;
    }
    order
}

#[test]
fn all_orders_are_different() {
    let orders: std::collections::BTreeSet<_> = (0..ORDERS).map(|it| order(it, EVENTS)).collect();
    assert_eq!(orders.len(), ORDERS);
}

/// Delivers an event to a replica, until one of them takes it.
async fn deliver(world: &World, event: &Value) {
    let body = event.to_string();
    let mut replica = fastrand::usize(..world.settings.len());
    loop {
        let signed = tests::stripe_sim::signature(&world.secret, body.as_bytes());
        let url = format!("{}/webhooks/stripe", world.settings[replica].url());
        let request = world.http.post(&url).header("stripe-signature", &signed);
        match request.body(body.clone()).try_send().await {
            Ok(answer) if answer.status == 200 => return,
            Ok(answer) => assert!(answer.status >= 500, "{} {}", answer.status, answer.text()),
            Err(_) => sleep(AGAIN).await,
        }
        replica = (replica + 1) % world.settings.len();
    }
}

/// Tells a story in its order, each event at least once.
async fn tell(world: &World, story: &Story, user: &User, bought: &Purchase) {
    let kinds = ["checkout.session.completed"];
    let session = world.stripe.last_events(1, &kinds, &bought.id).await.remove(0);
    // Half of them are credited before anything goes back; of the others the first event to come is
    // about money that goes back, and the payment itself is told of last.
    let credited_first = story.number % 4 < 2;
    if credited_first {
        deliver(world, &session).await;
        until_within(PATIENCE, "the credit", async || {
            match world.credits(&user.account).await.as_slice() {
                [_] => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
    let events = story.happens(&world.stripe, bought).await;
    let mut told = Vec::new();
    for which in order(story.number, EVENTS) {
        told.push(which);
        // Two at once, to one replica each or to one: the next one, and one that came before.
        let again = told[fastrand::usize(..told.len())];
        tokio::join!(deliver(world, &events[which]), deliver(world, &events[again]));
    }
    deliver(world, &session).await;
}

/// Somebody has paid, of which nobody was told.
async fn buy(world: &World, number: usize) -> (Story, User, Purchase) {
    let user = world.user(&format!("user-{number}")).await;
    let bought = user.buys("starter").await;
    world.stripe.pay(&bought.session).await;
    (Story::new(number), user, bought)
}

/// Waits until so many tokens are left.
async fn check(world: &World, story: &Story, user: &User, bought: &Purchase) {
    let left = TOKENS - story.target();
    let credits = [(format!("purchase/{}", bought.id), TOKENS)];
    until_within(PATIENCE, &format!("{left} tokens after {story:?}"), async || {
        let credited = world.credits(&user.account).await;
        let posted = world.posted(&user.account).await;
        if credited == credits && posted == left {
            Ok(())
        } else {
            Err(format!("{credited:?}, {posted} tokens left"))
        }
    })
    .await;
    let state = match story.target() {
        0 => "credited",
        TOKENS => "reversed",
        _ => "partly_reversed",
    };
    let purchase = user.sees(&bought.id, state).await;
    assert_eq!(purchase["reversed_tokens"], story.target(), "{story:?}: {purchase}");
}

/// So many of the orders, spread over all of them; every one, unless told.
fn numbers() -> Vec<usize> {
    let wanted = env::var("CLAWBACK_ORDERS").ok().map(|it| it.parse().expect("a number"));
    let wanted: usize = wanted.unwrap_or(ORDERS);
    (0..wanted).map(|number| number * ORDERS / wanted).collect()
}

async fn tell_all(world: &World) {
    stream::iter(numbers())
        .for_each_concurrent(AT_ONCE, |number| async move {
            let (story, user, bought) = buy(world, number).await;
            tell(world, &story, &user, &bought).await;
            check(world, &story, &user, &bought).await;
        })
        .await;
    super::inbox::settled(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_whatever_order_it_is_told_the_tokens_taken_back_are_those_of_the_facts() {
    let world = World::with(Plan { kept: Kept::InPostgres, replicas: 2, ..Plan::default() }).await;
    world.stripe.keep_webhooks().await;
    tell_all(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_killed_meanwhile_take_back_no_more_and_no_less() {
    let world = World::with(Plan { kept: Kept::InPostgres, replicas: 2, ..Plan::default() }).await;
    world.stripe.keep_webhooks().await;
    let mut bought = Vec::new();
    for number in numbers().into_iter().step_by(6) {
        bought.push(buy(&world, number).await);
    }
    let world = &world;
    let is_told = AtomicBool::new(false);
    let telling = async {
        stream::iter(&bought)
            .for_each_concurrent(AT_ONCE, |(story, user, bought)| async move {
                tell(world, story, user, bought).await;
            })
            .await;
        is_told.store(true, Ordering::Relaxed);
    };
    let killing = async {
        let mut kills = 0;
        while kills < KILLS || !is_told.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(fastrand::u64(..BETWEEN_KILLS_MILLIS_MAX))).await;
            world.restart(kills % world.settings.len()).await;
            kills += 1;
        }
        println!("{kills} gateways killed");
    };
    tokio::join!(telling, killing);
    stream::iter(&bought)
        .for_each_concurrent(AT_ONCE, |(story, user, bought)| check(world, story, user, bought))
        .await;
    super::inbox::settled(world).await;
}
