//! A stand-in for an upper view library: a real server with Digest authentication of its own
//! making, that checks every field, and that fails as real ones do when it is told to.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::fields;

pub const USER: &str = "kakou";
pub const PASSWORD: &str = "a pass:word";
pub const DEVICE: &str = "13010000005030000001";

/// A fault that the next requests to push meet, in turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// 401 without a challenge, and the registration is forgotten.
    Forgotten,
    /// The vehicles are kept, and the connection is cut before the answer.
    CutAfter,
    /// 503, nothing is kept.
    Busy,
    /// 200 with a page in place of a status.
    Page,
    /// A redirect to another host.
    Redirect,
    /// The status of each object in turn; it keeps those with 0.
    Each(Vec<u32>),
    /// 413: none is kept.
    TooLarge,
    Fine,
}

#[derive(Default)]
pub struct Kept {
    /// By MotorVehicleID: the object, and how often it was sent.
    pub vehicles: HashMap<String, (Value, u32)>,
    pub registered: HashSet<String>,
    pub registrations: u32,
    pub unregistrations: u32,
    pub keepalives: u32,
    pub pushes: u32,
    pub notifications: Vec<Value>,
    /// What no library may see: an invalid object, a header that is wrong. The test fails.
    pub faults: Vec<String>,
    pub plan: Vec<Fault>,
    /// Refuses keep-alives with 500.
    pub ill: bool,
    /// Wants user and password with each request.
    pub always_asks: bool,
    /// Objects whose plate has this text get the code.
    pub by_plate: HashMap<String, u32>,
    nonces: HashMap<String, u32>,
    next_nonce: u32,
    /// The clock of the library, as yyyyMMddHHmmss.
    pub time: String,
}

#[derive(Clone, Default)]
pub struct Library(pub Arc<Mutex<Kept>>);

/// Runs until it is dropped.
pub struct Running {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    pub async fn stop(mut self) {
        drop(self.stop.take());
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Library {
    pub fn with<T>(&self, f: impl FnOnce(&mut Kept) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }

    /// On `address`, or on a free port.
    pub async fn start(&self, address: Option<SocketAddr>) -> Running {
        let wanted = address.unwrap_or_else(|| "127.0.0.1:0".parse().unwrap());
        let listener = loop {
            match TcpListener::bind(wanted).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        };
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(self.clone());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            tokio::select! {
                done = axum::serve(listener, app) => done.unwrap(),
                _ = stopped => {}
            }
        });
        Running {
            address,
            stop: Some(stop),
            task,
        }
    }
}

async fn answer(
    State(library): State<Library>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let (response, cut) = library.with(|kept| kept.answer(&method, &uri, &headers, &body));
    // The task of this connection ends here, so the connection is cut without an answer.
    assert!(!cut, "the connection is cut, as planned");
    response
}

fn reply(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn status(path: &str, code: u32, id: &str) -> Value {
    json!({"RequestURL": path, "StatusCode": code, "StatusString": format!("code {code}"), "Id": id,
        "LocalTime": "20310504081530"})
}

impl Kept {
    fn answer(
        &mut self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> (Response<Body>, bool) {
        let path = uri.path().to_owned();
        self.check_headers(method, &path, headers);
        let object = |name: &str| {
            let value: Value = serde_json::from_slice(body).unwrap_or_default();
            value[name]["DeviceID"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let fine = |id: &str| {
            (
                reply(200, &json!({"ResponseStatusObject": status(&path, 0, id)})),
                false,
            )
        };
        match (method.as_str(), path.as_str()) {
            ("POST", "/VIID/System/Register") => {
                if let Some(asked) = self.authenticate(method, uri, headers) {
                    return (asked, false);
                }
                let id = object("RegisterObject");
                self.registered.insert(id.clone());
                self.registrations += 1;
                fine(&id)
            }
            ("POST", "/VIID/System/UnRegister") => {
                if let Some(asked) = self.authenticate(method, uri, headers) {
                    return (asked, false);
                }
                let id = object("UnRegisterObject");
                if !self.registered.remove(&id) {
                    self.faults
                        .push(format!("{id} unregisters without being registered"));
                }
                self.unregistrations += 1;
                fine(&id)
            }
            ("POST", "/VIID/System/Keepalive") => {
                if self.ill {
                    return (reply(500, &json!({})), false);
                }
                if let Some(refused) = self.admit(method, uri, headers) {
                    return (refused, false);
                }
                self.keepalives += 1;
                fine(&object("KeepaliveObject"))
            }
            ("GET", "/VIID/System/Time") => {
                if let Some(refused) = self.admit(method, uri, headers) {
                    return (refused, false);
                }
                let time = json!({"SystemTimeObject": {"VIIDServerID": "13010000005030000002",
                    "TimeMode": "1", "LocalTime": self.time, "TimeZone": "+08:00"}});
                (reply(200, &time), false)
            }
            ("POST", "/VIID/MotorVehicles") => self.push(method, uri, headers, body),
            ("POST", "/told") => {
                let value: Value = serde_json::from_slice(body).unwrap();
                let all = &value["SubscribeNotificationListObject"]["SubscribeNotificationObject"];
                let id = all[0]["NotificationID"].as_str().unwrap().to_owned();
                self.notifications.push(value);
                fine(&id)
            }
            _ => {
                self.faults.push(format!("{method} {path} is not known"));
                (reply(404, &json!({})), false)
            }
        }
    }

    fn push(
        &mut self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> (Response<Body>, bool) {
        self.pushes += 1;
        let fault = if self.plan.is_empty() {
            Fault::Fine
        } else {
            self.plan.remove(0)
        };
        match fault {
            Fault::Forgotten => {
                self.registered.clear();
                return (reply(401, &json!({})), false);
            }
            Fault::Busy => return (reply(503, &json!({})), false),
            Fault::TooLarge => return (reply(413, &json!({})), false),
            Fault::Page => {
                return (Response::new(Body::from("<html>all is well</html>")), false);
            }
            Fault::Redirect => {
                let mut response = reply(307, &json!({}));
                let to = "http://127.0.0.1:9/VIID/MotorVehicles".parse().unwrap();
                response.headers_mut().insert(header::LOCATION, to);
                return (response, false);
            }
            Fault::Each(_) | Fault::CutAfter | Fault::Fine => {}
        }
        if let Some(refused) = self.admit(method, uri, headers) {
            return (refused, false);
        }
        let value: Value = serde_json::from_slice(body).unwrap();
        let all = value["MotorVehicleListObject"]["MotorVehicleObject"]
            .as_array()
            .unwrap();
        let mut codes = match &fault {
            Fault::Each(codes) => codes.clone(),
            _ => Vec::new(),
        };
        let mut statuses = Vec::new();
        for vehicle in all {
            let id = vehicle["MotorVehicleID"].as_str().unwrap_or_default();
            let by_plate = self
                .by_plate
                .get(vehicle["PlateNo"].as_str().unwrap_or_default());
            let mut code = by_plate.copied().unwrap_or(0);
            if let Some(planned) = (!codes.is_empty()).then(|| codes.remove(0)) {
                code = planned;
            }
            if let Some(what) = fields::fault(vehicle) {
                self.faults.push(what);
                code = 8;
            }
            if code == 0 {
                let (first, times) = self
                    .vehicles
                    .entry(id.to_owned())
                    .or_insert_with(|| (vehicle.clone(), 0));
                if first != vehicle {
                    self.faults
                        .push(format!("{id} came twice with different contents"));
                }
                *times += 1;
            }
            statuses.push(status(uri.path(), code, id));
        }
        // As it pleases the library.
        statuses.reverse();
        let body = json!({"ResponseStatusListObject": {"ResponseStatusObject": statuses}});
        (reply(200, &body), fault == Fault::CutAfter)
    }

    fn check_headers(&mut self, method: &Method, path: &str, headers: &HeaderMap) {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default()
        };
        if text("User-Identify") != DEVICE {
            self.faults
                .push(format!("{path}: User-Identify {:?}", text("User-Identify")));
        }
        if method != Method::GET && text("content-type") != "application/VIID+JSON;charset=UTF-8" {
            self.faults
                .push(format!("{path}: content type {:?}", text("content-type")));
        }
    }

    /// Only those that are registered; `None`: come in.
    fn admit(&mut self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Response<Body>> {
        let who = headers.get("User-Identify")?.to_str().ok()?;
        if !self.registered.contains(who) {
            return Some(reply(401, &json!({})));
        }
        if self.always_asks {
            return self.authenticate(method, uri, headers);
        }
        None
    }

    /// Digest by RFC 2617, MD5, qop=auth; a nonce is good for rising counts. `None`: come in.
    fn authenticate(
        &mut self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<Response<Body>> {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok());
        if given.is_some_and(|text| self.is_right(text, method, uri)) {
            return None;
        }
        self.next_nonce += 1;
        let nonce = hash(&format!("nonce {}", self.next_nonce));
        self.nonces.insert(nonce.clone(), 0);
        let mut response = reply(
            401,
            &json!({"ResponseStatusObject": status(uri.path(), 4, "")}),
        );
        let challenge =
            format!("Digest realm=\"viid\", qop=\"auth\", nonce=\"{nonce}\", opaque=\"\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge.parse().unwrap());
        Some(response)
    }

    fn is_right(&mut self, text: &str, method: &Method, uri: &Uri) -> bool {
        let Some(rest) = text.strip_prefix("Digest ") else {
            return false;
        };
        let fields: HashMap<&str, &str> = rest
            .split(", ")
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name, value.trim_matches('"')))
            .collect();
        let field = |name: &str| fields.get(name).copied().unwrap_or_default();
        let count = u32::from_str_radix(field("nc"), 16).unwrap_or(0);
        match self.nonces.get_mut(field("nonce")) {
            Some(last) if count > *last => *last = count,
            _ => return false,
        }
        let target = uri.path_and_query().unwrap().as_str();
        let a1 = hash(&format!("{USER}:viid:{PASSWORD}"));
        let a2 = hash(&format!("{method}:{target}"));
        let (nonce, nc, cnonce) = (field("nonce"), field("nc"), field("cnonce"));
        let right = hash(&format!("{a1}:{nonce}:{nc}:{cnonce}:auth:{a2}"));
        field("username") == USER && field("uri") == target && field("response") == right
    }
}

fn hash(text: &str) -> String {
    Md5::digest(text.as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
