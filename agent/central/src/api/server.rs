//! Connections: TLS, how many, and how long they may take. One that is slow costs its own place.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kakou_entry::identity::{IdentityError, server_config};
use kakou_entry::serve_connection;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
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
            serve_connection(stream, peer.ip(), tls, router).await;
            drop(place);
        });
    }
}
