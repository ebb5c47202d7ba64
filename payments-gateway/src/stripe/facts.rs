//! What Stripe's objects say, read into what `billing` decides by. What is missing or of another type where a
//! decision needs it is an error: nothing is guessed.

use super::event::{amount, id};
use crate::store::purchases::{Kind, Paid, Purchase};
use billing::{
    Dispute, DisputeStatus, Intent, Line, Mode, PaymentStatus, Refund, RefundStatus, Session,
    SessionStatus,
};
use serde_json::Value;

/// What can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Stripe's {object} has no usable `{member}`")]
pub struct Unreadable {
    /// Which kind of object.
    pub object: &'static str,
    /// What is missing, or of another type.
    pub member: &'static str,
}

/// How a payment stands: what the decision takes, and what is kept of it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// For the decision.
    pub session: Session,
    /// To be kept once it is paid.
    pub paid: Paid,
    /// `cus_…`.
    pub customer: Option<String>,
    /// Whether its charge says that money went back, or may.
    pub money_went_back: bool,
}

fn word<'a>(object: &'a Value, member: &str) -> Option<&'a str> {
    object.get(member).and_then(Value::as_str)
}

/// Our purchase, as an object's metadata names it.
#[must_use]
pub fn purchase_id(object: &Value) -> Option<&str> {
    let named = word(object.get("metadata")?, super::request::PURCHASE)?;
    (!named.is_empty() && named.len() <= 64 && named.bytes().all(|c| c.is_ascii_alphanumeric()))
        .then_some(named)
}

/// The deployment that an object's metadata names.
#[must_use]
pub fn gateway(object: &Value) -> Option<&str> {
    word(object.get("metadata")?, super::request::GATEWAY)
}

/// Reads a session that was fetched with its parts. `ours` are the promotion codes and coupons that are ours.
///
/// # Errors
/// Something that a decision needs isn't there.
pub fn session(object: &Value, ours: &[String]) -> Result<Facts, Unreadable> {
    let no = |member| Unreadable { object: "checkout session", member };
    let intent = object.get("payment_intent").filter(|it| it.is_object());
    let charge = intent.and_then(|intent| intent.get("latest_charge"));
    let total_minor = amount(object, "amount_total").ok_or(no("amount_total"))?;
    let details = object.get("total_details").unwrap_or(&Value::Null);
    let detail = |member| amount(details, member).unwrap_or(0);
    let session = Session {
        purchase_id: purchase_id(object).map(str::to_owned),
        mode: match word(object, "mode").ok_or(no("mode"))? {
            "payment" => Mode::Payment,
            "subscription" => Mode::Subscription,
            "setup" => Mode::Setup,
            _ => return Err(no("mode")),
        },
        status: match word(object, "status").ok_or(no("status"))? {
            "open" => SessionStatus::Open,
            "complete" => SessionStatus::Complete,
            "expired" => SessionStatus::Expired,
            _ => return Err(no("status")),
        },
        payment_status: match word(object, "payment_status").ok_or(no("payment_status"))? {
            "paid" => PaymentStatus::Paid,
            "unpaid" => PaymentStatus::Unpaid,
            "no_payment_required" => PaymentStatus::NoPaymentRequired,
            _ => return Err(no("payment_status")),
        },
        intent: intent.map_or(Ok(Intent::None), intent_status)?,
        currency: word(object, "currency").ok_or(no("currency"))?.to_owned(),
        livemode: object.get("livemode").and_then(Value::as_bool).ok_or(no("livemode"))?,
        subtotal_minor: amount(object, "amount_subtotal").ok_or(no("amount_subtotal"))?,
        discount_minor: detail("amount_discount"),
        added_minor: detail("amount_shipping").saturating_add(detail("amount_tax")),
        total_minor,
        discounts_are_ours: are_ours(object, ours),
        lines: lines(object).ok_or(no("line_items"))?,
    };
    Ok(Facts {
        session,
        paid: paid(total_minor, id(object, "payment_intent"), charge),
        customer: id(object, "customer"),
        money_went_back: charge.is_some_and(went_back),
    })
}

/// Reads a PaymentIntent that was fetched with its charge, as if it were a session with one line.
///
/// # Errors
/// Something that a decision needs isn't there.
pub fn intent(object: &Value) -> Result<Facts, Unreadable> {
    let no = |member| Unreadable { object: "payment intent", member };
    let amount_minor = amount(object, "amount").ok_or(no("amount"))?;
    let standing = intent_status(object)?;
    let total_minor = match standing {
        Intent::Succeeded => amount(object, "amount_received").ok_or(no("amount_received"))?,
        Intent::None | Intent::Processing | Intent::Failed => amount_minor,
    };
    let is_canceled = word(object, "status") == Some("canceled");
    let (status, payment_status) = match standing {
        Intent::Succeeded => (SessionStatus::Complete, PaymentStatus::Paid),
        Intent::Processing => (SessionStatus::Complete, PaymentStatus::Unpaid),
        Intent::Failed if is_canceled => (SessionStatus::Expired, PaymentStatus::Unpaid),
        // Its buyer may try another card.
        Intent::Failed | Intent::None => (SessionStatus::Open, PaymentStatus::Unpaid),
    };
    let line = Line { price_id: String::new(), unit_amount_minor: amount_minor, quantity: 1 };
    let session = Session {
        purchase_id: purchase_id(object).map(str::to_owned),
        mode: Mode::Payment,
        status,
        payment_status,
        intent: standing,
        currency: word(object, "currency").ok_or(no("currency"))?.to_owned(),
        livemode: object.get("livemode").and_then(Value::as_bool).ok_or(no("livemode"))?,
        subtotal_minor: amount_minor,
        discount_minor: 0,
        added_minor: 0,
        total_minor,
        discounts_are_ours: true,
        lines: vec![line],
    };
    let charge = object.get("latest_charge");
    Ok(Facts {
        session,
        paid: paid(total_minor, word(object, "id").map(str::to_owned), charge),
        customer: id(object, "customer"),
        money_went_back: charge.is_some_and(went_back),
    })
}

/// Reads what a purchase's kind asks for.
///
/// # Errors
/// Something that a decision needs isn't there.
pub fn of(purchase: &Purchase, object: &Value, ours: &[String]) -> Result<Facts, Unreadable> {
    match purchase.kind() {
        Kind::Checkout => session(object, ours),
        Kind::PaymentIntent => intent(object),
    }
}

fn intent_status(intent: &Value) -> Result<Intent, Unreadable> {
    let no = Unreadable { object: "payment intent", member: "status" };
    Ok(match word(intent, "status").ok_or(no.clone())? {
        "succeeded" => Intent::Succeeded,
        "processing" => Intent::Processing,
        "canceled" => Intent::Failed,
        // After a failed attempt; before the first there is no error.
        "requires_payment_method" | "requires_source"
            if intent.get("last_payment_error").is_some_and(Value::is_object) =>
        {
            Intent::Failed
        }
        "requires_payment_method"
        | "requires_source"
        | "requires_confirmation"
        | "requires_action"
        | "requires_source_action"
        | "requires_capture" => Intent::None,
        _ => return Err(no),
    })
}

fn paid(total_minor: i64, payment_intent: Option<String>, charge: Option<&Value>) -> Paid {
    let charge = charge.filter(|charge| !charge.is_null());
    let charge_id =
        charge.and_then(|charge| charge.as_str().or_else(|| word(charge, "id")).map(str::to_owned));
    let receipt_url = charge.and_then(|charge| word(charge, "receipt_url")).map(str::to_owned);
    Paid { paid_minor: total_minor, payment_intent, charge: charge_id, receipt_url }
}

fn went_back(charge: &Value) -> bool {
    amount(charge, "amount_refunded").is_some_and(|refunded| refunded != 0)
        || charge.get("disputed").and_then(Value::as_bool).unwrap_or(false)
}

fn lines(session: &Value) -> Option<Vec<Line>> {
    let list = session.get("line_items")?;
    // One line is what we sell: more pages are a difference all the same.
    let lines = list.get("data")?.as_array()?.iter().map(|line| {
        let price = line.get("price")?;
        Some(Line {
            price_id: price.as_str().or_else(|| word(price, "id"))?.to_owned(),
            unit_amount_minor: amount(price, "unit_amount")?,
            quantity: line.get("quantity")?.as_i64()?,
        })
    });
    lines.collect()
}

/// Whether each discount is by a promotion code or coupon of ours.
fn are_ours(session: &Value, ours: &[String]) -> bool {
    let breakdown = session.pointer("/total_details/breakdown/discounts").and_then(Value::as_array);
    let applied = breakdown.into_iter().flatten().filter_map(|it| it.get("discount"));
    let listed = session.get("discounts").and_then(Value::as_array).into_iter().flatten();
    let mut discounts = applied.chain(listed).peekable();
    let known = |named: Option<String>| named.is_some_and(|named| ours.contains(&named));
    discounts.peek().is_some()
        && discounts.all(|discount| {
            let source = discount.get("source").unwrap_or(&Value::Null);
            known(id(discount, "promotion_code"))
                || known(id(discount, "coupon"))
                || known(id(source, "coupon"))
        })
}

/// Reads a page of refunds of a payment in this currency.
///
/// # Errors
/// One of them has no amount or status, or is in another currency.
pub fn refunds(page: &[Value], currency: &str) -> Result<Vec<Refund>, Unreadable> {
    let no = |member| Unreadable { object: "refund", member };
    let read = |refund: &Value| {
        if word(refund, "currency") != Some(currency) {
            return Err(no("currency"));
        }
        Ok(Refund {
            amount_minor: amount(refund, "amount").ok_or(no("amount"))?,
            status: match word(refund, "status").ok_or(no("status"))? {
                "pending" => RefundStatus::Pending,
                "requires_action" => RefundStatus::RequiresAction,
                "succeeded" => RefundStatus::Succeeded,
                "failed" => RefundStatus::Failed,
                "canceled" => RefundStatus::Canceled,
                _ => return Err(no("status")),
            },
        })
    };
    page.iter().map(read).collect()
}

/// Reads a page of disputes of a payment in this currency. Banks may dispute in another: what part that is of
/// what was paid, an operator has to say.
///
/// # Errors
/// One of them has no amount or status, or is in another currency.
pub fn disputes(page: &[Value], currency: &str) -> Result<Vec<Dispute>, Unreadable> {
    let no = |member| Unreadable { object: "dispute", member };
    let read = |dispute: &Value| {
        if word(dispute, "currency") != Some(currency) {
            return Err(no("currency"));
        }
        Ok(Dispute {
            amount_minor: amount(dispute, "amount").ok_or(no("amount"))?,
            status: match word(dispute, "status").ok_or(no("status"))? {
                "warning_needs_response" | "warning_under_review" => DisputeStatus::Inquiry,
                "warning_closed" | "prevented" => DisputeStatus::InquiryClosed,
                // `charge_refunded`, of old versions: the money went back as a refund, which is counted.
                "charge_refunded" => DisputeStatus::InquiryClosed,
                "needs_response" | "under_review" => DisputeStatus::Open,
                "won" => DisputeStatus::Won,
                "lost" => DisputeStatus::Lost,
                _ => return Err(no("status")),
            },
        })
    };
    page.iter().map(read).collect()
}
