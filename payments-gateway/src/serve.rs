//! The service, put together: what it needs, what it answers, what it works on, and how it ends.

use crate::{
    config::{Config, PublicUrl},
    http::{
        App,
        listener::{self, Limits},
        pages::Pages,
        router,
        strangers::Strangers,
        user::Users,
        whole::Whole,
    },
    intake,
    ledger::Ledger,
    operators::{self, Operator, Operators},
    purchases::Purchases,
    reconciler::Reconciler,
    settle::Settle,
    store::Store,
    stripe::{
        self,
        check::{self, Finding},
        signature::Secrets,
    },
    worker::Worker,
};
use proto::{
    catalog::Catalog,
    jwt::{Expected, Verifier},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long what was accepted has to finish after a signal to stop.
const DRAIN: Duration = Duration::from_secs(20);

/// Whom operators' tokens are for.
const OPERATOR_AUDIENCE: &str = "payments-gateway";

/// Why the service can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings that make no sense together, or with what they name.
    #[error("{0}")]
    Settings(String),
    /// The database can't be opened.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The address is taken, or isn't ours.
    #[error("can't listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
}

/// The service, running.
pub struct Running {
    /// Where it answers HTTP.
    pub address: SocketAddr,
    /// Where it answers operators.
    pub operator_address: SocketAddr,
    /// How browsers reach it.
    pub public_url: PublicUrl,
    /// Whether anything real happens.
    pub livemode: bool,
    stop: CancellationToken,
    /// Who lets connections in, and they.
    front: TaskTracker,
    /// What they asked for, which outlives them.
    requests: TaskTracker,
    /// Who works on the inbox.
    back: TaskTracker,
    /// Who writes down what comes in: ends when everybody else has.
    scribe: TaskTracker,
    store: Store,
}

/// Starts the service.
///
/// # Errors
/// See [`StartError`].
pub async fn start(config: &Config) -> Result<Running, StartError> {
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.map_err(|error| StartError::Listen(config.listen, error))?;
    start_on(config, listener).await
}

/// The same, on a listener that is there already.
///
/// # Errors
/// See [`StartError`].
pub async fn start_on(config: &Config, listener: TcpListener) -> Result<Running, StartError> {
    config.check().map_err(|problems| StartError::Settings(problems.join("\n")))?;
    let settings = |why: String| StartError::Settings(why);
    let livemode = config.livemode().map_err(settings)?;
    let address = listener.local_addr();
    let address = address.map_err(|error| StartError::Listen(config.listen, error))?;
    let public_url = config.public_url.clone().unwrap_or_else(|| PublicUrl::of(address));
    let operator_listener = TcpListener::bind(config.operator_listen).await;
    let operator_listener =
        operator_listener.map_err(|error| StartError::Listen(config.operator_listen, error))?;
    let operator_address = operator_listener.local_addr();
    let operator_address =
        operator_address.map_err(|error| StartError::Listen(config.operator_listen, error))?;

    let catalog = Catalog::load(&config.catalog).map_err(|error| settings(error.to_string()))?;
    let catalog = Arc::new(catalog);
    let store = Store::open(&config.database).await?;
    let ledger = Ledger::new(config).map_err(settings)?;
    let stripe = stripe::Client::new(
        &config.stripe_api_base,
        &config.stripe_secret_key,
        &config.stripe_api_version,
    )
    .map_err(|error| settings(error.to_string()))?;
    let promotions: Arc<[String]> = config.promotions().into();
    let name: Arc<str> = config.name.clone().unwrap_or_else(|| catalog.economy.clone()).into();
    let (intake, scribe_task) = intake::open(store.clone());
    let purchases = Purchases::new(
        (store.clone(), stripe.clone(), intake.clone()),
        Arc::clone(&catalog),
        (livemode, !promotions.is_empty()),
        (&name, public_url.as_str()),
    );
    let settle = Settle {
        store: store.clone(),
        stripe: stripe.clone(),
        ledger: ledger.clone(),
        purchases: purchases.clone(),
        promotions,
    };
    let reconciler = Reconciler {
        store: store.clone(),
        stripe: stripe.clone(),
        ledger: ledger.clone(),
        intake: intake.clone(),
        name: Arc::clone(&name),
        every: Duration::from_secs(config.reconcile_seconds.into()),
        look_again: Duration::from_secs(config.look_again_seconds.into()),
    };
    let users = users(config, &public_url).await.map_err(settings)?;
    let pages = Pages::new(config.templates.clone(), checkout_origins(config)).map_err(settings)?;
    let app = App {
        store: store.clone(),
        intake: intake.clone(),
        ledger,
        purchases,
        catalog_version: catalog.digest().into(),
        catalog,
        users: Arc::new(users),
        pages: Arc::new(pages),
        public_url: Arc::new(public_url.clone()),
        secrets: Arc::new(Secrets::new(config.stripe_webhook_secrets.clone())),
        strangers: Strangers::default(),
        publishable_key: config.stripe_publishable_key.as_deref().map(Arc::from),
        livemode,
    };

    let (front, back, scribe) = (TaskTracker::new(), TaskTracker::new(), TaskTracker::new());
    let stop = CancellationToken::new();
    scribe.spawn(scribe_task.run());
    let whose = (Arc::clone(&name), livemode);
    let worker = Worker::new(settle.clone(), intake.clone(), whose, config.workers.into());
    back.spawn(worker.run(stop.clone()));
    back.spawn(reconciler.clone().run(stop.clone()));
    back.spawn(app.strangers.clone().tell(store.clone(), stop.clone()));
    let (users, until) = (Arc::clone(&app.users), stop.clone());
    back.spawn(async move {
        tokio::select! {
            () = users.keep_fresh() => until.cancelled().await,
            () = until.cancelled() => {}
        }
    });
    let verifier = match &config.operator_jwt_secrets {
        None => None,
        Some(secrets) => {
            let expected = Expected { issuer: None, audience: OPERATOR_AUDIENCE.to_owned() };
            let verifier = Verifier::<Operator>::open(Some(secrets), None, expected).await;
            Some(Arc::new(verifier.map_err(settings)?))
        }
    };
    let operators = Operators::new(reconciler, stop.clone());
    back.spawn(async move {
        if let Err(error) = operators::serve(operators, verifier, operator_listener).await {
            tracing::error!(%error, "operators aren't answered any more");
        }
    });
    let (limits, tasks) = (
        Limits {
            connections_max: config.connections_max,
            per_address_max: config.connections_per_address_max,
        },
        TaskTracker::new(),
    );
    let whole = Whole::new(router(app), tasks.clone());
    front.spawn(listener::accept(listener, whole, limits, front.clone(), stop.clone()));
    let asking = ask_stripe(config.clone(), stripe, livemode, public_url.clone());
    let until = stop.clone();
    back.spawn(async move {
        tokio::select! {
            () = asking => {}
            () = until.cancelled() => {}
        }
    });
    Ok(Running {
        address,
        operator_address,
        public_url,
        livemode,
        stop,
        front,
        requests: tasks,
        back,
        scribe,
        store,
    })
}

async fn users(config: &Config, public_url: &PublicUrl) -> Result<Users, String> {
    let expected =
        Expected { issuer: config.jwt_issuer.clone(), audience: config.jwt_audience.clone() };
    let (secrets, keys) = (config.jwt_secrets.as_ref(), config.jwt_jwks.clone());
    let tokens = Verifier::open(secrets, keys, expected).await?;
    Ok(Users::new(tokens, config.service_keys.as_ref(), public_url))
}

/// Where the buy page's form may lead beside https: a simulator's pages, on this machine.
fn checkout_origins(config: &Config) -> &'static str {
    if config.stripe_api_base.starts_with("http://") {
        "http://127.0.0.1:* http://localhost:*"
    } else {
        ""
    }
}

async fn ask_stripe(config: Config, stripe: stripe::Client, livemode: bool, public_url: PublicUrl) {
    for finding in findings(&config, &stripe, livemode, &public_url).await {
        match finding {
            Finding::Wrong(words) => tracing::error!("{words}"),
            Finding::Doubtful(words) => tracing::warn!("{words}"),
            Finding::Fine(words) => tracing::debug!("{words}"),
        }
    }
}

/// What is wrong with how Stripe is set up for us.
pub async fn findings(
    config: &Config,
    stripe: &stripe::Client,
    livemode: bool,
    public_url: &PublicUrl,
) -> Vec<Finding> {
    let webhooks = format!("{}/webhooks/stripe", public_url.as_str());
    check::ask(stripe, livemode, &webhooks, &config.stripe_api_version).await
}

impl Running {
    /// Finishes what was accepted, and ends; whether that worked in time.
    pub async fn stop(self) -> bool {
        self.stop.cancel();
        let Self { front, requests, back, scribe, store, .. } = self;
        let drained = timeout(DRAIN, async {
            for tracker in [&front, &requests, &back, &scribe] {
                tracker.close();
                tracker.wait().await;
            }
            store.close().await;
        });
        drained.await.is_ok()
    }
}
