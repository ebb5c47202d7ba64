//! Every scenario runs against the core, against the service on both databases and across the wire. A
//! file is one test for each of them; a failure shows every scenario of it that failed, with its line.

use proto::catalog::Catalog;
use std::{collections::BTreeSet, fs, path::PathBuf};
use tests::{
    core::Core,
    scenario::{self, Observed, Scenario},
    world::{On, World},
};

macro_rules! files {
    ($($file:ident)*) => {
        /// The files, without their ending.
        pub const FILES: &[&str] = &[$(stringify!($file)),*];

        $(mod $file {
            #[tokio::test]
            async fn core() {
                super::on_core(stringify!($file)).await;
            }

            #[tokio::test]
            async fn sqlite() {
                super::on_sqlite(stringify!($file)).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::on_postgres(stringify!($file)).await;
            }

            #[tokio::test]
            async fn wire() {
                super::on_wire(stringify!($file)).await;
            }
        })*
    };
}

files! {
    accounts
    again
    authorize
    batch
    burn_order
    caps
    clawback
    credit
    debit
    debt
    economy_domains
    economy_landscape
    economy_phoenix
    economy_vantage
    entitlements
    expiry
    holds
    malformed
    quote
    reads
    reverse
    transfer
    withdraw
}

#[test]
fn every_file_is_listed() {
    let there = fs::read_dir(folder()).expect("a folder of scenarios").map(|entry| {
        let name = entry.expect("a file").file_name();
        let name = name.to_str().expect("an ASCII name");
        name.strip_suffix(".txt").unwrap_or_else(|| panic!("{name} isn't a .txt")).to_owned()
    });
    let listed: BTreeSet<String> = FILES.iter().map(ToString::to_string).collect();
    assert_eq!(there.collect::<BTreeSet<_>>(), listed);
    assert!(FILES.is_sorted(), "they are listed in order");
}

/// The refusals that a file's scenarios see, on the core.
pub async fn on_core(file: &str) -> Vec<Observed> {
    check(file, async |scenario| {
        let mut target = Core::new(&catalog(scenario));
        scenario::run(scenario, &mut target).await
    })
    .await
}

async fn on_sqlite(file: &str) {
    on_database(file, On::Sqlite).await;
}

async fn on_postgres(file: &str) {
    on_database(file, On::Postgres).await;
}

async fn on_database(file: &str, on: On) {
    check(file, async |scenario| {
        let mut target = World::service(&catalog(scenario), on).await;
        finish(scenario::run(scenario, &mut target).await, target.into_world()).await
    })
    .await;
}

async fn on_wire(file: &str) {
    check(file, async |scenario| {
        let mut target = World::wire(&catalog(scenario), On::Sqlite).await;
        finish(scenario::run(scenario, &mut target).await, target.into_world()).await
    })
    .await;
}

fn catalog(scenario: &Scenario) -> Catalog {
    Catalog::parse(&scenario.file, &scenario.catalog).expect("it was read before")
}

async fn finish<T>(result: T, world: World) -> T {
    world.stop().await;
    result
}

/// Runs all scenarios of a file, then fails with all that failed.
async fn check(
    file: &str,
    mut run: impl AsyncFnMut(&Scenario) -> Result<Vec<Observed>, scenario::Failure>,
) -> Vec<Observed> {
    let text = fs::read_to_string(folder().join(format!("{file}.txt"))).expect("a file");
    let scenarios = scenario::parse(&format!("tests/scenarios/{file}.txt"), &text);
    let scenarios = scenarios.unwrap_or_else(|mistake| panic!("{mistake}"));
    let (mut observed, mut failures) = (Vec::new(), Vec::new());
    for scenario in &scenarios {
        // Shown if something panics: the last one is where.
        println!("{}:{}: {}", scenario.file, scenario.line, scenario.title);
        match run(scenario).await {
            Ok(more) => observed.extend(more),
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    let (failed, all) = (failures.len(), scenarios.len());
    assert!(failures.is_empty(), "{failed} of {all} scenarios failed\n\n{}", failures.join("\n\n"));
    observed
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "scenarios"].iter().collect()
}
