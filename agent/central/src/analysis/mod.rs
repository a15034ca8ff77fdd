//! What the centre has to be told beside the messages: the lists of organisations, sites and cameras.

mod lists;

pub use lists::{ListError, cameras, organisations, sites};
