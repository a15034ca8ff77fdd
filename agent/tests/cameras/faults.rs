//! Live cameras as they fail: each fault is caused for real, is told by its name, and heals by
//! itself, and the other cameras do not suffer. `KAKOU_CAMERA_RESTARTS` sets how often the camera's
//! server is killed; `make chaos` runs 50.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use super::checkpoint::*;
use super::footage::*;
use super::server::{Cameras, PASSWORD, USER};
use super::{alone, mosquitto, proc};

/// A camera that nothing happens to, with its own server: `samples/day` again and again.
struct Unharmed {
    server: Cameras,
    began: Option<DateTime<Utc>>,
}

impl Unharmed {
    fn start() -> Self {
        let mut server = Cameras::start();
        let (empty, day) = (
            clip(Scene::Empty, Codec::H264),
            clip(Scene::Day, Codec::H264),
        );
        server.mount("/good", &[("empty", &empty), ("day", &day)]);
        Self {
            server,
            began: None,
        }
    }

    fn camera(&self) -> String {
        camera("good", &self.server.url("/good"), "")
    }

    fn begin(&mut self) {
        self.began = Some(self.server.show("/good", "day"));
    }

    /// Every loop since it began gave all that the recording gives.
    #[track_caller]
    fn check(mut self, gate: &Checkpoint) {
        let began = self.began.unwrap();
        let loops = ((Utc::now() - began).as_seconds_f64() / DAY_SECONDS).ceil();
        let wanted = recorded(&clip(Scene::Day, Codec::H264), &gate.config(), "good");
        assert_eq!(wanted.len(), 7, "{wanted:?}");
        // The loop that runs is seen to its end, and its last vehicles are.
        let end = began + TimeDelta::milliseconds((loops * DAY_SECONDS * 1000.0) as i64);
        while Utc::now() < end - TimeDelta::milliseconds(500) {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.server.show("/good", "empty");
        let window = |n: f64| {
            let at = |s: f64| began + TimeDelta::milliseconds((s * 1000.0) as i64);
            let all = gate.passages("good");
            passed(
                all.iter().map(|(_, m)| m),
                at(n * DAY_SECONDS - 0.5),
                at((n + 1.0) * DAY_SECONDS - 0.5),
            )
        };
        let limit = Instant::now() + LONG;
        while window(loops - 1.0).len() < wanted.len() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(100));
        }
        std::thread::sleep(Duration::from_secs(3));
        for n in 0..loops as u32 {
            assert_eq!(
                window(f64::from(n)),
                wanted,
                "loop {n} of {loops} of the camera that nothing happened to"
            );
        }
        println!("{loops} loops of the other camera: all passages, and no other");
    }
}

#[test]
fn every_fault_has_its_name_and_heals() {
    let _alone = alone();
    let mut good = Unharmed::start();
    let mut server = Cameras::start();
    let scenes = [
        Scene::Empty,
        Scene::Day,
        Scene::Frozen,
        Scene::Stuck,
        Scene::Black,
        Scene::Bright,
        Scene::Elsewhere,
        Scene::Small,
    ];
    let videos = scenes.map(|s| (format!("{s:?}").to_lowercase(), clip(s, Codec::H264)));
    let clips: Vec<_> = videos
        .iter()
        .map(|(name, video)| (name.as_str(), video.as_path()))
        .collect();
    server.mount("/bad", &clips);
    server.mount("/turned", &clips);
    // It runs already: who comes now joins in the middle, 40 s before the next key frame.
    let rare_clip = clip(Scene::Rare, Codec::H264);
    server.mount("/rare", &[("rare", &rare_clip)]);
    let rare = camera("rare", &server.url("/rare"), "");
    let bad = camera("bad", &server.url("/bad"), "size = [1280, 720]");
    let turned = camera("turned", &server.url("/turned"), "");
    let mut gate = Checkpoint::new(&[good.camera(), bad, turned, rare], LOOKS);
    gate.start();
    for camera in ["good", "bad", "turned"] {
        gate.state(camera, "ok", 0);
    }
    let learning = Instant::now();
    good.begin();

    let mark = gate.mark();
    server.tell("/bad", "pause");
    gate.state("bad", "no_frames", mark);
    let mark = gate.mark();
    server.tell("/bad", "resume");
    gate.state("bad", "ok", mark);

    for (shown, state) in [
        ("frozen", "frozen"),
        ("stuck", "frozen"),
        ("black", "black"),
        ("bright", "blinded"),
        ("small", "wrong_size"),
    ] {
        let mark = gate.mark();
        server.show("/bad", shown);
        gate.state("bad", state, mark);
        let mark = gate.mark();
        server.show("/bad", "empty");
        gate.state("bad", "ok", mark);
    }

    // Garbage for a while: whatever it is called meanwhile, pictures are seen again after it, and
    // no vehicle was made of it.
    for kind in ["flip", "noise"] {
        server.garbage("/bad", 4.0, kind);
        std::thread::sleep(Duration::from_secs(5));
        let seen = gate.passages("bad").len();
        server.show("/bad", "day");
        let limit = Instant::now() + LONG;
        while gate.passages("bad").len() == seen {
            assert!(
                Instant::now() < limit,
                "nothing is seen after {kind}: {:?}\n{}",
                gate.states(0),
                gate.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        server.show("/bad", "empty");
    }
    // Where a camera looks is learnt for a minute before it can be missed.
    std::thread::sleep(Duration::from_secs(62).saturating_sub(learning.elapsed()));
    for (shown, state) in [("elsewhere", "turned_away"), ("empty", "ok")] {
        let mark = gate.mark();
        server.show("/turned", shown);
        gate.state("turned", state, mark);
    }
    // Packets came, and no picture could be made of them: it was told what is missing, and waited for.
    gate.state("rare", "ok", 0);
    let states = gate.states(0);
    let of_rare: Vec<_> = states.iter().filter(|s| s.0 == "rare").collect();
    let waits = |s: &&(String, String, String)| s.2.contains("no key frame yet");
    let at = of_rare.iter().position(waits);
    let next = at.and_then(|at| of_rare.get(at + 1));
    assert!(next.is_some_and(|s| s.1 == "ok"), "{states:?}");
    println!(
        "states: {:?}",
        gate.states(0)
            .iter()
            .filter(|s| s.0 == "bad")
            .map(|s| &s.1)
            .collect::<Vec<_>>()
    );
    // A machine that cannot keep up says so; that is no fault of the camera's.
    let well = |s: &(String, String, String)| s.0 != "good" || s.1 == "ok" || s.1 == "low_rate";
    assert!(gate.states(0).iter().all(well), "{:?}", gate.states(0));
    good.check(&gate);
    assert!(gate.stop("-TERM").success());
}

#[test]
fn a_camera_whose_server_dies_comes_back_each_time_and_nothing_grows() {
    let _alone = alone();
    let restarts: u32 = std::env::var("KAKOU_CAMERA_RESTARTS")
        .ok()
        .map_or(4, |n| n.parse().expect("a number of restarts"));
    let mut good = Unharmed::start();
    let mut server = Cameras::start();
    server.mount("/bad", &[("day", &clip(Scene::Day, Codec::H264B))]);
    let bad = camera("bad", &server.url("/bad"), "");
    let mut gate = Checkpoint::new(&[good.camera(), bad], LOOKS);
    gate.start();
    gate.state("good", "ok", 0);
    gate.state("bad", "ok", 0);
    good.begin();
    let mut counts = Vec::new();
    let mut back = Vec::new();
    for _ in 0..restarts {
        let mark = gate.mark();
        server.kill();
        gate.wait("a state that names the fault", mark, |h| {
            gate.states(mark)
                .into_iter()
                .find(|s| s.0 == "bad" && s.1 != "ok")
                .map(|_| h.at)
        });
        let mark = gate.mark();
        server.restart();
        let returned = Utc::now();
        let ok = gate.state("bad", "ok", mark);
        back.push((ok - returned).as_seconds_f64());
        let pid = gate.pid();
        counts.push((
            proc::descriptors(pid),
            proc::threads(pid),
            proc::descendants(pid).len(),
        ));
    }
    back.sort_by(f64::total_cmp);
    println!(
        "{restarts} restarts: back after {:.1} s (median), {:.1} s at most; descriptors, threads, children {:?} to {:?}",
        back[back.len() / 2],
        back[back.len() - 1],
        counts[0],
        counts[counts.len() - 1]
    );
    // A connection to the broker more or less is no leak; one more of anything per restart is.
    let (first, last) = (counts[0], counts[counts.len() - 1]);
    assert!(
        last.0 <= first.0 + 2 && last.1 <= first.1 + 2 && last.2 <= first.2,
        "{counts:?}"
    );
    let restarted = gate.wait("a status", gate.mark(), |_| {
        gate.status("bad")?["restarts"].as_u64()
    });
    assert!(
        restarted >= u64::from(restarts),
        "{restarted} restarts are told of {restarts}"
    );
    good.check(&gate);

    let children = proc::descendants(gate.pid());
    assert!(
        children.iter().any(|c| c.name.contains("ffmpeg")),
        "{children:?}"
    );
    assert!(gate.stop("-TERM").success());
    gone(&children);
}

/// None of these lives on, or will in a moment.
#[track_caller]
fn gone(children: &[proc::Process]) {
    let limit = Instant::now() + LONG;
    while let Some(child) = children.iter().find(|c| proc::lives(c)) {
        assert!(Instant::now() < limit, "{child:?} outlived the agent");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn cameras_that_cannot_be_are_told_apart_and_a_killed_agent_leaves_nothing_behind() {
    let _alone = alone();
    let mut server = Cameras::start();
    let day = clip(Scene::Day, Codec::H264);
    server.mount_guarded("/guarded", &[("day", &day)]);
    server.mount_silent("/silent", &day);
    server.mount("/plain", &[("day", &day)]);
    let login = format!("user = \"{USER}\"\npassword_file = \"secret.txt\"");
    let nobody = format!("rtsp://127.0.0.1:{}/a", mosquitto::free_port());
    let cameras = [
        camera("guarded", &server.guarded_url("/guarded"), &login),
        camera("silent", &server.url("/silent"), ""),
        camera("nobody", &nobody, ""),
        camera("nothing", &server.url("/nothing"), ""),
        camera("plain", &server.url("/plain"), ""),
    ];
    let mut gate = Checkpoint::new(&cameras, LOOKS);
    let secret = gate.dir.path().join("secret.txt");
    std::fs::write(&secret, "Wrong-but-secret-too").unwrap();
    gate.start();
    for (camera, state) in [
        ("guarded", "unauthorised"),
        ("silent", "no_frames"),
        ("nobody", "unreachable"),
        ("nothing", "unreachable"),
        ("plain", "ok"),
    ] {
        gate.state(camera, state, 0);
    }
    for (_, _, detail) in gate.states(0) {
        assert!(!detail.contains("Wrong-but-secret-too"), "{detail}");
    }
    // The right password is taken without a restart.
    let mark = gate.mark();
    std::fs::write(&secret, PASSWORD).unwrap();
    gate.state("guarded", "ok", mark);
    for text in proc::command_lines()
        .into_iter()
        .chain([gate.log(), gate.metrics()])
    {
        assert!(
            !text.contains(PASSWORD) && !text.contains("Wrong-but-secret-too"),
            "a password is in: {text}"
        );
    }

    let children = proc::descendants(gate.pid());
    assert!(
        children
            .iter()
            .filter(|c| c.name.contains("ffmpeg"))
            .count()
            >= 3,
        "{children:?}"
    );
    gate.stop("-KILL");
    gone(&children);
}
