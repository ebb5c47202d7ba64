//! `growth`: what becomes slower as the ledger grows. Each size is measured in turn with a ledger that
//! is almost empty, since hours of filling lie between the first size and the last.

mod reads;

use crate::{
    accounts::{Spread, name},
    calls::Workload,
    fill,
    goals::{Figures, Goal},
    load::Task,
    measure::{HEADINGS, Measured, measure},
    postgres::Postgres,
    report::{Report, float},
    service::{Service, Settings, Store},
};
use std::{
    error::Error,
    str::FromStr,
    time::{Duration, Instant},
};

/// Debits in flight.
const IN_FLIGHT: usize = 256;

/// One debit in so many goes to the first account, whose history becomes a long one.
const DEEP_SHARE: u64 = 100;

/// Grows a ledger.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What the service keeps its ledger in.
    #[arg(long, value_enum, default_value = "postgres")]
    store: Store,

    /// Accounts and transactions, growing: while the accounts stay the same, so does the ledger.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1000:1000,1000:1000000,1000000:1000000,1000000:10000000"
    )]
    sizes: Vec<Size>,

    /// Rounds, of which the medians count.
    #[arg(long, default_value = "3")]
    rounds: u64,

    /// Seconds of a run.
    #[arg(long, default_value = "8")]
    seconds: u64,

    /// Reads of each kind in the grown ledger.
    #[arg(long, default_value = "500")]
    reads: u64,

    #[command(flatten)]
    settings: Settings,
}

/// How large a ledger is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Size {
    accounts: u64,
    transactions: u64,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(accounts, transactions)| {
            Some(Self {
                accounts: accounts.parse().ok()?,
                transactions: transactions.parse().ok()?,
            })
        });
        let size = parts.ok_or("give ACCOUNTS:TRANSACTIONS")?;
        if size.accounts < 2 || size.transactions < size.accounts {
            return Err("give two accounts or more, and a transaction for each or more".to_owned());
        }
        Ok(size)
    }
}

/// A ledger that is being filled.
struct Growing {
    service: Service,
    size: Size,
    /// Since when all accounts are there.
    since: prost_types::Timestamp,
}

/// Runs, prints.
pub async fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    arguments.settings.build()?;
    let settings = &arguments.settings;
    let postgres = settings.server(arguments.store).await?;
    let postgres = postgres.as_ref();
    let empty = Service::start_filled(settings, postgres, "growth_empty").await?;
    let (mut report, mut figures) = (Report::default(), Figures::default());
    let mut rows = Vec::new();
    let mut growing = None;
    for size in &arguments.sizes {
        let begun = Instant::now();
        let (now, added) = grow(growing.take(), *size, settings, postgres).await?;
        let filled = float(added) / begun.elapsed().as_secs_f64();
        let runs = rounds(&arguments, &empty, &now, postgres).await?;
        eprintln!("{size:?}: filled with {filled:.0}/s, then {:.0} debits/s", runs[1].per_second);
        rows.push((*size, filled, runs));
        growing = Some(now);
    }
    let growing = growing.ok_or("give a size")?;
    print(&mut report, &rows);
    if let Some((_, _, [empty, grown])) = rows.last() {
        figures.note(Goal::Growth, grown.per_second / empty.per_second);
    }
    reads::measure(&growing, arguments.reads, &mut report, &mut figures).await?;
    figures.note(Goal::Memory, growing.service.process.memory_mib()?);
    figures.print(&mut report);
    growing.service.process.stop().await?;
    empty.process.stop().await?;
    report.write(settings.json.as_deref())
}

/// A ledger of this size: the one there is, if it has as many accounts; how much was added.
async fn grow(
    growing: Option<Growing>,
    size: Size,
    settings: &Settings,
    postgres: Option<&Postgres>,
) -> Result<(Growing, u64), Box<dyn Error>> {
    let same = |it: &Growing| it.size.accounts == size.accounts;
    let (same, other): (Option<_>, Option<_>) = match growing {
        Some(it) if same(&it) => (Some(it), None),
        other => (None, other),
    };
    if let Some(other) = other {
        other.service.process.stop().await?;
    }
    let (growing, before) = match same {
        Some(growing) => {
            let before = growing.size.transactions;
            (growing, before)
        }
        None => {
            let mut settings = settings.clone();
            settings.accounts = size.accounts;
            let service = Service::start_filled(&settings, postgres, "growth").await?;
            let before = Size { transactions: size.accounts, ..size };
            (Growing { service, size: before, since: reads::now() }, 0)
        }
    };
    let missing = size.transactions.saturating_sub(growing.size.transactions);
    let pick = || match fastrand::u64(0..DEEP_SHARE) {
        0 => name(0),
        _ => name(fastrand::u64(0..size.accounts)),
    };
    fill::debits(&growing.service.load, missing, pick).await?;
    Ok((Growing { size, ..growing }, size.transactions.saturating_sub(before)))
}

/// The empty ledger and this one in turn; the medians.
async fn rounds(
    arguments: &Arguments,
    empty: &Service,
    growing: &Growing,
    postgres: Option<&Postgres>,
) -> Result<[Measured; 2], Box<dyn Error>> {
    let ledgers = [(empty, arguments.settings.accounts), (&growing.service, growing.size.accounts)];
    let mut runs = [const { Vec::new() }; 2];
    for _ in 0..arguments.rounds {
        for ((service, accounts), runs) in ledgers.iter().zip(&mut runs) {
            let task = Task {
                workload: Workload::Unary,
                spread: Spread::Random,
                accounts: *accounts,
                in_flight: IN_FLIGHT,
                lasts: Duration::from_secs(arguments.seconds),
            };
            runs.push(measure(&service.load, task, &service.process, postgres).await?);
        }
    }
    Ok(runs.map(|runs| Measured::median(&runs)))
}

fn print(report: &mut Report, rows: &[(Size, f64, [Measured; 2])]) {
    let own = ["accounts", "transactions", "filled/s", "empty: debits/s", "× empty"];
    let headings = [&own[..], &HEADINGS[..]].concat();
    let mut table = report.table("Debit, random, 256 in flight, as the ledger grows", &headings);
    for (size, filled, [empty, grown]) in rows {
        let place = [
            size.accounts.to_string(),
            size.transactions.to_string(),
            format!("{filled:.0}"),
            format!("{:.0}", empty.per_second),
            format!("{:.2}", grown.per_second / empty.per_second),
        ];
        table.row(place.into_iter().chain(grown.cells()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_accounts_and_transactions() {
        let size = Size { accounts: 1_000, transactions: 1_000_000 };
        assert_eq!("1000:1000000".parse(), Ok(size));
        for nonsense in ["1000", "1000:10", "a:b", "1:1"] {
            assert!(nonsense.parse::<Size>().is_err(), "{nonsense}");
        }
    }
}
