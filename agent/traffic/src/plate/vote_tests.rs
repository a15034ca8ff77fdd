//! The vote, by example and by property.

#![allow(clippy::unwrap_used, clippy::panic)]
use kakou_contract::PlateColour;
use proptest::prelude::*;

use super::*;

fn read(text: &str, conf: f32) -> PlateRead {
    let chars = text
        .chars()
        .map(|ch| CharRead {
            ch,
            conf,
            runner_up: None,
        })
        .collect();
    PlateRead { chars, rows: 1 }
}

fn vote(reads: &[(&str, f32)]) -> Result<VotedPlate, NotReadable> {
    let mut b = Ballot::new(VoteConfig::default());
    for (t, c) in reads {
        b.add(&read(t, *c), 1.0);
    }
    b.result(None)
}

fn text(reads: &[(&str, f32)]) -> String {
    vote(reads).map(|v| v.text).unwrap_or_default()
}

#[test]
fn nothing_read_is_no_plate() {
    assert_eq!(vote(&[]), Err(NotReadable::NoRead));
    assert_eq!(vote(&[("", 0.9)]), Err(NotReadable::NoRead));
    assert_eq!(
        vote(&[("JAC", 0.99); 20]),
        Err(NotReadable::TooShort { chars: 3 })
    );
    assert!(matches!(
        vote(&[("皖A12345", 0.3)]),
        Err(NotReadable::TooUncertain { .. })
    ));
}

#[test]
fn more_agreeing_reads_are_surer() {
    let one = vote(&[("皖A12345", 0.97)]).unwrap();
    let five = vote(&[("皖A12345", 0.97); 5]).unwrap();
    assert!(one.confidence > 0.8 && five.confidence > one.confidence && five.confidence < 1.0);
    assert_eq!((five.reads, five.frames_agreeing), (5, 5));
    let torn = vote(&[("皖A12345", 0.97), ("皖A12346", 0.97), ("皖A12345", 0.97)]).unwrap();
    assert!(torn.confidence < one.confidence);
    assert_eq!(torn.chars[6].runner_up.map(|r| r.0), Some('6'));
}

#[test]
fn lost_and_doubled_characters_are_outvoted() {
    assert_eq!(
        text(&[("皖A11345", 0.9), ("皖A1345", 0.95), ("皖A11345", 0.9)]),
        "皖A11345"
    );
    assert_eq!(text(&[("皖A113345", 0.9), ("皖A11345", 0.9)]), "皖A11345");
}

#[test]
fn colour_speaks_for_the_length() {
    let mut b = Ballot::new(VoteConfig::default());
    b.add(&read("鲁GD12345", 0.9), 1.0);
    b.add(&read("鲁GD1234", 0.92), 1.0);
    b.add_colour(PlateColour::Green, 0.9, 1.0);
    assert_eq!(b.result(None).unwrap().text, "鲁GD12345");
    b.add_colour(PlateColour::Blue, 0.9, 1.0);
    b.add_colour(PlateColour::Blue, 0.9, 1.0);
    b.add_colour(PlateColour::Blue, 0.9, 1.0);
    assert_eq!(b.result(None).unwrap().text, "鲁GD1234");
}

#[test]
fn foreign_plates_pass_as_they_are() {
    let v = vote(&[
        ("34A36837", 0.8),
        ("34A36837", 0.7),
        ("皖AA36837", 0.87),
        ("34A36837", 0.75),
    ])
    .unwrap();
    assert_eq!(v.text, "34A36837");
    assert!(v.corrected.is_empty() && !v.grammar_valid);
    assert_eq!(v.kind, None);
}

#[test]
fn what_the_grammar_changed_is_marked() {
    let v = vote(&[("皖A12O45", 0.9), ("皖A12O45", 0.9)]).unwrap();
    assert_eq!(v.text, "皖A12045");
    assert_eq!(v.raw, "皖A12O45");
    assert_eq!(
        v.corrected,
        [Correction {
            position: 4,
            from: 'O',
            to: '0'
        }]
    );
    assert_eq!(v.frames_agreeing, 0);
}

#[test]
fn a_clear_near_read_beats_many_from_afar() {
    let mut b = Ballot::new(VoteConfig::default());
    for _ in 0..5 {
        b.add(&read("皖A1234S", 0.6), 0.2);
    }
    b.add(&read("皖A12345", 0.99), 1.0);
    assert_eq!(b.result(None).unwrap().text, "皖A12345");
}

#[test]
fn the_list_of_reads_stays_short() {
    let mut b = Ballot::new(VoteConfig {
        keep_reads: 8,
        keep_texts: 4,
        ..VoteConfig::default()
    });
    for i in 0..10_000 {
        b.add(&read(&format!("皖A{i:05}"), 0.9), 0.5);
    }
    for _ in 0..10 {
        b.add(&read("皖A12345", 0.99), 1.0);
    }
    let v = b.result(None).unwrap();
    assert_eq!((v.text.as_str(), v.reads), ("皖A12345", 10_010));
}

prop_compose! {
    /// A small alphabet, so that reads collide, differ by one and confuse.
    fn any_char()(i in 0usize..9, j in 0usize..9, conf in 0.2f32..1.0, r in prop::option::of(0.0f32..0.5)) -> CharRead {
        let letters = ['皖', 'A', '0', 'O', '1', 'I', 'D', '8', 'B'];
        CharRead { ch: letters[i], conf, runner_up: r.map(|r| (letters[j], r)) }
    }
}

prop_compose! {
    fn any_read()(chars in prop::collection::vec(any_char(), 0..9), rows in 1u8..3) -> PlateRead {
        PlateRead { chars, rows }
    }
}

fn ballot(reads: &[(PlateRead, f32)]) -> Ballot {
    let mut b = Ballot::new(VoteConfig {
        keep_reads: 8,
        min_confidence: 0.0,
        ..VoteConfig::default()
    });
    for (r, l) in reads {
        b.add(r, *l);
        b.add_colour(PlateColour::Blue, r.mean_conf(), *l);
    }
    b
}

proptest! {
    #[test]
    fn order_of_reads_does_not_matter(mut reads in prop::collection::vec((any_read(), 0.0f32..1.0), 0..20), seed in 0usize..100) {
        let a = ballot(&reads).result(None);
        reads.reverse();
        prop_assert_eq!(&a, &ballot(&reads).result(None));
        let n = reads.len().max(1);
        reads.rotate_left(seed % n);
        prop_assert_eq!(&a, &ballot(&reads).result(None));
        let cut = seed % n;
        let mut halves = ballot(&reads[..cut.min(reads.len())]);
        halves.merge(ballot(&reads[cut.min(reads.len())..]));
        prop_assert_eq!(&a, &halves.result(None));
    }

    #[test]
    fn a_read_that_agrees_keeps_the_winner(reads in prop::collection::vec((any_read(), 0.0f32..1.0), 1..12)) {
        let mut b = ballot(&reads);
        if let Ok(before) = b.result(None) {
            let agreeing = read(&before.text, 0.9);
            b.add(&agreeing, 0.9);
            b.add(&agreeing, 0.9);
            let after = b.result(None).unwrap();
            prop_assert_eq!(&after.text, &before.text);
            prop_assert!(after.frames_agreeing == before.frames_agreeing + 2);
        }
    }

    #[test]
    fn nothing_is_invented(reads in prop::collection::vec((any_read(), 0.0f32..1.0), 0..12)) {
        if let Ok(v) = ballot(&reads).result(None) {
            for (i, ch) in v.text.chars().enumerate() {
                let proposed = reads.iter().flat_map(|(r, _)| &r.chars)
                    .any(|c| c.ch == ch || c.runner_up.is_some_and(|r| r.0 == ch));
                prop_assert!(proposed || v.corrected.iter().any(|c| c.position == i && c.to == ch));
            }
            prop_assert!((0.0..=1.0).contains(&v.confidence));
            prop_assert!(reads.iter().any(|(r, _)| r.text() == v.raw));
        }
    }
}
