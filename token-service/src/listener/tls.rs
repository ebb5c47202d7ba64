//! TLS: the service's certificate, and that of its callers where they need one. The files are looked
//! at now and then, since certificates are renewed while the service runs.

use crate::identity::PeerNames;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(30);

/// The protocol that is spoken inside.
const HTTP2: &[u8] = b"h2";

/// Why TLS can't be spoken.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct TlsError {
    path: PathBuf,
    cause: Box<dyn Error + Send + Sync>,
}

impl TlsError {
    fn of(path: &Path, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { path: path.to_owned(), cause: cause.into() }
    }
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct Files {
    /// The service's certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities that vouch for callers; without them callers need no certificate.
    pub client_authority: Option<PathBuf>,
}

/// What the files held.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_authority: Option<Vec<u8>>,
}

/// Shakes hands.
pub struct Tls {
    files: Files,
    current: RwLock<(Contents, TlsAcceptor)>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// With what is in these files.
    ///
    /// # Errors
    /// If they can't be read, or don't hold what they should.
    pub fn open(files: Files) -> Result<Self, TlsError> {
        let contents = files.read()?;
        let acceptor = files.acceptor(&contents)?;
        Ok(Self { files, current: RwLock::new((contents, acceptor)) })
    }

    /// Shakes hands with whoever has connected; the names in their certificate.
    ///
    /// # Errors
    /// If they don't, or show no certificate where they need one.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, PeerNames)> {
        let acceptor = self.current.read().unwrap_or_else(PoisonError::into_inner).1.clone();
        let stream = acceptor.accept(stream).await?;
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let names = certificate.map(PeerNames::of).unwrap_or_default();
        Ok((stream, names))
    }

    /// Looks at the files again, for as long as it is asked to. What can't be used is told in the
    /// log; what was read before stays.
    pub async fn keep_fresh(self: Arc<Self>) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let tls = Arc::clone(&self);
            let refreshed = tokio::task::spawn_blocking(move || tls.refresh()).await;
            if let Ok(Err(error)) = refreshed {
                tracing::warn!("the files of TLS have changed and can't be used: {error}");
            }
        }
    }

    fn refresh(&self) -> Result<(), TlsError> {
        let contents = self.files.read()?;
        if contents == self.current.read().unwrap_or_else(PoisonError::into_inner).0 {
            return Ok(());
        }
        let acceptor = self.files.acceptor(&contents)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = (contents, acceptor);
        tracing::info!("the files of TLS have changed: new connections use them");
        Ok(())
    }
}

impl Files {
    fn read(&self) -> Result<Contents, TlsError> {
        let read = |path: &PathBuf| fs::read(path).map_err(|cause| TlsError::of(path, cause));
        Ok(Contents {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            client_authority: self.client_authority.as_ref().map(read).transpose()?,
        })
    }

    fn acceptor(&self, contents: &Contents) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&self.certificate, &contents.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            // Not in the parser's words: they may quote the key.
            .map_err(|_| TlsError::of(&self.key, "it holds no private key in PEM"))?;
        let wrong = |cause: rustls::Error| TlsError::of(&self.certificate, cause);
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(wrong)?;
        let config = match self.client_authority.as_ref().zip(contents.client_authority.as_ref()) {
            None => config.with_no_client_auth(),
            Some((path, text)) => config.with_client_cert_verifier(verifier(path, text, provider)?),
        };
        let mut config = config.with_single_cert(chain, key).map_err(wrong)?;
        config.alpn_protocols = vec![HTTP2.to_vec()];
        if self.client_authority.is_some() {
            // A session that is resumed shows no certificate again: it might have expired meanwhile.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn verifier(
    path: &Path,
    text: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, text)? {
        roots.add(certificate).map_err(|cause| TlsError::of(path, cause))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|cause| TlsError::of(path, cause))
}

fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(TlsError::of(path, "it holds no certificate in PEM")),
    }
}
