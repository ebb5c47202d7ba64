//! The public keys that tokens are signed with: a JSON Web Key Set in a file or behind a URL, read
//! now and then, and when a token names a key that isn't known.
//!
//! One task reads it ([`Keys::keep_fresh`]); calls ask that task and wait, so that no call that is
//! given up, by an honest client or another, takes the reading with it.

use super::{keyring::Keyring, source::KeySource};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use prost::bytes::Bytes;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{
    io::AsyncReadExt as _,
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

/// How often keys are read again: whoever takes one back waits at most so long, if we can read it.
const INTERVAL: Duration = Duration::from_secs(300);

/// How often at most, however many tokens name unknown keys.
const INTERVAL_MIN: Duration = Duration::from_secs(5);

/// How long that may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Keys that could not be read again for so long are no longer trusted.
const AGE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Bytes of a key set.
const BYTES_MAX: u64 = 1024 * 1024;

type Http = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// Keys that change.
#[derive(Debug)]
pub(super) struct Keys {
    source: KeySource,
    /// For a source behind a URL.
    http: Option<Http>,
    looked: watch::Sender<Looked>,
    /// Somebody wants them looked at.
    wanted: Notify,
}

/// What the last look at the source found.
#[derive(Clone, Debug, Default)]
pub(super) struct Looked {
    /// Those in effect; `None`: there are none that can be trusted.
    pub(super) keys: Option<Arc<Keyring>>,
    /// Whether the source could be read.
    pub(super) succeeded: bool,
    /// How often somebody has looked.
    times: u64,
    /// When it could last be read.
    read: Option<Instant>,
}

impl Keys {
    /// Looks at the source for the first time.
    ///
    /// # Errors
    /// If it is a file that can't be read. What is behind a URL may come later.
    pub(super) async fn open(source: KeySource) -> Result<Self, String> {
        let http = match &source {
            KeySource::File(_) => None,
            KeySource::Url(_) => Some(client()?),
        };
        let (looked, wanted) = (watch::Sender::default(), Notify::new());
        let keys = Self { source, http, looked, wanted };
        match (keys.refresh().await, &keys.source) {
            (Err(why), KeySource::File(_)) => Err(why),
            (Ok(()) | Err(_), _) => Ok(keys),
        }
    }

    /// What was found last.
    pub(super) fn looked(&self) -> Looked {
        self.looked.borrow().clone()
    }

    /// What is found now: whoever asks may wait for some seconds.
    pub(super) async fn look_again(&self) -> Looked {
        let mut looked = self.looked.subscribe();
        let before = looked.borrow_and_update().times;
        self.wanted.notify_one();
        // Whoever sends is `self`, and so doesn't go away.
        looked.wait_for(|it| it.times > before).await.map(|it| it.clone()).unwrap_or_default()
    }

    /// Keeps them fresh, for as long as it is asked to.
    pub(super) async fn keep_fresh(&self) {
        loop {
            let looked = Instant::now();
            let interval = if self.looked().succeeded { INTERVAL } else { INTERVAL_MIN };
            tokio::select! {
                () = sleep_until(looked + interval) => {}
                () = self.wanted.notified() => sleep_until(self.not_before(looked)).await,
            }
            // It has been told.
            self.refresh().await.ok();
        }
    }

    /// The first to want them after a while needn't wait.
    fn not_before(&self, looked: Instant) -> Instant {
        if self.looked().times > 1 { looked + INTERVAL_MIN } else { looked }
    }

    /// Looks at the source. If it can't be read, what was known stays, though not for ever.
    async fn refresh(&self) -> Result<(), String> {
        let read = timeout(TIMEOUT, self.read()).await;
        let read = read.unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")));
        let now = Instant::now();
        self.looked.send_modify(|looked| {
            looked.times += 1;
            looked.succeeded = read.is_ok();
            match &read {
                Ok(keys) => {
                    looked.keys = Some(Arc::new(keys.clone()));
                    looked.read = Some(now);
                }
                Err(_) if looked.read.is_some_and(|read| now - read > AGE_MAX) => {
                    looked.keys = None;
                }
                Err(_) => {}
            }
        });
        read.map(drop).inspect_err(|why| {
            tracing::error!("the key set {} can't be read: {why}", self.source);
        })
    }

    async fn read(&self) -> Result<Keyring, String> {
        let text = match (&self.source, &self.http) {
            (KeySource::File(path), _) => load(path).await?,
            (KeySource::Url(url), Some(http)) => fetch(http, url).await?,
            (KeySource::Url(_), None) => return Err("there is no client".to_owned()),
        };
        Keyring::of_jwks(&text)
    }
}

fn client() -> Result<Http, String> {
    let provider = rustls::crypto::ring::default_provider();
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)
        .map_err(|error| error.to_string())?
        // Only for this machine: see `KeySource`.
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

async fn load(path: &Path) -> Result<Bytes, String> {
    let mut text = Vec::new();
    let file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
    let read = file.take(BYTES_MAX).read_to_end(&mut text).await;
    read.map(|_| text.into()).map_err(|error| error.to_string())
}

async fn fetch(http: &Http, url: &http::Uri) -> Result<Bytes, String> {
    let answer = http.get(url.clone()).await.map_err(|error| in_full(&error))?;
    if !answer.status().is_success() {
        return Err(format!("it answers {}", answer.status()));
    }
    let bytes_max = usize::try_from(BYTES_MAX).unwrap_or(usize::MAX);
    let body = Limited::new(answer.into_body(), bytes_max).collect().await;
    Ok(body.map_err(|error| error.to_string())?.to_bytes())
}

/// An error with what caused it: the client's own words say little.
fn in_full(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(cause) => format!("{error}: {}", in_full(cause)),
    }
}
