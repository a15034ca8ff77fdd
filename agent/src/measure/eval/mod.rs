//! Accuracy on a folder of pictures with `truth.jsonl`.

mod score;
mod truth;
pub use score::{GroupScore, PlateOutcome, Report, Score};
pub use truth::{PlateTruthError, TruthPicture, TruthPlate, read as read_truth};
