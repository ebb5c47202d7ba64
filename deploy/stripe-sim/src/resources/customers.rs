//! Customers.

use super::{payment_methods, setup_intents, subscriptions};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    params::Params,
    world::World,
};
use serde_json::{Value, json};

const ECHOED: [&str; 8] = [
    "address",
    "description",
    "email",
    "name",
    "phone",
    "preferred_locales",
    "shipping",
    "tax_exempt",
];

/// `POST /v1/customers`
pub(crate) fn create(world: &mut World, params: &Params) -> Answer {
    check(params)?;
    let method = named_method(world, params, "payment_method")?;
    let default = default_method(world, params)?;
    let mut customer = json!({});
    params.echo(&mut customer, &ECHOED);
    params.echo_metadata(&mut customer);
    let id = make(world, customer);
    if let Some(method) = &method {
        payment_methods::attach_to(world, method, &id)?;
    }
    // Stripe's names make a new method each time they are used, but within one call they mean one.
    let default = default.map(|default| match &method {
        Some(method) if is_same_name(params) => method.clone(),
        _ => default,
    });
    if let Some(default) = default {
        payment_methods::attach_to(world, &default, &id)?;
        world.set(&id, |customer| {
            customer["invoice_settings"]["default_payment_method"] = json!(default)
        });
    }
    Ok(world.get(&id).clone())
}

fn is_same_name(params: &Params) -> bool {
    let settings = params.group("invoice_settings");
    settings
        .and_then(|settings| settings.full("default_payment_method").map(str::to_owned))
        .as_deref()
        == params.full("payment_method")
}

/// Makes a customer.
pub(crate) fn make(world: &mut World, more: Value) -> String {
    let prefix = world.id("", 8).to_uppercase();
    let mut customer = json!({
        "balance": 0, "delinquent": false, "invoice_prefix": prefix, "metadata": {}, "next_invoice_sequence": 1,
        "preferred_locales": [], "tax_exempt": "none",
        "invoice_settings": { "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null },
    });
    crate::json::merge(&mut customer, more);
    world.create(Kind::Customer, "customer.created", customer)
}

fn check(params: &Params) -> Result<(), Fail> {
    if params.has("source") {
        let said = "stripe-sim has no sources: attach a PaymentMethod, and make it invoice_settings[default_payment_method].";
        return Err(Fail::param("source", said));
    }
    match params.full("email") {
        Some(email) if !email.contains('@') || email.contains(char::is_whitespace) => {
            Err(Fail::param("email", format!("Invalid email address: {email}"))
                .code("email_invalid"))
        }
        _ => Ok(()),
    }
}

fn named_method(world: &mut World, params: &Params, name: &str) -> Result<Option<String>, Fail> {
    let Some(given) = params.full(name) else { return Ok(None) };
    let id = payment_methods::resolve(world, given, name)?;
    setup_intents::check_card(world, &id)?;
    Ok(Some(id))
}

fn default_method(world: &mut World, params: &Params) -> Result<Option<String>, Fail> {
    let Some(settings) = params.group("invoice_settings") else { return Ok(None) };
    named_method(world, &settings, "default_payment_method")
}

/// `POST /v1/customers/:id`
pub(crate) fn update(world: &mut World, id: &str, params: &Params) -> Answer {
    let customer = world.need(Kind::Customer, id, "id")?;
    if customer.flag("deleted") {
        return Err(Fail::no_such("customer", id, "id"));
    }
    check(params)?;
    let default = default_method(world, params)?;
    if let Some(default) = &default
        && world.get(default).opt("customer") != Some(id)
    {
        let said = "The customer does not have a payment method with the ID provided. The payment method must be attached to the customer.";
        return Err(
            Fail::param("invoice_settings[default_payment_method]", said).code("resource_missing")
        );
    }
    world.edit(id, "customer.updated", |customer| {
        params.echo(customer, &ECHOED);
        params.echo(customer, &["balance"]);
        params.echo_metadata(customer);
        if let Some(default) = default {
            customer["invoice_settings"]["default_payment_method"] = json!(default);
        }
    });
    Ok(world.get(id).clone())
}

/// Makes a method the one that invoices are paid with.
pub(crate) fn set_default(world: &mut World, id: &str, method: &str) {
    world.edit(id, "customer.updated", |customer| {
        customer["invoice_settings"]["default_payment_method"] = json!(method);
    });
}

/// A method that is gone pays no more invoices.
pub(crate) fn forget_method(world: &mut World, id: &str, method: &str) {
    for subscription in world.ids_where(Kind::Subscription, "default_payment_method", method) {
        world.edit(&subscription, "customer.subscription.updated", |subscription| {
            subscription["default_payment_method"] = Value::Null;
        });
    }
    if world.get(id).at("invoice_settings").text("default_payment_method") == method {
        world.edit(id, "customer.updated", |customer| {
            customer["invoice_settings"]["default_payment_method"] = Value::Null;
        });
    }
}

/// `DELETE /v1/customers/:id`
pub(crate) fn delete(world: &mut World, id: &str) -> Answer {
    if world.need(Kind::Customer, id, "id")?.flag("deleted") {
        return Err(Fail::no_such("customer", id, "id"));
    }
    for subscription in world.ids_where(Kind::Subscription, "customer", id) {
        subscriptions::end(world, &subscription, "cancellation_requested");
    }
    Ok(world.delete(Kind::Customer, id, Some("customer.deleted")))
}

/// `GET /v1/customers/:id/payment_methods/:method`
pub(crate) fn payment_method(world: &World, id: &str, method: &str) -> Answer {
    world.need(Kind::Customer, id, "customer")?;
    let found = world.need(Kind::PaymentMethod, method, "id")?;
    if found.opt("customer") == Some(id) {
        return Ok(found.clone());
    }
    Err(Fail::no_such("PaymentMethod", method, "id"))
}

/// A method that has paid becomes the one that pays, if there is none.
pub(crate) fn remember(world: &mut World, id: &str, method: &str) {
    let has_one = world.get(id).at("invoice_settings").opt("default_payment_method").is_some();
    if !has_one && world.get(method).opt("customer") == Some(id) {
        set_default(world, id, method);
    }
}
