//! Stripe's simulator as a process of its own, its API, and what moves it: what a test needs to be
//! Stripe's customer, its buyer, its bank and its bad weather.

use crate::{
    credentials,
    http::{Answer, Asking, Http},
    process,
};
use ring::hmac;
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf, process::Stdio, sync::OnceLock, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The secret key that everybody uses here.
pub const KEY: &str = "sk_test_payments";

/// Objects of a page, at most.
const PAGE: usize = 100;

/// A card that pays, and what others do.
pub const GOOD: &str = "4242424242424242";
/// See [`GOOD`]: declined.
pub const DECLINED: &str = "4000000000000002";
/// See [`GOOD`]: its refunds fail later.
pub const REFUNDS_FAIL: &str = "4000000000005126";

/// A bank account whose payments succeed after a day.
pub const IBAN_GOOD: &str = "AT611904300234573201";
/// A bank account whose payments fail after a day.
pub const IBAN_BAD: &str = "IT60X0542811101000000123456";

/// A running simulator.
#[derive(Debug)]
pub struct StripeSim {
    url: String,
    http: Http,
    _child: Child,
    // Whoever prints to a closed pipe panics.
    _output: Lines<BufReader<ChildStdout>>,
}

impl StripeSim {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// If it doesn't come up.
    pub async fn start() -> Self {
        static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();
        let mut child = Command::new(EXECUTABLE.get_or_init(|| process::built("stripe-sim")))
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the simulator starts");
        let output = child.stdout.take().expect("its output is piped");
        let mut output = BufReader::new(output).lines();
        let first = timeout(PATIENCE, output.next_line()).await.expect("it comes up in time");
        let first = first.expect("its output can be read").expect("it says where it answers");
        let url = first.split_whitespace().find(|word| word.starts_with("http://"));
        let url = url.expect("it says where it answers").to_owned();
        Self { url, http: Http::default(), _child: child, _output: output }
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A call of the API, with the secret key.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str) -> Asking {
        self.http.ask(method, &format!("{}/v1{path}", self.url)).bearer(KEY)
    }

    /// An object.
    pub async fn get(&self, path: &str) -> Value {
        self.ask("GET", path).send().await.expect(200)
    }

    /// What a call makes or changes.
    pub async fn post(&self, path: &str, params: &[(&str, &str)]) -> Value {
        self.ask("POST", path).form(params).send().await.expect(200)
    }

    /// Every element of a list, the newest first.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        self.newest(usize::MAX, path, |_| true).await
    }

    /// The newest elements of a list that are wanted, so many of them or all there are.
    async fn newest(
        &self,
        most: usize,
        path: &str,
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Vec<Value> {
        let sign = if path.contains('?') { '&' } else { '?' };
        let first = format!("{path}{sign}limit={PAGE}");
        let (mut found, mut page) = (Vec::new(), first.clone());
        loop {
            let answer = self.get(&page).await;
            let data = answer["data"].as_array().expect("a list");
            found.extend(data.iter().filter(|element| is_wanted(element)).cloned());
            match data.last() {
                Some(last) if answer["has_more"] == true && found.len() < most => {
                    page = format!("{first}&starting_after={}", text(last, "id"));
                }
                _ => break,
            }
        }
        found.truncate(most);
        found
    }

    /// Every checkout session in which this text stands: an account's, or a purchase's.
    pub async fn sessions_naming(&self, name: &str) -> Vec<Value> {
        let mut sessions = self.all("/checkout/sessions").await;
        sessions.retain(|session| session.to_string().contains(name));
        sessions
    }

    /// Moves the simulator: `POST /_sim…`.
    pub async fn control(&self, path: &str, body: &Value) -> Value {
        self.http.post(&format!("{}/_sim{path}", self.url)).json(body).send().await.expect(200)
    }

    /// Ends faults, or bad weather: `DELETE /_sim…`.
    pub async fn clear(&self, path: &str) {
        self.http.ask("DELETE", &format!("{}/_sim{path}", self.url)).send().await.expect(200);
    }

    /// No webhook is sent by itself any more.
    pub async fn keep_webhooks(&self) {
        self.control("/weather", &json!({"drop": 1.0})).await;
    }

    /// Moves the clock.
    pub async fn advance(&self, seconds: i64) {
        self.control("/clock", &json!({"advance": seconds})).await;
    }

    /// A card to pay with.
    pub async fn card(&self, number: &str) -> String {
        let card = [
            ("type", "card"),
            ("card[number]", number),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2060"),
            ("card[cvc]", "123"),
        ];
        text(&self.post("/payment_methods", &card).await, "id").to_owned()
    }

    /// A bank account to pay with.
    pub async fn bank_account(&self, iban: &str) -> String {
        let account = [
            ("type", "sepa_debit"),
            ("sepa_debit[iban]", iban),
            ("billing_details[name]", "Ada Lovelace"),
            ("billing_details[email]", "ada@example.com"),
        ];
        text(&self.post("/payment_methods", &account).await, "id").to_owned()
    }

    /// The page's button: pays a session with a payment method.
    pub async fn confirm(&self, session: &str, method: &str) -> Answer {
        let path = format!("/payment_pages/{session}/confirm");
        self.ask("POST", &path).form(&[("payment_method", method)]).send().await
    }

    /// Pays a session with a card that pays; the session.
    pub async fn pay(&self, session: &str) -> Value {
        let card = self.card(GOOD).await;
        self.confirm(session, &card).await.expect(200);
        self.get(&format!("/checkout/sessions/{session}")).await
    }

    /// The events of these types (all, if none is named) in which this text stands: oldest first, as
    /// they came to be.
    pub async fn events(&self, types: &[&str], naming: &str) -> Vec<Value> {
        self.last_events(usize::MAX, types, naming).await
    }

    /// The last so many of them.
    pub async fn last_events(&self, most: usize, types: &[&str], naming: &str) -> Vec<Value> {
        let wanted: String = types.iter().map(|kind| format!("&types[]={kind}")).collect();
        let path = format!("/events?{}", wanted.trim_start_matches('&'));
        let path = path.trim_end_matches('?');
        let is_named = |event: &Value| event.to_string().contains(naming);
        let mut events = self.newest(most, path, is_named).await;
        events.reverse();
        events
    }
}

/// A member that is text; empty if it isn't.
#[must_use]
pub fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member].as_str().unwrap_or_default()
}

/// The header `Stripe-Signature` of a body that is signed now.
#[must_use]
pub fn signature(secret: &str, body: &[u8]) -> String {
    signature_at(secret, i64::try_from(credentials::now()).expect("a time"), body)
}

/// The same, signed at another time.
#[must_use]
pub fn signature_at(secret: &str, at: i64, body: &[u8]) -> String {
    format!("t={at},v1={}", code(secret, at, body))
}

/// The code that proves who sent a body, and when: of `v1=`.
///
/// # Panics
/// Never.
#[must_use]
pub fn code(secret: &str, at: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = [format!("{at}.").as_bytes(), body].concat();
    let mut code = String::new();
    for byte in hmac::sign(&key, &signed).as_ref() {
        write!(code, "{byte:02x}").expect("text can be written to");
    }
    code
}
