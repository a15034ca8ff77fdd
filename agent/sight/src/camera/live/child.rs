//! The ffmpeg child of one connection: started, read from, ended.
//!
//! The child learns its URL from its stdin, as a playlist: user and password stand on no command
//! line, which every user of the box could read. It is started by `setpriv --pdeathsig`, so that
//! the kernel ends it with the thread that started it, however the agent ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use kakou_time::SharedClock;

use super::super::ffmpeg::{
    self, Announced, Announcements, Complaints, LogLine, ReadError, program,
};
use super::super::{Protocol, Stamper};
use super::config::Hidden;
use super::shared::Shared;
use super::{Fault, FaultKind, LiveConfig, LiveFrame};

/// Fewer and larger reads; more than the kernel allows is not an error.
const PIPE: usize = 1 << 20;

/// A frame, and when ffmpeg announced it, which is when it was decoded.
pub(super) type Arrived = (Announced, Duration);

/// Runs one connection to its end.
pub(super) fn read(config: &LiveConfig, clock: &SharedClock, shared: &Shared) -> Fault {
    let login = match config.login() {
        Ok(login) => login,
        Err(fault) => return fault,
    };
    let mut child = match spawn(config, login.as_ref()) {
        Ok(child) => child,
        Err(fault) => return fault,
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    shared.hold(child);
    let fault = match (stdout, stderr) {
        // The stop may have come before there was a child to end.
        _ if shared.stopping() => Fault::new(FaultKind::Broken, "stopped"),
        (Some(pixels), Some(log)) => {
            if let Err(e) = rustix::pipe::fcntl_setpipe_size(&pixels, PIPE) {
                tracing::debug!(camera = %config.address, "the pipe stays small: {e}");
            }
            let hidden = Hidden::new(config, login.as_ref());
            follow(config, clock, shared, &hidden, pixels, BufReader::new(log))
        }
        _ => Fault::new(FaultKind::Broken, "ffmpeg gave no pipe"),
    };
    shared.reap();
    fault
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

/// Reads both pipes until the stream ends.
fn follow(
    config: &LiveConfig,
    clock: &SharedClock,
    shared: &Shared,
    hidden: &Hidden,
    mut pixels: impl Read,
    log: impl BufRead + Send,
) -> Fault {
    let (send, arrived) = sync_channel(64);
    let stamper = Stamper::new(config.latency);
    let has_stamps = matches!(config.address.protocol(), Protocol::Rtsp);
    let said = std::thread::scope(|scope| {
        let log = scope.spawn(|| watch(log, &send_now(send, clock), shared, hidden));
        let ended = frames(&mut pixels, &arrived, stamper, has_stamps, shared);
        drop(arrived);
        shared.kill();
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
fn watch(
    log: impl BufRead,
    send: &impl Fn(Announced) -> bool,
    shared: &Shared,
    hidden: &Hidden,
) -> Complaints {
    let mut complaints = Complaints::default();
    let mut announcements = Announcements::default();
    for line in log.split(b'\n') {
        let Ok(line) = line else { break };
        match announcements.take(ffmpeg::line(&String::from_utf8_lossy(&line))) {
            Ok(Some(frame)) if !send(frame.clone()) => return complaints,
            Err(LogLine::Stream(mut info)) => {
                info.said = hidden.out_of(&info.said);
                shared.tell(info);
            }
            Err(LogLine::Complaint { said, decoding }) => {
                if decoding {
                    shared.complained();
                }
                let said = hidden.out_of(&said);
                tracing::debug!("ffmpeg: {said}");
                // It only repeats the URL.
                if !said.contains("Impossible to open") {
                    complaints.add(said);
                }
            }
            Ok(_) | Err(_) => {}
        }
    }
    if let Some(frame) = announcements.end() {
        send(frame);
    }
    complaints
}
