//! A TCP proxy with a delay each way and no limit of its own.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Returns the port it listens on.
pub async fn start(to: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            // Small packets are not to wait for each other: the delay is the path's alone.
            near.set_nodelay(true).unwrap();
            far.set_nodelay(true).unwrap();
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::spawn(one_way(near_read, far_write, delay));
            tokio::spawn(one_way(far_read, near_write, delay));
        }
    });
    port
}

async fn one_way(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, delay: Duration) {
    // As many chunks as are on their way; the windows of MQTT and TCP bound them.
    let (send, mut on_the_way) = mpsc::channel::<(Instant, Vec<u8>)>(100_000);
    tokio::spawn(async move {
        while let Some((due, chunk)) = on_the_way.recv().await {
            if !delay.is_zero() {
                tokio::time::sleep_until(due).await;
            }
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n) = from.read(&mut buffer).await {
        if n == 0 || send.send((Instant::now() + delay, buffer[..n].to_vec())).await.is_err() {
            return;
        }
    }
}
