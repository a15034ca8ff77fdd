#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kakou_contract::{
    Continuity, Finding, HitMessage, HitState, Message as _, PassageMessage, ResultMessage, Seal,
    SealError, Sha256Hex, SignalMessage, seal,
};
use proptest::prelude::*;
use sha2::Digest as _;

use super::*;
use crate::city::City;
use crate::fleet::shared;
use crate::options::{FleetOptions, Troubles};
use crate::tally::{kind, property};

fn options(seed: u64, pictures: u8, wrong: f64) -> FleetOptions {
    FleetOptions {
        seed,
        pictures,
        picture_size: 2_000,
        start: Some(DateTime::parse_from_rfc3339("2031-05-04T08:00:00+08:00").unwrap()),
        hits: 0.3,
        no_plate: 0.1,
        signals: 0.1,
        backlog: Duration::from_secs(600),
        troubles: Troubles {
            wrong_clocks: 0.5,
            evictions: wrong,
            evil_share: wrong,
            evil: Evil::ALL
                .into_iter()
                .filter(|e| pictures > 0 || *e != Evil::AlteredPicture)
                .collect(),
            ..Troubles::default()
        },
        ..FleetOptions::new(4)
    }
}

/// What each agent says of so many sightings.
fn told(options: FleetOptions, count: usize) -> Vec<(Arc<Checkpoint>, Vec<Outgoing>)> {
    options.check().unwrap();
    let shared = shared(options).unwrap();
    let mut lines: Vec<_> = (0..shared.options.agents)
        .map(|n| {
            let checkpoint = Checkpoint::new(&shared.options, &shared.traffic, n).unwrap();
            (
                Line::new(Arc::clone(&shared), Arc::new(checkpoint)),
                Vec::new(),
            )
        })
        .collect();
    for (line, out) in &mut lines {
        line.tell(Event::Status { at_ms: 0 }, Waiting::default(), out)
            .unwrap();
    }
    let mut city = City::new(shared.traffic, 300, 0, true);
    let mut all: Vec<_> = (0..count).filter_map(|_| city.next()).collect();
    all.extend(city.ends());
    for due in all {
        let (line, out) = &mut lines[due.agent as usize];
        line.tell(Event::Sighting(due.sighting), Waiting::default(), out)
            .unwrap();
    }
    lines
        .into_iter()
        .map(|(mut line, mut out)| {
            line.end_evicting(&mut out).unwrap();
            (line.checkpoint, out)
        })
        .collect()
}

fn read(envelope: &Envelope) -> Result<(), MessageError> {
    let payload = &envelope.payload;
    match kind(envelope) {
        kakou_contract::MessageKind::Passage => PassageMessage::from_json(payload).map(drop),
        kakou_contract::MessageKind::Hit => HitMessage::from_json(payload).map(drop),
        kakou_contract::MessageKind::Signal => SignalMessage::from_json(payload).map(drop),
        kakou_contract::MessageKind::Status => StatusMessage::from_json(payload).map(drop),
        kakou_contract::MessageKind::Audit => AuditMessage::from_json(payload).map(drop),
        kakou_contract::MessageKind::Result => ResultMessage::from_json(payload).map(drop),
        kakou_contract::MessageKind::Evidence => image::load_from_memory(payload)
            .map(drop)
            .map_err(|e| MessageError::Invalid {
                field: envelope.topic.clone(),
                reason: e.to_string(),
            }),
    }
}

fn verified(of: &Checkpoint, outgoing: &Outgoing) -> Result<Seal, SealError> {
    let e = &outgoing.message.envelope;
    let seal = Seal::from_properties(&e.user_properties)?;
    let key = of.key.verifying_key();
    seal.verify(&key, &e.topic, &e.id, e.content_type.as_deref(), &e.payload)?;
    Ok(seal)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_message_reads_and_every_true_one_proves_its_place(
        seed in any::<u64>(), pictures in 0_u8..=3, wrong in prop_oneof![Just(0.0), Just(0.05)],
    ) {
        for (checkpoint, all) in told(options(seed, pictures, wrong), 200) {
            let mut continuity = Continuity::new();
            let (mut torn, mut broken) = (Vec::new(), Vec::new());
            let mut ids = BTreeSet::new();
            let mut gone = Vec::new();
            let mut evicted = Vec::new();
            for outgoing in &all {
                let envelope = &outgoing.message.envelope;
                let read = read(envelope);
                prop_assert!(read.is_ok(), "{read:?}: {envelope:?}");
                prop_assert_eq!(property(envelope, "id"), Some(envelope.id.as_str()));
                if matches!(outgoing.what, What::Evil(_)) {
                    continue;
                }
                let seal = verified(&checkpoint, outgoing).unwrap();
                prop_assert_eq!(seal.sequence, outgoing.message.sequence);
                let digest = seal::digest_numbered(&envelope.payload, seal.sequence);
                prop_assert_eq!(digest, outgoing.message.digest);
                prop_assert!(ids.insert(envelope.id.clone()), "{}", envelope.id);
                if outgoing.what == What::Evicted {
                    evicted.push(seal.sequence);
                    continue;
                }
                if outgoing.what == What::Torn {
                    torn.push(seal.sequence);
                }
                for finding in continuity.seal(&seal) {
                    let Finding::BrokenLink { after, .. } = finding else {
                        panic!("{finding:?}");
                    };
                    broken.push(after);
                }
                if kind(envelope) == kakou_contract::MessageKind::Audit {
                    let audit = AuditMessage::from_json(&envelope.payload).unwrap();
                    for [first, last] in audit.event.gone() {
                        continuity.gone(*first, *last);
                        gone.extend(*first..=*last);
                    }
                }
            }
            prop_assert_eq!(continuity.gaps(), Vec::<[u64; 2]>::new());
            prop_assert_eq!(gone, evicted);
            prop_assert_eq!(broken, torn);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes(seed in any::<u64>()) {
        let all = || -> Vec<Vec<_>> {
            let told = told(options(seed, 1, 0.02), 60);
            told.into_iter()
                .map(|(_, all)| all.into_iter().map(|o| (o.message.envelope, o.what)).collect())
                .collect()
        };
        prop_assert_eq!(all(), all());
    }
}

#[test]
fn every_kind_of_message_comes_and_hits_live_to_their_end() {
    let mut states: BTreeMap<String, Vec<HitState>> = BTreeMap::new();
    let (mut kinds, mut pictures, mut digests) = (BTreeSet::new(), BTreeMap::new(), Vec::new());
    for (_, all) in told(options(3, 2, 0.03), 2_000) {
        for outgoing in &all {
            let envelope = &outgoing.message.envelope;
            kinds.insert(kind(envelope).as_str());
            let evidence = match kind(envelope) {
                kakou_contract::MessageKind::Hit => {
                    let hit = HitMessage::from_json(&envelope.payload).unwrap();
                    states
                        .entry(hit.id.to_string())
                        .or_default()
                        .push(hit.state);
                    hit.evidence
                }
                kakou_contract::MessageKind::Passage => {
                    PassageMessage::from_json(&envelope.payload)
                        .unwrap()
                        .evidence
                }
                kakou_contract::MessageKind::Evidence => {
                    let sha: [u8; 32] = sha2::Sha256::digest(&envelope.payload).into();
                    if outgoing.what == What::Evil(Evil::AlteredPicture) {
                        continue;
                    }
                    assert_eq!(outgoing.message.digest, sha);
                    pictures.insert(envelope.topic.clone(), Sha256Hex(sha));
                    continue;
                }
                _ => continue,
            };
            digests.extend(evidence.into_iter().map(|e| (e.topic.unwrap(), e.sha256)));
        }
    }
    let all = ["audit", "evidence", "hit", "passage", "signal", "status"];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), all);
    for (topic, sha) in digests {
        assert_eq!(pictures.get(&topic), Some(&sha), "{topic}");
    }
    let lives: BTreeSet<Vec<HitState>> = states.into_values().collect();
    let known = [
        vec![HitState::Provisional, HitState::Confirmed],
        vec![HitState::Provisional, HitState::Retracted],
    ];
    assert_eq!(lives, known.into_iter().collect());
}

#[test]
fn what_is_evil_shows() {
    let mut seen = BTreeSet::new();
    let keys = |of: &[(Arc<Checkpoint>, Vec<Outgoing>)]| -> BTreeMap<String, Arc<Checkpoint>> {
        of.iter()
            .map(|(c, _)| (c.site.to_string(), Arc::clone(c)))
            .collect()
    };
    let all = told(options(9, 1, 0.05), 3_000);
    let by_site = keys(&all);
    for outgoing in all.iter().flat_map(|(_, all)| all) {
        let What::Evil(kind) = outgoing.what else {
            continue;
        };
        seen.insert(kind);
        let site = outgoing.message.envelope.topic.split('/').nth(2).unwrap();
        let found = verified(&by_site[site], outgoing).unwrap_err();
        let expected = match kind {
            Evil::AlteredPicture => matches!(found, SealError::Content { .. }),
            _ => found == SealError::Signature,
        };
        assert!(expected, "{kind}: {found}");
    }
    // A broken chain is in the true messages.
    assert_eq!(seen.len(), 4);
}
