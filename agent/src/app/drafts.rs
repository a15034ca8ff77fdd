//! From a record of the pipeline to what the outbox commits in one transaction.

use kakou_contract::{
    Envelope, HitMessage, HitState, Keep, Message, MessageError, PassageMessage, Priority,
};

use kakou_sight::evidence::Picture;

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

/// The hits that it ends or is, the passage, and its pictures: all of them or none are committed.
pub fn drafts(
    record: &Record,
    hits: &[HitMessage],
    footage: Footage,
) -> Result<Vec<Envelope>, MessageError> {
    let is_hit = |hit: &HitMessage| matches!(hit.state, HitState::Confirmed | HitState::Again);
    let keep = if hits.iter().any(is_hit) {
        Keep::Hit
    } else {
        Keep::Passage
    };
    let mut all = Vec::with_capacity(hits.len() + 1 + record.pictures.len());
    for hit in hits {
        all.push(envelope(hit, Priority::Hit, Keep::Hit, footage)?);
    }
    let passage = &record.message;
    all.push(envelope(passage, Priority::Passage, keep, footage)?);
    for (evidence, picture) in passage.evidence.iter().zip(&record.pictures) {
        let bytes = picture.bytes.clone();
        all.push(Envelope::picture(
            passage.id, passage, evidence, keep, bytes,
        ));
    }
    Ok(all)
}

/// What is told of a vehicle in sight, with the pictures it was read in.
pub fn provisional(
    hit: &HitMessage,
    so_far: &PassageMessage,
    pictures: &[Picture],
) -> Result<Vec<Envelope>, MessageError> {
    let mut all = vec![Envelope::live(hit, Priority::Hit, Keep::Hit)?];
    for (evidence, picture) in so_far.evidence.iter().zip(pictures) {
        let bytes = picture.bytes.clone();
        all.push(Envelope::picture(
            hit.id,
            so_far,
            evidence,
            Keep::Hit,
            bytes,
        ));
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
