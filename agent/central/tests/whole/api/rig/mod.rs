//! A centre with a database of its own, and a made-up world in it.

mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use bytes::Bytes;
use chrono::{DateTime, FixedOffset, TimeDelta};
use futures_util::future::BoxFuture;
use kakou_central::api::{App, Options, Peer, Pictures, Role, Users, router};
use kakou_central::scratch::ScratchPostgres;
use kakou_central::store::{Days, Store};
use kakou_guard::Secret;
use kakou_time::{Clock, SimulatedClock};
use serde_json::Value;
use tokio::sync::Mutex;
use tower::ServiceExt as _;

pub use world::{Place, Seen, questions};

pub const PASSWORD: &str = "long enough 1";
pub const PLATE: &str = "冀Z7K0T9";

/// Ends with the last test that uses it.
static SERVER: Mutex<Weak<ScratchPostgres>> = Mutex::const_new(Weak::new());
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// A database that nobody else uses.
async fn database() -> (Arc<ScratchPostgres>, String) {
    let mut shared = SERVER.lock().await;
    let server = match shared.upgrade() {
        Some(server) => server,
        None => {
            let server = Arc::new(ScratchPostgres::start().await.unwrap());
            *shared = Arc::downgrade(&server);
            server
        }
    };
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let store = Store::open(&server.url(), 2).unwrap();
    let client = store.client().await.unwrap();
    client
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let url = server
        .url()
        .replace("dbname=kakou", &format!("dbname={name}"));
    (server, url)
}

/// Pictures by key.
#[derive(Default)]
pub struct Shelf(pub std::sync::Mutex<std::collections::HashMap<String, Bytes>>);

impl Pictures for Shelf {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Bytes>> {
        let found = self.0.lock().unwrap().get(key).cloned();
        Box::pin(async move { found })
    }
}

pub struct Rig {
    pub app: Arc<App>,
    pub router: Router,
    pub store: Store,
    pub users: Users,
    pub clock: Arc<SimulatedClock>,
    pub shelf: Arc<Shelf>,
    days: Days,
    _server: Arc<ScratchPostgres>,
}

/// What was answered.
pub struct Told {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Told {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub fn rows(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()["rows"].as_array().unwrap().clone()
    }

    pub fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub fn field(&self) -> String {
        self.json()["error"]["field"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// Noon of a day in Asia/Shanghai.
pub fn noon() -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339("2031-05-04T12:00:00+08:00").unwrap()
}

pub fn after(seconds: i64) -> DateTime<FixedOffset> {
    noon() + TimeDelta::seconds(seconds)
}

/// A day around [`noon`], as a query has it.
pub const DAY: &str = "from=2031-05-04T00:00:00%2B08:00&to=2031-05-05T00:00:00%2B08:00";
pub const WHY: &str = "reason=case+31-0504";

impl Rig {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let (server, url) = database().await;
        let store = Store::open(&url, 8).unwrap();
        store.migrate().await.unwrap();
        let clock = Arc::new(SimulatedClock::new(
            noon() + TimeDelta::hours(20),
            Duration::from_secs(1000),
        ));
        let shelf = Arc::new(Shelf::default());
        let app = App::new(
            store.clone(),
            Arc::clone(&shelf) as Arc<dyn Pictures>,
            Arc::clone(&clock) as Arc<dyn Clock>,
            options,
        );
        let app = Arc::new(app);
        Self {
            router: router(Arc::clone(&app)),
            users: Users::of(store.clone()),
            app,
            store,
            clock,
            shelf,
            days: Days::default(),
            _server: server,
        }
    }

    pub async fn sql(&self, sql: &str) {
        let client = self.store.client().await.unwrap();
        client.batch_execute(sql).await.unwrap();
    }

    /// One value of one row, as a text.
    pub async fn one(&self, sql: &str) -> String {
        let client = self.store.client().await.unwrap();
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// A user with a token.
    pub async fn user(&self, name: &str, roles: &[Role], prefectures: Option<&[&str]>) -> String {
        let codes = prefectures.map(|codes| codes.iter().map(|c| (*c).to_owned()).collect());
        let roles = roles.iter().copied().collect();
        let password = Secret::new(PASSWORD);
        self.users.add(name, roles, codes, &password).await.unwrap();
        let token = self.users.token(name, "test", 30, self.clock.wall()).await;
        token.unwrap().0.reveal().to_owned()
    }

    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Told {
        // Nobody asks without a pause.
        self.clock.advance(Duration::from_secs(1));
        self.asked([10, 0, 0, 9], method, path, headers, body).await
    }

    pub async fn ask_from(&self, peer: [u8; 4], path: &str, headers: &[(&str, &str)]) -> Told {
        self.asked(peer, "GET", path, headers, None).await
    }

    pub async fn get_at_once(&self, token: &str, path: &str) -> Told {
        let bearer = format!("Bearer {token}");
        self.ask_from([10, 0, 0, 9], path, &[("authorization", &bearer)])
            .await
    }

    async fn asked(
        &self,
        peer: [u8; 4],
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Told {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("host", "localhost")
            .extension(Peer(peer.into()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let response = self
            .router
            .clone()
            .oneshot(request.body(body).unwrap())
            .await;
        let response = response.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 24).await.unwrap();
        Told {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    pub async fn get(&self, token: &str, path: &str) -> Told {
        let bearer = format!("Bearer {token}");
        self.ask("GET", path, &[("authorization", &bearer)], None)
            .await
    }

    pub async fn send(&self, token: &str, method: &str, path: &str, body: Value) -> Told {
        let bearer = format!("Bearer {token}");
        self.ask(method, path, &[("authorization", &bearer)], Some(body))
            .await
    }

    /// All rows, page by page, `limit` at a time.
    pub async fn pages(&self, token: &str, path: &str, limit: usize) -> Vec<Value> {
        let mark = if path.contains('?') { '&' } else { '?' };
        let mut rows = Vec::new();
        let mut next = String::new();
        loop {
            let told = self
                .get(token, &format!("{path}{mark}limit={limit}{next}"))
                .await;
            let page = told.rows();
            assert!(page.len() <= limit);
            rows.extend(page);
            match told.json()["next"].as_str() {
                Some(after) => next = format!("&after={after}"),
                None => return rows,
            }
            assert!(rows.len() < 10_000, "pages without an end");
        }
    }
}
