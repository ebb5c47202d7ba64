//! One run with what it cost: CPU of service, PostgreSQL and client, memory of the service.

use crate::{
    load::{Load, Run, Task},
    postgres::Postgres,
    process::{Process, own_cpu},
    report::median,
};
use std::{error::Error, time::Duration};

/// The columns of [`Measured::cells`].
pub const HEADINGS: [&str; 9] = [
    "ops/s",
    "p50 ms",
    "p99 ms",
    "max ms",
    "failed",
    "service CPU µs/op",
    "PostgreSQL CPU µs/op",
    "client CPU µs/op",
    "service MiB",
];

/// The part of a run's time that goes before it to warm up.
const WARM_UP: u32 = 10;

/// Figures of one run, or the medians of several.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    pub failed: f64,
    /// Of service, PostgreSQL and client.
    cpu_micros: [f64; 3],
    pub memory_mib: f64,
}

/// Warms up, then measures.
pub async fn measure(
    load: &Load,
    task: Task,
    service: &Process,
    postgres: Option<&Postgres>,
) -> Result<Measured, Box<dyn Error>> {
    load.run(Task { lasts: task.lasts / WARM_UP, ..task }).await?;
    let before = cpus(service, postgres)?;
    let run = load.run(task).await?;
    let after = cpus(service, postgres)?;
    Measured::new(&run, before, after, service.memory_mib()?)
}

/// CPU time of service, PostgreSQL and client so far.
pub fn cpus(
    service: &Process,
    postgres: Option<&Postgres>,
) -> Result<[Duration; 3], Box<dyn Error>> {
    let postgres = postgres.map_or(Ok(Duration::ZERO), Postgres::cpu)?;
    Ok([service.cpu()?, postgres, own_cpu()?])
}

impl Measured {
    /// The figures of a run between two looks at the processes' CPU time.
    pub fn new(
        run: &Run,
        before: [Duration; 3],
        after: [Duration; 3],
        memory_mib: f64,
    ) -> Result<Self, Box<dyn Error>> {
        if let Some(failure) = &run.failure {
            eprintln!("{} operations failed, one of them so: {failure}", run.failed);
        }
        let operations = run.operations().max(1.0);
        let micros = |index: usize| {
            after[index].saturating_sub(before[index]).as_secs_f64() * 1e6 / operations
        };
        Ok(Self {
            per_second: run.per_second(),
            p50_ms: run.latency_ms(50.0),
            p99_ms: run.latency_ms(99.0),
            max_ms: run.latency_ms(100.0),
            failed: crate::report::float(run.failed),
            cpu_micros: [micros(0), micros(1), micros(2)],
            memory_mib,
        })
    }

    /// Each figure's median; of failures and memory the most.
    pub fn median(runs: &[Self]) -> Self {
        let middle = |figure: fn(&Self) -> f64| median(runs.iter().map(figure));
        let most = |figure: fn(&Self) -> f64| runs.iter().map(figure).fold(0.0, f64::max);
        Self {
            per_second: middle(|it| it.per_second),
            p50_ms: middle(|it| it.p50_ms),
            p99_ms: middle(|it| it.p99_ms),
            max_ms: middle(|it| it.max_ms),
            failed: most(|it| it.failed),
            cpu_micros: [
                middle(|it| it.cpu_micros[0]),
                middle(|it| it.cpu_micros[1]),
                middle(|it| it.cpu_micros[2]),
            ],
            memory_mib: most(|it| it.memory_mib),
        }
    }

    /// A cell for each of [`HEADINGS`].
    pub fn cells(&self) -> [String; 9] {
        [
            format!("{:.0}", self.per_second),
            format!("{:.2}", self.p50_ms),
            format!("{:.2}", self.p99_ms),
            format!("{:.1}", self.max_ms),
            format!("{:.0}", self.failed),
            format!("{:.1}", self.cpu_micros[0]),
            format!("{:.1}", self.cpu_micros[1]),
            format!("{:.1}", self.cpu_micros[2]),
            format!("{:.0}", self.memory_mib),
        ]
    }
}
