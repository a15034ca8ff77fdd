//! A TCP proxy on 127.0.0.1 that fails as its test says, or only delays. Benches use it too.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kakou_uplink::BrokerAddress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// What becomes of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    #[default]
    Open,
    /// They wait, as where packets are lost and sent again: a stream goes on without a hole when it
    /// is open again.
    Stall,
    /// They vanish, both ways, and so does every end of a connection. One that lost bytes stays
    /// dead.
    BlackHole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the broker.
    Up,
    Down,
}

/// What is constant for a proxy.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Link {
    /// Each way.
    pub(crate) delay: Duration,
    /// Bytes a second to the broker.
    pub(crate) rate: Option<u64>,
}

/// Where a new connection is cut: after so many bytes of a way.
type Cut = Box<dyn FnMut() -> Option<(Way, u64)> + Send>;

struct Inner {
    link: Link,
    to: u16,
    mode: watch::Sender<Mode>,
    /// Connections up to this one have lost the broker's side, and their own does not know.
    severed: watch::Sender<u64>,
    cut: Mutex<Cut>,
    connections: AtomicU64,
    up: AtomicU64,
    cuts: AtomicU64,
}

pub(crate) struct Proxy {
    inner: Arc<Inner>,
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub(crate) async fn start(to: u16, link: Link) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let inner = Arc::new(Inner {
            link,
            to,
            mode: watch::Sender::new(Mode::Open),
            severed: watch::Sender::new(0),
            cut: Mutex::new(Box::new(|| None)),
            connections: AtomicU64::new(0),
            up: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
        });
        let shared = Arc::clone(&inner);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
                let cut = (shared.cut.lock().expect("no panic in the plan"))();
                tokio::spawn(connection(Arc::clone(&shared), number, near, cut));
            }
        });
        Self { inner, port, task }
    }

    pub(crate) fn address(&self) -> BrokerAddress {
        BrokerAddress::new("127.0.0.1", self.port)
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.inner.mode.send_replace(mode);
    }

    /// The broker's side of every connection ends, and nobody tells the near one.
    pub(crate) fn sever(&self) {
        self.inner.severed.send_replace(self.connections());
    }

    /// Asked for each new connection.
    pub(crate) fn cut(&self, plan: impl FnMut() -> Option<(Way, u64)> + Send + 'static) {
        *self.inner.cut.lock().expect("no panic in the plan") = Box::new(plan);
    }

    pub(crate) fn connections(&self) -> u64 {
        self.inner.connections.load(Ordering::Relaxed)
    }

    /// How many connections were cut as planned.
    pub(crate) fn cuts(&self) -> u64 {
        self.inner.cuts.load(Ordering::Relaxed)
    }

    /// Bytes that came from the near side.
    pub(crate) fn up(&self) -> u64 {
        self.inner.up.load(Ordering::Relaxed)
    }
}

async fn connection(inner: Arc<Inner>, number: u64, mut near: TcpStream, cut: Option<(Way, u64)>) {
    let mut mode = inner.mode.subscribe();
    let mut severed = inner.severed.subscribe();
    // A network that is not there opens no connection either.
    let Ok(now) = mode
        .wait_for(|mode| *mode != Mode::Stall)
        .await
        .map(|now| *now)
    else {
        return;
    };
    if now == Mode::BlackHole {
        return swallow(&mut near).await;
    }
    let Ok(mut far) = TcpStream::connect((Ipv4Addr::LOCALHOST, inner.to)).await else {
        return;
    };
    // Small packets are not to wait for each other: the delay is the path's alone.
    let _ = near.set_nodelay(true);
    let _ = far.set_nodelay(true);
    let after = |way| cut.and_then(|(cut, bytes)| (cut == way).then_some(bytes));
    let end = {
        let (near_read, near_write) = near.split();
        let (far_read, far_write) = far.split();
        tokio::select! {
            end = pass(&inner, near_read, far_write, Way::Up, after(Way::Up)) => end,
            end = pass(&inner, far_read, near_write, Way::Down, after(Way::Down)) => end,
            _ = severed.wait_for(|to| *to >= number) => End::Severed,
        }
    };
    match end {
        End::Closed => {}
        End::Cut => {
            inner.cuts.fetch_add(1, Ordering::Relaxed);
        }
        End::Severed => {
            drop(far);
            swallow(&mut near).await;
        }
        End::Dead => {
            swallow(&mut near).await;
            // Nor does the broker learn that the agent gave up.
            drop(near);
            let _ = mode.wait_for(|mode| *mode == Mode::Open).await;
        }
    }
}

enum End {
    Closed,
    Cut,
    /// It met the black hole.
    Dead,
    Severed,
}

/// Until the near side gives up.
async fn swallow(near: &mut TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while near.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
}

async fn pass(
    inner: &Inner,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    way: Way,
    cut: Option<u64>,
) -> End {
    // As many chunks as are on their way; the windows of MQTT and TCP bound them.
    let (send, mut on_the_way) = mpsc::channel::<(Instant, Vec<u8>)>(100_000);
    // It takes `send` along, so that `writing` ends when all that was read is written.
    let reading = async move {
        let mut mode = inner.mode.subscribe();
        let mut passed = 0;
        let mut buffer = vec![0; 64 << 10];
        let mut free_at = Instant::now();
        loop {
            let read = tokio::select! {
                read = from.read(&mut buffer) => read,
                // Without a byte on its way too: an end would else be told.
                _ = mode.wait_for(|mode| *mode == Mode::BlackHole) => return End::Dead,
            };
            let Ok(n @ 1..) = read else {
                return End::Closed;
            };
            let Ok(now) = mode
                .wait_for(|mode| *mode != Mode::Stall)
                .await
                .map(|now| *now)
            else {
                return End::Closed;
            };
            if now == Mode::BlackHole {
                return End::Dead;
            }
            if way == Way::Up {
                inner.up.fetch_add(n as u64, Ordering::Relaxed);
                if let Some(rate) = inner.link.rate {
                    free_at = free_at.max(Instant::now())
                        + Duration::from_secs_f64(n as f64 / rate as f64);
                    tokio::time::sleep_until(free_at).await;
                }
            }
            let left = cut.map_or(u64::MAX, |cut| cut.saturating_sub(passed));
            passed += n as u64;
            let kept = n.min(usize::try_from(left).unwrap_or(usize::MAX));
            if send
                .send((Instant::now() + inner.link.delay, buffer[..kept].to_vec()))
                .await
                .is_err()
            {
                return End::Closed;
            }
            if kept < n || left == n as u64 {
                return End::Cut;
            }
        }
    };
    let writing = async {
        while let Some((due, chunk)) = on_the_way.recv().await {
            if !inner.link.delay.is_zero() {
                tokio::time::sleep_until(due).await;
            }
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing).0
}
