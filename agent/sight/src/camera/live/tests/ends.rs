//! Decoders that do not end when they are asked to. Shells play them.

use std::io::BufReader;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use super::super::child::follow;
use super::*;

/// Far more than an end by force takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection whose decoder is this script, and where it says why it ended.
fn decoded_by(script: &str) -> (Live, Receiver<Fault>) {
    let mut child = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pixels = child.stdout.take().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let shared = Arc::new(Shared::default());
    shared.hold(child);
    let (tell, ended) = channel();
    let theirs = Arc::clone(&shared);
    let thread = std::thread::spawn(move || {
        let config = config("rtsp://127.0.0.1:1/x");
        let fault = follow(&config, &clock(), &theirs, pixels, log);
        // Nobody may listen any more.
        let _ = tell.send(fault);
        theirs.reap();
    });
    let live = Live {
        shared,
        thread: Some(thread),
    };
    (live, ended)
}

/// What a decoder says of a picture that has few enough pixels and one side too long.
const TOO_LONG: &str = "trap '' TERM
echo '[Parsed_showinfo_0 @ 0x5] [info] n: 0 pts: 1 pts_time:0 fmt:yuv420p s:17000x900 i:P' >&2
echo '[Parsed_showinfo_0 @ 0x5] [info] color_range:tv color_space:bt709' >&2
";

#[test]
fn a_decoder_that_does_not_end_is_ended_by_force_after_a_fault() {
    for then in [
        // It waits to write its pixels.
        "exec head -c 22950000 /dev/zero",
        "exec sleep 600",
    ] {
        let (live, ended) = decoded_by(&format!("{TOO_LONG}{then}"));
        let Ok(fault) = ended.recv_timeout(PATIENCE) else {
            // To drop it would be to wait for the same.
            std::mem::forget(live);
            panic!("{then}: it does not end");
        };
        assert_eq!(fault.kind, FaultKind::Broken, "{then}: {fault:?}");
        assert!(fault.text.contains("17000 x 900"), "{then}: {fault:?}");
    }
}

#[test]
fn a_decoder_that_hangs_holds_nobody_up() {
    for script in [
        "trap '' TERM; exec sleep 600",
        // It writes a log for ever, and no pixels.
        "trap '' TERM; exec yes >&2",
    ] {
        let (live, _ended) = decoded_by(script);
        let (tell, dropped) = channel();
        std::thread::spawn(move || {
            drop(live);
            // Nobody may listen any more.
            let _ = tell.send(());
        });
        let is_dropped = dropped.recv_timeout(PATIENCE).is_ok();
        assert!(is_dropped, "{script}: it is waited for");
    }
}
