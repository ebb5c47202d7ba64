//! The lines of invoices: what a period costs, and what a change in the middle of one is worth.

use super::{catalog, promotions};
use crate::{calendar, json::Look as _, kind::Kind, money, skeleton, world::World};
use serde_json::{Value, json};

/// From and to, Unix seconds.
pub(crate) type Period = (i64, i64);

/// What a period costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Costs {
    ItsPrice,
    /// It is a trial.
    Nothing,
}

/// The line of a subscription's item for a period.
pub(crate) fn of_item(
    world: &mut World,
    subscription: &str,
    item: &Value,
    period: Period,
    costs: Costs,
) -> Value {
    let (price, quantity) = (item.at("price"), item.int("quantity"));
    let name = world.get(price.text("product")).text("name").to_owned();
    let amount = match costs {
        Costs::Nothing => 0,
        Costs::ItsPrice => catalog::amount_of(price, quantity),
    };
    let description = if costs == Costs::Nothing {
        format!("Trial period for {name}")
    } else {
        let each = money::say(price.int("unit_amount"), price.text("currency"));
        format!("{quantity} × {name} (at {each} / {})", price.at("recurring").text("interval"))
    };
    let parent = json!({ "type": "subscription_item_details", "invoice_item_details": null, "subscription_item_details": {
        "invoice_item": null, "proration": false, "proration_details": { "credited_items": null },
        "subscription": subscription, "subscription_item": item.at("id"),
    }});
    line(world, amount, &description, parent, period, price, quantity, item.at("metadata"))
}

#[expect(clippy::too_many_arguments, reason = "a line is what these say, and nothing else")]
fn line(
    world: &mut World,
    amount: i64,
    description: &str,
    parent: Value,
    period: Period,
    price: &Value,
    quantity: i64,
    metadata: &Value,
) -> Value {
    let id = world.id("il_1", 23);
    let unit = if quantity == 0 { amount } else { amount / quantity };
    let pricing = match price.opt("id") {
        Some(id) => {
            json!({ "type": "price_details", "price_details": { "price": id, "product": price.at("product") }, "unit_amount_decimal": unit.to_string() })
        }
        None => Value::Null,
    };
    skeleton::nested(
        "line_item",
        json!({
            "id": id, "amount": amount, "currency": price.at("currency"), "description": description,
            "discount_amounts": [], "discountable": true, "discounts": [], "livemode": false, "metadata": metadata,
            "parent": parent, "period": { "start": period.0, "end": period.1 }, "pretax_credit_amounts": [],
            "pricing": pricing, "quantity": quantity, "subtotal": amount, "taxes": [],
        }),
    )
}

/// The line of an invoice item.
pub(crate) fn of_invoice_item(world: &mut World, item: &Value) -> Value {
    let details = item.at("parent").at("subscription_details");
    let parent = match details.opt("subscription") {
        Some(subscription) => {
            json!({ "type": "subscription_item_details", "invoice_item_details": null, "subscription_item_details": {
                "invoice_item": item.at("id"), "proration": item.at("proration"), "proration_details": { "credited_items": null },
                "subscription": subscription, "subscription_item": details.at("subscription_item"),
            }})
        }
        None => {
            json!({ "type": "invoice_item_details", "subscription_item_details": null, "invoice_item_details": {
                "invoice_item": item.at("id"), "proration": false, "proration_details": { "credited_items": null }, "subscription": null,
            }})
        }
    };
    let price = item.at("pricing").at("price_details").text("price");
    let mut price = world.get(price).clone();
    if !price.is_object() {
        price = json!({ "currency": item.at("currency") });
    }
    let period = (item.at("period").int("start"), item.at("period").int("end"));
    let quantity = item.int("quantity").max(1);
    let mut made = line(
        world,
        item.int("amount"),
        item.text("description"),
        parent,
        period,
        &price,
        quantity,
        item.at("metadata"),
    );
    made["discountable"] = item.at("discountable").clone();
    made
}

/// Something that is to be paid with the next invoice.
#[derive(Debug)]
pub(crate) struct Pending<'a> {
    pub(crate) customer: &'a str,
    /// A subscription, and its item.
    pub(crate) subscription: Option<(&'a str, &'a str)>,
    pub(crate) price: &'a Value,
    pub(crate) amount: i64,
    pub(crate) quantity: i64,
    pub(crate) description: String,
    pub(crate) period: Period,
}

/// Makes an invoice item.
pub(crate) fn add_pending(world: &mut World, pending: &Pending<'_>) -> String {
    let parent = pending.subscription.map(|(subscription, item)| {
        json!({
            "type": "subscription_details",
            "subscription_details": { "subscription": subscription, "subscription_item": item },
        })
    });
    let price = pending.price;
    let unit = pending.amount / pending.quantity.max(1);
    let pricing = price.opt("id").map(|id| json!({
        "type": "price_details", "price_details": { "price": id, "product": price.at("product") },
        "unit_amount_decimal": unit.to_string(),
    }));
    let now = world.now;
    world.create(Kind::InvoiceItem, "invoiceitem.created", json!({
        "amount": pending.amount, "currency": price.at("currency"), "customer": pending.customer, "date": now,
        "description": pending.description, "discountable": pending.subscription.is_none(), "discounts": [],
        "metadata": {}, "net_amount": pending.amount, "parent": parent,
        "period": { "start": pending.period.0, "end": pending.period.1 }, "pricing": pricing,
        "proration": pending.subscription.is_some(), "quantity": pending.quantity,
        "quantity_decimal": pending.quantity.to_string(), "tax_rates": [],
    }))
}

/// What is left of a period at a time, of an amount for the whole: rounded to the nearest.
pub(crate) fn rest_of(amount: i64, period: Period, now: i64) -> i64 {
    let whole = i128::from((period.1 - period.0).max(1));
    let left = i128::from((period.1 - now).clamp(0, period.1 - period.0));
    let rest = (i128::from(amount) * left * 2 + whole) / (whole * 2);
    i64::try_from(rest).unwrap_or(i64::MAX)
}

/// What a change of a subscription's item in the middle of a period is worth: the rest of the old one back,
/// the rest of the new one due. Each is a price, and how many.
pub(crate) fn prorate(
    world: &mut World,
    subscription: &Value,
    item: &str,
    old: Option<(&Value, i64)>,
    new: Option<(&Value, i64)>,
    period: Period,
) {
    let now = world.now;
    let day = calendar::say(now);
    let (customer, id) =
        (subscription.text("customer").to_owned(), subscription.text("id").to_owned());
    let sides = [(old, -1, "Unused time on"), (new, 1, "Remaining time on")];
    for ((price, quantity), sign, words) in
        sides.into_iter().filter_map(|(side, sign, words)| Some((side?, sign, words)))
    {
        // What is given back is what was paid; what is due is due at today's discount.
        let counts = |discount: &Value| {
            let ended = discount.at("end").as_i64().is_some_and(|end| end <= period.0);
            !ended && (sign < 0 || !discount.flag("_used"))
        };
        let whole = discounted(world, subscription, price, quantity, counts);
        let amount = sign * rest_of(whole, period, now);
        if amount == 0 {
            continue;
        }
        let name = world.get(price.text("product")).text("name").to_owned();
        let times = if quantity == 1 { String::new() } else { format!("{quantity} × ") };
        add_pending(
            world,
            &Pending {
                customer: &customer,
                subscription: Some((&id, item)),
                price,
                amount,
                quantity,
                description: format!("{words} {times}{name} after {day}"),
                period: (now, period.1),
            },
        );
    }
}

/// What a price comes to, less those of a subscription's discounts that count.
fn discounted(
    world: &World,
    subscription: &Value,
    price: &Value,
    quantity: i64,
    counts: impl Fn(&Value) -> bool,
) -> i64 {
    let discounts = subscription.items("discounts").iter().filter_map(Value::as_str);
    let discounts = discounts.map(|id| world.get(id)).filter(|discount| counts(discount));
    let whole = catalog::amount_of(price, quantity);
    discounts.fold(whole, |left, discount| {
        let coupon = world.get(discount.at("source").text("coupon"));
        let share = promotions::shares(coupon, &[(price.text("product").to_owned(), left)]);
        left - share.iter().sum::<i64>()
    })
}

/// Takes discounts off lines; says how much in all, by discount.
pub(crate) fn discount(
    world: &World,
    lines: &mut [Value],
    discounts: &[String],
) -> Vec<(String, i64)> {
    let mut taken = Vec::new();
    for discount in discounts {
        let coupon = world.get(world.get(discount).at("source").text("coupon"));
        let amounts: Vec<_> = lines
            .iter()
            .map(|line| {
                let product = line.at("pricing").at("price_details").text("product").to_owned();
                let before: i64 =
                    line.items("discount_amounts").iter().map(|other| other.int("amount")).sum();
                (product, if line.flag("discountable") { line.int("amount") - before } else { 0 })
            })
            .collect();
        let shares = promotions::shares(coupon, &amounts);
        for (line, share) in lines.iter_mut().zip(&shares) {
            if let Some(amounts) = line["discount_amounts"].as_array_mut() {
                amounts.push(json!({ "amount": share, "discount": discount }));
            }
        }
        taken.push((discount.clone(), shares.iter().sum()));
    }
    taken
}
