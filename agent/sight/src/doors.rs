//! Doors to parsers that outsiders reach and nobody else calls, for the fuzz targets in
//! `agent/fuzz`. Nothing else goes through here.

use std::path::Path;

use crate::camera;

/// One line of ffmpeg's log; what it was taken for.
pub fn ffmpeg_line(text: &str) -> String {
    camera::doors::line(text)
}

/// What `ffmpeg -version` says; the version that is too old.
pub fn ffmpeg_version(text: &str) -> Result<(), String> {
    camera::doors::version(text)
}

/// A recording's `frames.jsonl`: how many entries it has, or why it is none.
pub fn frames(text: &str) -> Result<usize, String> {
    camera::doors::frames(text, Path::new("frames.jsonl")).map_err(|e| e.to_string())
}

/// A picture file of at most so many pixels: its size, or why it is none.
pub fn picture(bytes: &[u8], most: u64) -> Result<(u32, u32), String> {
    camera::doors::picture(bytes, most)
}
