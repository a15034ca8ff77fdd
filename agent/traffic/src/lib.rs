//! What happens on the road, worked out from what was seen: which find is which vehicle, when it
//! has passed, what its plate says, and whether it is on a list.
//!
//! Pure: no I/O, no clock, no pixels. What it promises:
//!
//! - One vehicle is one passage, and two vehicles are two: two sure votes that differ in any
//!   character are two plates.
//! - The same finds at the same times give the same passages, on each machine and after any uptime.
//! - Evidence and time decide, never a number of frames: the rules hold from 2 to 25 looks a
//!   second.
//! - Nothing is guessed. What text, colour and vehicle do not tell is `None`, and what was too
//!   unsure says so.
//! - Memory is bounded, however long a vehicle stands and however much is read.
//!
//! A frame's way through the crate is that of the table, from top to bottom.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `geometry` | points, boxes, quads, polygons, lines |
//! | `detections` | what was found in one frame |
//! | `attention` | where plates are expected in the next frame, and which are worth another read |
//! | `track` | which find belongs to which vehicle |
//! | `plate` | plate grammar, colours, kinds, confusable characters, the vote over reads |
//! | `passage` | when a vehicle has passed: traffic lane, direction, class, the best picture |
//! | `schedule` | spans of time in a week |
//! | `watchlist` | whether its plate is on a list |
//! | `hits` | the life of a hit, from the first sure read to its one end |
//! | `signals` | what does not fit about a passage, though no list asks for it |

pub mod attention;
pub mod detections;
pub mod geometry;
pub mod hits;
pub mod passage;
pub mod plate;
pub mod schedule;
pub mod signals;
pub mod track;
pub mod watchlist;
