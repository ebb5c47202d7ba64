//! `siege`: what others notice while strangers attack, and what it costs the service.

use crate::{
    report::Report,
    service::{Service, Settings},
};
use std::{
    error::Error,
    time::{Duration, Instant},
};
use tests::siege;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// How often somebody asks how the service is.
const INTERVAL: Duration = Duration::from_millis(10);

/// Attacks a service.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

/// Runs, prints.
pub async fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    arguments.settings.build()?;
    let service = Service::start(&arguments.settings, None, "siege").await?;
    let address = service.process.address.clone();
    let before = service.process.memory_mib()?;
    let mut report = Report::default();
    let headings = ["attack", "ended as", "took s", "slowest health ms", "memory MiB more"];
    let mut table = report.table("Strangers", &headings);
    for attack in Attack::ALL {
        let over = CancellationToken::new();
        let begun = Instant::now();
        let attacked = async {
            let ended = attack.run(&address).await;
            over.cancel();
            (ended, begun.elapsed())
        };
        let ((ended, took), slowest) = tokio::join!(attacked, slowest_health(&address, &over));
        let grown = service.process.memory_mib()? - before;
        table.row([
            format!("{attack:?}"),
            ended,
            format!("{:.1}", took.as_secs_f64()),
            format!("{:.1}", slowest?.as_secs_f64() * 1_000.0),
            format!("{grown:.1}"),
        ]);
    }
    drop(table);
    service.process.stop().await?;
    report.write(arguments.settings.json.as_deref())
}

#[derive(Clone, Copy, Debug)]
enum Attack {
    StandStill,
    Reset,
    MakeReset,
    OpenMany,
}

impl Attack {
    const ALL: [Self; 4] = [Self::StandStill, Self::Reset, Self::MakeReset, Self::OpenMany];

    /// Attacks; how it ended.
    async fn run(self, address: &str) -> String {
        let told = |code: Option<u32>| format!("GOAWAY {code:?}");
        match self {
            Self::StandStill => {
                siege::stand_still(address).await;
                "all are gone".to_owned()
            }
            Self::Reset => told(siege::reset(address).await),
            Self::MakeReset => told(siege::make_reset(address).await),
            Self::OpenMany => format!("{} refused", siege::open_many(address).await.len()),
        }
    }
}

/// The longest that an answer about the service's health took, until it is over.
async fn slowest_health(
    address: &str,
    over: &CancellationToken,
) -> Result<Duration, Box<dyn Error>> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    let mut health = HealthClient::new(endpoint.connect().await?);
    let mut slowest = Duration::ZERO;
    while !over.is_cancelled() {
        let asked = Instant::now();
        health.check(HealthCheckRequest::default()).await?;
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(INTERVAL).await;
    }
    Ok(slowest)
}
