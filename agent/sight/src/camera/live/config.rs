//! How a live camera is reached and decoded: its settings, and what they make ffmpeg do. ffmpeg
//! learns neither the camera's address nor a password: those are the relay's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kakou_guard::Secret;
use kakou_relay::{Login, Picture, Target, Timeouts, Transport, Trust};
use serde::Deserialize;

use super::super::CameraAddress;
use super::super::ffmpeg::{FORMAT, Passthrough, SHOW_INFO, SQUARE};
use super::super::picture::LARGEST_FRAME;
use super::fault::{Fault, FaultKind};

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
    /// Who may vouch for a camera by `rtsps://` or `https://`.
    pub trust: Trust,
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
            trust: Trust::default(),
            decoder: Decoder::default(),
            codec: "h264".to_owned(),
            ffmpeg_args: Vec::new(),
            rate: None,
            latency: Duration::ZERO,
        }
    }

    fn login(&self) -> Result<Option<Login>, Fault> {
        let known = self.address.login();
        let user = match (&self.user, known) {
            (Some(user), _) => Secret::new(user.as_str()),
            (None, Some(login)) => login.user.clone(),
            (None, None) => return Ok(None),
        };
        let password = match &self.password_file {
            None => known.map_or_else(|| Secret::new(""), |login| login.password.clone()),
            Some(file) => Secret::from_file(file)
                .map_err(|e| Fault::new(FaultKind::Unauthorised, e.to_string()))?,
        };
        Ok(Some(Login { user, password }))
    }

    /// What the relay needs to reach the camera. Reads the password's file.
    pub(super) fn target(&self) -> Result<Target, Fault> {
        Ok(Target {
            url: self.address.url().clone(),
            login: self.login()?,
            transport: self.transport,
            trust: self.trust.clone(),
            timeouts: Timeouts::default(),
        })
    }

    /// What may decode this stream: nothing else of ffmpeg is reached by it.
    fn codecs(&self, input: &Input<'_>) -> String {
        let hardware = match self.decoder {
            Decoder::V4l2m2m => format!(",{}_v4l2m2m", self.codec),
            Decoder::Rkmpp => format!(",{}_rkmpp", self.codec),
            Decoder::Qsv => ",h264_qsv,hevc_qsv,mjpeg_qsv".to_owned(),
            Decoder::Cuda => ",h264_cuvid,hevc_cuvid,mjpeg_cuvid".to_owned(),
            Decoder::Software | Decoder::Vaapi => String::new(),
        };
        match input {
            Input::Rtsp(_) => format!("h264,hevc,mjpeg{hardware}"),
            Input::Http(_) => format!("mjpeg{hardware}"),
            Input::Device(_) => format!("rawvideo,mjpeg,h264,hevc{hardware}"),
        }
    }

    /// The arguments of ffmpeg.
    pub(super) fn arguments(&self, input: &Input<'_>, passthrough: Passthrough) -> Vec<String> {
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
        add(&["-max_pixels", &LARGEST_FRAME.to_string()]);
        add(&["-codec_whitelist", &self.codecs(input)]);
        add(&self
            .ffmpeg_args
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>());
        match input {
            Input::Rtsp(url) => {
                let (transport, protocols) = match self.transport {
                    Transport::Tcp => ("tcp", "tcp"),
                    Transport::Udp => ("udp", "tcp,udp,rtp"),
                };
                add(&[
                    "-protocol_whitelist",
                    protocols,
                    "-format_whitelist",
                    "rtsp",
                ]);
                add(&["-rtsp_transport", transport]);
                add(&["-allowed_media_types", "video"]);
                // Enough to learn the size; a frame rate is not waited for.
                add(&["-analyzeduration", "1000000", "-fpsprobesize", "0"]);
                add(&["-f", "rtsp", "-i", url]);
            }
            Input::Http(picture) => {
                let format = match picture {
                    Picture::Parts => "mpjpeg",
                    Picture::Bare => "mjpeg",
                };
                add(&[
                    "-protocol_whitelist",
                    "pipe,fd",
                    "-format_whitelist",
                    format,
                ]);
                add(&["-f", format, "-i", "pipe:0"]);
            }
            Input::Device(device) => {
                // V4L2 opens the device itself, and no protocol.
                add(&[
                    "-protocol_whitelist",
                    "file",
                    "-format_whitelist",
                    "v4l2,video4linux2",
                ]);
                add(&["-f", "v4l2", "-i", &device.display().to_string()]);
            }
        }
        let as_decoded: &str = &format!("{FORMAT},");
        let mut filter = self.rate.map_or_else(String::new, select);
        filter += match self.decoder {
            Decoder::Vaapi | Decoder::Qsv | Decoder::Cuda => "hwdownload,format=nv12,",
            // What the decoder gives anyway is taken as it is.
            _ => as_decoded,
        };
        filter += &format!("{SQUARE},{SHOW_INFO}");
        add(&["-map", "0:V:0", "-an", "-sn", "-dn", "-vf", &filter]);
        add(passthrough.arguments());
        add(&["-autoscale", "0", "-f", "rawvideo", "pipe:1"]);
        args
    }
}

/// Where ffmpeg gets the stream.
#[derive(Debug)]
pub(super) enum Input<'a> {
    /// From the relay's port.
    Rtsp(&'a str),
    /// From its stdin.
    Http(Picture),
    Device(&'a Path),
}

/// One frame of each step is taken, so that any rate below the stream's own is met, and not only
/// its half or third. Steps are a tenth shorter than asked for: a frame that comes a little early
/// is still taken. One without a time, with the time of the last, or with one before it, says
/// nothing of the rate; and where stamps creep, what was waited for counts: after the time of two
/// frames by our own clock, the next one is taken whatever its stamp is.
fn select(rate: f32) -> String {
    let steps = 1.1 * rate;
    let longest = 2.0 / rate;
    format!(
        "select='if(isnan(t)+isnan(prev_selected_t)+lte(t,prev_selected_t)\
         +gt(floor(t*{steps:.4}),floor(prev_selected_t*{steps:.4}))\
         +gt(time(0)-ld(0),{longest:.4}),0*st(0,time(0))+1,0)',"
    )
}
