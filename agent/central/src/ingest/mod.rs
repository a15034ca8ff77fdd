//! From the broker into the tables.
//!
//! # Promises
//!
//! - A message is acknowledged to the broker when the transaction with its row is committed, and
//!   not before. A kill at any moment loses none: the broker sends it again, and the row is there
//!   once.
//! - A hit never waits for a passage: each lane has its own connections to broker and database.
//! - While the database or the object store is away, nothing is taken from the broker beyond what it
//!   may send unacknowledged; what waits, waits there.
//! - One message that cannot be stored holds up no other: it is kept apart.
//! - Memory is bounded by the unacknowledged messages of each lane.

mod agents;
mod apart;
mod copy;
mod decode;
mod lane;
mod objects;
mod rows;
mod take;
mod told;
mod write;

pub use agents::{Agents, Known, LOOK_AGAIN, Name};
pub use decode::{Apart, Believed, Doubt, birth_key, decode, topic};
pub use lane::{Counts, Lane, LaneKind, run};
pub use objects::{Objects, ObjectsConfig, ObjectsError};
pub use rows::{Frame, Picture, Row, Table, stored};
pub use take::{Intake, TakeError};
pub use write::{Batch, OnNew, Writer, Written};
