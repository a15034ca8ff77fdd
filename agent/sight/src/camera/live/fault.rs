//! Why a connection to a camera is over. It concerns this connection alone: whoever wants the
//! camera back starts another.

/// How a connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// User or password are wrong.
    Unauthorised,
    /// Nobody answers, or there is no such stream.
    Unreachable,
    /// It answered, and what came can be no stream, or ended.
    Broken,
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    pub kind: FaultKind,
    /// Without anything secret.
    pub text: String,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
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
            _ => said.to_owned(),
        };
        Self { kind, text }
    }
}
