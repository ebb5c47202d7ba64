//! Invoice items: what waits for the next invoice.

use super::{need, set_lines};
use crate::resources::{catalog, lines};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    money,
    params::Params,
    world::World,
};
use serde_json::{Value, json};

/// Invoice items that wait for an invoice of this customer, or of this subscription.
pub(crate) fn pending(world: &World, customer: &str, subscription: Option<&str>) -> Vec<String> {
    let waiting = |item: &&Value| {
        item.text("customer") == customer
            && item.at("invoice").is_null()
            && item.at("parent").at("subscription_details").opt("subscription") == subscription
    };
    let mut ids: Vec<_> = world
        .all(Kind::InvoiceItem)
        .filter(waiting)
        .map(|item| item.text("id").to_owned())
        .collect();
    ids.reverse();
    ids
}

/// Their lines.
pub(crate) fn pending_lines(world: &mut World, items: &[String]) -> Vec<Value> {
    let items: Vec<_> = items.iter().map(|id| world.get(id).clone()).collect();
    items.iter().map(|item| lines::of_invoice_item(world, item)).collect()
}

/// They wait no more.
pub(crate) fn take_pending(world: &mut World, items: &[String], invoice: &str) {
    for item in items {
        world.set(item, |item| item["invoice"] = json!(invoice));
    }
}

/// `POST /v1/invoiceitems`
pub(crate) fn create_item(world: &mut World, params: &Params) -> Answer {
    let customer = params.need("customer")?;
    world.need(Kind::Customer, customer, "customer")?;
    let quantity = catalog::quantity(params, "quantity")?;
    let price = match (
        params.group("pricing").and_then(|pricing| pricing.full("price").map(str::to_owned)),
        params.group("price_data"),
    ) {
        (Some(price), _) => world.need(Kind::Price, &price, "pricing[price]")?.clone(),
        (None, Some(data)) => {
            let price = catalog::inline_price(world, &data)?;
            world.get(&price).clone()
        }
        (None, None) => {
            json!({ "currency": money::currency(params.need("currency")?, "currency")? })
        }
    };
    let amount = match params.int("amount").or_else(|| params.int("unit_amount")) {
        Some(amount) if !(-money::AMOUNT_MAX..=money::AMOUNT_MAX).contains(&amount) => {
            return Err(Fail::param(
                "amount",
                format!("An amount is {} at most.", money::AMOUNT_MAX),
            ));
        }
        Some(amount) => amount,
        None if price.opt("id").is_some() => catalog::amount_of(&price, quantity),
        None => return Err(Fail::missing("amount")),
    };
    let description = params.full("description").unwrap_or("Invoice item").to_owned();
    let period = (world.now, world.now);
    let id = lines::add_pending(
        world,
        &lines::Pending {
            customer,
            subscription: None,
            price: &price,
            amount,
            quantity,
            description,
            period,
        },
    );
    world.set(&id, |item| {
        params.echo(item, &["discountable"]);
        params.echo_metadata(item);
    });
    if let Some(invoice) = params.full("invoice") {
        let draft = need(world, invoice, &["draft"], "updated")?;
        if draft.text("customer") != customer || draft.at("currency") != price.at("currency") {
            let said = "The invoice item and its invoice must have the same customer and currency.";
            return Err(Fail::param("invoice", said));
        }
        let item = world.get(&id).clone();
        let mut line = lines::of_invoice_item(world, &item);
        line["invoice"] = json!(invoice);
        let mut changed = world.get(invoice).clone();
        let mut all = changed.items("lines").to_vec();
        all.push(line);
        set_lines(world, &mut changed, all);
        world.set(invoice, |invoice| *invoice = changed);
        take_pending(world, std::slice::from_ref(&id), invoice);
    }
    Ok(world.get(&id).clone())
}

/// `POST /v1/invoiceitems/:id`
pub(crate) fn update_item(world: &mut World, id: &str, params: &Params) -> Answer {
    let item = world.need(Kind::InvoiceItem, id, "id")?.clone();
    let amount = params.int("amount");
    if amount.is_some_and(|amount| !(-money::AMOUNT_MAX..=money::AMOUNT_MAX).contains(&amount)) {
        return Err(Fail::param("amount", format!("An amount is {} at most.", money::AMOUNT_MAX)));
    }
    if item.at("invoice").is_string() && (amount.is_some() || params.has("discountable")) {
        let said =
            "This invoice item is on an invoice already: delete that draft, or make another item.";
        return Err(Fail::param("amount", said));
    }
    world.set(id, |item| {
        params.echo(item, &["amount", "description", "discountable"]);
        params.echo_metadata(item);
    });
    Ok(world.get(id).clone())
}

/// `DELETE /v1/invoiceitems/:id`
pub(crate) fn delete_item(world: &mut World, id: &str) -> Answer {
    if world.need(Kind::InvoiceItem, id, "id")?.at("invoice").is_string() {
        return Err(Fail::request("This invoice item belongs to an invoice and can't be deleted."));
    }
    Ok(world.delete(Kind::InvoiceItem, id, Some("invoiceitem.deleted")))
}

/// `GET /v1/invoiceitems`
pub(crate) fn list_items(world: &World, params: &Params) -> Answer {
    let pending = params.flag("pending");
    world.list(Kind::InvoiceItem, params, "/v1/invoiceitems", |item| {
        pending.is_none_or(|pending| item.at("invoice").is_null() == pending)
    })
}
