//! `webhooks`: how many events the gateway takes, how soon it says so, and how soon what is paid is credited.

use crate::{
    postgres::Postgres,
    process::{Process, release},
    report::Report,
    service::Store,
};
use ::tests::{gateway::free_port, http::Http};
use hdrhistogram::Histogram;
use ring::hmac;
use serde_json::{Value, json};
use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

/// What the events are signed with.
const SECRET: &str = "whsec_bench_0123456789abcdef";

/// Who may open sessions for users.
const SERVICE_KEY: &str = "0123456789abcdef0123456789abcdef";

/// How long a purchase may take before it counts as never credited.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often is looked whether it is.
const LOOK: Duration = Duration::from_millis(5);

/// Webhooks and purchases.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What both services keep their facts in.
    #[arg(long, value_enum, default_value = "postgres")]
    store: Store,

    /// The PostgreSQL server to measure on; without it a durable one is started.
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,

    /// Seconds of each part.
    #[arg(long, default_value = "10")]
    seconds: u64,

    /// Events on their way, as many as are taken.
    #[arg(long, default_value = "64")]
    in_flight: usize,

    /// Events a second, for their latency.
    #[arg(long, default_value = "500")]
    rate: u32,

    /// Purchases that are paid, one after the other.
    #[arg(long, default_value = "300")]
    purchases: usize,

    /// Purchases that are paid a second.
    #[arg(long, default_value = "10")]
    purchase_rate: u32,
}

/// Everything that takes part.
struct World {
    gateway: Process,
    tokens: Process,
    stripe: Process,
    http: Http,
    _postgres: Option<Postgres>,
    _folder: TempDir,
}

/// How soon something happened, in microseconds.
#[derive(Clone)]
struct Times(Arc<Mutex<Histogram<u64>>>);

impl Times {
    fn new() -> Result<Self, Box<dyn Error>> {
        Ok(Self(Arc::new(Mutex::new(Histogram::new(3)?))))
    }

    fn note(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner).record(micros);
        // It grows as it has to.
        noted.expect("a time within centuries");
    }

    fn ms(&self, quantile: f64) -> String {
        let micros =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).value_at_quantile(quantile);
        format!("{}.{:02}", micros / 1_000, micros % 1_000 / 10)
    }

    fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Runs, prints.
pub async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let world = Arc::new(World::start(&arguments).await?);
    let mut report = Report::default();
    let title = format!("Webhooks and purchases on {:?}", arguments.store);
    let headings = ["what", "done", "a second", "p50 ms", "p99 ms", "goal", "reached"];
    let mut table = report.table(&title, &headings);

    let seconds = Duration::from_secs(arguments.seconds);
    let (taken, times) = flood(&world, arguments.in_flight, seconds).await?;
    let rate = taken / arguments.seconds.max(1);
    let row = |what: &str, done: u64, rate: u64, times: &Times, goal: &str, reached: bool| {
        let reached = if reached { "yes" } else { "no" };
        [what, &done.to_string(), &rate.to_string(), &times.ms(0.5), &times.ms(0.99), goal, reached]
            .map(str::to_owned)
    };
    let what = format!("events taken, {} in flight", arguments.in_flight);
    table.row(row(&what, taken, rate, &times, "≥ 3000 a second", rate >= 3_000));

    let drained = world.drained().await?;
    let times = drip(&world, arguments.rate, seconds).await?;
    let what = format!("events taken, {} a second", arguments.rate);
    let reached =
        times.0.lock().unwrap_or_else(PoisonError::into_inner).value_at_quantile(0.99) < 50_000;
    let done = times.count();
    table.row(row(&what, done, done / arguments.seconds.max(1), &times, "p99 < 50 ms", reached));

    world.drained().await?;
    let times = purchases(&world, arguments.purchases, arguments.purchase_rate).await?;
    let what = format!("paid to credited, {} a second", arguments.purchase_rate);
    let reached =
        times.0.lock().unwrap_or_else(PoisonError::into_inner).value_at_quantile(0.99) < 500_000;
    let done = times.count();
    table.row(row(&what, done, arguments.purchase_rate.into(), &times, "p99 < 500 ms", reached));
    drop(table);
    report.say(&format!(
        "What was taken in the first part was worked on {drained:?} after its end. Memory of the gateway: {:.0} MiB.",
        world.gateway.memory_mib()?
    ));
    let World { gateway, tokens, stripe, .. } =
        Arc::into_inner(world).ok_or("somebody is still at it")?;
    gateway.stop().await?;
    tokens.stop().await?;
    stripe.stop().await
}

impl World {
    async fn start(arguments: &Arguments) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let (postgres, ledger, payments) = match arguments.store {
            Store::Sqlite => {
                let file = |name| format!("sqlite:{}", folder.path().join(name).display());
                (None, file("ledger.db"), file("gateway.db"))
            }
            Store::Postgres => {
                let postgres = Postgres::find(arguments.postgres.clone()).await?;
                let database = postgres.fresh("webhooks").await?;
                (Some(postgres), database.clone(), database)
            }
        };
        let words =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let keys = folder.path().join("keys").display().to_string();
        // A catalog without limits on purchases, or buyers would soon be told to wait.
        let catalog = folder.path().join("bench.toml").display().to_string();
        let limited = include_str!("../../catalogs/phoenix.toml");
        let limits = [
            ("purchases_per_hour = 5", "purchases_per_hour = 1000000"),
            ("purchases_per_day = 20", "purchases_per_day = 1000000"),
        ];
        let unlimited =
            limits.iter().fold(limited.to_owned(), |text, (from, to)| text.replace(from, to));
        std::fs::write(&catalog, unlimited)?;
        let tokens = Process::start(
            &release("token-service")?,
            &words(&[
                "--listen=127.0.0.1:0",
                "--log=warn",
                "--database",
                &ledger,
                "--chain-key-file",
                &keys,
                "--catalog",
                &catalog,
            ]),
        )
        .await?;
        let stripe =
            Process::start(&release("stripe-sim")?, &words(&["--listen=127.0.0.1:0"])).await?;
        let (http, port) = (Http::default(), free_port());
        let endpoint = http
            .post(&format!("http://{}/v1/webhook_endpoints", stripe.address))
            .bearer("sk_test_bench")
            .form(&[
                ("url", &format!("http://127.0.0.1:{port}/webhooks/stripe")),
                ("enabled_events[]", "*"),
            ])
            .send()
            .await
            .expect(200);
        let secret = endpoint["secret"].as_str().ok_or("no secret")?;
        let gateway = Process::start(
            &release("payments-gateway")?,
            &words(&[
                "--listen",
                &format!("127.0.0.1:{port}"),
                "--operator-listen=127.0.0.1:0",
                "--log=warn",
                "--database",
                &payments,
                "--catalog",
                &catalog,
                "--token-service",
                &format!("http://{}", tokens.address),
                "--service-keys",
                &format!("bench:{SERVICE_KEY}"),
                "--stripe-secret-key=sk_test_bench",
                "--stripe-webhook-secrets",
                &format!("{SECRET},{secret}"),
                "--stripe-api-base",
                &format!("http://{}", stripe.address),
            ]),
        )
        .await?;
        Ok(Self { gateway, tokens, stripe, http, _postgres: postgres, _folder: folder })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway.address)
    }

    /// An event of a payment that isn't ours, as an account that sells other things as well has them.
    async fn event(&self, number: u64) -> bool {
        let body = json!({
            "id": format!("evt_bench_{number}"), "object": "event", "api_version": "2026-09-30.endive",
            "created": 1_795_000_000, "livemode": false, "pending_webhooks": 1,
            "request": { "id": "req_bench", "idempotency_key": null }, "type": "product.updated",
            "data": { "object": {
                "id": format!("prod_bench_{number}"), "object": "product", "active": true,
                "description": "x".repeat(1_000), "metadata": {}, "name": "Something else", "livemode": false,
            } },
        })
        .to_string();
        #[expect(clippy::disallowed_methods, reason = "Stripe signs the time")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let code = hmac::sign(&key, format!("{now}.{body}").as_bytes());
        let code: String = code.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let sent = self.http.post(&self.url("/webhooks/stripe"));
        let sent = sent.header("stripe-signature", &format!("t={now},v1={code}")).body(body);
        sent.try_send().await.is_ok_and(|answer| answer.status == 200)
    }

    /// Waits until a purchase that is paid now is credited, which comes after everything before it.
    async fn drained(self: &Arc<Self>) -> Result<Duration, Box<dyn Error>> {
        let began = Instant::now();
        let times = purchases(self, 1, 1).await?;
        if times.count() == 1 {
            Ok(began.elapsed())
        } else {
            Err("the inbox isn't worked on".into())
        }
    }
}

/// As many events as are taken; how many, and how soon.
async fn flood(
    world: &Arc<World>,
    in_flight: usize,
    time: Duration,
) -> Result<(u64, Times), Box<dyn Error>> {
    let (times, number) = (Times::new()?, Arc::new(AtomicU64::new(0)));
    let (end, mut callers) = (Instant::now() + time, JoinSet::new());
    for _ in 0..in_flight {
        let (world, times, number) = (Arc::clone(world), times.clone(), Arc::clone(&number));
        callers.spawn(async move {
            while Instant::now() < end {
                let began = Instant::now();
                if world.event(number.fetch_add(1, Ordering::Relaxed)).await {
                    times.note(began.elapsed());
                }
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done?;
    }
    Ok((times.count(), times))
}

/// So many events a second, whether the last was answered or not.
async fn drip(world: &Arc<World>, rate: u32, time: Duration) -> Result<Times, Box<dyn Error>> {
    let times = Times::new()?;
    let (end, mut sent) = (Instant::now() + time, JoinSet::new());
    let mut due = interval(Duration::from_secs(1) / rate.max(1));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut number = 1_u64 << 40;
    while Instant::now() < end {
        // From when it was due: who sends late has waited, too.
        let began = due.tick().await;
        let (world, times, this) = (Arc::clone(world), times.clone(), number);
        number += 1;
        sent.spawn(async move {
            if world.event(this).await {
                times.note(began.elapsed());
            }
        });
    }
    while let Some(done) = sent.join_next().await {
        done?;
    }
    Ok(times)
}

/// Purchases of users of their own: from the answer that says that it is paid, to the moment it is credited.
async fn purchases(world: &Arc<World>, count: usize, rate: u32) -> Result<Times, Box<dyn Error>> {
    let (times, mut bought) = (Times::new()?, JoinSet::new());
    let mut due = interval(Duration::from_secs(1) / rate.max(1));
    for _ in 0..count {
        due.tick().await;
        let world = Arc::clone(world);
        bought.spawn(async move { purchase(&world).await });
    }
    while let Some(done) = bought.join_next().await {
        times.note(done??);
    }
    Ok(times)
}

async fn purchase(world: &World) -> Result<Duration, String> {
    let account = format!("buyer-{}", uuid::Uuid::new_v4().simple());
    let asked = json!({ "account_id": account, "use": "bearer" });
    let opened = world.http.post(&world.url("/v1/sessions")).bearer(SERVICE_KEY).json(&asked);
    let token = text(&opened.send().await.expect(201), "token")?;
    let begun = world.http.post(&world.url("/v1/checkout/sessions")).bearer(&token);
    let begun = begun.json(&json!({ "package": "starter" })).send().await.expect(201);
    let url = text(&begun, "url")?;
    let session = url.rsplit('/').next().unwrap_or_default();
    let id = text(&begun["purchase"], "id")?;
    let page = format!("http://{}/v1/payment_pages/{session}/confirm", world.stripe.address);
    let paid = world.http.post(&page).bearer("sk_test_bench");
    paid.form(&[("payment_method", "pm_card_visa"), ("expected_amount", "499")])
        .send()
        .await
        .expect(200);
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let found = world.http.get(&world.url(&format!("/v1/purchases/{id}"))).bearer(&token);
        if found.send().await.expect(200)["state"] == "credited" {
            return Ok(began.elapsed());
        }
        sleep(LOOK).await;
    }
    Err(format!("purchase {id} wasn't credited within {PATIENCE:?}"))
}

fn text(object: &Value, member: &str) -> Result<String, String> {
    Ok(object[member].as_str().ok_or_else(|| format!("no {member} in {object}"))?.to_owned())
}
