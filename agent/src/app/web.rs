//! How the agent is, over HTTP: `/metrics` and `/health` on the address that the config names, and
//! `/status` on a socket in the state folder, for `kakou status`.
//!
//! Nobody can ask for anything to be done here, and nothing that is answered has a plate, a picture
//! or a secret in it. A client that is slow or that comes in crowds costs a few connections, each
//! for a few seconds.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use kakou_contract::{Health, StatusMessage};
use kakou_entry::metrics;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::metrics::figures;
use super::overview::Sources;
use super::settings::Settings;
use super::supervise::{Pulse, TaskPart};
use super::tally::CameraTally;

/// Connections at a time; more wait in the system's queue.
const CONNECTIONS: usize = 16;
/// A request and its answer take no longer.
const WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked whether the config names another address.
const LOOK: Duration = Duration::from_secs(1);
/// The socket's name in the state folder.
pub const SOCKET: &str = "status.sock";

/// What `/status` says: the status as the platform has it, and what only this box knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LocalStatus {
    pub status: StatusMessage,
    /// What is wrong, the worst first; empty: all is well.
    pub reasons: Vec<String>,
    /// How the way to the broker is.
    pub uplink: String,
    pub traffic: Vec<Traffic>,
}

/// What passed one camera since the agent started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    pub camera: String,
    pub passages: u64,
    /// Of them, those whose plate was read.
    pub read: u64,
    /// Each time a hit was told, provisional ones and ends alike.
    pub hits: u64,
    pub last_passage: Option<chrono::DateTime<chrono::FixedOffset>>,
    pub last_read: Option<chrono::DateTime<chrono::FixedOffset>>,
}

impl Traffic {
    fn of(camera: &str, tally: &CameraTally) -> Self {
        let lanes = tally.lanes.values();
        Self {
            camera: camera.to_owned(),
            passages: lanes.clone().map(|lane| lane.passages()).sum(),
            read: lanes.map(|lane| lane.read).sum(),
            hits: tally.hits.values().sum(),
            last_passage: tally.last_passage,
            last_read: tally.last_read,
        }
    }
}

/// What is answered, and to whom.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    /// The address of `[metrics] listen`.
    Address,
    /// The socket in the state folder.
    Socket,
}

/// Answers on the address that the config names, where it names one.
pub struct MetricsServer {
    pub sources: Sources,
    pub settings: Settings,
}

impl TaskPart for MetricsServer {
    async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
        loop {
            pulse.working();
            let Some(address) = self.settings.metrics().listen else {
                tokio::time::sleep(LOOK).await;
                continue;
            };
            let listener = listen(address).await?;
            tracing::info!(%address, "metrics and health are answered");
            let connections = Arc::new(Semaphore::new(CONNECTIONS));
            while self.settings.metrics().listen == Some(address) {
                pulse.working();
                let free = Arc::clone(&connections).acquire_owned().await?;
                // To look at the settings again now and then.
                let Ok(accepted) = timeout(LOOK, listener.accept()).await else {
                    continue;
                };
                let (stream, _) = accepted.with_context(|| format!("metrics: {address}"))?;
                serve(stream, self.sources.clone(), Door::Address, free);
            }
        }
    }
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("[metrics] listen: {address} cannot be opened; another program may have it, or it is no address of this box")
    })
}

/// Answers `kakou status`.
pub struct StatusServer {
    pub sources: Sources,
    pub state: PathBuf,
}

impl TaskPart for StatusServer {
    async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
        let path = self.state.join(SOCKET);
        let listener = socket(&path)?;
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            pulse.working();
            let free = Arc::clone(&connections).acquire_owned().await?;
            let Ok(accepted) = timeout(LOOK, listener.accept()).await else {
                continue;
            };
            let (stream, _) = accepted.with_context(|| path.display().to_string())?;
            serve(stream, self.sources.clone(), Door::Socket, free);
        }
    }
}

/// The state folder belongs to one agent, which holds its lock: a socket that lies there is of one
/// that has ended.
fn socket(path: &Path) -> anyhow::Result<UnixListener> {
    let told = || format!("{}: `kakou status` cannot ask here", path.display());
    if let Err(e) = std::fs::remove_file(path)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        return Err(e).with_context(told);
    }
    let listener = UnixListener::bind(path).with_context(told)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).with_context(told)?;
    Ok(listener)
}

/// Answers one connection, and leaves its place when that is done.
fn serve<S>(stream: S, sources: Sources, door: Door, place: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, &sources, door);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(WITHIN)
        .keep_alive(false)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::spawn(async move {
        match timeout(WITHIN, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::debug!("a client of the metrics: {e}"),
            Err(_) => tracing::debug!("a client of the metrics was too slow"),
        }
        drop(place);
    });
}

fn answer<B>(request: &Request<B>, sources: &Sources, door: Door) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    const JSON: &str = "application/json";
    let is_known = matches!(
        (door, request.uri().path()),
        (Door::Address, "/metrics" | "/health") | (Door::Socket, "/status" | "/metrics")
    );
    let (code, kind, body) = match (request.method(), request.uri().path()) {
        _ if !is_known => {
            let known = "there are /metrics and /health here\n".to_owned();
            (StatusCode::NOT_FOUND, TEXT, known)
        }
        (method, _) if *method != Method::GET && *method != Method::HEAD => {
            let known = "only GET is answered\n".to_owned();
            (StatusCode::METHOD_NOT_ALLOWED, TEXT, known)
        }
        (_, "/metrics") => (StatusCode::OK, metrics::CONTENT_TYPE, figures(sources)),
        (_, "/health") => {
            let (code, body) = health(sources);
            (code, JSON, body)
        }
        (_, _) => match serde_json::to_string(&local_status(sources)) {
            Ok(body) => (StatusCode::OK, JSON, body),
            Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, e.to_string()),
        },
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    let no_store = hyper::header::HeaderValue::from_static("no-store");
    headers.insert(CACHE_CONTROL, no_store);
    if code == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
    }
    response
}

/// 200 while passages are recorded, well or less well; 503 when none can be.
fn health(sources: &Sources) -> (StatusCode, String) {
    let overview = sources.look();
    let code = match overview.status.health {
        Health::Ok | Health::Degraded => StatusCode::OK,
        Health::Failed => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = json!({
        "health": overview.status.health,
        "reasons": overview.reasons(),
        "time": overview.status.time,
    });
    (code, format!("{body}\n"))
}

pub(super) fn local_status(sources: &Sources) -> LocalStatus {
    let overview = sources.look();
    let tallies = sources.tallies.all();
    let traffic = tallies.iter().map(|(id, t)| Traffic::of(id.as_str(), t));
    LocalStatus {
        reasons: overview.reasons(),
        uplink: overview.link.state.to_string(),
        traffic: traffic.collect(),
        status: overview.status,
    }
}
