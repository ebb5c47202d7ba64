//! The account that every key belongs to, and what it has earned.

use crate::{fail::Answer, json::Look as _, kind::Kind, world::World};
use serde_json::json;
use std::collections::BTreeMap;

/// What the shop is called, where nobody said.
pub(crate) const NAME: &str = "Simulated Shop";

/// `GET /v1/account`
pub(crate) fn retrieve() -> Answer {
    Ok(json!({
        "id": "acct_1StripeSim", "object": "account", "type": "standard", "country": "US",
        "business_profile": { "name": NAME, "mcc": null, "product_description": null, "support_address": null, "support_email": null, "support_phone": null, "support_url": null, "url": null },
        "business_type": "company", "capabilities": { "card_payments": "active", "sepa_debit_payments": "active", "transfers": "active" },
        "charges_enabled": true, "created": 1_700_000_000, "default_currency": "usd", "details_submitted": true,
        "email": "simulator@example.com", "payouts_enabled": true,
        "settings": {
            "bacs_debit_payments": { "display_name": null, "service_user_number": null },
            "branding": { "icon": null, "logo": null, "primary_color": null, "secondary_color": null },
            "card_issuing": { "tos_acceptance": { "date": null, "ip": null } },
            "card_payments": { "decline_on": { "avs_failure": false, "cvc_failure": true }, "statement_descriptor_prefix": null, "statement_descriptor_prefix_kana": null, "statement_descriptor_prefix_kanji": null },
            "dashboard": { "display_name": NAME, "timezone": "Etc/UTC" },
            "invoices": { "default_account_tax_ids": null, "hosted_payment_method_save": "offer" },
            "payments": { "statement_descriptor": "STRIPE-SIM", "statement_descriptor_kana": null, "statement_descriptor_kanji": null },
            "payouts": { "debit_negative_balances": true, "schedule": { "delay_days": 2, "interval": "daily" }, "statement_descriptor": null },
            "sepa_debit_payments": {}
        },
        "tos_acceptance": { "date": null, "ip": null, "user_agent": null }, "metadata": {},
    }))
}

/// `GET /v1/balance`
pub(crate) fn balance(world: &World) -> Answer {
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for booked in world.all(Kind::BalanceTransaction) {
        let sum = sums.entry(booked.text("currency").to_owned()).or_default();
        if booked.int("available_on") <= world.now {
            sum.0 += booked.int("net");
        } else {
            sum.1 += booked.int("net");
        }
    }
    sums.entry("usd".to_owned()).or_default();
    let amount = |currency: &str, amount: i64| json!({ "amount": amount, "currency": currency, "source_types": { "card": amount } });
    let available: Vec<_> =
        sums.iter().map(|(currency, (sum, _))| amount(currency, *sum)).collect();
    let pending: Vec<_> = sums.iter().map(|(currency, (_, sum))| amount(currency, *sum)).collect();
    Ok(json!({
        "object": "balance", "available": available, "pending": pending, "livemode": false,
        "refund_and_dispute_prefunding": { "available": [], "pending": [] },
    }))
}
