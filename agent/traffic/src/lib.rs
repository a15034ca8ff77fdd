//! What happens on the road, worked out from what was seen: which find is which vehicle, when it has passed, what its
//! plate says, and whether it is on a list. Pure: no I/O, no clock, no pixels.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `geometry` | points, boxes, quads, polygons, lines |
//! | `detections` | what was found in one frame |
//! | `plate` | plate grammar, colours, kinds, confusable characters, the vote over reads |
//! | `attention` | where plates are expected in the next frame |
//! | `track` | which find belongs to which vehicle |
//! | `passage` | when a vehicle has passed: traffic lane, direction, class, the best picture |
//! | `watchlist` | whether its plate is on a list |

pub mod attention;
pub mod detections;
pub mod geometry;
pub mod passage;
pub mod plate;
pub mod track;
pub mod watchlist;
