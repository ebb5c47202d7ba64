//! `compare`: the product beside the ways without batching. Rounds are interleaved on one server,
//! since the machine's own speed changes from minute to minute: only ratios within a run count.

mod identity;
mod parts;
mod rounds;

use crate::{
    accounts::Spread,
    baseline,
    goals::{Figures, Goal},
    pgbench,
    postgres::Postgres,
    report::Report,
    service::{Service, Settings, Store},
    statements::Way,
};
use clap::ValueEnum;
use std::{error::Error, path::PathBuf, time::Duration};

/// Compares.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::ALL)]
    parts: Vec<Part>,

    /// What the product keeps its ledger in; the ways without batching are on PostgreSQL always.
    #[arg(long, value_enum, default_value = "postgres")]
    store: Store,

    /// Calls in flight at a time.
    #[arg(long, value_delimiter = ',', default_value = "1,8,64,256")]
    in_flight: Vec<usize>,

    /// Which accounts are debited.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "random,hot")]
    spread: Vec<Spread>,

    /// Connections of the ways without batching, of which the best number counts.
    #[arg(long, value_delimiter = ',', default_value = "8,16,32,64")]
    pools: Vec<usize>,

    /// Rounds, of which the medians count.
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,

    /// Seconds of a run.
    #[arg(long, default_value = "8")]
    seconds: u64,

    /// Seconds of a run that only looks for the best pool.
    #[arg(long, default_value = "3")]
    pool_seconds: u64,

    /// Seconds of the sustained run on SQLite.
    #[arg(long, default_value = "60")]
    sustained_seconds: u64,

    /// pgbench, if it isn't on the path.
    #[arg(long, value_name = "FILE")]
    pgbench: Option<PathBuf>,

    /// pgledger's SQL and what it needs, to compare transfers with.
    #[arg(long, value_name = "FILES", value_delimiter = ',')]
    pgledger: Vec<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

/// A part of the comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Part {
    /// Debits beside both ways, and both ways beside pgbench.
    Rounds,
    /// Batches beside raw batches.
    Batch,
    /// Transfers, beside pgledger in pgbench if `--pgledger` is given.
    Transfer,
    /// GetBalance, alone and while debits run.
    Read,
    /// SQLite, sustained.
    Sqlite,
    /// Debits of callers who are identified beside those of callers who aren't.
    Identity,
}

impl Part {
    const ALL: [Self; 6] =
        [Self::Rounds, Self::Batch, Self::Transfer, Self::Read, Self::Sqlite, Self::Identity];
}

/// Everything that takes part.
struct World {
    arguments: Arguments,
    postgres: Postgres,
    product: Service,
    per_request: String,
    one_statement: String,
    report: Report,
    figures: Figures,
}

/// Runs the parts, prints.
pub async fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    arguments.settings.build()?;
    let parts = arguments.parts.clone();
    let mut world = World::prepare(arguments).await?;
    for part in parts {
        match part {
            Part::Rounds => rounds::run(&mut world).await?,
            Part::Batch => parts::batch(&mut world).await?,
            Part::Transfer => parts::transfer(&mut world).await?,
            Part::Read => parts::read(&mut world).await?,
            Part::Sqlite => parts::sqlite(&mut world).await?,
            Part::Identity => identity::run(&mut world).await?,
        }
    }
    world.figures.note(Goal::Memory, world.product.process.memory_mib()?);
    world.figures.print(&mut world.report);
    world.product.process.stop().await?;
    world.report.write(world.arguments.settings.json.as_deref())
}

impl World {
    async fn prepare(arguments: Arguments) -> Result<Self, Box<dyn Error>> {
        let settings = &arguments.settings;
        let postgres = Postgres::find(settings.postgres.clone()).await?;
        let mut report = Report::default();
        report.say(&postgres.words().await?);
        let per_request = postgres.fresh("per_request").await?;
        let one_statement = postgres.fresh("one_statement").await?;
        if arguments.parts.contains(&Part::Rounds) {
            baseline::prepare(&per_request, settings.accounts).await?;
            baseline::prepare(&one_statement, settings.accounts).await?;
        }
        let server = (arguments.store == Store::Postgres).then_some(&postgres);
        let product = Service::start_filled(settings, server, "product").await?;
        let figures = Figures::default();
        Ok(Self { arguments, postgres, product, per_request, one_statement, report, figures })
    }

    fn url(&self, way: Way) -> &str {
        match way {
            Way::PerRequest => &self.per_request,
            Way::OneStatement => &self.one_statement,
        }
    }

    /// The length of one run.
    fn lasts(&self) -> Duration {
        Duration::from_secs(self.arguments.seconds)
    }

    /// Which pgbench, said to be missing if it is.
    fn pgbench(&self) -> Result<PathBuf, Box<dyn Error>> {
        let found = pgbench::executable(self.arguments.pgbench.clone());
        found.ok_or_else(|| "pgbench isn't there: give --pgbench FILE".into())
    }
}
