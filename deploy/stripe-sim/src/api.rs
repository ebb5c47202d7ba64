//! Stripe's API: which call does what, and what every call goes through.
//!
//! A call is checked in this order: key, version, address, parameters, idempotency key, faults asked for.
//! Then it is done, under the world's lock, and its answer is shown in the caller's version. The table at
//! the end is the one list of endpoints: `spec/condense` reads it, too.

use crate::{
    fail::{Answer, Fail},
    faults::{Fault, Reply, When},
    idempotency::Answered,
    json::Look as _,
    kind::Kind,
    params::{self, Params},
    render,
    resources::{
        account, catalog, charges, checkout, customers, disputes, invoices, payment_intents,
        payment_methods, portal, promotions, refunds, setup_intents, subscriptions, webhooks,
    },
    search, versions,
    world::{API_VERSION, World},
};
use serde_json::{Value, json};

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Delete,
}

impl Method {
    /// As it is written.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

/// A call as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Behind `/v1/`.
    pub(crate) path: String,
    /// The query's and the body's parameters.
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) key: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) request_id: String,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reaction {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: Vec<(String, String)>,
}

/// A call that may be done.
#[derive(Debug)]
pub(crate) struct Begun {
    call: Call,
    params: Params,
    version: String,
    generation: u64,
    pub(crate) fault: Option<Fault>,
}

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Beginning {
    Begun(Box<Begun>),
    /// That was all: this is the answer, if there is to be one.
    Over(Option<Reaction>),
}

/// The first half of a call: it is checked, meets its fault, and takes its key.
pub(crate) fn begin(world: &mut World, call: Call) -> Beginning {
    let (params, version) = match check(world, &call) {
        Ok(checked) => checked,
        Err(fail) => return Beginning::Over(Some(refused(&call, &fail))),
    };
    let mut chance = world.chance();
    let fault = world.faults.meet(call.method.name(), &format!("/v1/{}", call.path), &mut chance);
    // What breaks before the effect leaves the key alone; whoever repeats a call may meet a fault again.
    let broken_by = fault.as_ref().filter(|fault| fault.answer.is_some());
    let is_done = broken_by.is_none_or(|fault| fault.when == When::After);
    if let Some(key) = used_key(&call).filter(|_| is_done) {
        let asked = format!("{} {} {:?}", call.method.name(), call.path, call.pairs);
        match (world.keys.begin(key, &asked, world.now), broken_by) {
            (Ok(None), _) => {}
            (Ok(Some(_)), Some(fault)) => return Beginning::Over(broken(&call, fault)),
            (Ok(Some(answered)), None) => return Beginning::Over(Some(replayed(&call, &answered))),
            (Err(fail), _) => return Beginning::Over(Some(refused(&call, &fail))),
        }
    }
    Beginning::Begun(Box::new(Begun { call, params, version, generation: world.generation, fault }))
}

/// The other half: it is done. None: the caller gets no answer.
pub(crate) fn finish(world: &mut World, begun: Begun) -> Option<Reaction> {
    let Begun { call, params, version, generation, fault } = begun;
    if generation != world.generation {
        return None;
    }
    let fault = fault.filter(|fault| fault.answer.is_some());
    if let Some(fault) = fault.as_ref().filter(|fault| fault.when == When::Before) {
        return broken(&call, fault);
    }
    let reaction = perform(world, &call, &params, &version);
    let told = match &fault {
        Some(fault) => broken(&call, fault),
        None => Some(with_ignored(&call, &params, with_headers(&call, reaction.clone()))),
    };
    if let Some(key) = used_key(&call) {
        // What the key answers: what was told, or what would have been, had the answer arrived.
        let is_told = fault.as_ref().is_some_and(|fault| {
            fault.stored && matches!(fault.answer, Some(Reply::Status(500..)))
        });
        let kept = if is_told { told.clone().unwrap_or(reaction) } else { reaction };
        let has_begun = matches!(kept.status, 200 | 402 | 500..);
        let answered = Answered {
            status: kept.status,
            body: kept.body.to_string(),
            request_id: call.request_id.clone(),
        };
        world.keys.end(key, has_begun.then_some(answered));
    }
    told
}

/// Does a call whole, or not at all: what can't be shown as asked isn't done either.
fn perform(world: &mut World, call: &Call, params: &Params, version: &str) -> Reaction {
    world.cause = (Some(call.request_id.clone()), call.idempotency_key.clone());
    let done = world.attempt(|world| {
        if call.method == Method::Post && world.is_full() {
            return Err(Fail::request("The simulator is full: POST /_sim/reset empties it."));
        }
        let kept = dispatch(world, call, params)?;
        render::answer(world, &kept, &params.texts("expand"), version)
    });
    world.cause = (None, None);
    match done {
        Ok(body) => Reaction { status: 200, body, headers: Vec::new() },
        Err(fail) => {
            Reaction { status: fail.status, body: error(call, &fail), headers: Vec::new() }
        }
    }
}

fn used_key(call: &Call) -> Option<&str> {
    call.idempotency_key.as_deref().filter(|_| call.method == Method::Post)
}

fn check(world: &World, call: &Call) -> Result<(Params, String), Fail> {
    let version = call.version.clone().unwrap_or_else(|| API_VERSION.to_owned());
    check_key(world, call)?;
    if !versions::is_version(&version) {
        return Err(Fail::request(format!("Invalid Stripe API version: {version}")));
    }
    let segments: Vec<_> = call.path.split('/').collect();
    let Some(route) = route(call.method, &segments) else {
        let said = format!(
            "Unrecognized request URL ({}: /v1/{}). Please see https://stripe.com/docs or we can help at \
             https://support.stripe.com/.",
            call.method.name(),
            call.path
        );
        return Err(Fail { status: 404, ..Fail::request(said) });
    };
    Ok((Params::of(&route, &call.pairs)?, version))
}

/// A key of test mode; what a page may do, a publishable one may.
fn check_key(world: &World, call: &Call) -> Result<(), Fail> {
    let Some(key) = call.key.as_deref().filter(|key| !key.is_empty()) else {
        return Err(Fail::key(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using \
             Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See \
             https://stripe.com/docs/api#authentication for details, or we can help at https://support.stripe.com/.",
        ));
    };
    if key.starts_with("sk_test_") || key.starts_with("rk_test_") {
        return Ok(());
    }
    if key.starts_with("pk_test_") {
        return check_publishable(world, call);
    }
    if key.contains("_live_") {
        return Err(Fail::key(
            "This is a simulator: it takes keys of test mode (sk_test_…), and must never see a live one.",
        ));
    }
    Err(Fail::key(format!("Invalid API Key provided: {}", masked(key))))
}

/// A key as an error may show it: its end is enough to find it by.
fn masked(key: &str) -> String {
    let end: String = key.chars().skip(key.chars().count().saturating_sub(4).max(8)).collect();
    format!("{}{end}", "*".repeat(8))
}

fn check_publishable(world: &World, call: &Call) -> Result<(), Fail> {
    let segments: Vec<_> = call.path.split('/').collect();
    let secret = call
        .pairs
        .iter()
        .find(|(name, _)| name == "client_secret")
        .map(|(_, secret)| secret.as_str());
    let is_allowed = match (call.method, segments.as_slice()) {
        (Method::Post, ["payment_methods"]) | (_, ["payment_pages", ..]) => true,
        (Method::Get, ["payment_intents" | "setup_intents", id])
        | (Method::Post, ["payment_intents" | "setup_intents", id, "confirm"]) => {
            secret.is_some() && world.get(id).opt("client_secret") == secret
        }
        _ => false,
    };
    if is_allowed {
        return Ok(());
    }
    Err(Fail::key("This API call cannot be made with a publishable API key. Please use a secret API key. You can find a list of your API keys at https://dashboard.stripe.com/account/apikeys.").code("secret_key_required"))
}

/// The address with `{}` for what varies, if there is such an endpoint.
fn route(method: Method, segments: &[&str]) -> Option<String> {
    // A literal name comes before a name that varies, as in `customers/search`.
    let at_most = 1 << segments.len().min(6);
    (0..at_most)
        .map(|varying: u32| {
            let shown: Vec<_> = segments
                .iter()
                .enumerate()
                .map(|(at, segment)| if varying & (1 << at) == 0 { *segment } else { "{}" })
                .collect();
            format!("{} /v1/{}", method.name(), shown.join("/"))
        })
        .find(|route| params::is_known(route))
}

/// The error's body.
fn error(call: &Call, fail: &Fail) -> Value {
    let mut error = fail.to_json();
    error["request_log_url"] = json!(format!(
        "https://dashboard.stripe.com/test/workbench/logs?object={}",
        call.request_id
    ));
    json!({ "error": error })
}

fn refused(call: &Call, fail: &Fail) -> Reaction {
    with_headers(
        call,
        Reaction { status: fail.status, body: error(call, fail), headers: Vec::new() },
    )
}

fn with_headers(call: &Call, mut reaction: Reaction) -> Reaction {
    let version = call.version.clone().unwrap_or_else(|| API_VERSION.to_owned());
    let mut add =
        |name: &str, value: &str| reaction.headers.push((name.to_owned(), value.to_owned()));
    add("request-id", &call.request_id);
    add("stripe-version", &version);
    if let Some(key) = &call.idempotency_key {
        add("idempotency-key", key);
        add("original-request", &call.request_id);
    }
    match reaction.status {
        402 => add("stripe-should-retry", "false"),
        409 | 429 => add("stripe-should-retry", "true"),
        _ => {}
    }
    reaction
}

/// What was done as if it hadn't been asked for is named: nobody should have to guess.
fn with_ignored(call: &Call, params: &Params, mut reaction: Reaction) -> Reaction {
    let ignored = params.unread().join(", ");
    if call.method == Method::Post && reaction.status == 200 && !ignored.is_empty() {
        reaction.headers.push(("sim-ignored".to_owned(), ignored));
    }
    reaction
}

fn replayed(call: &Call, answered: &Answered) -> Reaction {
    let reaction = Reaction {
        status: answered.status,
        body: serde_json::from_str(&answered.body).unwrap_or_default(),
        headers: Vec::new(),
    };
    let mut reaction = with_headers(call, reaction);
    reaction
        .headers
        .retain(|(name, _)| name != "original-request" && name != "stripe-should-retry");
    let mut add =
        |name: &str, value: &str| reaction.headers.push((name.to_owned(), value.to_owned()));
    add("original-request", &answered.request_id);
    add("idempotent-replayed", "true");
    if answered.status >= 400 {
        add("stripe-should-retry", "false");
    }
    reaction
}

/// The answer that a fault gives, or none at all.
fn broken(call: &Call, fault: &Fault) -> Option<Reaction> {
    let Some(Reply::Status(status)) = fault.answer else { return None };
    let fail = match status {
        401 => Fail::key("Invalid API Key provided: sk_test_***"),
        403 => Fail { status, ..Fail::request("The provided key does not have the required permissions for this endpoint.") },
        409 => Fail::request("The object cannot be accessed right now because another API request is currently accessing it.").code("lock_timeout"),
        429 => Fail::request("Request rate limit exceeded. Learn more about rate limits at https://stripe.com/docs/rate-limits.").code("rate_limit"),
        400..=499 => Fail::request("The simulator was asked to fail this call."),
        _ => Fail::trouble(status, "An unknown error occurred: the simulator was asked to fail this call."),
    };
    let fail = Fail { status, ..fail };
    let mut reaction = refused(call, &fail);
    for (name, value) in &fault.headers {
        reaction.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        reaction.headers.push((name.to_lowercase(), value.clone()));
    }
    Some(reaction)
}

fn found(world: &World, kind: Kind, id: &str) -> Answer {
    world.need(kind, id, "id").cloned()
}

fn all(world: &World, kind: Kind, params: &Params, url: &str) -> Answer {
    world.list(kind, params, url, |_| true)
}

/// Every endpoint.
#[expect(clippy::too_many_lines, reason = "a table")]
fn dispatch(world: &mut World, call: &Call, params: &Params) -> Answer {
    use Method::{Delete, Get, Post};
    let segments: Vec<_> = call.path.split('/').collect();
    let url = format!("/v1/{}", call.path);
    match (call.method, segments.as_slice()) {
        (Get, ["account"]) => account::retrieve(),
        (Get, ["balance"]) => account::balance(world),
        (Get, ["balance_transactions"]) => all(world, Kind::BalanceTransaction, params, &url),
        (Get, ["balance_transactions", id]) => found(world, Kind::BalanceTransaction, id),

        (Post, ["customers"]) => customers::create(world, params),
        (Get, ["customers"]) => all(world, Kind::Customer, params, &url),
        (Get, ["customers", "search"]) => search::run(world, Kind::Customer, params, &url),
        (Get, ["customers", id]) => found(world, Kind::Customer, id),
        (Post, ["customers", id]) => customers::update(world, id, params),
        (Delete, ["customers", id]) => customers::delete(world, id),
        (Get, ["customers", id, "payment_methods"]) => {
            payment_methods::list(world, Some(id), params, &url)
        }
        (Get, ["customers", id, "payment_methods", method]) => {
            customers::payment_method(world, id, method)
        }

        (Post, ["products"]) => catalog::create_product(world, params),
        (Get, ["products"]) => catalog::products(world, params),
        (Get, ["products", "search"]) => search::run(world, Kind::Product, params, &url),
        (Get, ["products", id]) => found(world, Kind::Product, id),
        (Post, ["products", id]) => catalog::update_product(world, id, params),
        (Delete, ["products", id]) => catalog::delete_product(world, id),
        (Post, ["prices"]) => catalog::create_price(world, params),
        (Get, ["prices"]) => catalog::prices(world, params),
        (Get, ["prices", "search"]) => search::run(world, Kind::Price, params, &url),
        (Get, ["prices", id]) => found(world, Kind::Price, id),
        (Post, ["prices", id]) => catalog::update_price(world, id, params),

        (Post, ["coupons"]) => promotions::create_coupon(world, params),
        (Get, ["coupons"]) => all(world, Kind::Coupon, params, &url),
        (Get, ["coupons", id]) => found(world, Kind::Coupon, id),
        (Post, ["coupons", id]) => promotions::update_coupon(world, id, params),
        (Delete, ["coupons", id]) => promotions::delete_coupon(world, id),
        (Post, ["promotion_codes"]) => promotions::create_code(world, params),
        (Get, ["promotion_codes"]) => all(world, Kind::PromotionCode, params, &url),
        (Get, ["promotion_codes", id]) => found(world, Kind::PromotionCode, id),
        (Post, ["promotion_codes", id]) => promotions::update_code(world, id, params),

        (Post, ["payment_methods"]) => payment_methods::create(world, params),
        (Get, ["payment_methods"]) => payment_methods::list(world, None, params, &url),
        (Get, ["payment_methods", id]) => payment_methods::retrieve(world, id),
        (Post, ["payment_methods", id]) => payment_methods::update(world, id, params),
        (Post, ["payment_methods", id, "attach"]) => payment_methods::attach(world, id, params),
        (Post, ["payment_methods", id, "detach"]) => payment_methods::detach(world, id),

        (Post, ["setup_intents"]) => setup_intents::create(world, params),
        (Get, ["setup_intents"]) => all(world, Kind::SetupIntent, params, &url),
        (Get, ["setup_intents", id]) => found(world, Kind::SetupIntent, id),
        (Post, ["setup_intents", id]) => setup_intents::update(world, id, params),
        (Post, ["setup_intents", id, "confirm"]) => setup_intents::confirm_call(world, id, params),
        (Post, ["setup_intents", id, "cancel"]) => setup_intents::cancel(world, id, params),

        (Post, ["payment_intents"]) => payment_intents::create(world, params),
        (Get, ["payment_intents"]) => all(world, Kind::PaymentIntent, params, &url),
        (Get, ["payment_intents", "search"]) => {
            search::run(world, Kind::PaymentIntent, params, &url)
        }
        (Get, ["payment_intents", id]) => found(world, Kind::PaymentIntent, id),
        (Post, ["payment_intents", id]) => payment_intents::update(world, id, params),
        (Post, ["payment_intents", id, "confirm"]) => {
            payment_intents::confirm_call(world, id, params)
        }
        (Post, ["payment_intents", id, "capture"]) => payment_intents::capture(world, id, params),
        (Post, ["payment_intents", id, "cancel"]) => {
            payment_intents::cancel_call(world, id, params)
        }

        (Get, ["charges"]) => all(world, Kind::Charge, params, &url),
        (Get, ["charges", "search"]) => search::run(world, Kind::Charge, params, &url),
        (Get, ["charges", id]) => found(world, Kind::Charge, id),
        (Post, ["charges", id]) => charges::update(world, id, params),
        (Get, ["mandates", id]) => found(world, Kind::Mandate, id),

        (Post, ["refunds"]) => refunds::create(world, params),
        (Get, ["refunds"]) => all(world, Kind::Refund, params, &url),
        (Get, ["refunds", id]) => found(world, Kind::Refund, id),
        (Post, ["refunds", id]) => refunds::update(world, id, params),
        (Post, ["refunds", id, "cancel"]) => refunds::cancel(world, id),

        (Get, ["disputes"]) => all(world, Kind::Dispute, params, &url),
        (Get, ["disputes", id]) => found(world, Kind::Dispute, id),
        (Post, ["disputes", id]) => disputes::update(world, id, params),
        (Post, ["disputes", id, "close"]) => disputes::close(world, id),
        (Get, ["radar", "early_fraud_warnings"]) => {
            all(world, Kind::EarlyFraudWarning, params, &url)
        }
        (Get, ["radar", "early_fraud_warnings", id]) => found(world, Kind::EarlyFraudWarning, id),

        (Post, ["checkout", "sessions"]) => checkout::create(world, params),
        (Get, ["checkout", "sessions"]) => checkout::list(world, params),
        (Get, ["checkout", "sessions", id]) => found(world, Kind::CheckoutSession, id),
        (Post, ["checkout", "sessions", id]) => checkout::update(world, id, params),
        (Get, ["checkout", "sessions", id, "line_items"]) => {
            checkout::list_lines(world, id, params)
        }
        (Post, ["checkout", "sessions", id, "expire"]) => checkout::expire(world, id),
        (Get, ["payment_pages", id]) => found(world, Kind::CheckoutSession, id),
        (Post, ["payment_pages", id, "confirm"]) => checkout::confirm_page(world, id, params),

        (Post, ["billing_portal", "configurations"]) => portal::create_configuration(world, params),
        (Get, ["billing_portal", "configurations"]) => {
            all(world, Kind::PortalConfiguration, params, &url)
        }
        (Get, ["billing_portal", "configurations", id]) => {
            found(world, Kind::PortalConfiguration, id)
        }
        (Post, ["billing_portal", "configurations", id]) => {
            portal::update_configuration(world, id, params)
        }
        (Post, ["billing_portal", "sessions"]) => portal::create(world, params),

        (Post, ["subscriptions"]) => subscriptions::create(world, params),
        (Get, ["subscriptions"]) => subscriptions::list(world, params),
        (Get, ["subscriptions", "search"]) => search::run(world, Kind::Subscription, params, &url),
        (Get, ["subscriptions", id]) => found(world, Kind::Subscription, id),
        (Post, ["subscriptions", id]) => subscriptions::update(world, id, params),
        (Delete, ["subscriptions", id]) => subscriptions::cancel(world, id, params),
        (Post, ["subscriptions", id, "resume"]) => subscriptions::resume(world, id, params),
        (Get, ["subscription_items"]) => subscriptions::items(world, params),
        (Get, ["subscription_items", id]) => subscriptions::item(world, id),

        (Post, ["invoices"]) => invoices::create(world, params),
        (Get, ["invoices"]) => invoices::list(world, params),
        (Get, ["invoices", "search"]) => search::run(world, Kind::Invoice, params, &url),
        (Post, ["invoices", "create_preview"]) => subscriptions::preview(world, params),
        (Get, ["invoices", id]) => found(world, Kind::Invoice, id),
        (Post, ["invoices", id]) => invoices::update(world, id, params),
        (Delete, ["invoices", id]) => invoices::delete(world, id),
        (Get, ["invoices", id, "lines"]) => invoices::list_lines(world, id, params),
        (Post, ["invoices", id, "finalize"]) => invoices::finalize_call(world, id),
        (Post, ["invoices", id, "pay"]) => invoices::pay(world, id, params),
        (Post, ["invoices", id, "void"]) => invoices::void_call(world, id),
        (Post, ["invoices", id, "mark_uncollectible"]) => invoices::mark_uncollectible(world, id),
        (Post, ["invoices", id, "send"]) => invoices::send(world, id),
        (Post, ["invoiceitems"]) => invoices::create_item(world, params),
        (Get, ["invoiceitems"]) => invoices::list_items(world, params),
        (Get, ["invoiceitems", id]) => found(world, Kind::InvoiceItem, id),
        (Post, ["invoiceitems", id]) => invoices::update_item(world, id, params),
        (Delete, ["invoiceitems", id]) => invoices::delete_item(world, id),
        (Get, ["invoice_payments"]) => invoices::list_payments(world, params),
        (Get, ["invoice_payments", id]) => found(world, Kind::InvoicePayment, id),

        (Get, ["events"]) => webhooks::events(world, params),
        (Get, ["events", id]) => found(world, Kind::Event, id),
        (Post, ["webhook_endpoints"]) => webhooks::create(world, params),
        (Get, ["webhook_endpoints"]) => all(world, Kind::WebhookEndpoint, params, &url),
        (Get, ["webhook_endpoints", id]) => found(world, Kind::WebhookEndpoint, id),
        (Post, ["webhook_endpoints", id]) => webhooks::update(world, id, params),
        (Delete, ["webhook_endpoints", id]) => webhooks::delete(world, id),
        _ => Err(Fail::trouble(
            500,
            "This endpoint is in the simulator's list of addresses, but not in its table.",
        )),
    }
}
