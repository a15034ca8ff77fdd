//! The config of the centre: a TOML file in, checked settings out.
//!
//! A config is used whole or not at all. An error names the file, the line and the key. Passwords lie
//! in files of their own, which the config names.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kakou_contract::Id;
use kakou_guard::Secret;
use kakou_guard::file::read_bounded;
use kakou_uplink::{BrokerAddress, ReceiverConfig, TlsFiles, User};
use serde::Deserialize;

use crate::api::Listen;
use crate::ingest::ObjectsConfig;
use crate::life::LifeConfig;
use crate::metrics::MetricsConfig;
use crate::push::{
    AgreementConfig, PushBroker, PushConfigError, PushSettings, RecipientConfig, Recipients,
};
use crate::store::Store;
use crate::upper::{Gat1400Config, PlanError, UpperPlan};

/// A city's config has some thousand lines of recipients.
const LARGEST: u64 = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: {why}")]
    File { path: PathBuf, why: String },
    #[error("{path}: {key}: {why}")]
    Key {
        path: PathBuf,
        key: &'static str,
        why: String,
    },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CentralConfig {
    /// The shared subscription: all processes of one group share what comes.
    pub group: Id,
    /// Of this process; must stay the same from start to start, and differ within the group. The
    /// broker keeps what comes for it meanwhile under this name.
    pub name: Id,
    pub broker: BrokerConfig,
    pub database: DatabaseConfig,
    pub objects: ObjectsConfig,
    #[serde(default)]
    pub life: LifeConfig,
    #[serde(default)]
    pub gaps: GapsConfig,
    /// The HTTP interface; missing: there is none.
    pub api: Option<ApiConfig>,
    /// `/metrics` and `/health`; missing: nothing listens for them.
    pub metrics: Option<MetricsConfig>,
    #[serde(default)]
    pub push: PushSettings,
    #[serde(default)]
    pub recipient: Vec<RecipientConfig>,
    #[serde(default)]
    pub agreement: Vec<AgreementConfig>,
    /// The way to an upper view library; missing: there is none.
    pub gat1400: Option<Gat1400Config>,
}

/// `[api]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    /// As `127.0.0.1:8490`.
    pub listen: SocketAddr,
    /// Certificate chain and key in PEM; without them it listens on loopback alone.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// A proxy on this machine ends TLS, and says in X-Forwarded-For who asks.
    #[serde(default)]
    pub proxied: bool,
}

impl ApiConfig {
    pub fn place(&self) -> Listen {
        Listen {
            address: self.listen,
            certificate: self.certificate.clone().zip(self.key.clone()),
        }
    }
}

/// `[broker]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// `mqtts://host:port`; of a cluster several nodes, tried in turn.
    pub urls: Vec<String>,
    pub user: Option<String>,
    pub password_file: Option<PathBuf>,
    /// Who may vouch for the broker; missing: whom this machine trusts.
    pub ca: Option<PathBuf>,
    /// Our own certificate and its key.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// `[database]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// As libpq writes it.
    pub url: Option<String>,
    /// Or a file with it, where a password is in it.
    pub url_file: Option<PathBuf>,
    /// Who may vouch for the server; missing: whom this machine trusts.
    pub ca: Option<PathBuf>,
    #[serde(default = "connections")]
    pub connections: usize,
}

const fn connections() -> usize {
    20
}

/// `[gaps]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GapsConfig {
    /// A gap is asked for when it is so old: messages overtake each other.
    pub ask_after_s: u32,
    /// And again after so long, twice as long each time, up to an hour.
    pub ask_again_s: u32,
    /// Questions a minute to all agents together: what is asked for comes beside what is new.
    pub ask_a_minute: u32,
    /// Messages in one question.
    pub ask_messages: u32,
}

impl Default for GapsConfig {
    fn default() -> Self {
        Self {
            ask_after_s: 60,
            ask_again_s: 120,
            ask_a_minute: 600,
            ask_messages: 2_000,
        }
    }
}

impl CentralConfig {
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let fault = |why: String| ConfigError::File {
            path: path.to_owned(),
            why,
        };
        let bytes = read_bounded(path, LARGEST).map_err(|e| fault(e.why))?;
        let text = String::from_utf8(bytes).map_err(|_| fault("it is not UTF-8".to_owned()))?;
        let config: Self = toml::from_str(&text).map_err(|e| fault(e.to_string()))?;
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let fault = |key, why: &str| {
            Err(ConfigError::Key {
                path: path.to_owned(),
                key,
                why: why.to_owned(),
            })
        };
        if self.broker.urls.is_empty() {
            return fault(
                "broker.urls",
                "name at least one, as [\"mqtts://broker.example\"]",
            );
        }
        if self.broker.certificate.is_some() != self.broker.key.is_some() {
            return fault(
                "broker.key",
                "certificate and key belong together: give both or none",
            );
        }
        if let Some(api) = &self.api
            && api.certificate.is_some() != api.key.is_some()
        {
            return fault(
                "api.key",
                "certificate and key belong together: give both or none",
            );
        }
        if self.broker.password_file.is_some() && self.broker.user.is_none() {
            return fault("broker.user", "missing beside password_file");
        }
        if self.database.url.is_some() == self.database.url_file.is_some() {
            return fault("database.url", "give either url or url_file");
        }
        if self.objects.folder.is_some() == self.objects.bucket.is_some() {
            return fault("objects.folder", "give either folder or bucket");
        }
        if let Err(error) = self.objects.check() {
            return fault("objects.endpoint", &error);
        }
        if self.gaps.ask_messages == 0
            || u64::from(self.gaps.ask_messages) > kakou_contract::command::RESEND_MAX
        {
            return fault("gaps.ask_messages", "give 1 to 100000");
        }
        if self.life.silent_after_s < 10 {
            return fault(
                "life.silent_after_s",
                "give 10 or more: two of the agents' status intervals",
            );
        }
        if let Err(error) = self.recipients() {
            return fault("recipient", &error.to_string());
        }
        if let Err(error) = self.upper() {
            return fault(error.key, &error.why);
        }
        self.brokers().map(drop).map_err(|why| ConfigError::Key {
            path: path.to_owned(),
            key: "broker.urls",
            why,
        })
    }

    /// With user and password.
    pub fn brokers(&self) -> Result<Vec<BrokerAddress>, String> {
        let login = match &self.broker.user {
            None => None,
            Some(name) => {
                let password = match &self.broker.password_file {
                    None => Secret::new(""),
                    Some(path) => Secret::from_file(path).map_err(|e| e.to_string())?,
                };
                Some(User {
                    name: name.clone(),
                    password,
                })
            }
        };
        let address = |url: &String| {
            let mut address: BrokerAddress = url.parse().map_err(|e| format!("{e}"))?;
            if let Some(login) = &login {
                address.user = Some(login.clone());
            }
            Ok(address)
        };
        self.broker.urls.iter().map(address).collect()
    }

    /// Who is told of hits, checked.
    pub fn recipients(&self) -> Result<Recipients, PushConfigError> {
        Recipients::check(&self.recipient, &self.agreement, &self.push)
    }

    /// The way to the upper view library, checked.
    pub fn upper(&self) -> Result<Option<UpperPlan>, PlanError> {
        self.gat1400.as_ref().map(Gat1400Config::plan).transpose()
    }

    /// For what the centre itself publishes.
    pub fn push_broker(&self) -> Result<PushBroker, String> {
        Ok(PushBroker {
            brokers: self.brokers()?,
            tls: self.tls(),
            client_id: format!("{}-{}", self.group, self.name),
        })
    }

    pub fn tls(&self) -> TlsFiles {
        let broker = &self.broker;
        TlsFiles {
            ca: broker.ca.clone(),
            client: broker.certificate.clone().zip(broker.key.clone()),
        }
    }

    pub fn database_url(&self) -> Result<Secret, String> {
        match (&self.database.url, &self.database.url_file) {
            (Some(url), _) => Ok(Secret::new(url.as_str())),
            (None, Some(path)) => Secret::from_file(path).map_err(|e| e.to_string()),
            (None, None) => Err("missing".to_owned()),
        }
    }

    /// Nothing is dialled yet. `connections`: the most at once, where it is not what the config says.
    pub fn store(&self, connections: Option<usize>) -> anyhow::Result<Store> {
        let url = self.database_url().map_err(anyhow::Error::msg)?;
        let most = connections.unwrap_or(self.database.connections);
        let ca = self.database.ca.as_deref();
        Ok(Store::open_trusting(url.reveal(), ca, most)?)
    }

    /// What every connection to the broker has in common.
    pub fn receiver(&self) -> ReceiverConfig {
        let mut config = ReceiverConfig::new("", [""; 0]);
        config.tls = self.tls();
        config
    }
}
