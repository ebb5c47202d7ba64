//! What is compared besides single debits: batches, transfers, reads, SQLite.

use super::World;
use crate::{
    accounts::{FIRST, Spread},
    calls::Workload,
    goals::Goal,
    load::{Load, Task},
    measure::{HEADINGS, Measured, cpus, measure},
    pgbench,
    raw::Raw,
    report::median,
    service::Service,
    statements::{PGLEDGER_FILL, pgledger_script},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, raw_sql};
use std::{error::Error, path::PathBuf, time::Duration};

/// Sizes of batches.
const BATCHES: [(u64, Goal); 2] = [(100, Goal::Batch100), (1_000, Goal::Batch1000)];

/// Batches in flight: enough that the next one is there when one is committed.
const BATCHES_IN_FLIGHT: usize = 4;

/// Transfers in flight.
const TRANSFERS_IN_FLIGHT: usize = 64;

/// Reads in flight when nothing else runs.
const READS_IN_FLIGHT: usize = 256;

/// Reads in flight while debits run, and those.
const READS_BESIDE_WRITES: (usize, usize) = (16, 64);

/// Debits in flight on SQLite.
const SQLITE_IN_FLIGHT: usize = 256;

/// Batch beside the same number of rows a statement on one connection.
pub async fn batch(world: &mut World) -> Result<(), Box<dyn Error>> {
    let url = world.postgres.fresh("raw").await?;
    let mut raw = Raw::prepare(&url, world.arguments.settings.accounts).await?;
    let mut rows = Vec::new();
    for (items, goal) in BATCHES {
        let task = task(world, Workload::Batch(items), BATCHES_IN_FLIGHT);
        let (mut rates, mut runs) = (Vec::new(), Vec::new());
        for _ in 0..world.arguments.rounds {
            rates.push(raw.run(items, world.lasts()).await?);
            runs.push(product(world, task).await?);
        }
        rows.push((items, goal, median(rates), Measured::median(&runs)));
    }
    let headings = [&["items", "raw items/s", "× raw"], &HEADINGS[..]].concat();
    let mut table = world.report.table("Batch, 4 in flight", &headings);
    for (items, goal, raw, run) in rows {
        let ratio = run.per_second / raw;
        world.figures.note(goal, ratio);
        let place = [items.to_string(), format!("{raw:.0}"), format!("{ratio:.2}")];
        table.row(place.into_iter().chain(run.cells()));
    }
    Ok(())
}

/// Transfer between random accounts; pgledger, if it is there, without a server in between.
pub async fn transfer(world: &mut World) -> Result<(), Box<dyn Error>> {
    let pgledger = pgledger(world).await?;
    let task = task(world, Workload::Transfer, TRANSFERS_IN_FLIGHT);
    let (mut rates, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..world.arguments.rounds {
        if let Some((executable, url)) = &pgledger {
            let task = pgbench::Task {
                script: &pgledger_script(),
                accounts: world.arguments.settings.accounts,
                clients: TRANSFERS_IN_FLIGHT,
                seconds: world.arguments.seconds,
                url,
            };
            rates.push(pgbench::run(executable, task).await?);
        }
        runs.push(product(world, task).await?);
    }
    let run = Measured::median(&runs);
    let rate = (!rates.is_empty()).then(|| median(rates));
    let headings = [&["pgledger/s", "× pgledger"], &HEADINGS[..]].concat();
    let mut table = world.report.table("Transfer, 64 in flight", &headings);
    let ratio = rate.map(|rate| run.per_second / rate);
    let place = [rate.map(|it| format!("{it:.0}")), ratio.map(|it| format!("{it:.2}"))];
    table.row(place.into_iter().map(Option::unwrap_or_default).chain(run.cells()));
    drop(table);
    if let Some(ratio) = ratio {
        world.figures.note(Goal::TransferPgledger, ratio);
    }
    Ok(())
}

/// pgbench, and a database with pgledger and its accounts.
async fn pgledger(world: &World) -> Result<Option<(PathBuf, String)>, Box<dyn Error>> {
    if world.arguments.pgledger.is_empty() {
        return Ok(None);
    }
    let url = world.postgres.fresh("pgledger").await?;
    let mut connection = PgConnection::connect(&url).await?;
    for file in &world.arguments.pgledger {
        let text = std::fs::read_to_string(file)?;
        connection.execute(raw_sql(AssertSqlSafe(text))).await?;
    }
    sqlx::query(PGLEDGER_FILL)
        .bind(i64::try_from(world.arguments.settings.accounts)?)
        .bind(i64::try_from(FIRST)?)
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(Some((world.pgbench()?, url)))
}

/// GetBalance alone, then while debits run.
pub async fn read(world: &mut World) -> Result<(), Box<dyn Error>> {
    let alone = product(world, task(world, Workload::Read, READS_IN_FLIGHT)).await?;
    let reads = task(world, Workload::Read, READS_BESIDE_WRITES.0);
    let writes = task(world, Workload::Unary, READS_BESIDE_WRITES.1);
    let process = &world.product.process;
    let connections = world.arguments.settings.connections;
    let other = Load::connect(&process.address, connections).await?;
    let before = cpus(process, Some(&world.postgres))?;
    let (reads, writes) = tokio::join!(other.run(reads), world.product.load.run(writes));
    let after = cpus(process, Some(&world.postgres))?;
    let memory = process.memory_mib()?;
    let reads = Measured::new(&reads?, before, after, memory)?;
    let writes = Measured::new(&writes?, before, after, memory)?;

    world.figures.note(Goal::ReadAlone, alone.per_second);
    world.figures.note(Goal::ReadWhileWriting, reads.p99_ms);
    let headings = [&["what"], &HEADINGS[..]].concat();
    let mut table = world.report.table("GetBalance (beside debits, CPU is of both)", &headings);
    let rows = [
        ("alone, 256 in flight", alone),
        ("16 in flight beside debits", reads),
        ("those debits, 64 in flight", writes),
    ];
    for (what, run) in rows {
        table.row([what.to_owned()].into_iter().chain(run.cells()));
    }
    Ok(())
}

/// Debits on SQLite, long enough that its checkpoints are in it.
pub async fn sqlite(world: &mut World) -> Result<(), Box<dyn Error>> {
    let service = Service::start_filled(&world.arguments.settings, None, "").await?;
    let lasts = Duration::from_secs(world.arguments.sustained_seconds);
    let task = Task { lasts, ..task(world, Workload::Unary, SQLITE_IN_FLIGHT) };
    let run = measure(&service.load, task, &service.process, None).await?;
    service.process.stop().await?;
    world.figures.note(Goal::Sqlite, run.per_second);
    let title = format!("Debit on SQLite, random, 256 in flight, {} s", lasts.as_secs());
    let mut table = world.report.table(&title, &HEADINGS);
    table.row(run.cells());
    Ok(())
}

async fn product(world: &World, task: Task) -> Result<Measured, Box<dyn Error>> {
    let product = &world.product;
    measure(&product.load, task, &product.process, Some(&world.postgres)).await
}

pub(super) fn task(world: &World, workload: Workload, in_flight: usize) -> Task {
    let accounts = world.arguments.settings.accounts;
    Task { workload, spread: Spread::Random, accounts, in_flight, lasts: world.lasts() }
}
