//! A config that cannot be used names file, line and key, and says what to write instead.

use super::resolved::LIVE;
use super::*;

#[test]
fn faults_name_file_line_and_key() {
    for (from, to, said) in [
        // Coordinates.
        (
            "[0.25, 0.25]",
            "[480, 270]",
            "gate.toml: line 12: camera.lane.polygon: [480, 270] must be in parts of the picture's width and height, 0 to 1; divide pixels",
        ),
        (
            "[0.25, 0.25]",
            "[-0.1, 0.25]",
            "line 12: camera.lane.polygon: [-0.1, 0.25]",
        ),
        (
            "[0.25, 0.25]",
            "[nan, 0.25]",
            "line 12: camera.lane.polygon: [NaN, 0.25]",
        ),
        (
            "[0.25, 0.25]",
            "[0.25]",
            "line 12: camera.lane.polygon: a point has two",
        ),
        (
            "[0.25, 0.25]",
            "[\"0.25\", 0.25]",
            "line 12: camera.lane.polygon: is text",
        ),
        (
            ", [0.95, 1.0], [0.05, 1.0]]",
            "]",
            "line 12: camera.lane.polygon: a polygon has at least three points",
        ),
        (
            "[0.75, 0.25], [0.95, 1.0]",
            "[0.95, 1.0], [0.75, 0.25]",
            "line 12: camera.lane.polygon: its edges from point 1 and from point 3 cross",
        ),
        (
            "[0.75, 0.25], [0.95, 1.0], [0.05, 1.0]",
            "[0.2501, 0.25], [0.25, 0.2501]",
            "line 12: camera.lane.polygon: its points enclose no area",
        ),
        (
            "[[0.05, 0.75], [0.95, 0.75]]",
            "[[0.5, 0.5], [0.5, 0.5]]",
            "line 13: camera.lane.trigger: its two ends are the same point",
        ),
        (
            "[[0.05, 0.75], [0.95, 0.75]]",
            "[[0.5, 0.5]]",
            "line 13: camera.lane.trigger: has 1 points; a line has two",
        ),
        (
            "[[0.05, 0.75], [0.95, 0.75]]",
            "[[0.0, 0.1], [1.0, 0.1]]",
            "line 13: camera.lane.trigger: lies outside the lane's polygon (line 12)",
        ),
        // Ids.
        (
            "\"entry\"",
            "\"北门入口\"",
            "line 8: camera.id: `北门入口` must be 1 to 64",
        ),
        ("\"entry\"", "\"entry 1\"", "line 8: camera.id: `entry 1`"),
        ("\"north-gate\"", "\"\"", "line 1: site: ``"),
        (
            "id = \"1\"",
            "id = 1",
            "line 11: camera.lane.id: is a number, but must be text; write \"1\"",
        ),
        // Names.
        (
            "polygon",
            "poligon",
            "line 12: camera.lane.poligon: there is no such key; did you mean `polygon`?",
        ),
        (
            "trigger",
            "triger",
            "line 13: camera.lane.triger: there is no such key; did you mean `trigger`?",
        ),
        (
            "[vision]",
            "[vison]",
            "line 5: vison: there is no such key; did you mean `vision`?",
        ),
        (
            "plate_side",
            "Plate_Side",
            "line 6: vision.Plate_Side: there is no such key; did you mean `plate_side`?",
        ),
        (
            "[[camera.lane]]",
            "[[lane]]",
            "line 10: lane: there is no such key here; it belongs in [[camera.lane]]",
        ),
        (
            "plate_side = 640",
            "rejoin_s = 5.0",
            "line 6: vision.rejoin_s: there is no such key here; it belongs in [passage]",
        ),
        (
            "plate_side = 640",
            "quux = 5.0",
            "line 6: vision.quux: there is no such key; known here: manifest, runtime,",
        ),
        (
            "id = \"entry\"",
            "id = \"entry\"\npassword = \"secret\"",
            "line 9: camera.password: there is no such key; put the password into a file and name the file with `password_file`",
        ),
        (
            "[broker]",
            "[mqtt]",
            "line 3: mqtt: there is no such key; write [broker]",
        ),
        // Sections.
        (
            "[[camera]]",
            "[camera]",
            "line 7: camera: there may be several; write [[camera]] with two brackets on each side",
        ),
        (
            "[broker]",
            "[[broker]]",
            "line 3: broker: stands once; write [broker]",
        ),
        (
            "[vision]\nplate_side = 640",
            "vision = 640",
            "line 5: broker.vision: there is no such key here; it belongs in [vision]",
        ),
        (
            "site = \"north-gate\"",
            "passage = 3",
            "line 1: passage: is a section; write [passage] and its keys below",
        ),
        (
            "id = \"entry\"\n",
            "",
            "line 7: camera.id: is missing; write id = \"cam-1\"",
        ),
        // Numbers.
        (
            "640",
            "30",
            "line 6: vision.plate_side: 30 is outside 160 to 4096 px",
        ),
        (
            "640",
            "-640",
            "line 6: vision.plate_side: -640 is outside 160 to 4096 px",
        ),
        (
            "640",
            "99999999999999999999999999",
            "line 6: vision.plate_side: 99999999999999999999999999 is outside",
        ),
        (
            "640",
            "640.5",
            "line 6: vision.plate_side: 640.5 is not a whole number; write one from 160 to 4096 px",
        ),
        (
            "640",
            "\"640\"",
            "line 6: vision.plate_side: is text; without quotes, write a whole number",
        ),
        (
            "plate_side = 640",
            "vehicle_score = nan",
            "line 6: vision.vehicle_score: nan is outside 0.05 to 0.99",
        ),
        (
            "plate_side = 640",
            "vehicle_score = inf",
            "line 6: vision.vehicle_score: inf is outside 0.05 to 0.99",
        ),
        (
            "plate_side = 640",
            "vehicle_score = 1e400",
            "line 6: vision.vehicle_score: 1e400 is outside 0.05 to 0.99",
        ),
        (
            "plate_side = 640",
            "threads = 0",
            "line 6: vision.threads: 0 is outside 1 to 64",
        ),
        (
            "[vision]",
            "[timing]\nstatus_s = 0\n[vision]",
            "line 6: timing.status_s: 0 is outside 5 to 86400 s",
        ),
        (
            "[vision]",
            "[camera.health]\n[vision]",
            "camera: there may be several",
        ),
        // Texts.
        (
            "plate_side = 640",
            "provider = \"gpu\"",
            "line 6: vision.provider: `gpu` is not known; write one of \"cpu\", \"cuda\"",
        ),
        (
            "plate_side = 640",
            "manifest = \"\"",
            "line 6: vision.manifest: is not a path; it is empty",
        ),
        (
            "plate_side = 640",
            "reader = \" \"",
            "line 6: vision.reader: is empty",
        ),
        (
            "plate_side = 640",
            "manifest = true",
            "line 6: vision.manifest: is true or false, but must be text in quotes",
        ),
        (
            "mqtt://127.0.0.1:1883",
            "127.0.0.1:1883",
            "line 4: broker.url: \"127.0.0.1:1883\" is not a broker URL: it has no scheme",
        ),
        (
            "mqtt://127.0.0.1:1883",
            "ws://127.0.0.1:1883",
            "line 4: broker.url: \"ws://127.0.0.1:1883\" is not a broker URL",
        ),
        (
            "rtsp://127.0.0.1:18554/stream1",
            "rtp://127.0.0.1",
            "line 9: camera.url: rtp:// is no camera; write rtsp://",
        ),
        (
            "rtsp://127.0.0.1:18554/stream1",
            "10.0.0.11",
            "line 9: camera.url: `10.0.0.11` is read as a path; for a camera write rtsp://10.0.0.11/...",
        ),
        (
            "direction = \"approaching\"",
            "direction = \"standing\"",
            "line 14: camera.lane.direction: `standing` is not known; write one of \"approaching\", \"leaving\"",
        ),
    ] {
        let said_of_it = fault(&with_section_first(from, to));
        contains_all(&said_of_it, &[said]);
    }
}

/// `[camera.health]` before `[[camera]]` makes the rest no TOML; it is tried on its own.
fn with_section_first(from: &str, to: &str) -> String {
    if to.starts_with("[camera.health]") {
        return "[camera.health]\nfrozen_s = 3\n".to_owned();
    }
    with(from, to)
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_file() {
    let text = with("plate_side = 640", "plate_side = 30\nthreads = 0")
        .replace("polygon", "poligon")
        .replace("\"box-1\"", "\"box 1\"");
    let said = fault(&text);
    let lines: Vec<&str> = said.lines().collect();
    let starts = [
        "gate.toml: line 2: agent: ",
        "gate.toml: line 6: vision.plate_side: ",
        "gate.toml: line 7: vision.threads: ",
        "gate.toml: line 13: camera.lane.poligon: there is no such key; did you mean",
    ];
    assert_eq!(lines.len(), starts.len(), "{said}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn a_point_in_a_long_list_is_named_by_its_own_line() {
    let said = fault(&with("[0.75, 0.25], ", "\n[0.75, 0.25],\n[7.5, 0.3],\n"));
    contains_all(&said, &["line 14: camera.lane.polygon: [7.5, 0.3]"]);
}

#[test]
fn a_camera_that_cannot_be_says_where_and_why() {
    let live = |from: &str, to: &str| {
        assert!(LIVE.contains(from));
        fault(&LIVE.replace(from, to))
    };
    contains_all(
        &live("rtsp://", "rtmp://"),
        &["line 4: camera.url", "rtsps://"],
    );
    contains_all(
        &live("mon-fri", "mo-fr"),
        &["line 13: camera.schedule", "`mo`"],
    );
    contains_all(
        &live("[1920, 1080]", "[1, 1080]"),
        &["line 11: camera.size", "16 to 16384"],
    );
    contains_all(
        &live("v4l2m2m", "gpu"),
        &["line 8: camera.decoder", "rkmpp"],
    );
    contains_all(&live("h265", "av1"), &["line 9: camera.codec", "h264"]);
    let file = "[[camera]]\nid = \"c\"\nurl = \"day.mp4\"\n";
    for key in [
        "transport = \"udp\"",
        "user = \"u\"",
        "rate = 5",
        "latency_ms = 5",
        "codec = \"h264\"",
        "decoder = \"cuda\"",
        "ffmpeg_args = []",
    ] {
        let name = key.split(' ').next().unwrap();
        let said = fault(&format!("{file}{key}"));
        contains_all(
            &said,
            &[&format!("line 4: camera.{name}: means something for")],
        );
    }
    let looped = fault("[[camera]]\nid = \"c\"\nurl = \"rtsp://h/x\"\nloop = true");
    contains_all(&looped, &["line 4: camera.loop"]);
    let user = fault("[[camera]]\nid = \"c\"\nurl = \"rtsp://h/x\"\npassword_file = \"f\"");
    contains_all(
        &user,
        &["line 4: camera.user: `password_file` is given without `user`"],
    );
    let http = fault("[[camera]]\nid = \"c\"\nurl = \"http://h/x\"\ntransport = \"tcp\"");
    contains_all(&http, &["line 4: camera.transport"]);
    let credential = fault(
        "[[camera]]\nid = \"c\"\nurl = \"rtsp://h/x\"\nuser = \"u\"\npassword_file = \"credential:a/b\"",
    );
    contains_all(
        &credential,
        &["line 5: camera.password_file", "LoadCredential="],
    );
}

#[test]
fn a_password_is_never_repeated() {
    for text in [
        "[[camera]]\nid = \"c\"\nurl = \"rtsp://user:ge/heim@10.0.0.11/s\"",
        "[[camera]]\nid = \"c\"\nurl = \"rtsp://user:ge@he/im@10.0.0.11/s\"",
        "[[camera]]\nid = \"c\"\nurl = \"rtmp://user:geheim@10.0.0.11/s\"",
        "[[camera]]\nid = \"c\"\nurl = \"rtsp://user:geheim@10.0.0.11/s",
        "[[camera]]\nid = \"c\"\nuser = \"u\"\npassword = \"geheim\"",
        "[broker]\nurl = \"mqtt://user:geheim@host:port\"",
        "[broker]\nurl = \"mqtt://user:geheim@host\" x",
        "[broker]\nuser = \"u\"\npassword = \"geheim\"",
    ] {
        let said = fault(text);
        for secret in ["geheim", "ge/heim", "heim", "he/im"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

#[test]
fn more_cameras_than_any_box_can_watch_are_refused() {
    let cameras = |count: usize| {
        let camera = |n| format!("[[camera]]\nid = \"c{n}\"\nurl = \"rtsp://10.0.0.1/{n}\"\n");
        let all: String = (0..count).map(camera).collect();
        format!("site = \"s\"\nagent = \"a\"\n[broker]\nurl = \"mqtt://127.0.0.1\"\n{all}")
    };
    assert_eq!(parsed(&cameras(256)).cameras.len(), 256);
    // Whatever else is wrong with it: each is compared with every other, which takes long for many.
    contains_all(&fault(&cameras(257)), &["line 774", "camera.id", "256"]);
}

#[test]
fn no_fault_steers_the_terminal() {
    let broker = "[broker]\nurl = \"mqtt://127.0.0.1\"\n";
    for text in [
        format!("site = \"s\\u001b[31m\"\nagent = \"a\"\n{broker}"),
        format!("site = \"s\"\nagent = \"a\"\n{broker}\"\\u001b]0;x\\u0007\" = 1\n"),
        format!("site = \"s\"\nagent = \"a\"\n{broker}url\u{202e} = 1\n"),
    ] {
        let told = fault(&text);
        assert!(
            !told.contains(|c: char| c != '\n' && kakou_guard::is_steering(c)),
            "{told:?}"
        );
    }
}

#[test]
fn a_url_in_a_wrong_place_is_repeated_without_its_password() {
    let url = "rtsp://admin:S3CRET@10.0.0.5/x";
    for (from, to) in [
        ("id = \"entry\"", format!("id = \"{url}\"")),
        ("plate_side = 640", format!("\"{url}\" = 640")),
        ("\"approaching\"", format!("\"{url}\"")),
    ] {
        let told = fault(&with(from, &to));
        assert!(!told.contains("S3CRET"), "{told}");
    }
}

#[test]
fn faults_without_end_are_not_all_told() {
    let keys: String = (0..1_000).map(|n| format!("unknown{n} = 1\n")).collect();
    assert_eq!(fault(&format!("{keys}{GATE}")).lines().count(), 200);
}

/// Each of them is compared with all others.
#[test]
fn lists_without_end_are_refused_by_their_number() {
    let urls: String = (0..65).map(|n| format!("\"mqtt://b{n}\",")).collect();
    let found = fault(&GATE.replace(
        "url = \"mqtt://127.0.0.1:1883\"",
        &format!("urls = [{urls}]"),
    ));
    contains_all(&found, &["broker.urls: has 65 brokers", "at most 64"]);
    let lists = "[[watchlist.list]]\nfile = \"a.csv\"\n".repeat(65);
    let found = fault(&format!("{GATE}{lists}"));
    contains_all(&found, &["watchlist.file: there are 65", "at most 64"]);
}
