//! A webhook's body, read with as little trust as possible: which event it is, and what it is about. Everything
//! else of Stripe's is passed over, so that a field or a type that nobody knew can't lose a paid event.
//!
//! Nothing here decides anything: a body is a hint to look again. What can't be read is kept as it came, and
//! an operator is told.

use serde_json::Value;

/// The longest id that is taken for one: Stripe's own limit.
const ID_CHARS_MAX: usize = 255;

/// Which generation of events it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// With a snapshot of its object (`object: "event"`).
    Snapshot,
    /// With a reference to it (`object: "v2.core.event"`).
    Thin,
}

/// What a body says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `evt_…`; unique for ever, the same in every delivery.
    pub id: String,
    /// `checkout.session.completed` and its like; any other is as good.
    pub kind: String,
    /// Which generation it is.
    pub shape: Shape,
    /// Unix seconds; thin events say it in words, which nobody needs.
    pub created: Option<i64>,
    /// Is it about real money? None: it doesn't say.
    pub livemode: Option<bool>,
    /// The version that it is rendered in.
    pub api_version: Option<String>,
    /// The connected account that it is about: none of ours.
    pub account: Option<String>,
    /// What it is about, as it was then: null for a thin one.
    pub object: Value,
}

/// Why a body can't be read. It is Stripe's all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It isn't JSON.
    #[error("the body isn't JSON: {0}")]
    Json(String),
    /// It isn't an event.
    #[error("the body isn't an event: its `object` is {0}")]
    NotAnEvent(String),
    /// A member that every event has.
    #[error("the event has no usable `{0}`")]
    Member(&'static str),
}

/// Reads a body.
///
/// # Errors
/// It has no id or type, or isn't an event at all.
pub fn read(body: &[u8]) -> Result<Event, Unreadable> {
    let mut value: Value =
        serde_json::from_slice(body).map_err(|error| Unreadable::Json(error.to_string()))?;
    let shape = match value.get("object").and_then(Value::as_str) {
        Some("event") => Shape::Snapshot,
        Some("v2.core.event") => Shape::Thin,
        _ => {
            return Err(Unreadable::NotAnEvent(
                value.get("object").unwrap_or(&Value::Null).to_string(),
            ));
        }
    };
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let named = |name: &'static str| {
        let usable = |text: &String| {
            !text.is_empty() && text.chars().count() <= ID_CHARS_MAX && !text.contains('\0')
        };
        text(name).filter(usable).ok_or(Unreadable::Member(name))
    };
    let (id, kind) = (named("id")?, named("type")?);
    let created = value.get("created").and_then(Value::as_i64);
    let livemode = value.get("livemode").and_then(Value::as_bool);
    let api_version = text("api_version");
    let account = text("account").or_else(|| text("context"));
    // Not copied: it may be most of the body.
    let object = value.pointer_mut("/data/object").map(Value::take).unwrap_or_default();
    Ok(Event { id, kind, shape, created, livemode, api_version, account, object })
}

/// An id in a member that holds it, or the object that it is of: which one depends on who asked for what.
#[must_use]
pub fn id(object: &Value, member: &str) -> Option<String> {
    let member = object.get(member)?;
    let id = member.as_str().or_else(|| member.get("id")?.as_str())?;
    (!id.is_empty()).then(|| id.to_owned())
}

/// An amount in minor units. One that isn't a whole number isn't guessed at.
#[must_use]
pub fn amount(object: &Value, member: &str) -> Option<i64> {
    object.get(member)?.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({
            "id": "evt_1", "object": "event", "type": "checkout.session.completed", "created": 1_800_000_000,
            "livemode": false, "api_version": "2026-09-30.endive", "pending_webhooks": 1,
            "data": { "object": { "id": "cs_1", "object": "checkout.session", "amount_total": 999 } },
        })
    }

    fn with(change: impl FnOnce(&mut Value)) -> Result<Event, Unreadable> {
        let mut event = event();
        change(&mut event);
        read(event.to_string().as_bytes())
    }

    #[test]
    fn an_event_says_what_it_is_and_what_it_is_about() {
        let read = with(|_| ()).expect("it reads");
        assert_eq!((read.id.as_str(), read.kind.as_str()), ("evt_1", "checkout.session.completed"));
        assert_eq!((read.created, read.livemode), (Some(1_800_000_000), Some(false)));
        assert_eq!(id(&json!({ "session": read.object }), "session"), Some("cs_1".to_owned()));
        assert_eq!(amount(&read.object, "amount_total"), Some(999));
    }

    #[test]
    fn what_is_unknown_new_missing_or_of_another_type_loses_nothing() {
        let changes: [fn(&mut Value); 9] = [
            |event| event["type"] = json!("brand.new.thing"),
            |event| event["brand_new"] = json!({ "member": [1, 2, 3] }),
            |event| event["pending_webhooks"] = Value::Null,
            |event| event["created"] = json!("yesterday"),
            |event| event["livemode"] = json!("no"),
            |event| event["api_version"] = Value::Null,
            |event| event["data"]["object"]["amount_total"] = json!("999"),
            |event| event["data"]["object"] = Value::Null,
            |event| drop(event.as_object_mut().and_then(|event| event.remove("data"))),
        ];
        for change in changes {
            assert_eq!(with(change).map(|event| event.id), Ok("evt_1".to_owned()));
        }
    }

    #[test]
    fn a_thin_event_is_an_event() {
        let thin = json!({
            "id": "evt_2", "object": "v2.core.event", "type": "v1.billing.meter.error_report_triggered",
            "created": "2026-11-21T00:00:00.000Z", "related_object": { "id": "mtr_1", "type": "billing.meter" },
        });
        let read = read(thin.to_string().as_bytes()).expect("it reads");
        assert_eq!((read.shape, read.created, read.object), (Shape::Thin, None, Value::Null));
    }

    #[test]
    fn what_is_no_event_is_told_apart() {
        let table = [
            ("", Unreadable::Json("EOF while parsing a value at line 1 column 0".to_owned())),
            ("[]", Unreadable::NotAnEvent("null".to_owned())),
            (r#"{"object":"charge"}"#, Unreadable::NotAnEvent("\"charge\"".to_owned())),
            (r#"{"object":"event","type":"a"}"#, Unreadable::Member("id")),
            (r#"{"object":"event","id":5,"type":"a"}"#, Unreadable::Member("id")),
            (r#"{"object":"event","id":"evt_1"}"#, Unreadable::Member("type")),
            (r#"{"object":"event","id":"a\u0000b","type":"a"}"#, Unreadable::Member("id")),
        ];
        for (body, expected) in table {
            assert_eq!(read(body.as_bytes()), Err(expected), "{body}");
        }
    }

    #[test]
    fn an_amount_that_isnt_whole_isnt_guessed_at() {
        for odd in [json!("1500"), json!(1500.5), json!(null), json!(1e300)] {
            assert_eq!(amount(&json!({ "amount": odd }), "amount"), None);
        }
    }
}
