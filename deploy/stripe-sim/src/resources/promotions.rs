//! Coupons, the codes that people type, and the discounts that come of them.

use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    money,
    params::Params,
    world::World,
};
use serde_json::{Value, json};

/// `POST /v1/coupons`
pub(crate) fn create_coupon(world: &mut World, params: &Params) -> Answer {
    if let Some(id) = params.full("id").filter(|id| world.is_taken(id)) {
        return Err(Fail::param("id", "Coupon already exists.")
            .code("resource_already_exists")
            .with("coupon", &json!(id)));
    }
    let (percent, amount) = (params.value("percent_off"), params.int("amount_off"));
    match (percent, amount) {
        (Some(_), Some(_)) => {
            return Err(Fail::request(
                "You may only specify one of these parameters: amount_off, percent_off.",
            ));
        }
        (None, None) => return Err(Fail::request("Must provide percent_off or amount_off.")),
        (Some(percent), None) if !(1..=10_000).contains(&hundredths(percent)) => {
            return Err(Fail::param(
                "percent_off",
                "Invalid percent_off: must be greater than 0 and at most 100.",
            ));
        }
        (None, Some(..=0)) => {
            return Err(Fail::param(
                "amount_off",
                "This value must be greater than or equal to 1.",
            ));
        }
        _ => {}
    }
    let currency = match amount {
        Some(_) => Some(money::currency(params.need("currency")?, "currency")?),
        None => None,
    };
    let duration = params.full("duration").unwrap_or("once");
    if (duration == "repeating") != params.has("duration_in_months") {
        return Err(Fail::param(
            "duration_in_months",
            "You must pass duration_in_months if duration is repeating, and only then.",
        ));
    }
    let mut coupon = json!({
        "currency": currency, "duration": duration, "metadata": {}, "times_redeemed": 0, "valid": true,
    });
    params.echo(
        &mut coupon,
        &[
            "id",
            "amount_off",
            "percent_off",
            "duration_in_months",
            "max_redemptions",
            "name",
            "redeem_by",
            "applies_to",
        ],
    );
    params.echo_metadata(&mut coupon);
    let id = world.create(Kind::Coupon, "coupon.created", coupon);
    Ok(world.get(&id).clone())
}

/// `POST /v1/coupons/:id`
pub(crate) fn update_coupon(world: &mut World, id: &str, params: &Params) -> Answer {
    world.need(Kind::Coupon, id, "id")?;
    world.edit(id, "coupon.updated", |coupon| {
        params.echo(coupon, &["name"]);
        params.echo_metadata(coupon);
    });
    Ok(world.get(id).clone())
}

/// `DELETE /v1/coupons/:id`
pub(crate) fn delete_coupon(world: &mut World, id: &str) -> Answer {
    world.need(Kind::Coupon, id, "id")?;
    Ok(world.delete(Kind::Coupon, id, Some("coupon.deleted")))
}

/// `POST /v1/promotion_codes`
pub(crate) fn create_code(world: &mut World, params: &Params) -> Answer {
    let promotion = params.group("promotion").ok_or_else(|| Fail::missing("promotion"))?;
    let coupon =
        promotion.need("coupon").map_err(|_| Fail::missing("promotion[coupon]"))?.to_owned();
    world.need(Kind::Coupon, &coupon, "promotion[coupon]")?;
    let code = match params.full("code") {
        Some(code) => code.to_owned(),
        None => world.id("", 8).to_uppercase(),
    };
    let is_taken =
        |other: &Value| other.flag("active") && other.text("code").eq_ignore_ascii_case(&code);
    if world.all(Kind::PromotionCode).any(is_taken) {
        let said = format!("An active promotion code with `code: {code}` already exists.");
        return Err(Fail::param("code", said).code("resource_already_exists"));
    }
    let mut restrictions = json!({ "first_time_transaction": false, "minimum_amount": null, "minimum_amount_currency": null });
    if let Some(given) = params.value("restrictions").cloned() {
        crate::json::merge(&mut restrictions, given);
    }
    let mut made = json!({
        "active": true, "code": code, "metadata": {}, "restrictions": restrictions, "times_redeemed": 0,
        "promotion": { "type": "coupon", "coupon": coupon },
    });
    params.echo(&mut made, &["active", "customer", "expires_at", "max_redemptions"]);
    params.echo_metadata(&mut made);
    let id = world.create(Kind::PromotionCode, "promotion_code.created", made);
    Ok(world.get(&id).clone())
}

/// `POST /v1/promotion_codes/:id`
pub(crate) fn update_code(world: &mut World, id: &str, params: &Params) -> Answer {
    world.need(Kind::PromotionCode, id, "id")?;
    world.edit(id, "promotion_code.updated", |code| {
        params.echo(code, &["active"]);
        params.echo_metadata(code);
    });
    Ok(world.get(id).clone())
}

/// What is asked for: a coupon, and the code that named it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promotion {
    pub(crate) coupon: String,
    pub(crate) code: Option<String>,
}

/// What it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Basket<'a> {
    pub(crate) currency: &'a str,
    pub(crate) subtotal: i64,
    pub(crate) customer: Option<&'a str>,
}

/// Of a `discounts` parameter: at most one.
pub(crate) fn asked(
    world: &World,
    params: &Params,
    basket: Basket<'_>,
) -> Result<Option<Promotion>, Fail> {
    let discounts = params.groups("discounts");
    let Some(discount) = discounts.first() else { return Ok(None) };
    if discounts.len() > 1 {
        return Err(Fail::param("discounts", "stripe-sim takes one discount at a time."));
    }
    match (discount.full("coupon"), discount.full("promotion_code")) {
        (Some(coupon), _) => {
            let found = world.need(Kind::Coupon, coupon, "discounts[0][coupon]")?;
            check_coupon(world, found, basket)?;
            Ok(Some(Promotion { coupon: coupon.to_owned(), code: None }))
        }
        (None, Some(code)) => {
            let code = world.need(Kind::PromotionCode, code, "discounts[0][promotion_code]")?;
            check_code(world, code, basket)?;
            Ok(Some(promotion_of(code)))
        }
        (None, None) => Ok(None),
    }
}

fn check_coupon(world: &World, coupon: &Value, basket: Basket<'_>) -> Result<(), Fail> {
    let id = coupon.text("id");
    if coupon.flag("deleted") || is_used_up(world, coupon) {
        let said = format!("Coupon {id} is expired or used up.");
        return Err(Fail::param("coupon", said).code("coupon_expired"));
    }
    if coupon.opt("currency").is_some_and(|currency| currency != basket.currency) {
        let said = format!(
            "Coupon {id} takes off {}: it doesn't apply to {}.",
            coupon.text("currency"),
            basket.currency
        );
        return Err(Fail::param("coupon", said));
    }
    Ok(())
}

fn promotion_of(code: &Value) -> Promotion {
    let coupon = code.at("promotion").text("coupon").to_owned();
    Promotion { coupon, code: Some(code.text("id").to_owned()) }
}

fn is_used_up(world: &World, object: &Value) -> bool {
    let too_often = object
        .at("max_redemptions")
        .as_i64()
        .is_some_and(|most| object.int("times_redeemed") >= most);
    let ends = object.at("redeem_by").as_i64().or_else(|| object.at("expires_at").as_i64());
    too_often || ends.is_some_and(|ends| ends <= world.now)
}

fn check_code(world: &World, code: &Value, basket: Basket<'_>) -> Result<(), Fail> {
    let refuse = |said: &str| Fail::param("promotion_code", said);
    if !code.flag("active") || is_used_up(world, code) {
        let said = "This promotion code is expired or no longer active.";
        return Err(refuse(said).code("promotion_code_expired"));
    }
    check_coupon(world, world.get(code.at("promotion").text("coupon")), basket)?;
    if code.opt("customer").is_some_and(|owner| basket.customer != Some(owner)) {
        return Err(refuse("This promotion code belongs to another customer."));
    }
    let rules = code.at("restrictions");
    let (least, currency) = (rules.int("minimum_amount"), rules.text("minimum_amount_currency"));
    if least > 0 && (basket.subtotal < least || basket.currency != currency) {
        let said = format!(
            "This promotion code asks for an order of {} or more.",
            money::say(least, currency)
        );
        return Err(refuse(&said));
    }
    let has_bought = || {
        let mut charges = world.all(Kind::Charge);
        basket.customer.is_some_and(|customer| {
            charges.any(|charge| charge.text("customer") == customer && charge.flag("paid"))
        })
    };
    if rules.flag("first_time_transaction") && has_bought() {
        return Err(refuse("This promotion code is for a first purchase only."));
    }
    Ok(())
}

/// What somebody typed.
pub(crate) fn typed(world: &World, code: &str, basket: Basket<'_>) -> Result<Promotion, Fail> {
    let found = world
        .all(Kind::PromotionCode)
        .find(|known| known.text("code").eq_ignore_ascii_case(code.trim()));
    let Some(found) = found else {
        return Err(
            Fail::param("promotion_code", "This code is invalid.").code("promotion_code_invalid")
        );
    };
    check_code(world, found, basket)?;
    Ok(promotion_of(found))
}

/// Counts a use.
pub(crate) fn redeem(world: &mut World, promotion: &Promotion) {
    for id in std::iter::once(&promotion.coupon).chain(&promotion.code) {
        world.set(id, |used| used["times_redeemed"] = json!(used.int("times_redeemed") + 1));
    }
}

/// A percentage in hundredths, of a number such as 12.5.
fn hundredths(percent: &Value) -> i64 {
    let text = percent.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, "0"));
    let part: String = part.chars().chain("00".chars()).take(2).collect();
    whole.parse::<i64>().unwrap_or_default() * 100 + part.parse::<i64>().unwrap_or_default()
}

/// What a coupon takes off each of these amounts, which belong to products.
pub(crate) fn shares(coupon: &Value, amounts: &[(String, i64)]) -> Vec<i64> {
    let products = coupon.at("applies_to").items("products");
    let counts = |product: &str| products.is_empty() || products.iter().any(|one| one == product);
    let eligible =
        |(product, amount): &(String, i64)| if counts(product) { (*amount).max(0) } else { 0 };
    if !coupon.at("percent_off").is_null() {
        let percent = hundredths(coupon.at("percent_off"));
        return amounts.iter().map(|line| (eligible(line) * percent + 5_000) / 10_000).collect();
    }
    let total: i64 = amounts.iter().map(eligible).sum();
    let off = coupon.int("amount_off").min(total);
    let (mut left, mut rest) = (off, total);
    let mut share = |line: &(String, i64)| {
        let amount = eligible(line);
        // In order, so that the shares come to what is off.
        let part = i128::from(left) * i128::from(amount);
        let share = part.checked_div(i128::from(rest)).and_then(|share| i64::try_from(share).ok());
        let share = share.unwrap_or_default();
        (left, rest) = (left - share, rest - amount);
        share
    };
    amounts.iter().map(&mut share).collect()
}

/// Makes the discount of a promotion for a customer's subscription.
pub(crate) fn discount(
    world: &mut World,
    promotion: &Promotion,
    customer: &str,
    more: Value,
) -> String {
    redeem(world, promotion);
    let coupon = world.get(&promotion.coupon).clone();
    let start = world.now;
    let end = match coupon.text("duration") {
        "repeating" => {
            Some(crate::calendar::after(start, "month", coupon.int("duration_in_months")))
        }
        _ => None,
    };
    let mut discount = json!({
        "source": { "type": "coupon", "coupon": promotion.coupon }, "customer": customer, "start": start,
        "end": end, "promotion_code": promotion.code, "_once": coupon.text("duration") == "once",
    });
    crate::json::merge(&mut discount, more);
    let id = world.add(Kind::Discount, discount);
    world.set(&id, |discount| {
        if let Some(discount) = discount.as_object_mut() {
            discount.remove("livemode");
        }
    });
    id
}
