//! The gateway dies at every exchange with Stripe and with the ledger, before it is heard, before it is
//! told, and just after. Whoever clicks again gets a page, and pays for what they get, once.

use super::{
    plan::{Plan, Ways},
    user::{Purchase, User},
    wait::until,
    world::World,
};
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};
use tests::{interceptor::Moment, stripe_sim::text};

/// When it dies, at one exchange after the other.
const MOMENTS: [Moment; 5] = [
    Moment::Asked,
    Moment::Done,
    Moment::Told(Duration::ZERO),
    Moment::Told(Duration::from_millis(1)),
    Moment::Told(Duration::from_millis(3)),
];

/// Far more exchanges than there are.
const EXCHANGES_MAX: usize = 60;

const TOKENS: i64 = 50;

async fn start() -> World {
    World::with(Plan { ways: Ways::Intercepted, ..Plan::default() }).await
}

/// Clicks until there is a page to pay on.
async fn click(user: &User, key: Option<&str>) -> Purchase {
    let package = json!({"package": "starter"});
    until("a page to pay on", async || {
        let asking = user.ask("POST", "/v1/checkout/sessions").json(&package);
        let asking = match key {
            Some(key) => asking.header("idempotency-key", key),
            None => asking,
        };
        let answer = asking.try_send().await?;
        if answer.status < 300 {
            return Ok(Purchase::of(&answer.json()));
        }
        // Somebody who comes back isn't told that they did something wrong.
        assert!(answer.status >= 500 || answer.status == 409, "{}", answer.text());
        Err(answer.text().into_owned())
    })
    .await
}

/// Clicks; the gateway dies at the exchange with this number, if there are so many. At which.
async fn die_while_clicking(
    world: &World,
    user: &User,
    number: usize,
    moment: Moment,
) -> Option<String> {
    world.interceptor.arm(number, moment, world.killer(0).await);
    let package = json!({"package": "starter"});
    let answer = user.clicking("click", &package).try_send().await;
    let hit = world.interceptor.disarm();
    if hit.is_some() {
        world.gone(0).await;
        world.restart(0).await;
    } else {
        answer.expect("nobody died").expect(201);
    }
    hit
}

/// Of each purchase one session at most can be paid; pays them all. How many.
async fn pay_all(world: &World, user: &User) -> usize {
    let purchases = user.purchases().await;
    let sessions = world.stripe.sessions_naming(&user.account).await;
    for purchase in &purchases {
        let id = text(purchase, "id");
        let of = sessions.iter().filter(|session| session.to_string().contains(id));
        let open: Vec<_> = of.filter(|session| session["status"] == "open").collect();
        assert!(open.len() <= 1, "{id}: {open:?}");
    }
    let open: Vec<_> = sessions.iter().filter(|session| session["status"] == "open").collect();
    assert!(!open.is_empty(), "{purchases:?}");
    for session in &open {
        world.stripe.pay(text(session, "id")).await;
    }
    open.len()
}

/// So many purchases are credited, each once.
async fn check_credited(world: &World, user: &User, paid: usize) {
    let tokens = TOKENS * i64::try_from(paid).expect("few");
    until(&format!("{tokens} tokens of {}", user.account), async || {
        let posted = world.posted(&user.account).await;
        assert!(posted <= tokens, "{} has {posted} tokens", user.account);
        if posted == tokens { Ok(()) } else { Err(format!("{posted}")) }
    })
    .await;
    assert_eq!(world.credits(&user.account).await.len(), paid);
    for purchase in user.purchases().await {
        let last =
            user.sees_one_of(text(&purchase, "id"), &["credited", "expired", "failed"]).await;
        assert!(!text(&last, "state").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_clicks_again_after_a_crash_gets_one_page_to_pay_on() {
    let world = start().await;
    let (mut hits, mut users) = (BTreeSet::new(), Vec::new());
    for (round, moment) in MOMENTS.into_iter().enumerate() {
        for number in 0.. {
            assert!(number < EXCHANGES_MAX, "a click has an end: {hits:?}");
            let user = world.user(&format!("click-{round}-{number}")).await;
            let Some(hit) = die_while_clicking(&world, &user, number, moment).await else { break };
            println!("{moment:?} {number}: {hit}");
            hits.insert(hit);
            // With the same key, and once without; in either order.
            let (keyed, bare) = if number % 2 == 0 {
                let keyed = click(&user, Some("click")).await;
                (keyed, click(&user, None).await)
            } else {
                let bare = click(&user, None).await;
                (click(&user, Some("click")).await, bare)
            };
            let again = click(&user, Some("click")).await;
            assert_eq!(again, keyed, "{moment:?} at {number}");
            if number % 2 == 0 {
                assert_eq!(bare, keyed, "{moment:?} at {number}: what is open is reused");
            }
            let paid = pay_all(&world, &user).await;
            users.push((user, paid));
        }
    }
    assert!(hits.iter().any(|hit| hit.starts_with("POST /v1/checkout/sessions")), "{hits:?}");
    assert!(users.len() >= 2 * MOMENTS.len(), "{hits:?}");
    for (user, paid) in &users {
        check_credited(&world, user, *paid).await;
    }
    super::inbox::settled(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_paid_is_credited_once_wherever_the_worker_dies() {
    let world = start().await;
    let (mut hits, mut bought) = (BTreeSet::new(), Vec::new());
    for (round, moment) in MOMENTS.into_iter().enumerate() {
        for number in 0.. {
            assert!(number < EXCHANGES_MAX, "work has an end: {hits:?}");
            let user = world.user(&format!("work-{round}-{number}")).await;
            let purchase = user.buys("starter").await;
            world.interceptor.arm(number, moment, world.killer(0).await);
            world.stripe.pay(&purchase.session).await;
            let hit = until("the gateway's end, or its work's", async || {
                if let Some(hit) = world.interceptor.hit() {
                    return Ok(Some(hit));
                }
                match world.posted(&user.account).await {
                    TOKENS => Ok(None),
                    posted => Err(format!("{posted} tokens")),
                }
            })
            .await;
            let hit = hit.or(world.interceptor.disarm());
            bought.push((user, purchase));
            let Some(hit) = hit else { break };
            println!("{moment:?} {number}: {hit}");
            world.gone(0).await;
            world.restart(0).await;
            hits.insert(hit);
        }
    }
    assert!(hits.contains("a call of the ledger"), "{hits:?}");
    assert!(hits.iter().any(|hit| hit.starts_with("GET /v1/")), "{hits:?}");
    // Stripe tries again what nobody answered.
    world.stripe.advance(5).await;
    for (user, purchase) in &bought {
        world.credits_once(user, purchase, TOKENS).await;
        assert_eq!(world.posted(&user.account).await, TOKENS);
    }
    super::inbox::settled(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_taken_back_once_wherever_the_worker_dies() {
    let world = start().await;
    let (mut hits, mut bought) = (BTreeSet::new(), Vec::new());
    for (round, moment) in MOMENTS.into_iter().enumerate() {
        for number in 0.. {
            assert!(number < EXCHANGES_MAX, "work has an end: {hits:?}");
            let user = world.user(&format!("back-{round}-{number}")).await;
            let purchase = user.buys("starter").await;
            let session = world.stripe.pay(&purchase.session).await;
            world.credits_once(&user, &purchase, TOKENS).await;
            world.interceptor.arm(number, moment, world.killer(0).await);
            let refund = [("payment_intent", text(&session, "payment_intent")), ("amount", "250")];
            world.stripe.post("/refunds", &refund).await;
            let hit = until("the gateway's end, or its work's", async || {
                if let Some(hit) = world.interceptor.hit() {
                    return Ok(Some(hit));
                }
                match world.posted(&user.account).await {
                    25 => Ok(None),
                    posted => Err(format!("{posted} tokens")),
                }
            })
            .await;
            let hit = hit.or(world.interceptor.disarm());
            bought.push((user, purchase));
            let Some(hit) = hit else { break };
            println!("{moment:?} {number}: {hit}");
            world.gone(0).await;
            world.restart(0).await;
            world.stripe.advance(5).await;
            hits.insert(hit);
        }
    }
    assert!(hits.contains("a call of the ledger"), "{hits:?}");
    for (user, purchase) in &bought {
        let after = user.sees(&purchase.id, "partly_reversed").await;
        assert_eq!(
            (&after["reversed_tokens"], world.posted(&user.account).await),
            (&json!(25), 25)
        );
    }
    super::inbox::settled(&world).await;
}
