//! Accuracy on a folder of pictures with `truth.jsonl`.

mod score;
mod truth;
pub use score::{ColourScore, Outcome, Report, Score};
pub use truth::{Picture, TruthError, TruthPlate, read as read_truth};
