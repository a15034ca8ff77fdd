//! The cookie of a session.

use axum::http::{HeaderMap, header};

/// What it is called. Behind TLS browsers take the second name from this host alone.
#[derive(Debug, Clone, Copy)]
pub struct Cookie {
    pub plain: &'static str,
    /// Begins with `__Host-`.
    pub secure: &'static str,
    pub age_s: u64,
}

impl Cookie {
    fn name(&self, is_secure: bool) -> &'static str {
        if is_secure { self.secure } else { self.plain }
    }

    /// The token that a request brings.
    pub fn of<'a>(&self, headers: &'a HeaderMap, is_secure: bool) -> Option<&'a str> {
        let wanted = self.name(is_secure);
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
    }

    /// What sets it; an empty token takes it away.
    pub fn set(&self, token: &str, is_secure: bool) -> String {
        let age = if token.is_empty() { 0 } else { self.age_s };
        let secure = if is_secure { "; Secure" } else { "" };
        let name = self.name(is_secure);
        format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
    }
}
