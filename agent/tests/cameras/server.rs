//! The cameras of the tests: `server.py` as a child process, on free ports of 127.0.0.1.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

pub(crate) const USER: &str = "kakou";
/// Looked for in everything that others can read.
pub(crate) const PASSWORD: &str = "Kj7-streng:geheim@9";

pub(crate) struct Cameras {
    child: Option<Running>,
    /// Port without a password, port with one, port of HTTP; 0 until the first start.
    ports: [u16; 3],
    /// The orders that made the mounts; a server that was killed gets them again.
    mounts: Vec<Value>,
}

struct Running {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What a mount tells of itself.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Stats {
    /// Clients that came to see something, since the server's start.
    pub(crate) plays: u64,
    #[serde(default)]
    pub(crate) viewers: u64,
    #[serde(default)]
    pub(crate) loops: u64,
    /// When the clip began anew, in seconds since 1970.
    #[serde(default)]
    pub(crate) loop_began: Option<f64>,
}

impl Cameras {
    pub(crate) fn start() -> Self {
        let mut cameras = Self {
            child: None,
            ports: [0; 3],
            mounts: Vec::new(),
        };
        cameras.restart();
        cameras
    }

    /// As if the camera's power was cut: nobody is told.
    pub(crate) fn kill(&mut self) {
        if let Some(mut running) = self.child.take() {
            running.child.kill().expect("server.py can be killed");
            running.child.wait().expect("the end of server.py");
        }
    }

    /// The same cameras on the same ports.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cameras/server.py");
        // Debian's own Python: it has GStreamer's bindings.
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .args(self.ports.map(|p| p.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need /usr/bin/python3: apt-get install python3");
        let orders = child.stdin.take().expect("its stdin");
        let answers = BufReader::new(child.stdout.take().expect("its stdout"));
        let mut running = Running {
            child,
            orders,
            answers,
        };
        let first = running
            .line()
            .expect("server.py starts: `make tools-test` installs what it needs");
        self.ports = ["open", "guarded", "http"]
            .map(|p| u16::try_from(first[p].as_u64().expect("a port")).expect("it"));
        self.child = Some(running);
        for mount in self.mounts.clone() {
            self.order(&mount);
        }
    }

    /// The answer, which must be good.
    #[track_caller]
    pub(crate) fn order(&mut self, order: &Value) -> Value {
        let running = self.child.as_mut().expect("the server runs");
        writeln!(running.orders, "{order}").expect("server.py takes orders");
        let answer = running.line().expect("server.py answers");
        assert_eq!(answer["ok"], true, "{order}: {answer}");
        answer
    }

    fn make(&mut self, order: Value) {
        self.order(&order);
        self.mounts.push(order);
    }

    /// A camera at `path` with these clips, the first one shown.
    pub(crate) fn mount(&mut self, path: &str, clips: &[(&str, &Path)]) {
        self.make(json!({"do": "mount", "path": path, "clips": named(clips), "show": clips[0].0}));
    }

    /// The same behind [`USER`] and [`PASSWORD`].
    pub(crate) fn mount_guarded(&mut self, path: &str, clips: &[(&str, &Path)]) {
        let clips_of = named(clips);
        let (show, user, password) = (clips[0].0, USER, PASSWORD);
        let order = json!({"do": "mount", "path": path, "clips": clips_of, "show": show, "user": user, "password": password});
        self.make(order);
    }

    /// Describes itself, and then sends nothing.
    pub(crate) fn mount_silent(&mut self, path: &str, clip: &Path) {
        self.make(json!({"do": "mount", "path": path, "clips": {"scene": clip}, "kind": "silent"}));
    }

    /// Shows the time of its pictures ([`super::clock`]).
    pub(crate) fn mount_clock(&mut self, path: &str, fps: u32) {
        self.make(json!({"do": "mount", "path": path, "kind": "clock", "fps": fps}));
    }

    /// MJPEG over HTTP, of these sequences of JPEG files.
    pub(crate) fn mount_mjpeg(&mut self, path: &str, clips: &[(&str, Vec<PathBuf>)], fps: u32) {
        let show = clips[0].0;
        let clips: Map<String, Value> = clips
            .iter()
            .map(|(name, files)| ((*name).to_owned(), json!(files)))
            .collect();
        self.make(json!({"do": "mjpeg", "path": path, "clips": clips, "show": show, "fps": fps}));
    }

    /// `"pause"`, `"resume"`, `"rewind"`.
    pub(crate) fn tell(&mut self, path: &str, what: &str) {
        self.order(&json!({"do": what, "path": path}));
    }

    /// Another clip, from its beginning. Gives when it began.
    #[track_caller]
    pub(crate) fn show(&mut self, path: &str, clip: &str) -> DateTime<Utc> {
        let before = self.stats(path).loop_began;
        self.order(&json!({"do": "show", "path": path, "clip": clip}));
        let limit = Instant::now() + Duration::from_secs(20);
        loop {
            let now = self.stats(path).loop_began;
            if now > before {
                let micros = now.unwrap_or_default() * 1e6;
                return DateTime::from_timestamp_micros(micros as i64).expect("a time");
            }
            assert!(Instant::now() < limit, "{path} does not show {clip}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// `kind`: `"flip"` for wrong bytes inside the pictures, `"noise"` for nothing but noise.
    pub(crate) fn garbage(&mut self, path: &str, seconds: f64, kind: &str) {
        self.order(&json!({"do": "garbage", "path": path, "seconds": seconds, "kind": kind}));
    }

    /// Closes every connection.
    pub(crate) fn drop_clients(&mut self) {
        self.order(&json!({"do": "drop"}));
    }

    pub(crate) fn stats(&mut self, path: &str) -> Stats {
        serde_json::from_value(self.order(&json!({"do": "stats", "path": path})))
            .expect("what server.py tells")
    }

    /// Waits until somebody watches.
    #[track_caller]
    pub(crate) fn watched(&mut self, path: &str, limit: Duration) {
        let until = Instant::now() + limit;
        while self.stats(path).plays == 0 {
            assert!(
                Instant::now() < until,
                "nobody came to watch {path} within {limit:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}{path}", self.ports[0])
    }

    pub(crate) fn guarded_url(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}{path}", self.ports[1])
    }

    pub(crate) fn http_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports[2])
    }
}

fn named(clips: &[(&str, &Path)]) -> Map<String, Value> {
    clips
        .iter()
        .map(|(name, file)| ((*name).to_owned(), json!(file)))
        .collect()
}

impl Running {
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }
}

impl Drop for Cameras {
    fn drop(&mut self) {
        if let Some(mut running) = self.child.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}
