//! The members that Stripe's objects have even when nothing is known of them: null, by
//! `spec/objects.json`. What is written down and kept are only the members that say something; the others
//! are added when an object is shown.

use crate::{json::Look as _, kind::Kind};
use serde_json::{Map, Value, json};
use std::{collections::HashMap, sync::LazyLock};

static OBJECTS: LazyLock<HashMap<String, Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../spec/objects.json")).expect("condense wrote it")
});

/// Lists that appear when they are expanded only.
pub(crate) const INCLUDABLE: [(&str, &str); 4] = [
    ("charge", "refunds"),
    ("checkout.session", "line_items"),
    ("customer", "subscriptions"),
    ("invoice", "payments"),
];

/// An object of a kind, as it is kept: a null says nothing, and takes as much room as something.
pub(crate) fn of(kind: Kind, members: Value) -> Value {
    let mut object = nested(kind.object(), members);
    object["livemode"] = json!(false);
    object
}

/// The same, of an object without an id of its own.
pub(crate) fn nested(name: &str, mut members: Value) -> Value {
    members["object"] = json!(name);
    if let Some(members) = members.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    members
}

/// The members that an object shows as null when nothing is known of them.
fn nullable(object: &str) -> impl Iterator<Item = &'static str> {
    let names = OBJECTS.get(object).map_or(&[][..], |facts| facts.items("nullable"));
    let is_includable =
        move |name: &&str| INCLUDABLE.iter().any(|(of, list)| *of == object && list == name);
    names.iter().filter_map(Value::as_str).filter(move |name| !is_includable(name))
}

/// Adds them.
pub(crate) fn fill(object: &mut Map<String, Value>) {
    if object.flag("deleted") {
        return;
    }
    let kind = object.text("object").to_owned();
    for name in nullable(&kind) {
        if !object.contains_key(name) {
            object.insert(name.to_owned(), Value::Null);
        }
    }
}

/// Is it one of them?
pub(crate) fn is_nullable(object: &str, member: &str) -> bool {
    nullable(object).any(|name| name == member)
}

/// May this member of such an object be expanded?
pub(crate) fn is_expandable(object: &str, member: &str) -> bool {
    INCLUDABLE.contains(&(object, member))
        || OBJECTS.get(object).is_none_or(|facts| {
            facts.items("expandable").iter().any(|expandable| expandable == member)
        })
}
