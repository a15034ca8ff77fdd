//! Where what is sent comes from.

use std::future::Future;

use kakou_contract::PassageMessage;
use uuid::Uuid;

use crate::map::Picture;

/// A passage that waits for the upper library.
#[derive(Debug, Clone)]
pub struct Item {
    pub passage: PassageMessage,
    pub pictures: Vec<Picture>,
    /// Whether the vehicle is on a list; `None` where that is not to be told.
    pub suspicious: Option<bool>,
}

/// Why a passage was given up: a person has to look at it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it makes no vehicle object: {0}")]
    NotMapped(#[from] crate::map::MapError),
    #[error(
        "its object has {bytes} bytes, and a request at most {most}; raise batch_bytes, or send addresses in place of pictures"
    )]
    TooLarge { bytes: usize, most: usize },
    #[error("the upper library refuses it: {0}")]
    Upper(String),
}

/// What waits to be sent, kept so that a restart loses nothing: what [`Outgoing::next`] gave stays
/// until `done` or `refused` is called for it. Ids are those of the passages.
pub trait Outgoing: Send + Sync {
    type Error: std::error::Error + Send + Sync + 'static;

    /// What is to be sent next, at most `most`, the oldest first. It gives the same again while
    /// nothing was reported of it.
    fn next(&self, most: usize) -> impl Future<Output = Result<Vec<Item>, Self::Error>> + Send;

    /// The upper library has these.
    fn done(&self, ids: &[Uuid]) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// This will never be taken; it is not to be given again.
    fn refused(
        &self,
        id: Uuid,
        why: &Refusal,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The upper library did not take this now. It is to be given again, behind what waits, so that
    /// it does not stand in the way.
    fn again(&self, id: Uuid, why: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
