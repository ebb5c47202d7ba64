//! Debits: per request, in one statement, by the product; and whether the first two are fair.

use super::World;
use crate::{
    accounts::Spread,
    calls::Workload,
    goals::Goal,
    load::{Load, Task},
    measure::{HEADINGS, Measured, measure},
    pgbench,
    process::Process,
    report::median,
    statements::{Way, script},
};
use clap::ValueEnum as _;
use std::{collections::HashMap, error::Error, time::Duration};

/// Our server of a way must reach so much of pgbench's rate, or it is too slow to be compared with.
const FAIR: f64 = 0.8;

/// The number in flight at which that is judged, if it is measured.
const FAIR_IN_FLIGHT: usize = 64;

const WAYS: [Way; 2] = [Way::PerRequest, Way::OneStatement];

/// One comparison: which accounts, how many calls in flight.
type Cell = (Spread, usize);

/// The best pool of a way in a cell.
type Pools = HashMap<(Way, Cell), usize>;

pub async fn run(world: &mut World) -> Result<(), Box<dyn Error>> {
    let pools = best_pools(world).await?;
    fairness(world, &pools).await?;
    let spreads = world.arguments.spread.iter();
    let in_flight = &world.arguments.in_flight;
    let cells = spreads.flat_map(|spread| in_flight.iter().map(|number| (*spread, *number)));
    let mut rows = Vec::new();
    for cell in cells.collect::<Vec<_>>() {
        rows.push((cell, rounds(world, cell, &pools).await?));
    }
    print(world, &rows, &pools);
    note(world, &rows);
    Ok(())
}

/// Tries every pool in every cell, with both ways.
async fn best_pools(world: &mut World) -> Result<Pools, Box<dyn Error>> {
    let mut pools = Pools::new();
    let mut rows = Vec::new();
    let lasts = Duration::from_secs(world.arguments.pool_seconds);
    for way in WAYS {
        for spread in &world.arguments.spread {
            for in_flight in &world.arguments.in_flight {
                let task = task(world, (*spread, *in_flight), lasts);
                let mut tried = Vec::new();
                // Connections beyond the calls in flight are never used.
                let useful = |pool: &&usize| **pool <= (*in_flight).max(8);
                for pool in world.arguments.pools.iter().filter(useful) {
                    tried.push((*pool, baseline(world, way, *pool, task).await?.per_second));
                }
                let best = tried.iter().max_by(|a, b| a.1.total_cmp(&b.1));
                let best = best.ok_or("no pool is small enough: give one of 8 or less")?.0;
                pools.insert((way, (*spread, *in_flight)), best);
                let tried = tried.iter().map(|(pool, rate)| format!("{pool}: {rate:.0}/s"));
                let tried = tried.collect::<Vec<_>>().join(", ");
                rows.push([
                    format!("{way:?}"),
                    format!("{spread:?}"),
                    in_flight.to_string(),
                    tried,
                ]);
            }
        }
    }
    let headings = ["way", "accounts", "in flight", "pools tried"];
    let mut table = world.report.table("The best pool", &headings);
    rows.into_iter().for_each(|row| table.row(row));
    drop(table);
    Ok(pools)
}

/// Our servers of both ways beside pgbench with the same SQL and as many connections.
async fn fairness(world: &mut World, pools: &Pools) -> Result<(), Box<dyn Error>> {
    let executable = world.pgbench()?;
    let numbers = &world.arguments.in_flight;
    let in_flight = numbers.iter().find(|it| **it == FAIR_IN_FLIGHT).or(numbers.last());
    let cell = (*world.arguments.spread.first().ok_or("no spread")?, *in_flight.ok_or("none")?);
    let mut rows = Vec::new();
    for way in WAYS {
        let pool = pools[&(way, cell)];
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..world.arguments.rounds {
            let task = task(world, cell, world.lasts());
            ours.push(baseline(world, way, pool, task).await?.per_second);
            let task = pgbench::Task {
                script: &script(way, cell.0)?,
                accounts: world.arguments.settings.accounts,
                clients: pool,
                seconds: world.arguments.seconds,
                url: world.url(way),
            };
            theirs.push(pgbench::run(&executable, task).await?);
        }
        rows.push((way, pool, median(ours), median(theirs)));
    }
    let headings = ["way", "connections", "pgbench/s", "our server/s", "ratio"];
    let mut table = world.report.table("The same SQL in pgbench", &headings);
    for (way, pool, ours, theirs) in &rows {
        let figures =
            [format!("{theirs:.0}"), format!("{ours:.0}"), format!("{:.2}", ours / theirs)];
        table.row([format!("{way:?}"), pool.to_string()].into_iter().chain(figures));
    }
    drop(table);
    let unfair =
        rows.iter().any(|(way, _, ours, theirs)| *way == Way::PerRequest && *ours < FAIR * theirs);
    world.report.say(if unfair {
        "**The comparison is not fair**: our server of the per-request way is slower than 0.8 × \
         pgbench, so the ratios below flatter the product."
    } else {
        "The comparison is fair: our server of the per-request way reaches 0.8 × pgbench."
    });
    Ok(())
}

/// Per request, one statement, product: in turn, and the medians.
async fn rounds(world: &World, cell: Cell, pools: &Pools) -> Result<[Measured; 3], Box<dyn Error>> {
    let task = task(world, cell, world.lasts());
    let mut runs = [const { Vec::new() }; 3];
    for _ in 0..world.arguments.rounds {
        for (way, runs) in WAYS.into_iter().zip(&mut runs) {
            runs.push(baseline(world, way, pools[&(way, cell)], task).await?);
        }
        let product = &world.product;
        let postgres = Some(&world.postgres);
        runs[2].push(measure(&product.load, task, &product.process, postgres).await?);
    }
    Ok(runs.map(|runs| Measured::median(&runs)))
}

/// One run of a way on a server of its own.
async fn baseline(
    world: &World,
    way: Way,
    pool: usize,
    task: Task,
) -> Result<Measured, Box<dyn Error>> {
    let name = way.to_possible_value().ok_or("a way has a name")?;
    let pool = pool.to_string();
    let arguments = ["baseline", "--way", name.get_name(), "--pool", &pool];
    let arguments = arguments.into_iter().chain(["--postgres", world.url(way)]);
    let arguments = arguments.map(str::to_owned).collect::<Vec<_>>();
    let process = Process::start(&std::env::current_exe()?, &arguments).await?;
    let load = Load::connect(&process.address, world.arguments.settings.connections).await?;
    let measured = measure(&load, task, &process, Some(&world.postgres)).await?;
    process.stop().await?;
    Ok(measured)
}

fn task(world: &World, (spread, in_flight): Cell, lasts: Duration) -> Task {
    let accounts = world.arguments.settings.accounts;
    Task { workload: Workload::Unary, spread, accounts, in_flight, lasts }
}

fn print(world: &mut World, rows: &[(Cell, [Measured; 3])], pools: &Pools) {
    let own = ["accounts", "in flight", "way", "pool", "× per request", "× one statement"];
    let headings = [&own[..], &HEADINGS[..]].concat();
    let mut table = world.report.table("Debit, one call each", &headings);
    for (cell, runs) in rows {
        for (index, run) in runs.iter().enumerate() {
            let way = WAYS.get(index);
            let times = |other: usize| format!("{:.2}", run.per_second / runs[other].per_second);
            let place = [
                format!("{:?}", cell.0),
                cell.1.to_string(),
                way.map_or_else(|| "product".to_owned(), |way| format!("{way:?}")),
                way.map_or_else(String::new, |way| pools[&(*way, *cell)].to_string()),
                times(0),
                times(1),
            ];
            table.row(place.into_iter().chain(run.cells()));
        }
    }
}

/// Notes what has a goal.
fn note(world: &mut World, rows: &[(Cell, [Measured; 3])]) {
    let of = |cell: Cell| rows.iter().find(|row| row.0 == cell).map(|row| &row.1);
    let rate = |runs: &[Measured; 3], other: usize| runs[2].per_second / runs[other].per_second;
    let figures = &mut world.figures;
    let both = [
        ((Spread::Random, 64), Goal::Random64PerRequest, Goal::Random64OneStatement),
        ((Spread::Random, 256), Goal::Random256PerRequest, Goal::Random256OneStatement),
        ((Spread::Hot, 256), Goal::Hot256PerRequest, Goal::Hot256OneStatement),
    ];
    for (cell, per_request, one_statement) in both {
        if let Some(runs) = of(cell) {
            figures.note(per_request, rate(runs, 0));
            figures.note(one_statement, rate(runs, 1));
        }
    }
    if let (Some(hot), Some(random)) = (of((Spread::Hot, 256)), of((Spread::Random, 256))) {
        figures.note(Goal::HotAgainstRandom, hot[2].per_second / random[2].per_second);
    }
    if let Some(runs) = of((Spread::Random, 8)) {
        figures.note(Goal::Eight, rate(runs, 1));
    }
    if let Some(runs) = of((Spread::Random, 1)) {
        figures.note(Goal::Lone, runs[2].p50_ms / runs[0].p50_ms);
    }
}
