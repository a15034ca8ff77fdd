//! What can go wrong, each with the mend.

use std::borrow::Cow;

use kakou_guard::presentable;

/// A field that is not as the standard wants it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}; {mend}")]
pub struct FieldError {
    pub field: String,
    pub what: String,
    pub mend: Cow<'static, str>,
}

impl FieldError {
    pub(crate) fn new(
        field: impl Into<String>,
        what: impl Into<String>,
        mend: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            field: field.into(),
            what: what.into(),
            mend: mend.into(),
        }
    }
}

/// Why a request to the upper library, or to the receiver of a notification, came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum UpperError {
    #[error("{path}: the upper library cannot be reached ({why}); it is tried again")]
    Unreachable { path: String, why: String },
    #[error(
        "{path}: the upper library does not take user and password ({why}); compare them and \
         the DeviceID with what it has on record"
    )]
    Login { path: String, why: String },
    #[error("{path}: the upper library answers {status}: it no longer knows the registration")]
    NotRegistered { path: String, status: u16 },
    #[error(
        "{path}: the upper library sends us on to {to:?}, which is not followed; give that \
         address as the upper library's, if it is right"
    )]
    Redirect { path: String, to: String },
    #[error("{path}: the upper library answers {status} {why}")]
    Status {
        path: String,
        status: u16,
        why: String,
    },
    #[error("{path}: the upper library's answer cannot be used: {why}")]
    Answer { path: String, why: String },
    #[error("{0}")]
    Field(#[from] FieldError),
}

impl UpperError {
    pub(crate) fn answer(path: &str, why: impl AsRef<str>) -> Self {
        Self::Answer {
            path: path.to_owned(),
            why: shown(why.as_ref()),
        }
    }
}

/// A text from outside as an error may carry it: no control characters, no passwords of addresses,
/// and not long.
pub(crate) fn shown(text: &str) -> String {
    clipped(&presentable(text))
}

fn clipped(text: &str) -> String {
    const MOST: usize = 300;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
