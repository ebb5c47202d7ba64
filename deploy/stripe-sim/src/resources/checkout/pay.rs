//! How it is paid: the page's button, and what follows.

use super::{complete, need_open, success_url};
use crate::resources::{
    customers,
    payment_intents::{self, How, Wish},
    payment_methods::{self, Method},
    setup_intents, subscriptions,
};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    params::Params,
    world::World,
};
use serde_json::json;

/// What somebody does on the page.
#[derive(Debug)]
pub(crate) struct Paying {
    /// Nothing is needed where nothing is due.
    pub(crate) method: Option<Method>,
    pub(crate) email: Option<String>,
}

/// Where the browser goes next.
#[derive(Debug)]
pub(crate) enum Next {
    Go(String),
    /// The bank asks, about this intent.
    Challenge(String),
}

/// Pays.
pub(crate) fn pay(world: &mut World, id: &str, paying: Paying) -> Result<Next, Fail> {
    need_open(world, id, "paid")?;
    let email = paying.email.as_deref();
    let Some(method) = paying.method else {
        return confirm_nothing(world, id, email);
    };
    let method = payment_methods::make(world, &method)?;
    confirm(world, id, &method, email)
}

/// Nothing is due, and nobody is asked for anything.
fn confirm_nothing(world: &mut World, id: &str, email: Option<&str>) -> Result<Next, Fail> {
    let session = world.get(id);
    if session.text("mode") != "payment" || session.int("amount_total") > 0 {
        return Err(Fail::missing("payment_method"));
    }
    describe_customer(world, id, "", email);
    confirm_payment(world, id, "")?;
    Ok(Next::Go(success_url(world.get(id))))
}

/// `POST /v1/payment_pages/:id/confirm`: what the page calls.
pub(crate) fn confirm_page(world: &mut World, id: &str, params: &Params) -> Answer {
    let session = need_open(world, id, "paid")?;
    if params.int("expected_amount").is_some_and(|expected| expected != session.int("amount_total"))
    {
        let said = "The expected amount is not what is to be paid.";
        return Err(Fail::param("expected_amount", said).code("checkout_amount_mismatch"));
    }
    let method = match params.group("payment_method_data") {
        Some(data) => payment_methods::create(world, &data)?.text("id").to_owned(),
        None if !params.has("payment_method") => {
            confirm_nothing(world, id, None)?;
            return Ok(world.get(id).clone());
        }
        None => payment_methods::resolve(world, params.need("payment_method")?, "payment_method")?,
    };
    let email = world.get(&method).at("billing_details").opt("email").map(str::to_owned);
    confirm(world, id, &method, email.as_deref())?;
    Ok(world.get(id).clone())
}

/// Asks for the money with a method.
fn confirm(world: &mut World, id: &str, method: &str, email: Option<&str>) -> Result<Next, Fail> {
    let session = world.get(id).clone();
    let kind = world.get(method).text("type").to_owned();
    if !session.items("payment_method_types").iter().any(|allowed| *allowed == kind) {
        return Err(Fail::param(
            "payment_method",
            format!("This session doesn't take payment methods of type {kind}."),
        ));
    }
    describe_customer(world, id, method, email);
    match session.text("mode") {
        "setup" => confirm_setup(world, id, method)?,
        "subscription" => confirm_subscription(world, id, method)?,
        _ => confirm_payment(world, id, method)?,
    }
    let session = world.get(id);
    if session.text("status") == "open" {
        let waiting =
            session.opt("_intent").or_else(|| session.opt("setup_intent")).unwrap_or_default();
        return Ok(Next::Challenge(waiting.to_owned()));
    }
    Ok(Next::Go(success_url(session)))
}

fn describe_customer(world: &mut World, id: &str, method: &str, email: Option<&str>) {
    let details = world.get(method).at("billing_details").clone();
    let customer = world.get(world.get(id).text("customer")).clone();
    let session = world.get(id);
    let email = email.or_else(|| session.opt("customer_email")).or_else(|| customer.opt("email"));
    let email = json!(email);
    let name = if details.at("name").is_null() {
        customer.at("name").clone()
    } else {
        details.at("name").clone()
    };
    let address = json!({ "city": null, "country": "US", "line1": null, "line2": null, "postal_code": null, "state": null });
    world.set(id, |session| {
        session["customer_details"] = json!({
            "address": address, "business_name": null, "email": email, "individual_name": null, "name": name,
            "phone": null, "tax_exempt": "none", "tax_ids": [],
        });
    });
}

/// The session's customer; made now where the mode needs one.
pub(super) fn customer(world: &mut World, id: &str) -> Option<String> {
    let session = world.get(id).clone();
    if let Some(customer) = session.opt("customer") {
        return Some(customer.to_owned());
    }
    let data = session.at("_data").at("payment_intent_data");
    let is_needed = session.text("mode") == "subscription"
        || session.text("customer_creation") == "always"
        || data.opt("setup_future_usage").is_some();
    if !is_needed {
        return None;
    }
    let details = session.at("customer_details");
    let made =
        customers::make(world, json!({ "email": details.at("email"), "name": details.at("name") }));
    world.set(id, |session| session["customer"] = json!(made));
    Some(made)
}

fn confirm_payment(world: &mut World, id: &str, method: &str) -> Result<(), Fail> {
    let session = world.get(id).clone();
    let customer = customer(world, id);
    if session.int("amount_total") == 0 {
        complete(world, id, "no_payment_required");
        return Ok(());
    }
    let intent = match session.opt("_intent") {
        Some(intent) => {
            world.set(intent, |intent| intent["amount"] = session.at("amount_total").clone());
            intent.to_owned()
        }
        None => {
            let data = session.at("_data").at("payment_intent_data").clone();
            let mut more = json!({ "_session": id, "payment_method_options": session.at("payment_method_options") });
            crate::json::merge(&mut more, data);
            if !more.at("metadata").is_object() {
                more["metadata"] = json!({});
            }
            let wish = Wish {
                amount: session.int("amount_total"),
                currency: session.text("currency"),
                customer: customer.as_deref(),
                types: session.at("payment_method_types").clone(),
                more,
            };
            let intent = payment_intents::make(world, wish);
            world.set(id, |session| {
                session["_intent"] = json!(intent);
                session["payment_intent"] = json!(intent);
            });
            intent
        }
    };
    world.set(&intent, |intent| intent["payment_method"] = json!(method));
    payment_intents::confirm(world, &intent, How::on_session())
}

fn confirm_setup(world: &mut World, id: &str, method: &str) -> Result<(), Fail> {
    let intent = world.get(id).text("setup_intent").to_owned();
    if let Some(customer) = customer(world, id) {
        world.set(&intent, |intent| intent["customer"] = json!(customer));
    }
    world.set(&intent, |intent| intent["payment_method"] = json!(method));
    setup_intents::confirm(world, &intent, None)
}

fn confirm_subscription(world: &mut World, id: &str, method: &str) -> Result<(), Fail> {
    let Some(customer) = customer(world, id) else { return Ok(()) };
    setup_intents::check_card(world, method)?;
    payment_methods::attach_to(world, method, &customer)?;
    let session = world.get(id).clone();
    let begun = match session.opt("_subscription") {
        Some(subscription) => subscriptions::pay_again(world, subscription, method),
        None => subscriptions::begin_from_session(world, &session, &customer, method),
    };
    begun?;
    Ok(())
}
