//! A live camera, decoded by an ffmpeg child process: a decoder that crashes takes nobody with it.
//!
//! One connection: `start` begins it, `next` gives the newest frame there is, and when it ends it says why. Who wants
//! the camera back starts another one. One thread reads the pixels into a slot for one frame: a newer frame takes the place of
//! one that nobody took, which is counted. Another reads ffmpeg's log: each frame's time, size and coding.
//!
//! The child learns its URL from its stdin, as a playlist: user and password stand on no command line, which every user of the box
//! could read. It is started by `setpriv --pdeathsig`, so that the kernel ends it with the thread that started it,
//! however the agent ends.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::ffmpeg::{self, Info, Line, StreamInfo, program};
use super::planes::{Coding, Planes};
use super::{CameraAddress, Protocol, Stamper};

/// The last complaints of ffmpeg that a fault repeats.
const COMPLAINTS: usize = 3;
/// A network that gives nothing for so long is given up by ffmpeg itself.
const NETWORK_S: u64 = 10;
/// Fewer and larger reads; more than the kernel allows is not an error.
const PIPE: usize = 1 << 20;
/// Beyond this a size is a damaged log line or a stream that would eat the memory.
const LARGEST_SIDE: u32 = 16_384;

/// How RTSP brings the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    #[default]
    Tcp,
    Udp,
}

/// What decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decoder {
    #[default]
    Software,
    Vaapi,
    Qsv,
    Cuda,
    V4l2m2m,
    Rkmpp,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LiveConfig {
    pub address: CameraAddress,
    pub user: Option<String>,
    /// Read at each connection, so that a changed password needs no restart.
    pub password_file: Option<PathBuf>,
    pub transport: Transport,
    pub decoder: Decoder,
    /// `h264` or `hevc`: `v4l2m2m` and `rkmpp` have a decoder for each.
    pub codec: String,
    /// Further arguments of ffmpeg, before its input.
    pub ffmpeg_args: Vec<String>,
    /// Frames a second that are taken; the decoder's side drops the rest.
    pub rate: Option<f32>,
    /// What camera and network hold a frame up at least.
    pub latency: Duration,
}

impl LiveConfig {
    pub fn new(address: CameraAddress) -> Self {
        Self {
            address,
            user: None,
            password_file: None,
            transport: Transport::default(),
            decoder: Decoder::default(),
            codec: "h264".to_owned(),
            ffmpeg_args: Vec::new(),
            rate: None,
            latency: Duration::ZERO,
        }
    }

    fn login(&self) -> Result<Option<(String, String)>, Fault> {
        let known = self.address.login().cloned();
        let user = self
            .user
            .clone()
            .or_else(|| known.as_ref().map(|l| l.0.clone()));
        let Some(user) = user else { return Ok(None) };
        let password = match &self.password_file {
            None => known.map(|l| l.1).unwrap_or_default(),
            Some(file) => std::fs::read_to_string(file)
                .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|e| {
                    Fault::new(FaultKind::Unauthorised, format!("{}: {e}", file.display()))
                })?,
        };
        Ok(Some((user, password)))
    }

    /// The arguments of ffmpeg. Nothing secret is among them.
    fn arguments(&self) -> Vec<String> {
        let mut args: Vec<String> = [
            "-nostdin",
            "-hide_banner",
            "-nostats",
            "-loglevel",
            "level+info",
            "-threads",
            "1",
        ]
        .map(str::to_owned)
        .to_vec();
        let mut add = |more: &[&str]| args.extend(more.iter().map(|a| (*a).to_owned()));
        let v4l2m2m = format!("{}_v4l2m2m", self.codec);
        let rkmpp = format!("{}_rkmpp", self.codec);
        match self.decoder {
            Decoder::Software => {}
            Decoder::Vaapi => add(&["-hwaccel", "vaapi", "-hwaccel_output_format", "vaapi"]),
            Decoder::Qsv => add(&["-hwaccel", "qsv", "-hwaccel_output_format", "qsv"]),
            Decoder::Cuda => add(&["-hwaccel", "cuda", "-hwaccel_output_format", "cuda"]),
            Decoder::V4l2m2m => add(&["-c:v", &v4l2m2m]),
            Decoder::Rkmpp => add(&["-c:v", &rkmpp]),
        }
        add(&["-fflags", "nobuffer", "-flags", "low_delay"]);
        add(&self
            .ffmpeg_args
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>());
        match self.address.device() {
            Some(device) => add(&["-f", "v4l2", "-i", &device.display().to_string()]),
            None => add(&[
                "-protocol_whitelist",
                "file,pipe,fd,tcp,udp,rtp,rtsp,rtsps,tls,http,https,crypto",
                "-safe",
                "0",
                "-f",
                "concat",
                "-i",
                "pipe:0",
            ]),
        }
        let mut filter = String::new();
        if let Some(rate) = self.rate {
            // A frame is taken if it comes no more than a tenth of a step too early; one without a time, or with one before
            // the last, says nothing of the rate.
            filter += &format!(
                "select='isnan(t)+isnan(prev_selected_t)+lt(t,prev_selected_t)+gte(t-prev_selected_t,{:.4})',",
                0.9 / rate
            );
        }
        filter += match self.decoder {
            Decoder::Vaapi | Decoder::Qsv | Decoder::Cuda => "hwdownload,format=nv12,",
            // What the decoder gives anyway is taken as it is.
            _ => "format=yuv420p|yuvj420p|nv12,",
        };
        filter += "showinfo=checksum=0";
        add(&[
            "-map",
            "0:v:0",
            "-an",
            "-sn",
            "-dn",
            "-vf",
            &filter,
            "-fps_mode",
            "passthrough",
            "-autoscale",
            "0",
        ]);
        add(&["-f", "rawvideo", "pipe:1"]);
        args
    }

    /// What ffmpeg reads from its stdin.
    fn playlist(&self, login: Option<&(String, String)>) -> String {
        let quoted = self.address.secret_url(login).replace('\'', "'\\''");
        let mut list = format!("ffconcat version 1.0\nfile '{quoted}'\n");
        match self.address.protocol() {
            Protocol::Rtsp => {
                let transport = if self.transport == Transport::Tcp {
                    "tcp"
                } else {
                    "udp"
                };
                list += &format!(
                    "option rtsp_transport {transport}\noption allowed_media_types video\n"
                );
                list += &format!("option timeout {}\n", NETWORK_S * 1_000_000);
                // Enough to learn the size; a frame rate is not waited for.
                list += "option fflags nobuffer\noption analyzeduration 1000000\noption fpsprobesize 0\n";
            }
            Protocol::Http => list += &format!("option timeout {}\n", NETWORK_S * 1_000_000),
            Protocol::V4l2 => {}
        }
        list
    }
}

/// How a connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// User or password are wrong.
    Unauthorised,
    /// Nobody answers, or there is no such stream.
    Unreachable,
    /// It answered, and what came can be no stream, or ended.
    Broken,
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    pub kind: FaultKind,
    /// Without anything secret.
    pub text: String,
}

impl Fault {
    fn new(kind: FaultKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// `said`: what ffmpeg complained of; `frames`: how many it gave before.
    fn of(said: &str, frames: u64) -> Self {
        let any = |words: &[&str]| words.iter().any(|w| said.contains(w));
        let kind = if any(&[
            " 401 ",
            " 403 ",
            "Unauthorized",
            "authorization failed",
            "Forbidden",
        ]) {
            FaultKind::Unauthorised
        } else if frames == 0
            && any(&[
                "refused",
                "timed out",
                "No route",
                "unreachable",
                "resolve",
                "Not Found",
                "No such file",
                "No such device",
                "Input/output error",
            ])
        {
            FaultKind::Unreachable
        } else {
            FaultKind::Broken
        };
        let text = match (said.is_empty(), frames) {
            (true, 0) => "the stream has no picture".to_owned(),
            (true, _) => "the stream ended".to_owned(),
            _ => said.to_owned(),
        };
        Self { kind, text }
    }
}

/// One decoded frame.
#[derive(Debug, Clone)]
pub struct LiveFrame {
    /// Of this connection, from 0; dropped ones count.
    pub number: u64,
    /// On the clock that began at the `epoch` of [`Live::start`].
    pub captured: Duration,
    pub planes: Planes,
}

#[derive(Debug)]
pub enum LiveEvent {
    Frame(LiveFrame),
    /// None within the wait.
    Nothing,
    Ended(Fault),
}

#[derive(Default)]
struct Slot {
    newest: Option<LiveFrame>,
    /// Buffers to read into.
    spare: Vec<Vec<u8>>,
    ended: Option<Fault>,
}

#[derive(Default)]
struct Shared {
    slot: Mutex<Slot>,
    filled: Condvar,
    received: AtomicU64,
    dropped: AtomicU64,
    broken: AtomicU64,
    stop: AtomicBool,
    child: Mutex<Option<Child>>,
    stream: Mutex<Option<StreamInfo>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection to a camera.
pub struct Live {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Connects. What goes wrong is told by [`Live::next`].
    pub fn start(config: &LiveConfig, epoch: Instant) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (theirs, config) = (Arc::clone(&shared), config.clone());
        // The child dies with the thread that started it, so this one lives as long as the connection.
        let thread = std::thread::Builder::new()
            .name("camera-reader".into())
            .spawn(move || {
                let fault = read(&config, epoch, &theirs);
                locked(&theirs.slot).ended = Some(fault);
                theirs.filled.notify_all();
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// The newest frame, waiting for one; frames that came before the end are given before it.
    pub fn next(&self, wait: Duration) -> LiveEvent {
        let until = Instant::now() + wait;
        let mut slot = locked(&self.shared.slot);
        loop {
            if let Some(frame) = slot.newest.take() {
                return LiveEvent::Frame(frame);
            }
            if let Some(fault) = &slot.ended {
                return LiveEvent::Ended(fault.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return LiveEvent::Nothing;
            }
            slot = self
                .shared
                .filled
                .wait_timeout(slot, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// A newer frame than the one just taken, if there is one.
    pub fn newer(&self) -> Option<LiveFrame> {
        locked(&self.shared.slot).newest.take()
    }

    /// A frame's memory, to be used again.
    pub fn give_back(&self, planes: Planes) {
        let mut slot = locked(&self.shared.slot);
        if slot.spare.len() < 2 {
            slot.spare.push(planes.bytes);
        }
    }

    /// Frames received.
    pub fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }

    /// Frames that a newer one displaced.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Complaints of the decoder.
    pub fn broken(&self) -> u64 {
        self.shared.broken.load(Ordering::Relaxed)
    }

    pub fn stream(&self) -> Option<StreamInfo> {
        locked(&self.shared.stream).clone()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        kill(&self.shared);
        if let Some(thread) = self.thread.take() {
            // It reports by the slot; a panic in it has been told by its message.
            let _ = thread.join();
        }
    }
}

fn spawn(config: &LiveConfig, login: Option<&(String, String)>) -> Result<Child, Fault> {
    let broken = |text: String| Fault::new(FaultKind::Broken, text);
    if let Some(device) = config.address.device().filter(|d| !d.exists()) {
        return Err(Fault::new(
            FaultKind::Unreachable,
            format!("there is no device {}", device.display()),
        ));
    }
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program("ffmpeg"))
        .args(config.arguments())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| {
            broken(format!(
                "setpriv cannot be started: {e}; install it (Debian: util-linux)"
            ))
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it has ended already, its log says why.
        let _ = stdin.write_all(config.playlist(login).as_bytes());
    }
    Ok(child)
}

/// Runs one connection to its end.
fn read(config: &LiveConfig, epoch: Instant, shared: &Shared) -> Fault {
    let login = match config.login() {
        Ok(login) => login,
        Err(fault) => return fault,
    };
    let mut child = match spawn(config, login.as_ref()) {
        Ok(child) => child,
        Err(fault) => return fault,
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    *locked(&shared.child) = Some(child);
    let (Some(mut stdout), Some(stderr)) = (stdout, stderr) else {
        return end(shared, Fault::new(FaultKind::Broken, "ffmpeg gave no pipe"));
    };
    if shared.stop.load(Ordering::Relaxed) {
        return end(shared, Fault::new(FaultKind::Broken, "stopped"));
    }
    if let Err(e) = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE) {
        tracing::debug!(camera = %config.address, "the pipe stays small: {e}");
    }
    let hidden = Hidden::new(config, login.as_ref());
    let (send, infos) = sync_channel(64);
    let said = std::thread::scope(|scope| {
        let log = scope.spawn(|| {
            watch(
                BufReader::new(stderr),
                &send_now(send, epoch),
                shared,
                &hidden,
            )
        });
        let stamps = matches!(config.address.protocol(), Protocol::Rtsp);
        let fault = frames(
            &mut stdout,
            &infos,
            Stamper::new(config.latency),
            stamps,
            shared,
        );
        drop(infos);
        kill(shared);
        let said = log.join().unwrap_or_default();
        fault.unwrap_or_else(|| said.into_iter().collect::<Vec<_>>().join("; "))
    });
    end(
        shared,
        Fault::of(&said, shared.received.load(Ordering::Relaxed)),
    )
}

fn kill(shared: &Shared) {
    if let Some(child) = locked(&shared.child).as_mut() {
        // Fails only if it has ended, which is what is wanted.
        let _ = child.kill();
    }
}

fn end(shared: &Shared, fault: Fault) -> Fault {
    kill(shared);
    if let Some(mut child) = locked(&shared.child).take() {
        let _ = child.wait();
    }
    fault
}

type Arrived = (Info, Option<Coding>, Duration);

/// Hands a frame's data on with the moment it was told, which is when it was decoded.
fn send_now(send: SyncSender<Arrived>, epoch: Instant) -> impl Fn(Info, Option<Coding>) -> bool {
    move |info, coding| send.send((info, coding, epoch.elapsed())).is_ok()
}

/// Reads frames until the stream ends. `Some`: what was wrong with it, where that is not what ffmpeg says.
fn frames(
    pixels: &mut impl Read,
    infos: &Receiver<Arrived>,
    mut stamper: Stamper,
    stamps: bool,
    shared: &Shared,
) -> Option<String> {
    let mut number = 0;
    while let Ok((info, coding, arrived)) = infos.recv() {
        let Some(layout) = info.layout else {
            return Some("ffmpeg gave pixels of another kind than asked for".into());
        };
        if info.width == 0 || info.height == 0 || info.width.max(info.height) > LARGEST_SIDE {
            return Some(format!(
                "a picture of {} x {} cannot be taken",
                info.width, info.height
            ));
        }
        let mut bytes = locked(&shared.slot).spare.pop().unwrap_or_default();
        bytes.resize(Planes::size_of(info.width, info.height), 0);
        if pixels.read_exact(&mut bytes).is_err() {
            return None;
        }
        let full_range = info.full_range || coding.is_some_and(|c| c.full_range);
        let coding = Coding {
            full_range,
            bt709: coding.is_some_and(|c| c.bt709),
        };
        let planes = Planes {
            width: info.width,
            height: info.height,
            layout,
            coding,
            bytes,
        };
        let captured = stamper.at(info.seconds.filter(|_| stamps), arrived);
        shared.received.fetch_add(1, Ordering::Relaxed);
        let mut slot = locked(&shared.slot);
        if let Some(old) = slot.newest.replace(LiveFrame {
            number,
            captured,
            planes,
        }) {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            slot.spare.push(old.planes.bytes);
        }
        drop(slot);
        shared.filled.notify_all();
        number += 1;
    }
    None
}

/// Reads ffmpeg's log. A frame is handed on once its coding was told, which is before its pixels are written.
fn watch(
    log: impl BufRead,
    send: &impl Fn(Info, Option<Coding>) -> bool,
    shared: &Shared,
    hidden: &Hidden,
) -> VecDeque<String> {
    let mut complaints = VecDeque::new();
    let mut waiting: Option<Info> = None;
    for line in log.split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line);
        let go_on = match ffmpeg::line(&line) {
            Line::Frame(info) => waiting.replace(info).is_none_or(|info| send(info, None)),
            Line::Colour(coding) => waiting.take().is_none_or(|info| send(info, Some(coding))),
            Line::Stream(mut info) => {
                info.said = hidden.out_of(&info.said);
                locked(&shared.stream).get_or_insert(info);
                true
            }
            Line::Complaint { said, decoding } => {
                if decoding {
                    shared.broken.fetch_add(1, Ordering::Relaxed);
                }
                let said = hidden.out_of(&said);
                tracing::debug!("ffmpeg: {said}");
                // It only repeats the URL.
                if !said.contains("Impossible to open") && complaints.back() != Some(&said) {
                    if complaints.len() == COMPLAINTS {
                        complaints.pop_front();
                    }
                    complaints.push_back(said);
                }
                true
            }
            Line::Other => true,
        };
        if !go_on {
            break;
        }
    }
    if let Some(info) = waiting {
        send(info, None);
    }
    complaints
}

/// What must not stand in a log.
struct Hidden {
    words: Vec<(String, String)>,
}

impl Hidden {
    fn new(config: &LiveConfig, login: Option<&(String, String)>) -> Self {
        let shown = config.address.to_string();
        let mut words = vec![
            (config.address.secret_url(login), shown.clone()),
            (config.address.secret_url(None), shown),
        ];
        if let Some((user, password)) = login {
            words.push((format!("{user}:{password}@"), String::new()));
            if !password.is_empty() {
                words.push((password.clone(), "***".to_owned()));
            }
        }
        Self { words }
    }

    fn out_of(&self, text: &str) -> String {
        self.words
            .iter()
            .fold(text.to_owned(), |text, (word, instead)| {
                text.replace(word.as_str(), instead)
            })
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
