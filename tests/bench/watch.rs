//! `watch`: how long after a debit's answer those who watch see it, while debits run.

use crate::{
    accounts::{Accounts, Spread, name},
    calls::{Client, debit},
    load::{Load, Run},
    report::{Report, float},
    service::{Service, Settings, Store},
    sightings::Sightings,
};
use proto::v1::{
    WatchBalanceRequest, WatchBalanceResponse, WatchEventsRequest, WatchEventsResponse,
    watch_events_response::Event,
};
use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tonic::{Status, Streaming};

/// Watchers of one connection: a service allows 128 calls at a time on one.
const STREAMS_PER_CONNECTION: usize = 100;

/// What isn't seen so long after the last answer counts as missed.
const PATIENCE: Duration = Duration::from_secs(1);

/// Watches.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What the service keeps its ledger in.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Store,

    /// Accounts that are watched, one stream each; the others have none.
    #[arg(long, default_value = "1000")]
    watchers: u64,

    /// Debits in flight, of random accounts.
    #[arg(long, default_value = "64")]
    in_flight: usize,

    /// Seconds that debits run.
    #[arg(long, default_value = "10")]
    seconds: u64,

    #[command(flatten)]
    settings: Settings,
}

/// Runs, prints.
pub async fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    arguments.settings.build()?;
    let settings = &arguments.settings;
    let watchers = arguments.watchers.min(settings.accounts);
    let postgres = settings.server(arguments.store).await?;
    let service = Service::start_filled(settings, postgres.as_ref(), "watch").await?;
    let connections = usize::try_from(watchers)?.div_ceil(STREAMS_PER_CONNECTION) + 1;
    let watching = Load::connect(&service.process.address, connections).await?;
    let balances = Arc::new(Sightings::of((0..watchers).map(name)));
    let events = Arc::new(Sightings::of((0..watchers).map(name)));

    let mut followers = JoinSet::new();
    let mut streams = open(&watching, watchers).await?;
    let opened = watching.client(0).watch_events(WatchEventsRequest::default()).await?;
    followers.spawn(follow_events(opened.into_inner(), Arc::clone(&events)));
    while let Some(opened) = streams.join_next().await {
        followers.spawn(follow_balance(opened??, Arc::clone(&balances)));
    }
    let sights = [Arc::clone(&balances), Arc::clone(&events)];
    let debits = write(&service.load, &arguments, sights).await?;
    tokio::time::sleep(PATIENCE).await;

    let headings =
        ["what", "streams", "seen/s", "p50 ms", "p99 ms", "max ms", "of it unseen after 1 s"];
    let mut report = Report::default();
    let title = format!("{:.0} debits/s on {:?}, watched", debits.per_second(), arguments.store);
    let mut table = report.table(&title, &headings);
    for (what, streams, sights) in [("balances", watchers, &balances), ("events", 1, &events)] {
        let (seen, all, unseen) = sights.end();
        let rate = float(all) / debits.took.as_secs_f64();
        let latency = [50.0, 99.0, 100.0].map(|it| format!("{:.2}", seen.latency_ms(it)));
        let head = [what.to_owned(), streams.to_string(), format!("{rate:.0}")];
        table.row(head.into_iter().chain(latency).chain([unseen.to_string()]));
    }
    drop(table);
    report.say(&format!("The service had {:.0} MiB at most.", service.process.memory_mib()?));
    followers.shutdown().await;
    service.process.stop().await?;
    report.write(settings.json.as_deref())
}

type Opening = JoinSet<Result<Streaming<WatchBalanceResponse>, Status>>;

/// Opens a stream for every watched account, all at once.
async fn open(watching: &Load, watchers: u64) -> Result<Opening, Box<dyn Error>> {
    let mut streams = JoinSet::new();
    for number in 0..watchers {
        let mut client = watching.client(usize::try_from(number)?);
        streams.spawn(async move {
            let request = WatchBalanceRequest { account_id: name(number) };
            let mut stream = client.watch_balance(request).await?.into_inner();
            // What is there now comes first: with it the stream is known to be open.
            stream.message().await?;
            Ok(stream)
        });
    }
    Ok(streams)
}

async fn follow_balance(mut stream: Streaming<WatchBalanceResponse>, sights: Arc<Sightings>) {
    while let Ok(Some(message)) = stream.message().await {
        if let Some(balance) = message.balance {
            sights.seen(&balance);
        }
    }
}

async fn follow_events(mut stream: Streaming<WatchEventsResponse>, sights: Arc<Sightings>) {
    while let Ok(Some(message)) = stream.message().await {
        if let Some(Event::BalanceChanged(change)) = message.event
            && let Some(balance) = change.balance
        {
            sights.seen(&balance);
        }
    }
}

/// Keeps debits going; tells the sights what was answered.
async fn write(
    load: &Load,
    arguments: &Arguments,
    sights: [Arc<Sightings>; 2],
) -> Result<Run, Box<dyn Error>> {
    let begun = Instant::now();
    let until = begun + Duration::from_secs(arguments.seconds);
    let accounts = Accounts::new(arguments.settings.accounts, Spread::Random);
    let mut writers = JoinSet::new();
    for number in 0..arguments.in_flight {
        writers.spawn(writer(load.client(number), accounts, sights.clone(), until));
    }
    let mut run = Run::empty();
    while let Some(writer) = writers.join_next().await {
        run.add(writer?)?;
    }
    run.took = begun.elapsed();
    Ok(run)
}

async fn writer(
    mut client: Client,
    accounts: Accounts,
    sights: [Arc<Sightings>; 2],
    until: Instant,
) -> Run {
    let mut run = Run::empty();
    while Instant::now() < until {
        let begun = Instant::now();
        let answered = client.debit(debit(name(accounts.pick()))).await;
        let answered = answered.map(|answer| {
            if let Some(balance) = &answer.get_ref().balance {
                sights.iter().for_each(|it| it.answered(balance));
            }
            0
        });
        run.call(begun.elapsed(), 1, answered);
    }
    run
}
