//! A video file, decoded by an ffmpeg child process: a decoder that crashes takes nobody with it.
//!
//! `-fps_mode passthrough` keeps the true frame times: nothing is doubled or dropped to even them
//! out.

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
        Self::start(Command::new(program("ffmpeg")), path, start)
    }

    fn start(
        mut ffmpeg: Command,
        path: &Path,
        start: DateTime<FixedOffset>,
    ) -> Result<Self, SourceError> {
        let mut child = ffmpeg
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
                    ffmpeg.get_program().display()
                ),
            })?;
        let piped = |what: &str| SourceError::Video {
            path: path.into(),
            reason: format!("ffmpeg gave no {what}"),
        };
        let stdout = child.stdout.take().ok_or_else(|| piped("stdout"))?;
        let stderr = child.stderr.take().ok_or_else(|| piped("stderr"))?;
        // Bounded: ffmpeg waits with its next frame until this one was taken, so the queue stays
        // short anyway.
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
        // A frame without a time stamp, or with one that no recording has, is as old as its
        // predecessor, as far as anybody knows.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use std::time::Duration;

    const START: &str = "2026-03-14T09:00:00+08:00";

    /// What comes of a video whose decoder announces frames of 4 x 2 pixels with these time stamps
    /// and this size.
    fn frames(stamps: &[&str], size: &str) -> Result<Vec<Frame>, SourceError> {
        let mut script = String::new();
        for stamp in stamps {
            let line = |text: &str| format!("echo '[Parsed_showinfo_0 @ 0x5] [info] {text}' >&2\n");
            script += &line(&format!(
                "n: 0 pts: 1 pts_time:{stamp} fmt:yuv420p s:{size} i:P"
            ));
            script += &line("color_range:tv color_space:bt709");
            script += "head -c 12 /dev/zero\n";
        }
        let mut fake = Command::new("sh");
        fake.args(["-c", &script, "ffmpeg"]);
        let start = DateTime::parse_from_rfc3339(START).unwrap();
        let mut source = VideoSource::start(fake, Path::new("no-such.mp4"), start)?;
        let mut frames = Vec::new();
        loop {
            match source.next()? {
                Next::Frame(frame) => frames.push(frame),
                Next::Broken { name, reason } => panic!("{name}: {reason}"),
                Next::End => return Ok(frames),
            }
        }
    }

    #[test]
    fn a_time_stamp_that_no_recording_has_is_none() {
        let start = DateTime::parse_from_rfc3339(START).unwrap();
        for absurd in ["1e300", "-1e300", "9.3e12", "inf", "nan", "NOPTS", "1e10"] {
            let frames = frames(&["0.5", absurd, "0.54"], "4x2").unwrap();
            let after: Vec<_> = frames
                .iter()
                .map(|f| (f.time.wall - start).num_milliseconds())
                .collect();
            assert_eq!(after, [500, 500, 540], "{absurd}");
            assert_eq!(frames[2].time.mono, Duration::from_millis(40), "{absurd}");
        }
    }

    #[test]
    fn a_size_that_no_video_has_is_an_error() {
        for size in ["4000000000x4000000000", "99999x2", "0x2"] {
            let e = frames(&["0.0"], size).unwrap_err().to_string();
            assert!(e.contains("cannot be taken"), "{size}: {e}");
        }
    }
}
