//! The members that Stripe's objects have even when nothing is known of them: null, by
//! `spec/objects.json`. What a resource writes down are only the members that say something.

use crate::{
    json::{Look as _, merge},
    kind::Kind,
};
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

/// An object of a kind, with the members given over null ones.
pub(crate) fn of(kind: Kind, members: Value) -> Value {
    let mut object = nested(kind.object(), members);
    object["livemode"] = json!(false);
    object
}

/// The same, of an object without an id of its own.
pub(crate) fn nested(name: &str, members: Value) -> Value {
    let nullable = OBJECTS.get(name).map_or(&[][..], |facts| facts.items("nullable"));
    let nulls = nullable.iter().filter_map(Value::as_str);
    let nulls = nulls.filter(|member| !INCLUDABLE.contains(&(name, member)));
    let nulls: Map<_, _> = nulls.map(|member| (member.to_owned(), Value::Null)).collect();
    let mut object = Value::Object(nulls);
    object["object"] = json!(name);
    merge(&mut object, members);
    object
}

/// May this member of such an object be expanded?
pub(crate) fn is_expandable(object: &str, member: &str) -> bool {
    INCLUDABLE.contains(&(object, member))
        || OBJECTS.get(object).is_none_or(|facts| {
            facts.items("expandable").iter().any(|expandable| expandable == member)
        })
}
