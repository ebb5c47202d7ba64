//! What is asked of Stripe, in async-stripe's typed parameters: names and types are checked by the compiler.

use crate::store::purchases::Purchase;
use http::Method;
use std::collections::HashMap;
use std::str::FromStr as _;
use stripe_checkout::{
    CheckoutSessionMode,
    checkout_session::{
        CreateCheckoutSession, CreateCheckoutSessionCustomerCreation,
        CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData,
        CreateCheckoutSessionPaymentIntentData, ExpireCheckoutSession, ListCheckoutSession,
        ProductData, RetrieveCheckoutSession,
    },
};
use stripe_client_core::{StripeMethod, StripeRequest};
use stripe_core::{
    dispute::ListDispute,
    event::ListEvent,
    payment_intent::{
        CreatePaymentIntent, CreatePaymentIntentAutomaticPaymentMethods, ListPaymentIntent,
        RetrievePaymentIntent,
    },
    refund::ListRefund,
};
use stripe_misc::webhook_endpoint::ListWebhookEndpoint;
use stripe_types::{Currency, RangeBoundsTs, RangeQueryTs};

/// Where our purchase's id stands in the metadata of what Stripe keeps for it.
pub const PURCHASE: &str = "purchase";

/// Where the name of the deployment stands that it belongs to: several may share an account of Stripe's.
pub const GATEWAY: &str = "gateway";

/// Objects of one page of a list.
const PAGE: i64 = 100;

/// What a session has to come with: what is bought, what it cost, and how it was paid.
const SESSION_PARTS: [&str; 3] =
    ["line_items", "payment_intent.latest_charge", "total_details.breakdown"];

/// A call, as it is sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// Below `/v1`, with the query.
    pub path: String,
    /// A form; empty for GET.
    pub body: String,
    /// The idempotency key of what makes something.
    pub key: Option<String>,
}

/// Where a buyer comes back to.
#[derive(Clone, Debug)]
pub struct Returns {
    /// After paying.
    pub success_url: String,
    /// Without.
    pub cancel_url: String,
}

impl Request {
    fn of(request: &impl StripeRequest) -> Self {
        let built = request.build();
        let method = match built.method {
            StripeMethod::Get => Method::GET,
            StripeMethod::Post => Method::POST,
            StripeMethod::Delete => Method::DELETE,
        };
        let path = match built.query.filter(|query| !query.is_empty()) {
            Some(query) => format!("{}?{query}", built.path),
            None => built.path,
        };
        Self { method, path, body: built.body.unwrap_or_default(), key: None }
    }

    /// A call that was written down, to be made as it was.
    #[must_use]
    pub fn recorded(path: &str, body: &str, key: &str) -> Self {
        Self {
            method: Method::POST,
            path: path.to_owned(),
            body: body.to_owned(),
            key: Some(key.to_owned()),
        }
    }

    /// Opens a Checkout session for a purchase.
    #[must_use]
    pub fn create_session(
        purchase: &Purchase,
        gateway: &str,
        returns: &Returns,
        customer: (Option<&str>, Option<&str>),
    ) -> Self {
        let line = CreateCheckoutSessionLineItems {
            price: purchase.stripe_price.clone(),
            price_data: purchase.stripe_price.is_none().then(|| {
                CreateCheckoutSessionLineItemsPriceData {
                    product_data: Some(ProductData::new(purchase.name.clone())),
                    unit_amount: Some(purchase.price_minor),
                    ..CreateCheckoutSessionLineItemsPriceData::new(currency(purchase))
                }
            }),
            quantity: Some(1),
            ..CreateCheckoutSessionLineItems::new()
        };
        let intent = CreateCheckoutSessionPaymentIntentData {
            description: Some(purchase.name.clone()),
            metadata: Some(metadata(purchase, gateway)),
            ..CreateCheckoutSessionPaymentIntentData::new()
        };
        let request = CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Payment)
            .line_items(vec![line])
            .client_reference_id(reference(purchase))
            .metadata(metadata(purchase, gateway))
            .payment_intent_data(intent)
            .success_url(returns.success_url.clone())
            .cancel_url(returns.cancel_url.clone());
        let request = match customer {
            (Some(customer), _) => request.customer(customer),
            (None, Some(email)) => request
                .customer_creation(CreateCheckoutSessionCustomerCreation::Always)
                .customer_email(email),
            (None, None) => {
                request.customer_creation(CreateCheckoutSessionCustomerCreation::Always)
            }
        };
        let request = match purchase.may_be_free {
            1 => request.allow_promotion_codes(true),
            _ => request,
        };
        Self::of(&request)
    }

    /// Makes a PaymentIntent for a purchase, for Stripe Elements.
    #[must_use]
    pub fn create_intent(purchase: &Purchase, gateway: &str, customer: Option<&str>) -> Self {
        let request = CreatePaymentIntent::new(purchase.price_minor, currency(purchase))
            .automatic_payment_methods(CreatePaymentIntentAutomaticPaymentMethods::new(true))
            .description(purchase.name.clone())
            .metadata(metadata(purchase, gateway));
        match customer {
            Some(customer) => Self::of(&request.customer(customer)),
            None => Self::of(&request),
        }
    }

    /// A session with its lines, discounts, payment and charge.
    #[must_use]
    pub fn session(id: &str) -> Self {
        let parts: Vec<String> = SESSION_PARTS.map(str::to_owned).into();
        Self::of(&RetrieveCheckoutSession::new(id).expand(parts))
    }

    /// Closes a session.
    #[must_use]
    pub fn expire_session(id: &str) -> Self {
        Self::of(&ExpireCheckoutSession::new(id))
    }

    /// Sessions made since then (Unix seconds), newest first, after the one named.
    #[must_use]
    pub fn sessions_since(since: i64, after: Option<&str>) -> Self {
        let list = ListCheckoutSession::new().created(from(since)).limit(PAGE);
        match after {
            Some(after) => Self::of(&list.starting_after(after)),
            None => Self::of(&list),
        }
    }

    /// A PaymentIntent with its charge.
    #[must_use]
    pub fn intent(id: &str) -> Self {
        Self::of(&RetrievePaymentIntent::new(id).expand(vec!["latest_charge".to_owned()]))
    }

    /// PaymentIntents made since then (Unix seconds), newest first, after the one named.
    #[must_use]
    pub fn intents_since(since: i64, after: Option<&str>) -> Self {
        let list = ListPaymentIntent::new().created(from(since)).limit(PAGE);
        match after {
            Some(after) => Self::of(&list.starting_after(after)),
            None => Self::of(&list),
        }
    }

    /// The refunds of a payment, after the one named.
    #[must_use]
    pub fn refunds(intent: &str, after: Option<&str>) -> Self {
        let list = ListRefund::new().payment_intent(intent).limit(PAGE);
        match after {
            Some(after) => Self::of(&list.starting_after(after)),
            None => Self::of(&list),
        }
    }

    /// Refunds of the distant past: whether we may ask.
    #[must_use]
    pub fn refunds_until(until: i64) -> Self {
        Self::of(&ListRefund::new().created(before(until)).limit(1))
    }

    /// Disputes of the distant past: whether we may ask.
    #[must_use]
    pub fn disputes_until(until: i64) -> Self {
        Self::of(&ListDispute::new().created(before(until)).limit(1))
    }

    /// The disputes of a payment, after the one named.
    #[must_use]
    pub fn disputes(intent: &str, after: Option<&str>) -> Self {
        let list = ListDispute::new().payment_intent(intent).limit(PAGE);
        match after {
            Some(after) => Self::of(&list.starting_after(after)),
            None => Self::of(&list),
        }
    }

    /// Events from then to then, or until now (Unix seconds), newest first, after the one named.
    #[must_use]
    pub fn events_between(since: i64, until: Option<i64>, after: Option<&str>) -> Self {
        let between = RangeBoundsTs { gte: Some(since), lt: until, ..RangeBoundsTs::default() };
        let list = ListEvent::new().created(RangeQueryTs::Bounds(between)).limit(PAGE);
        match after {
            Some(after) => Self::of(&list.starting_after(after)),
            None => Self::of(&list),
        }
    }

    /// Where Stripe sends webhooks.
    #[must_use]
    pub fn webhook_endpoints() -> Self {
        Self::of(&ListWebhookEndpoint::new().limit(PAGE))
    }
}

fn currency(purchase: &Purchase) -> Currency {
    match Currency::from_str(&purchase.currency) {
        Ok(currency) => currency,
        Err(never) => match never {},
    }
}

/// What tells whose a session or payment is, should our own notes be lost.
fn metadata(purchase: &Purchase, gateway: &str) -> HashMap<String, String> {
    let mut metadata = HashMap::from([
        (PURCHASE.to_owned(), purchase.id.clone()),
        (GATEWAY.to_owned(), gateway.to_owned()),
        ("account".to_owned(), purchase.account_id.clone()),
        ("tokens".to_owned(), purchase.tokens.to_string()),
    ]);
    if let Some(package) = &purchase.package_id {
        metadata.insert("package".to_owned(), package.clone());
    }
    metadata
}

/// The account, as far as Stripe has room: an account's id has at most 128 characters.
fn reference(purchase: &Purchase) -> String {
    purchase.account_id.clone()
}

fn before(until: i64) -> RangeQueryTs {
    RangeQueryTs::Bounds(RangeBoundsTs { lt: Some(until), ..RangeBoundsTs::default() })
}

fn from(since: i64) -> RangeQueryTs {
    RangeQueryTs::Bounds(RangeBoundsTs { gte: Some(since), ..RangeBoundsTs::default() })
}
