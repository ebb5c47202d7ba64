//! The public keys that tokens are signed with: a JSON Web Key Set in a file or behind a URL, read
//! now and then, and when a token names a key that isn't known.

use super::keyring::Keyring;
use crate::config::KeySource;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use prost::bytes::Bytes;
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{sync::Mutex, time::Instant};

/// How often keys are read again: whoever takes one back waits at most so long.
const INTERVAL: Duration = Duration::from_secs(300);

/// How often at most, however many tokens name unknown keys.
const INTERVAL_MIN: Duration = Duration::from_secs(5);

/// How long that may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a key set.
const BYTES_MAX: usize = 1024 * 1024;

/// Keys that change.
#[derive(Debug)]
pub(super) struct Keys {
    source: KeySource,
    /// `None` until they could be read once.
    current: RwLock<Option<Arc<Keyring>>>,
    /// When they were last looked at because of a token.
    looked: Mutex<Option<Instant>>,
}

impl Keys {
    pub(super) fn new(source: KeySource) -> Self {
        Self { source, current: RwLock::default(), looked: Mutex::default() }
    }

    /// Those in effect.
    pub(super) fn current(&self) -> Option<Arc<Keyring>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the source because a token names a key that isn't known, unless somebody just has.
    pub(super) async fn look_again(&self) {
        let mut looked = self.looked.lock().await;
        if looked.is_none_or(|at| at.elapsed() >= INTERVAL_MIN) {
            *looked = Some(Instant::now());
            self.refresh().await;
        }
    }

    /// Looks at the source. If it can't be read, what was known stays.
    pub(super) async fn refresh(&self) {
        match self.read().await {
            Ok(keys) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Some(Arc::new(keys));
            }
            Err(why) => tracing::warn!("the key set {} can't be read: {why}", self.source),
        }
    }

    /// Keeps them fresh, for as long as it is asked to.
    pub(super) async fn keep_fresh(&self) {
        loop {
            let known = self.current().is_some();
            tokio::time::sleep(if known { INTERVAL } else { INTERVAL_MIN }).await;
            self.refresh().await;
        }
    }

    async fn read(&self) -> Result<Keyring, String> {
        let text = match &self.source {
            KeySource::File(path) => {
                tokio::fs::read(path).await.map(Bytes::from).map_err(|error| error.to_string())?
            }
            KeySource::Url(url) => {
                let fetched = tokio::time::timeout(TIMEOUT, fetch(url)).await;
                fetched.map_err(|_| format!("no answer within {TIMEOUT:?}"))??
            }
        };
        Keyring::of_jwks(&text)
    }
}

async fn fetch(url: &http::Uri) -> Result<Bytes, String> {
    let provider = rustls::crypto::ring::default_provider();
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)
        .map_err(|error| error.to_string())?
        // Only for this machine: see `KeySource`.
        .https_or_http()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let answer = client.get(url.clone()).await.map_err(|error| in_full(&error))?;
    if !answer.status().is_success() {
        return Err(format!("it answers {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), BYTES_MAX).collect().await;
    Ok(body.map_err(|error| error.to_string())?.to_bytes())
}

/// An error with what caused it: the client's own words say little.
fn in_full(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(cause) => format!("{error}: {}", in_full(cause)),
    }
}
