//! Why a request is not answered, as the page is told it.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::checkpoint::{Refused, SaveNote};

/// What the page tells apart; the text beside it is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    WrongLogin,
    /// Too many wrong passwords: `retry_s` says how long to wait.
    Locked,
    /// Too many requests or connections.
    Busy,
    Unauthenticated,
    Csrf,
    Origin,
    Role,
    NotFound,
    Invalid,
    /// Somebody else changed it meanwhile.
    Conflict,
    /// The agent may not write the config: `toml` has what was to be written.
    ReadOnly,
    Failed,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Fault {
    pub code: Code,
    /// In English, for people.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_s: Option<u64>,
    /// What is wrong with a config.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<SaveNote>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toml: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Told {
    error: Fault,
}

impl Fault {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_s: None,
            notes: Vec::new(),
            toml: None,
        }
    }

    pub(crate) fn after(self, wait: Duration) -> Self {
        Self {
            retry_s: Some(wait.as_secs().max(1)),
            ..self
        }
    }

    fn status(&self) -> StatusCode {
        match self.code {
            Code::WrongLogin | Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::Locked | Code::Busy => StatusCode::TOO_MANY_REQUESTS,
            Code::Csrf | Code::Origin | Code::Role | Code::ReadOnly => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Invalid if !self.notes.is_empty() => StatusCode::UNPROCESSABLE_ENTITY,
            Code::Invalid => StatusCode::BAD_REQUEST,
            Code::Conflict => StatusCode::CONFLICT,
            Code::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, retry) = (self.status(), self.retry_s);
        let mut response = (status, Json(Told { error: self })).into_response();
        if let Some(seconds) = retry {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotFound(why) => Self::new(Code::NotFound, why),
            Refused::Invalid(why) => Self::new(Code::Invalid, why),
            Refused::Failed(why) => Self::new(Code::Failed, why),
            Refused::Conflict => Self::new(
                Code::Conflict,
                "the config was changed meanwhile; load it anew",
            ),
            Refused::Wrong(notes) => Self {
                notes,
                ..Self::new(Code::Invalid, "the agent would not run with this config")
            },
            Refused::ReadOnly { why, toml } => Self {
                toml: Some(toml),
                ..Self::new(Code::ReadOnly, why)
            },
        }
    }
}
