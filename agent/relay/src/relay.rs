//! One connection to a camera, from its start to its end: what the rest of the agent holds of it.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::fault::Fault;
use crate::target::{Parts, Target};
use crate::{BoxStream, http, rtsp};

/// How the pictures of a stream over HTTP follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picture {
    /// Each with a head of its own (`multipart/x-mixed-replace`).
    Parts,
    /// One JPEG after the other.
    Bare,
}

/// The camera answered: where ffmpeg gets its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// From this URL, at this port of this machine; one connection is taken, of our own user.
    Rtsp { url: String, port: u16 },
    /// From the pipe that is given to [`Relay::feed`].
    Http(Picture),
}

/// What the relay's thread and its owner share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    bytes: AtomicU64,
    fault: Mutex<Option<Fault>>,
}

impl Shared {
    /// Told before ffmpeg's end of the stream is closed, so that whoever sees that end finds out why.
    pub(crate) fn failed(&self, fault: &Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault.clone());
    }

    pub(crate) fn came(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

pub(crate) type Pipe = Box<dyn Write + Send>;
pub(crate) type Answer = SyncSender<Result<Opened, Fault>>;

/// Ends when dropped, in good order: a session of the camera is torn down first.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    opened: Mutex<Receiver<Result<Opened, Fault>>>,
    feed: mpsc::Sender<Pipe>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Begins to connect.
    pub fn start(target: Target) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = watch::channel(false);
        let (answer, opened) = sync_channel(1);
        let (feed, pipes) = mpsc::channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("camera-relay".into())
            .spawn(move || {
                let ended = runtime.block_on(run(&target, &theirs, &answer, pipes, stopped));
                if let Err(fault) = ended {
                    theirs.failed(&fault);
                    // Nobody may wait for it any more.
                    let _ = answer.try_send(Err(fault));
                }
            })?;
        Ok(Self {
            shared,
            stop,
            opened: Mutex::new(opened),
            feed,
            thread: Some(thread),
        })
    }

    /// Waits for the camera's answer. To be asked once.
    pub fn opened(&self) -> Result<Opened, Fault> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened
            .recv()
            .unwrap_or_else(|_| Err(Fault::broken("stopped")))
    }

    /// Where a stream over HTTP is written to.
    pub fn feed(&self, pipe: impl Write + Send + 'static) {
        // It fails when the relay has ended, which its fault tells.
        let _ = self.feed.try_send(Box::new(pipe));
    }

    /// Bytes of the camera so far.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Why it ended, if it did by itself.
    pub fn fault(&self) -> Option<Fault> {
        let fault = self.shared.fault.lock();
        fault.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins the end; does not wait for it.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // A panic in it has been told by its message.
            let _ = thread.join();
        }
    }
}

async fn run(
    target: &Target,
    shared: &Shared,
    answer: &Answer,
    pipes: mpsc::Receiver<Pipe>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Fault> {
    let parts = target
        .parts()
        .ok_or_else(|| Fault::broken("the URL of the camera cannot be read"))?;
    let is_rtsp = target.url.reveal().starts_with("rtsp");
    if is_rtsp {
        rtsp::run(target, &parts, shared, answer, &mut stopped).await
    } else {
        tokio::select! {
            ended = http::run(target, &parts, shared, answer, pipes) => ended,
            _ = stopped.wait_for(|stop| *stop) => Ok(()),
        }
    }
}

/// The connection, proven where it is TLS, and the camera's address.
pub(crate) async fn connect(
    target: &Target,
    parts: &Parts,
) -> Result<(BoxStream, Option<std::net::SocketAddr>), Fault> {
    let within = target.timeouts.connect;
    let late = |what: &str| {
        Fault::unreachable(format!(
            "{}: {what} within {:.0} s",
            parts.authority,
            within.as_secs_f32()
        ))
    };
    let dial = TcpStream::connect((parts.host.as_str(), parts.port));
    let tcp = tokio::time::timeout(within, dial)
        .await
        .map_err(|_| late("no connection"))?
        .map_err(|e| Fault::unreachable(format!("{}: {e}", parts.authority)))?;
    // Requests are small, and each waits for its answer.
    let _ = tcp.set_nodelay(true);
    let peer = tcp.peer_addr().ok();
    if !parts.tls {
        return Ok((Box::new(tcp), peer));
    }
    let checker = target.trust.checker()?;
    let name = ServerName::try_from(parts.host.clone())
        .map_err(|e| Fault::unreachable(format!("{}: {e}", parts.authority)))?;
    let connector = TlsConnector::from(Arc::new(checker.config()?));
    let tls = tokio::time::timeout(within, connector.connect(name, tcp))
        .await
        .map_err(|_| late("no answer to TLS"))?
        .map_err(|e| checker.fault(&e))?;
    Ok((Box::new(tls), peer))
}
