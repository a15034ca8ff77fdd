//! What the tracker believes about vehicles, detectors and time. All times are durations, never
//! numbers of frames: cameras deliver 5 to 25 frames a second at irregular times.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub struct TrackConfig {
    /// A moving vehicle unseen for this long has gone.
    pub lost_after: Duration,
    /// A standing one: a passer-by may hide it and the detector may miss it for longer.
    pub standing_lost_after: Duration,
    /// A track seen for less than `tentative_for` is given up after this.
    pub tentative_lost_after: Duration,
    pub tentative_for: Duration,
    /// A vehicle last seen on its way over the border of the picture is gone after this.
    pub left_after: Duration,
    /// A pause between two frames that makes all predictions worthless; also the least pause after
    /// which a different plate at the same place is another vehicle at once.
    pub gap_is_cut: Duration,
    /// Vehicle boxes below this score are not used at all.
    pub min_vehicle_score: f32,
    /// A new track needs a vehicle box with this score.
    pub start_vehicle_score: f32,
    /// Boxes over this share of the picture are the whole picture, not a vehicle.
    pub whole_picture: f32,
    /// From this share on a box needs `large_box_score` to begin a track.
    pub large_box: f32,
    pub large_box_score: f32,
    /// A new track needs a plate with this detector score.
    pub start_plate_score: f32,
    /// Plates read with fewer characters are badges or stickers: they begin no track and give no
    /// read.
    pub min_plate_chars: usize,
    /// How far a plate may be from its predicted place, in plate widths: at rest, and more per
    /// second since it was last seen, with and without a known motion; up to `plate_reach`.
    pub plate_reach_base: f32,
    pub plate_reach_rate: f32,
    pub plate_reach_rate_new: f32,
    pub plate_reach: f32,
    /// The reach for a find read too short to be a plate.
    pub scrap_reach: f32,
    /// The reach grows by this factor for a plate that reads the same.
    pub same_text_reach: f32,
    /// Texts at least this similar are the same plate, at most `other_text` similar are different
    /// ones.
    pub same_text: f32,
    pub other_text: f32,
    /// Mean confidence a read needs to speak against a track.
    pub sure_read: f32,
    /// And the least confidence of a character, where one character is what tells two plates apart.
    pub sure_character: f32,
    /// This many sure reads in a row that differ from the track, but agree, are another vehicle.
    pub contrary_reads: u32,
    /// Least overlap of a vehicle box with the predicted one.
    pub min_iou: f32,
    /// The same for a vehicle that stands.
    pub min_iou_standing: f32,
    /// The same for a vehicle that stands and whose plate is out of sight.
    pub min_iou_covered: f32,
    /// The same for a vehicle that stood, was missed for a moment and may have driven off.
    pub min_iou_departing: f32,
    /// How far from where it was, or should be, a vehicle may turn up that was found with this
    /// score: in its own sizes, at rest and more per second; after at most so many of the usual
    /// times between two looks.
    pub leap_base: f32,
    pub leap_rate: f32,
    pub leap_score: f32,
    pub leap_looks: f32,
    /// Where in a vehicle's box its plate may be, from the top; buses carry it low, cars lower
    /// still.
    pub plate_zone_top: f32,
    /// Plate width over vehicle width, at most.
    pub plate_max_width: f32,
    /// Boxes of one frame that overlap by more than this are one vehicle of two classes.
    pub same_box: f32,
    /// A new box covered this much by a known vehicle (or covering it) is the same vehicle again.
    pub duplicate_cover: f32,
    /// For this long two tracks must lie on each other to be merged.
    pub merge_after: Duration,
}

impl Default for TrackConfig {
    fn default() -> Self {
        Self {
            lost_after: Duration::from_secs(2),
            standing_lost_after: Duration::from_secs(10),
            tentative_lost_after: Duration::from_secs(1),
            tentative_for: Duration::from_millis(250),
            left_after: Duration::from_millis(400),
            gap_is_cut: Duration::from_secs(3),
            min_vehicle_score: 0.3,
            start_vehicle_score: 0.4,
            whole_picture: 0.85,
            large_box: 0.5,
            large_box_score: 0.6,
            start_plate_score: 0.4,
            min_plate_chars: 5,
            plate_reach_base: 0.8,
            plate_reach_rate: 2.0,
            plate_reach_rate_new: 8.0,
            plate_reach: 2.5,
            scrap_reach: 0.4,
            same_text_reach: 3.0,
            same_text: 0.7,
            other_text: 0.55,
            sure_read: 0.85,
            sure_character: 0.75,
            contrary_reads: 3,
            min_iou: 0.25,
            min_iou_standing: 0.5,
            min_iou_covered: 0.65,
            min_iou_departing: 0.2,
            leap_base: 0.25,
            leap_rate: 2.0,
            leap_score: 0.55,
            leap_looks: 5.5,
            plate_zone_top: 0.3,
            plate_max_width: 0.65,
            same_box: 0.7,
            duplicate_cover: 0.75,
            merge_after: Duration::from_millis(300),
        }
    }
}
