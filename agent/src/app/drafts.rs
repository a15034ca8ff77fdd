//! From a record of the pipeline to what the outbox commits in one transaction.

use kakou_contract::{HitMessage, Keep, MessageError, OutboxLane as Lane};

use crate::outbox::Draft;
use crate::pipeline::Record;

/// The hit if there is one, the passage, and its pictures: all of them or none are committed.
pub fn drafts(record: &Record, hit: Option<&HitMessage>) -> Result<Vec<Draft>, MessageError> {
    let keep = if hit.is_some() {
        Keep::Hit
    } else {
        Keep::Passage
    };
    let mut all = Vec::with_capacity(2 + record.pictures.len());
    if let Some(hit) = hit {
        all.push(Draft::of_event(hit, Lane::Hit, Keep::Hit)?);
    }
    all.push(Draft::of_event(&record.message, Lane::Passage, keep)?);
    for (evidence, picture) in record.message.evidence.iter().zip(&record.pictures) {
        all.push(Draft::picture(
            &record.message,
            evidence,
            keep,
            picture.bytes.to_vec(),
        ));
    }
    Ok(all)
}
