//! `kakou setup` by its real binary: with options, and on a terminal.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kakou_contract::{Message, ResultMessage};
use kakou_uplink::{Subscriber, SubscriberConfig, SubscriberEvent};

use crate::agent::LONG;
use crate::mosquitto::{Mosquitto, free_port};
use crate::support::{self, root, stderr, stdout};

const PASSWORD: &str = "Xq7-hidden-Zebra";
const OTHER: &str = "Wq3-second-Gnu";

fn setup(dir: &Path, args: &[&str]) -> Output {
    setup_to(dir, "new/kakou.toml", args)
}

fn setup_to(dir: &Path, out: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kakou"))
        .args(["setup", "--out", out, "--state", "state"])
        .args(args)
        .current_dir(dir)
        .env("SYSTEMD_UNIT_PATH", dir.join("units"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn code(o: &Output, code: i32) -> String {
    let told = format!("{}{}", stdout(o), stderr(o));
    assert_eq!(o.status.code(), Some(code), "{told}");
    told
}

/// A camera that sends pictures of the sample footage by HTTP, to whoever connects.
fn camera() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let picture = std::fs::read(root().join("agent/samples/day/000000.jpg")).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let picture = picture.clone();
            std::thread::spawn(move || {
                let mut stream = stream?;
                let _ = stream.read(&mut [0; 4096])?;
                let head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=cut\r\n\r\n";
                stream.write_all(head.as_bytes())?;
                loop {
                    let part = format!(
                        "--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
                        picture.len()
                    );
                    stream.write_all(part.as_bytes())?;
                    stream.write_all(&picture)?;
                    stream.write_all(b"\r\n")?;
                    std::thread::sleep(Duration::from_millis(80));
                }
                #[allow(unreachable_code)]
                Ok::<_, std::io::Error>(())
            });
        }
    });
    port
}

/// Site, agent and broker, and one camera that nobody tries.
fn plain<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let all = [
        "--site",
        "west",
        "--agent",
        "box-7",
        "--broker",
        url,
        "--yes",
        "--no-probe",
        "--camera",
        "in=dahua:10.0.0.5",
    ];
    [all.as_slice(), more].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn options_make_a_config_that_the_agent_takes_and_the_platform_hears() {
    let broker = Mosquitto::start("");
    let mut subscriber =
        Subscriber::connect(broker.address(), SubscriberConfig::new(["kakou/v1/#"]));
    subscriber.subscribed(LONG).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_path_buf();
    std::fs::write(folder.join("typed"), format!("{PASSWORD}\n")).unwrap();
    std::fs::write(folder.join("other"), OTHER).unwrap();
    let (url, port) = (broker.address().to_string(), camera());
    let seen = format!("in=http://127.0.0.1:{port}/live");
    let dead = format!("out=rtsp://viewer:{OTHER}@127.0.0.1:{}/1", free_port());
    let run = {
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || {
            let args = [
                "--site",
                "west",
                "--agent",
                "box-7",
                "--broker",
                &url,
                "--user",
                "box",
                "--password-file",
                "typed",
                "--camera",
                &seen,
                "--camera",
                &dead,
                "--camera-user",
                "watch",
                "--camera-password-file",
                "other",
                "--yes",
            ];
            setup(&folder, &args)
        })
    };
    let o = run.await.unwrap();
    // One camera is dead: it is told with what to do, and written all the same.
    let told = code(&o, 3);
    let line = |word: &str, about: &str| {
        let begin = format!("{word:<8} camera     {about}: ");
        let found = told.lines().find(|l| l.starts_with(&begin));
        found
            .unwrap_or_else(|| panic!("{begin}\n{told}"))
            .to_owned()
    };
    let alive = line("ok", "in");
    assert!(
        alive.contains("mjpeg") && alive.contains("x") && alive.contains("frames/s"),
        "{alive}"
    );
    assert!(line("fault", "out").contains("is the camera on"), "{told}");
    assert!(
        told.contains("connected as `box`") && told.contains("somebody listens there"),
        "{told}"
    );

    let file = folder.join("new/kakou.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(PASSWORD) && !text.contains(OTHER) && !told.contains(OTHER));
    assert!(
        text.contains("# NOTE: no picture came") && text.contains("# [[camera.lane]]"),
        "{text}"
    );
    for (name, secret) in [
        ("broker-password", PASSWORD),
        ("in-password", OTHER),
        ("out-password", OTHER),
        ("kakou.toml", text.as_str()),
    ] {
        let path = file.with_file_name(name);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), secret, "{name}");
        let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
        assert!(mode == 0o600 || mode == 0o640, "{name}: {mode:o}");
    }
    let checked = support::json(&support::succeed(&[
        "check-config",
        "--no-files",
        "--json",
        file.to_str().unwrap(),
    ]));
    assert_eq!(
        (&checked["usable"], &checked["warnings"]),
        (&true.into(), &0.into()),
        "{checked}"
    );
    // What the platform heard is one message, of the contract, without a number.
    let mut heard = Vec::new();
    while let Ok(Some(event)) =
        tokio::time::timeout(Duration::from_secs(1), subscriber.recv()).await
    {
        if let SubscriberEvent::Message(m) = event {
            heard.push(m);
        }
    }
    let topics: Vec<&str> = heard.iter().map(|m| m.topic.as_str()).collect();
    assert_eq!(topics, ["kakou/v1/west/box-7/result/setup"]);
    let message = ResultMessage::from_json(&heard[0].payload).unwrap();
    assert!(message.ok && message.sequence.is_none() && !heard[0].retained);
    let log = std::fs::read_to_string(broker.folder().join("log")).unwrap();
    assert!(log.contains("kakou-west-box-7-setup"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_rights_let_the_message_through_and_the_platform_hears_it() {
    let broker = crate::rights::broker();
    let plain = broker.address().to_string();
    let platform = plain.replace("//", "//platform:platform@").parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pw"), "north/box-1").unwrap();
    let run = |out: &'static str| {
        let (folder, plain) = (dir.path().to_path_buf(), plain.clone());
        tokio::task::spawn_blocking(move || {
            let args = [
                "--site",
                "north",
                "--agent",
                "box-1",
                "--broker",
                &plain,
                "--user",
                "north/box-1",
                "--password-file",
                "pw",
                "--camera",
                "in=dahua:10.0.0.5",
                "--no-probe",
                "--yes",
            ];
            let o = setup_to(&folder, out, &args);
            format!("{}{}", stdout(&o), stderr(&o))
        })
    };
    let told = run("one/kakou.toml").await.unwrap();
    assert!(told.contains("nobody listens there yet"), "{told}");
    let mut subscriber = Subscriber::connect(platform, SubscriberConfig::new(["kakou/v1/#"]));
    subscriber.subscribed(LONG).await.unwrap();
    let told = run("two/kakou.toml").await.unwrap();
    assert!(told.contains("somebody listens there"), "{told}");
    let heard = tokio::time::timeout(LONG, async {
        loop {
            if let Some(SubscriberEvent::Message(m)) = subscriber.recv().await {
                return m.topic;
            }
        }
    });
    assert_eq!(heard.await.unwrap(), "kakou/v1/north/box-1/result/setup");
}

#[test]
fn what_cannot_be_used_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let url = "mqtt://127.0.0.1:1";
    let of = |site: &'static str, agent: &'static str| {
        let all = [
            "--site",
            site,
            "--agent",
            agent,
            "--broker",
            url,
            "--yes",
            "--no-probe",
        ];
        [all.as_slice(), &["--camera", "in=dahua:10.0.0.5"]].concat()
    };
    let base = [
        "--site",
        "west",
        "--agent",
        "box-7",
        "--broker",
        url,
        "--yes",
        "--no-probe",
    ];
    let with = |more: &[&'static str]| [base.as_slice(), more].concat();
    for (args, told) in [
        (of("north-gate", "box-1"), "ids of an example"),
        (of("ring-road-7", "box-1"), "ids of an example"),
        (of("west gate", "box-7"), "only A-Z a-z 0-9 _ - are allowed"),
        (of("west", ""), "1 to 64 of A-Z a-z 0-9 _ - are allowed"),
        (with(&[]), "--camera is missing"),
        (
            with(&["--camera", "in=acme:10.0.0.5"]),
            "hikvision, dahua, uniview, tp-link",
        ),
        (
            with(&["--camera", "in=dahua:a", "--camera", "in=dahua:b"]),
            "named twice",
        ),
        (
            with(&["--camera", "in=dahua:a", "--user", "box"]),
            "--password-file is missing",
        ),
        (
            with(&["--camera", "in=dahua:a", "--ca", "x.pem"]),
            "mqtts://",
        ),
        (vec!["--yes", "--site", "west"], "--agent is missing"),
    ] {
        let said = code(&setup(dir.path(), &args), 2);
        assert!(said.contains(told), "{args:?}: {said}");
        assert!(!dir.path().join("new").exists(), "{args:?}");
    }
}

#[test]
fn a_config_is_overwritten_by_force_only_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("new/kakou.toml");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    // The example of the package is nobody's config yet.
    std::fs::copy(root().join("configs/single-lane-gate.toml"), &file).unwrap();
    let url = "mqtt://127.0.0.1:1";
    let told = code(&setup(dir.path(), &plain(url, &[])), 3);
    assert!(told.contains("kept "), "{told}");
    assert!(told.contains("no test message could be sent"), "{told}");
    let mine = std::fs::read_to_string(&file).unwrap();
    assert!(
        mine.contains("rtsp://10.0.0.5/cam/realmonitor?channel=1&subtype=0"),
        "{mine}"
    );
    assert!(mine.contains("not tried yet"), "{mine}");
    let told = code(&setup(dir.path(), &plain(url, &[])), 1);
    assert!(told.contains("--force"), "{told}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), mine);
    code(
        &setup(
            dir.path(),
            &plain(url, &["--force", "--camera", "more=uniview:10.0.0.6"]),
        ),
        3,
    );
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .contains("/media/video1")
    );
    let olds = std::fs::read_dir(file.parent().unwrap())
        .unwrap()
        .map(|e| e.unwrap().path());
    let kept: Vec<String> = olds
        .filter(|p| p.to_string_lossy().contains("kakou.toml.old-"))
        .map(|p| std::fs::read_to_string(p).unwrap())
        .collect();
    assert!(kept.contains(&mine), "{kept:?}");
}

/// A program on a terminal of its own, made by `script`.
struct OnTerminal {
    child: std::process::Child,
    said: Arc<Mutex<String>>,
}

impl OnTerminal {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let line = format!("'{}' setup {}", env!("CARGO_BIN_EXE_kakou"), args.join(" "));
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .current_dir(dir)
            .env("SYSTEMD_UNIT_PATH", dir.join("units"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (mut out, into) = (child.stdout.take().unwrap(), Arc::clone(&said));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n) = out.read(&mut bytes) {
                if n == 0 {
                    break;
                }
                into.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        });
        Self { child, said }
    }

    /// Waits for a question behind what was said at the last one, and answers it.
    fn answer(&mut self, question: &str, answer: &str) {
        let limit = Instant::now() + LONG;
        while !self.said.lock().unwrap().contains(question) {
            let said = self.said.lock().unwrap().clone();
            assert!(Instant::now() < limit, "no {question:?}:\n{said}");
            std::thread::sleep(Duration::from_millis(20));
        }
        // What is typed before the terminal stops showing it would be shown.
        std::thread::sleep(Duration::from_millis(200));
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{answer}\n").as_bytes()).unwrap();
        stdin.flush().unwrap();
    }
}

#[test]
fn questions_on_a_terminal_do_the_same_and_passwords_are_not_shown() {
    let broker = Mosquitto::start("");
    let dir = tempfile::tempdir().unwrap();
    let url = broker.address().to_string();
    let live = format!("http://127.0.0.1:{}/live", camera());
    let args = ["--out", "new/kakou.toml", "--state", "state"];
    let mut terminal = OnTerminal::start(dir.path(), &args);
    for (question, answer) in [
        ("id of this checkpoint", "west gate"),
        ("only A-Z a-z 0-9 _ - are allowed", "west"),
        ("id of this box", "box-7"),
        ("broker, as mqtts://", url.as_str()),
        ("user at the broker", "box"),
        ("its password (not shown)", PASSWORD),
        ("id of a camera", "in"),
        ("its URL, or its maker", "acme:1"),
        ("there is no maker", &live),
        ("user of the camera", ""),
        ("frames/s", ""),
        ("write new/kakou.toml?", "yes"),
    ] {
        terminal.answer(question, answer);
    }
    let ended = terminal.child.wait().unwrap();
    let said = terminal.said.lock().unwrap().clone();
    assert!(!said.contains(PASSWORD), "{said}");
    let file = dir.path().join("new/kakou.toml");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{e}\n{said}"));
    assert!(text.contains(&format!("url = \"{live}\"")), "{text}");
    let secret = std::fs::read_to_string(file.with_file_name("broker-password")).unwrap();
    assert_eq!(secret, PASSWORD);
    // All is well but for what this machine itself lacks.
    assert!(matches!(ended.code(), Some(0 | 3)), "{ended}\n{said}");
    assert!(said.contains("nobody listens there yet"), "{said}");
}
