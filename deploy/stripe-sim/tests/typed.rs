//! Every object that the simulator shows parses as what async-stripe says it is: alone, in lists and in
//! events. Its types are generated from Stripe's own description.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use std::collections::BTreeSet;
use stripe_sim::{Running, Settings};

/// A simulator, and a client of it.
struct Shop {
    running: Running,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Shop {
    async fn open() -> Self {
        let running = stripe_sim::start(Settings { seed: Some(7), ..Settings::default() })
            .await
            .expect("it starts");
        Self { running, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    async fn ask(&self, method: &str, path: &str, form: &str) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.running.url()))
            .header(header::AUTHORIZATION, "Bearer sk_test_typed")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form.to_owned()))
            .expect("a request");
        let answer = self.client.request(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    /// Asks for what has to work.
    async fn post(&self, path: &str, form: &str) -> Value {
        let (status, body) = self.ask("POST", path, form).await;
        assert_eq!(status, 200, "POST {path} {form}: {body:#}");
        body
    }

    async fn id(&self, path: &str, form: &str) -> String {
        self.post(path, form).await["id"].as_str().expect("an id").to_owned()
    }

    async fn advance(&self, seconds: i64) {
        let (status, body) =
            self.ask("POST", "/_sim/clock", &format!("{{\"advance\": {seconds}}}")).await;
        assert_eq!(status, 200, "{body:#}");
    }
}

/// Parses an object, and every object with an id inside of a list of it, as its kind.
fn parse(object: &Value) -> Result<String, String> {
    let kind = object["object"].as_str().unwrap_or_default();
    let text = object.to_string();
    let text = text.as_str();
    let parsed = match kind {
        "account" => is::<stripe_shared::Account>(text),
        "balance" => is::<stripe_core::Balance>(text),
        "balance_transaction" => is::<stripe_shared::BalanceTransaction>(text),
        "billing_portal.configuration" => is::<stripe_billing::BillingPortalConfiguration>(text),
        "billing_portal.session" => is::<stripe_billing::BillingPortalSession>(text),
        "charge" => is::<stripe_shared::Charge>(text),
        "checkout.session" => is::<stripe_shared::CheckoutSession>(text),
        "coupon" => is::<stripe_shared::Coupon>(text),
        "customer" => is::<stripe_shared::Customer>(text),
        "discount" => is::<stripe_shared::Discount>(text),
        "dispute" => is::<stripe_shared::Dispute>(text),
        "event" => is::<stripe_shared::Event>(text),
        "invoice" => is::<stripe_shared::Invoice>(text),
        "invoice_payment" => is::<stripe_shared::InvoicePayment>(text),
        "invoiceitem" => is::<stripe_billing::InvoiceItem>(text),
        "item" => is::<stripe_shared::CheckoutSessionItem>(text),
        "line_item" => is::<stripe_shared::InvoiceLineItem>(text),
        "mandate" => is::<stripe_shared::Mandate>(text),
        "payment_intent" => is::<stripe_shared::PaymentIntent>(text),
        "payment_method" => is::<stripe_shared::PaymentMethod>(text),
        "plan" => is::<stripe_shared::Plan>(text),
        "price" => is::<stripe_shared::Price>(text),
        "product" => is::<stripe_shared::Product>(text),
        "promotion_code" => is::<stripe_shared::PromotionCode>(text),
        "radar.early_fraud_warning" => is::<stripe_fraud::RadarEarlyFraudWarning>(text),
        "refund" => is::<stripe_shared::Refund>(text),
        "setup_intent" => is::<stripe_shared::SetupIntent>(text),
        "subscription" => is::<stripe_shared::Subscription>(text),
        "subscription_item" => is::<stripe_shared::SubscriptionItem>(text),
        "webhook_endpoint" => is::<stripe_misc::WebhookEndpoint>(text),
        other => return Err(format!("there is no type for {other}")),
    };
    if parsed { Ok(kind.to_owned()) } else { Err(format!("{kind} doesn't parse: {object:#}")) }
}

fn is<T: miniserde::Deserialize>(text: &str) -> bool {
    miniserde::json::from_str::<T>(text).is_ok()
}

/// Everything a simulator can be made to show.
async fn trade(shop: &Shop) {
    shop.post("/v1/webhook_endpoints", "url=http://127.0.0.1:9/&enabled_events[]=*").await;
    let product = shop.id("/v1/products", "name=Tokens").await;
    let price =
        shop.id("/v1/prices", &format!("product={product}&currency=eur&unit_amount=1500")).await;
    let monthly =
        format!("product={product}&currency=eur&unit_amount=2000&recurring[interval]=month");
    let monthly = shop.id("/v1/prices", &monthly).await;
    let yearly =
        format!("product={product}&currency=eur&unit_amount=3000&recurring[interval]=month");
    let dearer = shop.id("/v1/prices", &yearly).await;
    let coupon = shop.id("/v1/coupons", "percent_off=12.5&duration=forever").await;
    shop.post("/v1/promotion_codes", &format!("promotion[type]=coupon&promotion[coupon]={coupon}"))
        .await;
    let customer = "email=ada@example.com&payment_method=pm_card_visa&invoice_settings[default_payment_method]=pm_card_visa";
    let customer = shop.id("/v1/customers", customer).await;

    let session = |mode: &str, price: &str| {
        format!(
            "mode={mode}&line_items[0][price]={price}&line_items[0][quantity]=2&customer={customer}\
             &success_url=https://example.com&discounts[0][coupon]={coupon}"
        )
    };
    for (mode, price) in [("payment", &price), ("subscription", &monthly)] {
        let id = shop.id("/v1/checkout/sessions", &session(mode, price)).await;
        shop.post(&format!("/v1/payment_pages/{id}/confirm"), "payment_method=pm_card_visa").await;
    }
    let saved =
        format!("mode=setup&currency=eur&customer={customer}&success_url=https://example.com");
    let saved = shop.id("/v1/checkout/sessions", &saved).await;
    shop.post(&format!("/v1/payment_pages/{saved}/confirm"), "payment_method=pm_card_mastercard")
        .await;
    let open = shop.id("/v1/checkout/sessions", &session("payment", &price)).await;
    shop.post(&format!("/v1/checkout/sessions/{open}/expire"), "").await;
    let debit = "type=sepa_debit&sepa_debit[iban]=AT611904300234573201&billing_details[name]=Ada&billing_details[email]=ada@example.com";
    let debit = shop.id("/v1/payment_methods", debit).await;
    let slow = shop.id("/v1/checkout/sessions", &session("payment", &price)).await;
    shop.post(&format!("/v1/payment_pages/{slow}/confirm"), &format!("payment_method={debit}"))
        .await;

    let pay = |card: &str| {
        format!(
            "amount=900&currency=usd&confirm=true&payment_method_types[]=card&payment_method={card}"
        )
    };
    for card in [
        "pm_card_createDispute",
        "pm_card_createDisputeInquiry",
        "pm_card_createIssuerFraudRecord",
        "pm_card_authenticationRequired",
    ] {
        shop.post("/v1/payment_intents", &pay(card)).await;
    }
    let (status, declined) =
        shop.ask("POST", "/v1/payment_intents", &pay("pm_card_chargeDeclined")).await;
    assert_eq!(status, 402);
    assert_eq!(parse(&declined["error"]["payment_intent"]), Ok("payment_intent".to_owned()));
    let paid = shop.id("/v1/payment_intents", &pay("pm_card_refundFail")).await;
    shop.post("/v1/refunds", &format!("payment_intent={paid}&amount=300")).await;
    shop.post("/v1/setup_intents", "payment_method=pm_card_authenticationRequired&confirm=true")
        .await;

    shop.post("/v1/invoiceitems", &format!("customer={customer}&amount=700&currency=eur")).await;
    let invoice = format!("customer={customer}&pending_invoice_items_behavior=include");
    let invoice = shop.id("/v1/invoices", &invoice).await;
    shop.post(&format!("/v1/invoices/{invoice}/pay"), "").await;
    let trial = format!("customer={customer}&items[0][price]={monthly}&trial_period_days=5");
    shop.post("/v1/subscriptions", &trial).await;
    let plan = format!("customer={customer}&items[0][price]={monthly}");
    let plan = shop.post("/v1/subscriptions", &plan).await;
    let (id, item) = (&plan["id"], &plan["items"]["data"][0]["id"]);
    shop.advance(10 * 86_400).await;
    let upgrade = format!(
        "items[0][id]={}&items[0][price]={dearer}&proration_behavior=always_invoice",
        item.as_str().expect("an id")
    );
    shop.post(&format!("/v1/subscriptions/{}", id.as_str().expect("an id")), &upgrade).await;
    shop.post(
        "/v1/billing_portal/sessions",
        &format!("customer={customer}&return_url=https://example.com"),
    )
    .await;
    shop.advance(40 * 86_400).await;
}

/// Where lists are, and which kinds have to be in them.
const LISTS: [(&str, &str); 23] = [
    ("balance_transactions", "balance_transaction"),
    ("billing_portal/configurations", "billing_portal.configuration"),
    ("charges", "charge"),
    ("checkout/sessions", "checkout.session"),
    ("coupons", "coupon"),
    ("customers", "customer"),
    ("disputes", "dispute"),
    ("events", "event"),
    ("invoice_payments", "invoice_payment"),
    ("invoiceitems", "invoiceitem"),
    ("invoices", "invoice"),
    ("payment_intents", "payment_intent"),
    ("payment_methods", "payment_method"),
    ("prices", "price"),
    ("products", "product"),
    ("promotion_codes", "promotion_code"),
    ("radar/early_fraud_warnings", "radar.early_fraud_warning"),
    ("refunds", "refund"),
    ("setup_intents", "setup_intent"),
    ("subscriptions", "subscription"),
    ("webhook_endpoints", "webhook_endpoint"),
    ("account", "account"),
    ("balance", "balance"),
];

#[tokio::test]
async fn every_object_is_what_async_stripe_says_it_is() {
    let shop = Shop::open().await;
    trade(&shop).await;
    let mut wrong = BTreeSet::new();
    let mut check = |object: &Value| parse(object).map_err(|said| wrong.insert(said)).ok();
    for (path, kind) in LISTS {
        let mut after = String::new();
        let mut seen = 0;
        loop {
            let (status, list) = shop.ask("GET", &format!("/v1/{path}?limit=100{after}"), "").await;
            // What isn't a list takes no limit.
            let (status, list) = match status {
                400 => shop.ask("GET", &format!("/v1/{path}"), "").await,
                _ => (status, list),
            };
            assert_eq!(status, 200, "{path}: {list:#}");
            let objects = list["data"].as_array().cloned().unwrap_or_else(|| vec![list.clone()]);
            for object in &objects {
                seen += 1;
                check(object);
                if kind == "event" {
                    check(&object["data"]["object"]);
                }
                for part in ["lines", "items"] {
                    object[part]["data"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .for_each(|part| drop(check(part)));
                }
            }
            match objects.last().and_then(|last| last["id"].as_str()) {
                Some(last) if list["has_more"] == true => after = format!("&starting_after={last}"),
                _ => break,
            }
        }
        assert!(seen > 0, "there has to be a {kind} to look at");
    }
    let (_, session) = shop.ask("GET", "/v1/checkout/sessions?limit=1&status=complete&expand[]=data.line_items&expand[]=data.payment_intent.latest_charge&expand[]=data.customer", "").await;
    check(&session["data"][0]);
    let (_, invoice) = shop.ask("GET", "/v1/invoices?limit=1&status=paid&expand[]=data.payments.data.payment.payment_intent&expand[]=data.discounts", "").await;
    check(&invoice["data"][0]);
    assert!(
        wrong.is_empty(),
        "{} of them:\n{}",
        wrong.len(),
        wrong.into_iter().take(3).collect::<Vec<_>>().join("\n")
    );
    shop.running.stop().await.expect("it stops");
}
