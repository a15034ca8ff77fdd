//! Where a camera is, and who we are to it.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD as BASE64;
use kakou_guard::Secret;
use url::Url;

use crate::Trust;

/// How RTSP brings the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Within the connection.
    #[default]
    Tcp,
    Udp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub user: Secret,
    pub password: Secret,
}

impl Login {
    /// Whether a text of the camera's repeats the password, as it is or as Basic sends it. Of a
    /// text that does, nothing is shown: to take out a short password would leave its place.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let (user, password) = (self.user.reveal(), self.password.reveal());
        let coded = BASE64.encode(format!("{user}:{password}"));
        !password.is_empty() && (text.contains(password) || text.contains(&coded))
    }
}

/// How long a camera may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    /// Without a byte of the camera.
    pub silence: Duration,
    /// From a request to the whole answer, however slowly it drips.
    pub answer: Duration,
    /// For the goodbye.
    pub goodbye: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            goodbye: Duration::from_secs(1),
        }
    }
}

/// A network camera. `Debug` shows nothing that opens it.
#[derive(Clone)]
pub struct Target {
    /// Whole, but for user and password: cameras put secrets into paths and queries.
    pub url: Secret,
    pub login: Option<Login>,
    pub transport: Transport,
    pub trust: Trust,
    pub timeouts: Timeouts,
}

/// The parts of the URL that a connection needs.
pub(crate) struct Parts {
    /// As it is dialled: an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    /// `host:port` as it stands in a URL.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
}

impl Target {
    pub(crate) fn parts(&self) -> Option<Parts> {
        let url = Url::parse(self.url.reveal()).ok()?;
        let (tls, port) = match url.scheme() {
            "rtsp" => (false, 554),
            "rtsps" => (true, 322),
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return None,
        };
        let shown = url.host_str()?.to_owned();
        let host = shown
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let authority = url.port().map_or(shown.clone(), |p| format!("{shown}:{p}"));
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Some(Parts {
            host,
            port: url.port().unwrap_or(port),
            tls,
            authority,
            path,
        })
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("login", &self.login.is_some())
            .field("transport", &self.transport)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}
