//! What every request must pass before it is answered, and what every answer carries.
//!
//! - A request must be for this host (loopback), and one that a page of another origin had a browser
//!   send is refused, whatever it asks for.
//! - The API is answered in a session only; a request that changes something carries the session's
//!   token beside the cookie.
//! - A body has a bound, in bytes and in time.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kakou_entry::origin::{is_foreign, is_of_loopback};
use kakou_entry::{Cookie, guard, with_body};

use crate::access::{Role, Session};
use crate::api::{App, LOGIN};
use crate::fault::{Code, Fault};

/// A body of a request: a config's lanes fit many times.
const BODY_MOST: usize = 256 << 10;
const CSRF: &str = "x-kakou-csrf";
const COOKIE: Cookie = Cookie {
    plain: "kakou_panel",
    secure: "__Host-kakou_panel",
    // As long as the longest session.
    age_s: 24 * 3600,
};

/// Nothing but what this server itself sends is run, shown or asked.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// The session that a request is made in.
#[derive(Debug, Clone)]
pub struct In {
    pub session: Session,
    pub token: String,
}

impl In {
    /// Whether the user may do what one of these roles may.
    pub fn must_be(&self, any: &[Role]) -> Result<(), Fault> {
        match self.session.has(any) {
            true => Ok(()),
            false => {
                let names: Vec<&str> = any.iter().map(|role| role.as_str()).collect();
                let message = format!("this asks for the role {}", names.join(" or "));
                Err(Fault::new(Code::Role, message))
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for In {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Fault::new(Code::Unauthenticated, "log in first"))
    }
}

pub async fn gate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = match admitted(&app, request).await {
        Ok(request) => next.run(request).await,
        Err(fault) => fault.into_response(),
    };
    let headers = response.headers_mut();
    guard(headers, POLICY, app.is_tls);
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
    );
    // Pages say themselves how long they may be kept.
    if is_api || !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

async fn admitted(app: &App, mut request: Request) -> Result<Request, Fault> {
    let (headers, changes) = (request.headers(), changes(request.method()));
    if app.is_loopback && !is_of_loopback(headers, request.uri()) {
        let message = "this server answers to localhost alone; see `listen` in [panel]";
        return Err(Fault::new(Code::Origin, message));
    }
    let path = request.uri().path();
    // A link from another page may lead to the page itself; nothing else may.
    if is_foreign(headers, app.is_tls, !path.starts_with("/api/")) {
        let message = "this comes from a page of another origin";
        return Err(Fault::new(Code::Origin, message));
    }
    if !path.starts_with("/api/") {
        return Ok(request);
    }
    if path != LOGIN {
        let asks = entered(app, headers)?;
        if changes {
            let given = headers.get(CSRF).and_then(|v| v.to_str().ok());
            if !given.is_some_and(|given| asks.session.is_token(given)) {
                let message = "the session's token is missing; load the page anew";
                return Err(Fault::new(Code::Csrf, message));
            }
        }
        request.extensions_mut().insert(asks);
    }
    if changes {
        let bounded = with_body(request, BODY_MOST).await;
        request = bounded.map_err(|e| Fault::new(Code::Invalid, e.to_string()))?;
    }
    Ok(request)
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

fn entered(app: &App, headers: &HeaderMap) -> Result<In, Fault> {
    let out = || Fault::new(Code::Unauthenticated, "log in first");
    let token = COOKIE.of(headers, app.is_tls).ok_or_else(out)?;
    match app.sessions.find(token, app.checkpoint.mono()) {
        Ok(session) => Ok(In {
            session,
            token: token.to_owned(),
        }),
        Err(crate::access::Out::Unknown) => Err(out()),
        Err(crate::access::Out::Unreadable) => {
            tracing::error!("the panel's users cannot be read: `kakou panel user list` says why");
            Err(Fault::new(
                Code::Failed,
                "the users cannot be read; the log says more",
            ))
        }
        Err(crate::access::Out::TooMany) => {
            let busy = Fault::new(
                Code::Busy,
                "too many requests in one session; wait a moment",
            );
            Err(busy.after(Duration::from_secs(1)))
        }
    }
}

/// The cookie of a session; an empty token takes it away.
pub fn cookie(token: &str, is_tls: bool) -> String {
    COOKIE.set(token, is_tls)
}
