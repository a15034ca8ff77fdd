//! One connection: its TLS, and how long it may take. One that is slow costs its own place.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

const HANDSHAKE: Duration = Duration::from_secs(10);
/// From one request's end to the next one's whole head.
const HEAD: Duration = Duration::from_secs(30);
/// A client that takes nothing for this long is gone.
const WRITE: Duration = Duration::from_secs(20);

/// Where a request comes from: an extension of each.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// After a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers whoever comes, `most` at a time, until `until` is over. More are turned away. At the end
/// every connection is closed.
pub async fn accept(
    listener: TcpListener,
    most: usize,
    tls: Option<TlsAcceptor>,
    router: Router,
    until: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    tokio::pin!(until);
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = &mut until => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                // The process has no more files, or the client left already.
                tracing::debug!("a connection was not taken: {e}");
                tokio::time::sleep(PAUSE).await;
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

/// Answers until the client is gone, or too slow.
pub async fn serve_connection(
    stream: TcpStream,
    peer: IpAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
) {
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
