//! The agent as a whole: what `kakou run` does.

mod drafts;

pub use drafts::drafts;
