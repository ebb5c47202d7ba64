//! Payment methods: cards and SEPA Direct Debit, made from numbers or from Stripe's names for them.

use super::{cards, customers, setup_intents};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    params::Params,
    world::World,
};
use serde_json::{Value, json};

/// What somebody wants to pay with.
#[derive(Clone, Debug)]
pub(crate) enum Method {
    Card { number: String, exp_month: i64, exp_year: i64, cvc: String, name: Option<String> },
    Sepa { iban: String, name: String },
    Saved(String),
}

/// IBANs: one pays, one fails. Others pay too.
const FAILING_IBAN: &str = "IT60X0542811101000000123456";

/// `POST /v1/payment_methods`
pub(crate) fn create(world: &mut World, params: &Params) -> Answer {
    let method = match params.need("type")? {
        "card" => {
            let card = params.group("card").ok_or_else(|| Fail::missing("card"))?;
            match card.full("token") {
                Some(token) => Method::Card {
                    number: number_of(token, "card[token]")?.to_owned(),
                    exp_month: 12,
                    exp_year: year_of(world.now) + 5,
                    cvc: "123".to_owned(),
                    name: None,
                },
                None => Method::Card {
                    number: card
                        .need("number")
                        .map_err(|_| Fail::missing("card[number]"))?
                        .to_owned(),
                    exp_month: card
                        .int("exp_month")
                        .ok_or_else(|| Fail::missing("card[exp_month]"))?,
                    exp_year: card
                        .int("exp_year")
                        .ok_or_else(|| Fail::missing("card[exp_year]"))?,
                    cvc: card.full("cvc").unwrap_or("123").to_owned(),
                    name: None,
                },
            }
        }
        "sepa_debit" => {
            let iban = params.group("sepa_debit").ok_or_else(|| Fail::missing("sepa_debit"))?;
            let name = params
                .group("billing_details")
                .and_then(|details| details.full("name").map(str::to_owned));
            let Some(name) = name else { return Err(Fail::missing("billing_details[name]")) };
            let iban = iban.need("iban").map_err(|_| Fail::missing("sepa_debit[iban]"))?.to_owned();
            Method::Sepa { iban, name }
        }
        other => {
            let said = format!(
                "stripe-sim has payment methods of types card and sepa_debit, not {other}."
            );
            return Err(Fail::param("type", said));
        }
    };
    let id = make(world, &method)?;
    world.set(&id, |made| {
        if let Some(details) = params.value("billing_details").cloned() {
            crate::json::merge(&mut made["billing_details"], details);
        }
        params.echo_metadata(made);
    });
    Ok(world.get(&id).clone())
}

/// Makes one, or finds the saved one.
pub(crate) fn make(world: &mut World, method: &Method) -> Result<String, Fail> {
    match method {
        Method::Saved(id) => {
            Ok(world.need(Kind::PaymentMethod, id, "payment_method")?.text("id").to_owned())
        }
        Method::Sepa { iban, name } => {
            let iban: String =
                iban.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_uppercase();
            if !(15..=34).contains(&iban.len()) || !iban.chars().all(|c| c.is_ascii_alphanumeric())
            {
                let said = "The IBAN you provided is invalid.";
                return Err(Fail::param("sepa_debit[iban]", said).code("invalid_bank_account_iban"));
            }
            let last4: String = iban.chars().skip(iban.len().saturating_sub(4)).collect();
            let country: String = iban.chars().take(2).collect();
            let bank: String = iban.chars().skip(4).take(8).collect();
            let fingerprint = world.id("", 16);
            Ok(world.add(Kind::PaymentMethod, json!({
                "type": "sepa_debit", "metadata": {}, "_iban": iban, "allow_redisplay": "unspecified",
                "sepa_debit": {
                    "bank_code": bank, "branch_code": "", "country": country, "fingerprint": fingerprint,
                    "generated_from": { "charge": null, "setup_attempt": null }, "last4": last4,
                },
                "billing_details": details(Some(name)),
            })))
        }
        Method::Card { number, exp_month, exp_year, cvc, name } => {
            let number: String =
                number.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
            if !cards::is_known(&number) {
                return Err(Fail {
                    param: Some("number".to_owned()),
                    ..Fail::card("incorrect_number", "Your card number is incorrect.")
                });
            }
            if !(1..=12).contains(exp_month) {
                return Err(Fail {
                    param: Some("exp_month".to_owned()),
                    ..Fail::card("invalid_expiry_month", "Your card's expiration month is invalid.")
                });
            }
            let year = if *exp_year < 100 { exp_year + 2000 } else { *exp_year };
            if year < year_of(world.now) || year > year_of(world.now) + 50 {
                return Err(Fail {
                    param: Some("exp_year".to_owned()),
                    ..Fail::card("invalid_expiry_year", "Your card's expiration year is invalid.")
                });
            }
            if !(3..=4).contains(&cvc.len()) || !cvc.chars().all(|c| c.is_ascii_digit()) {
                return Err(Fail {
                    param: Some("cvc".to_owned()),
                    ..Fail::card("invalid_cvc", "Your card's security code is invalid.")
                });
            }
            Ok(add_card(world, &number, *exp_month, year, name.as_deref()))
        }
    }
}

fn add_card(
    world: &mut World,
    number: &str,
    exp_month: i64,
    exp_year: i64,
    name: Option<&str>,
) -> String {
    let (brand, country, funding) = cards::face(number);
    let last4: String = number.chars().skip(number.len().saturating_sub(4)).collect();
    // The same card is the same card in any world.
    let fingerprint: String = {
        let mut dice = fastrand::Rng::with_seed(
            number.bytes().fold(7, |sum: u64, b| sum.wrapping_mul(31) ^ u64::from(b)),
        );
        std::iter::repeat_with(|| dice.alphanumeric()).take(16).collect()
    };
    world.add(Kind::PaymentMethod, json!({
        "type": "card", "metadata": {}, "_number": number, "allow_redisplay": "unspecified",
        "billing_details": details(name),
        "card": {
            "brand": brand, "display_brand": brand, "country": country, "funding": funding,
            "exp_month": exp_month, "exp_year": exp_year, "fingerprint": fingerprint, "last4": last4,
            "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "unchecked" },
            "generated_from": null, "networks": { "available": [brand], "preferred": null },
            "regulated_status": "unregulated", "three_d_secure_usage": { "supported": true }, "wallet": null,
        },
    }))
}

fn details(name: Option<&str>) -> Value {
    let address = json!({ "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null });
    json!({ "address": address, "email": null, "name": name, "phone": null, "tax_id": null })
}

fn number_of(alias: &str, param: &str) -> Result<&'static str, Fail> {
    let noun = if param.contains("token") { "token" } else { "PaymentMethod" };
    cards::number_of(alias).ok_or_else(|| Fail::no_such(noun, alias, param))
}

/// The payment method that a parameter names: Stripe's names make a new one each time.
pub(crate) fn resolve(world: &mut World, id: &str, param: &str) -> Result<String, Fail> {
    if world.find(id).is_none() && (id.starts_with("pm_card_") || id.starts_with("tok_")) {
        let number = number_of(id, param)?;
        let year = year_of(world.now) + 5;
        return Ok(add_card(world, number, 12, year, None));
    }
    Ok(world.need(Kind::PaymentMethod, id, param)?.text("id").to_owned())
}

/// The calendar year of a time.
pub(crate) fn year_of(now: i64) -> i64 {
    i64::from(crate::calendar::date(now).year())
}

/// `GET /v1/payment_methods/:id`
pub(crate) fn retrieve(world: &mut World, id: &str) -> Answer {
    let id = resolve(world, id, "id").map_err(|fail| Fail { status: 404, ..fail })?;
    Ok(world.get(&id).clone())
}

/// `POST /v1/payment_methods/:id`
pub(crate) fn update(world: &mut World, id: &str, params: &Params) -> Answer {
    world.need(Kind::PaymentMethod, id, "id")?;
    let is_attached = world.get(id).at("customer").is_string();
    if !is_attached {
        return Err(Fail::request(
            "You must save this PaymentMethod to a customer before you can update it.",
        ));
    }
    world.edit(id, "payment_method.updated", |method| {
        if let Some(details) = params.value("billing_details").cloned() {
            crate::json::merge(&mut method["billing_details"], details);
        }
        if let Some(card) = params.value("card").cloned() {
            crate::json::merge(&mut method["card"], card);
        }
        params.echo(method, &["allow_redisplay"]);
        params.echo_metadata(method);
    });
    Ok(world.get(id).clone())
}

/// `POST /v1/payment_methods/:id/attach`
pub(crate) fn attach(world: &mut World, id: &str, params: &Params) -> Answer {
    let customer = params.need("customer")?.to_owned();
    world.need(Kind::Customer, &customer, "customer")?;
    let id = resolve(world, id, "id")?;
    setup_intents::check_card(world, &id)?;
    attach_to(world, &id, &customer)?;
    Ok(world.get(&id).clone())
}

/// Saves a method with a customer, if it isn't yet.
pub(crate) fn attach_to(world: &mut World, id: &str, customer: &str) -> Result<(), Fail> {
    match world.get(id).opt("customer") {
        Some(other) if other == customer => Ok(()),
        Some(_) => Err(Fail::request(
            "The payment method you provided has already been attached to a customer.",
        )),
        None if world.get(id).flag("_used_once") => Err(Fail::request(
            "This PaymentMethod was previously used without being attached to a Customer or was detached from a \
             Customer, and may not be used again.",
        )),
        None => {
            world.set(id, |method| method["customer"] = json!(customer));
            world.emit("payment_method.attached", id);
            Ok(())
        }
    }
}

/// `POST /v1/payment_methods/:id/detach`
pub(crate) fn detach(world: &mut World, id: &str) -> Answer {
    let customer = world.need(Kind::PaymentMethod, id, "id")?.text("customer").to_owned();
    if customer.is_empty() {
        return Err(Fail::request(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
        ));
    }
    world.edit(id, "payment_method.detached", |method| {
        method["customer"] = Value::Null;
        method["_used_once"] = json!(true);
    });
    customers::forget_method(world, &customer, id);
    Ok(world.get(id).clone())
}

/// `GET /v1/payment_methods`, `GET /v1/customers/:id/payment_methods`
pub(crate) fn list(world: &World, customer: Option<&str>, params: &Params, url: &str) -> Answer {
    if let Some(customer) = customer {
        world.need(Kind::Customer, customer, "customer")?;
    }
    world.list(Kind::PaymentMethod, params, url, |method| {
        customer.is_none_or(|customer| method.text("customer") == customer)
            && method.at("customer").is_string()
    })
}

/// Does its bank take days to pay?
pub(crate) fn is_delayed(method: &Value) -> bool {
    method.text("type") == "sepa_debit"
}

/// Will its bank pay in the end?
pub(crate) fn will_settle(method: &Value) -> bool {
    method.text("_iban") != FAILING_IBAN
}
