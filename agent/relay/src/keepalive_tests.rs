//! What keeps a stream alive, and what cameras make of it.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::tests::{answer, ask, dialogue};
use super::*;

const PINGS: [&str; 3] = ["GET_PARAMETER", "SET_PARAMETER", "OPTIONS"];

fn challenge(number: u32, nonce: &str) -> String {
    format!(
        "RTSP/1.0 401 Unauthorized\r\nCSeq: {number}\r\nWWW-Authenticate: Digest realm=\"c\", nonce=\"{nonce}\"\r\n\r\n"
    )
}

fn granted(number: u32) -> String {
    format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\nSession: 77;timeout=60\r\n\r\n")
}

/// The number by which the camera got this.
fn number(asked: &str) -> u32 {
    let number = asked.lines().find_map(|line| line.strip_prefix("CSeq: "));
    number.and_then(|n| n.parse().ok()).unwrap()
}

/// A stream that plays, proven with the nonce `first`.
fn playing() -> Dialogue {
    let mut d = dialogue();
    ask(&mut d, "DESCRIBE", "");
    answer(&mut d, &challenge(1, "first")).unwrap();
    answer(&mut d, &granted(2)).unwrap();
    for (method, track) in [("SETUP", "/t"), ("PLAY", "/")] {
        let asked = ask(&mut d, method, track);
        answer(&mut d, &granted(number(&asked))).unwrap();
    }
    assert!(d.is_playing());
    d
}

#[test]
fn a_stream_does_not_end_with_a_keep_alive_that_comes_to_nothing() {
    for method in PINGS {
        let mut d = playing();
        let asked = ask(&mut d, method, "/");
        assert_eq!(d.owed(), None, "{method}");
        // Nobody says that the old nonce is stale (Axis M5525).
        let again = match answer(&mut d, &challenge(number(&asked), "second")) {
            Ok(Step::ToCamera(again)) => String::from_utf8(again).unwrap(),
            other => panic!("{method}: {other:?}"),
        };
        assert!(
            again.starts_with(method) && again.contains("nonce=\"second\""),
            "{again}"
        );
        let told = answer(&mut d, &challenge(number(&again), "third"));
        assert_eq!(told, Ok(Step::Nothing), "{method}");
        // And from now on there is no answer at all (Hipcam).
        for _ in 0..2 * PENDING {
            let asked = ask(&mut d, method, "/");
            assert!(asked.contains("nonce=\"third\""), "{asked}");
            assert_eq!(d.owed(), None, "{method}");
        }
        ask(&mut d, "TEARDOWN", "/");
        assert_eq!(d.owed(), Some("TEARDOWN"), "{method}");
    }
}

#[test]
fn an_error_as_the_answer_to_a_keep_alive_is_nothing() {
    let known = [
        302, 400, 403, 404, 405, 407, 451, 453, 454, 500, 501, 503, 551,
    ];
    for (method, status) in PINGS.iter().flat_map(|m| known.map(|status| (m, status))) {
        let mut d = playing();
        let asked = ask(&mut d, method, "/");
        let told = answer(
            &mut d,
            &format!(
                "RTSP/1.0 {status} X\r\nCSeq: {}\r\nLocation: rtsp://other/x\r\n\r\n",
                number(&asked)
            ),
        );
        assert_eq!(told, Ok(Step::Nothing), "{method}: {status}");
        assert!(d.is_playing() && d.owed().is_none(), "{method}: {status}");
    }
    // Nor does a login that is not known end what an earlier one began.
    let mut d = playing();
    let asked = ask(&mut d, "GET_PARAMETER", "/");
    let strange = challenge(number(&asked), "x").replace("Digest", "Magic");
    assert_eq!(answer(&mut d, &strange), Ok(Step::Nothing));
    let next = ask(&mut d, "GET_PARAMETER", "/");
    assert!(next.contains("nonce=\"first\""), "{next}");
}

#[test]
fn before_a_stream_plays_every_question_is_owed_an_answer() {
    for method in PINGS {
        let mut d = dialogue();
        ask(&mut d, method, "");
        assert_eq!(d.owed(), Some(method));
    }
}

#[test]
fn an_answer_to_a_keep_alive_is_handed_on() {
    let mut d = playing();
    let asked = ask(&mut d, "GET_PARAMETER", "/");
    let told = answer(&mut d, &granted(number(&asked))).unwrap();
    assert!(
        matches!(&told, Step::ToFfmpeg(text) if text.starts_with(b"RTSP/1.0 200 OK\r\n")),
        "{told:?}"
    );
    // One that comes when nobody waits for it any more does nothing.
    let late = ask(&mut d, "GET_PARAMETER", "/");
    ask(&mut d, "GET_PARAMETER", "/");
    let told = answer(&mut d, &granted(number(&late)));
    assert_eq!(told, Ok(Step::Nothing));
}
