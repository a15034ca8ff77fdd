//! Hits as they come, and the server on real connections.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use futures_util::StreamExt as _;
use kakou_central::api::{CHANNEL, Listen, Options, Peer, Role, ServerError, serve};
use kakou_contract::HitState;
use tower::ServiceExt as _;

use crate::api::rig::{Rig, after};

const PATIENCE: Duration = Duration::from_secs(60);

struct Stream {
    body: BodyDataStream,
    text: String,
}

impl Stream {
    async fn open(rig: &Rig, token: &str, last: Option<&str>) -> Self {
        let mut request = Request::get("/api/v1/hits/live")
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"))
            .extension(Peer([10, 0, 0, 9].into()));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Body::empty()).unwrap();
        let told = rig.router.clone().oneshot(request).await.unwrap();
        assert_eq!(told.status(), 200);
        let body = told.into_body().into_data_stream();
        Self {
            body,
            text: String::new(),
        }
    }

    /// Reads until this was sent; `false`: the stream ended.
    async fn has(&mut self, what: &str) -> bool {
        let read = async {
            while !self.text.contains(what) {
                match self.body.next().await {
                    Some(Ok(bytes)) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
                    _ => return false,
                }
            }
            true
        };
        let found = tokio::time::timeout(PATIENCE, read).await;
        found.unwrap_or_else(|_| panic!("no {what} in {}", self.text))
    }
}

async fn hit(rig: &Rig, site: &str, seconds: i64) -> String {
    let at = after(seconds);
    let event = rig
        .hit(site, kakou_contract::live_id(at), HitState::Confirmed, at)
        .await;
    rig.sql(&format!("NOTIFY {CHANNEL}, '{event}'")).await;
    event
}

async fn is_listening(rig: &Rig) {
    let many = format!(
        "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()
         AND query = 'LISTEN \"{CHANNEL}\"'"
    );
    let wait = async {
        while rig.one(&many).await == "0" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}

#[tokio::test]
async fn a_hit_comes_at_once_to_who_may_see_it() {
    let rig = Rig::new().await;
    rig.site("site-a", "130600", 115.4, 38.9).await;
    rig.site("site-b", "130700", 114.9, 40.8).await;
    let app = rig.app.clone();
    let listening = tokio::spawn(async move {
        app.listen().await;
    });
    is_listening(&rig).await;
    let all = rig.user("all", &[Role::Viewer], None).await;
    let of_a = rig.user("a", &[Role::Viewer], Some(&["130600"])).await;
    let mut everything = Stream::open(&rig, &all, None).await;
    let mut limited = Stream::open(&rig, &of_a, None).await;
    let b = hit(&rig, "site-b", 1).await;
    let a = hit(&rig, "site-a", 2).await;
    assert!(everything.has(&a).await && limited.has(&a).await);
    assert!(everything.text.contains(&b) && !limited.text.contains(&b));
    assert!(everything.text.contains("event: hit"));

    // Whoever lost the connection hears what came meanwhile.
    let mark = everything
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .next_back();
    let mark = mark.unwrap().to_owned();
    drop(everything);
    let c = hit(&rig, "site-b", 3).await;
    let mut again = Stream::open(&rig, &all, Some(&mark)).await;
    assert!(again.has(&c).await);
    let mut other = Stream::open(&rig, &of_a, Some(&mark)).await;
    assert!(other.has(&a).await && !other.text.contains(&c));
    let mut rough = Stream::open(&rig, &all, Some("'; DROP TABLE hits")).await;
    assert!(rough.has("event: reset").await);

    // The database ends the connection that listens: who watches is told, and it goes on.
    let mut watching = Stream::open(&rig, &all, None).await;
    rig.sql(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND query = 'LISTEN \"{CHANNEL}\"'"
    ))
    .await;
    assert!(watching.has("event: reset").await);
    is_listening(&rig).await;
    let d = hit(&rig, "site-a", 4).await;
    assert!(watching.has(&d).await);

    // Whoever may not any more is let go.
    rig.users.remove("all").await.unwrap();
    assert!(!watching.has("never").await);
    listening.abort();
}

async fn free() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

async fn health(client: &reqwest::Client, url: &str) -> String {
    let wait = async {
        loop {
            if let Ok(told) = client.get(url).send().await {
                return told.text().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap()
}

#[tokio::test]
async fn it_is_answered_plainly_on_loopback_and_by_tls_with_a_certificate() {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    for certificate in [None, Some((chain, key.clone()))] {
        let is_tls = certificate.is_some();
        let rig = Rig::with(Options {
            is_tls,
            ..Options::default()
        })
        .await;
        let listen = Listen {
            address: free().await,
            certificate,
        };
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let (app, at) = (rig.app.clone(), listen.clone());
        let served = tokio::spawn(async move {
            serve(&at, app, async {
                let _ = ended.await;
            })
            .await
        });
        let scheme = if is_tls { "https" } else { "http" };
        let port = listen.address.port();
        let told = health(
            &client,
            &format!("{scheme}://localhost:{port}/api/v1/health"),
        )
        .await;
        assert_eq!(told, r#"{"status":"ok"}"#);
        end.send(()).unwrap();
        served.await.unwrap().unwrap();
    }
    let rig = Rig::new().await;
    let open = Listen {
        address: ([0, 0, 0, 0], 0).into(),
        certificate: None,
    };
    let refused = serve(&open, rig.app.clone(), std::future::pending()).await;
    assert!(matches!(refused, Err(ServerError::Plain(_))), "{refused:?}");
    let none = Listen {
        address: free().await,
        certificate: Some((key.clone(), key)),
    };
    let refused = serve(&none, rig.app.clone(), std::future::pending()).await;
    assert!(
        matches!(refused, Err(ServerError::Certificate { .. })),
        "{refused:?}"
    );
}
