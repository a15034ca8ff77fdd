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
    if line.contains("Parsed_showinfo") {
        return frame(line)
            .map(LogLine::Frame)
            .or_else(|| colour(line).map(LogLine::Colour))
            .unwrap_or(LogLine::Other);
    }
    if let Some((_, said)) = line
        .split_once("[error] ")
        .or_else(|| line.split_once("[fatal] "))
    {
        let decoder = [
            "[h264 @", "[hevc @", "[mjpeg @", "[mpeg4 @", "[h264_", "[hevc_",
        ];
        let decoding = decoder.iter().any(|d| line.trim_start().starts_with(d));
        return LogLine::Complaint {
            said: said.trim().to_owned(),
            decoding,
        };
    }
    // Not ffmpeg's own: what starts it could not.
    if line.contains("failed to execute") {
        return LogLine::Complaint {
            said: line.trim().to_owned(),
            decoding: false,
        };
    }
    stream(line).map_or(LogLine::Other, LogLine::Stream)
}

/// A line such as `[Parsed_showinfo_0 @ 0x..] [info] n:   3 pts:   1536 pts_time:0.12 ...
/// fmt:yuv420p ... s:1280x720 ...`.
fn frame(line: &str) -> Option<Info> {
    if !line.contains(" n:") {
        return None;
    }
    let field = |key: &str| {
        let (_, rest) = line.split_once(key)?;
        rest.split_whitespace().next()
    };
    let (w, h) = field(" s:")?.split_once('x')?;
    let seconds = field("pts_time:").and_then(|s| s.parse().ok());
    let format = field(" fmt:").unwrap_or_default();
    let layout = match format {
        "yuv420p" | "yuvj420p" => Some(Layout::I420),
        "nv12" => Some(Layout::Nv12),
        _ => None,
    };
    let full_range = format == "yuvj420p";
    Some(Info {
        seconds,
        width: w.parse().ok()?,
        height: h.parse().ok()?,
        layout,
        full_range,
    })
}

/// A line such as `[Parsed_showinfo_0 @ 0x..] [info] color_range:tv color_space:bt709 ...`.
fn colour(line: &str) -> Option<Coding> {
    let (_, rest) = line.split_once("color_range:")?;
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
    let (_, said) = line.split_once(": Video: ")?;
    let codec = said.split([' ', ',']).next()?.to_owned();
    if !line.contains("Stream #0:") || codec == "rawvideo" || codec == "wrapped_avframe" {
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
