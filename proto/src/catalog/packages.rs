//! What is bought once: packages, and any number of tokens at a price for each.

use serde::Serialize;

use super::mistakes::Spot;
use super::section::Section;
use super::value::{Ids, Value};
use super::{NAME_CHARS_MAX, PRICE_MINOR_MAX, TOKENS_MAX};

/// A fixed number of tokens for a fixed price.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Package {
    /// The id, unique among packages: `[a-z0-9_]{1,64}`.
    pub id: String,
    /// The name that people read.
    pub name: String,
    /// All tokens that the buyer gets, a bonus included. At least 1.
    pub tokens: i64,
    /// The price in minor units of the catalog's currency. At least 1.
    pub price_minor: i64,
    /// A word that makes it stand out, e.g. "Most Popular".
    pub badge: Option<String>,
    /// How many percent more tokens the price buys than it does at the smallest package's price.
    /// `tokens` includes them: 110 tokens with a bonus of 10 are 100 and 10.
    pub bonus_percent: Option<i64>,
    /// How many percent cheaper a token is than in the smallest package.
    pub savings_percent: Option<i64>,
    /// The Stripe price to charge; without one the gateway sends the price inline.
    pub stripe_price: Option<String>,
}

/// Any number of tokens between two limits, at a price for each. Auto-reloads are priced so too.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct CustomAmount {
    /// The price of one token in minor units of the catalog's currency. At least 1.
    pub price_minor_per_token: i64,
    /// The fewest tokens to buy. At least 1.
    pub min_tokens: i64,
    /// The most tokens to buy; their price is within `i64` by far.
    pub max_tokens: i64,
}

impl CustomAmount {
    /// The price of so many tokens in minor units; `None` outside the limits.
    pub fn price_minor(&self, tokens: i64) -> Option<i64> {
        let allowed = (self.min_tokens..=self.max_tokens).contains(&tokens);
        if allowed { tokens.checked_mul(self.price_minor_per_token) } else { None }
    }

    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let price = section.need("price_minor_per_token").whole(1..=PRICE_MINOR_MAX);
        let min = section.need("min_tokens").whole(1..=TOKENS_MAX);
        let max = section.need("max_tokens").whole(1..=TOKENS_MAX);
        let (price, min_tokens, max_tokens) = (price?, min?, max?);

        section.order(("min_tokens", min_tokens), ("max_tokens", max_tokens));
        if max_tokens.checked_mul(price).is_none_or(|total| total > PRICE_MINOR_MAX) {
            section.get("max_tokens").fail(format_args!(
                "max_tokens × price_minor_per_token is more than the largest price, \
                 {PRICE_MINOR_MAX}; lower max_tokens"
            ));
        }
        Some(Self { price_minor_per_token: price, min_tokens, max_tokens })
    }
}

/// A package as read, and where its two claims stand in the file.
struct Offer {
    package: Package,
    bonus: Spot,
    savings: Spot,
}

/// Reads `[[packages]]`; `prices` are the Stripe prices taken so far.
pub(super) fn read(value: &Value<'_>, prices: &mut Ids) -> Option<Vec<Package>> {
    let mut ids = Ids::new();
    let offers = value.tables("package", |section| read_one(section, &mut ids, prices));
    let offers: Vec<Offer> = offers.into_iter().collect::<Option<_>>()?;
    if let Some(smallest) = offers.iter().map(|offer| &offer.package).min_by_key(|p| p.tokens) {
        for Offer { package, bonus, savings } in &offers {
            if let Some(reason) = untrue_bonus(package, smallest) {
                value.mistakes.note(bonus, reason);
            }
            if let Some(reason) = untrue_savings(package, smallest) {
                value.mistakes.note(savings, reason);
            }
        }
    }
    Some(offers.into_iter().map(|offer| offer.package).collect())
}

fn read_one(section: &mut Section<'_>, ids: &mut Ids, prices: &mut Ids) -> Option<Offer> {
    let id = section.need("id").once(ids).id();
    let name = section.need("name").text(NAME_CHARS_MAX);
    let tokens = section.need("tokens").whole(1..=TOKENS_MAX);
    let price_minor = section.need("price_minor").whole(1..=PRICE_MINOR_MAX);
    let badge = section.get("badge").text(NAME_CHARS_MAX);
    let bonus_percent = section.get("bonus_percent").whole(1..=1000);
    let savings_percent = section.get("savings_percent").whole(1..=99);
    let stripe_price = section.get("stripe_price").once(prices).stripe_price();
    let (bonus, savings) = (section.get("bonus_percent").spot, section.get("savings_percent").spot);
    let (id, name, tokens, price_minor) = (id?, name?, tokens?, price_minor?);
    let package = Package {
        id,
        name,
        tokens,
        price_minor,
        badge,
        bonus_percent,
        savings_percent,
        stripe_price,
    };
    Some(Offer { package, bonus, savings })
}

// What a package claims must follow from the prices, give or take one percent for prices such as
// 9.99. Where it doesn't, either the claim is untrue or a price beside it is mistyped.

fn untrue_bonus(package: &Package, smallest: &Package) -> Option<String> {
    let Package { tokens, bonus_percent, .. } = package;
    let claim = (*bonus_percent)?;
    let with_bonus = |package: &Package| 100 + i128::from(package.bonus_percent.unwrap_or(0));
    if i128::from(*tokens) * 100 % with_bonus(package) != 0 {
        return Some(format!(
            "bonus_percent: {tokens} tokens are no whole number with {claim} % of it on top; \
             correct tokens or bonus_percent"
        ));
    }
    let bought = i128::from(*tokens) * i128::from(smallest.price_minor) * with_bonus(smallest);
    let expected = i128::from(smallest.tokens) * i128::from(package.price_minor) * 100;
    let real = percent(bought, expected) - 100;
    (real.abs_diff(claim.into()) > 1).then(|| {
        let id = &smallest.id;
        format!(
            "bonus_percent is {claim}, but the price buys {real} % more than it would at the price \
             of package `{id}`; correct price_minor, tokens or bonus_percent"
        )
    })
}

fn untrue_savings(package: &Package, smallest: &Package) -> Option<String> {
    let claim = package.savings_percent?;
    let price = i128::from(package.price_minor) * i128::from(smallest.tokens);
    let regular = i128::from(smallest.price_minor) * i128::from(package.tokens);
    let real = 100 - percent(price, regular);
    (real.abs_diff(claim.into()) > 1).then(|| {
        let id = &smallest.id;
        format!(
            "savings_percent is {claim}, but a token is {real} % cheaper than in the smallest \
             package, `{id}`; correct price_minor, tokens or savings_percent"
        )
    })
}

/// `part` in percent of `whole`, to the nearest. The limits on tokens and prices keep this far
/// within `i128`.
fn percent(part: i128, whole: i128) -> i128 {
    (200 * part + whole) / (2 * whole)
}
