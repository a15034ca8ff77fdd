//! The address at which the upper library sends its subscriptions. A client that is slow costs its
//! own place; one that stays for ever is thrown out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

use crate::here::listener;

const CONNECTIONS: usize = 64;
const HEAD: Duration = Duration::from_secs(30);
/// A client that sends or takes nothing for this long is gone.
const STILL: Duration = Duration::from_secs(60);
/// A connection is good for so long.
const LIFE: Duration = Duration::from_secs(600);

/// Never ends.
pub(super) async fn listen(address: SocketAddr, router: Router) {
    let listener = listener(address, "gat1400.subscriptions.listen").await;
    tracing::info!(%address, "subscriptions of the upper library are taken");
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Dropped at the end, and with it every connection.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, peer)) = listener.accept().await else {
            // The process has no more files, or the client left already.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::debug!(%peer, "too many connections");
            continue;
        };
        let router = router.clone();
        connections.spawn(async move {
            if tokio::time::timeout(LIFE, answer(stream, router))
                .await
                .is_err()
            {
                tracing::debug!(%peer, "a connection was there for long enough");
            }
            drop(place);
        });
    }
}

async fn answer(stream: TcpStream, router: Router) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_read_timeout(Some(STILL));
    stream.set_write_timeout(Some(STILL));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(64 << 10)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            TowerToHyperService::new(router),
        )
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a client of the subscriptions");
    }
}
