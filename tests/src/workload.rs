//! Random workloads: few accounts and small amounts, so that everything collides with everything.
//!
//! A workload is made beforehand, call by call, with the model looking on: so it knows what would be
//! exactly enough and when exactly something lapses, and aims there. What earlier calls made is named
//! by labels (`account/key`); whoever runs the workload puts ids in their place.

mod deck;
mod moment;

#[cfg(test)]
mod self_test;

use crate::target::Call;
use proto::catalog::Catalog;

/// The accounts of every workload; the last one is never made.
pub const ACCOUNTS: [&str; 5] = ["ann", "bob", "cid", "dee", "nobody"];

/// One call and its time.
#[derive(Clone, Debug)]
pub struct Step {
    /// When, in microseconds since 1970.
    pub at_micros: i64,
    /// What.
    pub call: Call,
}

/// A catalog and a list of calls.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What it was made from.
    pub seed: u64,
    /// The rules to run it under.
    pub catalog: Catalog,
    /// The calls, in order; time never runs backwards.
    pub steps: Vec<Step>,
}

impl Workload {
    /// The workload of this seed: always the same.
    pub fn random(seed: u64, calls: usize) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let catalog = catalog(seed, &mut rng);
        let steps = deck::Deck::new(rng, &catalog).deal(calls);
        Self { seed, catalog, steps }
    }
}

/// Every other workload runs under one of the shipped catalogs, the others under a synthetic one
/// that has everything.
fn catalog(seed: u64, rng: &mut fastrand::Rng) -> Catalog {
    let shipped = ["phoenix", "landscape", "domains", "vantage"];
    let nth = usize::try_from(seed / 2 % 4).expect("below 4");
    if seed.is_multiple_of(2) {
        return Catalog::load(shipped[nth]).expect("a shipped catalog");
    }
    let text = synthetic(rng);
    Catalog::parse("synthetic", &text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"))
}

fn synthetic(rng: &mut fastrand::Rng) -> String {
    let mut pick = |choices: &[&'static str]| choices[rng.usize(..choices.len())];
    let funding_order = pick(&[
        r#"["entitlement", "trial", "allowance", "promotional", "tokens"]"#,
        r#"["purchased", "entitlement", "tokens"]"#,
        r#"["promotional", "trial", "entitlement", "tokens"]"#,
        r#"["tokens", "entitlement"]"#,
        r#"["trial", "tokens", "entitlement", "earned"]"#,
    ]);
    let burn_order = pick(&[
        r#"["priority", "expiry", "unpaid_first", "oldest"]"#,
        r#"["expiry", "priority", "oldest", "unpaid_first"]"#,
        r#"["unpaid_first", "expiry"]"#,
        r#"["oldest"]"#,
    ]);
    let fee = pick(&["0", "250", "3333", "9999"]);
    let kinds = pick(&[
        r#"["purchased", "earned"]"#,
        r#"["purchased", "promotional", "trial", "allowance", "earned", "adjustment"]"#,
    ]);
    let trial = pick(&["", "[trial]\ntokens = 5", "[trial]\ntokens = 3\nexpires_days = 7"]);
    let maturity_days = pick(&["0", "2", "14", "14"]);
    format!(
        r#"
economy = "synthetic"
title = "Synthetic"
currency = "usd"
funding_order = {funding_order}
burn_order = {burn_order}
{trial}

[[actions]]
id = "one"
label = "One"
tokens = 1

[[actions]]
id = "three"
label = "Three"
tokens = 3

[[actions]]
id = "five"
label = "Five"
tokens = 5

[transfers]
enabled = true
fee_basis_points = {fee}
kinds = {kinds}

[earnings]
maturity_days = {maturity_days}
withdrawals_enabled = true

[holds]
default_minutes = 1
max_hours = 48
"#
    )
}
