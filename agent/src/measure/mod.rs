//! Measuring: reads against the truth of pictures, passages against the truth of recordings.

pub mod eval;
pub mod replay;
pub mod truth;
