//! `run`: one workload on one store, a row for each spread and number in flight.

use crate::{
    accounts::Spread,
    calls::WorkloadName,
    load::Task,
    measure::{HEADINGS, measure},
    report::Report,
    service::{Service, Settings, Store},
};
use std::{error::Error, time::Duration};

/// Measures one workload.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to call.
    #[arg(value_enum)]
    workload: WorkloadName,

    /// What the service keeps its ledger in.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Store,

    /// Calls in flight at a time, one run each.
    #[arg(long, value_delimiter = ',', default_value = "1,8,64,256")]
    in_flight: Vec<usize>,

    /// Which accounts are used, one run each.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "random,hot,zipf")]
    spread: Vec<Spread>,

    /// Items of a batch.
    #[arg(long, default_value = "100", value_parser = clap::value_parser!(u64).range(1..=1000))]
    items: u64,

    /// Seconds that each run is measured, after a tenth of that to warm up.
    #[arg(long, default_value = "10")]
    seconds: u64,

    #[command(flatten)]
    settings: Settings,
}

/// Runs, prints.
pub async fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    arguments.settings.build()?;
    let settings = &arguments.settings;
    let postgres = settings.server(arguments.store).await?;
    let service = Service::start_filled(settings, postgres.as_ref(), "run").await?;
    let mut report = Report::default();
    if let Some(postgres) = &postgres {
        report.say(&postgres.words().await?);
    }
    let workload = arguments.workload.with_items(arguments.items);
    let title = format!("{workload:?} on {:?}", arguments.store);
    let headings = [&["accounts", "in flight"], &HEADINGS[..]].concat();
    let mut table = report.table(&title, &headings);
    for spread in &arguments.spread {
        for in_flight in &arguments.in_flight {
            let task = Task {
                workload,
                spread: *spread,
                accounts: settings.accounts,
                in_flight: *in_flight,
                lasts: Duration::from_secs(arguments.seconds),
            };
            let run = measure(&service.load, task, &service.process, postgres.as_ref()).await?;
            let place = [format!("{spread:?} of {}", settings.accounts), in_flight.to_string()];
            table.row(place.into_iter().chain(run.cells()));
        }
    }
    drop(table);
    service.process.stop().await?;
    report.write(settings.json.as_deref())
}
