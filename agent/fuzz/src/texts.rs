//! Words of others, before they are shown.

use kakou_guard::{clean, mask, presentable};

use crate::{PASSWORD, is_presentable};

/// Any text: what is shown has no control character, and no password that stands where passwords
/// stand.
pub fn texts(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let shown = presentable(&text);
    assert!(is_presentable(&shown), "{shown:?}");
    assert!(clean(&text).lines().all(is_presentable));
    if text.contains(PASSWORD) {
        return;
    }
    let (before, after) = text.split_at(text.floor_char_boundary(text.len() / 2));
    for secret in [
        format!("{before} rtsp://admin:{PASSWORD}@10.0.0.1/ {after}"),
        format!("{before} http://10.0.0.1/x?password={PASSWORD}&{after}"),
        format!("{before}\nAuthorization: Bearer {PASSWORD}\r\n{after}"),
        format!("{before} {{\"password\": \"{PASSWORD}\"}} {after}"),
    ] {
        let shown = mask(&secret);
        assert!(!shown.contains(PASSWORD), "{secret:?} shows as {shown:?}");
    }
}
