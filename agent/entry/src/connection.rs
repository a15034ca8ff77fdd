//! One connection: its TLS, and how long it may take. One that is slow costs its own place.

use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
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
