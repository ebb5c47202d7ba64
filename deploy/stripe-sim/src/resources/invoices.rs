//! Invoices: what is owed, from draft to paid, and what is tried when it isn't.

mod items;
mod payment;

pub(crate) use items::{
    create_item, delete_item, list_items, pending, pending_lines, take_pending, update_item,
};
pub(crate) use payment::{
    advance, charge, intent_moved, list_payments, of_intent, pay, pay_hosted, payments, retry,
};

use super::{
    lines,
    lines::Period,
    payment_intents::{self, Wish},
    promotions::{self, Basket},
};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    money,
    params::Params,
    timers::Timer,
    world::World,
};
use payment::mark_paid;
use serde_json::{Value, json};

/// How long a renewal's invoice is a draft.
pub(crate) const DRAFT_SECONDS: i64 = 3_600;

/// An invoice to be made.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) customer: &'a str,
    pub(crate) currency: &'a str,
    pub(crate) subscription: Option<&'a str>,
    pub(crate) reason: &'a str,
    pub(crate) lines: Vec<Value>,
    pub(crate) period: Period,
    pub(crate) discounts: Vec<String>,
    /// Anything else that it shows from the start.
    pub(crate) more: Value,
}

/// Makes a draft.
pub(crate) fn make(world: &mut World, draft: Draft<'_>) -> String {
    let id = world.id_of(Kind::Invoice);
    let customer = world.get(draft.customer).clone();
    let subscription = draft.subscription.map(|id| world.get(id).clone());
    let parent = subscription.as_ref().map(|subscription| json!({
        "type": "subscription_details", "quote_details": null,
        "subscription_details": { "metadata": subscription.at("metadata"), "subscription": subscription.at("id") },
    }));
    let (now, currency) = (world.now, draft.currency);
    let mut lines = draft.lines;
    for line in &mut lines {
        line["invoice"] = json!(id);
    }
    let mut invoice = json!({
        "id": id, "account_country": "US", "account_name": super::account::NAME, "attempt_count": 0, "attempted": false,
        "auto_advance": true, "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null, "provider": null, "status": null },
        "automatically_finalizes_at": null, "billing_reason": draft.reason, "collection_method": "charge_automatically",
        "currency": currency, "customer": draft.customer, "customer_email": customer.at("email"),
        "customer_name": customer.at("name"), "customer_address": customer.at("address"), "customer_phone": customer.at("phone"),
        "customer_shipping": customer.at("shipping"), "customer_tax_exempt": "none", "customer_tax_ids": [],
        "default_tax_rates": [], "discounts": draft.discounts, "effective_at": null, "issuer": { "type": "self" },
        "metadata": {}, "parent": parent, "payment_settings": { "default_mandate": null, "payment_method_options": null, "payment_method_types": null },
        "period_start": draft.period.0, "period_end": draft.period.1, "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0, "status": "draft",
        "status_transitions": { "finalized_at": null, "marked_uncollectible_at": null, "paid_at": null, "voided_at": null },
        "starting_balance": customer.int("balance"), "total_taxes": [], "webhooks_delivered_at": now,
    });
    let nothing_yet = json!({ "amount_paid": 0, "amount_paid_off_stripe": 0, "amount_overpaid": 0, "amount_shipping": 0 });
    crate::json::merge(&mut invoice, nothing_yet);
    crate::json::merge(&mut invoice, draft.more);
    set_lines(world, &mut invoice, lines);
    world.add(Kind::Invoice, invoice);
    world.emit("invoice.created", &id);
    id
}

/// Puts lines and what they come to.
fn set_lines(world: &World, invoice: &mut Value, mut lines: Vec<Value>) {
    for line in &mut lines {
        line["discount_amounts"] = json!([]);
    }
    let discounts: Vec<_> =
        invoice.items("discounts").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let subtotal: i64 = lines.iter().map(|line| line.int("amount")).sum();
    let taken = lines::discount(world, &mut lines, &discounts);
    let total = subtotal - taken.iter().map(|(_, amount)| amount).sum::<i64>();
    let due = (total + invoice.int("starting_balance")).max(0);
    let url = format!("/v1/invoices/{}/lines", invoice.text("id"));
    let amounts: Vec<_> = taken
        .iter()
        .map(|(discount, amount)| json!({ "amount": amount, "discount": discount }))
        .collect();
    crate::json::merge(
        invoice,
        json!({
            "amount_due": due, "amount_remaining": due, "subtotal": subtotal, "subtotal_excluding_tax": subtotal,
            "total": total, "total_excluding_tax": total, "total_discount_amounts": amounts,
            "total_pretax_credit_amounts": [],
            "lines": { "object": "list", "data": lines, "has_more": false, "total_count": lines.len(), "url": url },
        }),
    );
}

/// `POST /v1/invoices`
pub(crate) fn create(world: &mut World, params: &Params) -> Answer {
    let customer = params.need("customer")?;
    let found = world.need(Kind::Customer, customer, "customer")?.clone();
    let subscription = params.full("subscription");
    if let Some(subscription) = subscription {
        world.need(Kind::Subscription, subscription, "subscription")?;
    }
    let takes_pending =
        params.text("pending_invoice_items_behavior") == Some("include") || subscription.is_some();
    let pending = if takes_pending { pending(world, customer, subscription) } else { Vec::new() };
    let currency = match (params.full("currency"), pending.first()) {
        (Some(currency), _) => money::currency(currency, "currency")?,
        (None, Some(item)) => world.get(item).text("currency").to_owned(),
        (None, None) => found.opt("currency").unwrap_or("usd").to_owned(),
    };
    let mut more = json!({ "auto_advance": false });
    params.echo(
        &mut more,
        &[
            "auto_advance",
            "collection_method",
            "description",
            "footer",
            "default_payment_method",
            "custom_fields",
            "statement_descriptor",
        ],
    );
    params.echo_metadata(&mut more);
    if more.text("collection_method") == "send_invoice" {
        let due = params
            .int("due_date")
            .or_else(|| Some(world.now + params.int("days_until_due")? * 86_400));
        more["due_date"] = json!(due.ok_or_else(|| Fail::missing("days_until_due"))?);
    }
    let in_currency = |item: &String| world.get(item).text("currency") == currency;
    let pending: Vec<_> = pending.into_iter().filter(in_currency).collect();
    let lines = pending_lines(world, &pending);
    let subtotal = lines.iter().map(|line| line.int("amount")).sum();
    let basket = Basket { currency: &currency, subtotal, customer: Some(customer) };
    let discounts = match promotions::asked(world, params, basket)? {
        Some(promotion) => vec![promotions::discount(world, &promotion, customer, json!({}))],
        None => Vec::new(),
    };
    let period = (world.now, world.now);
    let id = make(
        world,
        Draft {
            customer,
            currency: &currency,
            subscription,
            reason: "manual",
            lines,
            period,
            discounts,
            more,
        },
    );
    take_pending(world, &pending, &id);
    if world.get(&id).flag("auto_advance") {
        let due = world.now + DRAFT_SECONDS;
        world.at(due, Timer::FinalizeInvoice(id.clone()));
    }
    Ok(world.get(&id).clone())
}

/// Discounts of a subscription that count now.
pub(crate) fn discounts_of(world: &World, subscription: &str) -> Vec<String> {
    let counts = |id: &String| {
        let discount = world.get(id);
        discount.at("end").as_i64().is_none_or(|end| end > world.now) && !discount.flag("_used")
    };
    let discounts = world.get(subscription).items("discounts").iter();
    discounts.filter_map(Value::as_str).map(str::to_owned).filter(counts).collect()
}

fn need(world: &World, id: &str, status: &[&str], verb: &str) -> Result<Value, Fail> {
    let invoice = world.need(Kind::Invoice, id, "id")?;
    if status.contains(&invoice.text("status")) {
        return Ok(invoice.clone());
    }
    let said = match (verb, invoice.text("status")) {
        ("paid", "paid") => "Invoice is already paid".to_owned(),
        ("finalized", _) => {
            "This invoice is already finalized, you can't re-finalize a non-draft invoice."
                .to_owned()
        }
        (verb, status) => format!("This invoice can't be {verb} because it is {status}."),
    };
    Err(Fail::request(said).code(if verb == "updated" {
        "invoice_not_editable"
    } else {
        "invoice_invalid_state"
    }))
}

/// `POST /v1/invoices/:id`
pub(crate) fn update(world: &mut World, id: &str, params: &Params) -> Answer {
    world.need(Kind::Invoice, id, "id")?;
    world.edit(id, "invoice.updated", |invoice| {
        params.echo(
            invoice,
            &[
                "auto_advance",
                "description",
                "footer",
                "default_payment_method",
                "custom_fields",
                "due_date",
            ],
        );
        params.echo_metadata(invoice);
    });
    Ok(world.get(id).clone())
}

/// `DELETE /v1/invoices/:id`
pub(crate) fn delete(world: &mut World, id: &str) -> Answer {
    need(world, id, &["draft"], "deleted")?;
    for item in world.ids_where(Kind::InvoiceItem, "invoice", id) {
        world.set(&item, |item| item["invoice"] = Value::Null);
    }
    Ok(world.delete(Kind::Invoice, id, Some("invoice.deleted")))
}

/// `POST /v1/invoices/:id/finalize`
pub(crate) fn finalize_call(world: &mut World, id: &str) -> Answer {
    need(world, id, &["draft"], "finalized")?;
    finalize(world, id);
    Ok(world.get(id).clone())
}

/// A draft becomes an invoice: it gets a number, and an intent that asks for the money.
pub(crate) fn finalize(world: &mut World, id: &str) {
    let invoice = world.get(id).clone();
    let (customer, now) = (invoice.text("customer").to_owned(), world.now);
    let sequence = world.get(&customer).int("next_invoice_sequence").max(1);
    let number = format!("{}-{sequence:04}", world.get(&customer).text("invoice_prefix"));
    world.set(&customer, |customer| customer["next_invoice_sequence"] = json!(sequence + 1));
    settle_balance(world, &invoice);
    let url = format!("{}/i/{id}", world.public_url);
    world.set(id, |invoice| {
        invoice["status"] = json!("open");
        invoice["number"] = json!(number);
        invoice["effective_at"] = json!(now);
        invoice["status_transitions"]["finalized_at"] = json!(now);
        invoice["hosted_invoice_url"] = json!(url);
        invoice["invoice_pdf"] = json!(format!("{url}?print"));
        invoice["ending_balance"] =
            json!((invoice.int("total") + invoice.int("starting_balance")).min(0));
    });
    for discount in invoice.items("discounts").iter().filter_map(Value::as_str) {
        world.set(discount, |discount| discount["_used"] = json!(discount.flag("_once")));
    }
    if invoice.int("amount_due") > 0 {
        ask_for_money(world, &invoice);
    }
    world.emit("invoice.finalized", id);
    if invoice.int("amount_due") == 0 {
        mark_paid(world, id);
    }
}

/// What is less than nothing is kept for the customer; what is kept is used up.
fn settle_balance(world: &mut World, invoice: &Value) {
    let (before, total) = (invoice.int("starting_balance"), invoice.int("total"));
    let after = (before + total).min(0);
    if before != after {
        let customer = invoice.text("customer").to_owned();
        world.edit(&customer, "customer.updated", |customer| customer["balance"] = json!(after));
    }
}

fn ask_for_money(world: &mut World, invoice: &Value) {
    let id = invoice.text("id");
    let subscription = invoice.at("parent").at("subscription_details").opt("subscription");
    let words = match invoice.text("billing_reason") {
        "subscription_create" => "Subscription creation",
        "subscription_cycle" | "subscription_update" => "Subscription update",
        _ => "Payment for invoice",
    };
    let mut more = json!({ "_invoice": id, "description": words });
    if subscription.is_some() {
        more["setup_future_usage"] = json!("off_session");
    }
    let wish = Wish {
        amount: invoice.int("amount_due"),
        currency: invoice.text("currency"),
        customer: invoice.opt("customer"),
        types: payment_intents::usual_types(invoice.text("currency")),
        more,
    };
    let intent = payment_intents::make(world, wish);
    let payment = world.add(Kind::InvoicePayment, json!({
        "amount_requested": invoice.at("amount_due"), "currency": invoice.at("currency"), "invoice": id,
        "is_default": true, "payment": { "type": "payment_intent", "payment_intent": intent }, "status": "open",
        "status_transitions": { "canceled_at": null, "paid_at": null },
    }));
    let secret = world.get(&intent).at("client_secret").clone();
    world.set(id, |invoice| {
        invoice["_intent"] = json!(intent);
        invoice["_payment"] = json!(payment);
        invoice["_confirmation_secret"] =
            json!({ "client_secret": secret, "type": "payment_intent" });
    });
}

/// Money that is on its way can't be called back.
fn refuse_under_way(world: &World, invoice: &Value) -> Result<(), Fail> {
    if world.get(invoice.text("_intent")).text("status") == "processing" {
        let said = "This invoice has a payment under way: wait until its bank has answered.";
        return Err(Fail::request(said).code("invoice_payment_intent_processing"));
    }
    Ok(())
}

/// `POST /v1/invoices/:id/void`
pub(crate) fn void_call(world: &mut World, id: &str) -> Answer {
    let invoice = need(world, id, &["open", "uncollectible"], "voided")?;
    refuse_under_way(world, &invoice)?;
    close(world, id, "void", "voided_at", "invoice.voided");
    Ok(world.get(id).clone())
}

/// `POST /v1/invoices/:id/mark_uncollectible`
pub(crate) fn mark_uncollectible(world: &mut World, id: &str) -> Answer {
    need(world, id, &["open"], "marked uncollectible")?;
    close(world, id, "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible");
    Ok(world.get(id).clone())
}

/// Nobody will pay it.
pub(crate) fn close(world: &mut World, id: &str, status: &str, when: &str, event: &str) {
    let now = world.now;
    world.set(id, |invoice| {
        invoice["status"] = json!(status);
        invoice["status_transitions"][when] = json!(now);
        invoice["next_payment_attempt"] = Value::Null;
        invoice["auto_advance"] = json!(false);
    });
    if status == "void" {
        give_balance_back(world, id);
    }
    if status == "void"
        && let Some(intent) = world.get(id).opt("_intent").map(str::to_owned)
    {
        payment_intents::cancel(world, &intent, Some("void_invoice"));
    }
    world.emit(event, id);
}

/// A void invoice used no balance.
fn give_balance_back(world: &mut World, id: &str) {
    let invoice = world.get(id).clone();
    let used = invoice.int("ending_balance") - invoice.int("starting_balance");
    if used != 0 && invoice.at("ending_balance").is_i64() {
        let customer = invoice.text("customer").to_owned();
        world.edit(&customer, "customer.updated", |customer| {
            customer["balance"] = json!(customer.int("balance") - used);
        });
    }
}

/// `POST /v1/invoices/:id/send`
pub(crate) fn send(world: &mut World, id: &str) -> Answer {
    let invoice = need(world, id, &["draft", "open"], "sent")?;
    if invoice.text("status") == "draft" {
        finalize(world, id);
    }
    world.emit("invoice.sent", id);
    Ok(world.get(id).clone())
}

/// `GET /v1/invoices/:id/lines`
pub(crate) fn list_lines(world: &World, id: &str, params: &Params) -> Answer {
    let invoice = world.need(Kind::Invoice, id, "id")?;
    let url = format!("/v1/invoices/{id}/lines");
    crate::world::page(invoice.items("lines").iter(), |_| true, params, &url, Kind::Invoice)
}

/// `GET /v1/invoices`
pub(crate) fn list(world: &World, params: &Params) -> Answer {
    let subscription = params.full("subscription").map(str::to_owned);
    world.list(Kind::Invoice, params, "/v1/invoices", |invoice| {
        subscription.as_deref().is_none_or(|id| {
            invoice.at("parent").at("subscription_details").text("subscription") == id
        })
    })
}
