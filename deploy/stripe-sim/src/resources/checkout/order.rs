//! What is sold: a session's lines, and what they come to.

use super::need_open;
use crate::resources::{
    catalog, payment_intents,
    promotions::{self, Basket, Promotion},
    setup_intents, subscriptions,
};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    money,
    params::Params,
    skeleton,
    timers::Timer,
    world::World,
};
use serde_json::{Value, json};

/// How long a session lasts, at least, and at most or unless told.
const LIFETIME_MIN_SECONDS: i64 = 30 * 60;
const LIFETIME_SECONDS: i64 = 24 * 3_600;

/// Lines of a session.
const LINES_MAX: usize = 100;

/// Members that are shown as they were given.
const ECHOED: [&str; 17] = [
    "allow_promotion_codes",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "consent_collection",
    "customer",
    "customer_email",
    "locale",
    "mode",
    "payment_method_collection",
    "payment_method_options",
    "phone_number_collection",
    "saved_payment_method_options",
    "submit_type",
    "success_url",
    "ui_mode",
    "tax_id_collection",
];

/// `POST /v1/checkout/sessions`
pub(crate) fn create(world: &mut World, params: &Params) -> Answer {
    let mode = params.full("mode").unwrap_or("payment");
    if let Some(customer) = params.full("customer") {
        if params.has("customer_email") {
            return Err(Fail::param(
                "customer_email",
                "You may only specify one of these parameters: customer, customer_email.",
            ));
        }
        world.need(Kind::Customer, customer, "customer")?;
    }
    check_urls(params)?;
    let expires_at = expiry(world, params)?;
    let lines = ordered(world, params, mode)?;
    let currency = match lines.first() {
        Some(line) => line.at("price").text("currency").to_owned(),
        None => money::currency(params.full("currency").unwrap_or("usd"), "currency")?,
    };
    let asked = params.texts("payment_method_types");
    payment_intents::check_types(&asked, &currency)?;
    let types =
        if asked.is_empty() { payment_intents::usual_types(&currency) } else { json!(asked) };
    let subtotal =
        lines.iter().map(|line| catalog::amount_of(line.at("price"), line.int("quantity"))).sum();
    let basket = Basket { currency: &currency, subtotal, customer: params.full("customer") };
    let promotion = promotions::asked(world, params, basket)?;
    if promotion.is_some() && params.has("allow_promotion_codes") {
        return Err(Fail::request(
            "You may only specify one of these parameters: allow_promotion_codes, discounts.",
        ));
    }
    let id = world.id_of(Kind::CheckoutSession);
    let url = format!("{}/c/pay/{id}", world.public_url);
    let data = json!({
        "payment_intent_data": params.value("payment_intent_data"),
        "subscription_data": subscription_data(params),
    });
    let mut session = json!({
        "id": id, "adaptive_pricing": { "enabled": false },
        "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
        "branding_settings": branding(params), "currency": if mode == "setup" { Value::Null } else { json!(currency) },
        "custom_fields": [], "customer_creation": if mode == "payment" { json!("if_required") } else { Value::Null },
        "custom_text": { "after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null },
        "expires_at": expires_at, "metadata": {}, "mode": mode, "payment_method_options": {},
        "payment_method_types": types, "payment_method_collection": if mode == "subscription" { "always" } else { "if_required" },
        "payment_status": if mode == "setup" { "no_payment_required" } else { "unpaid" },
        "phone_number_collection": { "enabled": false }, "shipping_options": [], "status": "open",
        "ui_mode": "hosted_page", "url": url, "_lines": lines, "_data": data,
    });
    params.echo(&mut session, &ECHOED);
    params.echo(&mut session, &["customer_creation"]);
    params.echo_metadata(&mut session);
    if session.text("ui_mode") != "hosted_page" {
        let secret = world.id(&format!("{id}_secret_"), 40);
        session["client_secret"] = json!(secret);
        session["url"] = Value::Null;
    }
    if mode == "setup" {
        let mut more = json!({ "customer": params.full("customer"), "payment_method_types": session.at("payment_method_types"), "_session": id });
        if let Some(data) = params.group("setup_intent_data") {
            data.echo(&mut more, &["description"]);
            data.echo_metadata(&mut more);
        }
        session["setup_intent"] = json!(setup_intents::make(world, more));
    }
    world.add(Kind::CheckoutSession, session);
    set_promotion(world, &id, promotion);
    if let Err(fail) = check_total(world, &id) {
        world.delete(Kind::CheckoutSession, &id, None);
        return Err(fail);
    }
    world.at(expires_at, Timer::ExpireSession(id.clone()));
    Ok(world.get(&id).clone())
}

/// What a subscription that a session begins is told.
fn subscription_data(params: &Params) -> Value {
    let mut told = json!({});
    if let Some(data) = params.group("subscription_data") {
        data.echo(
            &mut told,
            &["description", "metadata", "trial_end", "trial_period_days", "trial_settings"],
        );
    }
    told
}

fn branding(params: &Params) -> Value {
    let mut branding = json!({
        "background_color": "#ffffff", "border_style": "rounded", "button_color": "#0074d4",
        "display_name": crate::resources::account::NAME, "font_family": "default", "icon": null, "logo": null,
    });
    if let Some(given) = params.value("branding_settings").cloned() {
        crate::json::merge(&mut branding, given);
    }
    branding
}

fn check_urls(params: &Params) -> Result<(), Fail> {
    let is_hosted = params.full("ui_mode").is_none_or(|mode| mode.starts_with("hosted"));
    if is_hosted && !params.has("success_url") {
        return Err(Fail::missing("success_url"));
    }
    for name in ["success_url", "cancel_url", "return_url"] {
        if let Some(url) = params.full(name) {
            let is_url = url.starts_with("http://") || url.starts_with("https://");
            if !is_url {
                let said = "Not a valid URL: an explicit scheme (such as https) must be provided.";
                return Err(Fail::param(name, said).code("url_invalid"));
            }
        }
    }
    Ok(())
}

fn expiry(world: &World, params: &Params) -> Result<i64, Fail> {
    let Some(at) = params.int("expires_at") else { return Ok(world.now + LIFETIME_SECONDS) };
    // Whoever asked reads a clock of their own.
    let slack = 60;
    match at - world.now {
        lasts if lasts < LIFETIME_MIN_SECONDS - slack => Err(Fail::param(
            "expires_at",
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
        )),
        lasts if lasts > LIFETIME_SECONDS + slack => Err(Fail::param(
            "expires_at",
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
        )),
        _ => Ok(at),
    }
}

/// The lines that are to be paid: `{id, price, quantity, adjustable_quantity}`, the price as it is now.
fn ordered(world: &mut World, params: &Params, mode: &str) -> Result<Vec<Value>, Fail> {
    let asked = params.groups("line_items");
    if mode == "setup" {
        return match asked.is_empty() {
            true => Ok(Vec::new()),
            false => {
                Err(Fail::param("line_items", "You may not pass `line_items` in `setup` mode."))
            }
        };
    }
    if asked.is_empty() {
        return Err(Fail::missing("line_items"));
    }
    if asked.len() > LINES_MAX {
        return Err(Fail::param(
            "line_items",
            format!("A session has at most {LINES_MAX} line items."),
        ));
    }
    let mut lines = Vec::new();
    for (at, line) in asked.iter().enumerate() {
        let param = format!("line_items[{at}]");
        let price = match (line.full("price"), line.group("price_data")) {
            (Some(price), _) => {
                let found = world.need(Kind::Price, price, &format!("{param}[price]"))?;
                if !found.flag("active") {
                    let said =
                        "The price specified is inactive. This field only accepts active prices.";
                    return Err(Fail::param(format!("{param}[price]"), said));
                }
                price.to_owned()
            }
            (None, Some(data)) => catalog::inline_price(world, &data)?,
            (None, None) => return Err(Fail::missing(&format!("{param}[price]"))),
        };
        let quantity = match line.int("quantity") {
            Some(quantity @ 1..=catalog::QUANTITY_MAX) => quantity,
            Some(_) => {
                return Err(Fail::param(
                    format!("{param}[quantity]"),
                    "This value must be between 1 and 999999.",
                ));
            }
            None if line.has("adjustable_quantity") => 1,
            None => {
                return Err(Fail::param(
                    format!("{param}[quantity]"),
                    "Quantity is required. Add `quantity` to `line_items`.",
                ));
            }
        };
        let id = world.id("li_1", 23);
        lines.push(json!({
            "id": id, "price": world.get(&price).clone(), "quantity": quantity,
            "adjustable_quantity": line.value("adjustable_quantity"),
        }));
    }
    check_lines(&lines, mode)?;
    Ok(lines)
}

fn check_lines(lines: &[Value], mode: &str) -> Result<(), Fail> {
    let is_recurring = |line: &Value| line.at("price").at("recurring").is_object();
    if mode == "payment" && lines.iter().any(is_recurring) {
        return Err(Fail::param(
            "line_items",
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only one-time prices.",
        ));
    }
    if mode == "subscription" && !lines.iter().any(is_recurring) {
        return Err(Fail::param(
            "line_items",
            "You must provide at least one recurring price in `subscription` mode when using prices.",
        ));
    }
    let currency = |line: &Value| line.at("price").text("currency").to_owned();
    if lines.iter().any(|line| Some(currency(line)) != lines.first().map(currency)) {
        return Err(Fail::param("line_items", "All line items must have the same currency."));
    }
    Ok(())
}

/// The lines of a session as the API shows them.
pub(crate) fn lines(world: &World, session: &str) -> Vec<Value> {
    let session = world.get(session);
    let lines = session.items("_lines");
    // What a trial is for is due when it ends.
    let data = session.at("_data").at("subscription_data");
    let is_trial = data.int("trial_period_days") > 0 || data.at("trial_end").is_i64();
    let amount = |line: &Value| match line.at("price").at("recurring") {
        Value::Object(_) if is_trial => 0,
        _ => catalog::amount_of(line.at("price"), line.int("quantity")),
    };
    let amounts: Vec<_> = lines
        .iter()
        .map(|line| (line.at("price").text("product").to_owned(), amount(line)))
        .collect();
    let coupon = world.get(session.at("_promotion").text("coupon"));
    let shares = promotions::shares(coupon, &amounts);
    lines.iter().zip(shares).map(|(line, share)| {
        let (price, subtotal) = (line.at("price"), amount(line));
        skeleton::nested("item", json!({
            "id": line.at("id"), "amount_discount": share, "amount_subtotal": subtotal, "amount_tax": 0,
            "amount_total": subtotal - share, "currency": price.at("currency"),
            "description": world.get(price.text("product")).at("name"), "price": price,
            "quantity": line.at("quantity"), "_adjustable": line.at("adjustable_quantity"),
        }))
    }).collect()
}

/// `GET /v1/checkout/sessions/:id/line_items`
pub(crate) fn list_lines(world: &World, id: &str, params: &Params) -> Answer {
    world.need(Kind::CheckoutSession, id, "id")?;
    let url = format!("/v1/checkout/sessions/{id}/line_items");
    crate::world::page(lines(world, id).iter(), |_| true, params, &url, Kind::CheckoutSession)
}

fn set_promotion(world: &mut World, id: &str, promotion: Option<Promotion>) {
    world.set(id, |session| {
        session["discounts"] = match &promotion {
            Some(promotion) => {
                json!([{ "coupon": promotion.coupon, "promotion_code": promotion.code }])
            }
            None => json!([]),
        };
        session["_promotion"] = match &promotion {
            Some(promotion) => json!({ "coupon": promotion.coupon, "code": promotion.code }),
            None => Value::Null,
        };
    });
    sum(world, id);
}

/// The order changed: whatever was attempted for the one before is given up.
fn start_anew(world: &mut World, id: &str) {
    let session = world.get(id).clone();
    if let Some(subscription) = session.opt("_subscription") {
        subscriptions::expire_incomplete(world, subscription);
        world.set(id, |session| {
            for member in ["_subscription", "_intent", "subscription", "invoice"] {
                session[member] = Value::Null;
            }
        });
    } else if let Some(intent) = session.opt("_intent") {
        payment_intents::cancel(world, intent, Some("abandoned"));
        world.set(id, |session| {
            session["_intent"] = Value::Null;
            session["payment_intent"] = Value::Null;
        });
    }
}

/// The totals, from the lines.
fn sum(world: &mut World, id: &str) {
    let lines = lines(world, id);
    let total = |member: &str| lines.iter().map(|line| line.int(member)).sum::<i64>();
    let (subtotal, discount) = (total("amount_subtotal"), total("amount_discount"));
    world.set(id, |session| {
        if session.text("mode") != "setup" {
            session["amount_subtotal"] = json!(subtotal);
            session["amount_total"] = json!(subtotal - discount);
            session["total_details"] =
                json!({ "amount_discount": discount, "amount_shipping": 0, "amount_tax": 0 });
        }
    });
}

fn check_total(world: &World, id: &str) -> Result<(), Fail> {
    let session = world.get(id);
    let (total, currency) = (session.int("amount_total"), session.text("currency"));
    if session.text("mode") == "payment" && total > 0 && total < money::least(currency) {
        let least = money::say(money::least(currency), currency);
        let said =
            format!("The Checkout Session's total amount due must add up to at least {least}");
        return Err(Fail::request(said).code("amount_too_small"));
    }
    Ok(())
}

/// Takes or removes a code that somebody typed.
pub(crate) fn apply_promotion(world: &mut World, id: &str, code: Option<&str>) -> Result<(), Fail> {
    let session = need_open(world, id, "updated")?;
    if !session.flag("allow_promotion_codes") {
        return Err(Fail::param("promotion_code", "This session takes no promotion codes."));
    }
    let basket = Basket {
        currency: session.text("currency"),
        subtotal: session.int("amount_subtotal"),
        customer: session.opt("customer"),
    };
    let promotion = code.map(|code| promotions::typed(world, code, basket)).transpose()?;
    start_anew(world, id);
    set_promotion(world, id, promotion);
    Ok(())
}

/// Takes quantities that somebody chose, of lines that leave the choice.
pub(crate) fn change_quantities(
    world: &mut World,
    id: &str,
    quantities: &[(String, i64)],
) -> Result<(), Fail> {
    for (line_id, quantity) in quantities {
        let session = world.get(id);
        let line = session.items("_lines").iter().find(|line| line.text("id") == line_id);
        let rule = line.map_or(&Value::Null, |line| line.at("adjustable_quantity"));
        let (least, most) =
            (rule.at("minimum").as_i64().unwrap_or(0), rule.at("maximum").as_i64().unwrap_or(99));
        if !rule.flag("enabled") || *quantity < least.max(1) || *quantity > most {
            return Err(Fail::param(
                "quantity",
                format!("The quantity has to be from {} to {most}.", least.max(1)),
            ));
        }
        world.set(id, |session| {
            if let Some(lines) = session["_lines"].as_array_mut() {
                for line in lines.iter_mut().filter(|line| line.text("id") == line_id) {
                    line["quantity"] = json!(quantity);
                }
            }
        });
    }
    if !quantities.is_empty() {
        start_anew(world, id);
    }
    sum(world, id);
    check_total(world, id)
}
