//! Why a connection to a camera is over. It concerns this connection alone: whoever wants the
//! camera back starts another.

use kakou_guard::presentable;
/// How a connection failed: the relay's word for it, whoever found the fault.
pub use kakou_relay::FaultKind;

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    pub kind: FaultKind,
    /// Without anything secret.
    pub text: String,
}

impl From<kakou_relay::Fault> for Fault {
    fn from(fault: kakou_relay::Fault) -> Self {
        Self {
            kind: fault.kind,
            text: fault.text,
        }
    }
}

impl Fault {
    pub(super) fn new(kind: FaultKind, text: impl AsRef<str>) -> Self {
        Self {
            kind,
            text: presentable(text.as_ref()),
        }
    }

    /// `said`: what ffmpeg complained of; `frames`: how many it gave before.
    pub(super) fn of(said: &str, frames: u64) -> Self {
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
            _ => match unknown_codec(said) {
                Some(codec) => format!(
                    "the camera sends {codec}; set it to H.264, H.265 or MJPEG in its web page"
                ),
                None => said.to_owned(),
            },
        };
        Self::new(kind, text)
    }
}

/// The codec in `Codec (mpeg4) not on whitelist 'h264,hevc,mjpeg'`.
fn unknown_codec(said: &str) -> Option<&str> {
    let (before, _) = said.split_once(") not on whitelist")?;
    before.rsplit_once("Codec (").map(|(_, codec)| codec)
}
