//! The contract as its readers and writers meet it. One program: each would compile the messages anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod asyncapi;
mod bounds;
mod cloudevents;
mod common;
mod docs;
mod envelope;
mod golden;
mod requests;
mod schema;
mod seal;
mod topics;
