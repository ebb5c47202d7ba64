//! Webhook endpoints, and the events that were sent to them.

use crate::{
    deliveries,
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    params::Params,
    versions,
    world::{EVENT_SECONDS, World},
};
use serde_json::{Value, json};

/// How long a secret may outlive its rotation.
const OVERLAP_SECONDS_MAX: i64 = 7 * 86_400;

/// Endpoints of an account.
const ENDPOINTS_MAX: usize = 16;

/// `POST /v1/webhook_endpoints`
pub(crate) fn create(world: &mut World, params: &Params) -> Answer {
    check_url(params.need("url")?)?;
    if world.count(Kind::WebhookEndpoint) >= ENDPOINTS_MAX {
        return Err(Fail::request(format!(
            "You have reached the maximum of {ENDPOINTS_MAX} test webhook endpoints."
        )));
    }
    if let Some(version) =
        params.full("api_version").filter(|version| !versions::is_version(version))
    {
        return Err(Fail::param("api_version", format!("Invalid API version: {version}")));
    }
    let secret = world.id("whsec_", 32);
    let mut endpoint =
        json!({ "metadata": {}, "status": "enabled", "_secrets": [{ "secret": secret }] });
    params.echo(&mut endpoint, &["url", "enabled_events", "api_version", "description"]);
    params.echo_metadata(&mut endpoint);
    let id = world.add(Kind::WebhookEndpoint, endpoint);
    let mut created = world.get(&id).clone();
    // This once, and never again.
    created["secret"] = json!(secret);
    Ok(created)
}

fn check_url(url: &str) -> Result<(), Fail> {
    let parsed = url.parse::<http::Uri>().ok();
    match parsed
        .filter(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some())
    {
        Some(_) => Ok(()),
        None => Err(Fail::param(
            "url",
            "Invalid URL: An explicit scheme (such as https) must be provided.",
        )
        .code("url_invalid")),
    }
}

/// `POST /v1/webhook_endpoints/:id`
pub(crate) fn update(world: &mut World, id: &str, params: &Params) -> Answer {
    world.need(Kind::WebhookEndpoint, id, "id")?;
    if let Some(url) = params.full("url") {
        check_url(url)?;
    }
    world.set(id, |endpoint| {
        params.echo(endpoint, &["url", "enabled_events", "description"]);
        params.echo_metadata(endpoint);
        if let Some(disabled) = params.flag("disabled") {
            endpoint["status"] = json!(if disabled { "disabled" } else { "enabled" });
        }
    });
    Ok(world.get(id).clone())
}

/// A new secret; the one before signs too, until the overlap is over.
pub(crate) fn rotate(world: &mut World, id: &str, overlap: i64) -> Result<String, Fail> {
    world.need(Kind::WebhookEndpoint, id, "id")?;
    let (secret, now) = (world.id("whsec_", 32), world.now);
    let until = now + overlap.clamp(0, OVERLAP_SECONDS_MAX);
    world.set(id, |endpoint| {
        let mut secrets = vec![json!({ "secret": secret })];
        for older in endpoint.items("_secrets") {
            let ends = older.at("until").as_i64().unwrap_or(until);
            if ends > now {
                secrets.push(json!({ "secret": older.text("secret"), "until": ends }));
            }
        }
        endpoint["_secrets"] = Value::Array(secrets);
    });
    Ok(secret)
}

/// `GET /v1/events`
pub(crate) fn events(world: &World, params: &Params) -> Answer {
    if params.has("type") && params.has("types") {
        let said = "You may only specify one of these parameters: type, types.";
        return Err(Fail::param("types", said));
    }
    let mut types = params.texts("types");
    types.extend(params.full("type"));
    let delivered = params.flag("delivery_success");
    let oldest = world.now - EVENT_SECONDS;
    world.list(Kind::Event, &params.without("type"), "/v1/events", |event| {
        let kind = event.text("type");
        let wanted = types.is_empty() || types.iter().any(|wanted| deliveries::fits(wanted, kind));
        wanted
            && event.int("created") >= oldest
            && delivered.is_none_or(|delivered| (event.int("pending_webhooks") == 0) == delivered)
    })
}

/// `DELETE /v1/webhook_endpoints/:id`
pub(crate) fn delete(world: &mut World, id: &str) -> Answer {
    world.need(Kind::WebhookEndpoint, id, "id")?;
    Ok(world.delete(Kind::WebhookEndpoint, id, None))
}
