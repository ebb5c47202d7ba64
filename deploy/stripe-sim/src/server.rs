//! The process's door: HTTP in, the world behind one lock, deliveries out.

use crate::{
    api::{self, Beginning, Call, Method, Reaction},
    clock::Clock,
    control,
    fail::Fail,
    faults::When,
    pages, sender,
    world::World,
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

/// The longest body of a call.
const BODY_BYTES_MAX: usize = 1 << 20;

/// How often time passes by itself.
const TICK: Duration = Duration::from_millis(200);

/// How the simulator is to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How browsers reach it: `http://host:port`; by default the address.
    pub public_url: Option<String>,
    /// The same seed and the same calls give the same ids; by default another each time.
    pub seed: Option<u64>,
    /// A file that is read at the start, if it exists, and written at the end.
    pub snapshot: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { listen, public_url: None, seed: None, snapshot: None }
    }
}

/// All that is kept: the world, and how its clock differs from the machine's.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) world: World,
    pub(crate) clock: Clock,
}

/// The world behind its lock, for everybody who changes it.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    kept: Arc<Mutex<Kept>>,
    /// Rung when something may be due.
    pub(crate) due: Arc<Notify>,
    pub(crate) snapshot: Option<Arc<PathBuf>>,
    /// Calls under way: their callers may be gone.
    calls: TaskTracker,
}

impl Shared {
    /// Does something under the lock, at the present time.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        self.with_kept(|kept| act(&mut kept.world))
    }

    /// The same, whole or not at all.
    pub(crate) fn attempt<R>(
        &self,
        act: impl FnOnce(&mut World) -> Result<R, Fail>,
    ) -> Result<R, Fail> {
        self.with(|world| world.attempt(act))
    }

    /// The same, with the clock.
    pub(crate) fn with_kept<R>(&self, act: impl FnOnce(&mut Kept) -> R) -> R {
        let done = self.locked(act);
        self.due.notify_one();
        done
    }

    /// For whoever takes what is due: nobody has to be told of that.
    pub(crate) fn take<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        self.locked(|kept| act(&mut kept.world))
    }

    fn locked<R>(&self, act: impl FnOnce(&mut Kept) -> R) -> R {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = kept.clock.now();
        if let Err(full) = kept.world.pass_until(now) {
            tracing::warn!("{}", full.message);
        }
        // What a call did that ended in the middle, is undone.
        kept.world.roll_back();
        act(&mut kept)
    }
}

/// A simulator that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What its ids are made from.
    pub seed: u64,
    shared: Shared,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// Starts a simulator.
///
/// # Errors
/// The address can't be listened on, or the snapshot can't be read.
pub async fn start(settings: Settings) -> io::Result<Running> {
    let listener = TcpListener::bind(settings.listen).await?;
    let address = listener.local_addr()?;
    let public_url = settings.public_url.unwrap_or_else(|| format!("http://{address}"));
    let public_url = public_url.trim_end_matches('/').to_owned();
    let kept = match &settings.snapshot {
        Some(file) if file.exists() => read(file, &public_url)?,
        _ => {
            let clock = Clock::default();
            let seed = settings.seed.unwrap_or_else(|| fastrand::u64(..));
            Kept { world: World::new(seed, clock.now(), public_url), clock }
        }
    };
    let seed = kept.world.seed;
    let shared = Shared {
        kept: Arc::new(Mutex::new(kept)),
        due: Arc::new(Notify::new()),
        snapshot: settings.snapshot.map(Arc::new),
        calls: TaskTracker::new(),
    };
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let app = router(shared.clone());
    tasks.spawn(accept(listener, app, stop.clone()));
    tasks.spawn(sender::run(shared.clone(), stop.clone()));
    tasks.spawn(tick(shared.clone(), stop.clone()));
    Ok(Running { address, seed, shared, stop, tasks })
}

fn read(file: &Path, public_url: &str) -> io::Result<Kept> {
    let text = std::fs::read_to_string(file)?;
    let parse = |text: &str| -> io::Result<Kept> {
        serde_json::from_str(text).map_err(|error| {
            let said = format!("{} is not a snapshot: {error}", file.display());
            io::Error::new(io::ErrorKind::InvalidData, said)
        })
    };
    // Pages may be elsewhere now: what points to them points there.
    let old_url = parse(&text)?.world.public_url;
    let mut kept = parse(&text.replace(&old_url, public_url))?;
    kept.world.outbox.revive();
    kept.world.keys.revive();
    Ok(kept)
}

/// Writes all that is kept to the snapshot's file: whole, or not at all.
pub(crate) fn write(shared: &Shared) -> io::Result<Option<PathBuf>> {
    let Some(file) = shared.snapshot.as_deref() else { return Ok(None) };
    let text = shared.with_kept(|kept| serde_json::to_vec(kept))?;
    let beside = file.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, file)?;
    Ok(Some(file.clone()))
}

impl Running {
    /// Where it is reached: `http://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops it; writes the snapshot, if there is to be one.
    ///
    /// # Errors
    /// The snapshot can't be written.
    pub async fn stop(mut self) -> io::Result<()> {
        self.stop.cancel();
        let patience = sleep(Duration::from_secs(5));
        tokio::select! {
            () = async { while self.tasks.join_next().await.is_some() {} } => {}
            () = patience => self.tasks.shutdown().await,
        }
        write(&self.shared).map(drop)
    }
}

/// Serves connections until told to stop; those that are open may finish their call.
async fn accept(listener: TcpListener, app: Router, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, app.clone(), stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection wasn't accepted");
                    sleep(TICK).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = stop.cancelled() => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, app: Router, stop: CancellationToken) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let app = app.clone();
        async move {
            let Ok(response) = app.oneshot(request.map(Body::new)).await;
            // No answer at all: the connection ends.
            match response.extensions().get::<Cut>() {
                Some(Cut) => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
                None => Ok(response),
            }
        }
    });
    let mut connection =
        pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // Whatever went wrong, its client knows.
            drop(connection.await);
        }
    }
}

/// Marks an answer that isn't to be given.
#[derive(Clone, Copy, Debug)]
struct Cut;

async fn tick(shared: Shared, stop: CancellationToken) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // Should a timer break something, the next ones still ring.
            _ = ticks.tick() => {
                let shared = shared.clone();
                let mut pass = JoinSet::new();
                pass.spawn(async move { shared.with(|_| ()) });
                if let Some(Err(error)) = pass.join_next().await {
                    tracing::error!(%error, "a timer ended in the middle");
                }
            }
            () = stop.cancelled() => return,
        }
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .merge(pages::router())
        .nest("/_sim", control::router())
        .fallback(call)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

/// A call of Stripe's API.
async fn call(State(shared): State<Shared>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Some(path) = head.uri.path().strip_prefix("/v1/").map(str::to_owned) else {
        let said = "This is Stripe's simulator: the API is under /v1/, what moves the simulator under /_sim.";
        return refuse(Fail { status: 404, ..Fail::request(said) });
    };
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return refuse(Fail::request("The body is too long, or it ended early."));
    };
    let query = head.uri.query().unwrap_or_default();
    let method = match head.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        other => {
            return refuse(Fail {
                status: 405,
                ..Fail::request(format!("{other} is not a method of this API."))
            });
        }
    };
    let pairs = match pairs(query, &body, &head.headers) {
        Ok(pairs) => pairs,
        Err(fail) => return refuse(fail),
    };
    let text = |name: &str| {
        head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let request_id = shared.with(|world| world.id("req_", 14));
    let call = Call {
        method,
        path: decoded(&path),
        pairs,
        key: key(&head.headers),
        idempotency_key: text("idempotency-key"),
        version: text("stripe-version"),
        request_id,
    };
    match serve(&shared, call).await {
        Some(reaction) => respond(reaction),
        None => cut(),
    }
}

/// Does a call, with the latency that was asked for. A caller who hangs up changes nothing: it is done.
async fn serve(shared: &Shared, call: Call) -> Option<Reaction> {
    let owned = shared.clone();
    let key = call.idempotency_key.clone();
    let done = shared.calls.spawn(async move {
        let begun = match owned.with(|world| api::begin(world, call)) {
            Beginning::Begun(begun) => *begun,
            Beginning::Over(reaction) => return reaction,
        };
        let fault = begun.fault.clone();
        let latency = Duration::from_millis(fault.as_ref().map_or(0, |fault| fault.latency_ms));
        // An effect whose answer is lost is there at once, however long the caller waits.
        if fault.is_some_and(|fault| fault.when == When::After && fault.answer.is_some()) {
            let reaction = owned.with(|world| api::finish(world, begun));
            sleep(latency).await;
            return reaction;
        }
        sleep(latency).await;
        owned.with(|world| api::finish(world, begun))
    });
    done.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a call ended in the middle: it is undone");
        shared.with(|world| key.inspect(|key| world.keys.end(key, None)));
        None
    })
}

/// A path's segments mean what they say once they are decoded.
fn decoded(path: &str) -> String {
    let whole = format!("path={}", path.replace('+', "%2B"));
    form_urlencoded::parse(whole.as_bytes())
        .next()
        .map_or_else(String::new, |(_, path)| path.into_owned())
}

fn pairs(query: &str, body: &Bytes, headers: &HeaderMap) -> Result<Vec<(String, String)>, Fail> {
    let kind =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !body.is_empty()
        && !kind.is_empty()
        && !kind.starts_with("application/x-www-form-urlencoded")
    {
        return Err(Fail::request(format!(
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded). It is {kind}."
        )));
    }
    let pairs = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(body));
    Ok(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
}

/// The key: a bearer's, or the user of a basic authorization.
fn key(headers: &HeaderMap) -> Option<String> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    if let Some(key) = given.strip_prefix("Bearer ") {
        return Some(key.trim().to_owned());
    }
    let basic = BASE64_STANDARD.decode(given.strip_prefix("Basic ")?.trim()).ok()?;
    String::from_utf8(basic).ok()?.split(':').next().map(str::to_owned)
}

fn refuse(fail: Fail) -> Response {
    let body = serde_json::json!({ "error": fail.to_json() });
    respond(Reaction { status: fail.status, body, headers: Vec::new() })
}

fn respond(reaction: Reaction) -> Response {
    let status = StatusCode::from_u16(reaction.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_string_pretty(&reaction.body).unwrap_or_default();
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    for (name, value) in reaction.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    response
}

fn cut() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Cut);
    response
}

/// Waits until nothing is due or on its way, or until time is up.
pub(crate) async fn settle(shared: &Shared, patience: Duration) -> bool {
    const LOOK: Duration = Duration::from_millis(10);
    let until = Instant::now() + patience;
    loop {
        if shared.with(|world| world.outbox.is_settled(world.now)) {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        sleep(LOOK).await;
    }
}
