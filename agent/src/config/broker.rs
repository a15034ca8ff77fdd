//! `[broker]`: where the platform listens, and how we prove who we are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::ConfigError;
use super::resolve::At;
use kakou_uplink::{BrokerAddress, Login, TlsFiles, UplinkConfig};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawBroker {
    pub url: Option<Spanned<String>>,
    pub urls: Option<Spanned<Vec<Spanned<String>>>>,
    pub ca: Option<Spanned<String>>,
    pub certificate: Option<Spanned<String>>,
    pub key: Option<Spanned<String>>,
    pub user: Option<Spanned<String>>,
    pub password_file: Option<Spanned<String>>,
    pub client_id: Option<Spanned<String>>,
    pub window: Option<Spanned<u16>>,
    pub window_bytes: Option<Spanned<u32>>,
    pub bandwidth: Option<Spanned<u64>>,
    pub keep_alive_s: Option<Spanned<u16>>,
    pub answer_timeout_s: Option<Spanned<u16>>,
    pub session_expiry_s: Option<Spanned<u32>>,
}

/// The brokers, in the order they are tried, and how to speak to them.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerConfig {
    pub addresses: Vec<BrokerAddress>,
    pub tls: TlsFiles,
    pub login: Option<Login>,
    /// `None`: `kakou-SITE-AGENT`.
    pub client_id: Option<String>,
    pub window: u16,
    pub window_bytes: usize,
    pub bandwidth: Option<u64>,
    pub keep_alive: Duration,
    pub answer_timeout: Duration,
    pub session_expiry: Duration,
}

impl BrokerConfig {
    /// As the uplink takes it. `client_id` holds where the config names none.
    pub fn uplink(&self, client_id: impl Into<String>) -> UplinkConfig {
        let client_id = self.client_id.clone().unwrap_or_else(|| client_id.into());
        UplinkConfig {
            tls: self.tls.clone(),
            login: self.login.clone(),
            window: self.window,
            window_bytes: self.window_bytes,
            bandwidth: self.bandwidth,
            keep_alive: self.keep_alive,
            answer_timeout: self.answer_timeout,
            session_expiry: self.session_expiry,
            ..UplinkConfig::new(self.addresses.clone(), client_id)
        }
    }
}

impl std::fmt::Display for BrokerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(", "))
    }
}

pub(super) fn resolve(
    raw: &RawBroker,
    at: &At<'_>,
    base: &Path,
) -> Result<BrokerConfig, ConfigError> {
    let urls: Vec<(&Spanned<String>, &str)> = match (&raw.url, &raw.urls) {
        (Some(url), None) => vec![(url, "broker.url")],
        (None, Some(urls)) => urls.get_ref().iter().map(|u| (u, "broker.urls")).collect(),
        (Some(url), Some(_)) => {
            return Err(at.wrong(
                url.span(),
                "broker.url",
                "`url` and `urls` are both given; keep one",
            ));
        }
        (None, None) => Vec::new(),
    };
    let addresses = urls
        .iter()
        .map(|(url, key)| {
            url.get_ref()
                .parse::<BrokerAddress>()
                .map_err(|e| at.wrong(url.span(), key, e.to_string()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if addresses.is_empty() {
        let span = raw.urls.as_ref().map_or(0..0, Spanned::span);
        return Err(at.wrong(
            span,
            "broker.url",
            "no broker is named; write url = \"mqtts://host\"",
        ));
    }
    let file =
        |key: &str, value: &Option<Spanned<String>>| -> Result<Option<PathBuf>, ConfigError> {
            value
                .as_ref()
                .map(|v| secret_path(v, key, at, base))
                .transpose()
        };
    let client = match (
        file("broker.certificate", &raw.certificate)?,
        file("broker.key", &raw.key)?,
    ) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            let given = raw.certificate.as_ref().or(raw.key.as_ref());
            let span = given.map_or(0..0, Spanned::span);
            return Err(at.wrong(
                span,
                "broker.certificate",
                "`certificate` and `key` belong together; give both",
            ));
        }
    };
    let tls = TlsFiles {
        ca: file("broker.ca", &raw.ca)?,
        client,
    };
    if let Some(given) = raw.ca.as_ref().or(raw.certificate.as_ref())
        && addresses.iter().any(|a| !a.tls)
    {
        let reason =
            "certificates are given, but an address is mqtt:// without TLS; write mqtts://";
        return Err(at.wrong(given.span(), "broker.ca", reason));
    }
    let password_file = file("broker.password_file", &raw.password_file)?;
    let login = match (&raw.user, password_file) {
        (Some(user), password_file) => Some(Login {
            user: user.get_ref().clone(),
            password_file,
        }),
        (None, None) => None,
        (None, Some(_)) => {
            let span = raw.password_file.as_ref().map_or(0..0, Spanned::span);
            return Err(at.wrong(
                span,
                "broker.user",
                "`password_file` is given without `user`",
            ));
        }
    };
    let seconds = |v: u64| Duration::from_secs(v);
    Ok(BrokerConfig {
        addresses,
        tls,
        login,
        client_id: raw
            .client_id
            .as_ref()
            .map(|id| at.id("broker.client_id", id))
            .transpose()?,
        window: at.within("broker.window", raw.window.as_ref(), 1..=65_000, 4096)?,
        window_bytes: at.within(
            "broker.window_bytes",
            raw.window_bytes.as_ref(),
            65_536..=1 << 28,
            4 << 20,
        )? as usize,
        bandwidth: match &raw.bandwidth {
            None => None,
            some => Some(at.within("broker.bandwidth", some.as_ref(), 1000..=1 << 40, 0)?),
        },
        keep_alive: seconds(
            at.within(
                "broker.keep_alive_s",
                raw.keep_alive_s.as_ref(),
                5..=3600,
                30,
            )?
            .into(),
        ),
        answer_timeout: seconds(
            at.within(
                "broker.answer_timeout_s",
                raw.answer_timeout_s.as_ref(),
                2..=3600,
                20,
            )?
            .into(),
        ),
        session_expiry: seconds(
            at.within(
                "broker.session_expiry_s",
                raw.session_expiry_s.as_ref(),
                0..=604_800,
                3600,
            )?
            .into(),
        ),
    })
}

/// A path from the config's folder, or `credential:NAME`: a systemd credential.
pub(super) fn secret_path(
    value: &Spanned<String>,
    key: &str,
    at: &At<'_>,
    base: &Path,
) -> Result<PathBuf, ConfigError> {
    let text = value.get_ref();
    let Some(name) = text.strip_prefix("credential:") else {
        return Ok(base.join(text));
    };
    if name.is_empty() || name.contains('/') {
        return Err(at.wrong(
            value.span(),
            key,
            "write credential:NAME, with the NAME of LoadCredential= in the unit",
        ));
    }
    match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(folder) => Ok(PathBuf::from(folder).join(name)),
        // Checked on a desk: the file is there only under systemd, and is read when the agent connects.
        None => Ok(PathBuf::from("/run/credentials/kakou.service").join(name)),
    }
}
