//! Stripe's search: `status:"succeeded" AND metadata["purchase"]:"42"`. What is new is found at once, where
//! Stripe may take a minute.

use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    params::Params,
    world::{World, limit},
};
use serde_json::{Value, json};

/// Finds what a query describes, newest first.
pub(crate) fn run(world: &World, kind: Kind, params: &Params, url: &str) -> Answer {
    let query = parse(params.need("query")?)?;
    let limit = limit(params)?;
    let skipped: usize = params.full("page").and_then(|page| page.parse().ok()).unwrap_or(0);
    let found: Vec<_> =
        world.all(kind).filter(|object| query.fits(object)).skip(skipped).take(limit + 1).collect();
    let has_more = found.len() > limit;
    let data: Vec<_> = found.into_iter().take(limit).collect();
    let next = has_more.then(|| (skipped + limit).to_string());
    Ok(
        json!({ "object": "search_result", "data": data, "has_more": has_more, "next_page": next, "url": url }),
    )
}

/// Clauses of which all, or any, have to fit.
struct Query {
    clauses: Vec<Clause>,
    is_any: bool,
}

struct Clause {
    is_not: bool,
    path: Vec<String>,
    compare: &'static str,
    value: String,
}

impl Query {
    fn fits(&self, object: &Value) -> bool {
        let mut fits = self.clauses.iter().map(|clause| clause.fits(object));
        if self.is_any { fits.any(|fits| fits) } else { fits.all(|fits| fits) }
    }
}

impl Clause {
    fn fits(&self, object: &Value) -> bool {
        let found = self.path.iter().fold(object, |value, name| value.at(name));
        let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        let fits = match self.compare {
            ":" if self.value == "null" => found.is_null(),
            ":" => text.eq_ignore_ascii_case(&self.value),
            "~" => text.to_lowercase().contains(&self.value.to_lowercase()),
            compare => {
                let (Some(have), Ok(than)) = (found.as_i64(), self.value.parse::<i64>()) else {
                    return false;
                };
                match compare {
                    ">=" => have >= than,
                    "<=" => have <= than,
                    ">" => have > than,
                    _ => have < than,
                }
            }
        };
        fits != self.is_not
    }
}

fn parse(query: &str) -> Result<Query, Fail> {
    let wrong =
        || Fail::param("query", format!("We were unable to parse your search query: {query}"));
    let (mut clauses, mut joints, mut rest) = (Vec::new(), Vec::new(), query.trim());
    loop {
        let (clause, after) = clause(rest).ok_or_else(wrong)?;
        clauses.push(clause);
        rest = after.trim_start();
        if rest.is_empty() {
            break;
        }
        let upper = rest.get(..4).unwrap_or(rest).to_uppercase();
        let length = if upper.starts_with("AND ") {
            4
        } else if upper.starts_with("OR ") {
            3
        } else {
            return Err(wrong());
        };
        joints.push(length == 3);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    let is_any = joints.first().copied().unwrap_or(false);
    if joints.iter().any(|joint| *joint != is_any) {
        return Err(Fail::param("query", "You cannot combine AND and OR in one query."));
    }
    Ok(Query { clauses, is_any })
}

fn clause(text: &str) -> Option<(Clause, &str)> {
    let (is_not, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut in_quotes = false;
    let at = text.find(|c: char| {
        in_quotes ^= c == '"' || c == '\'';
        !in_quotes && matches!(c, ':' | '~' | '>' | '<')
    })?;
    let (name, rest) = text.split_at(at);
    let compare =
        [">=", "<=", ">", "<", ":", "~"].into_iter().find(|compare| rest.starts_with(compare))?;
    let rest = rest.get(compare.len()..)?;
    let (value, after) = match rest.chars().next()? {
        quote @ ('"' | '\'') => {
            let inner = rest.get(1..)?;
            let end = inner.find(quote)?;
            (inner.get(..end)?, inner.get(end + 1..)?)
        }
        _ => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
    };
    let is_bare = rest.starts_with(|first: char| first != '"' && first != '\'');
    if is_bare && value != "null" && value.parse::<f64>().is_err() {
        return None;
    }
    let path: Vec<_> = name
        .split(['.', '[', ']', '"', '\''])
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    (!path.is_empty()).then(|| (Clause { is_not, path, compare, value: value.to_owned() }, after))
}
