//! Random workloads: the model, which was written from the rules alone, must agree with every target.
//! A disagreement prints its seed and the shortest way to it; it becomes a scenario.

use std::ops::Range;
use tests::{
    agree,
    core::Core,
    workload::Workload,
    world::{On, World},
};

/// Calls per workload.
const CALLS: usize = 150;

/// Seeds per test, so that they run side by side.
const SEEDS: u64 = 100;

macro_rules! seeds_from {
    ($($name:ident: $first:literal,)*) => {
        $(#[tokio::test]
        async fn $name() {
            for seed in $first..$first + SEEDS {
                agree::check(async |catalog| Core::new(catalog), seed, CALLS).await;
            }
        })*
    };
}

seeds_from! {
    the_core_agrees_with_the_model_from_seed_0: 0,
    the_core_agrees_with_the_model_from_seed_100: 100,
    the_core_agrees_with_the_model_from_seed_200: 200,
    the_core_agrees_with_the_model_from_seed_300: 300,
    the_core_agrees_with_the_model_from_seed_400: 400,
    the_core_agrees_with_the_model_from_seed_500: 500,
    the_core_agrees_with_the_model_from_seed_600: 600,
    the_core_agrees_with_the_model_from_seed_700: 700,
    the_core_agrees_with_the_model_from_seed_800: 800,
    the_core_agrees_with_the_model_from_seed_900: 900,
}

#[tokio::test]
async fn the_service_on_sqlite_agrees_with_the_model() {
    the_service_agrees_with_the_model(10_000..10_040, On::Sqlite).await;
}

#[tokio::test]
async fn the_service_on_postgres_agrees_with_the_model() {
    the_service_agrees_with_the_model(30_000..30_040, On::Postgres).await;
}

async fn the_service_agrees_with_the_model(seeds: Range<u64>, on: On) {
    for seed in seeds {
        let workload = Workload::random(seed, CALLS);
        let mut service = World::service(&workload.catalog, on).await;
        if let Err(disagreement) = agree::run(&mut service, &workload).await {
            panic!("{disagreement}");
        }
        service.into_world().stop().await;
    }
}

#[tokio::test]
async fn the_server_across_the_wire_agrees_with_the_model() {
    for seed in 20_000..20_010 {
        let workload = Workload::random(seed, CALLS);
        let mut server = World::wire(&workload.catalog, On::Sqlite).await;
        if let Err(disagreement) = agree::run(&mut server, &workload).await {
            panic!("{disagreement}");
        }
        server.into_world().stop().await;
    }
}
