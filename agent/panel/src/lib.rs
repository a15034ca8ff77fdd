//! The box's own page, over HTTP: hits as they live, cameras to aim, and how the box is.
//!
//! This crate knows who may ask for what, and how it is answered. What it shows comes from the agent
//! by the trait [`Checkpoint`]; it holds no model, no database and no camera.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `checkpoint` | what the agent gives: the trait and its types |
//! | `access/` | users, passwords, sessions, and what is tried too often |
//! | `hub` | hits and other news, handed to everybody who watches |
//! | `api/` | the answers, by page |
//! | `gate` | what every request must pass: origin, session, token, size |
//! | `server` | connections: TLS, limits, time limits |
//! | `certificate` | the server's certificate: given, or made at the first start |
//! | `pages` | the pages themselves, embedded |
//!
//! An error concerns one request, unless it is a [`ServerError`], which concerns the panel: it can be
//! started again, and no camera knows of it.

pub mod access;
mod api;
mod certificate;
mod checkpoint;
mod fault;
mod gate;
mod hub;
mod pages;
mod server;

pub use api::openapi;
pub use certificate::{Certificate, CertificateError, fingerprint};
pub use checkpoint::{
    Answer, Before, Camera, Checkpoint, Exposure, Geometry, Hour, LaneShape, LogLine, Motion,
    NoteKind, PassageQuery, Passages, PlateSight, Quality, Refused, Report, SaveNote, Saved, Scene,
    VehicleSight, Widths,
};
pub use fault::{Code, Fault};
pub use hub::{Answered, HitRow, Hub, PassageRow, Pictures};
pub use server::{Panel, ServerError, serve};
