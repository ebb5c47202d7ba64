//! A running service: everything it is made of, and how it comes up and goes down.

use crate::{
    clock::Clock,
    committer::{Committer, Limits},
    config::{Config, Reflection},
    events,
    grpc::{AdminApi, Api, DoorLayer, RequestLayer, Timeouts, TokenApi},
    health,
    identity::{Callers, Credentials, Identity},
    keys::{KeyError, chain_keys},
    listener::{
        Listener,
        tls::{Tls, TlsError},
    },
    policy::policy,
    reader::Reader,
    store::{Store, StoreError},
    sweeper,
};
use proto::{
    catalog::{Catalog, LoadError},
    v1::{
        FILE_DESCRIPTOR_SET, admin_service_server::AdminServiceServer,
        token_service_server::TokenServiceServer,
    },
};
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::Server;

/// Streams that a client may make us reset before it is sent away (the MadeYouReset class).
const LOCAL_RESETS_MAX: usize = 1024;

/// Calls that a client may give up before we have looked at them (the Rapid Reset class): as many as
/// it may have open, since honest deadlines pass together.
const PENDING_RESETS_MAX: usize = 128;

/// Bytes of one call's headers.
const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// Bytes of one call, and of all on a connection, that may wait to be read. h2 ends a connection on which
/// small frames wait that cost more than half of the latter to keep: a stream of rows, each a frame of its
/// own as most clients send them, must stay well below that when we are slower than its client.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Bytes of one answer. What is done must be answerable: a transaction tells every grant that it drew
/// from, and a batch has 1,000 of them. Most clients take 4 MiB unless they are told otherwise.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A connection that is silent for so long is asked whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long it may take to say so.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection's certificate is looked at when it is made, and load is spread then: so it is made anew
/// now and then, when its calls are over.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(3_600);

/// How long they have for that.
const CONNECTION_AGE_GRACE: Duration = Duration::from_secs(300);

/// How long streams, and tasks, that know that the service goes away have to end.
const FAREWELL: Duration = Duration::from_millis(100);

/// Why the service doesn't come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The catalog can't be read, or has mistakes.
    #[error(transparent)]
    Catalog(#[from] LoadError),
    /// The database can't be opened or migrated.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain's keys can't be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The files of TLS can't be used.
    #[error("TLS can't be spoken: {0}")]
    Tls(#[from] TlsError),
    /// The file of callers can't be used.
    #[error("the callers in {}: {why}", path.display())]
    Callers {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file of the keys that tokens are signed with can't be used.
    #[error("the key set of callers' tokens: {0}")]
    KeySet(String),
    /// The address can't be listened on.
    #[error("can't listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// Reflection can't read the contract: our bug.
    #[error(transparent)]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A service that answers.
#[derive(Debug)]
pub struct Running {
    /// Where it answers.
    pub address: SocketAddr,
    /// The economy that it runs.
    pub economy: String,
    /// Whether it speaks TLS.
    pub speaks_tls: bool,
    /// Whether it wants a certificate of everybody.
    pub wants_certificates: bool,
    /// Whether callers may show tokens.
    pub takes_tokens: bool,
    /// Whether tokens are accepted that the executable makes.
    pub makes_tokens: bool,
    api: Api,
    drain: CancellationToken,
    ending: CancellationToken,
    stop: CancellationToken,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
    committing: JoinHandle<()>,
    tasks: TaskTracker,
    drain_timeout: Duration,
}

/// Brings a service up; it answers when this returns.
///
/// # Errors
/// See [`StartError`].
pub async fn start(config: &Config, clock: Clock) -> Result<Running, StartError> {
    start_under(Catalog::load(&config.catalog.to_string())?, config, clock).await
}

/// [`start`], under a catalog that was read already.
///
/// # Errors
/// See [`StartError`].
pub async fn start_under(
    catalog: Catalog,
    config: &Config,
    clock: Clock,
) -> Result<Running, StartError> {
    let catalog = Arc::new(catalog);
    let tls = config.tls_files().map(Tls::open).transpose()?.map(Arc::new);
    let identity = Arc::new(identity(config, clock.clone()).await?);
    let speaks_tls = tls.is_some();
    if config.is_reachable() && config.identifies_callers() && !speaks_tls {
        tracing::warn!(
            "callers' tokens come from other machines without TLS: let something in front speak it"
        );
    }
    let store = Store::open(config).await?;
    // Whoever runs a version that is migrated already needs no right to.
    if !store.migrations().await?.pending.is_empty() {
        store.migrate().await?;
    }
    for warning in store.warnings().await? {
        tracing::warn!("{warning}");
    }
    let keys = chain_keys(config, &store).await?;
    let signing = keys.first().cloned().ok_or(KeyError::None)?;
    let policy = Arc::new(policy(&catalog));
    let limits = Limits {
        queue_commands_max: config.queue_capacity_commands,
        batch_commands_max: config.batch_commands_max,
        lanes: config.lanes(),
    };
    let (committer, committing) =
        Committer::start(store.clone(), Arc::clone(&policy), signing, clock.clone(), limits);
    let economy = catalog.economy.clone();

    let (drain, stop) = (CancellationToken::new(), CancellationToken::new());
    let ending = CancellationToken::new();
    let tasks = TaskTracker::new();
    let reader = Reader::start(&store, &tasks, &stop);
    let watches = committer.watches().clone();
    let api =
        Api::new(committer.clone(), store.clone(), reader, clock.clone(), catalog, policy, keys);
    let kept = store.clone();
    let maintain = stop.clone().run_until_cancelled_owned(async move { kept.maintain().await });
    tasks.spawn(maintain);
    tasks.spawn(events::run(store.clone(), watches, stop.clone()));
    let known = Arc::clone(&identity);
    let fresh = stop.clone().run_until_cancelled_owned(async move { known.keep_fresh().await });
    tasks.spawn(fresh);
    if let Some(tls) = tls.clone() {
        let fresh = stop.clone().run_until_cancelled_owned(async move { tls.keep_fresh().await });
        tasks.spawn(fresh);
    }
    let interval = Duration::from_millis(config.sweep_interval_ms);
    let trouble = committer.trouble().clone();
    tasks.spawn(sweeper::run(store.clone(), committer, clock, interval, stop.clone()));
    let (reporter, health) = tonic_health::server::health_reporter();
    tasks.spawn(health::run(store, trouble, reporter, drain.clone()));

    let address = config.listen;
    let listen = async {
        let listener = TcpListener::bind(address).await?;
        Ok((listener.local_addr()?, listener))
    };
    let (address, listener) =
        listen.await.map_err(|cause| StartError::Listen { address, cause })?;
    let message_bytes = config.message_bytes_max;
    let token = TokenServiceServer::new(TokenApi::new(api.clone()))
        .max_decoding_message_size(message_bytes)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let admin = AdminServiceServer::new(AdminApi::new(api.clone()))
        .max_decoding_message_size(message_bytes)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let timeouts = Timeouts {
        call_max: Duration::from_millis(config.request_timeout_ms_max),
        receive: Duration::from_millis(config.receive_timeout_ms),
    };
    let (v1, v1alpha) = reflection(config.reflection)?.unzip();
    let router = Server::builder()
        .layer(RequestLayer::new(timeouts, ending.clone()))
        .layer(DoorLayer::new(identity))
        .max_concurrent_streams(config.concurrent_streams_max)
        .http2_max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_connection_age(CONNECTION_AGE_MAX)
        .max_connection_age_grace(CONNECTION_AGE_GRACE)
        .add_service(token)
        .add_service(admin)
        .add_service(health)
        .add_optional_service(v1)
        .add_optional_service(v1alpha);
    let incoming = Listener::new(listener, tls, config.connection_limits());
    let draining = drain.clone().cancelled_owned();
    #[expect(clippy::disallowed_methods, reason = "`Running::stop` waits for this handle")]
    let server = tokio::spawn(router.serve_with_incoming_shutdown(incoming, draining));
    let drain_timeout = Duration::from_millis(config.drain_timeout_ms);
    Ok(Running {
        address,
        economy,
        speaks_tls,
        wants_certificates: config.tls_client_authority.is_some(),
        takes_tokens: config.jwt_secrets.is_some() || config.jwks.is_some(),
        makes_tokens: config.jwt_secrets.is_some(),
        api,
        drain,
        ending,
        stop,
        server,
        committing,
        tasks,
        drain_timeout,
    })
}

impl Running {
    /// What answers, for those who ask in this process.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Goes down in order: not healthy, no new connections, streams ended, accepted calls answered,
    /// accepted commands committed. Whether all of it was done in time.
    pub async fn stop(mut self) -> bool {
        self.drain.cancel();
        self.api.committer().end_streams();
        let mut answered = timeout(FAREWELL, &mut self.server).await.is_ok();
        if !answered {
            self.ending.cancel();
            answered = timeout(self.drain_timeout, self.server).await.is_ok();
        }
        self.stop.cancel();
        self.api.committer().close();
        let committed = timeout(self.drain_timeout, self.committing).await.is_ok();
        self.tasks.close();
        let ended = timeout(FAREWELL, self.tasks.wait()).await.is_ok();
        answered && committed && ended
    }
}

/// How callers are identified.
async fn identity(config: &Config, clock: Clock) -> Result<Identity, StartError> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        let callers = text.and_then(|text| Callers::parse(&text));
        callers.map_err(|why| StartError::Callers { path: path.clone(), why })
    };
    let credentials = Credentials {
        secrets: config.jwt_secrets.clone(),
        keys: config.jwks.clone(),
        expected: config.expected_tokens(),
        callers: config.callers.as_ref().map(read).transpose()?,
    };
    Identity::new(credentials, clock).await.map_err(StartError::KeySet)
}

/// Reflection in both of its versions: many clients speak the older one only.
fn reflection(
    wanted: Reflection,
) -> Result<
    Option<(
        tonic_reflection::server::v1::ServerReflectionServer<
            impl tonic_reflection::server::v1::ServerReflection,
        >,
        tonic_reflection::server::v1alpha::ServerReflectionServer<
            impl tonic_reflection::server::v1alpha::ServerReflection,
        >,
    )>,
    tonic_reflection::server::Error,
> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that clients can show what is in an error.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    match wanted {
        Reflection::Off => Ok(None),
        Reflection::On => Ok(Some((builder().build_v1()?, builder().build_v1alpha()?))),
    }
}
