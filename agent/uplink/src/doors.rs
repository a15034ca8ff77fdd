//! A door to what a broker's bytes reach, for the fuzz targets in `agent/fuzz`. Nothing else goes
//! through here.

use crate::link::messages_in;
use crate::message::Received;

/// The messages among the packets that a broker sends, until one cannot be read.
pub fn packets(bytes: &[u8]) -> Vec<Received> {
    messages_in(bytes)
}
