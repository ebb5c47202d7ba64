//! How invoices are paid: at once, by another try some days later, or by hand.

use super::{finalize, need, refuse_under_way};
use crate::resources::{
    cards::Session,
    checkout::Next,
    customers,
    payment_intents::{self, How},
    payment_methods::{self, Method},
    subscriptions,
};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    params::Params,
    timers::Timer,
    world::World,
};
use serde_json::{Value, json};

/// Days until a payment that failed is tried again, each after the one before; then we give up.
const RETRY_DAYS: [i64; 3] = [3, 5, 7];

/// `POST /v1/invoices/:id/pay`
pub(crate) fn pay(world: &mut World, id: &str, params: &Params) -> Answer {
    let invoice = need(world, id, &["draft", "open", "uncollectible"], "paid")?;
    let method = match params.full("payment_method") {
        Some(method) => Some(payment_methods::resolve(world, method, "payment_method")?),
        None => None,
    };
    payment_intents::check_ownership(world, method.as_deref(), invoice.opt("customer"))?;
    if invoice.text("status") == "draft" {
        finalize(world, id);
    }
    if params.flag("paid_out_of_band") == Some(true) {
        refuse_under_way(world, &invoice)?;
        if let Some(intent) = world.get(id).opt("_intent").map(str::to_owned) {
            payment_intents::cancel(world, &intent, None);
        }
        world.set(id, |invoice| {
            invoice["amount_paid_off_stripe"] = invoice.at("amount_due").clone()
        });
        close_paid(world, id, By::Somebody);
        return Ok(world.get(id).clone());
    }
    if world.get(id).text("status") == "paid" {
        return Ok(world.get(id).clone());
    }
    let how = if params.flag("off_session") == Some(false) {
        How::on_session()
    } else {
        How::off_session()
    };
    by_hand(world, id, |world| charge(world, id, method.as_deref(), how))?;
    Ok(world.get(id).clone())
}

/// Somebody tries, and not the calendar.
fn by_hand(
    world: &mut World,
    id: &str,
    attempt: impl FnOnce(&mut World) -> Result<(), Fail>,
) -> Result<(), Fail> {
    world.set(id, |invoice| invoice["_by_hand"] = json!(true));
    let done = attempt(world);
    // The bank's question may be answered later: it is the same attempt.
    if world.get(world.get(id).text("_intent")).text("status") != "requires_action" {
        world.set(id, |invoice| invoice["_by_hand"] = json!(false));
    }
    done
}

/// What an invoice is paid with, unless told.
fn method_of(world: &World, invoice: &Value) -> Option<String> {
    let subscription = invoice.at("parent").at("subscription_details").text("subscription");
    let customer = world.get(invoice.text("customer"));
    let own = invoice.opt("default_payment_method");
    let own = own.or_else(|| world.get(subscription).opt("default_payment_method"));
    own.or_else(|| customer.at("invoice_settings").opt("default_payment_method")).map(str::to_owned)
}

/// Asks for the money.
///
/// # Errors
/// The bank says no, or there is nobody to ask.
pub(crate) fn charge(
    world: &mut World,
    id: &str,
    method: Option<&str>,
    how: How,
) -> Result<(), Fail> {
    let invoice = world.get(id).clone();
    let intent = invoice.text("_intent").to_owned();
    let Some(method) = method.map(str::to_owned).or_else(|| method_of(world, &invoice)) else {
        failed(world, id);
        let said = "This customer has no attached payment source or default payment method. Please consider adding \
                    a default payment method. For more information, visit \
                    https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.";
        return Err(Fail { status: 400, ..Fail::request(said) }.code("resource_missing"));
    };
    world.set(&intent, |intent| intent["payment_method"] = json!(method));
    let is_off_session = how.session == Session::Off;
    if let Err(refused) = payment_intents::confirm(world, &intent, how) {
        // No bank was asked, and it isn't paid all the same.
        if !refused.happened {
            failed(world, id);
        }
        return Err(refused);
    }
    if is_off_session && world.get(&intent).text("status") == "requires_action" {
        failed(world, id);
        let said = "This payment requires additional user action before it can be completed successfully. Payment \
                    can be completed using the PaymentIntent associated with the invoice.";
        return Err(Fail::card("invoice_payment_intent_requires_action", said));
    }
    Ok(())
}

/// How the intent of an invoice stands: the invoice follows.
pub(crate) fn intent_moved(world: &mut World, id: &str, intent: &Value) {
    let status = world.get(id).text("status").to_owned();
    match intent.text("status") {
        "succeeded" if status == "open" || status == "uncollectible" => mark_paid(world, id),
        "requires_payment_method" if status == "open" => failed(world, id),
        "requires_action" if status == "open" => {
            world.set(id, |invoice| invoice["attempted"] = json!(true));
            world.emit("invoice.payment_action_required", id);
        }
        "processing" if status == "open" => {
            world.set(id, |invoice| invoice["attempted"] = json!(true));
            let invoice = world.get(id).clone();
            subscriptions::invoice_moved(world, &invoice, subscriptions::Paid::Later);
        }
        _ => {}
    }
}

pub(super) fn mark_paid(world: &mut World, id: &str) {
    world.set(id, |invoice| invoice["amount_paid"] = invoice.at("amount_due").clone());
    close_paid(world, id, By::Stripe);
}

/// Who took the money.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Stripe,
    Somebody,
}

fn close_paid(world: &mut World, id: &str, by: By) {
    let (now, is_ours) = (world.now, by == By::Stripe);
    world.set(id, |invoice| {
        let attempts = invoice.int("attempt_count") + i64::from(invoice.int("amount_paid") > 0);
        invoice["status"] = json!("paid");
        invoice["amount_remaining"] = json!(0);
        invoice["attempt_count"] = json!(attempts);
        invoice["attempted"] = json!(true);
        invoice["auto_advance"] = json!(false);
        invoice["next_payment_attempt"] = Value::Null;
        invoice["status_transitions"]["paid_at"] = json!(now);
    });
    if let Some(payment) = world.get(id).opt("_payment").map(str::to_owned) {
        world.set(&payment, |payment| {
            let (status, at) =
                if is_ours { ("paid", "paid_at") } else { ("canceled", "canceled_at") };
            payment["status"] = json!(status);
            payment["status_transitions"][at] = json!(now);
            if is_ours {
                payment["amount_paid"] = payment.at("amount_requested").clone();
            }
        });
        if is_ours {
            world.emit("invoice_payment.paid", &payment);
        }
    }
    world.emit("invoice.paid", id);
    if is_ours {
        world.emit("invoice.payment_succeeded", id);
    }
    let invoice = world.get(id).clone();
    subscriptions::invoice_moved(world, &invoice, subscriptions::Paid::Yes);
}

/// A payment failed: it is tried again some days later, as long as there is hope.
fn failed(world: &mut World, id: &str) {
    let invoice = world.get(id).clone();
    // Who tries by hand after that neither uses up a try nor moves the next one.
    if invoice.flag("_by_hand") && invoice.int("attempt_count") > 0 {
        return world.emit("invoice.payment_failed", id);
    }
    let attempts = invoice.int("attempt_count") + 1;
    let subscription =
        world.get(invoice.at("parent").at("subscription_details").text("subscription"));
    let was_trusted = matches!(subscription.text("status"), "active" | "past_due");
    let is_tried_again = match invoice.text("billing_reason") {
        "manual" => false,
        "subscription_create" => was_trusted,
        _ => true,
    };
    let days = usize::try_from(attempts - 1).ok().and_then(|done| RETRY_DAYS.get(done));
    let days = days.filter(|_| is_tried_again);
    let next = days.map(|days| world.now + days * 86_400);
    world.set(id, |invoice| {
        invoice["attempt_count"] = json!(attempts);
        invoice["attempted"] = json!(true);
        invoice["next_payment_attempt"] = json!(next);
        invoice["_by_hand"] = json!(false);
    });
    if let Some(next) = next {
        world.at(next, Timer::RetryInvoice(id.to_owned()));
    }
    world.emit("invoice.payment_failed", id);
    let paid = if next.is_some() { subscriptions::Paid::No } else { subscriptions::Paid::Never };
    let invoice = world.get(id).clone();
    subscriptions::invoice_moved(world, &invoice, paid);
}

/// A payment that failed is tried again, if it is still due.
pub(crate) fn retry(world: &mut World, id: &str) -> bool {
    let invoice = world.get(id);
    let is_due = invoice.at("next_payment_attempt").as_i64().is_some_and(|at| at <= world.now);
    if invoice.text("status") != "open" || !is_due {
        return false;
    }
    // How it went, the invoice says.
    drop(charge(world, id, None, How::off_session()));
    true
}

/// A draft's time is over.
pub(crate) fn advance(world: &mut World, id: &str) -> bool {
    let invoice = world.get(id).clone();
    if invoice.text("status") != "draft" || !invoice.flag("auto_advance") {
        return false;
    }
    finalize(world, id);
    let invoice = world.get(id);
    if invoice.text("status") == "open"
        && invoice.text("collection_method") == "charge_automatically"
    {
        drop(charge(world, id, None, How::off_session()));
    }
    true
}

/// The payments of an invoice: one, unless nothing is due.
pub(crate) fn payments(world: &World, id: &str) -> Vec<Value> {
    world
        .get(id)
        .opt("_payment")
        .and_then(|payment| world.find(payment))
        .cloned()
        .into_iter()
        .collect()
}

/// The invoice that an intent pays.
pub(crate) fn of_intent(world: &World, intent: &str) -> Option<String> {
    world.get(intent).opt("_invoice").map(str::to_owned)
}

/// `GET /v1/invoice_payments`
pub(crate) fn list_payments(world: &World, params: &Params) -> Answer {
    let asked = params.group("payment");
    let intent = asked.as_ref().and_then(|asked| asked.full("payment_intent")).map(str::to_owned);
    world.list(
        Kind::InvoicePayment,
        &params.without("payment"),
        "/v1/invoice_payments",
        |payment| {
            intent
                .as_ref()
                .is_none_or(|intent| payment.at("payment").text("payment_intent") == intent)
        },
    )
}

/// Pays on the invoice's page.
pub(crate) fn pay_hosted(world: &mut World, id: &str, method: Method) -> Result<Next, Fail> {
    let invoice = need(world, id, &["open", "uncollectible"], "paid")?;
    let made = payment_methods::make(world, &method)?;
    by_hand(world, id, |world| charge(world, id, Some(&made), How::on_session()))?;
    let intent = invoice.text("_intent");
    if world.get(intent).text("status") == "requires_action" {
        return Ok(Next::Challenge(intent.to_owned()));
    }
    customers::remember(world, invoice.text("customer"), &made);
    Ok(Next::Go(format!("{}/i/{id}", world.public_url)))
}
