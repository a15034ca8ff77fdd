#![allow(clippy::unwrap_used, clippy::panic)]
use std::sync::mpsc::sync_channel;

use kakou_time::{Stopwatch, SystemClock};

use super::super::ffmpeg::{Announced, Info, Passthrough, ReadError};
use super::super::{Layout, Stamper};
use super::child::frames;
use super::config::Input;
use super::*;
use kakou_relay::Picture;

mod ends;

fn clock() -> SharedClock {
    Arc::new(SystemClock::new())
}

fn config(url: &str) -> LiveConfig {
    LiveConfig::new(url.parse().unwrap())
}

/// The arguments for an input as the relay would give it.
fn arguments(c: &LiveConfig) -> Vec<String> {
    let device = c.address.device();
    let input = match &device {
        Some(device) => Input::Device(device),
        None => Input::Rtsp("rtsp://127.0.0.1:9/camera"),
    };
    c.arguments(&input, Passthrough::FpsMode)
}

#[test]
fn ffmpeg_learns_nothing_of_the_camera() {
    let c = config("rtsp://user:p'ss@10.0.0.5:1/pa7h?token=t0ken");
    let args = arguments(&c).join(" ");
    for secret in ["p'ss", "t0ken", "user", "10.0.0.5", "pa7h"] {
        assert!(!args.contains(secret), "{args}");
    }
    let target = c.target().unwrap();
    assert_eq!(target.url.reveal(), "rtsp://10.0.0.5:1/pa7h?token=t0ken");
    assert_eq!(target.login.clone().unwrap().password.reveal(), "p'ss");
    let shown = format!("{target:?} {c:?}");
    assert!(
        !shown.contains("p'ss") && !shown.contains("t0ken"),
        "{shown}"
    );
}

#[test]
fn each_kind_of_source_reaches_its_own_protocols_formats_and_codecs() {
    let after = |args: &[String], name: &str| {
        let at = args.iter().position(|a| a == name).unwrap();
        args[at + 1].clone()
    };
    let c = config("rtsp://127.0.0.1:1/x");
    let rtsp = arguments(&c);
    assert_eq!(after(&rtsp, "-protocol_whitelist"), "tcp");
    assert_eq!(after(&rtsp, "-format_whitelist"), "rtsp");
    assert_eq!(after(&rtsp, "-codec_whitelist"), "h264,hevc,mjpeg");
    let http = c.arguments(&Input::Http(Picture::Parts), Passthrough::Vsync);
    assert_eq!(after(&http, "-protocol_whitelist"), "pipe,fd");
    assert_eq!(after(&http, "-format_whitelist"), "mpjpeg");
    assert_eq!(after(&http, "-codec_whitelist"), "mjpeg");
    assert_eq!(after(&http, "-vsync"), "passthrough");
    for args in [rtsp, http, arguments(&config("v4l2:/dev/video0"))] {
        let protocols = after(&args, "-protocol_whitelist");
        assert!(!protocols.contains("http") && !protocols.contains("concat"));
        assert_eq!(after(&args, "-max_pixels"), (4096 * 4096).to_string());
        let of = |name: &str| args.iter().position(|a| a == name).unwrap();
        assert!(of("-protocol_whitelist") < of("-i") && of("-codec_whitelist") < of("-i"));
    }
}

#[test]
fn presets_name_their_decoders() {
    let with = |decoder| {
        let c = LiveConfig {
            decoder,
            ..config("rtsp://127.0.0.1:1/x")
        };
        arguments(&c).join(" ")
    };
    for (decoder, part) in [
        (Decoder::Vaapi, "-hwaccel vaapi"),
        (Decoder::Qsv, "-hwaccel qsv"),
        (Decoder::Cuda, "hwdownload,format=nv12"),
        (Decoder::V4l2m2m, "-c:v h264_v4l2m2m"),
        (Decoder::Rkmpp, "-c:v h264_rkmpp"),
    ] {
        assert!(
            with(decoder).contains(part),
            "{decoder:?}: {}",
            with(decoder)
        );
    }
    let device = arguments(&config("v4l2:/dev/video0")).join(" ");
    assert!(device.contains("-f v4l2 -i /dev/video0"), "{device}");
    let slow = arguments(&LiveConfig {
        rate: Some(5.0),
        ..config("rtsp://127.0.0.1:1/x")
    })
    .join(" ");
    assert!(slow.contains("floor(prev_selected_t*5.5000)"), "{slow}");
}

#[test]
fn faults_are_told_apart() {
    let kind = |said: &str, frames| Fault::of(said, frames).kind;
    assert_eq!(
        kind(
            "pipe:0: Server returned 401 Unauthorized (authorization failed)",
            0
        ),
        FaultKind::Unauthorised
    );
    assert_eq!(
        kind(
            "Connection to tcp://127.0.0.1:1 failed: Connection refused",
            0
        ),
        FaultKind::Unreachable
    );
    assert_eq!(
        kind("method DESCRIBE failed: 404 Not Found", 0),
        FaultKind::Unreachable
    );
    assert_eq!(
        kind("Invalid data found when processing input", 0),
        FaultKind::Broken
    );
    assert_eq!(kind("Connection timed out", 5), FaultKind::Broken);
    assert_eq!(Fault::of("", 9).text, "the stream ended");
}

/// Of a stream of 25 frames a second, in two seconds.
#[test]
fn any_rate_below_the_streams_own_is_met() {
    for (rate, least, most) in [
        (5.0, 10, 12),
        (18.0, 36, 40),
        (22.5, 45, 50),
        (60.0, 50, 50),
    ] {
        let filter = arguments(&LiveConfig {
            rate: Some(rate),
            ..config("rtsp://127.0.0.1:1/x")
        });
        let select = filter
            .iter()
            .filter_map(|a| a.split("',").next()?.strip_prefix("select='"))
            .next()
            .unwrap();
        let out = std::process::Command::new("ffmpeg")
            .args([
                "-v",
                "error",
                "-f",
                "lavfi",
                "-i",
                "testsrc=size=64x48:rate=25:duration=2",
            ])
            .args([
                "-vf",
                &format!("select='{select}'"),
                "-fps_mode",
                "passthrough",
            ])
            .args(["-f", "framemd5", "-"])
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let frames = text.lines().filter(|l| !l.starts_with('#')).count();
        assert!((least..=most).contains(&frames), "{rate}: {frames} frames");
    }
}

fn until_end(live: &Live) -> Fault {
    let watch = Stopwatch::start();
    while watch.elapsed() < Duration::from_secs(60) {
        if let LiveEvent::Ended(fault) = live.next(Duration::from_millis(200)) {
            return fault;
        }
    }
    panic!("it does not end");
}

#[test]
fn nobody_at_the_door_is_unreachable() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let live = Live::start(
        &config(&format!("rtsp://u:s3cretword@127.0.0.1:{port}/x")),
        clock(),
    )
    .unwrap();
    let fault = until_end(&live);
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault:?}");
    assert!(!fault.text.contains("s3cretword"), "{fault:?}");
    let none = Live::start(&config("v4l2:/dev/video-none"), clock()).unwrap();
    assert_eq!(until_end(&none).kind, FaultKind::Unreachable);
}

#[test]
fn a_password_file_that_is_not_there_is_named() {
    let mut c = config("rtsp://127.0.0.1:1/x");
    (c.user, c.password_file) = (Some("u".into()), Some("/no/such/secret".into()));
    let fault = until_end(&Live::start(&c, clock()).unwrap());
    assert_eq!(fault.kind, FaultKind::Unauthorised);
    assert!(fault.text.contains("/no/such/secret"), "{fault:?}");
}

#[test]
fn the_slot_holds_the_newest_and_counts_the_rest() {
    let shared = Shared::default();
    let announced = Announced {
        info: Info {
            seconds: None,
            width: 4,
            height: 2,
            layout: Some(Layout::I420),
            full_range: true,
            picture: Some('I'),
            key: true,
        },
        coding: None,
    };
    let (send, arrived) = sync_channel(8);
    for n in 0..3_u64 {
        send.send((announced.clone(), Duration::from_secs(n)))
            .unwrap();
    }
    drop(send);
    let pixels: Vec<u8> = (0..3_u8)
        .flat_map(|n| vec![n; Planes::size_of(4, 2)])
        .collect();
    let mut pixels = pixels.as_slice();
    let ended = frames(&mut pixels, &arrived, Stamper::default(), false, &shared);
    assert_eq!(ended, ReadError::Ended);
    let slot = shared.slot();
    let newest = slot.newest.as_ref().unwrap();
    assert_eq!(
        (newest.number, newest.captured, newest.planes.bytes[0]),
        (2, Duration::from_secs(2), 2)
    );
    assert_eq!((shared.received(), shared.dropped()), (3, 2));
    let coding = shared.coding();
    assert_eq!((coding.pictures, coding.key_distance), (3, Some(1)));
}

#[test]
fn the_longest_way_from_key_to_key_is_told_and_b_pictures_are_counted() {
    let mut coding = PictureCoding::default();
    for kind in "PPIBPIBBPPI".chars() {
        coding.saw(Some(kind), kind == 'I');
    }
    assert_eq!((coding.pictures, coding.b_pictures), (11, 3));
    assert_eq!((coding.key_pictures, coding.key_distance), (3, Some(5)));
    let mut one = PictureCoding::default();
    for kind in "IPPPP".chars() {
        one.saw(Some(kind), kind == 'I');
    }
    assert_eq!(one.key_distance, None, "the next one has not come");
}
