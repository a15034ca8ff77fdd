//! From a record of the pipeline to what the outbox commits in one transaction.

use kakou_contract::{
    Envelope, HitMessage, Keep, Message, MessageError, PassageMessage, Priority, SignalMessage,
};
use kakou_sight::evidence::Picture;
use uuid::Uuid;

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

/// The hits that it ends or is, the passage, its signals, and its pictures: all of them or none are committed.
pub fn drafts(
    record: &Record,
    hits: &[HitMessage],
    signals: &[SignalMessage],
    footage: Footage,
) -> Result<Vec<Envelope>, MessageError> {
    let keep = if hits.iter().any(|hit| hit.state.has_passed()) {
        Keep::Hit
    } else {
        Keep::Passage
    };
    let mut all = Vec::with_capacity(hits.len() + 1 + signals.len() + record.pictures.len());
    for hit in hits {
        all.push(envelope(hit, Priority::Hit, Keep::Hit, footage)?);
    }
    let passage = &record.message;
    all.push(envelope(passage, Priority::Passage, keep, footage)?);
    for signal in signals {
        all.push(envelope(signal, Priority::Passage, keep, footage)?);
    }
    all.extend(of_pictures(passage.id, passage, &record.pictures, keep));
    Ok(all)
}

/// What is told of a vehicle in sight, with the pictures it was read in.
pub fn provisional(
    hit: &HitMessage,
    so_far: &PassageMessage,
    pictures: &[Picture],
) -> Result<Vec<Envelope>, MessageError> {
    let mut all = vec![Envelope::live(hit, Priority::Hit, Keep::Hit)?];
    all.extend(of_pictures(hit.id, so_far, pictures, Keep::Hit));
    Ok(all)
}

fn of_pictures(
    owner: Uuid,
    passage: &PassageMessage,
    pictures: &[Picture],
    keep: Keep,
) -> impl Iterator<Item = Envelope> {
    passage
        .evidence
        .iter()
        .zip(pictures)
        .map(move |(evidence, picture)| {
            Envelope::picture(owner, passage, evidence, keep, picture.bytes.clone())
        })
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
