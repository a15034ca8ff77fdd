//! Measuring against a known truth.
//!
//! | file | what |
//! | --- | --- |
//! | `eval` | the plates read in single pictures, against what stands on them |
//! | `replay` | a recording through the pipeline, as fast as it goes |
//! | `truth` | the passages of a recording, against those that are known to be in it |

pub mod eval;
pub mod replay;
pub mod truth;
