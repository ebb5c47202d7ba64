//! The catalog: what is sold, what it is spent on and who pays, in one TOML file for both services.
//!
//! It stands beside the protocol because the two services must agree on it to the letter.
//! [`Catalog::digest`] is the version that they compare and that every purchase remembers.
//!
//! The file is read in one pass. Each section asks for the keys it knows; a mistake is noted with
//! its place, and reading goes on. So every mistake is told at once, and a catalog with a mistake
//! never comes into being: [`Catalog::parse`] answers the one or the other. A section is `None`
//! once it has a mistake, and then nothing is compared with it, so that one mistake is told once.

mod currency;
mod funding;
mod labels;
mod mistakes;
mod packages;
mod plans;
mod policy;
mod section;
mod value;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{fs, io, iter};

use serde::Serialize;
use sha2::{Digest, Sha256};
use toml::de::DeTable;

pub use currency::Currency;
pub use funding::{BurnCriterion, FundingStep, GrantKind};
pub use labels::Label;
pub use mistakes::{CatalogError, CatalogErrors};
pub use packages::{CustomAmount, Package};
pub use plans::{Action, Benefit, Interval, Plan, Rollover};
pub use policy::{AutoReload, Earnings, Holds, Limits, Transfers, Trial};

use mistakes::{Mistakes, Spot};
use section::Section;
use value::Ids;

/// The most tokens that any number in the file can name.
pub const TOKENS_MAX: i64 = 1_000_000_000_000_000;

/// The highest price in minor units: the twelve digits that Stripe has room for.
pub const PRICE_MINOR_MAX: i64 = 999_999_999_999;

/// The longest name, badge or label in characters.
const NAME_CHARS_MAX: usize = 80;

/// The longest of the free texts in characters.
const TEXT_CHARS_MAX: usize = 500;

/// The catalogs that come with the services.
const SHIPPED: [(&str, &str); 4] = [
    ("phoenix", include_str!("../../catalogs/phoenix.toml")),
    ("landscape", include_str!("../../catalogs/landscape.toml")),
    ("domains", include_str!("../../catalogs/domains.toml")),
    ("vantage", include_str!("../../catalogs/vantage.toml")),
];

/// One token economy. The fields in their order are also the canonical form: adding, renaming or
/// moving one gives every catalog a new [digest](Self::digest).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Catalog {
    /// The economy's id: `[a-z0-9_]{1,64}`.
    pub economy: String,
    /// The economy's name that people read.
    pub title: String,
    /// The currency of every price here.
    pub currency: Currency,
    /// Which sources pay for an action, first to last (an entitlement, then tokens).
    pub funding_order: Vec<FundingStep>,
    /// Which grant of one step is drawn first (priority, expiry, unpaid first, oldest).
    pub burn_order: Vec<BurnCriterion>,
    /// What is bought once, in the order in which it is shown.
    pub packages: Vec<Package>,
    /// The price of any number of tokens, if one can buy that.
    pub custom_amount: Option<CustomAmount>,
    /// What is subscribed to, in the order in which it is shown.
    pub plans: Vec<Plan>,
    /// What tokens are spent on, in the order in which it is shown.
    pub actions: Vec<Action>,
    /// Free tokens for every user once, if there are any.
    pub trial: Option<Trial>,
    /// Users giving tokens to each other.
    pub transfers: Transfers,
    /// What users received from others.
    pub earnings: Earnings,
    /// Tokens set aside.
    pub holds: Holds,
    /// How often one can buy.
    pub limits: Limits,
    /// Buying again by itself.
    pub auto_reload: AutoReload,
    /// What this economy calls its transactions; [`Catalog::label`] looks one up.
    pub labels: BTreeMap<Label, String>,
    /// Other texts, e.g. `out_of_tokens`; `next_step_` and a refusal's reason in lower case is
    /// what to do about that refusal.
    pub texts: BTreeMap<String, String>,
}

/// Why [`Catalog::load`] has no catalog.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No file could be read there.
    #[error(
        "cannot read the catalog {}: {source} (shipped catalogs: {})",
        path.display(),
        SHIPPED.map(|(name, _)| name).join(", ")
    )]
    Unreadable {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file has mistakes.
    #[error(transparent)]
    Invalid(#[from] CatalogErrors),
}

/// Why an action has no price.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PriceError {
    /// The catalog has no such action.
    #[error("the catalog has no action `{0}`")]
    UnknownAction(String),
    /// The quantity is not at least 1.
    #[error("a quantity must be at least 1, not {0}")]
    Quantity(i64),
    /// The price is more than `i64` can hold.
    #[error("{quantity} times {tokens} tokens is more than an amount can be")]
    Overflow {
        /// The price of one.
        tokens: i64,
        /// How many.
        quantity: i64,
    },
}

impl Catalog {
    /// Reads a catalog, or tells every mistake in it; `source_name` is what messages call the file.
    pub fn parse(source_name: &str, text: &str) -> Result<Self, CatalogErrors> {
        let mistakes = Mistakes::new(text);
        let (document, syntax_errors) = DeTable::parse_recoverable(text);
        for error in syntax_errors {
            let at = error.span().map_or(text.len(), |span| span.start);
            let reason = format_args!("this is not TOML: {}", error.message());
            mistakes.note(&Spot { at, place: String::new() }, reason);
        }
        // What TOML could not read would be reported as missing, so the syntax must be right first.
        if mistakes.is_empty() {
            let spot = Spot { at: 0, place: String::new() };
            let catalog = Section::read(Some(document.get_ref()), spot, &mistakes, Self::read);
            if let Some(catalog) = catalog.filter(|_| mistakes.is_empty()) {
                return Ok(catalog);
            }
        }
        Err(mistakes.into_errors(source_name))
    }

    /// The catalog of a setting such as `--catalog`: a shipped one's name, or the path of a file.
    pub fn load(name_or_path: &str) -> Result<Self, LoadError> {
        if let Some(text) = Self::shipped(name_or_path) {
            return Ok(Self::parse(&format!("catalogs/{name_or_path}.toml"), text)?);
        }
        let unreadable = |source| LoadError::Unreadable { path: name_or_path.into(), source };
        let text = fs::read_to_string(name_or_path).map_err(unreadable)?;
        Ok(Self::parse(name_or_path, &text)?)
    }

    /// The text of a catalog that comes with the services: `phoenix`, `landscape`, `domains` or
    /// `vantage`.
    pub fn shipped(name: &str) -> Option<&'static str> {
        SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|(_, text)| *text)
    }

    /// The version: the SHA-256 of the content in lower-case hex.
    ///
    /// Content is what was understood, as compact JSON. Comments, blanks, the order of keys, and a
    /// default written out or left out don't change it; every value does, and so does the order of
    /// packages, plans and actions, which people see. It is computed anew at each call.
    pub fn digest(&self) -> String {
        let canonical = serde_json::to_vec(self).expect("a catalog is strings, integers and lists");
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(canonical) {
            write!(hex, "{byte:02x}").expect("a String takes everything");
        }
        hex
    }

    /// The action of this id.
    pub fn action(&self, id: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.id == id)
    }

    /// The package of this id.
    pub fn package(&self, id: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.id == id)
    }

    /// The plan of this id.
    pub fn plan(&self, id: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.id == id)
    }

    /// What doing an action `quantity` times costs, in tokens.
    pub fn price(&self, action: &str, quantity: i64) -> Result<i64, PriceError> {
        let action =
            self.action(action).ok_or_else(|| PriceError::UnknownAction(action.to_owned()))?;
        if quantity < 1 {
            return Err(PriceError::Quantity(quantity));
        }
        let tokens = action.tokens;
        tokens.checked_mul(quantity).ok_or(PriceError::Overflow { tokens, quantity })
    }

    /// The kinds of grants that a step of the funding order draws on; an entitlement none.
    pub fn kinds(&self, step: FundingStep) -> Vec<GrantKind> {
        step.kinds(&self.funding_order)
    }

    /// What this economy calls a transaction: by this label, else by the next wider one.
    pub fn label(&self, label: Label) -> Option<&str> {
        iter::successors(Some(label), |label| label.wider())
            .find_map(|label| self.labels.get(&label).map(String::as_str))
    }

    fn read(top: &mut Section<'_>) -> Option<Self> {
        let economy = top.need("economy").id();
        let title = top.need("title").text(NAME_CHARS_MAX);
        let currency = top.need("currency").currency();
        let funding_order = funding::read_funding_order(top);
        let burn_order = funding::read_burn_order(top);

        let mut prices = Ids::new();
        let packages = packages::read(&top.get("packages"), &mut prices);
        let custom_amount = top.get("custom_amount").table(CustomAmount::read).flatten();
        let (actions, action_ids) = plans::read_actions(&top.get("actions"));
        let plans = plans::read(&top.get("plans"), &action_ids, &funding_order, &mut prices);

        let trial = top.get("trial").table(Trial::read).flatten();
        let transfers = top.get("transfers").settings(Transfers::read);
        let earnings = top.get("earnings").settings(Earnings::read);
        let holds = top.get("holds").settings(Holds::read);
        let limits = top.get("limits").settings(Limits::read);
        let auto_reload =
            top.get("auto_reload").settings(|section| AutoReload::read(section, custom_amount));
        if auto_reload.is_some_and(|reload| reload.enabled)
            && packages.as_ref().is_some_and(Vec::is_empty)
            && !top.get("custom_amount").is_given()
        {
            let reason =
                "[auto_reload]: there is nothing to buy: add [[packages]] or [custom_amount]";
            top.get("auto_reload").fail(reason);
        }
        let labels = labels::read(&top.get("labels"));
        let texts = top.get("texts").map(|text| text.text(TEXT_CHARS_MAX));
        Some(Self {
            economy: economy?,
            title: title?,
            currency: currency?,
            funding_order,
            burn_order,
            packages: packages?,
            custom_amount,
            plans: plans?,
            actions: actions?,
            trial,
            transfers: transfers?,
            earnings: earnings?,
            holds: holds?,
            limits: limits?,
            auto_reload: auto_reload?,
            labels: labels.unwrap_or_default(),
            texts: texts.unwrap_or_default(),
        })
    }
}
