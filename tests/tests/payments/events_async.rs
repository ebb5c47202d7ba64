//! Money that takes its time: banks that need days, sessions that nobody pays.

use super::{
    inbox::settled,
    plan::{Catalog, Plan},
    world::World,
};
use tests::stripe_sim::{GOOD, IBAN_BAD, IBAN_GOOD, text};

/// A day, which is what a bank takes here.
const DAY_SECONDS: i64 = 86_400;

/// A catalog in euros, for banks that take their time.
fn euros() -> Plan {
    let text = "economy = \"euros\"\ntitle = \"Euros\"\ncurrency = \"eur\"\n\n[[packages]]\n\
                id = \"starter\"\nname = \"Starter\"\ntokens = 50\nprice_minor = 499\n";
    Plan { catalog: Catalog::Own(text.to_owned()), ..Plan::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_takes_days_is_waited_for_and_believed_when_it_pays() {
    let world = World::with(euros()).await;
    world.stripe.keep_webhooks().await;
    let mut paying = Vec::new();
    for account in ["in-order", "reversed"] {
        let user = world.user(account).await;
        let bought = user.buys("starter").await;
        let bank = world.stripe.bank_account(IBAN_GOOD).await;
        world.stripe.confirm(&bought.session, &bank).await.expect(200);
        let kind = ["checkout.session.completed"];
        let completed = world.stripe.events(&kind, &bought.id).await.remove(0);
        assert_eq!(completed["data"]["object"]["payment_status"], "unpaid");
        if account == "in-order" {
            world.deliver(&completed).await;
            user.sees(&bought.id, "awaiting").await;
            assert_eq!(world.posted(account).await, 0);
        }
        paying.push((user, bought, completed));
    }
    world.stripe.advance(DAY_SECONDS).await;
    for (user, bought, completed) in paying {
        let kind = ["checkout.session.async_payment_succeeded"];
        let succeeded = world.stripe.events(&kind, &bought.id).await.remove(0);
        world.deliver(&succeeded).await;
        world.credits_once(&user, &bought, 50).await;
        // Once more, or for the first time: it says nothing new.
        world.deliver(&completed).await;
        settled(&world).await;
        world.credits_once(&user, &bought, 50).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_fails_credits_nothing_and_money_that_comes_after_all_is_credited() {
    let world = World::with(euros()).await;
    let ada = world.user("ada").await;
    let bought = ada.buys("starter").await;
    let bank = world.stripe.bank_account(IBAN_BAD).await;
    world.stripe.confirm(&bought.session, &bank).await.expect(200);
    ada.sees(&bought.id, "awaiting").await;
    world.stripe.advance(DAY_SECONDS).await;
    ada.sees(&bought.id, "failed").await;
    settled(&world).await;
    assert_eq!(world.posted("ada").await, 0);

    let session = world.stripe.get(&format!("/checkout/sessions/{}", bought.session)).await;
    let card = world.stripe.card(GOOD).await;
    let intent = format!("/payment_intents/{}/confirm", text(&session, "payment_intent"));
    world.stripe.post(&intent, &[("payment_method", &card)]).await;
    world.credits_once(&ada, &bought, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_nobody_pays_expires() {
    let world = World::start().await;
    let ada = world.user("ada").await;
    let bought = ada.buys("starter").await;
    world.stripe.advance(2 * DAY_SECONDS).await;
    ada.sees(&bought.id, "expired").await;
    assert_eq!(world.posted("ada").await, 0);
}
