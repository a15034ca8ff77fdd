//! What every request must pass before it is answered, and what every answer carries.
//!
//! - A request must be for this host (loopback), and one that a page of another origin had a browser
//!   send is refused, whatever it asks for.
//! - The API is answered in a session only; a request that changes something carries the session's
//!   token beside the cookie.
//! - A body has a bound, in bytes and in time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use crate::access::{Role, Session};
use crate::api::{App, LOGIN};
use crate::fault::{Code, Fault};

/// A body of a request: a config's lanes fit many times.
const BODY_MOST: usize = 256 << 10;
const BODY_WITHIN: Duration = Duration::from_secs(10);
const CSRF: &str = "x-kakou-csrf";
const COOKIE: &str = "kakou_panel";
/// A browser takes it only by TLS, for all paths, from this very host (RFC 6265bis).
const COOKIE_TLS: &str = "__Host-kakou_panel";
/// As long as the longest session.
const COOKIE_AGE_S: u64 = 24 * 3600;

/// Nothing but what this server itself sends is run, shown or asked.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// Where a request came from; the server puts it there.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

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
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if app.is_tls {
        // This host alone; a box has no subdomains.
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    // Pages say themselves how long they may be kept.
    if is_api || !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

async fn admitted(app: &App, mut request: Request) -> Result<Request, Fault> {
    let (headers, changes) = (request.headers(), changes(request.method()));
    of_this_host(headers, request.uri(), app.is_loopback)?;
    let path = request.uri().path();
    of_this_origin(headers, app.is_tls, path.starts_with("/api/"))?;
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
        let (parts, body) = request.into_parts();
        let read = timeout(BODY_WITHIN, to_bytes(body, BODY_MOST)).await;
        let bytes = match read {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(_)) => {
                let message = format!("a request has at most {} KiB", BODY_MOST >> 10);
                return Err(Fault::new(Code::Invalid, message));
            }
            Err(_) => return Err(Fault::new(Code::Invalid, "the request came too slowly")),
        };
        request = Request::from_parts(parts, Body::from(bytes));
    }
    Ok(request)
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// On loopback any page of the world could have a browser ask, by a name of its own that leads there;
/// its name stands in the request.
fn of_this_host(headers: &HeaderMap, uri: &Uri, is_loopback: bool) -> Result<(), Fault> {
    if !is_loopback {
        return Ok(());
    }
    let named = headers.get(header::HOST).and_then(|v| v.to_str().ok());
    let named = named.or_else(|| uri.authority().map(|a| a.as_str()));
    let host = named.and_then(|text| text.parse::<axum::http::uri::Authority>().ok());
    let is_own = host.is_some_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    match is_own {
        true => Ok(()),
        false => Err(Fault::new(
            Code::Origin,
            "this server answers to localhost alone; see `listen` in [panel]",
        )),
    }
}

fn of_this_origin(headers: &HeaderMap, is_tls: bool, is_api: bool) -> Result<(), Fault> {
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let foreign = || {
        Err(Fault::new(
            Code::Origin,
            "this comes from a page of another origin",
        ))
    };
    let site = text(HeaderName::from_static("sec-fetch-site"));
    // A link from another page may lead to the page itself; nothing else may.
    let navigates = text(HeaderName::from_static("sec-fetch-mode")) == Some("navigate");
    match site {
        None | Some("same-origin" | "none") => {}
        Some(_) if navigates && !is_api => {}
        Some(_) => return foreign(),
    }
    let Some(origin) = text(header::ORIGIN) else {
        return Ok(());
    };
    let scheme = if is_tls { "https" } else { "http" };
    let own = text(header::HOST).map(|host| format!("{scheme}://{host}"));
    match own.is_some_and(|own| own.eq_ignore_ascii_case(origin)) {
        true => Ok(()),
        false => foreign(),
    }
}

fn entered(app: &App, headers: &HeaderMap) -> Result<In, Fault> {
    let out = || Fault::new(Code::Unauthenticated, "log in first");
    let token = token(headers, app.is_tls).ok_or_else(out)?;
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

fn token(headers: &HeaderMap, is_tls: bool) -> Option<&str> {
    let wanted = name(is_tls);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

fn name(is_tls: bool) -> &'static str {
    if is_tls { COOKIE_TLS } else { COOKIE }
}

/// The cookie of a session; an empty token takes it away.
pub fn cookie(token: &str, is_tls: bool) -> String {
    let age = if token.is_empty() { 0 } else { COOKIE_AGE_S };
    let secure = if is_tls { "; Secure" } else { "" };
    let name = name(is_tls);
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
}
