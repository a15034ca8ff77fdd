//! Connections: TLS, how many, and how long they may take. One that is slow costs its own place.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use kakou_entry::accept;
use kakou_entry::identity::{IdentityError, server_config};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{App, Options, router};

const CONNECTIONS: usize = 1024;

/// Concerns the interface as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(
        "[api] listen: {address} cannot be opened ({why}); another program may have it, or it is no address of this machine"
    )]
    Listen { address: SocketAddr, why: String },
    #[error("[api] {0}")]
    Certificate(#[from] IdentityError),
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
            Some((chain, key)) => Ok(Some(TlsAcceptor::from(server_config(chain, key)?))),
            None if self.address.ip().is_loopback() => Ok(None),
            None => Err(ServerError::Plain(self.address)),
        }
    }
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
    tokio::select! {
        () = accept(listener, CONNECTIONS, tls, router, until) => Ok(()),
        never = app.listen() => match never {},
    }
}
