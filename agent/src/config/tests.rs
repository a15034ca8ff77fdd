#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;

const LANE: &str = r#"
site = "gate"
[[camera]]
id = "cam-1"
masks = [[[0.0, 0.0], [1.0, 0.0], [1.0, 0.1]]]
[[camera.lane]]
id = "1"
polygon = [[0.1, 0.2], [0.5, 0.2], [0.5, 1.0]]
trigger = [[0.1, 0.8], [0.5, 0.8]]
direction = "approaching"
"#;

fn fault(text: &str) -> String {
    Config::parse(text, Path::new("gate.toml"))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_whole_config_is_resolved() {
    let c = Config::parse(LANE, Path::new("gate.toml")).unwrap();
    let cam = c.camera("cam-1");
    assert_eq!(cam.lanes[0].polygon.0[1], Point::new(0.5, 0.2));
    assert_eq!(cam.masks.len(), 1);
    assert_eq!(
        scaled(&cam.lanes[0].polygon, 100, 50).0[2],
        Point::new(50.0, 50.0)
    );
    assert!(c.camera("other").lanes.is_empty());
}

#[test]
fn faults_name_file_line_and_key() {
    let far = fault(&LANE.replace("[0.5, 1.0]", "[0.5, 100.0]"));
    assert!(
        far.starts_with("gate.toml: line 8: camera.lane.polygon: [0.5, 100]"),
        "{far}"
    );
    let unknown = fault(&LANE.replace("trigger", "triger"));
    assert!(
        unknown.contains("gate.toml") && unknown.contains("line 9") && unknown.contains("triger"),
        "{unknown}"
    );
    let id = fault(&LANE.replace("cam-1", "cam/1"));
    assert!(id.contains("line 4: camera.id: `cam/1`"), "{id}");
    let two = fault(&LANE.replace(", [0.5, 0.2], [0.5, 1.0]]", "]"));
    assert!(two.contains("at least three points"), "{two}");
    let threads = fault("[vision]\nthreads = 0\n");
    assert!(
        threads.contains("line 2: vision.threads: 0 is outside 1 to 64"),
        "{threads}"
    );
    let provider = fault("[vision]\nprovider = \"gpu\"\n");
    assert!(
        provider.contains("line 2") && provider.contains("cuda"),
        "{provider}"
    );
    let broker = fault("\n[broker]\nurl = \"tcp:/x\"\n");
    assert!(broker.contains("line 3: broker.url"), "{broker}");
}

const LIVE: &str = r#"
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
[camera.health]
no_frames_s = 3
[camera.gate]
look_every_s = 1
"#;

#[test]
fn a_live_camera_is_resolved_and_its_secrets_are_not_shown() {
    use kakou_sight::camera::{Decoder, Transport};
    let c = Config::parse(LIVE, Path::new("/etc/kakou/gate.toml")).unwrap();
    let camera = c.camera("cam-1");
    let Some(CameraSource::Live(live)) = &camera.source else {
        panic!("{camera:?}")
    };
    assert_eq!(
        (live.transport, live.decoder, live.codec.as_str()),
        (Transport::Udp, Decoder::V4l2m2m, "hevc")
    );
    assert_eq!(
        live.password_file.as_deref(),
        Some(Path::new("/etc/kakou/secret.txt"))
    );
    assert_eq!(
        (camera.watching.rate, camera.watching.condition.size),
        (Some(12.5), Some((1920, 1080)))
    );
    assert_eq!(
        camera.watching.condition.no_frames_after,
        std::time::Duration::from_secs(3)
    );
    assert_eq!(
        camera.watching.gate.routine,
        std::time::Duration::from_secs(1)
    );
    assert!(!format!("{c:?}").contains("p4ss"), "{c:?}");
}

#[test]
fn a_camera_that_cannot_be_says_where_and_why() {
    let url = fault(&LIVE.replace("rtsp://", "rtmp://"));
    assert!(
        url.contains("line 4: camera.url") && url.contains("rtsps://"),
        "{url}"
    );
    let span = fault(&LIVE.replace("mon-fri", "mo-fr"));
    assert!(
        span.contains("line 13: camera.schedule") && span.contains("`mo`"),
        "{span}"
    );
    let file = fault("[[camera]]\nid = \"c\"\nurl = \"day.mp4\"\ntransport = \"udp\"\n");
    assert!(file.contains("line 4: camera.transport"), "{file}");
    let looped = fault("[[camera]]\nid = \"c\"\nurl = \"rtsp://h/x\"\nloop = true\n");
    assert!(looped.contains("camera.loop"), "{looped}");
    let user = fault("[[camera]]\nid = \"c\"\nurl = \"rtsp://h/x\"\npassword_file = \"f\"\n");
    assert!(user.contains("line 4: camera.user"), "{user}");
    let size = fault(&LIVE.replace("[1920, 1080]", "[1, 1080]"));
    assert!(size.contains("line 11: camera.size"), "{size}");
    let decoder = fault(&LIVE.replace("v4l2m2m", "gpu"));
    assert!(
        decoder.contains("line 8") && decoder.contains("rkmpp"),
        "{decoder}"
    );
}
