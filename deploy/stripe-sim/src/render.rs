//! How what is kept is shown: without what is ours, with what is expanded, in the shape of a version.

use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    resources::{checkout, invoices},
    skeleton, versions,
    world::World,
};
use serde_json::{Map, Value, json};

/// Levels of an expansion.
const EXPAND_MAX: usize = 4;

/// An object as an event shows it: nothing expanded.
pub(crate) fn as_kept(world: &World, id: &str) -> Value {
    shown(world.get(id))
}

/// Without our own members, and with those of Stripe's that say nothing. What people named themselves
/// (metadata) is shown as they named it.
pub(crate) fn shown(value: &Value) -> Value {
    let members = match value {
        Value::Object(members) => members,
        Value::Array(elements) => return elements.iter().map(shown).collect(),
        other => return other.clone(),
    };
    let is_ours = |name: &str| name.starts_with('_') && members.contains_key("object");
    let kept = members.iter().filter(|(name, _)| !is_ours(name));
    let show = |name: &str, member: &Value| {
        if name == "metadata" { member.clone() } else { shown(member) }
    };
    let mut object: Map<_, _> =
        kept.map(|(name, member)| (name.clone(), show(name, member))).collect();
    if let Some(data) = members.opt("_data_text").and_then(|text| serde_json::from_str(text).ok()) {
        object.insert("data".to_owned(), data);
    }
    skeleton::fill(&mut object);
    Value::Object(object)
}

/// An answer as it is sent.
pub(crate) fn answer(world: &World, kept: &Value, expand: &[&str], version: &str) -> Answer {
    let mut answer = shown(kept);
    for path in expand {
        let names: Vec<_> = path.split('.').collect();
        if names.len() > EXPAND_MAX + usize::from(names.first() == Some(&"data")) {
            let said =
                format!("You cannot expand more than {EXPAND_MAX} levels of a property ({path}).");
            return Err(Fail::param("expand", said));
        }
        expand_in(world, &mut answer, &names, path)?;
    }
    // Events stay as they were sent.
    let is_event = |value: &Value| value.text("object") == "event";
    if is_event(&answer) || answer.items("data").first().is_some_and(is_event) {
        return Ok(answer);
    }
    Ok(versions::render(world, answer, version))
}

fn expand_in(world: &World, value: &mut Value, names: &[&str], path: &str) -> Result<(), Fail> {
    let Some((name, deeper)) = names.split_first() else { return Ok(()) };
    match value {
        Value::Array(elements) => {
            for element in elements {
                expand_in(world, element, names, path)?;
            }
            return Ok(());
        }
        Value::Object(_) => {}
        _ => return Ok(()),
    }
    let object = value.text("object").to_owned();
    let may = match object.as_str() {
        "" => true,
        "list" | "search_result" => *name == "data",
        object => skeleton::is_expandable(object, name),
    };
    if !may {
        let said = format!(
            "This property cannot be expanded ({path}). You may want to try expanding something else, or see \
             what can be expanded."
        );
        return Err(Fail::param("expand", said));
    }
    if let Some(included) = included(world, value, &object, name) {
        value[*name] = included;
    }
    let Some(member) = value.get_mut(*name) else { return Ok(()) };
    if let Some(found) = member.as_str().and_then(|id| world.find(id)) {
        *member = shown(found);
    }
    if let Value::Array(elements) = member {
        for element in elements {
            if let Some(found) = element.as_str().and_then(|id| world.find(id)) {
                *element = shown(found);
            }
        }
    }
    expand_in(world, member, deeper, path)
}

/// Lists that are there only when asked for.
fn included(world: &World, value: &Value, object: &str, name: &str) -> Option<Value> {
    let id = value.text("id");
    let url = |path: String| format!("/v1/{path}");
    let (data, url) = match (object, name) {
        ("charge", "refunds") => {
            let refunds = world.all(crate::kind::Kind::Refund);
            let refunds = refunds.filter(|refund| refund.text("charge") == id);
            (refunds.map(shown).collect::<Vec<_>>(), url(format!("charges/{id}/refunds")))
        }
        ("checkout.session", "line_items") => (
            checkout::lines(world, id).iter().map(shown).collect(),
            url(format!("checkout/sessions/{id}/line_items")),
        ),
        ("customer", "subscriptions") => {
            let all = world.all(crate::kind::Kind::Subscription);
            let all =
                all.filter(|one| one.text("customer") == id && one.text("status") != "canceled");
            (all.map(shown).collect(), url(format!("customers/{id}/subscriptions")))
        }
        ("invoice", "payments") => (
            invoices::payments(world, id).iter().map(shown).collect(),
            url(format!("invoice_payments?invoice={id}")),
        ),
        _ => return None,
    };
    Some(json!({ "object": "list", "data": data, "has_more": false, "url": url }))
}
