//! The customer portal: what somebody sees of what they pay for, and may change.

use super::{
    checkout::Next,
    customers,
    payment_methods::{self, Method},
    setup_intents,
    subscriptions::{self, Change, Plan},
};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    params::Params,
    render::shown,
    world::World,
};
use serde_json::{Value, json};

/// How long a portal session may be used.
const SESSION_SECONDS: i64 = 3_600;

/// Invoices shown.
const INVOICES_MAX: usize = 24;

/// `POST /v1/billing_portal/configurations`
pub(crate) fn create_configuration(world: &mut World, params: &Params) -> Answer {
    let id = add_configuration(world, params, json!(false));
    world.emit("billing_portal.configuration.created", &id);
    Ok(world.get(&id).clone())
}

fn add_configuration(world: &mut World, params: &Params, is_default: Value) -> String {
    let now = world.now;
    let mut made = json!({
        "active": true, "business_profile": { "headline": null, "privacy_policy_url": null, "terms_of_service_url": null },
        "features": features(&params.group("features").unwrap_or_default()), "is_default": is_default,
        "login_page": { "enabled": false, "url": null }, "metadata": {}, "updated": now,
    });
    if let Some(profile) = params.value("business_profile").cloned() {
        crate::json::merge(&mut made["business_profile"], profile);
    }
    params.echo(&mut made, &["default_return_url", "name"]);
    params.echo_metadata(&mut made);
    world.add(Kind::PortalConfiguration, made)
}

fn features(asked: &Params) -> Value {
    let mut features = json!({
        "customer_update": { "allowed_updates": [], "enabled": false },
        "invoice_history": { "enabled": true },
        "payment_method_update": { "enabled": true, "payment_method_configuration": null },
        "subscription_cancel": {
            "cancellation_reason": { "enabled": false, "options": ["too_expensive", "missing_features", "switched_service", "unused", "customer_service", "too_complex", "low_quality", "other"] },
            "enabled": true, "mode": "at_period_end", "proration_behavior": "none",
        },
        "subscription_update": {
            "default_allowed_updates": ["price"], "enabled": true, "proration_behavior": "create_prorations",
            "products": [], "schedule_at_period_end": { "conditions": [] }, "billing_cycle_anchor": null,
            "trial_update_behavior": "end_trial",
        },
    });
    for (name, feature) in asked.all() {
        if features.get(name).is_some() {
            crate::json::merge(&mut features[name.as_str()], feature.clone());
        }
    }
    features
}

/// `POST /v1/billing_portal/configurations/:id`
pub(crate) fn update_configuration(world: &mut World, id: &str, params: &Params) -> Answer {
    world.need(Kind::PortalConfiguration, id, "id")?;
    let now = world.now;
    world.edit(id, "billing_portal.configuration.updated", |made| {
        if let Some(profile) = params.value("business_profile").cloned() {
            crate::json::merge(&mut made["business_profile"], profile);
        }
        if let Some(asked) = params.group("features") {
            for (name, feature) in asked.all() {
                crate::json::merge(&mut made["features"][name.as_str()], feature.clone());
            }
        }
        params.echo(made, &["active", "default_return_url", "name"]);
        params.echo_metadata(made);
        made["updated"] = json!(now);
    });
    Ok(world.get(id).clone())
}

/// `POST /v1/billing_portal/sessions`
pub(crate) fn create(world: &mut World, params: &Params) -> Answer {
    let customer = params.need("customer")?.to_owned();
    world.need(Kind::Customer, &customer, "customer")?;
    let configuration = match params.full("configuration") {
        Some(configuration) => world
            .need(Kind::PortalConfiguration, configuration, "configuration")?
            .text("id")
            .to_owned(),
        None => default_configuration(world),
    };
    let id = world.id_of(Kind::PortalSession);
    let back = params.full("return_url").map(str::to_owned);
    let back =
        back.or_else(|| world.get(&configuration).opt("default_return_url").map(str::to_owned));
    let url = format!("{}/p/session/{id}", world.public_url);
    let flow = params.value("flow_data").map(|flow| {
        let mut flow = flow.clone();
        let after = flow.at("after_completion").clone();
        flow["after_completion"] = json!({ "type": if after.is_null() { "portal_homepage" } else { after.text("type") }, "hosted_confirmation": null, "redirect": after.at("redirect") });
        for part in ["subscription_cancel", "subscription_update", "subscription_update_confirm"] {
            if flow.at(part).is_null() {
                flow[part] = Value::Null;
            }
        }
        flow
    });
    let mut session = json!({
        "id": id, "configuration": configuration, "customer": customer, "flow": flow, "return_url": back, "url": url,
    });
    params.echo(&mut session, &["locale", "on_behalf_of"]);
    world.create(Kind::PortalSession, "billing_portal.session.created", session);
    Ok(world.get(&id).clone())
}

fn default_configuration(world: &mut World) -> String {
    let found = world.all(Kind::PortalConfiguration).find(|made| made.flag("is_default"));
    match found.map(|made| made.text("id").to_owned()) {
        Some(id) => id,
        None => add_configuration(world, &Params::default(), json!(true)),
    }
}

fn need(world: &World, id: &str) -> Result<Value, Fail> {
    let session = world.need(Kind::PortalSession, id, "id")?;
    if session.int("created") + SESSION_SECONDS < world.now {
        let said = "This portal session has expired. Go back and open a new one.";
        return Err(Fail { status: 404, ..Fail::request(said) });
    }
    Ok(session.clone())
}

/// What the portal's page shows.
pub(crate) fn view(world: &mut World, id: &str) -> Result<Value, Fail> {
    let session = need(world, id)?;
    let customer = session.text("customer");
    let of = |kind| {
        world
            .all(kind)
            .filter(|object| object.text("customer") == customer)
            .map(shown)
            .collect::<Vec<_>>()
    };
    let prices: Vec<_> = world
        .all(Kind::Price)
        .filter(|price| price.flag("active") && price.at("recurring").is_object())
        .map(|price| {
            let mut price = shown(price);
            price["product"] = shown(world.get(price.text("product")));
            price
        })
        .collect();
    let mut invoices = of(Kind::Invoice);
    invoices.retain(|invoice| invoice.text("status") != "draft");
    invoices.truncate(INVOICES_MAX);
    let mut subscriptions = of(Kind::Subscription);
    subscriptions.retain(|subscription| {
        !matches!(subscription.text("status"), "canceled" | "incomplete_expired")
    });
    Ok(json!({
        "session": shown(&session), "customer": shown(world.get(customer)),
        "configuration": shown(world.get(session.text("configuration"))), "subscriptions": subscriptions,
        "prices": prices, "payment_methods": of(Kind::PaymentMethod), "invoices": invoices,
    }))
}

/// When a cancellation counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Now,
    PeriodEnd,
}

/// What somebody does.
#[derive(Debug)]
pub(crate) enum Act {
    Cancel { subscription: String, when: When },
    Keep { subscription: String },
    ChangePlan { subscription: String, price: String },
    AddMethod(Method),
    SetDefault(String),
    RemoveMethod(String),
}

/// Does it.
pub(crate) fn act(world: &mut World, id: &str, act: Act) -> Result<Next, Fail> {
    let session = need(world, id)?;
    let customer = session.text("customer").to_owned();
    let features = world.get(session.text("configuration")).at("features").clone();
    let page = Next::Go(format!("{}/p/session/{id}", world.public_url));
    match act {
        Act::Cancel { subscription, when } => {
            own(world, Kind::Subscription, &subscription, &customer)?;
            allowed(&features, "subscription_cancel")?;
            match when {
                When::Now => subscriptions::end(world, &subscription, "cancellation_requested"),
                When::PeriodEnd => change(world, &subscription, Change::CancelAtPeriodEnd(true))?,
            }
        }
        Act::Keep { subscription } => {
            own(world, Kind::Subscription, &subscription, &customer)?;
            change(world, &subscription, Change::CancelAtPeriodEnd(false))?;
        }
        Act::ChangePlan { subscription, price } => {
            own(world, Kind::Subscription, &subscription, &customer)?;
            allowed(&features, "subscription_update")?;
            let behavior = features.at("subscription_update").text("proration_behavior").to_owned();
            change(
                world,
                &subscription,
                Change::Plan(Plan { price, proration_behavior: behavior }),
            )?;
        }
        Act::AddMethod(method) => {
            allowed(&features, "payment_method_update")?;
            let made = payment_methods::make(world, &method)?;
            let more = json!({ "customer": customer, "payment_method_types": ["card", "sepa_debit"], "_portal": id, "_default": true });
            let intent = setup_intents::make(world, more);
            world.set(&intent, |intent| intent["payment_method"] = json!(made));
            setup_intents::confirm(world, &intent, None)?;
            if world.get(&intent).text("status") == "requires_action" {
                return Ok(Next::Challenge(intent));
            }
        }
        Act::SetDefault(method) => {
            own(world, Kind::PaymentMethod, &method, &customer)?;
            customers::set_default(world, &customer, &method);
        }
        Act::RemoveMethod(method) => {
            own(world, Kind::PaymentMethod, &method, &customer)?;
            payment_methods::detach(world, &method)?;
        }
    }
    Ok(page)
}

fn change(world: &mut World, subscription: &str, change: Change) -> Result<(), Fail> {
    let params = change.params(world.get(subscription));
    subscriptions::update(world, subscription, &params).map(drop)
}

fn own(world: &World, kind: Kind, id: &str, customer: &str) -> Result<(), Fail> {
    let found = world.need(kind, id, "id")?;
    if found.text("customer") == customer {
        Ok(())
    } else {
        Err(Fail::no_such(kind.noun(), id, "id"))
    }
}

fn allowed(features: &Value, feature: &str) -> Result<(), Fail> {
    if features.at(feature).flag("enabled") {
        return Ok(());
    }
    Err(Fail::request("The shop doesn't offer this here."))
}
