//! `[watchlist]` and its lists.

use std::path::{Path, PathBuf};

use kakou_contract::{Id, LISTS_MAX, VerifyingKey};
use kakou_traffic::watchlist::{ListOptions, Mode, Policy, Require, Rules, Unlisted};

use super::super::keys::watchlist::{self as keys, Needed};
use super::super::part::Part;
use super::super::settings::{DeliveredConfig, ListConfig};

/// `state`: where lists that the platform sends are kept.
pub(super) fn watchlist(part: &Part<'_>, base: &Path, state: &Path) -> Vec<ListConfig> {
    let common = Common {
        require: require(part),
        near: part.get(&keys::NEAR),
        min_score: part.get(&keys::MIN_SCORE),
        trusted: part
            .get(&keys::KEYS)
            .into_iter()
            .map(|(k, _)| k.0)
            .collect(),
        store_key_file: part.get(&keys::STORE_KEY_FILE).map(|f| base.join(f)),
        state,
    };
    let alone = part.get(&keys::FILE).map(|file| ListConfig {
        options: ListOptions {
            name: stem(&file),
            require: common.require,
            ..ListOptions::default()
        },
        file: base.join(file),
        delivered: None,
        policy: common.policy(None, None),
    });
    let mut parts = part.parts(&keys::LIST);
    if parts.len() > LISTS_MAX {
        let reason = format!("there are {}; at most {LISTS_MAX} are taken", parts.len());
        part.wrong(&keys::FILE, reason);
        parts.truncate(LISTS_MAX);
    }
    if part.is_given() && alone.is_none() && parts.is_empty() && part.place(&keys::FILE).is_none() {
        let reason =
            "is missing; write file = \"watchlist.csv\", or [[watchlist.list]] once for each list";
        part.wrong(&keys::FILE, reason);
    }
    let mut all: Vec<ListConfig> = alone.into_iter().collect();
    for part in &parts {
        let list = list(part, base, &common);
        // A file that was refused has been told.
        if let Some(other) = all.iter().find(|l| l.options.name == list.options.name)
            && !list.options.name.is_empty()
        {
            let reason = format!(
                "`{}` is also the name of {}; names must differ",
                list.options.name,
                other.file.display()
            );
            part.wrong(&keys::NAME, reason);
        }
        all.push(list);
    }
    all
}

/// What holds for lists that do not say it themselves.
struct Common<'a> {
    require: Require,
    near: Option<bool>,
    min_score: [f32; 4],
    trusted: Vec<VerifyingKey>,
    store_key_file: Option<PathBuf>,
    state: &'a Path,
}

impl Common<'_> {
    fn policy(&self, near: Option<bool>, min_score: Option<[f32; 4]>) -> Policy {
        let usual = Policy::default();
        Policy {
            near: near.or(self.near).map_or(usual.near, |near| [near; 4]),
            min_score: min_score.unwrap_or(self.min_score),
            ..usual
        }
    }
}

fn require(part: &Part<'_>) -> Require {
    let needed = part.get(&keys::REQUIRE);
    let has = |what| needed.iter().any(|(n, _)| *n == what);
    Require {
        authority: has(Needed::Authority),
        basis: has(Needed::Basis),
        end: has(Needed::End),
    }
}

/// Of a list that the platform sends.
fn delivered(part: &Part<'_>, common: &Common<'_>) -> Option<DeliveredConfig> {
    if !part.get(&keys::DELIVERED) {
        if part.place(&keys::LIST_FILE).is_none() {
            part.wrong(
                &keys::LIST_FILE,
                "is missing; write file = \"watchlist.csv\"",
            );
        }
        return None;
    }
    if part.place(&keys::LIST_FILE).is_some() {
        let reason = "a delivered list has no file of its own; leave out one of the two";
        part.wrong(&keys::LIST_FILE, reason);
    }
    if common.trusted.is_empty() {
        let reason =
            "whose signature counts? Write the platform's public key into `keys` of [watchlist]";
        part.wrong(&keys::DELIVERED, reason);
    }
    let name = part.get(&keys::NAME).unwrap_or_default();
    let list = Id::new("list", name.as_str()).map_err(|_| {
        let reason = "a delivered list needs a name of 1 to 64 of the characters A-Z a-z 0-9 - _, \
                      because it stands in MQTT topics";
        part.wrong(&keys::NAME, reason);
    });
    Some(DeliveredConfig {
        list: list.ok()?,
        trusted: common.trusted.clone(),
        store_key_file: common.store_key_file.clone(),
    })
}

fn list(part: &Part<'_>, base: &Path, common: &Common<'_>) -> ListConfig {
    let delivered = delivered(part, common);
    let file = match &delivered {
        Some(delivered) => {
            let folder = common.state.join(DeliveredConfig::FOLDER);
            folder.join(format!("{}.list", delivered.list))
        }
        None => part.get(&keys::LIST_FILE).unwrap_or_default(),
    };
    let (level, category) = (part.get(&keys::LEVEL), part.get(&keys::CATEGORY));
    let mut policy = common.policy(part.get(&keys::LIST_NEAR), part.get(&keys::LIST_MIN_SCORE));
    policy.mode = part.get(&keys::MODE);
    policy.rules = rules(part);
    let usual = policy.unlisted;
    policy.unlisted = Unlisted {
        level: level.unwrap_or(usual.level),
        category: category.clone().unwrap_or(usual.category),
        reason: part.get(&keys::REASON).unwrap_or_default(),
    };
    let allow = policy.mode == Mode::Allow;
    if !allow && part.place(&keys::REASON).is_some() {
        let reason = "is told of vehicles that a list of those allowed does not have; without mode = \"allow\" each entry has its own";
        part.doubtful(&keys::REASON, reason);
    }
    ListConfig {
        options: ListOptions {
            name: part.get(&keys::NAME).unwrap_or_else(|| stem(&file)),
            authority: part.get(&keys::AUTHORITY),
            basis: part.get(&keys::BASIS),
            // Who is allowed needs neither: only the others are told of.
            level: level.or(allow.then_some(policy.unlisted.level)),
            category: category.or(allow.then(|| "allowed".to_owned())),
            // It asks for reasons to look for a vehicle, not to let it pass.
            require: if allow {
                Require::default()
            } else {
                common.require
            },
            mend: false,
        },
        file: base.join(file),
        delivered,
        policy,
    }
}

fn rules(part: &Part<'_>) -> Rules {
    let ids = |given: Option<Vec<(String, std::ops::Range<usize>)>>| {
        given.into_iter().flatten().map(|(id, _)| id).collect()
    };
    let mut rules = Rules {
        cameras: ids(part.get(&keys::CAMERAS)),
        lanes: ids(part.get(&keys::LANES)),
        direction: part.get(&keys::DIRECTION),
        ..Rules::default()
    };
    let days = part.get(&keys::DAYS).unwrap_or_default();
    let hours = part.get(&keys::HOURS).unwrap_or_default();
    if let Err(why) = rules.set_times(&days, "") {
        part.wrong(&keys::DAYS, why);
    } else if let Err(why) = rules.set_times(&days, &hours) {
        part.wrong(&keys::HOURS, why);
    }
    rules
}

fn stem(file: &Path) -> String {
    let stem = file.file_stem().map(|n| n.to_string_lossy().into_owned());
    stem.unwrap_or_default()
}
