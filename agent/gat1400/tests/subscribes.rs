//! The upper library subscribes, over real HTTP with Digest.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_auth::{PasswordClient, PasswordParams};
use kakou_gat1400::ids::DeviceId;
use kakou_gat1400::wire::SubscribeObject;
use kakou_gat1400::{Gate, Hosts, SubscriptionStore, router};
use kakou_guard::Secret;
use kakou_time::{SharedClock, SystemClock};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const UPPER: &str = "13010000005030000002";
const PATH: &str = "/VIID/Subscribes";

/// Outlives a restart of the gateway.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<BTreeMap<String, SubscribeObject>>>);

impl SubscriptionStore for Store {
    type Error = Infallible;

    async fn all(&self) -> Result<Vec<SubscribeObject>, Infallible> {
        Ok(self.0.lock().unwrap().values().cloned().collect())
    }

    async fn put(&self, object: SubscribeObject) -> Result<(), Infallible> {
        self.0
            .lock()
            .unwrap()
            .insert(object.subscribe_id.clone(), object);
        Ok(())
    }

    async fn remove(&self, id: &str) -> Result<bool, Infallible> {
        Ok(self.0.lock().unwrap().remove(id).is_some())
    }
}

struct Upper {
    client: reqwest::Client,
    base: String,
    password: &'static str,
    identify: &'static str,
}

/// Serves until the test ends.
async fn serve(store: Store) -> Upper {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let clock: SharedClock = Arc::new(SystemClock::new());
    let app = router(Gate {
        store,
        clock,
        upper: DeviceId::new("upper", UPPER).unwrap(),
        user: "upper".to_owned(),
        password: Secret::new("right"),
        hosts: Hosts::new("notify_hosts", &["10.1.2.3:8080".to_owned()]).unwrap(),
        most: 3,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Upper {
        client: reqwest::Client::new(),
        base,
        password: "right",
        identify: UPPER,
    }
}

impl Upper {
    async fn once(
        &self,
        method: &Method,
        path: &str,
        body: &str,
        login: Option<String>,
    ) -> reqwest::Response {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base))
            .header("User-Identify", self.identify)
            .body(body.to_owned());
        if let Some(login) = login {
            request = request.header("Authorization", login);
        }
        request.send().await.unwrap()
    }

    /// Answers the challenge, and gives the status and the body.
    async fn ask(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        let asked = self.once(&method, path, body, None).await;
        assert_eq!(asked.status(), StatusCode::UNAUTHORIZED);
        let challenge = asked.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .to_owned();
        let mut client = PasswordClient::builder()
            .challenges(&challenge)
            .build()
            .unwrap();
        let login = client
            .respond(&PasswordParams {
                username: "upper",
                password: self.password,
                uri: path,
                method: method.as_str(),
                body: None,
            })
            .unwrap();
        let answer = self.once(&method, path, body, Some(login)).await;
        let status = answer.status();
        assert_eq!(
            answer.headers()["content-type"],
            "application/VIID+JSON;charset=UTF-8"
        );
        let body = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        (status, body)
    }

    async fn list(&self, query: &str) -> Vec<String> {
        let (status, body) = self.ask(Method::GET, &format!("{PATH}{query}"), "").await;
        assert_eq!(status, StatusCode::OK);
        let all = body["SubscribeListObject"]["SubscribeObject"]
            .as_array()
            .unwrap();
        all.iter()
            .map(|o| o["SubscribeID"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn subscription(id: &str, address: &str) -> Value {
    json!({"SubscribeID": id, "Title": "过车", "SubscribeDetail": "13", "ResourceClass": "0",
        "ResourceURI": "13010000001210000001", "ApplicantName": "张", "ApplicantOrg": "市局",
        "BeginTime": "20310101000000", "EndTime": "20320101000000", "ReceiveAddr": address,
        "ReportInterval": "3", "OperateType": 0, "SubscribeStatus": 0})
}

fn body(all: &[Value]) -> String {
    json!({"SubscribeListObject": {"SubscribeObject": all}}).to_string()
}

const GOOD: &str = "http://10.1.2.3:8080/VIID/SubscribeNotifications";

/// Code and words of each status, by id.
fn statuses(body: &Value) -> Vec<(String, i64, String)> {
    let all = body["ResponseStatusListObject"]["ResponseStatusObject"]
        .as_array()
        .unwrap();
    all.iter()
        .map(|s| {
            assert_eq!(s["LocalTime"].as_str().unwrap().len(), 14);
            let text = |name: &str| s[name].as_str().unwrap_or_default().to_owned();
            (
                text("Id"),
                s["StatusCode"].as_i64().unwrap(),
                text("StatusString"),
            )
        })
        .collect()
}

#[tokio::test]
async fn subscriptions_are_made_listed_changed_and_removed() {
    let store = Store::default();
    let upper = serve(store.clone()).await;
    let all = [subscription("a1", GOOD), subscription("b2", GOOD)];
    let (status, answer) = upper.ask(Method::POST, PATH, &body(&all)).await;
    assert_eq!(status, StatusCode::OK);
    let ok = |id: &str| (id.to_owned(), 0, "OK".to_owned());
    assert_eq!(statuses(&answer), [ok("a1"), ok("b2")]);
    // A restart of the gateway loses none.
    let upper = serve(store.clone()).await;
    assert_eq!(upper.list("").await, ["a1", "b2"]);
    assert_eq!(upper.list("?SubscribeID=b2").await, ["b2"]);
    let mut cancelled = subscription("a1", GOOD);
    cancelled["OperateType"] = json!(1);
    let (_, answer) = upper.ask(Method::PUT, PATH, &body(&[cancelled])).await;
    assert_eq!(statuses(&answer), [ok("a1")]);
    assert_eq!(store.0.lock().unwrap()["a1"].operate_type, Some(1));
    let path = format!("{PATH}/b2");
    let (_, answer) = upper
        .ask(Method::PUT, &path, &body(&[subscription("a1", GOOD)]))
        .await;
    assert_eq!(statuses(&answer)[0].1, 8, "{answer}");
    let (_, answer) = upper.ask(Method::DELETE, &path, "").await;
    assert_eq!(statuses(&answer), [ok("b2")]);
    let (_, answer) = upper
        .ask(Method::DELETE, &format!("{PATH}?IDList=a1,b2"), "")
        .await;
    let told = statuses(&answer);
    assert_eq!((told[0].1, told[1].1), (0, 4), "{answer}");
    assert!(upper.list("").await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_and_the_others_are_kept() {
    let upper = serve(Store::default()).await;
    let mut faces = subscription("faces", GOOD);
    faces["SubscribeDetail"] = json!("12");
    let all = [
        subscription("a1", GOOD),
        subscription("evil", "http://10.1.2.4:8080/x"),
        faces,
        subscription("b2", GOOD),
        subscription("c3", GOOD),
        subscription("d4", GOOD),
    ];
    let (status, answer) = upper.ask(Method::POST, PATH, &body(&all)).await;
    assert_eq!(status, StatusCode::OK);
    let told = statuses(&answer);
    let codes: Vec<i64> = told.iter().map(|(_, code, _)| *code).collect();
    assert_eq!(codes, [0, 8, 8, 0, 0, 4], "{answer}");
    assert!(told[1].2.starts_with("ReceiveAddr: ") && told[2].2.starts_with("SubscribeDetail: "));
    assert_eq!(upper.list("").await, ["a1", "b2", "c3"]);
    for (given, code) in [("{", 7), ("{}", 7), (body(&[]).as_str(), 8)] {
        let (status, answer) = upper.ask(Method::POST, PATH, given).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(statuses(&answer)[0].1, code, "{given}");
    }
    let (status, _) = upper.ask(Method::PATCH, PATH, "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn only_the_upper_library_gets_in() {
    let store = Store::default();
    let mut upper = serve(store.clone()).await;
    upper.password = "wrong";
    let (status, _) = upper
        .ask(Method::POST, PATH, &body(&[subscription("a1", GOOD)]))
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    upper.password = "right";
    upper.identify = "13010000005030000009";
    let (status, _) = upper
        .ask(Method::POST, PATH, &body(&[subscription("a1", GOOD)]))
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(store.0.lock().unwrap().is_empty());
    // More than a body may have is not read.
    let large = "x".repeat((1 << 20) + 1);
    let answer = upper.once(&Method::POST, PATH, &large, None).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
