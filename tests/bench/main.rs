//! The load generator: token-service measured from outside, beside the ways without batching.
//!
//! `cargo run --release -p tests --bin bench -- run unary`
//!
//! It starts the release build of token-service on a fresh database, fills the accounts, and prints
//! tables: operations per second, latency, CPU by process, memory of the service. See
//! `docs/BENCHMARKS.md` for what to run and for figures.

mod accounts;
mod baseline;
mod baseline_api;
mod bulk;
mod calls;
mod compare;
mod fill;
mod goals;
mod growth;
mod load;
mod measure;
mod pgbench;
mod postgres;
mod process;
mod raw;
mod report;
mod run;
mod service;
mod siege;
mod sightings;
mod statements;
mod verify;
mod watch;
mod webhooks;
mod zipf;

use clap::Parser;
use std::error::Error;

/// The service's own: the servers of the other ways are not to be slower by theirs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures token-service.
#[derive(Debug, Parser)]
enum Arguments {
    /// One workload on one store.
    Run(run::Arguments),
    /// The product beside the ways without batching, in turn on one server, and the goals.
    Compare(compare::Arguments),
    /// How long after an answer those who watch see the change.
    Watch(watch::Arguments),
    /// A stream of credits.
    Bulk(bulk::Arguments),
    /// What becomes slower as the ledger grows.
    Growth(growth::Arguments),
    /// What others notice while strangers attack.
    Siege(siege::Arguments),
    /// The gateway: webhooks that are taken, and how soon what is paid is credited.
    Webhooks(webhooks::Arguments),
    /// How long an audit takes.
    Verify(verify::Arguments),
    /// Serves a way without batching: what `compare` starts.
    Baseline(baseline::Arguments),
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse() {
        Arguments::Run(arguments) => run::run(arguments).await,
        Arguments::Compare(arguments) => compare::run(arguments).await,
        Arguments::Watch(arguments) => watch::run(arguments).await,
        Arguments::Bulk(arguments) => bulk::run(arguments).await,
        Arguments::Growth(arguments) => growth::run(arguments).await,
        Arguments::Siege(arguments) => siege::run(arguments).await,
        Arguments::Webhooks(arguments) => webhooks::run(arguments).await,
        Arguments::Verify(arguments) => verify::run(arguments).await,
        Arguments::Baseline(arguments) => baseline::serve(arguments).await,
    }
}
