//! What ffmpeg's log says at `-loglevel level+info`: a line in, its meaning out. Pure. Every number
//! in it comes from outside and may be absurd; who uses one checks it.

use super::super::planes::{Coding, Layout};

/// What `showinfo` says of one frame.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::camera) struct Info {
    /// The frame's time stamp in the stream.
    pub seconds: Option<f64>,
    pub width: u32,
    pub height: u32,
    /// `None`: pixels that are no planes we know.
    pub layout: Option<Layout>,
    /// The name of the pixel format says that the whole range is used.
    pub full_range: bool,
    /// How the picture is coded: `I`, `P`, `B`; another letter or none where that is not told.
    pub picture: Option<char>,
    /// Decoding can begin at it.
    pub key: bool,
}

/// What a stream is, as ffmpeg found it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StreamInfo {
    pub codec: String,
    /// Frames a second that the stream claims.
    pub fps: Option<f64>,
    /// All that ffmpeg says of it.
    pub said: String,
}

/// One line of ffmpeg's log, at `-loglevel level+info`.
#[derive(Debug, PartialEq)]
pub(in crate::camera) enum LogLine {
    Frame(Info),
    /// How the frame just told is coded.
    Colour(Coding),
    Stream(StreamInfo),
    /// An error. `decoding`: of one frame or so, after which it goes on.
    Complaint {
        said: String,
        decoding: bool,
    },
    Other,
}

pub(in crate::camera) fn line(line: &str) -> LogLine {
    // Titles and names of whoever made the stream stand in the log too, but never at the beginning
    // of a line.
    if let Some(rest) = line.strip_prefix("[Parsed_showinfo_") {
        let said = rest.split_once("] [info] ").map(|(_, said)| said);
        return said
            .and_then(|said| {
                frame(said)
                    .map(LogLine::Frame)
                    .or_else(|| colour(said).map(LogLine::Colour))
            })
            .unwrap_or(LogLine::Other);
    }
    if let Some((source, said)) = complaint(line) {
        let decoder = [
            "[h264 @", "[hevc @", "[mjpeg @", "[mpeg4 @", "[h264_", "[hevc_", "[dec:", "[vist#",
        ];
        if is_harmless(source, said) {
            return LogLine::Other;
        }
        return LogLine::Complaint {
            said: said.trim().to_owned(),
            decoding: decoder.iter().any(|d| source.starts_with(d)),
        };
    }
    // Not ffmpeg's own: what starts it could not.
    if line.starts_with("setpriv: ") && line.contains("failed to execute") {
        return LogLine::Complaint {
            said: line.trim().to_owned(),
            decoding: false,
        };
    }
    stream(line).map_or(LogLine::Other, LogLine::Stream)
}

/// `[h264 @ 0x5] [error] text`, `[error] text`: who complains, and what it says.
fn complaint(line: &str) -> Option<(&str, &str)> {
    for level in ["[error] ", "[fatal] ", "[panic] "] {
        let Some(at) = line.find(level) else { continue };
        let (source, said) = line.split_at(at);
        let said = said.strip_prefix(level).unwrap_or_default();
        // A title that goes on in a new line stands behind a level of its own.
        let levels = ["[info]", "[warning]", "[verbose]", "[debug]"];
        let is_other = levels.iter().any(|l| source.starts_with(l));
        let is_source = source.starts_with('[') && source.ends_with("] ") && !is_other;
        if source.is_empty() || is_source {
            return Some((source, said));
        }
    }
    None
}

/// What our own output complains of is no damage of what was decoded: bare pixels have no order of
/// times to keep. Nor is a decoder of sound that is not let in.
fn is_harmless(source: &str, said: &str) -> bool {
    let ours = ["[rawvideo @", "[null @", "[out#", "[aost#", "[vost#"];
    let order = [
        "non monotonically increasing dts",
        "Non-monoton",
        "invalid dropping",
    ];
    let sound = [
        "aac",
        "mp2",
        "mp3",
        "mp3float",
        "ac3",
        "opus",
        "vorbis",
        "g726",
        "pcm_alaw",
        "pcm_mulaw",
        "pcm_s16le",
        "pcm_s16be",
        "adpcm_g726",
        "adpcm_ima_wav",
        "amrnb",
        "flac",
    ];
    let is_sound = |name: &str| said.starts_with(&format!("Codec ({name}) not on whitelist"));
    ours.iter().any(|o| source.starts_with(o))
        || order.iter().any(|o| said.contains(o))
        || sound.into_iter().any(is_sound)
}

/// What showinfo says of a frame: `n:   3 pts:   1536 pts_time:0.12 ... fmt:yuv420p ...
/// s:1280x720 ...`.
fn frame(said: &str) -> Option<Info> {
    if !said.starts_with("n:") {
        return None;
    }
    let field = |key: &str| {
        let (_, rest) = said.split_once(key)?;
        rest.split_whitespace().next()
    };
    let (w, h) = field(" s:")?.split_once('x')?;
    let seconds = field(" pts_time:").and_then(number);
    let format = field(" fmt:").unwrap_or_default();
    let layout = match format {
        "yuv420p" | "yuvj420p" => Some(Layout::I420),
        "nv12" => Some(Layout::Nv12),
        _ => None,
    };
    let full_range = format == "yuvj420p";
    Some(Info {
        picture: field(" type:").and_then(|kind| kind.chars().next()),
        key: field(" iskey:") == Some("1"),
        seconds,
        width: side(w)?,
        height: side(h)?,
        layout,
        full_range,
    })
}

/// Digits and nothing else.
fn side(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// A time as ffmpeg writes it; no infinity, no NaN.
fn number(text: &str) -> Option<f64> {
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e');
    let number: f64 = text.bytes().all(plain).then(|| text.parse().ok())??;
    number.is_finite().then_some(number)
}

/// What showinfo says of a frame's coding: `color_range:tv color_space:bt709 ...`.
fn colour(said: &str) -> Option<Coding> {
    let rest = said.strip_prefix("color_range:")?;
    let range = rest.split_whitespace().next()?;
    let space = rest
        .split_once("color_space:")
        .and_then(|(_, s)| s.split_whitespace().next());
    Some(Coding {
        full_range: range == "pc",
        bt709: space == Some("bt709"),
    })
}

/// A line such as `[info]   Stream #0:0: Video: h264 (High), yuv420p(...), 1920x1080 [SAR 1:1 DAR
/// 16:9], 25 fps, ...`.
fn stream(line: &str) -> Option<StreamInfo> {
    let (place, said) = line.split_once(": Video: ")?;
    let codec = said.split([' ', ',']).next()?.to_owned();
    // Not what a title says: its line begins with its name.
    let is_stream = place
        .trim_start()
        .strip_prefix("[info]")
        .is_some_and(|place| place.trim_start().starts_with("Stream #0:"));
    if !is_stream || codec == "rawvideo" || codec == "wrapped_avframe" {
        return None;
    }
    let fps = said
        .split(", ")
        .find_map(|part| part.strip_suffix(" fps"))
        .and_then(|n| n.trim().parse().ok());
    Some(StreamInfo {
        codec,
        fps,
        said: said.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    const FRAME: &str = "[Parsed_showinfo_0 @ 0x5] [info] n:   3 pts:   1536 pts_time:0.12    duration: 512 fmt:yuv420p \
                         cl:left sar:1/1 s:1280x720 i:P iskey:0 type:P";

    #[test]
    fn showinfo_lines_are_read() {
        let info = Info {
            seconds: Some(0.12),
            width: 1280,
            height: 720,
            layout: Some(Layout::I420),
            full_range: false,
            picture: Some('P'),
            key: false,
        };
        assert_eq!(line(FRAME), LogLine::Frame(info.clone()));
        let none = Info {
            seconds: None,
            layout: None,
            ..info
        };
        assert_eq!(
            line(&FRAME.replace(":0.12", ":NOPTS").replace("yuv420p", "rgb24")),
            LogLine::Frame(none)
        );
        assert_eq!(
            line("[Parsed_showinfo_0 @ 0x5] [info] config in time_base: 1/12800"),
            LogLine::Other
        );
        let colour = "[Parsed_showinfo_0 @ 0x5] [info] color_range:pc color_space:bt709 color_primaries:unknown";
        assert_eq!(
            line(colour),
            LogLine::Colour(Coding {
                full_range: true,
                bt709: true
            })
        );
    }

    /// A file's title, a camera's name: lines that only look like the decoder's.
    #[test]
    fn what_a_title_says_is_no_frame() {
        let said = "n:0 pts:0 pts_time:0 s:4294967295x4294967295 fmt:rgb24 x";
        for title in [
            format!("[info]     title           : Parsed_showinfo {said}"),
            format!("[info]     title           : [Parsed_showinfo_0 @ 0x5] [info] {said}"),
            format!("[info]                     : [h264 @ 0x1] [error] {said}"),
            "[info]     title           : Stream #0:0: Video: h264, 25 fps".to_owned(),
            format!("[Parsed_showinfo_0 @ 0x5] [info] title: {said}"),
        ] {
            assert_eq!(line(&title), LogLine::Other, "{title}");
        }
    }

    #[test]
    fn numbers_are_digits_in_their_range() {
        let with = |size: &str, time: &str| {
            line(
                &FRAME
                    .replace("1280x720", size)
                    .replace(":0.12", &format!(":{time}")),
            )
        };
        for size in [
            "0x+64",
            "0xff",
            "-1x2",
            "99999999999x2",
            "1280 x720",
            "x",
            "1280x",
        ] {
            assert!(
                !matches!(with(size, "0.5"), LogLine::Frame(i) if i.width > 0 && i.height > 0),
                "{size}"
            );
        }
        for time in ["inf", "nan", "infinity", "NOPTS", "1e999", "0x10"] {
            assert!(
                matches!(
                    with("4x2", time),
                    LogLine::Frame(Info { seconds: None, .. })
                ),
                "{time}"
            );
        }
    }

    #[test]
    fn what_our_own_output_complains_of_is_no_damage() {
        for harmless in [
            "[rawvideo @ 0x5] [error] Application provided invalid, non monotonically increasing dts to muxer in stream 0: 5 >= 5",
            "[aac @ 0x5] [error] Codec (aac) not on whitelist 'h264'",
        ] {
            assert_eq!(line(harmless), LogLine::Other);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read_without_a_panic(text in "(\\[Parsed_showinfo_0 @ 0x5\\] \\[info\\] n:|\\[info\\]|)\\PC{0,80}") {
            let _ = line(&text);
        }
    }

    #[test]
    fn complaints_and_streams_are_told_apart() {
        let said = |l: &str| match line(l) {
            LogLine::Complaint { said, decoding } => (said, decoding),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            said("[h264 @ 0x5] [error] error while decoding MB 3 4"),
            ("error while decoding MB 3 4".into(), true)
        );
        assert!(!said("[error] pipe:0: Server returned 401 Unauthorized (authorization failed)").1);
        assert!(!said("setpriv: failed to execute ffmpeg: No such file or directory").1);
        let l = "[info]   Stream #0:0: Video: hevc (Main), yuv420p(tv), 1920x1080 [SAR 1:1 DAR 16:9], 12.5 fps, 25 tbr";
        match line(l) {
            LogLine::Stream(s) => assert_eq!((s.codec.as_str(), s.fps), ("hevc", Some(12.5))),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            line("[info]   Stream #0:0: Video: rawvideo (I420 / 0x30323449), yuv420p, 25 fps"),
            LogLine::Other
        );
    }
}
