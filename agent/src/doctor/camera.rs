//! The cameras: each is connected to as the agent would, and listened to for some seconds.

use std::sync::Arc;

use kakou_sight::camera::{
    Assumed, Fault, FaultKind, FrameSource, Live, LiveConfig, Next, View, open,
};
use kakou_time::SharedClock;

use super::Limits;
use super::finding::{Area, Finding};
use crate::config::{CameraConfig, CameraSource};
use crate::probe::{Heard, listen, words};

/// Fewer frames a second than this, and a vehicle is not followed well.
const FEW: f64 = 8.0;
/// After a loss the picture comes back with the next key picture.
const FAR_S: f64 = 4.0;
/// A camera that holds frames up so long sends them in bursts.
const BURST_MS: f64 = 1000.0;

pub(super) fn examine(camera: &CameraConfig, limits: Limits, clock: &SharedClock) -> Vec<Finding> {
    let mut found = match &camera.source {
        None => vec![
            Finding::warning(
                Area::Camera,
                "it has no `url`, so `kakou run` leaves it out",
            )
            .mend("write url = \"rtsp://HOST/PATH\" into its [[camera]]"),
        ],
        Some(CameraSource::Recording { path, .. }) => {
            let assumed = Assumed {
                start: clock.wall(),
                fps: 25.0,
            };
            match open(path, assumed).and_then(|mut source| recording(camera, &mut *source)) {
                Ok(found) => found,
                Err(e) => vec![
                    Finding::fault(Area::Camera, e.to_string())
                        .mend("name a video file or a folder of JPEG or PNG pictures; for a video install ffmpeg"),
                ],
            }
        }
        Some(CameraSource::Live(config)) => live(camera, config, limits, clock),
    };
    if camera.source.is_some() && camera.lanes.is_empty() {
        found.push(
            Finding::warning(
                Area::Camera,
                "it has no lanes: the whole picture counts, and passages have no lane",
            )
            .mend(format!(
                "write [[camera.lane]]; see the picture: kakou camera snapshot {}",
                camera.id
            )),
        );
    }
    found
        .into_iter()
        .map(|finding| finding.about(&camera.id))
        .collect()
}

/// A camera of which no config knows yet.
pub fn live_camera(
    id: &str,
    config: &LiveConfig,
    limits: Limits,
    clock: &SharedClock,
) -> Vec<Finding> {
    let found = live(&CameraConfig::plain(id), config, limits, clock);
    found.into_iter().map(|finding| finding.about(id)).collect()
}

fn lanes(camera: &CameraConfig) -> String {
    match camera.lanes.len() {
        0 => "no lanes".to_owned(),
        1 => "1 lane".to_owned(),
        n => format!("{n} lanes"),
    }
}

fn recording(
    camera: &CameraConfig,
    source: &mut dyn FrameSource,
) -> Result<Vec<Finding>, kakou_sight::camera::SourceError> {
    let total = source
        .total()
        .map_or(String::new(), |total| format!(", {total} frames"));
    let first = source.next()?;
    Ok(match first {
        Next::Frame(frame) => {
            let (width, height) = frame.size();
            let message = format!("a recording, {width}x{height}{total}, {}", lanes(camera));
            let mut found = vec![Finding::ok(Area::Camera, message)];
            found.extend(wrong_size(camera, (width, height)));
            found
        }
        Next::Broken { name, reason } => vec![
            Finding::fault(
                Area::Camera,
                format!("its first picture, {name}, cannot be read: {reason}"),
            )
            .mend("take the picture out of the folder, or name another recording"),
        ],
        Next::End => vec![
            Finding::fault(Area::Camera, "the recording has no picture")
                .mend("name a video file or a folder of JPEG or PNG pictures"),
        ],
    })
}

fn live(
    camera: &CameraConfig,
    config: &LiveConfig,
    limits: Limits,
    clock: &SharedClock,
) -> Vec<Finding> {
    // Every frame, to see how the camera sends.
    let config = LiveConfig {
        rate: None,
        ..config.clone()
    };
    let address = config.address.to_string();
    let started = match Live::start(&config, Arc::clone(clock)) {
        Ok(live) => live,
        Err(e) => {
            return vec![
                Finding::fault(Area::Camera, format!("{address}: no thread for it: {e}"))
                    .mend("see what uses up this machine: ulimit -a"),
            ];
        }
    };
    let heard = listen(&started, &**clock, limits.picture, limits.listen, |_, _| {
        Ok::<(), Fault>(())
    });
    match heard {
        Ok(Some(heard)) => judge(camera, &address, &heard),
        Ok(None) => {
            let wait = limits.picture.as_secs_f64();
            vec![
                Finding::fault(Area::Camera, format!("{address}: no picture within {wait:.0} s"))
                    .mend("is the address right, and does the camera take one more viewer? See: kakou camera probe"),
            ]
        }
        Err(fault) => {
            vec![Finding::fault(Area::Camera, format!("{address}: {fault}")).mend(mend_of(&fault))]
        }
    }
}

fn mend_of(fault: &Fault) -> &'static str {
    match fault.kind {
        FaultKind::Unauthorised => "correct `user` and `password_file` of this camera",
        FaultKind::Unreachable => {
            "is the camera on, and are host, port and path right? See its manual for the path"
        }
        FaultKind::Busy => {
            "the camera has as many viewers as it takes; end one, or raise their number in it"
        }
        FaultKind::Silent => {
            "does it send to others? Restart it; see whether a firewall lets the stream back"
        }
        FaultKind::Broken => {
            "set the camera to H.264, H.265 or MJPEG; see: kakou camera probe, and that ffmpeg is \
             installed"
        }
    }
}

fn judge(camera: &CameraConfig, address: &str, heard: &Heard) -> Vec<Finding> {
    let codec = heard.stream.as_ref().map_or("?", |s| s.codec.as_str());
    let (width, height) = heard.size;
    let keys = match heard.coding.key_distance {
        Some(distance) => format!("a key picture every {distance} frames"),
        None => "no second key picture while it was listened to".to_owned(),
    };
    let gap = heard.gap_ms(1.0).map_or(String::new(), |ms| {
        format!(", at most {ms:.0} ms from frame to frame")
    });
    let message = format!(
        "{address}: {codec}, {width}x{height}, {:.1} frames/s{gap}, {keys}, first picture after \
         {:.1} s, {}",
        heard.fps,
        heard.first_after.as_secs_f64(),
        lanes(camera)
    );
    let mut found = vec![match &heard.ended {
        Some(fault) => Finding::fault(
            Area::Camera,
            format!("{address}: the stream broke off: {fault}"),
        )
        .mend(mend_of(fault)),
        None => Finding::ok(Area::Camera, message),
    }];
    let mut warn = |text: String, mend: &str| {
        found.push(Finding::warning(Area::Camera, text).mend(mend));
    };
    if heard.fps > 0.0 && heard.fps < FEW {
        let text = format!("{:.1} frames/s are too few to follow vehicles", heard.fps);
        warn(text, "set the camera to 15 frames/s or more");
    }
    if heard.coding.b_pictures > 0 {
        let share = heard.coding.b_pictures * 100 / heard.coding.pictures.max(1);
        let text = format!("{share} % of its pictures are B pictures, which hold the stream up");
        warn(
            text,
            "turn B frames off in the camera (profile Baseline, or GOP without B)",
        );
    }
    if let Some(distance) = heard.coding.key_distance
        && heard.fps > 0.0
        && distance as f64 / heard.fps > FAR_S
    {
        let text = format!(
            "{:.0} s from one key picture to the next: after a loss there is no picture for that long",
            distance as f64 / heard.fps
        );
        warn(
            text,
            "set the camera's key frame interval (GOP) to one or two seconds",
        );
    }
    if let Some(ms) = heard.gap_ms(1.0).filter(|ms| *ms > BURST_MS) {
        let text = format!("its time stamps jump by {ms:.0} ms: frames get lost or come in bursts");
        warn(
            text,
            "see the network between camera and box; transport = \"tcp\" loses nothing",
        );
    }
    if heard.broken > 0 {
        let text = format!("the decoder complained {} times", heard.broken);
        warn(
            text,
            "see the network between camera and box; transport = \"tcp\" loses nothing",
        );
    }
    if heard.view != View::Clear {
        let text = format!("the picture is {}", words(heard.view));
        warn(text, "look at it: kakou camera snapshot");
    }
    found.extend(wrong_size(camera, heard.size));
    found
}

fn wrong_size(camera: &CameraConfig, size: (u32, u32)) -> Option<Finding> {
    let wanted = camera
        .watching
        .condition
        .size
        .filter(|wanted| *wanted != size)?;
    let ((w, h), (width, height)) = (wanted, size);
    Some(
        Finding::fault(
            Area::Camera,
            format!("the picture is {width}x{height}, and the config says size = [{w}, {h}]"),
        )
        .mend("set the camera to that size, or correct `size`"),
    )
}
