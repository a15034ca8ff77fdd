//! The panel with a checkpoint that is made up, and a client that says exactly what it is told to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use kakou_contract::{AuditEvent, HitMessage, Message};
use kakou_guard::Secret;
use kakou_panel::access::{Role, Users};
use kakou_panel::{
    Answer, Before, Camera, Checkpoint, Geometry, Hub, LogLine, Panel, PassageQuery, Passages,
    Quality, Refused, Report, Saved, Scene, serve,
};
use serde_json::{Value, json};
use uuid::Uuid;

pub const PASSWORD: &str = "long enough 1";

/// What was done to the box.
#[derive(Default)]
pub struct Done {
    pub answers: Mutex<Vec<Answer>>,
    pub audits: Mutex<Vec<AuditEvent>>,
    pub saves: Mutex<Vec<(String, String)>>,
    /// Nothing can be recorded.
    pub is_full: AtomicBool,
}

struct MadeUp {
    done: Arc<Done>,
    began: std::time::Instant,
}

fn nothing<T>() -> Result<T, Refused> {
    Err(Refused::NotFound("there is none here".into()))
}

impl Checkpoint for MadeUp {
    fn site(&self) -> String {
        "north".into()
    }
    fn agent(&self) -> String {
        "box-7".into()
    }
    fn version(&self) -> &'static str {
        "0"
    }
    fn now(&self) -> DateTime<FixedOffset> {
        hit(1).time
    }
    fn mono(&self) -> Duration {
        self.began.elapsed()
    }
    fn status(&self) -> Value {
        json!({ "reasons": [] })
    }
    fn cameras(&self) -> Vec<Camera> {
        Vec::new()
    }
    fn picture(&self, camera: &str, _: u32) -> Result<Bytes, Refused> {
        match camera {
            "entry" => Ok(Bytes::from_static(b"\xff\xd8picture")),
            _ => nothing(),
        }
    }
    fn scene(&self, _: &str, _: bool) -> Result<Scene, Refused> {
        nothing()
    }
    fn scene_picture(&self, _: &str, _: u64) -> Result<Bytes, Refused> {
        nothing()
    }
    fn geometry(&self, _: &str) -> Result<Geometry, Refused> {
        nothing()
    }
    fn save(&self, camera: &str, _: Geometry, by: &str) -> Result<Saved, Refused> {
        let mut saves = self.done.saves.lock().unwrap();
        saves.push((camera.to_owned(), by.to_owned()));
        Err(Refused::Conflict)
    }
    fn answer(&self, answer: Answer) -> Result<(), Refused> {
        self.done.answers.lock().unwrap().push(answer);
        Ok(())
    }
    fn hits_before(&self, _: usize) -> Vec<Before> {
        Vec::new()
    }
    fn passages(&self, _: &PassageQuery) -> Result<Passages, Refused> {
        Ok(Passages {
            passages: Vec::new(),
            next: None,
        })
    }
    fn evidence(&self, _: Uuid, _: &str, _: u64) -> Result<Bytes, Refused> {
        nothing()
    }
    fn quality(&self, _: u32) -> Result<Quality, Refused> {
        Ok(Quality { hours: Vec::new() })
    }
    fn report(&self, _: u32) -> Result<Report, Refused> {
        let first = kakou_contract::Sequence::new(3).unwrap();
        Ok((Bytes::from_static(b"a,b\r\n"), Some((first, first))))
    }
    fn log(&self, _: usize) -> Vec<LogLine> {
        Vec::new()
    }
    fn doctor(&self) -> Result<Value, Refused> {
        Ok(json!([]))
    }
    fn audit(&self, event: AuditEvent) -> Result<(), Refused> {
        if self.done.is_full.load(Ordering::Relaxed) {
            return Err(Refused::Failed("the disk is full".into()));
        }
        self.done.audits.lock().unwrap().push(event);
        Ok(())
    }
}

pub fn hit(n: u128) -> HitMessage {
    let mut hit =
        HitMessage::from_json(include_bytes!("../../../contract/golden/hit.json")).unwrap();
    hit.id = Uuid::from_u128(n);
    hit
}

/// A panel that is answered on a port of this machine.
pub struct Rig {
    pub address: SocketAddr,
    pub hub: Hub,
    pub users: Users,
    pub done: Arc<Done>,
    go_on: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

impl Rig {
    /// With one user of each role, who is called after it.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let users = Users::of(folder.path());
        for role in Role::ALL {
            let password = Secret::new(PASSWORD);
            users.put(role.as_str(), [role].into(), &password).unwrap();
        }
        let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let panel = Panel {
            listen: address,
            certificate: None,
            state: folder.path().into(),
        };
        let done = Arc::new(Done::default());
        let checkpoint = Arc::new(MadeUp {
            done: Arc::clone(&done),
            began: std::time::Instant::now(),
        });
        let hub = Hub::new(hit(1).time);
        hub.begin();
        let go_on = Arc::new(AtomicBool::new(true));
        let (goes_on, of_server) = (Arc::clone(&go_on), hub.clone());
        let known = Arc::new(Users::of(folder.path()));
        tokio::spawn(async move {
            let asked = || goes_on.load(Ordering::Relaxed);
            serve(&panel, checkpoint, of_server, known, asked)
                .await
                .unwrap();
        });
        while TcpStream::connect(address).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self {
            address,
            hub,
            users,
            done,
            go_on,
            _folder: folder,
        }
    }

    /// What is answered to exactly this head and body.
    pub fn say(&self, head: &str, body: &str) -> Told {
        let mut stream = self.open();
        let length = match body.is_empty() {
            true => String::new(),
            false => format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ),
        };
        write!(stream, "{head}\r\n{length}Connection: close\r\n\r\n{body}").unwrap();
        let mut bytes = Vec::new();
        // A server that refuses a body may close before it has read it.
        let _ = stream.read_to_end(&mut bytes);
        Told(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub fn open(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    pub fn login(&self, name: &str, password: &str) -> Told {
        let body = json!({ "name": name, "password": password }).to_string();
        self.say(&self.head("POST", "/api/v1/login"), &body)
    }

    /// A session of the user of this role.
    pub fn enter(&self, role: &str) -> Entered<'_> {
        let told = self.login(role, PASSWORD);
        assert_eq!(told.code(), 200, "{}", told.0);
        Entered {
            rig: self,
            cookie: told.cookie().unwrap(),
            csrf: told.json()["csrf"].as_str().unwrap().to_owned(),
        }
    }

    /// As a browser on the page itself sends it.
    pub fn head(&self, method: &str, path: &str) -> String {
        let address = self.address;
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nSec-Fetch-Site: same-origin")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.go_on.store(false, Ordering::Relaxed);
    }
}

pub struct Entered<'a> {
    pub rig: &'a Rig,
    pub cookie: String,
    pub csrf: String,
}

impl Entered<'_> {
    pub fn get(&self, path: &str) -> Told {
        let head = self.rig.head("GET", path);
        self.rig
            .say(&format!("{head}\r\nCookie: {}", self.cookie), "")
    }

    pub fn send(&self, method: &str, path: &str, body: &Value) -> Told {
        let head = self.rig.head(method, path);
        let (cookie, csrf) = (&self.cookie, &self.csrf);
        let head = format!("{head}\r\nCookie: {cookie}\r\nX-Kakou-Csrf: {csrf}");
        self.rig.say(&head, &body.to_string())
    }
}

/// An answer, as it came.
pub struct Told(pub String);

impl Told {
    pub fn code(&self) -> u16 {
        self.0
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.0.split("\r\n\r\n").next()?;
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(self.body()).unwrap_or_default()
    }

    /// The fault's code.
    pub fn fault(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Name and value of the cookie that was set.
    pub fn cookie(&self) -> Option<String> {
        let set = self.header("set-cookie")?;
        set.split(';').next().map(str::to_owned)
    }
}
