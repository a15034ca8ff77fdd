//! Why a camera cannot be had. It concerns one connection.

use kakou_guard::presentable;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It does not take user and password, or asks for a login that cannot be given.
    Unauthorised,
    /// Nobody answers, or there is no such stream, or it is not who it must be.
    Unreachable,
    /// It has no session free for us.
    Busy,
    /// Connected, and then nothing more came.
    Silent,
    /// What it says or sends is no stream.
    Broken,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    pub kind: FaultKind,
    /// For people: without secrets and control characters.
    pub text: String,
}

impl Fault {
    pub fn new(kind: FaultKind, text: impl AsRef<str>) -> Self {
        let mut text = presentable(text.as_ref());
        if let Some((at, _)) = text.char_indices().nth(400) {
            text.truncate(at);
            text.push('…');
        }
        Self { kind, text }
    }

    pub(crate) fn unreachable(text: impl AsRef<str>) -> Self {
        Self::new(FaultKind::Unreachable, text)
    }

    pub(crate) fn broken(text: impl AsRef<str>) -> Self {
        Self::new(FaultKind::Broken, text)
    }

    pub(crate) fn unauthorised(text: impl AsRef<str>) -> Self {
        Self::new(FaultKind::Unauthorised, text)
    }

    /// What a status of RTSP or HTTP that is no success means.
    pub(crate) fn of_status(what: &str, status: u16, reason: &str) -> Self {
        match status {
            401 | 403 | 407 => Self::unauthorised(format!(
                "{what}: {status} {reason}: the camera does not let this user see the stream"
            )),
            453 | 503 => Self::new(
                FaultKind::Busy,
                format!(
                    "the camera has no free session ({what}: {status} {reason}); close other \
                     viewers, or allow more streams in its web page"
                ),
            ),
            404 | 454 | 410 => Self::unreachable(format!(
                "{what}: {status} {reason}: the camera has no such stream; look at the path of \
                 the `url`"
            )),
            461 => Self::broken(format!(
                "{what}: {status} {reason}: the camera does not do this `transport`; try the \
                 other one, tcp or udp"
            )),
            500..=599 => Self::unreachable(format!("{what}: {status} {reason}")),
            _ => Self::broken(format!("{what}: {status} {reason}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_cannot_put_secrets_or_escapes_into_a_fault() {
        let fault = Fault::of_status("SETUP", 453, "rtsp://a:b@c/ \u{1b}[2J\nforged");
        assert_eq!(fault.kind, FaultKind::Busy);
        assert!(!fault.text.contains(['\u{1b}', '\n']) && !fault.text.contains("a:b"));
        let long = Fault::broken("x".repeat(10_000));
        assert!(long.text.chars().count() <= 401);
    }
}
