//! Values that are fine alone and cannot be together: both places are named.

use super::*;

#[test]
fn what_contradicts_names_both_places() {
    for (from, to, parts) in [
        (
            "id = \"entry\"",
            "id = \"entry\"\n[[camera]]\nid = \"entry\"",
            ["line 10: camera.id: `entry`", "line 8"],
        ),
        (
            "[[camera.lane]]\n",
            "[[camera.lane]]\nid = \"1\"\npolygon = [[0, 0], [0.1, 0], [0.1, 0.1]]\n[[camera.lane]]\n",
            ["line 14: camera.lane.id: `1`", "line 11"],
        ),
        (
            "[[camera.lane]]\n",
            "[[camera.lane]]\nid = \"2\"\npolygon = [[0, 0], [1, 0], [1, 1], [0, 1]]\n[[camera.lane]]\n",
            [
                "line 15: camera.lane.polygon: lies wholly within what comes first",
                "`2` (line 12)",
            ],
        ),
        (
            "[vision]",
            "[passage]\nlost_after_s = 15\n[vision]",
            [
                "passage.standing_lost_after_s: 10 is less than `lost_after_s` = 15",
                "(line 6)",
            ],
        ),
        (
            "[vision]",
            "[passage]\nlost_after_s = 3\nstanding_lost_after_s = 1\n[vision]",
            [
                "line 7: passage.standing_lost_after_s: 1 is less than `lost_after_s` = 3",
                "(line 6)",
            ],
        ),
        (
            "plate_side = 640",
            "vehicle_every_ms = 2000",
            [
                "line 6: vision.vehicle_every_ms: 2000 ms is no less than `lost_after_s` = 2",
                "the default",
            ],
        ),
        (
            "[vision]",
            "[outbox]\nmax_mib = 100\nhits = { max_mib = 200 }\n[vision]",
            [
                "line 7: outbox.hits.max_mib: 200 MiB is more than",
                "`max_mib` = 100 (line 6)",
            ],
        ),
        (
            "id = \"entry\"",
            "id = \"entry\"\nrate = 0.5\nhealth = { no_frames_s = 1 }",
            [
                "line 10: camera.health.no_frames_s: 1 s is less than",
                "`rate` = 0.5 (line 9)",
            ],
        ),
        (
            "url = \"mqtt:",
            "urls = [\"mqtts://a\"]\nurl = \"mqtt:",
            ["line 5: broker.url: `url` and `urls`", "(line 4)"],
        ),
        (
            "url = \"mqtt://127.0.0.1:1883\"",
            "urls = [\n\"mqtts://a\",\n\"mqtts://a:8883\"]",
            ["line 6: broker.urls: mqtts://a:8883 stands", "line 5"],
        ),
        (
            "url = \"mqtt:",
            "ca = \"ca.pem\"\nurl = \"mqtt:",
            ["line 4: broker.ca: is for TLS", "mqtt://127.0.0.1:1883"],
        ),
        (
            "url = \"mqtt:",
            "key = \"k.pem\"\nurl = \"mqtt:",
            ["line 4: broker.key", "belong together"],
        ),
    ] {
        contains_all(&fault(&with(from, to)), &parts);
    }
    let camera = "[[camera]]\nid = \"c\"\nurl = \"rtsp://viewer:pw@h/x\"\n";
    contains_all(
        &fault(&format!("{camera}user = \"other\"")),
        &["line 4: camera.user: the `url` (line 3) has another user too"],
    );
    contains_all(
        &fault(&format!("{camera}password_file = \"f\"")),
        &["line 4: camera.password_file: the `url` (line 3) has a password too"],
    );
}

#[test]
fn a_distance_is_of_two_cameras_that_are_there() {
    let config = |distance: &str| {
        format!(
            "{GATE}[[camera]]\nid = \"exit\"\nurl = \"rtsp://127.0.0.1:18554/stream2\"\n\
             [[signals.distance]]\n{distance}"
        )
    };
    for (distance, parts) in [
        (
            "cameras = [\"entry\"]\nmetres = 400",
            ["signals.distance.cameras: names 1 cameras", "of two"],
        ),
        (
            "cameras = [\"entry\", \"entry\"]\nmetres = 400",
            [
                "signals.distance.cameras: names `entry` twice",
                "two cameras",
            ],
        ),
        (
            "cameras = [\"entry\", \"yard\"]\nmetres = 400",
            [
                "line 19: signals.distance.cameras: there is no camera `yard`",
                "entry, exit",
            ],
        ),
        (
            "cameras = [\"entry\", \"exit\"]\nmetres = 40",
            ["signals.distance.metres: 40 is outside", "50 to 100000"],
        ),
        (
            "cameras = [\"entry\", \"exit\"]",
            ["signals.distance.metres: is missing", "write metres = 1200"],
        ),
        (
            "cameras = [\"entry\", \"exit\"]\nmetres = 400\n[[signals.distance]]\n\
             cameras = [\"exit\", \"entry\"]\nmetres = 500",
            ["of `exit` and `entry` is given twice", "give it once"],
        ),
    ] {
        contains_all(&fault(&config(distance)), &parts);
    }
    let rules = parsed(&config("cameras = [\"entry\", \"exit\"]\nmetres = 400")).signals;
    assert_eq!(rules.distances.len(), 1);
    assert_eq!((rules.distances[0].metres, rules.max_speed_kmh), (400, 200));
    contains_all(
        &fault(&format!("{GATE}[signals]\nkinds = [\"speeding\"]")),
        &["signals.kinds", "wrong_way"],
    );
    let none = parsed(&format!("{GATE}[signals]\nkinds = []")).signals;
    assert!(none.kinds.is_empty());
    contains_all(
        &warning(&format!("{GATE}[signals]\nkinds = [\"travel\"]")),
        &["signals.kinds", "[[signals.distance]]"],
    );
}
