//! What it costs to identify callers: debits with a token beside debits without, in turn.

use super::{World, parts::task};
use crate::{
    calls::Workload,
    goals::Goal,
    measure::{HEADINGS, Measured, measure},
    report::median,
    service::Service,
};
use serde_json::json;
use std::error::Error;
use tests::credentials::{AUDIENCE, ISSUER, Issuer, Sign, good};

/// Debits in flight.
const IN_FLIGHT: [(usize, Goal); 2] = [(64, Goal::Identity64), (256, Goal::Identity256)];

/// A secret that protects nothing.
const SECRET: &str = "a-secret-of-the-benchmark-that-protects-nothing";

/// Measures; tokens are HS256, the slowest to tell from a forged one is RS256.
pub async fn run(world: &mut World) -> Result<(), Box<dyn Error>> {
    let issuer = Issuer::new();
    let keys = tempfile::NamedTempFile::new()?;
    std::fs::write(keys.path(), issuer.jwks(""))?;
    let arguments = [
        format!("--jwt-secrets=bench:{SECRET}"),
        format!("--jwks={}", keys.path().display()),
        format!("--jwt-issuer={ISSUER}"),
        format!("--jwt-audience={AUDIENCE}"),
    ];
    let claims = good(&json!({"scope": "tokens:debit tokens:credit", "exp": 4_000_000_000_u64}));
    let header = json!({"alg": "HS256", "kid": "bench"});
    let by_secret = issuer.sign(&header, &claims, Sign::Secret(SECRET.as_bytes()));
    let by_rsa = issuer.sign(&json!({"alg": "RS256", "kid": "rsa"}), &claims, Sign::Rsa);

    let mut rows = Vec::new();
    for (name, token) in [("HS256", by_secret), ("RS256", by_rsa)] {
        let settings = world.arguments.settings.guarded(&arguments, &token)?;
        let guarded = Service::start_filled(&settings, Some(&world.postgres), "guarded").await?;
        for (in_flight, goal) in IN_FLIGHT {
            let task = task(world, Workload::Unary, in_flight);
            let (mut without, mut with) = (Vec::new(), Vec::new());
            for _ in 0..world.arguments.rounds {
                let (product, postgres) = (&world.product, Some(&world.postgres));
                without.push(measure(&product.load, task, &product.process, postgres).await?);
                with.push(measure(&guarded.load, task, &guarded.process, postgres).await?);
            }
            let ratios = with.iter().zip(&without).map(|(a, b)| a.per_second / b.per_second);
            let ratio = median(ratios.collect::<Vec<_>>());
            world.figures.note(goal, ratio);
            rows.push((name, in_flight, ratio, Measured::median(&with)));
        }
        guarded.process.stop().await?;
    }
    let headings = [&["token", "in flight", "× without"], &HEADINGS[..]].concat();
    let mut table = world.report.table("Debit with a token, beside without", &headings);
    for (name, in_flight, ratio, run) in rows {
        let place = [name.to_owned(), in_flight.to_string(), format!("{ratio:.2}")];
        table.row(place.into_iter().chain(run.cells()));
    }
    Ok(())
}
