//! What makes a passage, and what is only noise.

use std::time::Duration;

use kakou_contract::Direction;

use crate::geometry::{Line, Polygon};
use crate::plate::VoteConfig;

/// A lane as it lies in the picture, in pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    pub id: String,
    pub polygon: Polygon,
    /// Crossing it is the moment of the passage.
    pub trigger: Option<Line>,
    /// The lawful direction; a vehicle that clearly moved the other way is marked.
    pub expected: Option<Direction>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PassageConfig {
    /// None configured: the whole picture counts, and passages have no lane.
    pub lanes: Vec<Lane>,
    pub vote: VoteConfig,

    /// The same plate seen again within this time is still the same passage.
    pub rejoin: Duration,
    /// A vehicle seen again at the same place within this time is the same one, even without a
    /// plate.
    pub rejoin_place: Duration,
    /// How long an ended track waits for its vehicle to show up again before its record goes out:
    /// having left over the border, having been lost, at a cut in the footage.
    pub hold_left: Duration,
    pub hold_lost: Duration,
    pub hold_cut: Duration,
    /// Passages remembered for `rejoin`.
    pub keep_recent: usize,

    /// The plate of a vehicle that is still in sight is told from this probability on that its whole
    /// text is right, and told again this often.
    pub sure: f32,
    pub tell_again: Duration,

    /// For how long a vehicle must have been within its lane. A sure read within a lane needs no
    /// time.
    pub min_lane_time: Duration,

    /// Without a readable plate a vehicle must have been found with this sum of scores (looks in
    /// quick succession count for less: they err alike), for this long, in this share of the looks
    /// that were for it, with this mean score (large boxes count more), and be this high (share of
    /// the picture's height).
    pub vehicle_evidence: f32,
    pub vehicle_time: Duration,
    pub vehicle_found_share: f32,
    pub vehicle_score: f32,
    pub vehicle_height: f32,
    /// It must have moved by this share of its own height and of the picture's, or grown by this
    /// factor's logarithm.
    pub vehicle_travel: f32,
    pub vehicle_travel_picture: f32,
    pub vehicle_growth: f32,
    /// Or, at the end of a recording, have stood this long with this score: parked all the time.
    pub parked_time: Duration,
    pub parked_score: f32,
    /// A track without a plate that lay on another vehicle for this share of its frames is that
    /// vehicle.
    pub shadow_share: f32,

    /// Reads that agree which make a passage of a plate alone; or one read with this mean and least
    /// confidence that also fits the grammar.
    pub plate_reads: u32,
    pub sure_read_mean: f32,
    pub sure_read_min: f32,
    /// Text that moved by less than this many of its own widths, with a vehicle around it in less
    /// than this share of its frames, is burnt in or a sign.
    pub text_travel: f32,
    pub text_around_share: f32,
    /// A second plate on a vehicle that has one needs this confidence, and the grammar.
    pub second_plate_confidence: f32,
    /// Plates that never were wider than this are too small to read, in pixels.
    pub min_read_width: f32,

    /// Frames kept per open track, one per text that may win.
    pub candidates: usize,
    /// Net movement (share of the picture's height plus half the growth) that tells a direction.
    pub direction_move: f32,
}

impl Default for PassageConfig {
    fn default() -> Self {
        Self {
            lanes: Vec::new(),
            vote: VoteConfig::default(),
            rejoin: Duration::from_secs(20),
            rejoin_place: Duration::from_secs(3),
            hold_left: Duration::from_secs(1),
            hold_lost: Duration::from_millis(1500),
            hold_cut: Duration::from_secs(3),
            keep_recent: 64,
            // Taken back in fewer than 1 of 100: docs/measurements.md.
            sure: 0.97,
            tell_again: Duration::from_secs(1),
            min_lane_time: Duration::from_millis(150),
            vehicle_evidence: 1.25,
            vehicle_time: Duration::from_millis(600),
            vehicle_found_share: 0.35,
            vehicle_score: 0.5,
            vehicle_height: 0.06,
            vehicle_travel: 0.35,
            vehicle_travel_picture: 0.03,
            vehicle_growth: 0.3,
            parked_time: Duration::from_secs(3),
            parked_score: 0.65,
            shadow_share: 0.5,
            plate_reads: 2,
            sure_read_mean: 0.9,
            sure_read_min: 0.7,
            text_travel: 0.6,
            text_around_share: 0.2,
            second_plate_confidence: 0.8,
            min_read_width: 40.0,
            candidates: 2,
            direction_move: 0.05,
        }
    }
}
