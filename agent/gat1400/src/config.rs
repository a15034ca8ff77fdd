//! What must be known of an upper library.

use std::time::Duration;

use kakou_guard::Secret;
use url::Url;

use crate::fault::FieldError;
use crate::ids::DeviceId;
use crate::subscription::Hosts;

/// What a person decides. The defaults of [`UpperSettings::new`] suit most.
#[derive(Debug, Clone)]
pub struct UpperSettings {
    /// Scheme, host and port, as `http://10.1.2.3:14000/`.
    pub address: String,
    /// Ours, as a library (type 503).
    pub device_id: DeviceId,
    pub user: String,
    pub password: Secret,
    /// Who may vouch for an https address, in PEM; `None`: whom this machine trusts.
    pub ca: Option<Vec<u8>>,
    pub keep_alive: Duration,
    /// How long a request may take.
    pub timeout: Duration,
    /// The most vehicles of a request.
    pub batch_objects: usize,
    /// The most bytes of a request.
    pub batch_bytes: usize,
    /// How long to wait when there is nothing to send.
    pub idle: Duration,
    /// The first wait after a failure, and the longest.
    pub wait_least: Duration,
    pub wait_most: Duration,
    /// Hosts to which notifications may go, as `10.1.2.3` or `10.1.2.3:8080`.
    pub notify_hosts: Vec<String>,
}

impl UpperSettings {
    pub fn new(
        address: impl Into<String>,
        device_id: DeviceId,
        user: impl Into<String>,
        password: Secret,
    ) -> Self {
        Self {
            address: address.into(),
            device_id,
            user: user.into(),
            password,
            ca: None,
            keep_alive: Duration::from_secs(60),
            timeout: Duration::from_secs(30),
            batch_objects: 50,
            batch_bytes: 8 << 20,
            idle: Duration::from_secs(1),
            wait_least: Duration::from_secs(1),
            wait_most: Duration::from_secs(60),
            notify_hosts: Vec::new(),
        }
    }
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct UpperConfig {
    pub(crate) settings: UpperSettings,
    pub(crate) base: Url,
    pub(crate) hosts: Hosts,
}

impl TryFrom<UpperSettings> for UpperConfig {
    type Error = FieldError;

    fn try_from(settings: UpperSettings) -> Result<Self, FieldError> {
        let base = base(&settings.address)?;
        let seconds = |from: u64, to: u64| Duration::from_secs(from)..=Duration::from_secs(to);
        let millis = |from: u64, to: u64| Duration::from_millis(from)..=Duration::from_millis(to);
        between("keep_alive", settings.keep_alive, &millis(10, 600_000))?;
        between("timeout", settings.timeout, &seconds(1, 600))?;
        between("idle", settings.idle, &millis(1, 60_000))?;
        between("wait_least", settings.wait_least, &millis(1, 60_000))?;
        between("wait_most", settings.wait_most, &millis(1, 3_600_000))?;
        between("batch_objects", settings.batch_objects, &(1..=1_000))?;
        between("batch_bytes", settings.batch_bytes, &(64 << 10..=256 << 20))?;
        if settings.user.is_empty() || settings.user.chars().any(char::is_control) {
            let mend = "give the user that the upper library made for this side";
            return Err(FieldError::new(
                "user",
                "empty, or with control characters",
                mend,
            ));
        }
        let hosts = Hosts::new("notify_hosts", &settings.notify_hosts)?;
        Ok(Self {
            settings,
            base,
            hosts,
        })
    }
}

fn base(address: &str) -> Result<Url, FieldError> {
    let wrong = |what: &str| {
        let mend = "write it as http://10.1.2.3:14000/, and user and password apart";
        FieldError::new("address", what, mend)
    };
    let url = Url::parse(address).map_err(|e| wrong(&e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("neither http nor https with a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it has a user or a password in it"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has more than scheme, host and port"));
    }
    Ok(url)
}

fn between<T: PartialOrd + std::fmt::Debug>(
    field: &str,
    given: T,
    allowed: &std::ops::RangeInclusive<T>,
) -> Result<(), FieldError> {
    if allowed.contains(&given) {
        return Ok(());
    }
    let what = format!(
        "{given:?} is not within {:?} to {:?}",
        allowed.start(),
        allowed.end()
    );
    Err(FieldError::new(field, what, "give a value within them"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings(address: &str) -> UpperSettings {
        let device = DeviceId::new("DeviceID", "13010000005030000001").unwrap();
        UpperSettings::new(address, device, "kakou", Secret::new("hidden"))
    }

    #[test]
    fn an_address_has_no_password_and_no_path() {
        assert!(UpperConfig::try_from(settings("https://10.1.2.3:14000")).is_ok());
        for bad in [
            "",
            "ftp://h/",
            "http://a:hidden@h/",
            "http://h/VIID",
            "http://h/?a",
            "10.1.2.3",
        ] {
            let e = UpperConfig::try_from(settings(bad))
                .unwrap_err()
                .to_string();
            assert!(
                e.starts_with("address: ") && !e.contains("hidden"),
                "{bad}: {e}"
            );
        }
    }

    #[test]
    fn bounds_are_named_and_the_password_is_not() {
        let mut far = settings("http://h/");
        far.batch_objects = 0;
        let e = UpperConfig::try_from(far).unwrap_err().to_string();
        assert_eq!(
            e,
            "batch_objects: 0 is not within 1 to 1000; give a value within them"
        );
        let good = UpperConfig::try_from(settings("http://h/")).unwrap();
        assert!(!format!("{good:?}").contains("hidden"));
    }
}
