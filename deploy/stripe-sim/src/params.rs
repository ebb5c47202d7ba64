//! Parameters: from a form's brackets to a tree, checked against what Stripe's document says an endpoint
//! takes (`spec/requests.json`). What gets past here has the types that its handler expects.

use crate::{fail::Fail, json::Look as _};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

/// The largest number that a parameter may be: far beyond any amount or time, far from where sums end.
const INTEGER_MAX: u64 = 1_000_000_000_000;

/// Levels of brackets; Stripe's deepest takes seven.
const DEPTH_MAX: usize = 12;

static REQUESTS: LazyLock<HashMap<String, Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../spec/requests.json")).expect("condense wrote it")
});

/// The parameters of a call, or of a part of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    fields: Map<String, Value>,
    /// Where this part is, in the whole.
    path: String,
    /// What somebody looked at, of the whole.
    read: Arc<Mutex<BTreeSet<String>>>,
}

impl Params {
    /// Of a call, checked. `route` is a method and a path with `{}` for what varies.
    pub(crate) fn of(route: &str, pairs: &[(String, String)]) -> Result<Self, Fail> {
        let tree = tree(pairs)?;
        let Some(shape) = REQUESTS.get(route) else {
            // The hosted page's own calls are in no document.
            return Ok(Self::from(tree));
        };
        match check(Value::Object(tree), shape, "")? {
            Value::Object(fields) => Ok(Self::from(fields)),
            _ => Ok(Self::default()),
        }
    }

    /// What nobody looked at: the simulator does as if it weren't there.
    pub(crate) fn unread(&self) -> Vec<String> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unread = Vec::new();
        for (name, field) in &self.fields {
            leaves(field, &within(&self.path, name), &read, &mut unread);
        }
        unread
    }

    fn look(&self, name: &str) -> Option<&Value> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.insert(within(&self.path, name));
        self.fields.get(name)
    }

    /// A part, of which somebody will look at this or that.
    fn part(&self, fields: &Map<String, Value>, path: String) -> Params {
        Params { fields: fields.clone(), path, read: Arc::clone(&self.read) }
    }

    /// A text; one that is to be unset is "".
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.look(name).and_then(Value::as_str)
    }

    /// A text that isn't empty.
    pub(crate) fn full(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// A text that has to be there.
    pub(crate) fn need(&self, name: &str) -> Result<&str, Fail> {
        self.full(name).ok_or_else(|| Fail::missing(name))
    }

    /// A number.
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        let field = self.look(name)?;
        field.as_i64().or_else(|| field.as_str()?.parse().ok())
    }

    /// A flag.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        let field = self.look(name)?;
        field.as_bool().or_else(|| field.as_str()?.parse().ok())
    }

    /// A part with parameters of its own.
    pub(crate) fn group(&self, name: &str) -> Option<Params> {
        let fields = self.fields.get(name)?.as_object()?;
        Some(self.part(fields, within(&self.path, name)))
    }

    /// Parts of a list, each with parameters of its own.
    pub(crate) fn groups(&self, name: &str) -> Vec<Params> {
        let path = within(&self.path, name);
        let elements = self.fields.items(name).iter().enumerate();
        let parts = elements.filter_map(|(at, element)| Some((at, element.as_object()?)));
        parts.map(|(at, fields)| self.part(fields, format!("{path}[{at}]"))).collect()
    }

    /// Texts of a list.
    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        self.look(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// As it is.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.look(name)
    }

    /// Is it there?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// All but one.
    pub(crate) fn without(&self, name: &str) -> Params {
        let mut fields = self.fields.clone();
        fields.remove(name);
        Self::from(fields)
    }

    /// All of them.
    pub(crate) fn all(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Copies parameters that an object shows as they were given; an empty text unsets.
    pub(crate) fn echo(&self, object: &mut Value, names: &[&str]) {
        for name in names {
            if let Some(value) = self.look(name) {
                object[*name] = if value == "" { Value::Null } else { value.clone() };
            }
        }
    }

    /// Metadata is merged name by name; an empty value removes a name, an empty text all.
    pub(crate) fn echo_metadata(&self, object: &mut Value) {
        if !object.at("metadata").is_object() {
            object["metadata"] = Value::Object(Map::new());
        }
        match self.look("metadata") {
            Some(Value::Object(more)) => {
                for (name, value) in more {
                    let Some(metadata) = object["metadata"].as_object_mut() else { return };
                    if value == "" {
                        metadata.remove(name);
                    } else {
                        metadata.insert(name.clone(), value.clone());
                    }
                }
            }
            Some(_) => object["metadata"] = Value::Object(Map::new()),
            None => {}
        }
    }
}

/// The paths of what wasn't looked at, itself or as part of something.
fn leaves(field: &Value, path: &str, read: &BTreeSet<String>, unread: &mut Vec<String>) {
    match field {
        _ if read.contains(path) => {}
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(name, field)| leaves(field, &within(path, name), read, unread));
        }
        Value::Array(elements) if elements.iter().any(Value::is_object) => {
            for (at, element) in elements.iter().enumerate() {
                leaves(element, &format!("{path}[{at}]"), read, unread);
            }
        }
        _ => unread.push(path.to_owned()),
    }
}

/// `a[b][0][c]=v` and `a[]=v` as a tree; a level of numbers becomes a list.
fn tree(pairs: &[(String, String)]) -> Result<Map<String, Value>, Fail> {
    let mut root = Map::new();
    for (key, value) in pairs {
        let names = names(key).ok_or_else(|| Fail::request(format!("Invalid key: {key}")))?;
        plant(&mut root, &names, value).map_err(|()| {
            Fail::param(key.clone(), format!("Invalid {key}: it is given as two things"))
        })?;
    }
    Ok(root.into_iter().map(|(name, value)| (name, listed(value))).collect())
}

fn names(key: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    let mut rest = key;
    if let Some((first, after)) = key.split_once('[') {
        names.push(first);
        rest = after;
        loop {
            let (name, after) = rest.split_once(']')?;
            names.push(name);
            match after.strip_prefix('[') {
                Some(next) => rest = next,
                None if after.is_empty() => break,
                None => return None,
            }
        }
    } else {
        names.push(rest);
    }
    (names.len() <= DEPTH_MAX && !names.first()?.is_empty()).then_some(names)
}

fn plant(level: &mut Map<String, Value>, names: &[&str], value: &str) -> Result<(), ()> {
    let Some((name, deeper)) = names.split_first() else { return Err(()) };
    let name = if name.is_empty() { level.len().to_string() } else { (*name).to_owned() };
    if deeper.is_empty() {
        level.insert(name, Value::String(value.to_owned()));
        return Ok(());
    }
    match level.entry(name).or_insert_with(|| Value::Object(Map::new())) {
        Value::Object(next) => plant(next, deeper, value),
        _ => Err(()),
    }
}

fn listed(value: Value) -> Value {
    let Value::Object(level) = value else { return value };
    let mut numbered = Vec::new();
    for name in level.keys() {
        match name.parse::<usize>() {
            Ok(number) => numbered.push((number, name.clone())),
            Err(_) => {
                return Value::Object(level.into_iter().map(|(n, v)| (n, listed(v))).collect());
            }
        }
    }
    numbered.sort();
    Value::Array(numbered.into_iter().map(|(_, name)| listed(level[&name].clone())).collect())
}

/// A value as its shape has it, or what is wrong with it.
fn check(value: Value, shape: &Value, path: &str) -> Result<Value, Fail> {
    match shape {
        Value::String(kind) => check_text(value, kind, path),
        Value::Array(shapes) => check_any(&value, shapes, path),
        Value::Object(kind) => {
            if let Some(allowed) = kind.get("enum") {
                check_enum(value, allowed, path)
            } else if let Some(of) = kind.get("list") {
                check_list(value, of, path)
            } else if let Some(of) = kind.get("map") {
                check_map(value, of, path)
            } else {
                check_group(value, kind, path)
            }
        }
        _ => Ok(value),
    }
}

fn check_text(value: Value, kind: &str, path: &str) -> Result<Value, Fail> {
    let Value::String(text) = value else {
        let wanted = if kind.starts_with("str") { "string" } else { kind };
        return Err(Fail::param(path, format!("Invalid {wanted}: {value}")));
    };
    match kind {
        "int" => match text.parse::<i64>() {
            Ok(number) if number.unsigned_abs() <= INTEGER_MAX => Ok(Value::from(number)),
            _ => {
                let said = format!("Invalid integer: {text}");
                Err(Fail::param(path, said).code("parameter_invalid_integer"))
            }
        },
        "num" => {
            let number = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
            number.map(Value::Number).ok_or_else(|| {
                Fail::param(path, format!("Invalid decimal: {text}"))
                    .code("parameter_invalid_integer")
            })
        }
        "bool" => {
            let flag = text.parse::<bool>().map(Value::from);
            flag.map_err(|_| Fail::param(path, format!("Invalid boolean: {text}")))
        }
        kind => {
            let most = kind.strip_prefix("str:").and_then(|most| most.parse().ok()).unwrap_or(5000);
            let length = text.chars().count();
            if length > most {
                let said = format!(
                    "Invalid string: {}...; must be at most {most} characters",
                    first(&text)
                );
                return Err(Fail::param(path, said).code("parameter_invalid_string_too_long"));
            }
            Ok(Value::String(text))
        }
    }
}

fn first(text: &str) -> String {
    text.chars().take(10).collect()
}

/// The first that fits; else what the one that got furthest says.
fn check_any(value: &Value, shapes: &[Value], path: &str) -> Result<Value, Fail> {
    let mut best: Option<Fail> = None;
    for shape in shapes {
        match check(value.clone(), shape, path) {
            Ok(value) => return Ok(value),
            Err(fail) => {
                let depth = |fail: &Fail| fail.param.as_ref().map_or(0, String::len);
                if best.as_ref().is_none_or(|best| depth(&fail) > depth(best)) {
                    best = Some(fail);
                }
            }
        }
    }
    Err(best.unwrap_or_else(|| Fail::param(path, format!("Invalid {path}"))))
}

fn check_enum(value: Value, allowed: &Value, path: &str) -> Result<Value, Fail> {
    let allowed = allowed.as_array().map_or(&[][..], Vec::as_slice);
    if allowed.contains(&value) {
        return Ok(value);
    }
    let names: Vec<_> =
        allowed.iter().filter_map(Value::as_str).filter(|n| !n.is_empty()).collect();
    let list = match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, [one])) => format!("{one} or {last}"),
        Some((last, others)) => format!("{}, or {last}", others.join(", ")),
        None => "empty".to_owned(),
    };
    Err(Fail::param(path, format!("Invalid {path}: must be one of {list}")))
}

fn check_list(value: Value, of: &Value, path: &str) -> Result<Value, Fail> {
    let elements = match value {
        Value::Array(elements) => elements,
        // An empty list is sent as an empty text.
        Value::String(text) if text.is_empty() => Vec::new(),
        _ => return Err(Fail::param(path, "Invalid array")),
    };
    let elements = elements.into_iter().enumerate();
    elements.map(|(at, element)| check(element, of, &format!("{path}[{at}]"))).collect()
}

fn check_map(value: Value, of: &Value, path: &str) -> Result<Value, Fail> {
    // Names that are all numbers look like a list's.
    let value = match value {
        Value::Array(elements) => elements
            .into_iter()
            .enumerate()
            .map(|(at, element)| (at.to_string(), element))
            .collect(),
        value => value,
    };
    let Value::Object(fields) = value else {
        return Err(Fail::param(path, "Invalid object"));
    };
    let is_metadata = path.ends_with("metadata") || path.ends_with("metadata]");
    if is_metadata {
        check_metadata(&fields, path)?;
    }
    let fields = fields.into_iter();
    let fields =
        fields.map(|(name, field)| Ok((name.clone(), check(field, of, &within(path, &name))?)));
    fields.collect::<Result<Map<_, _>, Fail>>().map(Value::Object)
}

/// Fifty names of at most 40 characters, values of at most 500.
fn check_metadata(fields: &Map<String, Value>, path: &str) -> Result<(), Fail> {
    const NAMES_MAX: usize = 50;
    const NAME_MAX: usize = 40;
    const VALUE_MAX: usize = 500;
    if fields.len() > NAMES_MAX {
        return Err(Fail::param(path, format!("You can only have {NAMES_MAX} metadata keys.")));
    }
    for (name, value) in fields {
        if name.chars().count() > NAME_MAX || name.contains(['[', ']']) {
            let said = format!(
                "Metadata keys can be up to {NAME_MAX} characters long, without square brackets."
            );
            return Err(Fail::param(path, said));
        }
        if value.as_str().is_some_and(|value| value.chars().count() > VALUE_MAX) {
            let said = format!("Metadata values can be up to {VALUE_MAX} characters long.");
            return Err(Fail::param(within(path, name), said));
        }
    }
    Ok(())
}

fn check_group(value: Value, kind: &Map<String, Value>, path: &str) -> Result<Value, Fail> {
    let Value::Object(fields) = value else {
        return Err(Fail::param(path, "Invalid object"));
    };
    let known = kind.at("of");
    let mut unknown = fields.keys().filter(|name| known.get(name).is_none());
    if let Some(name) = unknown.next() {
        let name = within(path, name);
        return Err(Fail::param(&name, format!("Received unknown parameter: {name}"))
            .code("parameter_unknown"));
    }
    let mut checked = Map::new();
    for (name, field) in fields {
        let path = within(path, &name);
        checked.insert(name.clone(), check(field, known.at(&name), &path)?);
    }
    for name in kind.items("needs").iter().filter_map(Value::as_str) {
        if !checked.contains_key(name) {
            return Err(Fail::missing(&within(path, name)));
        }
        if checked.text(name).is_empty() && checked.at(name).is_string() {
            let name = within(path, name);
            let said = format!(
                "You passed an empty string for '{name}'. We assume empty values are an attempt to unset \
                 a parameter; however '{name}' cannot be unset. You should remove '{name}' from your \
                 request or supply a non-empty value."
            );
            return Err(Fail::param(name, said).code("parameter_invalid_empty"));
        }
    }
    Ok(Value::Object(checked))
}

fn within(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}[{name}]") }
}

/// Does Stripe have this endpoint, and do we?
pub(crate) fn is_known(route: &str) -> bool {
    REQUESTS.contains_key(route) || route.contains(" /v1/payment_pages/")
}

impl From<Map<String, Value>> for Params {
    fn from(fields: Map<String, Value>) -> Self {
        Self { fields, ..Self::default() }
    }
}
