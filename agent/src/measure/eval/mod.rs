//! Accuracy on a folder of pictures with `truth.jsonl`, whether the probabilities hold, and what is
//! taken for what.

mod calibration;
mod colours;
mod confusions;
mod early;
mod recording;
mod score;
mod truth;
pub use calibration::{Bin, Reliability, Said};
pub use colours::Colours;
pub use confusions::Confusions;
pub use early::{Early, Story, Word, table as early_table};
pub use recording::{Recording, RecordingError, recordings, stories};
pub use score::{GroupScore, Matched, PlateOutcome, Report, Score, matches};
pub use truth::{PlateTruthError, TruthPicture, TruthPlate, read as read_truth};
