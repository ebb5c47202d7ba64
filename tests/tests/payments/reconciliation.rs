//! What was missed is found: events that never came, a ledger or a database that was put back.

use super::{
    inbox::{inbox, settled},
    plan::Plan,
    wait::until,
    world::World,
};
use proto::payments::v1::{ReconcileRequest, Reconciliation};
use tests::stripe_sim::text;

async fn reconcile(world: &World, after_restore: bool) -> Reconciliation {
    let asked = ReconcileRequest { after_restore };
    let answer = world.operators().await.reconcile(asked).await.expect("it can be done");
    let report = answer.into_inner().reconciliation.expect("a report");
    assert_eq!(report.error, "", "{report:?}");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_of_which_nobody_was_told_are_found() {
    let world = World::start().await;
    world.stripe.keep_webhooks().await;
    let mut bought = Vec::new();
    for number in 0..5 {
        let user = world.user(&format!("user-{number}")).await;
        let purchase = user.buys("starter").await;
        world.stripe.pay(&purchase.session).await;
        bought.push((user, purchase));
    }
    assert!(inbox(&world).await.is_empty());
    let report = reconcile(&world, false).await;
    assert!(report.events_missing >= 5, "{report:?}");
    for (user, purchase) in &bought {
        world.credits_once(user, purchase, 50).await;
    }
    settled(&world).await;
    // Then there is nothing to be found.
    let report = reconcile(&world, false).await;
    assert_eq!((report.events_missing, report.differences.len()), (0, 0), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_has_to_ask_for_it() {
    let settings = vec![("PAYMENTS_GATEWAY_RECONCILE_SECONDS", "1".to_owned())];
    let world = World::with(Plan { settings, ..Plan::default() }).await;
    world.stripe.keep_webhooks().await;
    let ada = world.user("ada").await;
    let bought = ada.buys("starter").await;
    let session = world.stripe.pay(&bought.session).await;
    world.credits_once(&ada, &bought, 50).await;
    let refund = [("payment_intent", text(&session, "payment_intent")), ("amount", "250")];
    world.stripe.post("/refunds", &refund).await;
    ada.sees(&bought.id, "partly_reversed").await;
    assert_eq!(world.posted("ada").await, 25);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_lost_everything_gets_it_again_and_one_that_didnt_gets_nothing() {
    let world = World::start().await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let hers = ada.buys("starter").await;
    world.stripe.pay(&hers.session).await;
    let his = bob.buys("starter").await;
    let session = world.stripe.pay(&his.session).await;
    world.credits_once(&ada, &hers, 50).await;
    world.credits_once(&bob, &his, 50).await;
    let refund = [("payment_intent", text(&session, "payment_intent")), ("amount", "250")];
    world.stripe.post("/refunds", &refund).await;
    bob.sees(&his.id, "partly_reversed").await;
    settled(&world).await;
    for is_lost in [false, true] {
        if is_lost {
            world.stop_ledger().await;
            world.lose_ledger().await;
            world.start_ledger().await;
            assert_eq!(world.posted("ada").await, 0);
        }
        reconcile(&world, true).await;
        until("both to have what is theirs", async || {
            match (world.posted("ada").await, world.posted("bob").await) {
                (50, 25) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        settled(&world).await;
        assert_eq!(world.credits("ada").await, [(format!("purchase/{}", hers.id), 50)]);
        assert_eq!(world.credits("bob").await, [(format!("purchase/{}", his.id), 50)]);
        assert_eq!((world.posted("ada").await, world.posted("bob").await), (50, 25));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_whose_database_was_put_back_finds_what_it_forgot() {
    let world = World::start().await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let hers = ada.buys("starter").await;
    let copy = world.copy_database().await;
    // What happens now will be forgotten.
    world.stripe.pay(&hers.session).await;
    world.credits_once(&ada, &hers, 50).await;
    let his = bob.buys("starter").await;
    world.stripe.pay(&his.session).await;
    world.credits_once(&bob, &his, 50).await;
    settled(&world).await;
    world.put_database_back(&copy).await;

    let report = reconcile(&world, true).await;
    let told = report.differences.iter().any(|it| it.what == "unknown_purchase");
    assert!(told, "his purchase isn't there any more, and somebody has paid: {report:?}");
    world.credits_once(&ada, &hers, 50).await;
    settled(&world).await;
    assert_eq!((world.posted("ada").await, world.posted("bob").await), (50, 50));
}
