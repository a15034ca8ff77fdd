//! A video file, decoded by an ffmpeg child process: a decoder that crashes takes nobody with it.
//!
//! ffmpeg writes raw RGB to its stdout and, by its `showinfo` filter, each frame's time and size to its stderr.
//! `-fps_mode passthrough` keeps the true frame times: nothing is doubled or dropped to even them out.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use chrono::{DateTime, FixedOffset, TimeDelta};
use image::RgbImage;

use super::ffmpeg::{self, Info, Line, program};
use super::{Frame, FrameSource, Monotonic, Next, SourceError};

/// The last complaints of ffmpeg that an error repeats.
const COMPLAINTS: usize = 3;

pub struct VideoSource {
    path: PathBuf,
    child: Child,
    pixels: BufReader<ChildStdout>,
    infos: Receiver<Info>,
    watcher: Option<JoinHandle<VecDeque<String>>>,
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
            .args(["-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info", "-i"])
            .arg(path)
            .args(["-map", "0:v:0", "-an", "-sn", "-dn", "-vf", "showinfo=checksum=0", "-fps_mode", "passthrough"])
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"])
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
        let (send, infos) = sync_channel(64);
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
            infos,
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
        let complaints = self
            .watcher
            .take()
            .and_then(|w| w.join().ok())
            .unwrap_or_default();
        let said = complaints.into_iter().collect::<Vec<_>>().join("; ");
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
        let Ok(info) = self.infos.recv() else {
            return self.end();
        };
        let (width, height) = *self.size.get_or_insert((info.width, info.height));
        let mut picture = RgbImage::new(width, height);
        if let Err(e) = self.pixels.read_exact(&mut picture) {
            if e.kind() == std::io::ErrorKind::UnexpectedEof {
                return self.end();
            }
            return Err(self.fault(format!("reading from ffmpeg: {e}")));
        }
        let number = self.number;
        self.number += 1;
        // A frame without a time stamp is as old as its predecessor, as far as anybody knows.
        let capture = match info.seconds {
            Some(s) => self.start + TimeDelta::microseconds((s * 1e6).round() as i64),
            None => self.clock.last.unwrap_or(self.start),
        };
        let name = self
            .path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Ok(Next::Frame(Frame {
            number,
            name: format!("{name}#{number}").into(),
            time: self.clock.at(capture),
            picture: Arc::new(picture),
        }))
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

/// Reads ffmpeg's log: frame infos are handed on, the last warnings and errors kept.
fn watch(log: impl BufRead, infos: &std::sync::mpsc::SyncSender<Info>) -> VecDeque<String> {
    let mut complaints = VecDeque::new();
    for line in log.split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line);
        match ffmpeg::line(&line) {
            Line::Frame(info) => {
                if infos.send(info).is_err() {
                    break;
                }
            }
            Line::Complaint { said, .. } => {
                if complaints.len() == COMPLAINTS {
                    complaints.pop_front();
                }
                complaints.push_back(said);
            }
            Line::Colour(_) | Line::Stream(_) | Line::Other => {}
        }
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
