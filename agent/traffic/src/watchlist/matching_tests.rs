#![allow(clippy::unwrap_used)]
//! The matcher against a slow and obvious one, and what a hit says.

use kakou_contract::{
    Character, Direction, Level, MatchKind, Message, PassageMessage, PlateColour, PlateColourRead,
    PlateKind, RunnerUp, Trait, VehicleClass,
};
use proptest::prelude::*;

use super::*;
use crate::plate::check;

const HEADER: &str = "plate,level,category,kind,colour,class,valid_from,valid_until,days,hours,cameras,lanes,direction";

pub(super) fn list(rows: &str) -> List {
    let mut builder = Builder::new(ListOptions {
        name: "test".into(),
        ..ListOptions::default()
    });
    builder
        .header(1, &HEADER.split(',').collect::<Vec<_>>())
        .unwrap();
    for (line, row) in (2..).zip(rows.lines()) {
        builder
            .row(line, &row.split(',').collect::<Vec<_>>())
            .unwrap();
    }
    let parsed = builder.finish("00".into(), None);
    assert_eq!(parsed.refused.told, []);
    parsed.list
}

fn lists(rows: &str) -> Lists {
    Lists::of(list(rows))
}

fn character(char: char, confidence: f32, second: Option<(char, f32)>) -> Character {
    Character {
        char,
        confidence: confidence.into(),
        runner_up: second.map(|(char, c)| RunnerUp {
            char,
            confidence: c.into(),
        }),
    }
}

/// A blue plate of kind 02 on a car, on camera cam-1, at noon of a Friday.
fn passage(text: &str, confidence: f32) -> PassageMessage {
    let golden = include_bytes!("../../../contract/golden/passage.json");
    let mut passage = PassageMessage::from_json(golden).unwrap();
    passage.time = chrono::DateTime::parse_from_rfc3339("2026-03-13T12:00:00+08:00").unwrap();
    (passage.first_seen, passage.last_seen) = (passage.time, passage.time);
    passage.evidence.clear();
    passage.direction = Direction::Approaching;
    let plate = passage.plate.as_mut().unwrap();
    plate.text = text.to_owned();
    plate.raw = text.to_owned();
    plate.corrected.clear();
    plate.confidence = confidence.into();
    plate.characters = text.chars().map(|c| character(c, 0.99, None)).collect();
    plate.kind = Some(PlateKind::Small);
    plate.colour = Some(PlateColourRead {
        value: PlateColour::Blue,
        confidence: 0.95_f32.into(),
    });
    if let Some(vehicle) = passage.vehicle.as_mut() {
        vehicle.class = VehicleClass::Car;
        vehicle.class_confidence = 0.9_f32.into();
    }
    passage
}

fn best<'a>(lists: &'a Lists, text: &str) -> Option<Match<'a>> {
    lists.best(&passage(text, 0.9), &Conditions::default())
}

#[test]
fn a_hit_of_each_kind_stands_the_check_of_its_message() {
    let all = lists("鲁E6K829,red,stolen\n鲁B8*,orange,a\n京A1234S,yellow,a\n苏O12345,red,a\n");
    for (text, kind, plate) in [
        ("鲁E6K829", MatchKind::Exact, "鲁E6K829"),
        ("鲁B88D12", MatchKind::Pattern, "鲁B8*"),
        ("京A12345", MatchKind::Near, "京A1234S"),
        ("苏012345", MatchKind::Exact, "苏012345"),
        ("苏O12345", MatchKind::Exact, "苏O12345"),
    ] {
        let seen = passage(text, 0.9);
        let hit = all.hit(&seen, &Conditions::default(), seen.id).unwrap();
        hit.check().unwrap();
        assert_eq!(
            (hit.doubt.kind, hit.entry.plate.as_str()),
            (kind, plate),
            "{text}"
        );
        assert_eq!((hit.passage_id, hit.entry.list.as_str()), (seen.id, "test"));
    }
    assert!(best(&all, "鲁F6K829").is_none());
}

#[test]
fn a_near_match_shows_what_differs_and_scores_what_is_left() {
    let all = lists("京A1234S,yellow,a\n");
    let sure = best(&all, "京A12345").unwrap();
    assert_eq!(sure.differences.len(), 1);
    let d = sure.differences[0];
    assert_eq!((d.position, d.read, d.listed), (6, Some('5'), Some('S')));
    assert!(sure.score < 0.02, "{}", sure.score);
    // The doubt of this very read counts more than what is known of all.
    let mut doubtful = passage("京A12345", 0.6);
    let plate = doubtful.plate.as_mut().unwrap();
    plate.characters[6] = character('5', 0.6, Some(('S', 0.35)));
    let score = all.best(&doubtful, &Conditions::default()).unwrap().score;
    // The rest of what the read leaves open goes to what else readers take each character for.
    assert!(
        score > 5.0 * sure.score && score < 0.4,
        "{score} after {}",
        sure.score
    );
}

#[test]
fn near_is_not_told_at_red_unless_wanted_and_never_beside_the_plate_itself() {
    let rows = "京A1234S,red,a\n";
    assert!(best(&lists(rows), "京A12345").is_none());
    let with = |near, min_score, rows| {
        let policy = Policy {
            near: [near; 4],
            min_score: [min_score; 4],
            ..Policy::default()
        };
        Lists::new(
            vec![Listed {
                list: list(rows).into(),
                policy: policy.into(),
            }],
            Default::default(),
        )
    };
    assert!(best(&with(true, 0.0, rows), "京A12345").is_some());
    assert!(best(&with(true, 0.5, rows), "京A12345").is_none());
    let both = with(true, 0.0, "京A1234S,red,a\n京A12345,blue,b\n");
    let found = best(&both, "京A12345").unwrap();
    assert_eq!(
        (found.kind, found.entry().level),
        (MatchKind::Exact, Level::Blue)
    );
    let yellow = "京A1234S,yellow,a\n";
    assert!(best(&with(false, 0.0, yellow), "京A12345").is_none());
    assert!(best(&with(false, 0.95, "京A12345,red,a\n"), "京A12345").is_none());
}

#[test]
fn the_most_severe_entry_that_holds_counts() {
    for rows in [
        "鲁E6K829,red,stolen,,,,,2024-06-30\n鲁E6K829,yellow,inspection\n",
        "鲁E6K829,yellow,inspection\n鲁E6K829,red,stolen,,,,,2024-06-30\n",
        "鲁E6K829,red,stolen,,,,2031-01-01\n鲁E6*,yellow,a\n鲁E6K829,blue,b\n",
    ] {
        let all = lists(rows);
        assert_eq!(
            best(&all, "鲁E6K829").unwrap().entry().level,
            Level::Yellow,
            "{rows}"
        );
        // Nothing expires by a clock that is wrong.
        let wrong = Conditions {
            clock_is_right: false,
        };
        let found = all.best(&passage("鲁E6K829", 0.9), &wrong).unwrap();
        assert_eq!(found.entry().level, Level::Red);
    }
    // Over several lists.
    let of = |rows| Listed {
        list: list(rows).into(),
        policy: Default::default(),
    };
    let several = Lists::new(
        vec![
            of("鲁E6K829,blue,a\n"),
            of("鲁E*,orange,b\n"),
            of("鲁E6K829,yellow,c\n"),
        ],
        Default::default(),
    );
    assert_eq!(best(&several, "鲁E6K829").unwrap().entry().category, "b");
}

#[test]
fn rules_of_place_and_time_hold() {
    let all = lists(
        "鲁E6K829,red,a,,,,,,mon-fri,22:00-06:00\n鲁E6K828,red,a,,,,,,,,cam-9\n鲁E6K827,red,a,,,,,,,,,,leaving\n鲁E6K826,red,a,,,,,,周五,11:00-13:00,,,approaching\n",
    );
    for plate in ["鲁E6K829", "鲁E6K828", "鲁E6K827"] {
        assert!(best(&all, plate).is_none(), "{plate}");
    }
    assert!(best(&all, "鲁E6K826").is_some());
    let wrong = Conditions {
        clock_is_right: false,
    };
    assert!(
        all.best(&passage("鲁E6K829", 0.9), &wrong).is_some(),
        "no schedule applies"
    );
    assert!(all.best(&passage("鲁E6K828", 0.9), &wrong).is_none());
}

#[test]
fn what_contradicts_is_named_and_counts() {
    let all = lists("鲁E6K829,red,a,,yellow,truck\n");
    let found = best(&all, "鲁E6K829").unwrap();
    let what: Vec<Trait> = found.contradictions.iter().map(|c| c.what).collect();
    assert_eq!(what, [Trait::PlateColour, Trait::VehicleClass]);
    assert_eq!(
        (
            found.contradictions[0].seen.as_str(),
            found.contradictions[0].listed.as_str()
        ),
        ("blue", "yellow")
    );
    assert!(found.score < 0.1);
    // Two kinds of one text are two vehicles.
    let large = lists("鲁E6K829,red,large,01\n鲁E6K829,blue,small,02\n");
    assert_eq!(best(&large, "鲁E6K829").unwrap().entry().category, "small");
    let other = lists("鲁E6K829,red,large,01\n");
    assert!(best(&other, "鲁E6K829").is_none());
    let mut unsure = passage("鲁E6K829", 0.9);
    unsure
        .plate
        .as_mut()
        .unwrap()
        .colour
        .as_mut()
        .unwrap()
        .confidence = 0.5_f32.into();
    let found = other.best(&unsure, &Conditions::default()).unwrap();
    assert_eq!(found.contradictions[0].what, Trait::PlateKind);
    assert!((found.score - 0.9 * 0.55).abs() < 1e-3, "{}", found.score);
    // A pattern of all trucks is no pattern of cars.
    assert!(best(&lists("鲁E*,red,a,,,truck\n"), "鲁E6K829").is_none());
}

#[test]
fn a_list_of_those_allowed_tells_of_the_others() {
    let policy = |rules| Policy {
        mode: Mode::Allow,
        rules,
        ..Policy::default()
    };
    let closed = |rules| {
        let list = list("鲁E6K829,blue,resident\n鲁B*,blue,bus,,,,,2024-01-01\n").into();
        Lists::new(
            vec![Listed {
                list,
                policy: policy(rules).into(),
            }],
            Default::default(),
        )
    };
    let all = closed(Rules::default());
    assert!(best(&all, "鲁E6K829").is_none());
    // Read with one character that is easily confused.
    assert!(best(&all, "鲁EGK829").is_none());
    let found = best(&all, "京N8P5Z7").unwrap();
    assert_eq!(
        (
            found.kind,
            found.entry().plate.as_str(),
            found.entry().category
        ),
        (MatchKind::Unlisted, "*", "not_allowed")
    );
    let seen = passage("京N8P5Z7", 0.9);
    all.hit(&seen, &Conditions::default(), seen.id)
        .unwrap()
        .check()
        .unwrap();
    assert!(best(&all, "鲁B88888").is_some(), "no longer allowed");
    let nowhere = Rules {
        cameras: vec!["cam-9".into()],
        ..Rules::default()
    };
    assert!(best(&closed(nowhere), "京N8P5Z7").is_none());
}

#[test]
fn what_could_be_read_fits_what_is_listed() {
    // The last character is lost: the pattern leaves it open.
    let all = lists("鲁E6K82?,orange,a\n皖A12345,yellow,b\n");
    let found = best(&all, "鲁E6K82").unwrap();
    assert_eq!(
        (found.kind, found.entry().category),
        (MatchKind::Pattern, "a")
    );
    // One is lost of a whole plate.
    let found = best(&all, "皖A1245").unwrap();
    assert_eq!((found.kind, found.differences.len()), (MatchKind::Near, 1));
    assert_eq!(
        (found.differences[0].read, found.differences[0].listed),
        (None, Some('3'))
    );
    assert_eq!(found.entry().plate, "皖A12345");
    assert!(found.score < 0.02);
    // A province that was not read.
    assert_eq!(best(&all, "A12345").unwrap().entry().plate, "皖A12345");
    // A character of which hardly anything is known.
    let mut torn = passage("皖A92345", 0.3);
    torn.plate.as_mut().unwrap().characters[2] = character('9', 0.3, None);
    let found = all.best(&torn, &Conditions::default()).unwrap();
    assert_eq!(found.entry().plate, "皖A12345");
    // What is open in the pattern may be as unsure as it likes.
    let mut unsure = passage("鲁E6K829", 0.3);
    unsure.plate.as_mut().unwrap().characters[6] = character('9', 0.31, None);
    let score = all.best(&unsure, &Conditions::default()).unwrap().score;
    assert!(score > 0.9, "{score}");
}

#[test]
fn strange_texts_match_nothing_and_break_nothing() {
    let all = lists("鲁E6K829,red,a\n*8*8*,orange,b\n");
    for text in ["囧", "鲁E6K829鲁E6K929", "x", "A"] {
        assert!(best(&all, text).is_none(), "{text}");
    }
    assert!(best(&all, "鲁E8K8299999999999999").is_some_and(|m| m.entry().category == "b"));
}

// The slow matcher: each entry is compared with the read by itself, character by character.

fn slow_pattern(pattern: &[char], text: &[Option<char>]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), None) => slow_pattern(rest, text),
        (Some(('*', rest)), Some((_, tail))) => {
            slow_pattern(rest, text) || slow_pattern(pattern, tail)
        }
        (Some((p, rest)), Some((t, tail))) => {
            (*p == '?' || Some(*p) == *t) && slow_pattern(rest, tail)
        }
        _ => false,
    }
}

/// What may stand for one read character, by the rules in words.
fn slow_odds(read: &Character, first: bool, meant: char, weights: &[Confusion]) -> f32 {
    let sure = read.confidence.get();
    let known = weights
        .iter()
        .filter(|w| w.read == read.char && w.meant == meant);
    let mut odds = known.map(|w| w.odds).fold(0.0, f32::max);
    let mut left = 1.0 - sure;
    if let Some(second) = read.runner_up {
        left -= second.confidence.get();
        if second.char == meant {
            odds = odds.max((second.confidence.get() / sure.max(1e-3)).min(4.0));
        }
    }
    let province = |c| crate::plate::is_province(c);
    let alike = match first && province(read.char) {
        true => province(meant),
        false => meant.is_ascii_alphanumeric() && meant != 'O' && meant != 'I',
    };
    if sure < 0.5 && alike {
        odds = odds.max((left.max(0.0) / 33.0 / sure.max(1e-3)).min(4.0));
    }
    odds
}

/// How an entry for a whole plate matches: 0 for itself, else its odds.
fn slow_near(plate: &str, seen: &PassageMessage, weights: &[Confusion]) -> Option<f32> {
    let read = seen.plate.as_ref().unwrap();
    let (listed, text): (Vec<char>, Vec<char>) =
        (plate.chars().collect(), read.text.chars().collect());
    let mut best: Option<f32> = None;
    let mut take = |odds: f32| best = Some(best.map_or(odds, |b: f32| b.max(odds)));
    if listed.len() == text.len() {
        let odds: Vec<f32> = (0..text.len())
            .filter(|i| listed[*i] != text[*i])
            .map(|i| slow_odds(&read.characters[i], i == 0, listed[i], weights))
            .collect();
        match odds[..] {
            [one] if one > 0.0 => take(one),
            [one, two] if one * two >= 2e-3 => take(one * two),
            _ => {}
        }
    }
    if !check(&read.text, read.colour.map(|c| c.value)).is_valid() {
        for i in 0..=text.len() {
            let mut shorter = listed.clone();
            if listed.len() == text.len() + 1 {
                let lost = shorter.remove(i);
                let province = crate::plate::is_province;
                let serial = lost.is_ascii_alphanumeric() && lost != 'O' && lost != 'I';
                let (fits, many) = match i {
                    0 => (province(lost) && text[0].is_ascii(), 31),
                    _ if i == text.len() => {
                        (serial || "使领警学挂港澳试临超应急民航".contains(lost), 48)
                    }
                    _ => (serial, 34),
                };
                if shorter == text && fits {
                    take(0.3 / (many * (text.len() + 1)) as f32);
                }
            }
            if listed.len() + 1 == text.len() && i + 1 < text.len() && text[i] == text[i + 1] {
                let mut whole = text.clone();
                whole.remove(i + 1);
                if whole == listed {
                    take(0.2);
                }
            }
        }
    }
    best
}

fn slow_gaps(seen: &PassageMessage) -> Vec<Vec<Option<char>>> {
    let read = seen.plate.as_ref().unwrap();
    let text: Vec<Option<char>> = read.text.chars().map(Some).collect();
    let mut all = vec![text.clone()];
    if !check(&read.text, read.colour.map(|c| c.value)).is_valid() {
        for at in 0..=text.len() {
            let mut torn = text.clone();
            torn.insert(at, None);
            all.push(torn);
        }
    }
    all
}

/// The level and odds of the best entry, by trying each.
fn slow(
    entries: &[(String, Level)],
    seen: &PassageMessage,
    weights: &[Confusion],
) -> Option<(MatchKind, Level, f32)> {
    let text = &seen.plate.as_ref().unwrap().text;
    let mut direct: Vec<(Level, u8)> = Vec::new();
    let mut near: Vec<(f32, Level)> = Vec::new();
    for (plate, level) in entries {
        if plate.contains(['?', '*']) {
            let pattern: Vec<char> = plate.chars().collect();
            if slow_gaps(seen).iter().any(|t| slow_pattern(&pattern, t)) {
                direct.push((*level, 1));
            }
        } else if plate == text {
            direct.push((*level, 0));
        } else if let Some(odds) = slow_near(plate, seen, weights) {
            near.push((odds, *level));
        }
    }
    if let Some((level, order)) = direct.into_iter().min() {
        let kind = if order == 0 {
            MatchKind::Exact
        } else {
            MatchKind::Pattern
        };
        return Some((kind, level, 1.0));
    }
    let most = near.iter().map(|n| n.0).reduce(f32::max)?;
    let level = near.iter().filter(|n| n.0 == most).map(|n| n.1).min()?;
    Some((MatchKind::Near, level, most))
}

fn arb_plate() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[京琼鲁皖][AB][01258BSZDQ]{5}",
        2 => "[京琼鲁皖][AB]D[018B][01258]{4}",
        1 => "[京琼]A[0128B]{4}[警学挂]",
        1 => "[1258BS]{4,7}",
    ]
}

fn arb_pattern() -> impl Strategy<Value = String> {
    "[京琼鲁皖?*][AB?][01258BSZDQ?*]{1,4}[018B?*]?"
}

fn arb_seen() -> impl Strategy<Value = PassageMessage> {
    let doubt = (
        0.05_f32..1.0,
        0.0_f32..1.0,
        "[01258BSZDQ京琼]",
        any::<bool>(),
    );
    let text = prop_oneof![4 => arb_plate(), 1 => "[京琼鲁皖AB][01258BSZDQA]{3,7}"];
    (text, proptest::collection::vec(doubt, 9), any::<bool>()).prop_map(|(text, doubts, sure)| {
        let mut seen = passage(&text, 0.8);
        let plate = seen.plate.as_mut().unwrap();
        (plate.kind, plate.colour) = (None, None);
        for (c, (first, share, other, has)) in plate.characters.iter_mut().zip(doubts) {
            let first = if sure { 0.5 + first / 2.0 } else { first };
            let second = other.chars().next().filter(|o| has && *o != c.char);
            *c = character(c.char, first, second.map(|o| (o, (1.0 - first) * share)));
        }
        seen
    })
}

fn table() -> Vec<Confusion> {
    let pairs = [
        ("8B", 0.04),
        ("5S", 0.03),
        ("0D", 0.1),
        ("0Q", 0.02),
        ("2Z", 0.06),
        ("京琼", 0.05),
        ("1B", 0.001),
    ];
    let both = pairs.iter().flat_map(|(pair, odds)| {
        let (a, b) = (pair.chars().next().unwrap(), pair.chars().nth(1).unwrap());
        [(a, b), (b, a)].map(|(read, meant)| Confusion {
            read,
            meant,
            odds: *odds,
        })
    });
    both.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn the_matcher_finds_what_a_slow_one_finds(
        entries in proptest::collection::vec(
            (prop_oneof![5 => arb_plate(), 1 => arb_pattern()], 0_usize..4), 1..60),
        mut seen in proptest::collection::vec(arb_seen(), 1..8),
        planted in proptest::collection::vec((0_usize..60, 0_usize..9, "[01258BSZDQ京琼]"), 0..6),
    ) {
        // Reads that are close to an entry.
        for (at, place, other) in planted {
            let Some((plate, _)) = entries.get(at).filter(|(p, _)| !p.contains(['?', '*'])) else { continue };
            let text: String = plate.chars().enumerate()
                .map(|(i, c)| if i == place { other.chars().next().unwrap() } else { c })
                .collect();
            let mut near = passage(&text, 0.8);
            let read = near.plate.as_mut().unwrap();
            (read.kind, read.colour) = (None, None);
            seen.push(near);
        }
        let mut builder = Builder::new(ListOptions::default());
        builder.header(1, &["plate", "level", "category"]).unwrap();
        for (line, (plate, level)) in (2..).zip(&entries) {
            builder.row(line, &[plate, Level::ALL[*level].as_str(), "a"]).unwrap();
        }
        let list = builder.finish("00".into(), None).list;
        let taken: Vec<(String, Level)> = list.entries().map(|e| (e.plate, e.level)).collect();
        let table = table();
        let policy = Policy { near: [true; 4], ..Policy::default() };
        let lists = Lists::new(
            vec![Listed { list: list.into(), policy: policy.into() }],
            Weights::new(table.clone()).into(),
        );
        for seen in seen {
            let fast = lists.best(&seen, &Conditions::default());
            let found = fast.as_ref().map(|m| (m.kind, m.entry().level));
            let near_pattern = fast.as_ref()
                .is_some_and(|m| m.kind == MatchKind::Near && m.entry().plate.contains(['?', '*']));
            let wanted = slow(&taken, &seen, &table);
            // A pattern that is met nearly is likelier than what the slow one looks at.
            if !near_pattern {
                prop_assert_eq!(found, wanted.map(|w| (w.0, w.1)), "{:?} in {:?}", seen.plate, taken);
            }
            if let Some(m) = fast {
                prop_assert!((0.0..=1.0).contains(&m.score), "{}", m.score);
            }
        }
    }
}
