//! Live cameras as they should be: the real binary, a real RTSP server, a real Mosquitto, the
//! project's footage.

use std::path::Path;
use std::time::Duration;

use chrono::TimeDelta;

use super::checkpoint::*;
use super::footage::*;
use super::server::{Cameras, PASSWORD, USER};
use super::{alone, clock, mosquitto, proc, support};

/// Shows `day` once on the cameras, from its beginning, and gives what the agent made of it.
fn one_day(
    gate: &Checkpoint,
    cameras: &mut Cameras,
    of: &[(&str, &str)],
    expected: usize,
) -> Vec<Vec<Passed>> {
    let began: Vec<_> = of
        .iter()
        .map(|(path, _)| cameras.show(path, "day"))
        .collect();
    std::thread::sleep(Duration::from_secs_f64(DAY_EMPTY_FROM + 1.0));
    for (path, _) in of {
        cameras.show(path, "empty");
    }
    let since = |i: usize| {
        let passages = gate.passages(of[i].1);
        let (from, to) = (
            began[i] - TimeDelta::milliseconds(500),
            began[i] + TimeDelta::seconds(20),
        );
        passed(passages.iter().map(|(_, m)| m), from, to)
    };
    // The last vehicles end when they have not been seen for a while.
    let limit = std::time::Instant::now() + LONG;
    while std::time::Instant::now() < limit && (0..of.len()).any(|i| since(i).len() < expected) {
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_secs(3));
    (0..of.len()).map(since).collect()
}

#[test]
fn passages_of_every_codec_and_transport_are_those_of_the_recording() {
    let _alone = alone();
    let mut server = Cameras::start();
    let mut videos = Vec::new();
    let mut cameras = Vec::new();
    let kinds = [
        ("h264-tcp", Codec::H264, "tcp"),
        ("h264-udp", Codec::H264B, "udp"),
        ("h265-tcp", Codec::H265, "tcp"),
        ("h265-udp", Codec::H265, "udp"),
    ];
    for (id, codec, transport) in kinds {
        let (day, path) = (clip(Scene::Day, codec), format!("/{id}"));
        server.mount_guarded(
            &path,
            &[("empty", &clip(Scene::Empty, codec)), ("day", &day)],
        );
        let more = format!(
            "user = \"{USER}\"\npassword_file = \"secret.txt\"\ntransport = \"{transport}\""
        );
        cameras.push(camera(id, &server.guarded_url(&path), &more));
        videos.push(day);
    }
    let mut gate = Checkpoint::new(&cameras, LOOKS);
    std::fs::write(gate.dir.path().join("secret.txt"), format!("{PASSWORD}\n")).unwrap();
    gate.start();
    for (id, ..) in kinds {
        gate.state(id, "ok", 0);
    }
    let secrets = |place: &str, text: &str| {
        assert!(
            !text.contains(PASSWORD),
            "the password is in {place}: {text}"
        )
    };
    for line in proc::command_lines() {
        secrets("a command line", &line);
    }
    let paths = kinds.map(|(id, ..)| format!("/{id}"));
    // Two at a time, so that a slow machine keeps up as well.
    let mut live = Vec::new();
    for pair in [[0, 1], [2, 3]] {
        live.extend(one_day(
            &gate,
            &mut server,
            &pair.map(|i| (paths[i].as_str(), kinds[i].0)),
            7,
        ));
    }
    for heard in gate.heard(0) {
        secrets(&heard.topic, &String::from_utf8_lossy(&heard.payload));
    }
    secrets("the metrics", &gate.metrics());
    assert!(gate.stop("-TERM").success());
    secrets("the log", &gate.log());
    for (i, (id, ..)) in kinds.iter().enumerate() {
        let wanted = recorded(&videos[i], &gate.config(), id);
        assert_eq!(wanted.len(), 7, "{id}: {wanted:?}");
        assert_eq!(live[i], wanted, "{id}");
    }
}

#[test]
fn mjpeg_over_http_and_a_looped_file_are_cameras_too() {
    let _alone = alone();
    let mut server = Cameras::start();
    server.mount_mjpeg(
        "/web",
        &[("empty", empty_pictures()), ("day", day_pictures())],
        10,
    );
    let video = clip(Scene::Leaving, Codec::H264);
    let cameras = [
        camera("web", &server.http_url("/web"), ""),
        camera("file", video.to_str().unwrap(), "loop = true"),
    ];
    let mut gate = Checkpoint::new(&cameras, LOOKS);
    gate.start();
    gate.state("web", "ok", 0);
    gate.state("file", "ok", 0);
    let live = one_day(&gate, &mut server, &[("/web", "web")], 7);
    assert_eq!(
        live[0],
        recorded(&clip(Scene::Day, Codec::H264), &gate.config(), "web")
    );
    // The loop is some six seconds long, and has run thrice and more by now.
    let all = gate.passages("file");
    for text in ["皖C3K528", "辽H4U836"] {
        let times = all
            .iter()
            .filter(|(_, m)| m.plate.as_ref().is_some_and(|p| p.text == text))
            .count();
        assert!(times >= 2, "{text} came {times} times");
    }
    assert!(gate.stop("-TERM").success());
}

/// Runs `kakou camera` with these arguments; gives its success, stdout and stderr.
fn camera_command(args: &[&str]) -> (bool, String, String) {
    let o = support::kakou(&[&["camera"], args].concat());
    (o.status.success(), support::stdout(&o), support::stderr(&o))
}

#[test]
fn probe_tells_what_a_camera_sends() {
    let _alone = alone();
    let mut server = Cameras::start();
    server.mount_guarded("/h265", &[("day", &clip(Scene::Day, Codec::H265))]);
    server.mount_silent("/silent", &clip(Scene::Day, Codec::H264));
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (secret, wrong) = (file("secret", PASSWORD), file("wrong", "not this one"));
    let url = server.guarded_url("/h265");
    let out = dir.path().join("out");
    let (ok, said, log) = camera_command(&[
        "probe",
        &url,
        "--user",
        USER,
        "--password-file",
        &secret,
        "--json",
        "--pictures",
        "3",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(ok, "{log}");
    let told: serde_json::Value = serde_json::from_str(&said).expect("one JSON object");
    assert_eq!(
        (&told["codec"], &told["width"], &told["height"]),
        (&"hevc".into(), &1280.into(), &720.into()),
        "{told}"
    );
    let pictures = frames(&out);
    assert_eq!(pictures.len(), 3);
    for (name, _) in &pictures {
        let picture = image::open(out.join(name)).unwrap();
        assert_eq!((picture.width(), picture.height()), (1280, 720));
    }
    assert!(!said.contains(PASSWORD) && !log.contains(PASSWORD));

    // What cannot be is said with the mend.
    let nobody = format!("rtsp://127.0.0.1:{}/a", mosquitto::free_port());
    let faults: [(&[&str], &[&str]); 6] = [
        (
            &["probe", &url, "--user", USER, "--password-file", &wrong],
            &["user or password are not taken", "--password-file"],
        ),
        (&["probe", &url], &["--user"]),
        (&["probe", &nobody], &["127.0.0.1", "refused"]),
        (&["probe", &server.url("/nothing")], &["Not Found"]),
        (
            &["probe", &server.url("/silent"), "--wait", "3"],
            &["no picture within 3 s"],
        ),
        (&["probe", "rtp:/127.0.0.1"], &["rtsp://"]),
    ];
    for (args, words) in faults {
        let (ok, out, said) = camera_command(args);
        assert!(!ok && !said.contains("panicked"), "{args:?}: {out}{said}");
        for word in words {
            assert!(said.contains(word), "{args:?}: `{word}` is not in: {said}");
        }
    }
}

/// File and capture time of each picture that `probe` saved.
fn frames(dir: &Path) -> Vec<(String, chrono::DateTime<chrono::Utc>)> {
    let text =
        std::fs::read_to_string(dir.join("frames.jsonl")).expect("the times of the pictures");
    let line = |l: &str| {
        let v: serde_json::Value = serde_json::from_str(l).unwrap();
        let time = chrono::DateTime::parse_from_rfc3339(v["time"].as_str().unwrap()).unwrap();
        (v["file"].as_str().unwrap().to_owned(), time.to_utc())
    };
    text.lines().map(line).collect()
}

/// A clock drawn into the pictures says how far the capture times are off.
#[test]
fn capture_times_are_those_of_the_pictures() {
    let _alone = alone();
    let mut server = Cameras::start();
    server.mount_clock("/clock", 25);
    for transport in ["tcp", "udp"] {
        let out = tempfile::tempdir().unwrap();
        let dir = out.path().to_str().unwrap();
        let url = server.url("/clock");
        let (ok, _, log) = camera_command(&[
            "probe",
            &url,
            "--transport",
            transport,
            "--pictures",
            "50",
            "--out",
            dir,
        ]);
        assert!(ok, "{log}");
        let pictures = frames(out.path());
        assert!(pictures.len() >= 25, "{} pictures", pictures.len());
        let mut errors = Vec::new();
        let mut last = None;
        for (name, captured) in pictures {
            let picture = image::open(out.path().join(&name)).unwrap().to_rgb8();
            let drawn = clock::drawn(&picture)
                .unwrap_or_else(|| panic!("{name}: the drawn clock cannot be read"));
            assert!(
                last.is_none_or(|l| drawn > l),
                "{name}: a picture is older than the one before"
            );
            last = Some(drawn);
            errors.push((captured - drawn).num_microseconds().unwrap() as f64 / 1000.0);
        }
        errors.sort_by(f64::total_cmp);
        let (least, median, most) = (
            errors[0],
            errors[errors.len() / 2],
            errors[errors.len() - 1],
        );
        println!(
            "capture time over {transport}: {median:.0} ms after the drawn clock, {least:.0} to {most:.0} ms"
        );
        // A second is what GA/T 832 allows a clock to be off.
        assert!(
            least > -1000.0 && most < 1000.0,
            "capture times are off by {least} to {most} ms"
        );
    }
}

#[test]
fn snapshot_shows_what_the_agent_sees() {
    let _alone = alone();
    let mut server = Cameras::start();
    server.mount("/day", &[("day", &clip(Scene::Day, Codec::H264))]);
    let gate = Checkpoint::new(&[camera("cam-1", &server.url("/day"), "")], "");
    let file = gate.dir.path().join("seen.jpg");
    let out = file.to_str().unwrap();
    let (ok, _, log) = camera_command(&[
        "snapshot",
        "cam-1",
        "--config",
        &gate.config(),
        "--out",
        out,
    ]);
    assert!(ok, "{log}");
    let picture = image::open(&file).unwrap();
    assert_eq!((picture.width(), picture.height()), (1280, 720));
    let (ok, _, said) = camera_command(&[
        "snapshot",
        "cam-2",
        "--config",
        &gate.config(),
        "--out",
        out,
    ]);
    assert!(
        !ok && said.contains("cam-2") && said.contains("cam-1"),
        "{said}"
    );
}
