//! From the config as written to the settings as used, and the checks that need more than one key.
//!
//! A value that cannot be used has been told by the time it is missing here. The settings are then
//! filled with something else and thrown away, so that the rest of the file is checked too.

mod broker;
mod camera;
mod lane;
mod outbox;
mod signals;
mod source;
mod watchlist;

use std::path::Path;
use std::time::Duration;

use kakou_sight::evidence::EvidenceConfig;
use kakou_sight::models::locate;
use kakou_sight::share;
use kakou_sight::vision::{LookConfig, ModelChoice};

use super::keys::{
    broker as broker_keys, camera as camera_keys, general, hits as hit_keys, outbox as outbox_keys,
    panel as panel_keys, passage as passage_keys, privacy as privacy_keys, signals as signal_keys,
    vision, watchlist as watchlist_keys,
};
use super::part::Part;
use super::settings::{
    AgentConfig, Config, HitConfig, MetricsConfig, NonHits, PanelConfig, PassageTimes,
    PrivacyConfig,
};

pub(super) fn config(top: &Part<'_>, base: &Path) -> Config {
    for setting in [&general::SITE, &general::AGENT] {
        if top.place(setting).is_none() {
            let reason = format!(
                "is not given, so it is \"{}\", and the platform cannot tell boxes with the same \
                 site and agent apart; write {} = \"...\" in the first lines",
                (setting.fallback.0)(),
                setting.name
            );
            top.doubtful(setting, reason);
        }
    }
    let looks = top.part(&vision::VISION);
    let broker = top.part(&broker_keys::BROKER);
    let watchlist = top.part(&watchlist_keys::WATCHLIST);
    let metrics = top.part(&general::METRICS);
    let hits = hits(&top.part(&hit_keys::HITS));
    let outbox = outbox::outbox(&top.part(&outbox_keys::OUTBOX), base);
    let cameras = camera::cameras(&top.parts(&camera_keys::CAMERA), base);
    let workers = usize::from(looks.get(&vision::WORKERS));
    let threads = looks.get(&vision::THREADS).map(usize::from);
    let live = cameras.iter().filter(|c| c.source.is_some()).count();
    let own = threads.unwrap_or_else(|| own_cores(share::cores(), live.min(workers)));
    Config {
        site: top.get(&general::SITE),
        agent: top.get(&general::AGENT),
        broker: broker.is_given().then(|| broker::broker(&broker, base)),
        agent_times: agent(&top.part(&general::TIMING)),
        watchlist: watchlist::watchlist(&watchlist, base, &outbox.state),
        outbox,
        metrics: self::metrics(&metrics, base),
        panel: self::panel(&top.part(&panel_keys::PANEL), base),
        models: models(&looks, base, own),
        workers,
        threads,
        passage: passage(&top.part(&passage_keys::PASSAGE), &looks, &hits),
        hits,
        signals: signals::signals(&top.part(&signal_keys::SIGNALS), &cameras),
        privacy: privacy(&top.part(&privacy_keys::PRIVACY), base),
        look: look(&looks),
        evidence: evidence(&top.part(&passage_keys::EVIDENCE)),
        cameras,
        warnings: Vec::new(),
    }
}

fn agent(timing: &Part<'_>) -> AgentConfig {
    let seconds = |value: u32| Duration::from_secs(value.into());
    AgentConfig {
        status_every: seconds(timing.get(&general::STATUS_S)),
        shutdown: seconds(timing.get(&general::SHUTDOWN_S)),
    }
}

fn metrics(part: &Part<'_>, base: &Path) -> MetricsConfig {
    let file = part.get(&general::METRICS_FILE);
    let listen = part.get(&general::METRICS_LISTEN);
    let fallback = || (part.is_given() && file.is_none()).then_some(general::METRICS_ADDRESS);
    MetricsConfig {
        listen: listen.map(|address| address.0).or_else(fallback),
        file: file.map(|path| base.join(path)),
    }
}

fn panel(part: &Part<'_>, base: &Path) -> Option<PanelConfig> {
    let certificate = part.get(&panel_keys::CERTIFICATE);
    let key = part.get(&panel_keys::KEY);
    match (&certificate, &key) {
        (Some(_), None) => part.wrong(
            &panel_keys::CERTIFICATE,
            "a certificate is of no use without its key; write `key` too".to_owned(),
        ),
        (None, Some(_)) => part.wrong(
            &panel_keys::KEY,
            "a key is of no use without its certificate; write `certificate` too".to_owned(),
        ),
        _ => {}
    }
    part.is_given().then(|| PanelConfig {
        listen: part
            .get(&panel_keys::LISTEN)
            .map_or(panel_keys::ADDRESS, |address| address.0),
        certificate: certificate
            .zip(key)
            .map(|(certificate, key)| (base.join(certificate), base.join(key))),
    })
}

fn models(looks: &Part<'_>, base: &Path, threads: usize) -> ModelChoice {
    let manifest = looks.get(&vision::MANIFEST).map(|path| base.join(path));
    let reader = looks.get(&vision::READER);
    let second = looks.get(&vision::SECOND_READER);
    ModelChoice {
        location: locate(manifest.as_deref()),
        runtime: looks.get(&vision::RUNTIME).map(|path| base.join(path)),
        vehicles: looks.get(&vision::VEHICLES),
        plates: looks.get(&vision::PLATES),
        second_reader: Some(second).filter(|s| s != vision::NOBODY && *s != reader),
        reader,
        provider: looks.get(&vision::PROVIDER),
        threads,
    }
}

/// More threads than this make a run hardly shorter.
const THREADS_MOST: usize = 4;

/// The cores that each of so many cameras which compute at the same time has to itself.
fn own_cores(cores: usize, at_once: usize) -> usize {
    (cores / at_once.max(1)).clamp(1, THREADS_MOST)
}

fn look(looks: &Part<'_>) -> LookConfig {
    LookConfig {
        vehicle_score: looks.get(&vision::VEHICLE_SCORE),
        plate_side: looks.get(&vision::PLATE_SIDE),
        vehicle_every_ms: looks.get(&vision::VEHICLE_EVERY_MS),
        plate_every_ms: looks.get(&vision::PLATE_EVERY_MS),
        enough_reads: looks.get(&vision::ENOUGH_READS),
    }
}

fn privacy(part: &Part<'_>, base: &Path) -> PrivacyConfig {
    let non_hits = part.get(&privacy_keys::NON_HITS);
    let key_file = part
        .get(&privacy_keys::KEY_FILE)
        .map(|path| base.join(path));
    if non_hits == NonHits::Hash && key_file.is_none() {
        let reason = "hashes need a key; name a file of 32 random bytes in `key_file`";
        part.wrong(&privacy_keys::NON_HITS, reason.to_owned());
    }
    PrivacyConfig { non_hits, key_file }
}

fn hits(part: &Part<'_>) -> HitConfig {
    HitConfig {
        sure: [
            part.get(&hit_keys::SURE_RED),
            part.get(&hit_keys::SURE_ORANGE),
            part.get(&hit_keys::SURE_YELLOW),
            part.get(&hit_keys::SURE_BLUE),
        ],
        story: Duration::from_secs(part.get(&hit_keys::STORY_S).into()),
    }
}

fn passage(times: &Part<'_>, looks: &Part<'_>, hits: &HitConfig) -> PassageTimes {
    let passage = PassageTimes {
        lost_after_s: times.get(&passage_keys::LOST_AFTER_S),
        standing_lost_after_s: times.get(&passage_keys::STANDING_LOST_AFTER_S),
        rejoin_s: times.get(&passage_keys::REJOIN_S),
        sure: hits.sure.into_iter().fold(1.0, f32::min),
    };
    let moving = times.named(&passage_keys::LOST_AFTER_S, passage.lost_after_s);
    if passage.standing_lost_after_s < passage.lost_after_s {
        let reason = format!(
            "{} is less than {moving}; keep a standing vehicle at least as long as a moving one",
            passage.standing_lost_after_s
        );
        times.wrong(&passage_keys::STANDING_LOST_AFTER_S, reason);
    }
    for setting in [&vision::VEHICLE_EVERY_MS, &vision::PLATE_EVERY_MS] {
        let every = looks.get(setting);
        if every as f32 >= passage.lost_after_s * 1000.0 {
            let reason = format!(
                "{every} ms is no less than {moving}, so vehicles would be lost between two looks; write a shorter time"
            );
            looks.wrong(setting, reason);
        }
    }
    passage
}

fn evidence(pictures: &Part<'_>) -> EvidenceConfig {
    EvidenceConfig {
        quality: pictures.get(&passage_keys::QUALITY),
        thumbnail_width: pictures.get(&passage_keys::THUMBNAIL_WIDTH),
    }
}

#[cfg(test)]
mod tests {
    use super::own_cores;

    #[test]
    fn a_camera_alone_has_the_cores_and_many_share_them() {
        let all = [
            ((2, 1), 2),
            ((2, 0), 2),
            ((2, 4), 1),
            ((8, 3), 2),
            ((16, 1), 4),
            ((1, 1), 1),
            ((0, 0), 1),
        ];
        for ((cores, at_once), threads) in all {
            assert_eq!(own_cores(cores, at_once), threads, "{cores} {at_once}");
        }
    }
}
