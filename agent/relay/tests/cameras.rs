//! The relay against cameras that misbehave. A thread plays the camera, the test plays ffmpeg.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use kakou_guard::Secret;
use kakou_relay::{
    Fault, FaultKind, Fingerprint, Login, Opened, Picture, Relay, Target, Timeouts, Transport,
    Trust,
};
use sha2::{Digest, Sha256};
use tokio_rustls::rustls;

const PASSWORD: &str = "S3CRET-pw";
/// Of a stream.
const PACKET: [u8; 7] = [b'$', 0, 0, 3, 1, 2, 3];
/// What a usual camera is asked until it plays: OPTIONS, DESCRIBE twice, SETUP, PLAY.
const UNTIL_PLAY: usize = 5;

fn target(url: &str) -> Target {
    Target {
        url: Secret::new(url),
        login: Some(Login {
            user: Secret::new("kakou"),
            password: Secret::new(PASSWORD),
        }),
        transport: Transport::Tcp,
        trust: Trust::Machine,
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(1),
            answer: Duration::from_secs(3),
            goodbye: Duration::from_secs(2),
        },
    }
}

/// A camera that answers each head by what `answer` says; `None` is silence. Tells what it was
/// asked.
struct Camera {
    port: u16,
    asked: Receiver<String>,
}

fn camera(answer: impl Fn(&str, usize) -> Option<Vec<u8>> + Send + Sync + 'static) -> Camera {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, asked) = channel();
    std::thread::spawn(move || {
        let (answer, count) = (Arc::new(answer), Arc::new(Mutex::new(0)));
        for stream in listener.incoming().flatten() {
            let (answer, tell, count) = (Arc::clone(&answer), tell.clone(), Arc::clone(&count));
            std::thread::spawn(move || {
                let mut to = stream.try_clone().unwrap();
                let mut from = BufReader::new(stream);
                while let Some(head) = head(&mut from) {
                    let number = {
                        let mut count = count.lock().unwrap();
                        *count += 1;
                        *count
                    };
                    let _ = tell.send(head.clone());
                    if let Some(bytes) = answer(&head, number) {
                        let _ = to.write_all(&bytes);
                        if head.starts_with("GET") {
                            // The end of the stream.
                            return;
                        }
                    }
                }
            });
        }
    });
    Camera { port, asked }
}

fn head(from: &mut impl BufRead) -> Option<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        if line == "\r\n" {
            return Some(text);
        }
        text += &line;
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What a usual camera says, with a password by Basic.
fn usual(head: &str, _: usize) -> Option<Vec<u8>> {
    let number = field(head, "CSeq").unwrap_or_default();
    let ok =
        |more: &str| Some(format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{more}\r\n").into_bytes());
    let method = head.split(' ').next().unwrap_or_default();
    if field(head, "Authorization").is_none() && method != "OPTIONS" {
        return Some(
            format!("RTSP/1.0 401 Unauthorized\r\nCSeq: {number}\r\nWWW-Authenticate: Basic realm=\"c\"\r\n\r\n")
                .into_bytes(),
        );
    }
    match method {
        "SETUP" => {
            ok("Session: 4711;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n")
        }
        "PLAY" => {
            let mut bytes = ok("Session: 4711\r\n")?;
            bytes.extend(PACKET);
            Some(bytes)
        }
        _ => ok(""),
    }
}

/// ffmpeg's side.
struct Ffmpeg {
    to: TcpStream,
    from: BufReader<TcpStream>,
    url: String,
}

impl Ffmpeg {
    fn connect(relay: &Relay) -> Self {
        let Opened::Rtsp { url, port } = relay.opened().unwrap() else {
            panic!("no RTSP");
        };
        let to = TcpStream::connect(("127.0.0.1", port)).unwrap();
        to.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let from = BufReader::new(to.try_clone().unwrap());
        Self { to, from, url }
    }

    fn ask(&mut self, method: &str) -> Option<String> {
        self.say(method);
        head(&mut self.from)
    }

    fn say(&mut self, method: &str) {
        write!(self.to, "{method} {} RTSP/1.0\r\nCSeq: 9\r\n\r\n", self.url).unwrap();
    }

    /// Until the first packet has come.
    fn play(&mut self) {
        for method in ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"] {
            let answer = self.ask(method).unwrap();
            assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
        }
        self.packet();
    }

    fn packet(&mut self) {
        let mut packet = [0; 7];
        self.from.read_exact(&mut packet).unwrap();
        assert_eq!(packet, PACKET);
    }
}

fn ended(relay: &Relay) -> Fault {
    for _ in 0..1000 {
        if let Some(fault) = relay.fault() {
            return fault;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the relay goes on");
}

fn all(camera: &Camera) -> String {
    let mut text = String::new();
    while let Ok(head) = camera.asked.recv_timeout(Duration::from_millis(300)) {
        text += &head;
    }
    text
}

#[test]
fn a_session_is_torn_down_however_ffmpeg_ends() {
    for by_stop in [true, false] {
        let camera = camera(usual);
        let relay = Relay::start(target(&format!("rtsp://127.0.0.1:{}/a", camera.port))).unwrap();
        let mut ffmpeg = Ffmpeg::connect(&relay);
        for method in ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"] {
            let answer = ffmpeg.ask(method).unwrap();
            assert!(
                answer.starts_with("RTSP/1.0 200") && answer.contains("CSeq: 9"),
                "{answer}"
            );
        }
        let mut packet = [0; 7];
        ffmpeg.from.read_exact(&mut packet).unwrap();
        assert_eq!(packet, [b'$', 0, 0, 3, 1, 2, 3]);
        assert!(relay.bytes() > 0);
        if by_stop {
            drop(relay);
        } else {
            drop(ffmpeg);
        }
        let asked = all(&camera);
        assert!(
            asked.contains("TEARDOWN rtsp://127.0.0.1") && asked.contains("Session: 4711"),
            "{asked}"
        );
    }
}

#[test]
fn the_password_goes_to_the_configured_host_alone() {
    let other = camera(usual);
    let to = format!("rtsp://127.0.0.1:{}/b", other.port);
    let moved = move |head: &str, _| {
        let number = field(head, "CSeq").unwrap_or_default();
        Some(format!("RTSP/1.0 302 Moved\r\nCSeq: {number}\r\nLocation: {to}\r\n\r\n").into_bytes())
    };
    let first = camera(moved);
    let relay = Relay::start(target(&format!("rtsp://127.0.0.1:{}/a", first.port))).unwrap();
    let mut ffmpeg = Ffmpeg::connect(&relay);
    assert_eq!(ffmpeg.ask("DESCRIBE"), None);
    let fault = ended(&relay);
    assert!(fault.text.contains("sends us on"), "{fault}");
    assert!(all(&other).is_empty(), "somebody went there");
    // The same over HTTP, but within the camera it is followed.
    let to = format!("http://127.0.0.1:{}/b", other.port);
    let moved = move |head: &str, _| {
        let away = head.starts_with("GET /away");
        let location = if away { to.as_str() } else { "/away" };
        Some(
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
                .into_bytes(),
        )
    };
    let first = camera(moved);
    let relay = Relay::start(target(&format!("http://127.0.0.1:{}/a", first.port))).unwrap();
    let fault = relay.opened().unwrap_err();
    assert!(fault.text.contains("sends us on"), "{fault}");
    assert!(all(&first).contains("GET /away"));
    assert!(all(&other).is_empty(), "somebody went there");
}

#[test]
fn what_a_camera_does_is_said_in_words() {
    let status = |code: u16| {
        move |head: &str, _| {
            let number = field(head, "CSeq").unwrap_or_default();
            Some(format!("RTSP/1.0 {code} X\r\nCSeq: {number}\r\n\r\n").into_bytes())
        }
    };
    for (code, kind, word) in [
        (453, FaultKind::Busy, "free session"),
        (503, FaultKind::Busy, "free session"),
        (404, FaultKind::Unreachable, "no such stream"),
    ] {
        let camera = camera(status(code));
        let relay = Relay::start(target(&format!("rtsp://127.0.0.1:{}/a", camera.port))).unwrap();
        Ffmpeg::connect(&relay).ask("DESCRIBE");
        let fault = ended(&relay);
        assert!(
            fault.kind == kind && fault.text.contains(word),
            "{code}: {fault:?}"
        );
    }
    // Accepts, and is silent.
    let silent = camera(|_, _| None);
    let relay = Relay::start(target(&format!("rtsp://127.0.0.1:{}/a", silent.port))).unwrap();
    Ffmpeg::connect(&relay).ask("DESCRIBE");
    let fault = ended(&relay);
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(fault.text.contains("no answer to DESCRIBE"), "{fault}");
    // Speaks, but no RTSP.
    let noise = camera(|_, _| Some(vec![b'x'; 2 << 20]));
    let relay = Relay::start(target(&format!("rtsp://127.0.0.1:{}/a", noise.port))).unwrap();
    Ffmpeg::connect(&relay).ask("DESCRIBE");
    assert!(ended(&relay).text.contains("no RTSP"));
    // Nobody.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let relay = Relay::start(target(&format!("rtsp://127.0.0.1:{port}/a"))).unwrap();
    assert_eq!(relay.opened().unwrap_err().kind, FaultKind::Unreachable);
}

#[test]
fn over_http_only_mjpeg_is_taken() {
    let opened = |head: &'static str, body: &'static [u8]| {
        let camera = camera(move |_, _| Some([head.as_bytes(), b"\r\n\r\n", body].concat()));
        let relay = Relay::start(target(&format!("http://127.0.0.1:{}/a", camera.port))).unwrap();
        relay.opened()
    };
    let jpeg = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=x";
    assert_eq!(opened(jpeg, b"--x"), Ok(Opened::Http(Picture::Parts)));
    assert_eq!(
        opened("HTTP/1.0 200 OK", b"\xff\xd8\xff"),
        Ok(Opened::Http(Picture::Bare))
    );
    for (head, body, word) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg",
            &b"\xff\xd8"[..],
            "single pictures",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl",
            b"#EXTM3U",
            "mpegurl",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: application/sdp",
            b"v=0",
            "sdp",
        ),
        (
            "HTTP/1.1 200 OK",
            b"#EXTM3U\nfile:///etc/passwd",
            "no MJPEG",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream",
            b"ffconcat version 1.0",
            "no MJPEG",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html",
            b"<html>",
            "text/html",
        ),
    ] {
        let fault = opened(head, body).unwrap_err();
        assert!(
            fault.kind == FaultKind::Broken && fault.text.contains(word),
            "{head}: {fault}"
        );
    }
}

#[test]
fn a_stream_over_http_goes_into_the_pipe() {
    let camera = camera(|head, _| {
        let asks = "HTTP/1.1 401 U\r\nWWW-Authenticate: Digest realm=\"c\", nonce=\"1\"\r\nContent-Length: 0\r\n\r\n";
        let text = if head.contains("authorization: Digest") {
            "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n--x\r\nframe"
        } else {
            asks
        };
        Some(text.as_bytes().to_vec())
    });
    let relay = Relay::start(target(&format!("http://127.0.0.1:{}/a?b=1", camera.port))).unwrap();
    assert_eq!(relay.opened(), Ok(Opened::Http(Picture::Parts)));
    struct Pipe(Arc<Mutex<Vec<u8>>>);
    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let got = Arc::default();
    relay.feed(Pipe(Arc::clone(&got)));
    assert!(ended(&relay).text.contains("ended the stream"));
    assert_eq!(*got.lock().unwrap(), b"--x\r\nframe");
    assert!(!all(&camera).contains(PASSWORD));
}

/// A camera by TLS with a certificate of its own, which takes a connection and says what was asked.
fn encrypted() -> (u16, Fingerprint, JoinHandle<String>) {
    let made =
        rcgen::generate_simple_self_signed(vec!["not-the-camera.example".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let pin = Fingerprint(Sha256::digest(&certificate).into());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        let mut tls = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
        let mut got = vec![0; 4096];
        let n = stream.read(&mut got).unwrap_or(0);
        let _ = stream
            .write_all(b"RTSP/1.0 401 U\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm=\"c\"\r\n\r\n");
        let more = stream.read(&mut got[n..]).unwrap_or(0);
        String::from_utf8_lossy(&got[..n + more]).into_owned()
    });
    (port, pin, thread)
}

#[test]
fn a_camera_by_tls_proves_itself_or_gets_no_word() {
    // Signed by itself, and for another name.
    let (port, pin, heard) = encrypted();
    let relay = Relay::start(target(&format!("rtsps://127.0.0.1:{port}/a"))).unwrap();
    let fault = relay.opened().unwrap_err();
    let says_pin = fault.text.contains(&pin.to_string());
    // A machine without any authority says that first.
    assert!(
        says_pin || fault.text.contains("trusts no authority"),
        "{fault}"
    );
    assert_eq!(heard.join().unwrap(), "");
    // Another one is pinned.
    let (port, _, heard) = encrypted();
    let wrong = Target {
        trust: Trust::Pinned(Fingerprint([7; 32])),
        ..target(&format!("https://127.0.0.1:{port}/a"))
    };
    let fault = Relay::start(wrong).unwrap().opened().unwrap_err();
    assert!(fault.text.contains("not the pinned one"), "{fault}");
    assert_eq!(heard.join().unwrap(), "");
    // This one is.
    let (port, pin, heard) = encrypted();
    let right = Target {
        trust: Trust::Pinned(pin),
        ..target(&format!("rtsps://127.0.0.1:{port}/a"))
    };
    let relay = Relay::start(right).unwrap();
    let mut ffmpeg = Ffmpeg::connect(&relay);
    let _ = write!(
        ffmpeg.to,
        "DESCRIBE {} RTSP/1.0\r\nCSeq: 9\r\n\r\n",
        ffmpeg.url
    );
    let heard = heard.join().unwrap();
    assert!(
        heard.starts_with("DESCRIBE rtsps://127.0.0.1") && heard.contains("Authorization: Basic "),
        "{heard}"
    );
}

/// A camera that begins to answer and goes on byte by byte, for ever.
fn dripping(begin: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut to in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // Who speaks before it is asked is another fault.
                let _ = to.read(&mut [0; 4096]);
                let mut drop = begin.as_bytes();
                while to.write_all(drop).is_ok() {
                    std::thread::sleep(Duration::from_millis(100));
                    drop = b"x";
                }
            });
        }
    });
    port
}

#[test]
fn an_answer_that_drips_is_waited_for_no_longer_than_one_that_does_not_come() {
    // Never silent, and never at its end.
    let port = dripping("RTSP/1.0 200 OK\r\nX-A: ");
    let relay = Relay::start(target(&format!("rtsp://127.0.0.1:{port}/a"))).unwrap();
    Ffmpeg::connect(&relay).ask("DESCRIBE");
    let fault = ended(&relay);
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(fault.text.contains("no answer to DESCRIBE"), "{fault}");
    let port = dripping("HTTP/1.1 200 OK\r\nX-A: ");
    let relay = Relay::start(target(&format!("http://127.0.0.1:{port}/a"))).unwrap();
    let fault = relay.opened().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(fault.text.contains("no answer to GET"), "{fault}");
}

#[test]
fn a_stream_goes_on_while_packets_come_whatever_becomes_of_its_keep_alive() {
    // Once it plays, it sends a packet in the place of each answer.
    let camera = camera(|head, number| {
        if number > UNTIL_PLAY {
            return Some(PACKET.to_vec());
        }
        usual(head, number)
    });
    let mut target = target(&format!("rtsp://127.0.0.1:{}/a", camera.port));
    // A machine that stands still for a moment is no silent camera.
    target.timeouts.silence = Duration::from_secs(60);
    let answer = target.timeouts.answer;
    let relay = Relay::start(target).unwrap();
    let mut ffmpeg = Ffmpeg::connect(&relay);
    ffmpeg.play();
    // For longer than an answer is waited for.
    let step = Duration::from_millis(100);
    let mut waited = Duration::ZERO;
    while waited < answer + Duration::from_secs(1) {
        ffmpeg.say("OPTIONS");
        ffmpeg.packet();
        std::thread::sleep(step);
        waited += step;
    }
    assert_eq!(relay.fault(), None);
}

#[test]
fn a_camera_that_sends_nothing_more_is_silent_however_often_it_is_asked() {
    let camera = camera(|head, number| {
        if number > UNTIL_PLAY {
            return None;
        }
        usual(head, number)
    });
    let relay = Relay::start(target(&format!("rtsp://127.0.0.1:{}/a", camera.port))).unwrap();
    let mut ffmpeg = Ffmpeg::connect(&relay);
    ffmpeg.play();
    let mut to = ffmpeg.to.try_clone().unwrap();
    let ping = format!("OPTIONS {} RTSP/1.0\r\nCSeq: 9\r\n\r\n", ffmpeg.url);
    let asks = std::thread::spawn(move || {
        while to.write_all(ping.as_bytes()).is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    assert_eq!(ended(&relay).kind, FaultKind::Silent);
    drop(relay);
    asks.join().unwrap();
}

#[test]
fn a_camera_that_repeats_the_password_is_not_quoted() {
    for words in [
        "404 not for kakou:S3CRET-pw",
        "404 not for a2Frb3U6UzNDUkVULXB3",
        "302 Moved\r\nLocation: rtsp://10.0.0.9/S3CRET-pw/x",
    ] {
        let camera = camera(move |head, _| {
            let number = field(head, "CSeq").unwrap_or_default();
            Some(format!("RTSP/1.0 {words}\r\nCSeq: {number}\r\n\r\n").into_bytes())
        });
        let relay = Relay::start(target(&format!("rtsp://127.0.0.1:{}/a", camera.port))).unwrap();
        Ffmpeg::connect(&relay).ask("DESCRIBE");
        let told = ended(&relay).text;
        assert!(told.contains("(words with the password in them)"), "{told}");
        assert!(
            !told.contains("S3CRET") && !told.contains("a2Frb3U6"),
            "{told}"
        );
    }
}
