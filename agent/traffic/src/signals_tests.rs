#![allow(clippy::unwrap_used)]
use std::sync::LazyLock;

use kakou_contract::{Message, PlateColour, VehicleClass};
use proptest::prelude::*;

use super::*;

/// Read once: there are thousands of passages here.
static PASSAGE: LazyLock<PassageMessage> = LazyLock::new(|| {
    let golden = include_bytes!("../../contract/golden/passage.json");
    PassageMessage::from_json(golden).unwrap()
});
const NO_PLATE: &[u8] = include_bytes!("../../contract/golden/passage-no-plate.json");
const TEXT: &str = "冀Z7K0T9";

fn id(text: &str) -> Id {
    Id::new("id", text).unwrap()
}

/// Seconds after the first passage, to the millisecond.
fn at(seconds: f64) -> DateTime<FixedOffset> {
    PASSAGE.first_seen + TimeDelta::milliseconds((seconds * 1000.0) as i64)
}

fn mono(seconds: f64) -> Duration {
    Duration::from_secs_f64(1000.0 + seconds)
}

/// A sure read at a camera, in sight from one second to another.
fn seen(n: u128, text: &str, camera: &str, from: f64, to: f64) -> PassageMessage {
    let mut passage = PASSAGE.clone();
    passage.id = Uuid::from_u128(n + 1);
    passage.camera = id(camera);
    (passage.first_seen, passage.last_seen) = (at(from), at(to));
    passage.time = passage.last_seen;
    passage.evidence.clear();
    let plate = passage.plate.as_mut().unwrap();
    let like = plate.characters[1];
    plate.text = text.to_owned();
    let characters = text
        .chars()
        .map(|char| kakou_contract::Character { char, ..like });
    plate.characters = characters.collect();
    passage
}

fn rules() -> SignalRules {
    let distance = |a, b, metres| Distance {
        cameras: [id(a), id(b)],
        metres,
    };
    SignalRules {
        kinds: SignalKind::ALL.to_vec(),
        distances: vec![
            distance("cam-1", "cam-2", 1200),
            distance("cam-3", "cam-1", 50),
        ],
        ..SignalRules::default()
    }
}

/// Hands passages over in this order, and gives the kinds that each one told. Each message that is
/// made of them passes its check.
fn told(rules: SignalRules, passages: &[PassageMessage]) -> Vec<Vec<SignalKind>> {
    let mut signals = Signals::new(rules);
    let told = passages.iter().map(|passage| {
        let seconds = (passage.last_seen - at(0.0)).num_milliseconds() as f64 / 1000.0;
        let told = signals.passed(passage, &[], mono(seconds));
        for signal in &told {
            let message = signal.clone().message(passage, Uuid::from_u128(1 << 90));
            message.check().unwrap();
        }
        told.into_iter().map(|signal| signal.kind).collect()
    });
    told.collect()
}

fn alone(passage: &PassageMessage) -> Vec<SignalKind> {
    told(rules(), std::slice::from_ref(passage)).remove(0)
}

#[test]
fn a_passage_that_fits_tells_nothing() {
    assert!(alone(&seen(1, TEXT, "cam-1", 0.0, 2.0)).is_empty());
}

#[test]
fn a_sure_read_on_a_ground_that_it_is_not_made_in_is_a_contradiction() {
    let mut passage = seen(1, TEXT, "cam-1", 0.0, 2.0);
    let plate = passage.plate.as_mut().unwrap();
    let colour = plate.colour.as_mut().unwrap();
    (colour.value, colour.confidence) = (PlateColour::Green, Confidence::new(0.9));
    assert_eq!(alone(&passage), [SignalKind::Contradiction]);
    for doubtful in [
        |p: &mut Plate| p.confidence = Confidence::new(0.89),
        |p: &mut Plate| p.frames_agreeing = 1,
        |p: &mut Plate| p.colour.as_mut().unwrap().confidence = Confidence::new(0.89),
        |p: &mut Plate| p.colour = None,
    ] {
        let mut doubted = passage.clone();
        doubtful(doubted.plate.as_mut().unwrap());
        assert!(alone(&doubted).is_empty());
    }
}

#[test]
fn a_class_contradicts_only_where_it_is_sure() {
    let mut passage = seen(1, "皖A1234挂", "cam-1", 0.0, 2.0);
    passage.plate.as_mut().unwrap().colour = None;
    assert_eq!(alone(&passage), [SignalKind::Contradiction]);
    passage.vehicle.as_mut().unwrap().class_confidence = Confidence::new(0.89);
    assert!(alone(&passage).is_empty());
    passage.vehicle = None;
    assert!(alone(&passage).is_empty());
}

#[test]
fn the_wrong_way_is_told_with_or_without_a_plate() {
    let mut passage = seen(1, TEXT, "cam-1", 0.0, 2.0);
    passage.wrong_way = Some(true);
    assert_eq!(alone(&passage), [SignalKind::WrongWay]);
    passage.wrong_way = Some(false);
    assert!(alone(&passage).is_empty());
    let unread = PassageMessage::from_json(NO_PLATE).unwrap();
    assert_eq!(alone(&unread), [SignalKind::NoPlate, SignalKind::WrongWay]);
}

#[test]
fn a_missing_plate_is_told_of_vehicles_that_were_seen_well() {
    let mut unread = PassageMessage::from_json(NO_PLATE).unwrap();
    unread.wrong_way = None;
    assert_eq!(alone(&unread), [SignalKind::NoPlate]);
    for well in [
        |p: &mut PassageMessage| p.no_plate_reason = Some(NoPlateReason::TooSmall),
        |p: &mut PassageMessage| p.frames_seen = 7,
        |p: &mut PassageMessage| p.vehicle.as_mut().unwrap().class = VehicleClass::Motorcycle,
        |p: &mut PassageMessage| {
            p.vehicle.as_mut().unwrap().class_confidence = Confidence::new(0.79);
        },
    ] {
        let mut other = unread.clone();
        well(&mut other);
        assert!(alone(&other).is_empty());
    }
    assert!(told(SignalRules::default(), &[unread])[0].is_empty());
}

#[test]
fn one_plate_in_two_places_is_told_once_and_of_the_second() {
    let here = seen(1, TEXT, "cam-1", 0.0, 2.0);
    let there = seen(2, TEXT, "cam-2", 1.5, 3.0);
    let mut signals = Signals::new(rules());
    assert!(signals.passed(&here, &[], mono(2.0)).is_empty());
    let told = signals.passed(&there, &[], mono(3.0));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].kind, SignalKind::Twice);
    assert_eq!(told[0].metres, Some(1200));
    assert_eq!(told[0].other.as_ref().unwrap().passage_id, here.id);
    // Handed over once more it tells nothing.
    assert!(signals.passed(&there, &[], mono(3.0)).is_empty());
    assert!(signals.passed(&here, &[], mono(3.0)).is_empty());
}

#[test]
fn front_and_rear_camera_of_a_gate_see_one_vehicle() {
    let pair = |camera| {
        let passages = [
            seen(1, TEXT, "cam-1", 0.0, 2.0),
            seen(2, TEXT, camera, 1.0, 3.0),
        ];
        told(rules(), &passages).remove(1)
    };
    assert!(pair("cam-4").is_empty());
    assert!(pair("cam-1").is_empty());
    assert_eq!(pair("cam-2"), [SignalKind::Twice]);
}

#[test]
fn two_lanes_of_one_camera_are_two_places() {
    let here = seen(1, TEXT, "cam-1", 0.0, 2.0);
    let mut beside = seen(2, TEXT, "cam-1", 1.0, 3.0);
    beside.lane.as_mut().unwrap().id = id("lane-2");
    assert_eq!(
        told(rules(), &[here.clone(), beside.clone()])[1],
        [SignalKind::Twice]
    );
    // It changed lanes, and was another track for a moment.
    let after = seen(2, TEXT, "cam-1", 1.6, 3.0);
    let after = PassageMessage {
        lane: beside.lane.clone(),
        ..after
    };
    assert!(told(rules(), &[here.clone(), after])[1].is_empty());
    // It is known by both ids.
    let mut signals = Signals::new(rules());
    signals.passed(&here, &[], mono(2.0));
    assert!(signals.passed(&beside, &[here.id], mono(3.0)).is_empty());
}

#[test]
fn what_no_vehicle_drives_is_told_with_the_least_speed() {
    // 1200 m in 21.6 s are 200 km/h.
    let pair = |gap: f64| {
        let mut signals = Signals::new(rules());
        signals.passed(&seen(1, TEXT, "cam-1", 0.0, 2.0), &[], mono(2.0));
        let later = seen(2, TEXT, "cam-2", 2.0 + gap, 5.0 + gap);
        signals.passed(&later, &[], mono(5.0 + gap))
    };
    assert!(pair(21.6).is_empty());
    assert!(pair(60.0).is_empty());
    let told = pair(21.4);
    assert_eq!((told.len(), told[0].kind), (1, SignalKind::Travel));
    assert_eq!(told[0].speed_kmh, Some(201));
    // Less than half a second counts as that.
    for gap in [0.5, 0.1, 0.0, -0.4] {
        assert_eq!(pair(gap)[0].speed_kmh, Some(8640), "{gap}");
    }
    assert_eq!(pair(-0.5)[0].kind, SignalKind::Twice);
}

#[test]
fn a_clock_that_is_set_between_two_passages_makes_no_signal() {
    // A minute passed, but the clock was set back by it.
    let mut signals = Signals::new(rules());
    signals.passed(&seen(1, TEXT, "cam-1", 0.0, 2.0), &[], mono(2.0));
    let later = seen(2, TEXT, "cam-2", 4.0, 6.0);
    assert!(signals.clone_with(&later, mono(66.0)).is_empty());
    assert!(signals.clone_with(&later, mono(11.1)).is_empty());
    assert_eq!(signals.clone_with(&later, mono(10.9)).len(), 1);
}

impl Signals {
    /// What a passage would tell.
    fn clone_with(&self, passage: &PassageMessage, seen: Duration) -> Vec<Signal> {
        let mut trial = Self {
            rules: self.rules.clone(),
            sightings: self.sightings.clone(),
        };
        trial.passed(passage, &[], seen)
    }
}

#[test]
fn rules_are_taken_into_use_at_once() {
    let mut signals = Signals::new(SignalRules::default());
    signals.passed(&seen(1, TEXT, "cam-1", 0.0, 2.0), &[], mono(2.0));
    let later = seen(2, TEXT, "cam-2", 4.0, 6.0);
    assert!(signals.clone_with(&later, mono(6.0)).is_empty());
    signals.set_rules(rules());
    assert_eq!(signals.clone_with(&later, mono(6.0)).len(), 1);
    signals.set_rules(SignalRules {
        kinds: vec![SignalKind::WrongWay],
        ..rules()
    });
    assert!(signals.sightings.is_empty());
}

#[test]
fn a_sighting_is_forgotten_after_an_hour() {
    let mut signals = Signals::new(rules());
    signals.passed(&seen(1, TEXT, "cam-1", 0.0, 2.0), &[], mono(2.0));
    signals.passed(
        &seen(2, "皖A12345", "cam-1", 0.0, 3603.0),
        &[],
        mono(3603.0),
    );
    assert_eq!(signals.sightings.len(), 1);
}

fn passages() -> impl Strategy<Value = Vec<PassageMessage>> {
    let one = (0..3_usize, 1..5_u8, 0.0..120.0, 0.0..8.0, any::<bool>());
    let many = proptest::collection::vec(one, 0..40);
    many.prop_map(|all| {
        let texts = [TEXT, "皖A12345", "京N8P0X1"];
        let made = all
            .into_iter()
            .enumerate()
            .map(|(n, (text, camera, from, long, lane))| {
                let camera = format!("cam-{camera}");
                let mut passage = seen(n as u128, texts[text], &camera, from, from + long);
                if lane {
                    passage.lane.as_mut().unwrap().id = id("lane-2");
                }
                passage
            });
        made.collect()
    })
}

proptest! {
    #[test]
    fn a_plate_that_was_seen_once_is_in_one_place(all in passages()) {
        let mut once: Vec<PassageMessage> = Vec::new();
        for passage in all {
            let text = |p: &PassageMessage| p.plate.as_ref().unwrap().text.clone();
            if !once.iter().any(|other| text(other) == text(&passage)) {
                once.push(passage);
            }
        }
        prop_assert!(told(rules(), &once).iter().all(Vec::is_empty));
    }

    #[test]
    fn a_passage_tells_each_kind_once_at_most(all in passages()) {
        for mut kinds in told(rules(), &all) {
            let told = kinds.len();
            kinds.sort();
            kinds.dedup();
            prop_assert_eq!(kinds.len(), told);
        }
    }

    #[test]
    fn of_two_it_does_not_matter_which_is_handed_over_first(all in passages()) {
        for pair in all.windows(2) {
            let turned = [pair[1].clone(), pair[0].clone()];
            prop_assert_eq!(&told(rules(), pair)[1], &told(rules(), &turned)[1]);
        }
    }

    #[test]
    fn signals_of_two_need_a_rule(all in passages()) {
        let rules = SignalRules { distances: Vec::new(), ..rules() };
        for kinds in told(rules, &all) {
            prop_assert!(!kinds.contains(&SignalKind::Travel));
        }
        let rules = SignalRules { kinds: Vec::new(), ..self::rules() };
        prop_assert!(told(rules, &all).iter().all(Vec::is_empty));
    }
}

#[test]
fn memory_is_bounded() {
    let mut signals = Signals::new(rules());
    for n in 0..5000_u32 {
        let text = format!("皖A{n:05}");
        let passage = seen(n.into(), &text, "cam-1", 0.0, 2.0);
        signals.passed(&passage, &[], mono(2.0));
    }
    assert_eq!(signals.sightings.len(), REMEMBERED);
}
