//! What a world is to be like, and what its gateways are told of it.

use super::world::SERVICE_SECRET;
use std::path::Path;
use tests::stripe_sim::{self, StripeSim};

/// What pages use, and who only confirms payments.
pub const PUBLISHABLE_KEY: &str = "pk_test_payments";

/// What is sold.
#[derive(Clone, Debug)]
pub enum Catalog {
    Shipped(&'static str),
    /// A file with this content.
    Own(String),
}

/// Where the gateway keeps its own.
#[derive(Clone, Copy, Debug)]
pub enum Kept {
    InAFile,
    InPostgres,
}

/// How the gateway reaches others.
#[derive(Clone, Copy, Debug)]
pub enum Ways {
    Straight,
    Intercepted,
}

/// What a world is to be like.
#[derive(Debug)]
pub struct Plan {
    pub catalog: Catalog,
    pub kept: Kept,
    pub ways: Ways,
    pub replicas: usize,
    /// More of the gateways' environment.
    pub settings: Vec<(&'static str, String)>,
    /// A Stripe where something is prepared already.
    pub stripe: Option<StripeSim>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            catalog: Catalog::Shipped("phoenix"),
            kept: Kept::InAFile,
            ways: Ways::Straight,
            replicas: 1,
            settings: Vec::new(),
            stripe: None,
        }
    }
}

impl Catalog {
    /// As both services are told it.
    pub fn setting(&self, folder: &Path) -> String {
        match self {
            Self::Shipped(name) => (*name).to_owned(),
            Self::Own(text) => {
                let file = folder.join("catalog.toml");
                std::fs::write(&file, text).expect("a catalog");
                file.display().to_string()
            }
        }
    }
}

/// Where everything is that a gateway needs.
#[derive(Debug)]
pub struct Places {
    pub database: String,
    pub catalog: String,
    pub tokens: String,
    pub api: String,
    pub secret: String,
}

impl Places {
    /// What a gateway is told by its environment.
    pub fn environment(&self, more: &[(&'static str, String)]) -> Vec<(String, String)> {
        let Self { database, catalog, tokens, api, secret } = self;
        let tokens = format!("http://{tokens}");
        let keys = format!("tests:{SERVICE_SECRET}");
        let usual = [
            ("PAYMENTS_GATEWAY_DATABASE", database.as_str()),
            ("PAYMENTS_GATEWAY_CATALOG", catalog),
            ("PAYMENTS_GATEWAY_TOKEN_SERVICE", &tokens),
            ("PAYMENTS_GATEWAY_SERVICE_KEYS", &keys),
            ("STRIPE_API_BASE", api),
            ("STRIPE_SECRET_KEY", stripe_sim::KEY),
            ("STRIPE_PUBLISHABLE_KEY", PUBLISHABLE_KEY),
            ("STRIPE_WEBHOOK_SECRETS", secret),
        ];
        // Of a name that is there twice, the last one counts.
        let more = more.iter().map(|(name, value)| (*name, value.as_str()));
        let all = usual.into_iter().chain(more);
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}
