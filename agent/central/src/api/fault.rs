//! Why a request is not answered, as its sender is told it: a code for programs, the field that is
//! wrong, and a text for people that says what to send instead.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::StoreError;

/// What programs tell apart; the text beside it is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    WrongLogin,
    /// Too many wrong passwords: `retry_s` says how long to wait.
    Locked,
    /// Too many requests, or too much asked for at once.
    Busy,
    Unauthenticated,
    Csrf,
    Origin,
    /// The user lacks the role.
    Role,
    NotFound,
    /// `field` says what is wrong.
    Invalid,
    /// The search was not made, because it could not be recorded who makes it.
    AuditUnwritable,
    /// The database did not answer in time: ask for less.
    TooMuch,
    Unavailable,
    Failed,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Fault {
    pub code: Code,
    /// In English, for people.
    pub message: String,
    /// The parameter or the field of the body that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_s: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub struct Told {
    error: Fault,
}

impl Fault {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            field: None,
            retry_s: None,
        }
    }

    /// `mend` says what to send instead.
    pub fn field(field: &str, mend: impl Into<String>) -> Self {
        let mend = mend.into();
        Self {
            field: Some(field.to_owned()),
            ..Self::new(Code::Invalid, format!("{field}: {mend}"))
        }
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, what)
    }

    pub fn after(self, wait: Duration) -> Self {
        Self {
            retry_s: Some(wait.as_secs().max(1)),
            ..self
        }
    }

    /// What serde says: "field: what is wrong".
    fn told(text: String) -> Self {
        let text = kakou_guard::presentable(&text);
        let after = text
            .split_once(": ")
            .map_or(text.as_str(), |(_, rest)| rest);
        let named = after.split_once(": ").map(|(field, _)| field);
        let quoted = after.split('`').nth(1).filter(|_| after.contains("field"));
        let is_name = |name: &&str| {
            !name.is_empty() && name.len() <= 64 && !name.contains(char::is_whitespace)
        };
        let field = named.or(quoted).filter(is_name).map(str::to_owned);
        Self {
            field,
            ..Self::new(Code::Invalid, text)
        }
    }

    fn status(&self) -> StatusCode {
        match self.code {
            Code::WrongLogin | Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::Locked | Code::Busy => StatusCode::TOO_MANY_REQUESTS,
            Code::Csrf | Code::Origin | Code::Role => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Invalid => StatusCode::BAD_REQUEST,
            Code::TooMuch | Code::Unavailable | Code::AuditUnwritable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
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

impl From<QueryRejection> for Fault {
    fn from(wrong: QueryRejection) -> Self {
        Self::told(wrong.body_text())
    }
}

impl From<JsonRejection> for Fault {
    fn from(wrong: JsonRejection) -> Self {
        Self::told(wrong.body_text())
    }
}

impl From<PathRejection> for Fault {
    fn from(wrong: PathRejection) -> Self {
        Self::told(wrong.body_text())
    }
}

/// The log says more than the answer: a database's words are not for everybody.
impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let state = match &error {
            StoreError::Query(error) => error.code().map(|code| code.code().to_owned()),
            _ => None,
        };
        match state.as_deref() {
            // statement_timeout
            Some("57014") => {
                tracing::warn!("a question was given up: {error}");
                let message = "this took too long; ask for a shorter time, or for one site";
                Self::new(Code::TooMuch, message)
            }
            _ if error.is_passing() => {
                tracing::error!("a request: {error}");
                Self::new(Code::Unavailable, "the database is away; try again")
                    .after(Duration::from_secs(5))
            }
            _ => {
                tracing::error!("a request: {error}");
                Self::new(Code::Failed, "this failed; the log says more")
            }
        }
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::from(StoreError::from(error))
    }
}
