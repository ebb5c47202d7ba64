//! Products and prices: what is for sale.

use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    money,
    params::Params,
    skeleton,
    world::World,
};
use serde_json::{Value, json};

/// `POST /v1/products`
pub(crate) fn create_product(world: &mut World, params: &Params) -> Answer {
    params.need("name")?;
    if let Some(id) = params.full("id").filter(|id| world.is_taken(id)) {
        return Err(Fail::param("id", format!("Product already exists: {id}"))
            .code("resource_already_exists"));
    }
    let id = add_product(world, params);
    if let Some(data) = params.group("default_price_data") {
        let currency = money::currency(data.need("currency")?, "default_price_data[currency]")?;
        let price = add_price(world, &data, &currency, &id, Listed::Yes)?;
        world.set(&id, |product| product["default_price"] = json!(price));
    }
    world.emit("product.created", &id);
    Ok(world.get(&id).clone())
}

fn add_product(world: &mut World, params: &Params) -> String {
    let mut product = json!({
        "active": true, "images": [], "marketing_features": [], "metadata": {}, "type": "service",
        "updated": world.now,
    });
    params.echo(
        &mut product,
        &[
            "id",
            "name",
            "active",
            "description",
            "images",
            "marketing_features",
            "package_dimensions",
            "shippable",
            "statement_descriptor",
            "tax_code",
            "unit_label",
            "url",
        ],
    );
    params.echo_metadata(&mut product);
    world.add(Kind::Product, product)
}

/// `POST /v1/products/:id`
pub(crate) fn update_product(world: &mut World, id: &str, params: &Params) -> Answer {
    world.need(Kind::Product, id, "id")?;
    if let Some(price) = params.full("default_price") {
        world.need(Kind::Price, price, "default_price")?;
    }
    let now = world.now;
    world.edit(id, "product.updated", |product| {
        params.echo(
            product,
            &[
                "name",
                "active",
                "description",
                "images",
                "default_price",
                "marketing_features",
                "shippable",
                "statement_descriptor",
                "tax_code",
                "unit_label",
                "url",
            ],
        );
        params.echo_metadata(product);
        product["updated"] = json!(now);
    });
    Ok(world.get(id).clone())
}

/// `DELETE /v1/products/:id`
pub(crate) fn delete_product(world: &mut World, id: &str) -> Answer {
    world.need(Kind::Product, id, "id")?;
    if world.all(Kind::Price).any(|price| price.text("product") == id) {
        let said = "This product cannot be deleted because it has one or more user-created prices.";
        return Err(Fail::param("id", said));
    }
    Ok(world.delete(Kind::Product, id, Some("product.deleted")))
}

/// Is a price for others to find, or part of one sale?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    Yes,
    No,
}

/// `POST /v1/prices`
pub(crate) fn create_price(world: &mut World, params: &Params) -> Answer {
    let currency = money::currency(params.need("currency")?, "currency")?;
    let product = match (params.full("product"), params.group("product_data")) {
        (Some(product), _) => world.need(Kind::Product, product, "product")?.text("id").to_owned(),
        (None, Some(data)) => {
            let product = add_product(world, &data);
            world.emit("product.created", &product);
            product
        }
        (None, None) => return Err(Fail::missing("product")),
    };
    let id = add_price(world, params, &currency, &product, Listed::Yes)?;
    world.emit("price.created", &id);
    Ok(world.get(&id).clone())
}

/// A price that a call describes instead of naming one.
pub(crate) fn inline_price(world: &mut World, data: &Params) -> Result<String, Fail> {
    let currency = money::currency(data.need("currency")?, "price_data[currency]")?;
    let product = match (data.full("product"), data.group("product_data")) {
        (Some(product), _) => {
            world.need(Kind::Product, product, "price_data[product]")?.text("id").to_owned()
        }
        (None, Some(product)) => add_product(world, &product),
        (None, None) => return Err(Fail::missing("price_data[product_data]")),
    };
    add_price(world, data, &currency, &product, Listed::No)
}

fn add_price(
    world: &mut World,
    params: &Params,
    currency: &str,
    product: &str,
    listed: Listed,
) -> Result<String, Fail> {
    let amount = match (params.int("unit_amount"), params.text("unit_amount_decimal")) {
        (Some(amount), _) => Some(amount),
        (None, Some(decimal)) => Some(decimal.parse().map_err(|_| {
            Fail::param("unit_amount_decimal", "stripe-sim has whole minor units only.")
        })?),
        (None, None) => None,
    };
    let custom =
        params.group("custom_unit_amount").filter(|custom| custom.flag("enabled") == Some(true));
    let Some(amount) = amount.or_else(|| custom.as_ref().map(|_| 0)) else {
        return Err(Fail::missing("unit_amount"));
    };
    if !(0..=money::AMOUNT_MAX).contains(&amount) {
        let said = format!("This value must be from 0 to {}.", money::AMOUNT_MAX);
        return Err(Fail::param("unit_amount", said).code("parameter_invalid_integer"));
    }
    let key = params.full("lookup_key");
    if let Some(taken) =
        key.and_then(|key| world.all(Kind::Price).find(|price| price.text("lookup_key") == key))
    {
        let taken = taken.text("id").to_owned();
        if params.flag("transfer_lookup_key") != Some(true) {
            let said = format!("A price (`{taken}`) already uses that lookup key.");
            return Err(Fail::param("lookup_key", said).code("resource_already_exists"));
        }
        world.edit(&taken, "price.updated", |price| price["lookup_key"] = Value::Null);
    }
    let recurring = params.group("recurring").map(|recurring| json!({
        "interval": recurring.full("interval").unwrap_or("month"),
        "interval_count": recurring.int("interval_count").unwrap_or(1),
        "meter": null, "trial_period_days": recurring.int("trial_period_days"), "usage_type": "licensed",
    }));
    let shown = custom.is_none().then_some(amount);
    let mut price = json!({
        "active": listed == Listed::Yes, "billing_scheme": "per_unit", "currency": currency,
        "custom_unit_amount": custom.map(|custom| json!({ "maximum": custom.int("maximum"), "minimum": custom.int("minimum"), "preset": custom.int("preset") })),
        "metadata": {}, "product": product, "type": if recurring.is_some() { "recurring" } else { "one_time" },
        "recurring": recurring, "tax_behavior": "unspecified", "unit_amount": shown,
        "unit_amount_decimal": shown.map(|amount| amount.to_string()),
    });
    params.echo(&mut price, &["active", "lookup_key", "nickname", "tax_behavior"]);
    params.echo_metadata(&mut price);
    Ok(world.add(Kind::Price, price))
}

/// `POST /v1/prices/:id`
pub(crate) fn update_price(world: &mut World, id: &str, params: &Params) -> Answer {
    world.need(Kind::Price, id, "id")?;
    world.edit(id, "price.updated", |price| {
        params.echo(price, &["active", "lookup_key", "nickname", "tax_behavior"]);
        params.echo_metadata(price);
    });
    Ok(world.get(id).clone())
}

/// `GET /v1/prices`
pub(crate) fn prices(world: &World, params: &Params) -> Answer {
    let keys = params.texts("lookup_keys");
    let recurring = params.group("recurring");
    let interval = recurring.as_ref().and_then(|recurring| recurring.full("interval"));
    world.list(Kind::Price, &params.without("recurring"), "/v1/prices", |price| {
        (keys.is_empty() || keys.contains(&price.text("lookup_key")))
            && interval.is_none_or(|interval| price.at("recurring").text("interval") == interval)
    })
}

/// `GET /v1/products`
pub(crate) fn products(world: &World, params: &Params) -> Answer {
    let ids = params.texts("ids");
    world.list(Kind::Product, params, "/v1/products", |product| {
        ids.is_empty() || ids.contains(&product.text("id"))
    })
}

/// A price as plans were, before there were prices.
pub(crate) fn plan(price: &Value) -> Value {
    let recurring = price.at("recurring");
    skeleton::nested(
        "plan",
        json!({
            "id": price.at("id"), "active": price.at("active"), "amount": price.at("unit_amount"),
            "amount_decimal": price.at("unit_amount_decimal"), "billing_scheme": "per_unit",
            "created": price.at("created"), "currency": price.at("currency"), "interval": recurring.at("interval"),
            "interval_count": recurring.at("interval_count"), "livemode": false, "metadata": price.at("metadata"),
            "nickname": price.at("nickname"), "product": price.at("product"), "usage_type": "licensed",
        }),
    )
}

/// The most of one thing that is bought at once.
pub(crate) const QUANTITY_MAX: i64 = 999_999;

/// How many were asked for: one, unless told.
pub(crate) fn quantity(params: &Params, param: &str) -> Result<i64, Fail> {
    match params.int("quantity") {
        None => Ok(1),
        Some(quantity @ 0..=QUANTITY_MAX) => Ok(quantity),
        Some(_) => Err(Fail::param(param, format!("This value must be from 0 to {QUANTITY_MAX}."))
            .code("parameter_invalid_integer")),
    }
}

/// What a price asks for so many.
pub(crate) fn amount_of(price: &Value, quantity: i64) -> i64 {
    price.int("unit_amount").saturating_mul(quantity)
}
