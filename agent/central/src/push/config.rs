//! Who is told of hits, as the config says it: `[[recipient]]`, `[[agreement]]` and `[push]`.
//!
//! [`Recipients::check`] makes of it what the rest works with, or an error that names the key and
//! the mend. A recipient that is not checked is told nothing. No error and no `{:?}` shows an
//! address beyond its host: a URL may hold a token.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use kakou_contract::{HitState, Id, Level};
use kakou_guard::Secret;
use serde::Deserialize;
use url::Url;

use super::sign::{KeyError, SigningKeys};
use crate::here::is_this_machine;

/// `areas = ["all"]`.
const ALL: &str = "all";
const RECIPIENTS_MAX: usize = 200;
const LIST_MAX: usize = 1_000;
const CATEGORY_MAX: usize = 1_000;
const TOPIC_MAX: usize = 1_024;
const URL_MAX: usize = 2_048;
const TIMEOUT_MOST_S: u64 = 60;
const AT_ONCE_MOST: usize = 64;
const YEAR_S: u64 = 365 * 86_400;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientConfig {
    pub name: Id,
    /// Whose it is; missing: that of `[push] prefecture`.
    pub prefecture: Option<Id>,
    pub levels: Vec<Level>,
    pub states: Vec<HitState>,
    /// Prefectures and sites; `["all"]`: all that the recipient has a right to.
    pub areas: Vec<String>,
    /// The lists' own words; missing: all.
    pub categories: Option<Vec<String>>,
    pub webhook: Option<WebhookConfig>,
    pub mqtt: Option<MqttConfig>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    pub url: String,
    /// One key a line, the newest first; each signs, so that a key can be changed.
    pub secret_file: PathBuf,
    /// Who may vouch for the server; missing: the authorities of the machine.
    pub ca: Option<PathBuf>,
    /// Without TLS beyond this machine.
    #[serde(default)]
    pub plain_http: bool,
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("secret_file", &self.secret_file)
            .field("ca", &self.ca)
            .field("plain_http", &self.plain_http)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// With `{recipient}`, `{level}` and `{site}`, as `platform/{recipient}/hit/{level}`.
    pub topic: String,
}

/// What recipients of prefecture `to` may see of the hits in `from`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementConfig {
    pub from: Id,
    pub to: Id,
    pub levels: Vec<Level>,
    /// Missing: all.
    pub categories: Option<Vec<String>>,
    /// Sites of `from`; missing: all.
    pub sites: Option<Vec<Id>>,
    #[serde(default)]
    pub pictures: bool,
    /// Why the plate is listed: `reason` and `entry.basis`.
    #[serde(default)]
    pub reason: bool,
    /// Who listed it: `entry.authority`, `entry.list` and `entry.list_version`.
    #[serde(default)]
    pub authority: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PushSettings {
    /// The centre's own: that of sites and recipients that name none.
    pub prefecture: Option<Id>,
    /// One try ends after so many seconds.
    pub timeout_s: u64,
    /// The most tries at once for each recipient and channel. One of several is kept for red hits.
    pub at_once: usize,
    /// After so many seconds a hit is no reason to stop a vehicle any more: it is told as late.
    pub late_after_s: PerLevel,
    /// After so many seconds it is not tried again, and recorded as undelivered.
    pub give_up_after_s: PerLevel,
}

impl Default for PushSettings {
    fn default() -> Self {
        Self {
            prefecture: None,
            timeout_s: 10,
            at_once: 4,
            late_after_s: PerLevel::default_late(),
            give_up_after_s: PerLevel::default_give_up(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerLevel {
    pub red: u64,
    pub orange: u64,
    pub yellow: u64,
    pub blue: u64,
}

impl PerLevel {
    /// As agents have it: a minute.
    const fn default_late() -> Self {
        Self {
            red: 60,
            orange: 60,
            yellow: 60,
            blue: 60,
        }
    }

    const fn default_give_up() -> Self {
        Self {
            red: 86_400,
            orange: 86_400,
            yellow: 43_200,
            blue: 21_600,
        }
    }

    pub fn of(&self, level: Level) -> Duration {
        Duration::from_secs(match level {
            Level::Red => self.red,
            Level::Orange => self.orange,
            Level::Yellow => self.yellow,
            Level::Blue => self.blue,
        })
    }
}

/// What is wrong with the config.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {what}; {mend}")]
pub struct PushConfigError {
    /// As `recipient "duty-b".webhook.url`.
    pub key: String,
    pub what: String,
    pub mend: String,
}

fn wrong(
    key: impl Into<String>,
    what: impl Into<String>,
    mend: impl Into<String>,
) -> PushConfigError {
    PushConfigError {
        key: key.into(),
        what: what.into(),
        mend: mend.into(),
    }
}

/// The checked config.
#[derive(Debug, Clone)]
pub struct Recipients {
    pub(super) list: Vec<Recipient>,
    pub(super) agreements: Vec<AgreementConfig>,
    pub(super) settings: PushSettings,
}

#[derive(Debug, Clone)]
pub(super) struct Recipient {
    pub(super) name: Id,
    pub(super) prefecture: Option<Id>,
    pub(super) levels: Vec<Level>,
    pub(super) states: Vec<HitState>,
    /// `None`: all.
    pub(super) areas: Option<Vec<Id>>,
    pub(super) categories: Option<Vec<String>>,
    pub(super) webhook: Option<Webhook>,
    pub(super) mqtt: Option<MqttConfig>,
}

#[derive(Clone)]
pub(super) struct Webhook {
    pub(super) url: Url,
    pub(super) keys: SigningKeys,
    pub(super) ca: Option<PathBuf>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("host", &self.url.host_str())
            .field("ca", &self.ca)
            .finish_non_exhaustive()
    }
}

impl Recipients {
    /// Reads the key files too.
    pub fn check(
        recipients: &[RecipientConfig],
        agreements: &[AgreementConfig],
        settings: &PushSettings,
    ) -> Result<Self, PushConfigError> {
        check_settings(settings)?;
        check_prefecture(settings.prefecture.as_ref(), "push.prefecture")?;
        if recipients.len() > RECIPIENTS_MAX {
            return Err(wrong(
                "recipient",
                format!("{} of them", recipients.len()),
                format!("give at most {RECIPIENTS_MAX}"),
            ));
        }
        agreements.iter().enumerate().try_for_each(|(index, it)| {
            let key = |field: &str| format!("agreement {}.{field}", index + 1);
            check_prefecture(Some(&it.from), &key("from"))?;
            check_prefecture(Some(&it.to), &key("to"))?;
            if it.from == it.to {
                return Err(wrong(key("to"), "the same as from", "name the neighbour"));
            }
            some(&it.levels, key("levels"))?;
            check_categories(it.categories.as_deref(), key("categories"))?;
            it.sites
                .as_ref()
                .map_or(Ok(()), |sites| some(sites, key("sites")))
        })?;
        let knows_prefectures =
            !agreements.is_empty() || recipients.iter().any(|it| it.prefecture.is_some());
        let mut names = HashSet::new();
        let mut list = Vec::with_capacity(recipients.len());
        for it in recipients {
            if !names.insert(&it.name) {
                let key = format!("recipient {:?}.name", it.name.as_str());
                return Err(wrong(key, "given twice", "give each its own"));
            }
            let key = format!("recipient {:?}.prefecture", it.name.as_str());
            check_prefecture(it.prefecture.as_ref(), &key)?;
            let prefecture = it.prefecture.as_ref().or(settings.prefecture.as_ref());
            if prefecture.is_none() && knows_prefectures {
                return Err(wrong(
                    key,
                    "missing, and others have one",
                    "say whose it is, or set [push] prefecture",
                ));
            }
            list.push(checked(it, prefecture.cloned())?);
        }
        Ok(Self {
            list,
            agreements: agreements.to_vec(),
            settings: settings.clone(),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Somebody is told over MQTT: a broker is needed.
    pub fn needs_broker(&self) -> bool {
        self.list.iter().any(|it| it.mqtt.is_some())
    }
}

fn check_settings(settings: &PushSettings) -> Result<(), PushConfigError> {
    let within = |key: &str, has: u64, least: u64, most: u64| {
        if (least..=most).contains(&has) {
            return Ok(());
        }
        let key = format!("push.{key}");
        Err(wrong(
            key,
            has.to_string(),
            format!("give {least} to {most}"),
        ))
    };
    within("timeout_s", settings.timeout_s, 1, TIMEOUT_MOST_S)?;
    let at_once = settings.at_once as u64;
    within("at_once", at_once, 1, AT_ONCE_MOST as u64)?;
    for level in Level::ALL {
        let of = |per: &PerLevel| per.of(*level).as_secs();
        let late = of(&settings.late_after_s);
        within(&format!("late_after_s.{level}"), late, 1, YEAR_S)?;
        let give_up = of(&settings.give_up_after_s);
        within(&format!("give_up_after_s.{level}"), give_up, 1, YEAR_S)?;
    }
    Ok(())
}

/// As the sites have it; a code that is mistyped would match none and be noticed by nobody.
fn check_prefecture(code: Option<&Id>, key: &str) -> Result<(), PushConfigError> {
    let Some(code) = code.map(Id::as_str) else {
        return Ok(());
    };
    let digits = code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit());
    match digits && !code.starts_with('0') {
        true => Ok(()),
        false => Err(wrong(
            key,
            format!("{code:?} is no prefecture"),
            "give the six digits of GB/T 2260, as 130100",
        )),
    }
}

fn some<T>(list: &[T], key: String) -> Result<(), PushConfigError> {
    match list.len() {
        0 => Err(wrong(key, "empty", "name at least one")),
        1..=LIST_MAX => Ok(()),
        many => {
            let what = format!("{many} entries");
            Err(wrong(key, what, format!("give at most {LIST_MAX}")))
        }
    }
}

fn check_categories(list: Option<&[String]>, key: String) -> Result<(), PushConfigError> {
    let Some(list) = list else { return Ok(()) };
    some(list, key.clone())?;
    let bad = |it: &&String| it.is_empty() || it.chars().count() > CATEGORY_MAX;
    match list.iter().find(bad) {
        None => Ok(()),
        Some(_) => {
            let mend = format!("give each 1 to {CATEGORY_MAX} characters, or leave the key out");
            Err(wrong(key, "an entry is empty or too long", mend))
        }
    }
}

fn checked(it: &RecipientConfig, prefecture: Option<Id>) -> Result<Recipient, PushConfigError> {
    let key = |field: &str| format!("recipient {:?}.{field}", it.name.as_str());
    some(&it.levels, key("levels"))?;
    some(&it.states, key("states"))?;
    some(&it.areas, key("areas"))?;
    check_categories(it.categories.as_deref(), key("categories"))?;
    // Who was told "it is in sight" and never hears "it was none" stops the wrong vehicle.
    let has = |state: HitState| it.states.contains(&state);
    if has(HitState::Provisional) && !has(HitState::Retracted) {
        return Err(wrong(
            key("states"),
            "provisional without retracted",
            "add \"retracted\": who is told of a hit must hear that it was none",
        ));
    }
    let areas = match it.areas.iter().any(|area| area == ALL) {
        true if it.areas.len() == 1 => None,
        true => {
            let mend = "write areas = [\"all\"], or name the areas alone";
            return Err(wrong(key("areas"), "\"all\" beside others", mend));
        }
        false => Some(
            it.areas
                .iter()
                .map(|area| Id::new("area", area.as_str()))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| {
                    let mend = "give prefecture codes and site ids, or [\"all\"]";
                    wrong(key("areas"), e.to_string(), mend)
                })?,
        ),
    };
    if it.webhook.is_none() && it.mqtt.is_none() {
        return Err(wrong(
            key("webhook"),
            "missing, and so is mqtt",
            "say how it is told: webhook = { url, secret_file } or mqtt = { topic }",
        ));
    }
    if let Some(mqtt) = &it.mqtt {
        check_topic(&mqtt.topic, key("mqtt.topic"))?;
    }
    let webhook = match &it.webhook {
        Some(webhook) => Some(checked_webhook(webhook, &key)?),
        None => None,
    };
    Ok(Recipient {
        name: it.name.clone(),
        prefecture,
        levels: it.levels.clone(),
        states: it.states.clone(),
        areas,
        categories: it.categories.clone(),
        webhook,
        mqtt: it.mqtt.clone(),
    })
}

fn checked_webhook(
    it: &WebhookConfig,
    key: &impl Fn(&str) -> String,
) -> Result<Webhook, PushConfigError> {
    let mend = "write https://host/path";
    let bad = |what: &str| wrong(key("webhook.url"), what, mend);
    if it.url.len() > URL_MAX {
        return Err(bad("longer than 2048 bytes"));
    }
    let url = Url::parse(&it.url).map_err(|e| bad(&e.to_string()))?;
    let host = url.host().ok_or_else(|| bad("it names no host"))?;
    if !url.username().is_empty() || url.password().is_some() {
        let what = "it has a user or a password, which would show in logs on the way";
        return Err(wrong(
            key("webhook.url"),
            what,
            "leave them out: the signature proves who sends",
        ));
    }
    let is_here = is_this_machine(&host);
    match url.scheme() {
        "https" => {}
        "http" if is_here || it.plain_http => {}
        "http" => {
            return Err(wrong(
                key("webhook.url"),
                "plain HTTP beyond this machine: everybody on the way reads the hits",
                "write https://, or say plain_http = true",
            ));
        }
        _ => return Err(bad("neither http nor https")),
    }
    let secret = Secret::from_file(&it.secret_file).map_err(|e| {
        let mend = "put the key there: openssl rand -base64 32";
        wrong(key("webhook.secret_file"), e.to_string(), mend)
    })?;
    let keys = SigningKeys::parse(&secret).map_err(|fault: KeyError| {
        let what = format!("{}: {fault}", it.secret_file.display());
        wrong(
            key("webhook.secret_file"),
            what,
            "put one there: openssl rand -base64 32",
        )
    })?;
    Ok(Webhook {
        url,
        keys,
        ca: it.ca.clone(),
    })
}

fn check_topic(topic: &str, key: String) -> Result<(), PushConfigError> {
    let mend = "write it as platform/{recipient}/hit/{level}";
    let plain = topic
        .replace("{recipient}", "r")
        .replace("{level}", "l")
        .replace("{site}", "s");
    let fault = if plain.is_empty() || topic.len() > TOPIC_MAX {
        "not 1 to 1024 bytes long"
    } else if plain.contains(['{', '}']) {
        "a placeholder that is none of {recipient}, {level}, {site}"
    } else if plain.contains(['+', '#']) || plain.contains(char::is_control) {
        "a wildcard or a control character"
    } else if plain.starts_with('$') {
        "$ at its start, which is the broker's own"
    } else if plain == "kakou" || plain.starts_with("kakou/") {
        "below kakou/, where agents speak"
    } else {
        return Ok(());
    };
    Err(wrong(key, fault, mend))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
