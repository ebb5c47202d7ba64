//! A portal session that was made for one thing: it begins at that page, and may end at the merchant.

use serde_json::Value;

use super::overview::home;
use crate::json::Look as _;
use crate::pages::read::link;

/// The page that the session begins at, if not at the first.
pub(super) fn start(portal: &Value) -> Option<String> {
    let flow = portal.at("session").at("flow");
    let kind = flow.text("type");
    let subscription = flow.at(kind).text("subscription");
    let step = match kind {
        "payment_method_update" => "methods".to_owned(),
        "subscription_cancel" => format!("cancel/{subscription}"),
        "subscription_update" | "subscription_update_confirm" => format!("plan/{subscription}"),
        _ => return None,
    };
    Some(format!("{}/{step}", home(portal)))
}

/// Where somebody goes who changes nothing.
pub(super) fn back(portal: &Value) -> String {
    let merchant = link(portal.at("session"), "return_url").filter(|_| start(portal).is_some());
    merchant.map_or_else(|| home(portal), str::to_owned)
}

/// Where somebody goes when it is done, if not to the first page.
pub(super) fn end(portal: &Value) -> Option<&str> {
    let after = portal.at("session").at("flow").at("after_completion");
    link(after.at("redirect"), "return_url").filter(|_| after.text("type") == "redirect")
}
