//! What cameras hand over to be committed, shown to the page in passing.

use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use kakou_contract::{Message, PassageMessage, Topic};
use kakou_panel::Hub;

use super::super::backlog::Group;

/// Tells the page of a group. No camera waits for it: nothing here reads a disk or a network.
pub fn tell(hub: &Hub, group: &Group, now: DateTime<FixedOffset>) {
    if !hub.is_listening() {
        return;
    }
    let is_hit = !group.hits.is_empty();
    let is_watched = hub.is_watched();
    if is_hit || is_watched {
        for envelope in &group.envelopes {
            if let Ok(Topic::Evidence { passage, role, .. }) = envelope.topic.parse() {
                hub.pictures(passage, role.as_str(), &Bytes::clone(&envelope.payload));
            }
        }
    }
    // After its pictures: who hears of it asks for them at once.
    group.hits.iter().for_each(|hit| hub.hit(hit, now));
    if is_watched {
        let passages = group
            .envelopes
            .iter()
            .filter(|e| e.topic.contains("/passage/"));
        for envelope in passages {
            if let Ok(passage) = PassageMessage::from_json(&envelope.payload) {
                hub.passage(&passage, is_hit);
            }
        }
    }
}
