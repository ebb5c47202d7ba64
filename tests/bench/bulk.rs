//! `bulk`: how long a stream of credits takes, alone, beside debits, and sent again when all of it is done.

use crate::{
    accounts::{Spread, name},
    calls::Workload,
    load::Task,
    report::{Report, float},
    service::{Service, Settings, Store},
};
use proto::v1::{
    BulkCreditRequest, BulkCreditResponse, CreditRequest, GrantKind,
    admin_service_client::AdminServiceClient,
};
use std::{
    error::Error,
    time::{Duration, Instant},
};
use tonic::transport::Endpoint;

/// Debits that run beside a stream, of random accounts.
const DEBITS_IN_FLIGHT: usize = 64;

/// How long they run: longer than a stream takes.
const DEBITS_LAST: Duration = Duration::from_secs(30);

/// Bulk credits.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What the service keeps its ledger in.
    #[arg(long, value_enum, default_value = "postgres")]
    store: Store,

    /// Rows of a stream.
    #[arg(long, default_value = "100000")]
    rows: u64,

    #[command(flatten)]
    settings: Settings,
}

/// Runs, prints.
pub async fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    arguments.settings.build()?;
    let settings = &arguments.settings;
    let postgres = settings.server(arguments.store).await?;
    let service = Service::start_filled(settings, postgres.as_ref(), "bulk").await?;
    let endpoint = Endpoint::from_shared(format!("http://{}", service.process.address))?;
    let mut admin = AdminServiceClient::new(endpoint.tcp_nodelay(true).connect().await?);
    let mut stream = async |prefix: &'static str| -> Result<_, Box<dyn Error>> {
        let accounts = settings.accounts;
        let rows = (0..arguments.rows).map(move |number| row(prefix, number, accounts));
        let began = Instant::now();
        let answer = admin.bulk_credit(futures::stream::iter(rows)).await?.into_inner();
        Ok((answer, began.elapsed()))
    };

    let mut report = Report::default();
    let title = format!("{} rows on {:?}", arguments.rows, arguments.store);
    let headings = ["what", "s", "rows/s", "credited", "replayed", "failed"];
    let mut table = report.table(&title, &headings);
    let mut tell = |what: &str, (answer, took): (BulkCreditResponse, Duration)| {
        let rate = float(arguments.rows) / took.as_secs_f64();
        let counts = [answer.credited, answer.replayed, answer.failed];
        let head = [what.to_owned(), format!("{:.1}", took.as_secs_f64()), format!("{rate:.0}")];
        table.row(head.into_iter().chain(counts.map(|count| count.to_string())));
    };
    tell("alone", stream("alone").await?);
    tell("again", stream("alone").await?);
    let task = Task {
        workload: Workload::Unary,
        spread: Spread::Random,
        accounts: settings.accounts,
        in_flight: DEBITS_IN_FLIGHT,
        lasts: DEBITS_LAST,
    };
    let (beside, debits) = tokio::join!(stream("beside"), service.load.run(task));
    tell("beside debits", beside?);
    drop(table);
    let debits = debits?;
    report.say(&format!(
        "Debits beside it: {:.0}/s, p99 {:.1} ms, {} failed. The service had {:.0} MiB at most.",
        debits.per_second(),
        debits.latency_ms(99.0),
        debits.failed,
        service.process.memory_mib()?,
    ));
    service.process.stop().await?;
    report.write(settings.json.as_deref())
}

/// To the accounts in turn.
fn row(prefix: &str, number: u64, accounts: u64) -> BulkCreditRequest {
    let credit = CreditRequest {
        account_id: name(number % accounts),
        idempotency_key: format!("{prefix}-{number}"),
        amount: 10,
        kind: GrantKind::Promotional.into(),
        description: "a gift".to_owned(),
        ..CreditRequest::default()
    };
    BulkCreditRequest { credit: Some(credit) }
}
