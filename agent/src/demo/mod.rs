//! What `kakou demo` and the tests need beside the agent itself: a broker within the process.

mod broker;

pub use broker::{Broker, BrokerError, LOG_DIRECTIVES};
