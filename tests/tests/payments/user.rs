//! Somebody who buys.

use super::wait::until;
use serde_json::{Value, json};
use tests::{
    http::{Answer, Asking, Http},
    stripe_sim::text,
};

/// A user with a bearer token.
#[derive(Clone, Debug)]
pub struct User {
    pub account: String,
    pub token: String,
    pub http: Http,
    /// The gateway that they ask.
    pub url: String,
}

/// What was begun: the purchase, the page to pay it on, and its session at Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    pub id: String,
    pub url: String,
    pub session: String,
}

impl Purchase {
    /// Of the answer to a click.
    pub fn of(answer: &Value) -> Self {
        let id = text(&answer["purchase"], "id").to_owned();
        let url = text(answer, "url").to_owned();
        let page = url.split(['?', '#']).next().unwrap_or_default();
        let session = page.rsplit('/').next().unwrap_or_default().to_owned();
        assert!(!id.is_empty() && session.starts_with("cs_"), "a purchase and its page: {answer}");
        Self { id, url, session }
    }
}

impl User {
    /// The same user at another gateway.
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// A request of theirs.
    pub fn ask(&self, method: &str, path: &str) -> Asking {
        self.http.ask(method, &format!("{}{path}", self.url)).bearer(&self.token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).send().await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path).json(body).send().await
    }

    /// A click on a package, or on an amount.
    pub async fn click(&self, what: &Value) -> Answer {
        self.post("/v1/checkout/sessions", what).await
    }

    /// The same with a key.
    pub async fn click_with(&self, key: &str, what: &Value) -> Answer {
        self.clicking(key, what).send().await
    }

    /// The same, of a gateway that may be gone.
    pub fn clicking(&self, key: &str, what: &Value) -> Asking {
        self.ask("POST", "/v1/checkout/sessions").header("idempotency-key", key).json(what)
    }

    /// Begins to buy a package.
    pub async fn buys(&self, package: &str) -> Purchase {
        self.begins(&json!({"package": package})).await
    }

    /// Begins to buy.
    pub async fn begins(&self, what: &Value) -> Purchase {
        Purchase::of(&self.click(what).await.expect(201))
    }

    /// A purchase of theirs.
    pub async fn purchase(&self, id: &str) -> Value {
        self.get(&format!("/v1/purchases/{id}")).await.expect(200)
    }

    /// All of their purchases.
    pub async fn purchases(&self) -> Vec<Value> {
        let page = self.get("/v1/purchases?limit=100").await.expect(200);
        assert!(page["next_cursor"].is_null(), "they fit a page: {page}");
        page["data"].as_array().expect("a list").clone()
    }

    /// Waits until a purchase is in a state.
    pub async fn sees(&self, id: &str, state: &str) -> Value {
        self.sees_one_of(id, &[state]).await
    }

    /// Waits until a purchase is in one of these states.
    pub async fn sees_one_of(&self, id: &str, states: &[&str]) -> Value {
        until(&format!("{id} to be {states:?}"), async || {
            let purchase = self.purchase(id).await;
            if states.contains(&text(&purchase, "state")) {
                Ok(purchase)
            } else {
                Err(purchase.to_string())
            }
        })
        .await
    }

    /// The tokens that they are told they have.
    pub async fn balance(&self) -> i64 {
        let balance = self.get("/v1/balance").await.expect(200);
        balance["posted"].as_i64().expect("a number")
    }
}
