//! A video file, decoded by an ffmpeg child process: a decoder that crashes takes nobody with it.
//!
//! `-fps_mode passthrough` keeps the true frame times: nothing is doubled or dropped to even them out.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use chrono::{DateTime, FixedOffset};

use super::ffmpeg::{
    self, Announced, Announcements, Complaints, FORMAT, LogLine, ReadError, SHOW_INFO, program,
};
use super::{Frame, FrameSource, Monotonic, Next, Pixels, SourceError, moment_of};

pub struct VideoSource {
    path: PathBuf,
    child: Child,
    pixels: BufReader<ChildStdout>,
    announced: Receiver<Announced>,
    watcher: Option<JoinHandle<Complaints>>,
    start: DateTime<FixedOffset>,
    total: Option<u64>,
    number: u64,
    size: Option<(u32, u32)>,
    clock: Monotonic,
    ended: bool,
}

impl VideoSource {
    /// `start` is the capture time of the file's time 0.
    pub fn open(path: &Path, start: DateTime<FixedOffset>) -> Result<Self, SourceError> {
        let ffmpeg = program("ffmpeg");
        let mut child = Command::new(&ffmpeg)
            .args(["-nostdin", "-hide_banner", "-nostats"])
            .args(["-loglevel", "level+info", "-i"])
            .arg(path)
            .args(["-map", "0:v:0", "-an", "-sn", "-dn"])
            .args(["-vf", &format!("{FORMAT},{SHOW_INFO}")])
            .args(["-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| SourceError::Video {
                path: path.into(),
                reason: format!(
                    "{} cannot be started: {e}; install it (Debian: ffmpeg) or name it by KAKOU_FFMPEG",
                    ffmpeg.display()
                ),
            })?;
        let piped = |what: &str| SourceError::Video {
            path: path.into(),
            reason: format!("ffmpeg gave no {what}"),
        };
        let stdout = child.stdout.take().ok_or_else(|| piped("stdout"))?;
        let stderr = child.stderr.take().ok_or_else(|| piped("stderr"))?;
        // Bounded: ffmpeg waits with its next frame until this one was taken, so the queue stays short anyway.
        let (send, announced) = sync_channel(64);
        let watcher = std::thread::Builder::new()
            .name("ffmpeg-log".into())
            .spawn(move || watch(BufReader::new(stderr), &send))
            .map_err(|e| SourceError::Video {
                path: path.into(),
                reason: e.to_string(),
            })?;
        Ok(Self {
            path: path.into(),
            child,
            pixels: BufReader::with_capacity(1 << 20, stdout),
            announced,
            watcher: Some(watcher),
            start,
            total: count(path),
            number: 0,
            size: None,
            clock: Monotonic::default(),
            ended: false,
        })
    }

    fn fault(&self, reason: impl Into<String>) -> SourceError {
        SourceError::Video {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }

    /// The end of the stream: whole, or because ffmpeg failed.
    fn end(&mut self) -> Result<Next, SourceError> {
        self.ended = true;
        let status = self
            .child
            .wait()
            .map_err(|e| self.fault(format!("ffmpeg: {e}")))?;
        let complaints = self.watcher.take().and_then(|w| w.join().ok());
        let said = complaints.unwrap_or_default().text();
        if !status.success() {
            return Err(self.fault(format!("ffmpeg ended with {status}: {said}")));
        }
        if self.number == 0 {
            return Err(self.fault(format!("ffmpeg found no frame in it: {said}")));
        }
        if !said.is_empty() {
            // The file is damaged somewhere: ffmpeg went on, and so do we, but it is told.
            let name = self.path.display().to_string();
            return Ok(Next::Broken { name, reason: said });
        }
        Ok(Next::End)
    }
}

impl FrameSource for VideoSource {
    fn next(&mut self) -> Result<Next, SourceError> {
        if self.ended {
            return Ok(Next::End);
        }
        let Ok(mut announced) = self.announced.recv() else {
            return self.end();
        };
        // ffmpeg scales the frames of a video whose size changes to the size of the first.
        let size = (announced.info.width, announced.info.height);
        (announced.info.width, announced.info.height) = *self.size.get_or_insert(size);
        let planes = match announced.read(&mut self.pixels, Vec::new()) {
            Ok(planes) => planes,
            Err(ReadError::Ended) => return self.end(),
            Err(e) => return Err(self.fault(e.to_string())),
        };
        let number = self.number;
        self.number += 1;
        // A frame without a time stamp, or with one that no recording has, is as old as its predecessor, as far as anybody
        // knows.
        let capture = announced
            .info
            .seconds
            .and_then(|seconds| moment_of(self.start, seconds))
            .unwrap_or(self.clock.last.unwrap_or(self.start));
        let name = self
            .path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Ok(Next::Frame(Frame::new(
            number,
            format!("{name}#{number}"),
            self.clock.at(capture),
            Pixels::from(planes),
        )))
    }

    fn total(&self) -> Option<u64> {
        self.total
    }
}

impl Drop for VideoSource {
    fn drop(&mut self) {
        // Both fail only if the child has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads ffmpeg's log: frames are handed on, the last warnings and errors kept.
fn watch(log: impl BufRead, frames: &SyncSender<Announced>) -> Complaints {
    let mut complaints = Complaints::default();
    let mut announcements = Announcements::default();
    for line in log.split(b'\n') {
        let Ok(line) = line else { break };
        match announcements.take(ffmpeg::line(&String::from_utf8_lossy(&line))) {
            Ok(Some(frame)) if frames.send(frame.clone()).is_err() => return complaints,
            Err(LogLine::Complaint { said, .. }) => complaints.add(said),
            Ok(_) | Err(_) => {}
        }
    }
    if let Some(frame) = announcements.end() {
        // Nobody waits for it any more if that fails.
        let _ = frames.send(frame);
    }
    complaints
}

/// The number of frames the container claims; only a progress bar needs it.
fn count(path: &Path) -> Option<u64> {
    let out = Command::new(program("ffprobe"))
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-show_entries",
            "stream=nb_frames",
            "-of",
            "csv=p=0",
        ])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8_lossy(&out.stdout)
        .trim()
        .trim_end_matches(',')
        .parse()
        .ok()
}
