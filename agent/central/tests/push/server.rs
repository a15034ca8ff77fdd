//! A recipient's HTTP server that answers as a test tells it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use kakou_time::Stopwatch;
use serde_json::Value;
use tokio::task::JoinHandle;

#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Since the server started.
    pub(crate) at: Duration,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What it does: waits, and answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) wait: Duration,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl From<u16> for Reply {
    fn from(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// `answer` gets the request, and how many came before it.
    pub(crate) async fn start<R: Into<Reply>>(
        answer: impl Fn(&Got, usize) -> R + Send + Sync + 'static,
    ) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_at(any, answer).await
    }

    pub(crate) async fn start_at<R: Into<Reply>>(
        address: SocketAddr,
        answer: impl Fn(&Got, usize) -> R + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (got.clone(), Arc::new(answer));
        let since = Stopwatch::start();
        let handler = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let request = Got {
                path: uri.path().to_owned(),
                headers,
                body,
                at: since.elapsed(),
            };
            let before = {
                let mut log = log.lock().unwrap();
                log.push(request.clone());
                log.len() - 1
            };
            let reply: Reply = answer(&request, before).into();
            respond(reply)
        };
        let app = axum::Router::new().fallback(handler);
        let task = tokio::spawn(async move {
            axum::serve(listener, app).await.unwrap();
        });
        Self { address, got, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hits?token=T0KEN", self.address)
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.got().iter().map(|it| it.id().to_owned()).collect()
    }
}

async fn respond(reply: Reply) -> Response {
    tokio::time::sleep(reply.wait).await;
    let status = StatusCode::from_u16(reply.status).unwrap();
    let mut response = (status, reply.body).into_response();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
