//! Connections: TLS, how many, and how long they may take. One that is slow costs its own place.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use kakou_guard::file::read_bounded;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower::ServiceExt as _;

use super::gate::Peer;
use super::{App, Options, router};

const CONNECTIONS: usize = 1024;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// From one request's end to the next one's whole head.
const HEAD: Duration = Duration::from_secs(30);
/// A client that takes nothing for this long is gone.
const WRITE: Duration = Duration::from_secs(20);
const LARGEST: u64 = 1 << 20;

/// Concerns the interface as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(
        "[api] listen: {address} cannot be opened ({why}); another program may have it, or it is no address of this machine"
    )]
    Listen { address: SocketAddr, why: String },
    #[error("[api] {file}: {why}")]
    Certificate { file: String, why: String },
    #[error(
        "[api] listen: {0} is reached by others, and there is no certificate; name `certificate` and `key`, or listen on 127.0.0.1 behind a proxy that ends TLS"
    )]
    Plain(SocketAddr),
}

/// Where it is answered, and by what certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    pub address: SocketAddr,
    /// Certificate chain and key, in PEM. Missing: plain HTTP, which only loopback has.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl Listen {
    /// What the gate has to know of it. `is_proxied`: a proxy on this machine ends TLS.
    pub fn options(&self, is_proxied: bool) -> Options {
        Options {
            is_tls: self.certificate.is_some(),
            is_loopback: self.address.ip().is_loopback(),
            is_proxied,
            ..Options::default()
        }
    }

    fn tls(&self) -> Result<Option<TlsAcceptor>, ServerError> {
        match &self.certificate {
            Some((chain, key)) => Ok(Some(TlsAcceptor::from(config(chain, key)?))),
            None if self.address.ip().is_loopback() => Ok(None),
            None => Err(ServerError::Plain(self.address)),
        }
    }
}

fn config(chain: &Path, key: &Path) -> Result<Arc<rustls::ServerConfig>, ServerError> {
    let fault = |file: &Path, why: String| ServerError::Certificate {
        file: file.display().to_string(),
        why,
    };
    let read = |path: &Path| read_bounded(path, LARGEST).map_err(|e| fault(path, e.to_string()));
    let none = |path: &Path, what: &str| fault(path, format!("no {what} in PEM"));
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&read(chain)?)
        .collect::<Result<_, _>>()
        .map_err(|_| none(chain, "certificate"))?;
    if certificates.is_empty() {
        return Err(none(chain, "certificate"));
    }
    let secret =
        PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| none(key, "private key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| fault(chain, e.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates, secret)
        .map_err(|e| {
            fault(
                chain,
                format!("it cannot be used with {}: {e}", key.display()),
            )
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Answers until `until` is over. `app` was made with the options of `listen`.
pub async fn serve(
    listen: &Listen,
    app: Arc<App>,
    until: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let tls = listen.tls()?;
    let listener = TcpListener::bind(listen.address)
        .await
        .map_err(|e| ServerError::Listen {
            address: listen.address,
            why: e.to_string(),
        })?;
    tracing::info!(address = %listen.address, tls = tls.is_some(), "the interface is answered");
    let router = router(Arc::clone(&app));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Dropped at the end, and with it every connection.
    let mut connections = JoinSet::new();
    connections.spawn(async move {
        app.listen().await;
    });
    tokio::pin!(until);
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = &mut until => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                // The process has no more files, or the client left already.
                tracing::debug!("a connection was not taken: {e}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::debug!(%peer, "too many connections");
            continue;
        };
        let (router, tls) = (router.clone(), tls.clone());
        connections.spawn(async move {
            connection(stream, peer.ip(), tls, router).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, peer: IpAddr, tls: Option<TlsAcceptor>, router: Router) {
    // Small events are to arrive at once.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE));
    let stream = Box::pin(stream);
    match tls {
        None => answer(stream, peer, router).await,
        Some(tls) => match timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => answer(stream, peer, router).await,
            Ok(Err(e)) => tracing::debug!(%peer, "no TLS with a client: {e}"),
            Err(_) => tracing::debug!(%peer, "a client was too slow"),
        },
    }
}

async fn answer<S>(stream: S, peer: IpAddr, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await;
    if let Err(e) = served {
        tracing::debug!(%peer, "a client: {e}");
    }
}
