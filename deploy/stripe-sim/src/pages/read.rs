//! What a page reads from Stripe's objects, beyond their members: ids that may be expanded, addresses that
//! may be linked to, who sells, and a day as it is written.

use serde_json::Value;

use crate::calendar::date;
use crate::json::Look as _;
use crate::resources::account;

/// The id in a member, which may hold the object itself.
pub(super) fn id<'a>(object: &'a Value, name: &str) -> &'a str {
    let member = object.at(name);
    member.as_str().unwrap_or_else(|| member.text("id"))
}

/// An address of the merchant's that a link may lead to. Anything but http(s) could be a script.
pub(super) fn link<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.opt(name).filter(|url| url.starts_with("https://") || url.starts_with("http://"))
}

/// Who sells: the name that a session or a portal is branded with. All belongs to one account, which has none.
pub(super) fn merchant(object: &Value) -> &str {
    let branded = object.at("branding_settings").opt("display_name");
    let headline = object.at("business_profile").opt("headline");
    branded.or(headline).unwrap_or(account::NAME)
}

/// The day that holds a moment, in UTC: `3 March 2027`. The simulator's clock moves in no time zone.
pub(super) fn day(unix_seconds: i64) -> String {
    date(unix_seconds).strftime("%-d %B %Y").to_string()
}
