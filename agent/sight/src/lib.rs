//! Whatever touches pixels: frames, the models that look at them, and the pictures that are kept.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `camera` | frames of live cameras and recordings, their capture times, and whether a camera sees |
//! | `models` | the manifest of models: which there are, where they lie, whether they are unaltered |
//! | `vision` | finds vehicles and plates and reads them; the only home of `ort` |
//! | `evidence` | the pictures of a passage |
//! | `doors` | parsers of the camera module for fuzzing |
//! | `share` | how many frames of each camera are worth taking in |
//!
//! # What it promises
//!
//! - **The picture that was read is the picture that is sent.** A frame keeps its pixels as they
//!   came, a camera's planes or a picture file; RGB for a look and RGB for evidence are made from
//!   the same bytes by the same code.
//! - **Time is the frame's.** A live frame carries the time of its capture, from the stream's
//!   stamps and our own clock; it never runs backwards. What is looked for when depends on these
//!   times and on what was seen, never on the machine's clock, so a recording gives the same
//!   passages every time.
//! - **Nothing grows with time.** A live camera holds one newest frame, the models are shared by
//!   all cameras, the work of one look is bounded.
//!
//! # What fails, and whom it concerns
//!
//! | error | concerns |
//! | --- | --- |
//! | `camera::PixelError`, `vision::LookError`, `RuntimeError::Run` | one frame: the next one can be looked at. Who sees every look fail should open the models anew |
//! | `vision::OpenError`, the other `RuntimeError`s | these models, this library: nothing can be looked at with them |
//! | `camera::Fault` | one connection to one camera: connect again |
//! | `camera::SourceError` | one recording; a broken picture in it is a `Next::Broken` and no error |
//! | `evidence::EvidenceError` | one passage |
//!
//! A decoder is a process of its own: one that crashes ends a connection or a recording. Numbers
//! that come from outside, sizes, times and rates, are checked where they come in.

pub mod camera;
#[doc(hidden)]
pub mod doors;
pub mod evidence;
pub mod models;
pub mod share;
pub mod vision;
