//! The ffmpeg child of one connection: started, read from, ended.
//!
//! It is started by `setpriv --pdeathsig`, so that the kernel ends it with the thread that started
//! it, however the agent ends. That thread gives up, before, whatever a decoder need not have: see
//! [`ffmpeg::confine`].

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use kakou_guard::presentable;
use kakou_relay::{Opened, Relay};
use kakou_time::SharedClock;

use super::super::ffmpeg::{
    self, Access, Announced, Announcements, Complaints, LogLine, Passthrough, ReadError, program,
};
use super::super::{Protocol, Stamper};
use super::config::Input;
use super::shared::Shared;
use super::{Decoder, Fault, FaultKind, LiveConfig, LiveFrame};

/// Fewer and larger reads; more than the kernel allows is not an error.
const PIPE: usize = 1 << 20;

/// A frame, and when ffmpeg announced it, which is when it was decoded.
pub(super) type Arrived = (Announced, Duration);

/// Runs one connection to its end. Its thread cannot open files or connections afterwards.
pub(super) fn read(config: &LiveConfig, clock: &SharedClock, shared: &Shared) -> Fault {
    let fault = run(config, clock, shared).unwrap_or_else(|fault| fault);
    shared.reap();
    fault
}

fn run(config: &LiveConfig, clock: &SharedClock, shared: &Shared) -> Result<Fault, Fault> {
    let broken = |text: String| Fault::new(FaultKind::Broken, text);
    let passthrough = Passthrough::of_this_ffmpeg().map_err(broken)?;
    let device = config.address.device();
    let (relay, opened) = match &device {
        Some(device) if !device.exists() => {
            return Err(Fault::new(
                FaultKind::Unreachable,
                format!("there is no device {}", device.display()),
            ));
        }
        Some(_) => (None, None),
        None => {
            let relay = Relay::start(config.target()?).map_err(|e| broken(e.to_string()))?;
            let relay = Arc::new(relay);
            shared.hold_relay(Arc::clone(&relay));
            // The stop may have come before there was one to stop.
            if shared.stopping() {
                return Err(broken("stopped".to_owned()));
            }
            let opened = relay.opened()?;
            (Some(relay), Some(opened))
        }
    };
    let input = match (&opened, &device) {
        (Some(Opened::Rtsp { url, .. }), _) => Input::Rtsp(url),
        (Some(Opened::Http(picture)), _) => Input::Http(*picture),
        (None, Some(device)) => Input::Device(device),
        (None, None) => return Err(broken("the camera's address means nothing".to_owned())),
    };
    let port = match &opened {
        Some(Opened::Rtsp { port, .. }) => Some(*port),
        _ => None,
    };
    ffmpeg::confine(&Access {
        file: None,
        port,
        devices: device.is_some() || config.decoder != Decoder::Software,
    });
    let mut child = spawn(config, &input, passthrough)?;
    ffmpeg::limit(&child, config.decoder == Decoder::Software);
    let stdin = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    shared.hold(child);
    if shared.stopping() {
        return Err(broken("stopped".to_owned()));
    }
    if let (Some(relay), Input::Http(_), Some(stdin)) = (&relay, &input, stdin) {
        relay.feed(stdin);
    }
    let (Some(pixels), Some(log)) = (stdout, stderr) else {
        return Err(broken("ffmpeg gave no pipe".to_owned()));
    };
    if let Err(e) = rustix::pipe::fcntl_setpipe_size(&pixels, PIPE) {
        tracing::debug!(camera = %config.address, "the pipe stays small: {e}");
    }
    let fault = follow(config, clock, shared, pixels, BufReader::new(log));
    // What the camera did is worth more than what ffmpeg made of it.
    Ok(relay
        .and_then(|relay| relay.fault())
        .map_or(fault, Fault::from))
}

fn spawn(config: &LiveConfig, input: &Input<'_>, passthrough: Passthrough) -> Result<Child, Fault> {
    let stdin = match input {
        Input::Http(_) => Stdio::piped(),
        Input::Rtsp(_) | Input::Device(_) => Stdio::null(),
    };
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program("ffmpeg"))
        .args(config.arguments(input, passthrough))
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    ffmpeg::bare_environment(&mut command).spawn().map_err(|e| {
        Fault::new(
            FaultKind::Broken,
            format!("setpriv cannot be started: {e}; install it (Debian: util-linux)"),
        )
    })
}

/// Reads both pipes until the stream ends.
pub(super) fn follow(
    config: &LiveConfig,
    clock: &SharedClock,
    shared: &Shared,
    mut pixels: impl Read,
    log: impl BufRead + Send,
) -> Fault {
    let (send, arrived) = sync_channel(64);
    let stamper = Stamper::new(config.latency);
    let has_stamps = matches!(config.address.protocol(), Protocol::Rtsp);
    let said = std::thread::scope(|scope| {
        let log = scope.spawn(|| watch(log, &send_now(send, clock), shared));
        let ended = frames(&mut pixels, &arrived, stamper, has_stamps, shared);
        // Who waits to write what nobody reads any more hears no signal.
        drop((arrived, pixels));
        shared.end_child();
        // The log is at its end only when the child is.
        shared.insist(|| log.is_finished());
        let complaints = log.join().unwrap_or_default();
        match ended {
            // What ffmpeg says of its end is worth more.
            ReadError::Ended => complaints.text(),
            fault => fault.to_string(),
        }
    });
    Fault::of(&said, shared.received())
}

/// Hands a frame's data on with the moment it was announced.
fn send_now(send: SyncSender<Arrived>, clock: &SharedClock) -> impl Fn(Announced) -> bool {
    move |frame| send.send((frame, clock.mono())).is_ok()
}

/// Reads frames until the stream ends.
pub(super) fn frames(
    pixels: &mut impl Read,
    arrived: &Receiver<Arrived>,
    mut stamper: Stamper,
    has_stamps: bool,
    shared: &Shared,
) -> ReadError {
    for number in 0.. {
        let Ok((frame, at)) = arrived.recv() else {
            break;
        };
        let planes = match frame.read(pixels, shared.memory()) {
            Ok(planes) => planes.into(),
            Err(e) => return e,
        };
        shared.saw(frame.info.picture, frame.info.key);
        let captured = stamper.at(frame.info.seconds.filter(|_| has_stamps), at);
        shared.put(LiveFrame {
            number,
            captured,
            planes,
        });
    }
    ReadError::Ended
}

/// Reads ffmpeg's log. A frame is handed on once its coding was told, which is before its pixels
/// are written.
fn watch(log: impl BufRead, send: &impl Fn(Announced) -> bool, shared: &Shared) -> Complaints {
    let mut complaints = Complaints::default();
    let mut announcements = Announcements::default();
    for line in ffmpeg::lines(log) {
        match announcements.take(ffmpeg::line(&line)) {
            Ok(Some(frame)) if !send(frame.clone()) => return complaints,
            Err(LogLine::Stream(mut info)) => {
                info.said = presentable(&info.said);
                info.codec = presentable(&info.codec);
                shared.tell(info);
            }
            Err(LogLine::Complaint { said, decoding }) => {
                if decoding {
                    shared.complained();
                }
                let said = presentable(&said);
                tracing::debug!("ffmpeg: {said}");
                complaints.add(said);
            }
            Ok(_) | Err(_) => {}
        }
    }
    if let Some(frame) = announcements.end() {
        send(frame);
    }
    complaints
}
