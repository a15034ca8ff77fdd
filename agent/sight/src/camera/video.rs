//! A video file, decoded by an ffmpeg child process: a decoder that crashes takes nobody with it.
//!
//! `passthrough` keeps the true frame times: nothing is doubled or dropped to even them
//! out.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use chrono::{DateTime, FixedOffset};
use kakou_guard::presentable;

use super::ffmpeg::{
    self, Access, Announced, Announcements, Complaints, FORMAT, LogLine, Passthrough, ReadError,
    SHOW_INFO, SQUARE, program,
};
use super::picture::LARGEST_FRAME;
use super::{Frame, FrameSource, Monotonic, Next, Pixels, SourceError, moment_of};

/// What a recording may be; of some hundred others nothing is reached.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,h264,\
                       hevc,mjpeg,asf,dhav,mxf,ogg,m4v,yuv4mpegpipe";
const CODECS: &str = "h264,hevc,mjpeg,mpeg4,mpeg2video,mpeg1video,msmpeg4,msmpeg4v2,msmpeg4v1,h263,\
                      flv,vc1,wmv1,wmv2,wmv3,vp8,vp9,libvpx-vp9,av1,libdav1d,libaom-av1,rawvideo,\
                      theora,prores";
/// Of a stream that does not say its rate and has no time stamps, in seconds.
const STEP_S: f64 = 0.04;

pub struct VideoSource {
    path: PathBuf,
    child: Child,
    pixels: BufReader<ChildStdout>,
    announced: Receiver<Announced>,
    watcher: Option<JoinHandle<Complaints>>,
    /// Frames a second, as the stream says.
    fps: Arc<OnceLock<f64>>,
    last_stamp: Option<f64>,
    /// Frames whose time was not told.
    guessed: u64,
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
        let fault = |reason: String| SourceError::Video {
            path: path.into(),
            reason,
        };
        let passthrough = Passthrough::of_this_ffmpeg().map_err(fault)?;
        ffmpeg
            .args(["-nostdin", "-hide_banner", "-nostats"])
            .args(["-loglevel", "level+info"])
            .args(["-max_pixels", &LARGEST_FRAME.to_string()])
            .args(reading(path))
            .args(["-map", "0:V:0", "-an", "-sn", "-dn"])
            .args(["-vf", &format!("{FORMAT},{SQUARE},{SHOW_INFO}")])
            .args(passthrough.arguments())
            .args(["-f", "rawvideo", "pipe:1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let program = ffmpeg.get_program().to_owned();
        let mut child = confined(path, || ffmpeg::bare_environment(&mut ffmpeg).spawn())
            .map_err(|e| {
                fault(format!(
                    "{} cannot be started: {e}; install it (Debian: ffmpeg) or name it by KAKOU_FFMPEG",
                    program.display()
                ))
            })?;
        ffmpeg::limit(&child, true);
        let piped = |what: &str| SourceError::Video {
            path: path.into(),
            reason: format!("ffmpeg gave no {what}"),
        };
        let stdout = child.stdout.take().ok_or_else(|| piped("stdout"))?;
        let stderr = child.stderr.take().ok_or_else(|| piped("stderr"))?;
        // Bounded: ffmpeg waits with its next frame until this one was taken, so the queue stays
        // short anyway.
        let (send, announced) = sync_channel(64);
        let fps = Arc::new(OnceLock::new());
        let told = Arc::clone(&fps);
        let watcher = std::thread::Builder::new()
            .name("ffmpeg-log".into())
            .spawn(move || watch(BufReader::new(stderr), &send, &told))
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
            fps,
            last_stamp: None,
            guessed: 0,
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

    /// A frame without a time stamp, with one that no recording has, or with that of the frame before
    /// it, comes as long after that one as the stream's rate says: time must not stand still.
    fn capture(&mut self, stamp: Option<f64>) -> DateTime<FixedOffset> {
        let is_new = |s: &f64| Some(*s) != self.last_stamp;
        let told = stamp.filter(is_new);
        let told = told.and_then(|s| Some((s, moment_of(self.start, s)?)));
        if let Some((stamp, moment)) = told {
            self.last_stamp = Some(stamp);
            return moment;
        }
        if self.guessed == 0 && self.number > 1 {
            tracing::warn!(
                "{}: frame {} has no time of its own; it is taken from the stream's rate",
                self.path.display(),
                self.number - 1
            );
        }
        self.guessed += 1;
        let Some(last) = self.clock.last else {
            return self.start;
        };
        let step = self.fps.get().map_or(STEP_S, |fps| 1.0 / fps);
        moment_of(last, step).unwrap_or(last)
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
        let capture = self.capture(announced.info.seconds);
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
fn watch(log: impl BufRead, frames: &SyncSender<Announced>, fps: &OnceLock<f64>) -> Complaints {
    let mut complaints = Complaints::default();
    let mut announcements = Announcements::default();
    for line in ffmpeg::lines(log) {
        match announcements.take(ffmpeg::line(&line)) {
            Ok(Some(frame)) if frames.send(frame.clone()).is_err() => return complaints,
            Err(LogLine::Complaint { said, .. }) => complaints.add(presentable(&said)),
            Err(LogLine::Stream(info)) => {
                // Less than 1 and more than 240 are no rates but clocks. The first word counts.
                if let Some(told) = info.fps.filter(|f| (1.0..=240.0).contains(f)) {
                    let _ = fps.set(told);
                }
            }
            Ok(_) | Err(_) => {}
        }
    }
    if let Some(frame) = announcements.end() {
        // Nobody waits for it any more if that fails.
        let _ = frames.send(frame);
    }
    complaints
}

/// Runs what starts a decoder of this file on a thread that may read no other, so that the decoder
/// cannot either.
fn confined<T: Send>(
    path: &Path,
    start: impl FnOnce() -> std::io::Result<T> + Send,
) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            ffmpeg::confine(&Access {
                file: Some(path),
                ..Access::default()
            });
            start()
        });
        run.join()
            .unwrap_or_else(|_| Err(std::io::Error::other("a fault of this program")))
    })
}

/// The arguments by which ffmpeg and ffprobe read this file and nothing else. `file:` lets a name
/// hold colons and begin with a dash.
fn reading(path: &Path) -> Vec<std::ffi::OsString> {
    let mut name = std::ffi::OsString::from("file:");
    name.push(path);
    let mut args: Vec<std::ffi::OsString> = [
        "-protocol_whitelist",
        "file",
        "-format_whitelist",
        FORMATS,
        "-codec_whitelist",
        CODECS,
        "-i",
    ]
    .map(Into::into)
    .to_vec();
    args.push(name);
    args
}

/// The number of frames the container claims; only a progress bar needs it.
fn count(path: &Path) -> Option<u64> {
    let mut command = Command::new(program("ffprobe"));
    command
        .args([
            "-v",
            "error",
            "-select_streams",
            "V:0",
            "-show_entries",
            "stream=nb_frames",
            "-of",
            "csv=p=0",
        ])
        .args(reading(path))
        .stdin(Stdio::null());
    let out = confined(path, || ffmpeg::bare_environment(&mut command).output()).ok()?;
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
            assert_eq!(after, [500, 540, 540], "{absurd}");
            assert_eq!(frames[2].time.mono, Duration::from_millis(40), "{absurd}");
        }
    }

    #[test]
    fn time_does_not_stand_still_where_stamps_do() {
        let start = DateTime::parse_from_rfc3339(START).unwrap();
        let after = |stamps: &[&str]| -> Vec<i64> {
            let frames = frames(stamps, "4x2").unwrap();
            let of = |f: &Frame| (f.time.wall - start).num_milliseconds();
            frames.iter().map(of).collect()
        };
        assert_eq!(after(&["0", "0", "0", "0"]), [0, 40, 80, 120]);
        assert_eq!(after(&["NOPTS", "NOPTS", "NOPTS"]), [0, 40, 80]);
        assert_eq!(after(&["0.1", "0.2", "0.2", "0.4"]), [100, 200, 240, 400]);
    }

    #[test]
    fn a_size_that_no_video_has_is_an_error() {
        for size in ["4000000000x4000000000", "99999x2", "0x2", "8192x8192"] {
            let e = frames(&["0.0"], size).unwrap_err().to_string();
            let named = e.contains("cannot be taken") || e.contains("no frame");
            assert!(named, "{size}: {e}");
        }
    }

    /// A video that ffmpeg makes with these arguments.
    fn made(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
        let path = folder.join(name);
        let mut ffmpeg = Command::new(program("ffmpeg"));
        ffmpeg.args(["-nostdin", "-loglevel", "error"]);
        ffmpeg.args(arguments).arg(&path);
        assert!(ffmpeg.status().unwrap().success(), "{arguments:?}");
        path
    }

    fn sizes(path: &Path) -> Vec<(u32, u32)> {
        let start = DateTime::parse_from_rfc3339(START).unwrap();
        let mut source = VideoSource::open(path, start).unwrap();
        let mut sizes = Vec::new();
        loop {
            match source.next().unwrap() {
                Next::Frame(frame) => sizes.push(frame.size()),
                Next::Broken { name, reason } => panic!("{name}: {reason}"),
                Next::End => return sizes,
            }
        }
    }

    const ROAD: [&str; 4] = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=1"];

    #[test]
    fn a_cover_picture_is_no_video() {
        let dir = tempfile::tempdir().unwrap();
        let mut arguments = vec!["-f", "lavfi", "-i", "color=size=32x32:duration=1:rate=1"];
        arguments.extend(ROAD);
        arguments.extend([
            "-map", "0", "-map", "1", "-c:v:0", "mjpeg", "-c:v:1", "mpeg4",
        ]);
        arguments.extend(["-disposition:v:0", "attached_pic"]);
        let path = made(dir.path(), "cover-first.mp4", &arguments);
        assert_eq!(sizes(&path), [(64, 48); 5]);
    }

    #[test]
    fn pixels_are_made_square_where_the_stream_says_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let mut arguments = ROAD.to_vec();
        arguments.extend(["-vf", "setsar=2/1", "-c:v", "mpeg4"]);
        let path = made(dir.path(), "wide.mp4", &arguments);
        assert_eq!(sizes(&path), [(128, 48); 5]);
    }

    #[test]
    fn no_name_is_a_protocol_or_an_option() {
        for name in [
            "2026-03-14T09:00:00.mp4",
            "-dash.mp4",
            "gate #1 'a'.mp4",
            "50%off.mp4",
        ] {
            let args = reading(Path::new(name));
            let read = args.iter().skip_while(|a| *a != "-i").nth(1).unwrap();
            assert_eq!(read.to_str().unwrap(), format!("file:{name}"));
        }
    }
}
