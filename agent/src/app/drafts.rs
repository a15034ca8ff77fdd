//! From a record of the pipeline to what the outbox commits in one transaction.

use kakou_contract::{Envelope, HitMessage, Keep, Message, MessageError, Priority};

use crate::pipeline::Record;

/// Where a record's frames came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Footage {
    /// A camera, or a recording that is played as one: its times are those of now.
    Live,
    /// A recording, whose times are its own. They lie in the past by nature, so nothing of it is
    /// ever late.
    Recorded,
}

/// The hit if there is one, the passage, and its pictures: all of them or none are committed.
pub fn drafts(
    record: &Record,
    hit: Option<&HitMessage>,
    footage: Footage,
) -> Result<Vec<Envelope>, MessageError> {
    let keep = if hit.is_some() {
        Keep::Hit
    } else {
        Keep::Passage
    };
    let mut all = Vec::with_capacity(2 + record.pictures.len());
    if let Some(hit) = hit {
        all.push(envelope(hit, Priority::Hit, keep, footage)?);
    }
    let passage = &record.message;
    all.push(envelope(passage, Priority::Passage, keep, footage)?);
    for (evidence, picture) in passage.evidence.iter().zip(&record.pictures) {
        let bytes = picture.bytes.clone();
        all.push(Envelope::picture(passage, evidence, keep, bytes));
    }
    Ok(all)
}

fn envelope<M: Message>(
    message: &M,
    priority: Priority,
    keep: Keep,
    footage: Footage,
) -> Result<Envelope, MessageError> {
    match footage {
        Footage::Live => Envelope::live(message, priority, keep),
        Footage::Recorded => Envelope::of(message, priority, keep),
    }
}
