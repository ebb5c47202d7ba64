//! The kinds of objects that have an id of their own, and what Stripe calls them.

use serde::{Deserialize, Serialize};

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Kind {
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Coupon,
    Customer,
    Discount,
    Dispute,
    EarlyFraudWarning,
    Event,
    Invoice,
    InvoiceItem,
    InvoicePayment,
    Mandate,
    PaymentIntent,
    PaymentMethod,
    PortalConfiguration,
    PortalSession,
    Price,
    Product,
    PromotionCode,
    Refund,
    SetupIntent,
    Subscription,
    WebhookEndpoint,
}

impl Kind {
    /// Its `object`, the start of its ids, and its name in errors.
    const fn facts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Kind::BalanceTransaction => ("balance_transaction", "txn_", "balance transaction"),
            Kind::Charge => ("charge", "ch_", "charge"),
            Kind::CheckoutSession => ("checkout.session", "cs_test_", "checkout.session"),
            Kind::Coupon => ("coupon", "", "coupon"),
            Kind::Customer => ("customer", "cus_", "customer"),
            Kind::Discount => ("discount", "di_", "discount"),
            Kind::Dispute => ("dispute", "du_", "dispute"),
            Kind::EarlyFraudWarning => {
                ("radar.early_fraud_warning", "issfr_", "early fraud warning")
            }
            Kind::Event => ("event", "evt_", "event"),
            Kind::Invoice => ("invoice", "in_", "invoice"),
            Kind::InvoiceItem => ("invoiceitem", "ii_", "invoiceitem"),
            Kind::InvoicePayment => ("invoice_payment", "inpay_", "invoice_payment"),
            Kind::Mandate => ("mandate", "mandate_", "mandate"),
            Kind::PaymentIntent => ("payment_intent", "pi_", "payment_intent"),
            Kind::PaymentMethod => ("payment_method", "pm_", "PaymentMethod"),
            Kind::PortalConfiguration => ("billing_portal.configuration", "bpc_", "configuration"),
            Kind::PortalSession => ("billing_portal.session", "bps_", "session"),
            Kind::Price => ("price", "price_", "price"),
            Kind::Product => ("product", "prod_", "product"),
            Kind::PromotionCode => ("promotion_code", "promo_", "promotion code"),
            Kind::Refund => ("refund", "re_", "refund"),
            Kind::SetupIntent => ("setup_intent", "seti_", "setupintent"),
            Kind::Subscription => ("subscription", "sub_", "subscription"),
            Kind::WebhookEndpoint => ("webhook_endpoint", "we_", "webhook endpoint"),
        }
    }

    /// What its `object` member says.
    pub(crate) const fn object(self) -> &'static str {
        self.facts().0
    }

    /// How its ids begin.
    pub(crate) const fn prefix(self) -> &'static str {
        self.facts().1
    }

    /// Does it say when it was made?
    pub(crate) const fn is_dated(self) -> bool {
        !matches!(self, Kind::Discount | Kind::InvoiceItem | Kind::Mandate)
    }

    /// What errors call it.
    pub(crate) const fn noun(self) -> &'static str {
        self.facts().2
    }
}
