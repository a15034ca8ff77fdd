//! `[gat1400]` of the config in, checked settings out.
//!
//! An error names the key and the mend. Passwords lie in files of their own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kakou_contract::Id;
use kakou_gat1400::codes::PlateClassTable;
use kakou_gat1400::ids::{DeviceId, OrgCode};
use kakou_gat1400::{FieldError, Hosts, UpperConfig, UpperSettings};
use kakou_guard::Secret;
use kakou_guard::file::read_bounded;
use serde::Deserialize;

use super::queue::Filter;

const CA_MAX: u64 = 1 << 20;
const LIST_MAX: usize = 10_000;

/// `[gat1400]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gat1400Config {
    /// The upper library, as `http://10.1.2.3:14000/`.
    pub url: String,
    /// Our DeviceID, as a view library.
    pub device_id: String,
    pub user: String,
    pub password_file: PathBuf,
    /// Who may vouch for an https address; missing: whom this machine trusts.
    pub ca: Option<PathBuf>,
    /// A passage goes without the pictures that have not come by then.
    #[serde(default = "wait_for_pictures")]
    pub wait_for_pictures_s: u32,
    /// Of which sites; missing: of all.
    pub sites: Option<Vec<Id>>,
    /// Of which cameras, by the DeviceIDs in the list of cameras: 20 digits are one, 2, 4, 6 or 8
    /// are a place. Missing: of all. A camera without a DeviceID is told as refused either way.
    pub devices: Option<Vec<String>>,
    #[serde(default)]
    pub plate_classes: PlateClassTable,
    #[serde(default = "keep_alive")]
    pub keep_alive_s: u32,
    /// How long a request may take. What a killed process held is taken over after twice as long.
    #[serde(default = "timeout")]
    pub timeout_s: u32,
    #[serde(default = "batch")]
    pub batch: usize,
    /// The upper library's subscriptions; missing: none are taken.
    pub subscriptions: Option<SubscriptionsConfig>,
}

/// `[gat1400.subscriptions]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionsConfig {
    /// Where the upper library sends them, as `10.1.2.9:14000`.
    pub listen: SocketAddr,
    /// The upper library's DeviceID.
    pub upper_device_id: String,
    /// How the upper library logs in here.
    pub user: String,
    pub password_file: PathBuf,
    /// Where notifications may go, as `10.1.2.3` or `10.1.2.3:8080`.
    pub notify_hosts: Vec<String>,
    /// 12 digits (公安机关机构代码), for the ids of notifications.
    pub organisation: String,
    /// The most subscriptions.
    #[serde(default = "subscriptions")]
    pub most: usize,
    /// The most vehicles that wait for one receiver; then the oldest are given up.
    #[serde(default = "waiting")]
    pub waiting: u32,
    /// What a receiver has not taken by then is given up.
    #[serde(default = "give_up")]
    pub give_up_after_s: u32,
}

const fn wait_for_pictures() -> u32 {
    20
}

const fn keep_alive() -> u32 {
    60
}

const fn timeout() -> u32 {
    30
}

const fn batch() -> usize {
    50
}

const fn subscriptions() -> usize {
    100
}

const fn waiting() -> u32 {
    100_000
}

const fn give_up() -> u32 {
    86_400
}

#[derive(Debug, thiserror::Error)]
#[error("{key}: {why}")]
pub struct PlanError {
    pub key: &'static str,
    pub why: String,
}

impl PlanError {
    fn new(key: &'static str, why: impl ToString) -> Self {
        let why = why.to_string();
        Self { key, why }
    }
}

/// `[gat1400]`, checked.
#[derive(Debug, Clone)]
pub struct UpperPlan {
    pub(super) library: UpperConfig,
    pub(super) plate_class: PlateClassTable,
    pub(super) filter: Filter,
    pub(super) pictures: Duration,
    /// How long what a process took is its own.
    pub(super) lease: Duration,
    pub(super) subscriptions: Option<SubscriptionsPlan>,
}

#[derive(Debug, Clone)]
pub(super) struct SubscriptionsPlan {
    pub(super) listen: SocketAddr,
    pub(super) upper: DeviceId,
    pub(super) user: String,
    pub(super) password: Secret,
    pub(super) hosts: Hosts,
    pub(super) organisation: OrgCode,
    pub(super) most: usize,
    pub(super) waiting: i64,
    pub(super) give_up: Duration,
}

impl UpperPlan {
    /// For [`crate::serve::Told`].
    pub fn filter(&self) -> Filter {
        self.filter.clone()
    }
}

impl Gat1400Config {
    pub fn plan(&self) -> Result<UpperPlan, PlanError> {
        let device_id = DeviceId::new("device_id", self.device_id.as_str())
            .map_err(|e| PlanError::new("gat1400.device_id", e))?;
        let password = secret("gat1400.password_file", &self.password_file)?;
        let mut settings = UpperSettings::new(
            self.url.as_str(),
            device_id.clone(),
            self.user.as_str(),
            password,
        );
        if let Some(path) = &self.ca {
            let pem = read_bounded(path, CA_MAX).map_err(|e| PlanError::new("gat1400.ca", e))?;
            settings.ca = Some(pem);
        }
        settings.keep_alive = Duration::from_secs(u64::from(self.keep_alive_s));
        settings.timeout = Duration::from_secs(u64::from(self.timeout_s));
        settings.batch_objects = self.batch;
        if self.keep_alive_s == 0 {
            return Err(PlanError::new("gat1400.keep_alive_s", "give 1 to 600"));
        }
        if self.wait_for_pictures_s > 86_400 {
            let why = "give 0 to 86400: a day";
            return Err(PlanError::new("gat1400.wait_for_pictures_s", why));
        }
        let sites = self
            .sites
            .as_ref()
            .map(|sites| list("gat1400.sites", sites));
        let devices = self.devices.as_ref().map(|devices| {
            let is_code = |code: &String| {
                matches!(code.len(), 2 | 4 | 6 | 8 | DeviceId::LENGTH)
                    && code.bytes().all(|b| b.is_ascii_digit())
            };
            match devices.iter().find(|code| !is_code(code)) {
                None => list("gat1400.devices", devices),
                Some(bad) => {
                    let bad: String = bad.chars().take(40).collect();
                    let mend = "write a DeviceID of 20 digits, or 2, 4, 6 or 8 digits of a place";
                    Err(PlanError::new(
                        "gat1400.devices",
                        format!("{bad:?}: {mend}"),
                    ))
                }
            }
        });
        let filter = Filter {
            sites: sites.transpose()?,
            devices: devices.transpose()?,
            library: device_id.to_string(),
        };
        let subscriptions = self.subscriptions.as_ref().map(SubscriptionsConfig::plan);
        let subscriptions = subscriptions.transpose()?;
        if let Some(config) = &self.subscriptions {
            settings.notify_hosts = config.notify_hosts.clone();
        }
        let lease = 2 * settings.timeout;
        Ok(UpperPlan {
            library: UpperConfig::try_from(settings).map_err(field)?,
            plate_class: self.plate_classes,
            filter,
            pictures: Duration::from_secs(u64::from(self.wait_for_pictures_s)),
            lease,
            subscriptions,
        })
    }
}

impl SubscriptionsConfig {
    fn plan(&self) -> Result<SubscriptionsPlan, PlanError> {
        let key = "gat1400.subscriptions.upper_device_id";
        let upper = DeviceId::new("upper_device_id", self.upper_device_id.as_str())
            .map_err(|e| PlanError::new(key, e))?;
        let organisation = OrgCode::new("organisation", self.organisation.as_str())
            .map_err(|e| PlanError::new("gat1400.subscriptions.organisation", e))?;
        let password = secret("gat1400.subscriptions.password_file", &self.password_file)?;
        if self.user.is_empty() || self.user.contains(|c: char| c.is_control() || c == '"') {
            let why = "give a name without control characters and quotes";
            return Err(PlanError::new("gat1400.subscriptions.user", why));
        }
        let hosts = Hosts::new("notify_hosts", &self.notify_hosts)
            .map_err(|e| PlanError::new("gat1400.subscriptions.notify_hosts", e))?;
        if self.notify_hosts.is_empty() {
            let why = "name the host that notifications may go to, as [\"10.1.2.3\"]";
            return Err(PlanError::new("gat1400.subscriptions.notify_hosts", why));
        }
        if !(1..=10_000).contains(&self.most) {
            return Err(PlanError::new(
                "gat1400.subscriptions.most",
                "give 1 to 10000",
            ));
        }
        if !(1..=10_000_000).contains(&self.waiting) {
            let why = "give 1 to 10000000";
            return Err(PlanError::new("gat1400.subscriptions.waiting", why));
        }
        if !(1..=30 * 86_400).contains(&self.give_up_after_s) {
            let why = "give 1 to 2592000: 30 days";
            return Err(PlanError::new("gat1400.subscriptions.give_up_after_s", why));
        }
        Ok(SubscriptionsPlan {
            listen: self.listen,
            upper,
            user: self.user.clone(),
            password,
            hosts,
            organisation,
            most: self.most,
            waiting: i64::from(self.waiting),
            give_up: Duration::from_secs(u64::from(self.give_up_after_s)),
        })
    }
}

fn secret(key: &'static str, path: &std::path::Path) -> Result<Secret, PlanError> {
    let secret = Secret::from_file(path).map_err(|e| PlanError::new(key, e))?;
    match secret.is_empty() {
        true => Err(PlanError::new(
            key,
            format!("{} is empty; write the password into it", path.display()),
        )),
        false => Ok(secret),
    }
}

fn list(key: &'static str, entries: &[impl ToString]) -> Result<Vec<String>, PlanError> {
    match entries.len() {
        0 => Err(PlanError::new(key, "empty; leave it out for all")),
        1..=LIST_MAX => Ok(entries.iter().map(ToString::to_string).collect()),
        _ => Err(PlanError::new(key, format!("at most {LIST_MAX} entries"))),
    }
}

/// The gateway's names of settings are not those of the config.
fn field(error: FieldError) -> PlanError {
    let key = match error.field.as_str() {
        "address" => "gat1400.url",
        "keep_alive" => "gat1400.keep_alive_s",
        "timeout" => "gat1400.timeout_s",
        "batch_objects" => "gat1400.batch",
        "user" => "gat1400.user",
        "ca" => "gat1400.ca",
        _ => "gat1400",
    };
    PlanError::new(key, format!("{}; {}", error.what, error.mend))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
