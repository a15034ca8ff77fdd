//! From a record of the pipeline to what the outbox commits in one transaction.

use kakou_contract::{HitMessage, Keep, MessageError, Priority};

use crate::pipeline::Record;
use kakou_contract::Envelope;

/// The hit if there is one, the passage, and its pictures: all of them or none are committed.
pub fn drafts(record: &Record, hit: Option<&HitMessage>) -> Result<Vec<Envelope>, MessageError> {
    let keep = if hit.is_some() {
        Keep::Hit
    } else {
        Keep::Passage
    };
    let mut all = Vec::with_capacity(2 + record.pictures.len());
    if let Some(hit) = hit {
        all.push(Envelope::of_event(hit, Priority::Hit, Keep::Hit)?);
    }
    all.push(Envelope::of_event(
        &record.message,
        Priority::Passage,
        keep,
    )?);
    for (evidence, picture) in record.message.evidence.iter().zip(&record.pictures) {
        all.push(Envelope::picture(
            &record.message,
            evidence,
            keep,
            picture.bytes.clone(),
        ));
    }
    Ok(all)
}
