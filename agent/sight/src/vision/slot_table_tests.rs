//! Reads out of made-up outputs.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn class(ch: char) -> usize {
    ALPHABET.chars().position(|c| c == ch).unwrap() + 1
}

/// Outputs of a model that sees `text`, every slot with this confidence.
fn seen(text: &str, conf: f32) -> SlotTable {
    let mut slots = vec![0.0; SLOTS * CLASSES];
    let classes = text.chars().map(class).chain(std::iter::repeat(END));
    for (slot, class) in slots.chunks_exact_mut(CLASSES).zip(classes) {
        slot.fill((1.0 - conf) / (CLASSES - 1) as f32);
        slot[class] = conf;
    }
    SlotTable::new(
        &slots,
        &[0.9, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0],
        &[0.9, 0.1],
        &[0.02, 0.98],
    )
    .unwrap()
}

fn set(table: &mut SlotTable, slot: usize, ch: char, p: f32) {
    table.text[slot * CLASSES + class(ch)] = p;
}

fn any_text(table: &SlotTable) -> PlateRead {
    table.read(|_| true)
}

#[test]
fn the_alphabet_is_the_models() {
    assert_eq!(ALPHABET.chars().count(), CLASSES - 1);
    assert_eq!((class('0'), class('O')), (ZERO, LETTER_O));
    assert_eq!((class('试'), symbol(80)), (80, '试'));
    for class in 1..CLASSES {
        let is_province = kakou_traffic::plate::is_province(symbol(class));
        let kind = CharKind::of(class);
        assert_eq!(kind == Some(CharKind::Province), is_province, "{class}");
    }
}

#[test]
fn a_text_ends_where_its_end_is_and_nine_characters_need_none() {
    for text in ["皖A12345", "鲁GD12345", "WJ07X0230", "使014578"] {
        let read = any_text(&seen(text, 0.9));
        assert_eq!((read.text().as_str(), read.rows), (text, 1));
        // The 0 has what little the slot leaves to the letter O.
        assert!(read.chars.iter().all(|c| (c.conf - 0.9).abs() < 2e-3));
    }
    let mut empty = seen("", 0.9);
    assert_eq!(any_text(&empty).chars, []);
    set(&mut empty, 3, 'A', 1.0);
    assert_eq!(any_text(&empty).text(), "", "nothing stands behind the end");
}

#[test]
fn doubt_in_every_slot_does_not_make_a_plate_none() {
    assert_eq!(any_text(&seen("皖A12345", 0.4)).text(), "皖A12345");
}

#[test]
fn the_same_character_twice_stays_twice() {
    assert_eq!(any_text(&seen("川A11111", 0.9)).text(), "川A11111");
}

#[test]
fn a_doubtful_end_makes_the_last_character_doubtful() {
    let mut table = seen("皖A12345", 0.97);
    table.text[7 * CLASSES + END] = 0.6;
    set(&mut table, 7, '6', 0.4);
    let read = any_text(&table);
    assert_eq!(read.text(), "皖A12345");
    assert_eq!(read.chars[6].conf, 0.6);
    assert_eq!(read.chars[5].conf, 0.97);
}

#[test]
fn an_old_police_plate_is_spelled_as_the_watchlist_spells_it() {
    let mut table = seen("苏O12345", 0.95);
    let sure = any_text(&table);
    assert_eq!(sure.text(), "苏012345");
    assert!(check(&sure.text(), None).is_valid());
    // O and 0 are one: what is shared between them is not in doubt.
    let shared: Vec<f32> = {
        let mut slots = table.text.clone();
        slots[CLASSES + ZERO] = 0.5;
        slots[CLASSES + LETTER_O] = 0.45;
        slots
    };
    table = SlotTable::new(&shared, &table.colour, &table.rows, &table.plate).unwrap();
    assert!((any_text(&table).chars[1].conf - 0.95).abs() < 1e-6);
}

#[test]
fn what_can_be_a_plate_goes_before_what_cannot_but_only_if_it_was_seen() {
    // A province was seen, though no single one is as probable as the 0.
    let mut table = seen("皖A12345", 0.95);
    set(&mut table, 0, '皖', 0.3);
    set(&mut table, 0, '湘', 0.25);
    set(&mut table, 0, '0', 0.4);
    let grammar = |text: &str| check(text, None).is_valid();
    assert_eq!(any_text(&table).text(), "0A12345");
    let read = table.read(grammar);
    assert_eq!(read.text(), "皖A12345");
    assert_eq!(
        (read.chars[0].conf, read.chars[0].runner_up),
        (0.3, Some(('0', 0.4)))
    );
    assert!(table.reading(Quad::default()).province.unwrap() > 0.5);
    // None was: the plate is another country's, or its first character is wrong.
    set(&mut table, 0, '湘', 0.1);
    assert_eq!(table.read(grammar).text(), "0A12345");
    // Of one kind, a character counts from a small part of the best one's probability on.
    let mut table = seen("皖S12345", 0.95);
    set(&mut table, 1, 'S', 0.3);
    set(&mut table, 1, '5', 0.6);
    assert_eq!(any_text(&table).text(), "皖512345");
    assert_eq!(table.read(grammar).text(), "皖S12345");
    set(&mut table, 1, 'S', 0.001);
    assert_eq!(table.read(grammar).text(), "皖512345", "hardly seen");
}

#[test]
fn looks_are_weighed_together() {
    let (mut unsure, sure) = (seen("京A12345", 0.95), seen("琼A12345", 0.95));
    set(&mut unsure, 0, '京', 0.5);
    set(&mut unsure, 0, '琼', 0.45);
    let read = any_text(&SlotTable::mean(&[unsure.clone(), sure]));
    assert_eq!(read.chars[0].ch, '琼');
    assert!((read.chars[0].conf - 0.7).abs() < 1e-6);
    assert_eq!(any_text(&unsure).chars[0].runner_up.unwrap().0, '琼');
}

#[test]
fn ground_rows_and_plate_are_the_heads_own() {
    let text = seen("皖A12345", 0.9).text;
    let table = |colour: [f32; 7], rows: [f32; 2], plate: [f32; 2]| {
        SlotTable::new(&text, &colour, &rows, &plate).unwrap()
    };
    let white = table([0.1, 0.0, 0.0, 0.0, 0.8, 0.0, 0.1], [0.2, 0.8], [0.6, 0.4]);
    let reading = white.reading(Quad::default());
    assert_eq!(reading.colour, Some((PlateColour::White, 0.8)));
    assert_eq!((reading.read.rows, reading.plate), (2, Some(0.4)));
    assert!(!reading.is_plate() && !reading.is_worth_showing() && !reading.is_sure());
    let other = table([0.1, 0.0, 0.0, 0.0, 0.1, 0.0, 0.8], [0.8, 0.2], [0.0, 1.0]);
    assert_eq!(other.colour(), None, "a ground that no plate has");
    assert!(other.reading(Quad::default()).is_plate());
}

#[test]
fn other_outputs_are_refused() {
    let good = seen("皖A12345", 0.9);
    let new = |text: &[f32], colour: &[f32]| SlotTable::new(text, colour, &good.rows, &good.plate);
    assert!(new(&good.text, &good.colour).is_some());
    assert!(new(&good.text[1..], &good.colour).is_none());
    assert!(new(&good.text, &good.colour[1..]).is_none());
    assert!(new(&[], &[]).is_none());
}

proptest! {
    /// Whatever a model says, even what is no number, a read has at most nine characters, each with
    /// its probability.
    #[test]
    fn any_outputs_give_an_orderly_read(
        text in prop::collection::vec(
            prop_oneof![0.0f32..1.0, Just(f32::NAN), Just(-1.0), Just(f32::INFINITY)],
            SLOTS * CLASSES,
        ),
        heads in prop::collection::vec(0.0f32..1.0, COLOURS + 4),
    ) {
        let (colour, rest) = heads.split_at(COLOURS);
        let table = SlotTable::new(&text, colour, &rest[..2], &rest[2..]).unwrap();
        let reading = table.reading(Quad::default());
        prop_assert!(reading.read.chars.len() <= SLOTS);
        for c in &reading.read.chars {
            prop_assert!((0.0..=1.0).contains(&c.conf), "{c:?}");
            prop_assert!(ALPHABET.contains(c.ch) && c.ch != 'O');
            if let Some((ch, p)) = c.runner_up {
                prop_assert!(ch != c.ch && (0.0..=1.0).contains(&p), "{c:?}");
            }
        }
        prop_assert_eq!(&reading, &table.reading(Quad::default()));
    }

    /// A text that every slot is surer of than of all others together is what is read, plate or
    /// not.
    #[test]
    fn what_is_seen_surely_is_read(
        classes in prop::collection::vec((1..CLASSES).prop_filter("spelled 0", |c| *c != LETTER_O), 0..=SLOTS),
        conf in 0.98f32..1.0,
    ) {
        let text = spelled(&classes);
        let read = seen(&text, conf).reading(Quad::default()).read;
        prop_assert_eq!(read.text(), text);
    }

    /// One look seen several times is that look.
    #[test]
    fn the_mean_of_equal_looks_is_the_look(n in 1usize..5, conf in 0.5f32..1.0) {
        let look = seen("新A12345", conf);
        let mean = SlotTable::mean(&vec![look.clone(); n]);
        for (a, b) in mean.text.iter().zip(&look.text) {
            prop_assert!((a - b).abs() < 1e-6);
        }
        prop_assert_eq!(any_text(&mean).text(), "新A12345");
    }
}

#[test]
fn a_plate_of_another_country_gets_no_province() {
    let can_be = |text: &str| check(text, None).is_valid();
    let mut table = seen("51F12345", 0.9);
    // What would make a mainland plate is as probable as anything else that was not seen.
    set(&mut table, 0, '京', 0.08);
    table.text[CLASSES + END] = 0.0;
    assert_eq!(table.read(can_be).text(), "51F12345");
    let mut mark = seen("123456", 0.9);
    mark.text[6 * CLASSES + END] = 0.85;
    set(&mut mark, 6, '使', 0.1);
    assert_eq!(mark.read(can_be).text(), "123456");
}
