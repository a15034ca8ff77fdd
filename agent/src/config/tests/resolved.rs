//! What comes out of a config that is right.

use std::path::Path;
use std::time::Duration;

use kakou_outbox::{OutboxLimits, Retention};
use kakou_sight::camera::{ConditionConfig, Decoder, GateConfig, SightConfig, Transport};
use kakou_traffic::geometry::Point;
use kakou_traffic::passage::PassageConfig;
use kakou_traffic::track::TrackConfig;
use kakou_uplink::UplinkConfig;

use super::*;

#[test]
fn a_whole_config_is_resolved() {
    let config = parsed(&with(
        "[[camera.lane]]",
        "masks = [[[0.0, 0.0], [1.0, 0.0], [1.0, 0.1]]]\n[[camera.lane]]\nname = \"左\"",
    ));
    assert_eq!(
        (config.site.as_str(), config.agent.as_str()),
        ("north-gate", "box-1")
    );
    assert_eq!(config.look.plate_side, 640);
    let camera = config.camera("entry");
    assert_eq!(camera.lanes[0].polygon.0[1], Point::new(0.75, 0.25));
    assert_eq!(camera.lanes[0].name.as_deref(), Some("左"));
    assert_eq!(camera.masks.len(), 1);
    assert_eq!(
        scaled(&camera.lanes[0].polygon, 100, 50).0[2],
        Point::new(95.0, 50.0)
    );
    assert!(config.camera("other").lanes.is_empty());
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

/// The parts own their defaults; the config must not have others.
#[test]
fn without_a_file_the_defaults_of_the_parts_hold() {
    let config = Config::without_file().unwrap();
    assert_eq!(config.outbox.limits, OutboxLimits::default());
    assert_eq!(config.outbox.retention, Retention::default());
    assert_eq!(config.outbox.state, Path::new("/var/lib/kakou"));
    let track = TrackConfig::default();
    assert_eq!(
        [
            config.passage.lost_after_s,
            config.passage.standing_lost_after_s,
            config.passage.rejoin_s
        ]
        .map(Duration::from_secs_f32),
        [
            track.lost_after,
            track.standing_lost_after,
            PassageConfig::default().rejoin
        ]
    );
    assert!(config.broker.is_none() && config.warnings.is_empty());

    let watching = parsed("[[camera]]\nid = \"c\"").camera("c").watching;
    assert_eq!(watching.gate, GateConfig::default());
    assert_eq!(watching.sight, SightConfig::default());
    assert_eq!(watching.condition, ConditionConfig::default());
    assert_eq!(watching, Watching::default());

    let broker = parsed("[broker]\nurl = \"mqtts://h\"").broker.unwrap();
    let (ours, theirs) = (
        broker.uplink("id"),
        UplinkConfig::new(broker.addresses.clone(), "id"),
    );
    assert_eq!(
        (
            ours.window,
            ours.window_bytes,
            ours.bandwidth,
            ours.keep_alive
        ),
        (
            theirs.window,
            theirs.window_bytes,
            theirs.bandwidth,
            theirs.keep_alive
        )
    );
    assert_eq!(
        (ours.answer_timeout, ours.session_expiry, ours.client_id),
        (
            theirs.answer_timeout,
            theirs.session_expiry,
            theirs.client_id
        )
    );
}

#[test]
fn paths_count_from_the_folder_of_the_config() {
    let text = "[broker]\nurl = \"mqtts://h\"\nca = \"ca.pem\"\ncertificate = \"/c.pem\"\n\
                key = \"credential:key\"\n[watchlist]\nfile = \"list.csv\"\n[metrics]\n\
                file = \"/m.prom\"\n[outbox]\nstate = \"state\"\n[vision]\nruntime = \"ort.so\"";
    let config = Config::parse(text, Path::new("/etc/kakou/gate.toml")).unwrap();
    let broker = config.broker.unwrap();
    assert_eq!(
        broker.tls.ca.as_deref(),
        Some(Path::new("/etc/kakou/ca.pem"))
    );
    let (certificate, key) = broker.tls.client.unwrap();
    assert_eq!(certificate, Path::new("/c.pem"));
    assert!(
        key.ends_with("key") && key != Path::new("/etc/kakou/credential:key"),
        "{key:?}"
    );
    assert_eq!(config.watchlist[0].file, Path::new("/etc/kakou/list.csv"));
    assert_eq!(config.metrics.file.as_deref(), Some(Path::new("/m.prom")));
    assert_eq!(config.outbox.state, Path::new("/etc/kakou/state"));
    assert_eq!(
        config.models.runtime.as_deref(),
        Some(Path::new("/etc/kakou/ort.so"))
    );
}

#[test]
fn metrics_are_answered_on_this_box_alone_unless_the_config_says_more() {
    let metrics = |text: &str| parsed(text).metrics;
    let listen = |text: &str| metrics(text).listen.map(|a| a.to_string());
    assert_eq!(metrics(""), MetricsConfig::default());
    assert_eq!(listen("[metrics]").as_deref(), Some("127.0.0.1:9480"));
    assert_eq!(listen("[metrics]\nfile = \"m.prom\""), None);
    let given = "[metrics]\nfile = \"m.prom\"\nlisten = \"http://[::]:9100/\"";
    assert_eq!(listen(given).as_deref(), Some("[::]:9100"));
    for wrong in ["9480", "localhost:9480", "127.0.0.1", ":9480"] {
        let text = format!("[metrics]\nlisten = \"{wrong}\"");
        let told = Config::parse(&text, Path::new("gate.toml")).unwrap_err();
        let told = told.to_string();
        assert!(told.contains("such as 127.0.0.1:9480"), "{told}");
    }
}

#[test]
fn the_outbox_has_its_limits_by_priority() {
    use kakou_contract::Priority;
    let config = parsed(
        "[outbox]\nmax_mib = 100\nmin_free_mib = 0\nkeep_hits_h = 3\n\
         hits = { max_mib = 7, max_age_h = 2 }\npictures = { max_mib = 9 }",
    );
    let limits = config.outbox.limits;
    let of = |priority: Priority| limits.by_priority[priority.index()];
    assert_eq!((limits.bytes, limits.free_disk), (100 << 20, 0));
    assert_eq!(of(Priority::Hit).bytes, 7 << 20);
    assert_eq!(of(Priority::Hit).age, Duration::from_secs(2 * 3600));
    assert_eq!(of(Priority::Picture).bytes, 9 << 20);
    assert_eq!(
        of(Priority::Picture).age,
        OutboxLimits::default().by_priority[Priority::Picture.index()].age
    );
    assert_eq!(config.outbox.retention.hit, Duration::from_secs(3 * 3600));
}

pub(super) const LIVE: &str = r#"
[[camera]]
id = "cam-1"
url = "rtsp://10.0.0.5:8554/a?password=p4ss"
user = "kakou"
password_file = "secret.txt"
transport = "udp"
decoder = "v4l2m2m"
codec = "h265"
rate = 12.5
size = [1920, 1080]
latency_ms = 80
schedule = ["mon-fri 06:00-22:00"]
ffmpeg_args = ["-an"]
[camera.health]
no_frames_s = 3
[camera.gate]
look_every_s = 1
"#;

#[test]
fn a_live_camera_is_resolved_and_its_secrets_are_not_shown() {
    let config = Config::parse(LIVE, Path::new("/etc/kakou/gate.toml")).unwrap();
    let camera = config.camera("cam-1");
    let Some(CameraSource::Live(live)) = &camera.source else {
        panic!("{camera:?}")
    };
    assert_eq!(
        (live.transport, live.decoder, live.codec.as_str()),
        (Transport::Udp, Decoder::V4l2m2m, "hevc")
    );
    assert_eq!(live.latency, Duration::from_millis(80));
    assert_eq!(live.ffmpeg_args, ["-an"]);
    assert_eq!(
        live.password_file.as_deref(),
        Some(Path::new("/etc/kakou/secret.txt"))
    );
    assert_eq!(
        (camera.watching.rate, camera.watching.condition.size),
        (Some(12.5), Some((1920, 1080)))
    );
    assert_eq!(camera.watching.schedule.0.len(), 1);
    assert_eq!(
        camera.watching.condition.no_frames_after,
        Duration::from_secs(3)
    );
    assert_eq!(camera.watching.gate.routine, Duration::from_secs(1));
    assert!(!format!("{config:?}").contains("p4ss"), "{config:?}");
}
