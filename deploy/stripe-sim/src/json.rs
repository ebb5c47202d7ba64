//! Reading and writing objects as Stripe shows them, without a line of ceremony per member.

use serde_json::{Map, Value};

/// Members of an object by name. What is absent, null or of another type reads as nothing.
pub(crate) trait Look {
    /// The member, or null.
    fn at(&self, name: &str) -> &Value;

    /// A text, or "".
    fn text(&self, name: &str) -> &str {
        self.at(name).as_str().unwrap_or_default()
    }

    /// A text that is there.
    fn opt(&self, name: &str) -> Option<&str> {
        self.at(name).as_str().filter(|text| !text.is_empty())
    }

    /// A number, or 0.
    fn int(&self, name: &str) -> i64 {
        self.at(name).as_i64().unwrap_or_default()
    }

    /// A flag, or false.
    fn flag(&self, name: &str) -> bool {
        self.at(name).as_bool().unwrap_or_default()
    }

    /// The elements of an array, or of a list object.
    fn items(&self, name: &str) -> &[Value] {
        let member = self.at(name);
        let list = if member.is_object() { member.at("data") } else { member };
        list.as_array().map_or(&[], Vec::as_slice)
    }
}

impl Look for Value {
    fn at(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}

impl Look for Map<String, Value> {
    fn at(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}

/// Adds the members of `more`, over those that are there.
pub(crate) fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

/// What `old` said where `new` says something else: an event's `previous_attributes`.
pub(crate) fn difference(old: &Value, new: &Value) -> Map<String, Value> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return Map::new() };
    let mut previous = Map::new();
    for (name, now) in new.iter().filter(|(name, _)| !name.starts_with('_')) {
        match (old.at(name), now) {
            (before, now) if before == now => {}
            (before @ Value::Object(_), Value::Object(_)) => {
                previous.insert(name.clone(), Value::Object(difference(before, now)));
            }
            (before, _) => {
                previous.insert(name.clone(), before.clone());
            }
        }
    }
    for (name, before) in old.iter().filter(|(name, _)| !name.starts_with('_')) {
        if !new.contains_key(name) {
            previous.insert(name.clone(), before.clone());
        }
    }
    previous
}
