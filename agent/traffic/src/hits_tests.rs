#![allow(clippy::unwrap_used)]
use std::collections::{BTreeMap, BTreeSet};

use kakou_contract::Message;
use proptest::prelude::*;

use super::*;

const HIT: &[u8] = include_bytes!("../../contract/golden/hit.json");
const TEXTS: [&str; 4] = ["皖A12345", "皖A12346", "鲁E6K829", "京N8P0X1"];
const STORY: Duration = Duration::from_secs(300);

fn id(n: u64) -> Uuid {
    Uuid::from_u128(u128::from(n) + 1)
}

fn wall(now: Duration) -> DateTime<FixedOffset> {
    HitMessage::from_json(HIT).unwrap().time + now
}

/// What the list says of a text: the last one is not listed.
fn found(text: &str, new: u64) -> Option<HitMessage> {
    let mut hit = HitMessage::from_json(HIT).unwrap();
    hit.id = Uuid::from_u128(1 << 100 | u128::from(new));
    (hit.entry.plate, hit.plate.text) = (text.into(), text.into());
    for (c, ch) in hit.plate.characters.iter_mut().zip(text.chars()) {
        c.char = ch;
    }
    hit.plate.corrected.clear();
    (text != TEXTS[3]).then_some(hit)
}

fn word(text: &str, now: Duration) -> Word<'_> {
    Word {
        text: Some(text),
        now,
        decided_at: wall(now),
    }
}

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn states(told: &[HitMessage]) -> Vec<(HitState, u128)> {
    told.iter()
        .map(|h| (h.state, h.id.as_u128() & 0xffff))
        .collect()
}

#[test]
fn a_hit_is_told_in_sight_and_confirmed_under_its_id() {
    let mut hits = Hits::new(STORY);
    let told = hits.sure(id(1), word(TEXTS[0], seconds(1)), found(TEXTS[0], 7), true);
    assert_eq!(states(&told), [(HitState::Provisional, 7)]);
    assert_eq!(told[0].decided_at, Some(wall(seconds(1))));
    // Told again each second while it stands, for longer than a story lasts.
    for t in 2..1000 {
        let again = hits.sure(
            id(1),
            word(TEXTS[0], seconds(t)),
            found(TEXTS[0], 100 + t),
            true,
        );
        assert_eq!(states(&again), []);
    }
    let told = hits.passed(
        (id(1), &[]),
        word(TEXTS[0], seconds(1000)),
        found(TEXTS[0], 9),
    );
    assert_eq!(states(&told), [(HitState::Confirmed, 7)]);
    assert_eq!(hits.open().count(), 0);
}

#[test]
fn what_was_never_sure_is_told_at_the_end() {
    let mut hits = Hits::new(STORY);
    assert!(
        hits.sure(id(1), word(TEXTS[0], seconds(1)), found(TEXTS[0], 7), false)
            .is_empty()
    );
    let told = hits.passed((id(1), &[]), word(TEXTS[0], seconds(2)), found(TEXTS[0], 8));
    assert_eq!(states(&told), [(HitState::Confirmed, 8)]);
}

#[test]
fn a_vote_that_turns_takes_the_first_hit_back_and_opens_a_second() {
    let mut hits = Hits::new(STORY);
    hits.sure(id(1), word(TEXTS[0], seconds(1)), found(TEXTS[0], 7), true);
    let told = hits.sure(id(1), word(TEXTS[1], seconds(2)), found(TEXTS[1], 8), true);
    assert_eq!(
        states(&told),
        [(HitState::Retracted, 7), (HitState::Provisional, 8)]
    );
    let why = told[0].retraction.clone().unwrap();
    assert_eq!(
        (why.reason, why.plate.as_deref()),
        (RetractionReason::VoteChanged, Some(TEXTS[1]))
    );
    // It turns back: no third hit, and the vehicle is told all the same.
    let told = hits.sure(id(1), word(TEXTS[0], seconds(3)), found(TEXTS[0], 9), true);
    assert_eq!(states(&told), [(HitState::Retracted, 8)]);
    let told = hits.passed(
        (id(1), &[]),
        word(TEXTS[0], seconds(4)),
        found(TEXTS[0], 10),
    );
    assert_eq!(states(&told), [(HitState::Again, 7)]);
}

#[test]
fn an_end_says_why_there_was_no_hit() {
    let cases = [
        (Reject::OutsideLanes, RetractionReason::OutsideLanes),
        (Reject::Repeated, RetractionReason::OtherVehicle),
        (Reject::Shadow, RetractionReason::OtherVehicle),
        (Reject::Static, RetractionReason::NoVehicle),
        (Reject::NoRealPlate, RetractionReason::NoVehicle),
    ];
    for (why, said) in cases {
        let mut hits = Hits::new(STORY);
        hits.sure(id(1), word(TEXTS[0], seconds(1)), found(TEXTS[0], 7), true);
        let told = hits.dropped(&[id(5), id(1)], Some(why), wall(seconds(2)));
        assert_eq!(states(&told), [(HitState::Retracted, 7)]);
        assert_eq!(told[0].retraction.as_ref().unwrap().reason, said);
        // What was taken back is no story: the vehicle that does carry it is told.
        let told = hits.sure(id(2), word(TEXTS[0], seconds(3)), found(TEXTS[0], 8), true);
        assert_eq!(states(&told), [(HitState::Provisional, 8)]);
    }
    // The entry was taken from the list while the vehicle stood.
    let mut hits = Hits::new(STORY);
    hits.sure(id(1), word(TEXTS[0], seconds(1)), found(TEXTS[0], 7), true);
    let told = hits.sure(id(1), word(TEXTS[0], seconds(2)), None, false);
    assert_eq!(
        told[0].retraction.as_ref().unwrap().reason,
        RetractionReason::NotListed
    );
}

#[test]
fn the_same_vehicle_again_is_the_same_story() {
    let mut hits = Hits::new(STORY);
    hits.sure(id(1), word(TEXTS[0], seconds(1)), found(TEXTS[0], 7), true);
    // The camera behind the barrier sees it while the first one still does.
    assert!(
        hits.sure(id(2), word(TEXTS[0], seconds(2)), found(TEXTS[0], 8), true)
            .is_empty()
    );
    let told = hits.passed((id(1), &[]), word(TEXTS[0], seconds(3)), found(TEXTS[0], 9));
    assert_eq!(states(&told), [(HitState::Confirmed, 7)]);
    let told = hits.passed(
        (id(2), &[]),
        word(TEXTS[0], seconds(5)),
        found(TEXTS[0], 10),
    );
    assert_eq!(states(&told), [(HitState::Again, 7)]);
    assert_eq!(told[0].passage_id, id(2));
    // Much later it is a new one.
    let told = hits.sure(
        id(3),
        word(TEXTS[0], seconds(306)),
        found(TEXTS[0], 11),
        true,
    );
    assert_eq!(states(&told), [(HitState::Provisional, 11)]);
}

/// Two cameras see one vehicle, and the second one is done with it first.
fn passed_elsewhere() -> Hits {
    let mut hits = Hits::new(STORY);
    hits.sure(id(1), word(TEXTS[0], seconds(1)), found(TEXTS[0], 7), true);
    let told = hits.passed((id(2), &[]), word(TEXTS[0], seconds(2)), found(TEXTS[0], 8));
    assert_eq!(states(&told), [(HitState::Confirmed, 7)]);
    assert_eq!(told[0].passage_id, id(2));
    assert_eq!(hits.open().count(), 0);
    hits
}

#[test]
fn a_hit_that_passed_another_camera_is_not_taken_back() {
    // The first camera's vote turns: to another listed plate, to one that is not listed.
    let mut hits = passed_elsewhere();
    let told = hits.sure(id(1), word(TEXTS[1], seconds(3)), found(TEXTS[1], 9), true);
    assert_eq!(states(&told), [(HitState::Provisional, 9)]);
    let told = hits.passed((id(1), &[]), word(TEXTS[3], seconds(4)), None);
    assert_eq!(states(&told), [(HitState::Retracted, 9)]);
    let mut hits = passed_elsewhere();
    assert!(
        hits.sure(id(1), word(TEXTS[3], seconds(3)), None, false)
            .is_empty()
    );
    // What it follows becomes no passage, or its run ends.
    let mut hits = passed_elsewhere();
    let told = hits.dropped(&[id(1)], Some(Reject::Repeated), wall(seconds(3)));
    assert!(told.is_empty());
    let mut hits = passed_elsewhere();
    let camera = found(TEXTS[0], 1).unwrap().camera;
    assert!(hits.abandoned(&camera, wall(seconds(3))).is_empty());
    assert!(hits.followed.is_empty());
    // It reads on what it read, for longer than a story lasts, and sees it pass as well.
    let mut hits = passed_elsewhere();
    let told = hits.sure(
        id(1),
        word(TEXTS[0], seconds(900)),
        found(TEXTS[0], 9),
        true,
    );
    assert!(told.is_empty());
    let told = hits.passed(
        (id(1), &[]),
        word(TEXTS[0], seconds(901)),
        found(TEXTS[0], 10),
    );
    assert_eq!(states(&told), [(HitState::Again, 7)]);
    assert_eq!(told[0].passage_id, id(1));
}

#[test]
fn a_camera_that_fails_ends_its_own_hits() {
    let mut hits = Hits::new(STORY);
    hits.sure(id(1), word(TEXTS[0], seconds(1)), found(TEXTS[0], 7), true);
    let camera = found(TEXTS[0], 1).unwrap().camera;
    assert!(
        hits.abandoned(&"other".parse().unwrap(), wall(seconds(2)))
            .is_empty()
    );
    let told = hits.abandoned(&camera, wall(seconds(2)));
    assert_eq!(states(&told), [(HitState::Unresolved, 7)]);
    assert!(hits.abandoned(&camera, wall(seconds(2))).is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Sure(u64, usize, bool),
    Passed(u64, usize),
    Dropped(u64, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u64..5, 0_usize..4, any::<bool>()).prop_map(|(p, t, e)| Step::Sure(p, t, e)),
        3 => (0_u64..5, 0_usize..4).prop_map(|(p, t)| Step::Passed(p, t)),
        1 => (0_u64..5, any::<bool>()).prop_map(|(p, w)| Step::Dropped(p, w)),
    ]
}

proptest! {
    /// Whatever happens: a provisional hit gets exactly one end, a passage has no second hit for an
    /// entry, and a vehicle that passes and is listed is told.
    #[test]
    fn a_hit_has_one_life(steps in prop::collection::vec((step(), 0_u64..120), 1..60)) {
        let mut hits = Hits::new(STORY);
        let mut told: Vec<HitMessage> = Vec::new();
        // A passage that ended is another one next time.
        let mut lives = [0_u64; 5];
        let (mut now, mut new) = (Duration::ZERO, 0);
        for (step, wait) in &steps {
            now += seconds(*wait);
            new += 1;
            let before = told.len();
            match step {
                Step::Sure(p, t, enough) => {
                    let passage = id(*p + 10 * lives[*p as usize]);
                    told.extend(hits.sure(passage, word(TEXTS[*t], now), found(TEXTS[*t], new), *enough));
                }
                Step::Passed(p, t) => {
                    let passage = id(*p + 10 * lives[*p as usize]);
                    lives[*p as usize] += 1;
                    told.extend(hits.passed((passage, &[]), word(TEXTS[*t], now), found(TEXTS[*t], new)));
                    let end = told[before..].iter().any(|h| {
                        matches!(h.state, HitState::Confirmed | HitState::Again)
                            && h.passage_id == passage
                            && h.plate.text == TEXTS[*t]
                    });
                    prop_assert_eq!(end, *t != 3);
                }
                Step::Dropped(p, lost) => {
                    let passage = id(*p + 10 * lives[*p as usize]);
                    lives[*p as usize] += 1;
                    let why = (!lost).then_some(Reject::Static);
                    told.extend(hits.dropped(&[passage], why, wall(now)));
                }
            }
        }
        let mut lives: BTreeMap<Uuid, Vec<HitState>> = BTreeMap::new();
        let mut ids: BTreeMap<(Uuid, String), BTreeSet<Uuid>> = BTreeMap::new();
        for hit in &told {
            prop_assert!(hit.check().is_ok());
            lives.entry(hit.id).or_default().push(hit.state);
            ids.entry((hit.passage_id, hit.entry.plate.clone())).or_default().insert(hit.id);
        }
        prop_assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
        let open: BTreeSet<Uuid> = hits.open().map(|hit| hit.id).collect();
        for (hit, states) in lives {
            let early = states.windows(2).any(|two| two == [HitState::Provisional, HitState::Again]);
            prop_assert!(!early, "{hit} was seen again before its end: {states:?}");
            let told: Vec<HitState> = states.into_iter().filter(|s| *s != HitState::Again).collect();
            let fits = match told.as_slice() {
                [HitState::Confirmed] => true,
                [HitState::Provisional] => open.contains(&hit),
                [HitState::Provisional, end] => {
                    matches!(end, HitState::Confirmed | HitState::Retracted | HitState::Unresolved)
                }
                _ => false,
            };
            prop_assert!(fits, "{hit}: {told:?}");
        }
    }
}
