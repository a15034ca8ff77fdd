//! What a pipeline keeps of one stream of frames of one size: the lanes as they lie in the picture,
//! what is followed, and what has been told of time.

use std::sync::Arc;
use std::time::Duration;

use super::timeline::Timeline;
use crate::config::{CameraConfig, PassageTimes, scaled};
use kakou_sight::camera::{Frame, Pixels};
use kakou_sight::vision::{LookArea, LookConfig, Vision};
use kakou_traffic::attention::Attention;
use kakou_traffic::detections::Detections;
use kakou_traffic::geometry::{Line, Point, Polygon, Rect};
use kakou_traffic::passage::{Lane, PassageConfig, Passages};
use kakou_traffic::track::{TrackConfig, TrackView, Tracker};
use sha2::{Digest, Sha256};

/// What could only be set up when the size of the frames was known.
pub(super) struct Stream {
    pub(super) size: (u32, u32),
    /// The hash of the first frame's pixels: no other stream has it.
    pub(super) mark: [u8; 32],
    pub(super) area: LookArea,
    pub(super) vision: Vision,
    pub(super) lanes: Arc<[Polygon]>,
    pub(super) tracker: Tracker,
    pub(super) passages: Passages<Frame>,
    pub(super) attention: Attention,
    /// Tracks that are open.
    pub(super) open: usize,
    /// The frame looked at last, and what was seen in it.
    pub(super) last: Option<Frame>,
    pub(super) seen: Detections,
    pub(super) tracks: Vec<TrackView>,
    pub(super) timeline: Timeline,
}

/// The lanes' surroundings are looked at too, in parts of the frame's size: a vehicle is taller
/// than its lane.
const AROUND_LANES: f32 = 0.12;
/// If that is most of the frame anyway, all of it is looked at.
const MOST_OF_FRAME: f32 = 0.75;

impl Stream {
    pub(super) fn new(
        camera: &CameraConfig,
        times: &PassageTimes,
        look: &LookConfig,
        first: &Frame,
    ) -> Self {
        let size = first.size();
        let (w, h) = (size.0 as f32, size.1 as f32);
        let lanes: Vec<Polygon> = camera
            .lanes
            .iter()
            .map(|l| scaled(&l.polygon, size.0, size.1))
            .collect();
        let point = |p: Point| Point::new(p.x * w, p.y * h);
        let passage = PassageConfig {
            lanes: camera
                .lanes
                .iter()
                .zip(&lanes)
                .map(|(l, polygon)| Lane {
                    id: l.id.clone(),
                    polygon: polygon.clone(),
                    trigger: l.trigger.map(|t| Line {
                        a: point(t.a),
                        b: point(t.b),
                    }),
                    expected: l.direction,
                })
                .collect(),
            rejoin: Duration::from_secs_f32(times.rejoin_s),
            sure: times.sure,
            ..PassageConfig::default()
        };
        let track = TrackConfig {
            lost_after: Duration::from_secs_f32(times.lost_after_s),
            standing_lost_after: Duration::from_secs_f32(times.standing_lost_after_s),
            ..TrackConfig::default()
        };
        let area = LookArea {
            region: region(&lanes, w, h),
            masks: camera
                .masks
                .iter()
                .map(|m| scaled(m, size.0, size.1))
                .collect(),
        };
        let pixels: &[u8] = match &first.pixels {
            Pixels::Planes(planes) => &planes.bytes,
            Pixels::File { bytes, .. } => bytes,
        };
        Self {
            size,
            mark: Sha256::digest(pixels).into(),
            area,
            vision: Vision::new(look.clone()),
            lanes: lanes.into(),
            tracker: Tracker::new(track),
            passages: Passages::new(passage),
            attention: Attention::new(look.enough_reads),
            open: 0,
            last: None,
            seen: Detections::default(),
            tracks: Vec::new(),
            timeline: Timeline::default(),
        }
    }
}

fn region(lanes: &[Polygon], w: f32, h: f32) -> Rect {
    let whole = Rect::new(0.0, 0.0, w, h);
    let Some(union) = lanes.iter().map(Polygon::bounds).reduce(|a, b| a.union(&b)) else {
        return whole;
    };
    let part = union
        .grown(w * AROUND_LANES, h * AROUND_LANES)
        .clipped(w, h);
    // Whole pixels: what is cut there needs no resampling of its own.
    let part = Rect::new(
        part.x0.floor(),
        part.y0.floor(),
        part.x1.ceil(),
        part.y1.ceil(),
    );
    if part.area() > MOST_OF_FRAME * whole.area() {
        whole
    } else {
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_the_lanes_with_their_surroundings() {
        let lane = |x0: f32, y0: f32, x1: f32| {
            Polygon(
                [(x0, y0), (x1, y0), (x1, 600.0), (x0, 600.0)]
                    .map(|(x, y)| Point::new(x, y))
                    .to_vec(),
            )
        };
        assert_eq!(
            region(&[], 1000.0, 1000.0),
            Rect::new(0.0, 0.0, 1000.0, 1000.0)
        );
        let one = region(&[lane(200.0, 300.0, 400.0)], 1000.0, 1000.0);
        assert_eq!(one, Rect::new(80.0, 180.0, 520.0, 720.0));
        let wide = region(
            &[lane(0.0, 100.0, 450.0), lane(450.0, 100.0, 990.0)],
            1000.0,
            700.0,
        );
        assert_eq!(wide, Rect::new(0.0, 0.0, 1000.0, 700.0));
    }
}
