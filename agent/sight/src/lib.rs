//! Whatever touches pixels: frames, the models that look at them, and the pictures that are kept.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `camera` | frames of live cameras and recordings, their times, and whether a camera sees |
//! | `models` | the manifest of models: which there are, where they lie, whether they are unaltered |
//! | `vision` | finds vehicles and plates and reads them; the only home of `ort` |
//! | `evidence` | the pictures of a passage |
//! | `share` | how many frames of each camera are worth taking in |

pub mod camera;
pub mod evidence;
pub mod models;
pub mod share;

pub mod vision;
