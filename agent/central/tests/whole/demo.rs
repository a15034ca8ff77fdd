//! `kakou-central demo`, as somebody who wants to see it runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

#[test]
fn every_message_of_the_made_up_city_is_a_row_in_the_end() {
    let out = Command::new(env!("CARGO_BIN_EXE_kakou-central"))
        .args([
            "demo",
            "--agents",
            "12",
            "--seconds",
            "10",
            "--log",
            "error",
        ])
        .output()
        .unwrap();
    let (text, errors) = (
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    assert!(out.status.success(), "{text}\n{errors}");
    let last = text.lines().last().unwrap();
    assert!(last.contains(" are rows, 0 are missing"), "{text}");
    let taken: u64 = last
        .strip_prefix("the broker took ")
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .unwrap();
    assert!(taken > 100, "{text}");
}
