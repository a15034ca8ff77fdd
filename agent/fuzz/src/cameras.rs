//! What a camera sends, and what ffmpeg says of it.

use kakou_relay::doors::{self, Said};

use crate::{PASSWORD, SEPARATOR, is_presentable};

/// A camera's side of a conversation in RTSP. The first byte says whether we have a password, and
/// whether pictures come by UDP.
pub fn rtsp(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let taken = doors::items(bytes);
    assert!(taken.iter().all(|size| *size > 0));
    assert!(taken.iter().sum::<usize>() <= bytes.len());
    let password = (first & 1 == 0).then_some(PASSWORD);
    let said = doors::rtsp(bytes, password, first & 2 != 0);
    for bytes in said.to_camera.iter().chain(&said.to_ffmpeg) {
        let shown = String::from_utf8_lossy(bytes);
        assert!(doors::is_one_message(bytes), "not one message: {shown:?}");
    }
    silent(&said, bytes);
}

/// A camera's answers over HTTP, each behind a separator.
pub fn http(data: &[u8]) {
    let said = doors::http(data, SEPARATOR, PASSWORD);
    assert!(said.to_camera.iter().all(|asked| {
        // Nothing of an answer begins a line of a request.
        asked.is_empty() || asked.starts_with(b"GET /") && asked.ends_with(b"\r\n\r\n")
    }));
    silent(&said, data);
}

/// The password stands in nothing, unless the camera said it first.
fn silent(said: &Said, heard: &[u8]) {
    let fault = said.fault.as_deref().unwrap_or_default();
    assert!(is_presentable(fault), "{fault:?}");
    if contains(heard, PASSWORD) {
        return;
    }
    let all = said.to_camera.iter().chain(&said.to_ffmpeg);
    assert!(all.into_iter().all(|bytes| !contains(bytes, PASSWORD)));
    assert!(!fault.contains(PASSWORD), "{fault}");
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// ffmpeg's log, and what it says of its version.
pub fn ffmpeg(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        let taken = kakou_sight::doors::ffmpeg_line(line);
        // A title stands in a line that ffmpeg begins with a level.
        if line.starts_with("[info]") {
            assert!(!taken.starts_with("Frame") && !taken.starts_with("Colour"));
        }
    }
    if let Err(old) = kakou_sight::doors::ffmpeg_version(&text) {
        assert!(is_presentable(&old), "{old:?}");
    }
}
