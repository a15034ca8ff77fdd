//! Connections: TLS, how many, and how long they may take. One that is slow or that comes in crowds
//! costs its own place, and nothing of the cameras.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kakou_entry::serve_connection;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use crate::access::Users;
use crate::api::{self, App};
use crate::certificate::{Certificate, CertificateError, names};
use crate::checkpoint::Checkpoint;
use crate::hub::Hub;

/// Connections at a time, and of one address: fifty tablets behind one router have room.
const CONNECTIONS: usize = 320;
const OF_ONE_ADDRESS: usize = 192;
/// Those who came too many are told of once in this time.
const TELL: Duration = Duration::from_secs(60);
/// How often it is asked whether to go on.
const LOOK: Duration = Duration::from_secs(1);

/// Concerns the panel as a whole: it can be started again.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(
        "[panel] listen: {address} cannot be opened ({why}); another program may have it, or it is no address of this box"
    )]
    Listen { address: SocketAddr, why: String },
    #[error("[panel] {0}")]
    Certificate(#[from] CertificateError),
}

/// Where the page is answered, and by what certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    pub listen: SocketAddr,
    /// `None`: beyond loopback one is made and kept in `state`; on loopback there is no TLS.
    pub certificate: Option<Certificate>,
    pub state: PathBuf,
}

impl Panel {
    /// The certificate that is used; `None`: plain HTTP, which only loopback has.
    pub fn certificate(&self) -> Option<Certificate> {
        let own = || (!self.listen.ip().is_loopback()).then(|| Certificate::own(&self.state));
        self.certificate.clone().or_else(own)
    }
}

/// Answers until `go_on` says no; it is asked every second.
pub async fn serve(
    panel: &Panel,
    checkpoint: Arc<dyn Checkpoint>,
    hub: Hub,
    users: Arc<Users>,
    mut go_on: impl FnMut() -> bool,
) -> Result<(), ServerError> {
    let certificate = panel.certificate();
    let tls = match &certificate {
        None => None,
        Some(certificate) => {
            if *certificate == Certificate::own(&panel.state) {
                let hostname = rustix::system::uname();
                let hostname = hostname.nodename().to_str().ok();
                certificate.make_if_missing(&names(panel.listen.ip(), hostname))?;
            }
            Some(TlsAcceptor::from(certificate.server_config()?))
        }
    };
    let listener = TcpListener::bind(panel.listen)
        .await
        .map_err(|e| ServerError::Listen {
            address: panel.listen,
            why: e.to_string(),
        })?;
    tracing::info!(address = %panel.listen, tls = tls.is_some(), "the page is answered");
    let app = App::new(
        checkpoint,
        hub,
        users,
        tls.is_some(),
        panel.listen.ip().is_loopback(),
    );
    let router = api::router(Arc::new(app));
    let places = Places::default();
    // Dropped at the end, and with it every connection.
    let mut connections = JoinSet::new();
    while go_on() {
        while connections.try_join_next().is_some() {}
        let Ok(accepted) = timeout(LOOK, listener.accept()).await else {
            continue;
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                // The process has no more files, or the client left already.
                tracing::debug!("a connection of the page was not taken: {e}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(place) = places.take(peer.ip()) else {
            continue;
        };
        let (router, tls) = (router.clone(), tls.clone());
        connections.spawn(async move {
            serve_connection(stream, peer.ip(), tls, router).await;
            drop(place);
        });
    }
    Ok(())
}

type ByAddress = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// How many connections there are, in all and of each address.
struct Places {
    all: Arc<Semaphore>,
    by_address: ByAddress,
    refused: Mutex<(u64, Option<Instant>)>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(CONNECTIONS)),
            by_address: Arc::default(),
            refused: Mutex::default(),
        }
    }
}

struct Place {
    address: IpAddr,
    by_address: ByAddress,
    _of_all: OwnedSemaphorePermit,
}

impl Places {
    fn take(&self, address: IpAddr) -> Option<Place> {
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok();
        let mut by_address = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        if let Some(of_all) = of_all
            && *count < OF_ONE_ADDRESS
        {
            *count += 1;
            return Some(Place {
                address,
                by_address: Arc::clone(&self.by_address),
                _of_all: of_all,
            });
        }
        if *count == 0 {
            by_address.remove(&address);
        }
        self.refuse(address);
        None
    }

    fn refuse(&self, address: IpAddr) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.0 += 1;
        if refused.1.is_none_or(|told| told.elapsed() > TELL) {
            tracing::warn!(
                %address,
                connections = refused.0,
                "too many connections to the page; the last one came from here"
            );
            *refused = (0, Some(Instant::now()));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_address = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place() {
        let places = Places::default();
        let (one, other): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let taken: Vec<_> = (0..1000).filter_map(|_| places.take(one)).collect();
        assert_eq!(taken.len(), OF_ONE_ADDRESS);
        assert!(places.take(other).is_some());
        drop(taken);
        assert!(places.take(one).is_some());
        let left = places
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        assert!(left.is_empty(), "who has left is forgotten");
    }

    #[test]
    fn tls_is_left_out_on_loopback_alone() {
        let panel = |listen: &str| Panel {
            listen: listen.parse().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into()),
            certificate: None,
            state: "/s".into(),
        };
        assert!(panel("127.0.0.1:8480").certificate().is_none());
        assert!(panel("[::1]:8480").certificate().is_none());
        assert!(panel("0.0.0.0:8480").certificate().is_some());
        assert!(panel("10.0.0.5:8480").certificate().is_some());
    }
}
