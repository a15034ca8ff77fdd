//! What every request must pass before it is answered, and what every answer carries.
//!
//! - A request must be for this host (loopback without a proxy), and one that a page of another
//!   origin had a browser send is refused, whatever it asks for.
//! - All but login and health is answered to a session's cookie or a bearer token only; a request
//!   that changes something carries the session's token beside the cookie.
//! - A body has a bound, in bytes and in time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kakou_entry::origin::{is_foreign, is_of_loopback};
use kakou_entry::{Cookie, Peer, guard, is_same, with_body};
use kakou_guard::Secret;

use super::access::{Out, Role, Session, User};
use super::fault::{Code, Fault};
use super::{App, HEALTH, LOGIN, locked};

/// A command is at most 16 KiB.
const BODY_MOST: usize = 64 << 10;
const CSRF: &str = "x-kakou-csrf";
const COOKIE: Cookie = Cookie {
    plain: "kakou_central",
    secure: "__Host-kakou_central",
    // As long as the longest session.
    age_s: 24 * 3600,
};
/// Longer than any token is.
const TOKEN_MOST: usize = 256;
/// What tokens that are none are counted under.
const OF_TOKENS: &str = "(token)";

/// Nothing of an answer is run or shown as a page.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";

/// Who asks.
#[derive(Clone)]
pub(super) struct In {
    pub user: User,
    pub address: IpAddr,
    /// Of the cookie, or the bearer token.
    pub token: Secret,
    /// Missing with a bearer token.
    pub session: Option<Session>,
}

impl In {
    /// The first of these roles that the user has.
    pub fn must_be(&self, any: &[Role]) -> Result<Role, Fault> {
        let found = any.iter().find(|role| self.user.roles.contains(role));
        found.copied().ok_or_else(|| {
            let names: Vec<&str> = any.iter().map(|role| role.as_str()).collect();
            let message = format!("this asks for the role {}", names.join(" or "));
            Fault::new(Code::Role, message)
        })
    }

    /// Who is limited to some prefectures could else make a user who is not.
    pub fn must_be_admin(&self) -> Result<Role, Fault> {
        let role = self.must_be(&[Role::Admin])?;
        match self.user.prefectures {
            None => Ok(role),
            Some(_) => Err(Fault::new(
                Code::Role,
                "this asks for an admin who is not limited to prefectures",
            )),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for In {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(out)
    }
}

fn out() -> Fault {
    Fault::new(Code::Unauthenticated, "log in first")
}

pub(super) async fn gate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = match admitted(&app, request).await {
        Ok(request) => next.run(request).await,
        Err(fault) => fault.into_response(),
    };
    let headers = response.headers_mut();
    guard(headers, POLICY, app.options.is_tls);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn admitted(app: &App, mut request: Request) -> Result<Request, Fault> {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let address = address(app, &request);
    let headers = request.headers();
    let options = app.options;
    if options.is_loopback && !options.is_proxied && !is_of_loopback(headers, request.uri()) {
        let message = "this server answers to localhost alone; behind a proxy say so in the config";
        return Err(Fault::new(Code::Origin, message));
    }
    if is_foreign(headers, app.is_secure(), false) {
        let message = "this comes from a page of another origin";
        return Err(Fault::new(Code::Origin, message));
    }
    let path = request.uri().path();
    let is_open = path == LOGIN || path == HEALTH;
    let asks = match is_open {
        true => None,
        false => Some(entered(app, headers, address).await?),
    };
    if let Some(In {
        session: Some(session),
        ..
    }) = &asks
        && changes
    {
        let given = headers.get(CSRF).and_then(|v| v.to_str().ok());
        if !given.is_some_and(|given| is_same(&session.csrf, given)) {
            let message =
                "the session's token is missing; send `csrf` of the login in X-Kakou-Csrf";
            return Err(Fault::new(Code::Csrf, message));
        }
    }
    request.extensions_mut().insert(Peer(address));
    if let Some(asks) = asks {
        request.extensions_mut().insert(asks);
    }
    if changes {
        let bounded = with_body(request, BODY_MOST).await;
        request = bounded.map_err(|e| Fault::new(Code::Invalid, e.to_string()))?;
    }
    Ok(request)
}

/// Of the client itself, where a proxy on this machine tells it. What the client writes into the
/// header stands further left, and is not believed.
fn address(app: &App, request: &Request) -> IpAddr {
    let peer = request
        .extensions()
        .get::<Peer>()
        .map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
    if !app.options.is_proxied || !peer.is_loopback() {
        return peer;
    }
    let lines = request.headers().get_all("x-forwarded-for");
    let last = lines.iter().next_back().and_then(|v| v.to_str().ok());
    let told = last.and_then(|line| line.rsplit(',').next()?.trim().parse().ok());
    told.unwrap_or(peer)
}

async fn entered(app: &App, headers: &HeaderMap, address: IpAddr) -> Result<In, Fault> {
    let now = app.clock.mono();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let token = value.to_str().ok().and_then(|v| v.strip_prefix("Bearer "));
        let token = token.filter(|token| token.len() <= TOKEN_MOST);
        return by_token(app, token.unwrap_or_default(), address).await;
    }
    let token = COOKIE.of(headers, app.is_secure()).ok_or_else(out)?;
    let session = app.sessions.find(token, now).map_err(|e| held(&e))?;
    let user = app.users.find(&session.user).await?;
    let Some(user) = user.filter(|user| user.mark() == session.mark) else {
        app.sessions.end(token);
        return Err(out());
    };
    Ok(In {
        user,
        address,
        token: Secret::new(token),
        session: Some(session),
    })
}

async fn by_token(app: &App, token: &str, address: IpAddr) -> Result<In, Fault> {
    let now = app.clock.mono();
    // Who comes by way of this machine itself cannot be told apart, so nobody waits for another.
    let counts = !address.is_loopback();
    if counts && let Some(wait) = locked(&app.throttle).wait(OF_TOKENS, address, now) {
        return Err(Fault::new(Code::Locked, "too many wrong tokens; wait").after(wait));
    }
    let holder = match token.is_empty() {
        true => None,
        false => app.users.holder(token, app.clock.wall().to_utc()).await?,
    };
    let Some(user) = holder else {
        if counts {
            locked(&app.throttle).wrong(OF_TOKENS, address, now);
        }
        let message = "this token is unknown or has ended; have an admin make another";
        return Err(Fault::new(Code::Unauthenticated, message));
    };
    app.sessions
        .program(&user.name, now)
        .map_err(|e| held(&e))?;
    Ok(In {
        user,
        address,
        token: Secret::new(token),
        session: None,
    })
}

fn held(why: &Out) -> Fault {
    match why {
        Out::Unknown => out(),
        Out::TooMany => Fault::new(Code::Busy, "too many requests of one user; wait a moment")
            .after(Duration::from_secs(1)),
    }
}

/// The cookie of a session; an empty token takes it away.
pub(super) fn cookie(token: &str, is_secure: bool) -> String {
    COOKIE.set(token, is_secure)
}
