//! The mistakes that users make in a config's text, made on purpose: each is told before anything
//! starts, with its place and what to do.

use crate::desk::{Desk, GATE, with};
use crate::support::{stderr, stdout};

#[test]
fn a_sound_config_has_no_findings() {
    let desk = Desk::new();
    desk.text(GATE).has_none();
    let o = desk.check(GATE, &["--no-files", "--strict"]);
    assert!(o.status.success(), "{}", stderr(&o));
    assert!(stdout(&o).contains("gate.toml: right\n"), "{}", stdout(&o));
    // As Windows saves it.
    desk.text(GATE.replace('\n', "\r\n")).has_none();
    desk.text([b"\xef\xbb\xbf", GATE.as_bytes()].concat())
        .has_none();
}

/// Each row: what stands in the config, the mistake in its place, and what is told of it.
#[test]
fn mistakes_in_lanes_are_told_with_place_and_mend() {
    let desk = Desk::new();
    let (polygon, trigger) = ("camera.lane.polygon", "camera.lane.trigger");
    let points = "[[0.25, 0.25], [0.75, 0.25], [0.95, 1.0], [0.05, 1.0]]";
    let line = "[[0.05, 0.75], [0.95, 0.75]]";
    for (from, to, kind, key, message, mend) in [
        (
            "0.25, 0.25",
            "480, 270",
            "error",
            polygon,
            "[480, 270] must be in parts",
            "divide pixels",
        ),
        (
            points,
            "[[25, 25], [75, 25], [95, 100], [5, 100]]",
            "error",
            polygon,
            "[25, 25]",
            "divide",
        ),
        (
            points,
            "[[0.25, 0.25], [0.75, 0.25]]",
            "error",
            polygon,
            "at least three points",
            "write",
        ),
        (
            points,
            "[[0.2, 0.2], [0.8, 0.8], [0.8, 0.2], [0.2, 0.8]]",
            "error",
            polygon,
            "edges from point 1 and from point 3 cross",
            "in order around the border",
        ),
        (
            points,
            "[[0.2, 0.2], [0.2001, 0.2], [0.2, 0.2001]]",
            "error",
            polygon,
            "enclose no area",
            "corners of the lane",
        ),
        (
            points,
            "[[0.05, 0.74], [0.1, 0.74], [0.1, 0.76], [0.05, 0.76]]",
            "warning",
            polygon,
            "covers only 0.10 % of the picture",
            "corners of the whole lane",
        ),
        (
            points,
            "[[0.25, 0.25], [0.25, 0.75], [1.0, 0.95], [1.0, 0.05]]",
            "warning",
            polygon,
            "narrows to the side",
            "x and y swapped",
        ),
        (
            line,
            "[[0.75, 0.05], [0.75, 0.95]]",
            "warning",
            trigger,
            "runs along the lane",
            "x and y",
        ),
        (
            line,
            "[[0.0, 0.1], [1.0, 0.1]]",
            "error",
            trigger,
            "lies outside",
            "draw it across",
        ),
        (
            line,
            "[[0.05, 0.75], [0.5, 0.75]]",
            "warning",
            trigger,
            "spans 50 %",
            "border to border",
        ),
        (
            line,
            "[[0.5, 0.5], [0.5, 0.5]]",
            "error",
            trigger,
            "the same point",
            "each border",
        ),
    ] {
        let (text, at) = with(from, to);
        desk.text(text).has(kind, Some(at), key, message, mend);
    }
    let (text, _) = with("direction = \"approaching\"\n", "");
    let sideways = text.replace(
        points,
        "[[0.25, 0.25], [0.25, 0.75], [1.0, 0.95], [1.0, 0.05]]",
    );
    desk.text(sideways).has(
        "warning",
        Some(15),
        trigger,
        "spans",
        "polygon with x and y swapped",
    );
    let twice = format!("{GATE}[[camera.lane]]\nid = \"2\"\npolygon = {points}\n");
    desk.text(twice).has(
        "error",
        Some(19),
        polygon,
        "lies wholly within",
        "side by side",
    );
}

#[test]
fn mistakes_in_names_and_values_are_told_with_place_and_mend() {
    let desk = Desk::new();
    for (from, to, kind, key, message, mend) in [
        (
            "id = \"1\"",
            "id = \"车道1\"",
            "error",
            "camera.lane.id",
            "`车道1` must be 1 to 64",
            "",
        ),
        (
            "\"entry\"",
            "\"北门入口\"",
            "error",
            "camera.id",
            "A-Z a-z 0-9 - _",
            "",
        ),
        (
            "\"entry\"",
            "\"entry 1\"",
            "error",
            "camera.id",
            "`entry 1`",
            "",
        ),
        ("\"west-gate\"", "\"北门\"", "error", "site", "`北门`", ""),
        (
            "id = \"1\"",
            "id = 1",
            "error",
            "camera.lane.id",
            "is a number",
            "write \"1\"",
        ),
        (
            "polygon",
            "poligon",
            "error",
            "camera.lane.poligon",
            "no such key",
            "did you mean `polygon`?",
        ),
        (
            "[[camera.lane]]",
            "[[lane]]",
            "error",
            "lane",
            "no such key",
            "[[camera.lane]]",
        ),
        (
            "plate_side = 640",
            "plate_side = 30",
            "error",
            "vision.plate_side",
            "outside 160 to 4096",
            "",
        ),
        (
            "mqtt://127.0.0.1:1883",
            "127.0.0.1:1883",
            "error",
            "broker.url",
            "it has no scheme",
            "write mqtt://127.0.0.1:1883",
        ),
        (
            "mqtt://",
            "tcp://",
            "warning",
            "broker.url",
            "tcp:// is taken",
            "write mqtt://",
        ),
        (
            "mqtt://",
            "ws://",
            "error",
            "broker.url",
            "\"ws\" is unknown",
            "write mqtt://",
        ),
        (
            "rtsp://127.0.0.1:18554/stream1",
            "rtp://127.0.0.1",
            "error",
            "camera.url",
            "rtp:// is no camera",
            "write rtsp://",
        ),
        (
            "rtsp://127.0.0.1:18554/stream1",
            "10.0.0.11",
            "error",
            "camera.url",
            "is read as a path",
            "write rtsp://10.0.0.11/...",
        ),
        (
            "rtsp://127.0.0.1:18554/stream1",
            "rtsp://user:p@ss/word@10.0.0.11/s",
            "error",
            "camera.url",
            "a character that a URL gives another meaning",
            "write %2F for /",
        ),
        (
            "site = \"west-gate\"\n",
            "",
            "warning",
            "site",
            "is not given",
            "write site",
        ),
    ] {
        let (text, at) = with(from, to);
        desk.text(text).has(kind, Some(at), key, message, mend);
    }
    let (text, at) = with("id = \"entry\"", "id = \"entry\"\npassword = \"geheim\"");
    let told = desk.text(text);
    told.has(
        "error",
        Some(at + 1),
        "camera.password",
        "no such key",
        "`password_file`",
    );
    assert!(!told.0.to_string().contains("geheim"));
    let single = GATE
        .replace("[[camera]]", "[camera]")
        .replace("[[camera.lane]]", "[camera.lane]");
    let told = desk.text(single);
    told.has(
        "error",
        Some(9),
        "camera",
        "there may be several",
        "write [[camera]]",
    );
    told.has(
        "error",
        Some(12),
        "camera.lane",
        "there may be several",
        "write [[camera.lane]]",
    );
    let camera = &GATE[GATE.find("[[camera]]").unwrap()..];
    let twice = desk.text(format!("{GATE}{camera}"));
    twice.has(
        "error",
        Some(18),
        "camera.id",
        "also the camera in line 10",
        "must differ",
    );
    twice.has(
        "warning",
        Some(19),
        "camera.url",
        "recorded twice",
        "its own",
    );
}

#[test]
fn what_is_no_text_and_no_toml_has_a_line() {
    let desk = Desk::new();
    let gbk: Vec<u8> = GATE
        .replacen("\"west-gate\"", "\"west-gate\" # 1", 1)
        .into_bytes()
        .into_iter()
        .flat_map(|b| {
            if b == b'#' {
                vec![b'#', 0xb1, 0xb1]
            } else {
                vec![b]
            }
        })
        .collect();
    desk.text(gbk)
        .has("error", Some(1), "", "GBK", "save the file as UTF-8");
    let utf16: Vec<u8> = std::iter::once(0xfeff)
        .chain(GATE.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    desk.text(utf16)
        .has("error", Some(1), "", "UTF-16", "save the file as UTF-8");
    let (quotes, at) = with("\"west-gate\"", "“west-gate”");
    desk.text(quotes)
        .has("error", Some(at), "", "", "a `“` where TOML wants \"");
    let (comma, at) = with("[0.25, 0.25]", "[0.25，0.25]");
    desk.text(comma)
        .has("error", Some(at), "", "", "a `，` where TOML wants ,");
}

#[test]
fn ids_of_an_example_and_an_empty_config_are_warnings() {
    let desk = Desk::new();
    let example = GATE
        .replace("west-gate", "north-gate")
        .replace("box-7", "box-1");
    desk.text(&example).has(
        "warning",
        Some(1),
        "site",
        "ids of an example",
        "unique in the city",
    );
    // A warning is right, unless one is strict.
    let o = desk.check(&example, &["--no-files"]);
    assert!(
        o.status.success() && stdout(&o).contains("right, with 1 warning"),
        "{}",
        stdout(&o)
    );
    let o = desk.check(&example, &["--no-files", "--strict"]);
    assert_eq!(o.status.code(), Some(1));
    let empty = desk.text("");
    empty.has(
        "warning",
        None,
        "site",
        "`kakou run` cannot",
        "single-lane-gate.toml",
    );
    empty.has("warning", Some(1), "agent", "is not given", "write agent");
    let (no_broker, _) = with("[broker]\nurl = \"mqtt://127.0.0.1:1883\"\n", "");
    desk.text(no_broker)
        .has("warning", None, "broker", "no [broker]", "write [broker]");
    let (no_url, _) = with("url = \"rtsp://127.0.0.1:18554/stream1\"\n", "");
    desk.text(no_url).has(
        "warning",
        Some(9),
        "camera",
        "nothing to look at",
        "rtsp://HOST/PATH",
    );
}
