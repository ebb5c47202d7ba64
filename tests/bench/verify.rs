//! `verify`: how long it takes to verify a ledger as an auditor does, with `token-service verify`, and
//! how much memory.

use crate::{
    accounts::{Accounts, Spread, name},
    fill,
    postgres::Postgres,
    process,
    report::{Report, float},
    service::{Service, Settings, Store},
};
use std::{
    error::Error,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval};

/// How often it is looked how much memory there is in use.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Verifies a ledger.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What the ledger is kept in.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Store,

    /// Entries of each ledger, of which every account's credit is one.
    #[arg(long, default_value = "1000000")]
    entries: u64,

    /// Which accounts the others belong to, one ledger each.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "random,hot")]
    spread: Vec<Spread>,

    #[command(flatten)]
    settings: Settings,
}

/// Runs, prints.
pub async fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    arguments.settings.build()?;
    let postgres = arguments.settings.server(arguments.store).await?;
    let mut report = Report::default();
    if let Some(postgres) = &postgres {
        report.say(&postgres.words().await?);
    }
    let title = format!("Verifying {} entries on {:?}", arguments.entries, arguments.store);
    let headings = ["accounts", "spread", "seconds", "entries/s", "MiB at most", "it says"];
    let mut table = report.table(&title, &headings);
    for spread in &arguments.spread {
        let (took, memory_mib, words) = verify(&arguments, *spread, postgres.as_ref()).await?;
        table.row([
            arguments.settings.accounts.to_string(),
            format!("{spread:?}"),
            format!("{:.1}", took.as_secs_f64()),
            format!("{:.0}", float(arguments.entries) / took.as_secs_f64()),
            format!("{memory_mib:.0}"),
            words,
        ]);
    }
    drop(table);
    report.write(arguments.settings.json.as_deref())
}

async fn verify(
    arguments: &Arguments,
    spread: Spread,
    postgres: Option<&Postgres>,
) -> Result<(Duration, f64, String), Box<dyn Error>> {
    let settings = &arguments.settings;
    let service = Service::start_filled(settings, postgres, "verify").await?;
    let accounts = Accounts::new(settings.accounts, spread);
    let debits = arguments.entries.saturating_sub(settings.accounts);
    fill::debits(&service.load, debits, || name(accounts.pick())).await?;

    let began = Instant::now();
    let mut child = tokio::process::Command::new(settings.executable()?)
        .args(["verify", "--database", &service.database, "--chain-key-file", &service.keys])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().ok_or("it ended at once")?;
    let mut memory_mib: f64 = 0.0;
    let mut looks = interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = child.wait() => {
                ended?;
                break;
            }
            _ = looks.tick() => {
                memory_mib = memory_mib.max(process::memory_mib(pid).unwrap_or_default());
            }
        }
    }
    let took = began.elapsed();
    let words = String::from_utf8(child.wait_with_output().await?.stdout)?;
    service.process.stop().await?;
    Ok((took, memory_mib, words.lines().last().unwrap_or("nothing").to_owned()))
}
