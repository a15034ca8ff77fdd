//! How a live camera is reached and decoded: its settings, and what they make ffmpeg do. Nothing
//! secret is among the arguments; user and password are in the playlist that ffmpeg reads from its
//! stdin.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::super::ffmpeg::{FORMAT, SHOW_INFO};
use super::super::{CameraAddress, Protocol};
use super::fault::{Fault, FaultKind};

/// A network that gives nothing for so long is given up by ffmpeg itself.
const NETWORK_S: u64 = 10;

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

    pub(super) fn login(&self) -> Result<Option<(String, String)>, Fault> {
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
    pub(super) fn arguments(&self) -> Vec<String> {
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
        let as_decoded: &str = &format!("{FORMAT},");
        let mut filter = String::new();
        if let Some(rate) = self.rate {
            // One frame of each step is taken, so that any rate below the stream's own is met, and
            // not only its half or third. Steps are a tenth shorter than asked for: a frame that
            // comes a little early is still taken. One without a time, or with one before the
            // last, says nothing of the rate.
            let steps = 1.1 * rate;
            filter += &format!(
                "select='isnan(t)+isnan(prev_selected_t)+lt(t,prev_selected_t)+gt(floor(t*{steps:.4}),floor(prev_selected_t*{steps:.4}))',"
            );
        }
        filter += match self.decoder {
            Decoder::Vaapi | Decoder::Qsv | Decoder::Cuda => "hwdownload,format=nv12,",
            // What the decoder gives anyway is taken as it is.
            _ => as_decoded,
        };
        filter += SHOW_INFO;
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
    pub(super) fn playlist(&self, login: Option<&(String, String)>) -> String {
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

/// What must not stand in a log.
pub(super) struct Hidden {
    words: Vec<(String, String)>,
}

impl Hidden {
    pub(super) fn new(config: &LiveConfig, login: Option<&(String, String)>) -> Self {
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

    pub(super) fn out_of(&self, text: &str) -> String {
        self.words
            .iter()
            .fold(text.to_owned(), |text, (word, instead)| {
                text.replace(word.as_str(), instead)
            })
    }
}
