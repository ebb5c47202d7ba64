//! Who is it that we talk to? Asked at the start, and by `payments-gateway check`, and answered in words.

use super::{CallError, Client, Request};
use serde_json::Value;

/// What is wrong, in words that say what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It makes no sense to go on.
    Wrong(String),
    /// Something may be missing, or will be later.
    Doubtful(String),
    /// It is as it should be.
    Fine(String),
}

/// Asks Stripe. `livemode` is that of our key, `webhook_url` where events should come in.
pub async fn ask(
    stripe: &Client,
    livemode: bool,
    webhook_url: &str,
    api_version: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let rights = [
        ("Checkout Sessions", Request::sessions_since(i64::from(u32::MAX), None)),
        ("PaymentIntents", Request::intents_since(i64::from(u32::MAX), None)),
        ("Events", Request::events_between(0, Some(1), None)),
        ("Refunds", Request::refunds_until(1)),
        ("Disputes", Request::disputes_until(1)),
    ];
    for (right, request) in rights {
        match stripe.call(&request).await {
            Ok(_) => findings.push(Finding::Fine(format!("Stripe lets us read {right}"))),
            Err(error @ CallError::Refused { .. }) => {
                findings.push(Finding::Doubtful(format!("{right}: {error}")));
            }
            Err(CallError::Forbidden(why)) if why.starts_with("401") => {
                findings.push(Finding::Wrong(format!(
                    "Stripe doesn't know STRIPE_SECRET_KEY ({why}): copy it anew from the dashboard"
                )));
                return findings;
            }
            Err(CallError::Forbidden(why)) => {
                findings.push(Finding::Wrong(format!(
                    "STRIPE_SECRET_KEY lacks the right to {right} ({why}): give it in the dashboard"
                )));
            }
            Err(error) => {
                findings.push(Finding::Doubtful(format!(
                    "Stripe can't be reached ({error}): purchases wait until it can"
                )));
                return findings;
            }
        }
    }
    match stripe.call(&Request::webhook_endpoints()).await {
        Ok(answer) => findings.extend(endpoints(&answer.body, livemode, webhook_url, api_version)),
        Err(error) => findings.push(Finding::Doubtful(format!(
            "whether Stripe sends webhooks to {webhook_url} can't be seen ({error}): give the key the right to \
             read Webhook Endpoints, or look into the dashboard"
        ))),
    }
    findings
}

fn endpoints(list: &Value, livemode: bool, url: &str, api_version: &str) -> Vec<Finding> {
    let endpoints =
        list.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_ours = |it: &&Value| it.get("url").and_then(Value::as_str) == Some(url);
    let Some(ours) = endpoints.iter().find(is_ours) else {
        return vec![Finding::Doubtful(format!(
            "Stripe has no webhook endpoint {url}: make one, or purchases are credited by the reconciler only, \
             minutes later"
        ))];
    };
    let mut findings = vec![Finding::Fine(format!("Stripe sends webhooks to {url}"))];
    let live = ours.get("livemode").and_then(Value::as_bool);
    if live.is_some_and(|live| live != livemode) {
        let mode = |live| if live { "live" } else { "test" };
        findings.push(Finding::Wrong(format!(
            "the webhook endpoint is of {} mode, and STRIPE_SECRET_KEY of {} mode",
            mode(!livemode),
            mode(livemode)
        )));
    }
    if ours.get("status").and_then(Value::as_str) == Some("disabled") {
        findings.push(Finding::Doubtful(format!("the webhook endpoint {url} is disabled")));
    }
    match ours.get("api_version").and_then(Value::as_str) {
        Some(version) if version != api_version => findings.push(Finding::Doubtful(format!(
            "the webhook endpoint sends events of API version {version}, and we ask for {api_version}: both work, \
             since events are only hints, but make them the same"
        ))),
        Some(_) | None => {}
    }
    findings
}
