//! A session with all that its page shows, gathered from the core in one look.

use serde_json::{Value, json};

use crate::json::Look as _;
use crate::pages::methods::Offer;
use crate::pages::read::id;
use crate::pages::{expand_product, saved_methods};
use crate::resources::checkout::lines;
use crate::world::World;

/// What is bought, by whom as far as that is known, and how it may be paid.
pub(super) struct Order {
    /// As it is kept.
    pub(super) session: Value,
    /// With their products in place of the products' ids.
    pub(super) lines: Vec<Value>,
    /// `{"promotion_code", "coupon"}`, whole.
    pub(super) discounts: Vec<Value>,
    /// The buyer's address of mail, if the merchant has told it.
    pub(super) email: Option<String>,
    /// What it may be paid with.
    pub(super) offer: Offer,
    /// For how many days a subscription is free.
    pub(super) trial_days: i64,
}

impl Order {
    /// The order of a session, if there is one.
    pub(super) fn find(world: &World, session: &str) -> Option<Self> {
        let is_session = |found: &&Value| found.text("object") == "checkout.session";
        let session = world.find(session).filter(is_session)?.clone();

        let mut lines = lines(world, session.text("id"));
        for line in &mut lines {
            expand_product(world, &mut line["price"]);
        }
        let discounts = session.items("discounts").iter().map(|discount| expand(world, discount));
        let customer = world.find(id(&session, "customer")).unwrap_or(&Value::Null);
        let email = session.opt("customer_email").or(customer.opt("email"));

        let allowed = session.items("payment_method_types");
        let saved = saved_methods(world, customer.text("id"));

        Some(Self {
            discounts: discounts.collect(),
            email: email.map(str::to_owned),
            offer: Offer::of(allowed, session.text("currency"), saved),
            trial_days: trial_days(&session),
            lines,
            session,
        })
    }

    /// What is to be paid again and again, if anything is.
    pub(super) fn recurring(&self) -> Option<&Value> {
        self.lines
            .iter()
            .map(|line| line.at("price"))
            .find(|price| price.at("recurring").is_object())
    }

    /// Whether there is nothing to pay, now or later.
    pub(super) fn is_free(&self) -> bool {
        self.session.text("mode") == "payment" && self.session.int("amount_total") == 0
    }

    /// What is due now.
    pub(super) fn due(&self) -> i64 {
        self.session.int("amount_total")
    }

    /// Whether it still waits for its buyer.
    pub(super) fn is_open(&self) -> bool {
        self.session.text("status") == "open"
    }
}

/// The session doesn't show its trial; what the merchant asked for does, as a number or as text.
fn trial_days(session: &Value) -> i64 {
    let days = session.at("_data").at("subscription_data").at("trial_period_days");
    days.as_i64().or_else(|| days.as_str()?.parse().ok()).unwrap_or_default()
}

/// A session's discount names its coupon or the code that was typed for it.
fn expand(world: &World, discount: &Value) -> Value {
    let promotion = world.find(id(discount, "promotion_code")).unwrap_or(&Value::Null);
    let by_code = || world.find(id(promotion.at("promotion"), "coupon"));
    let coupon = world.find(id(discount, "coupon")).or_else(by_code);
    json!({ "promotion_code": promotion, "coupon": coupon })
}
