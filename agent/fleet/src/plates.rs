//! Made-up plates in the layouts and colours of GA 36, of all provinces.

use kakou_contract::{PlateColour, PlateKind, VehicleClass, VehicleColour};

use crate::random::Random;

/// The 31 provinces, regions and municipalities, with the letters of their issuing offices.
const PROVINCES: [(char, &str); 31] = [
    ('京', "ACEFGHJKLMNPQ"),
    ('津', "ABCDEFGHJKLMNPQR"),
    ('沪', "ABCDEFGHJKLMN"),
    ('渝', "ABCDFGH"),
    ('冀', "ABCDEFGHJRT"),
    ('豫', "ABCDEFGHJKLMNPQRSU"),
    ('云', "ACDEFGHJKLMNPQRS"),
    ('辽', "ABCDEFGHJKLMNP"),
    ('黑', "ABCDEFGHJKLMNP"),
    ('湘', "ABCDEFGHJKLMNU"),
    ('皖', "ABCDEFGHJKLMNPQRS"),
    ('鲁', "ABCDEFGHJKLMNPQRSUVWY"),
    ('新', "ABCDEFGHJKLMNPQR"),
    ('苏', "ABCDEFGHJKLMN"),
    ('浙', "ABCDEFGHJKL"),
    ('赣', "ABCDEFGHJKLM"),
    ('鄂', "ABCDEFGHJKLMNPQRS"),
    ('桂', "ABCDEFGHJKLMNPR"),
    ('甘', "ABCDEFGHJKLMNP"),
    ('晋', "ABCDEFGHJKLM"),
    ('蒙', "ABCDEFGHJKLM"),
    ('陕', "ABCDEFGHJKV"),
    ('吉', "ABCDEFGHJK"),
    ('闽', "ABCDEFGHJK"),
    ('贵', "ABCDEFGHJ"),
    ('粤', "ABCDEFGHJKLMNPQRSTUVWXY"),
    ('青', "ABCDEFGH"),
    ('藏', "ABCDEFGHJ"),
    ('川', "ABCDEFHJKLMQRSTUVWXYZ"),
    ('宁', "ABCDE"),
    ('琼', "ABCDEF"),
];
const LETTERS: &str = "ABCDEFGHJKLMNPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
/// Of two positions of a serial at most are letters; digits are the most.
const SERIAL: &str = "01234567890123456789012345678901234567ABCDEFGHJKLMNPQRSTUVWXYZ";

/// A plate with what wears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MadeUp {
    pub(crate) text: String,
    pub(crate) colour: PlateColour,
    /// `None`: text and colour do not tell it.
    pub(crate) kind: Option<PlateKind>,
    pub(crate) rows: u8,
    pub(crate) class: VehicleClass,
}

/// As often as they are in traffic.
const PAINTS: [VehicleColour; 20] = {
    use VehicleColour::{Black, Blue, Brown, Green, Grey, Purple, Red, White, Yellow};
    [
        White, White, White, White, White, White, White, Black, Black, Black, Black, Grey, Grey,
        Grey, Blue, Red, Brown, Yellow, Green, Purple,
    ]
};

impl MadeUp {
    /// The paint of the vehicle that wears it: the same whenever it comes.
    pub(crate) fn paint(&self) -> Option<VehicleColour> {
        let number: usize = self.text.chars().map(|c| c as usize).sum();
        let paint = PAINTS.get(number % PAINTS.len()).copied();
        paint.filter(|_| self.class != VehicleClass::Motorcycle)
    }
}

/// A plate of a city in the province `home`, where most vehicles are from there.
pub(crate) fn made_up(random: &mut Random, home: u64) -> MadeUp {
    let at = if random.chance(0.75) {
        home
    } else {
        random.draw()
    };
    let (province, offices) = PROVINCES[(at % PROVINCES.len() as u64) as usize];
    let office = random.pick_char(offices);
    let start = format!("{province}{office}");
    use PlateColour as C;
    use PlateKind as K;
    use VehicleClass as V;
    let of = |text: String, colour, kind, rows, class| MadeUp {
        text,
        colour,
        kind: Some(kind),
        rows,
        class,
    };
    match random.below(1000) {
        0..600 => of(serial(random, start, 5), C::Blue, K::Small, 1, V::Car),
        600..830 => {
            let energy = random.pick_char("DDDDDDDFFFABCEGHJK");
            let start = serial(random, format!("{start}{energy}"), 1);
            let text = digits(random, start, 4);
            of(text, C::Green, K::SmallNewEnergy, 1, V::Car)
        }
        830..900 => {
            let class = random.pick(&[V::Truck, V::Truck, V::Bus]);
            of(serial(random, start, 5), C::Yellow, K::Large, 1, class)
        }
        900..925 => {
            let energy = random.pick_char("DDDF");
            let text = format!("{}{energy}", digits(random, start, 5));
            let class = random.pick(&[V::Bus, V::Truck]);
            of(text, C::YellowGreen, K::LargeNewEnergy, 1, class)
        }
        925..950 => {
            let text = serial(random, start, 4) + "挂";
            of(text, C::Yellow, K::Trailer, 2, V::Truck)
        }
        950..960 => {
            let text = serial(random, start, 4) + "学";
            of(text, C::Yellow, K::Coach, 1, V::Car)
        }
        960..970 => {
            let text = digits(random, start, 4) + "警";
            of(text, C::White, K::Police, 1, V::Car)
        }
        970..980 => {
            let text = serial(random, start, 5);
            of(text, C::Yellow, K::Motorcycle, 2, V::Motorcycle)
        }
        980..984 => {
            let text = serial(random, "粤Z".to_owned(), 4) + "港";
            of(text, C::Black, K::HongKong, 1, V::Car)
        }
        984..986 => {
            let text = serial(random, "粤Z".to_owned(), 4) + "澳";
            of(text, C::Black, K::Macao, 1, V::Car)
        }
        986..988 => {
            let text = digits(random, start, 4) + "领";
            of(text, C::Black, K::Consulate, 1, V::Car)
        }
        988..990 => {
            let text = digits(random, "使".to_owned(), 6);
            of(text, C::Black, K::Embassy, 1, V::Car)
        }
        990..994 => {
            let text = serial(random, start, 4) + "临";
            of(text, C::Blue, K::Temporary, 1, V::Car)
        }
        994..996 => {
            let text = serial(random, start, 4) + "试";
            of(text, C::Yellow, K::Test, 1, V::Car)
        }
        996..998 => {
            let letter = random.pick_char(LETTERS);
            let text = digits(random, format!("{province}{letter}"), 4) + "应急";
            of(text, C::White, K::Other, 1, V::Truck)
        }
        _ => {
            let letters = format!(
                "{}{}",
                random.pick_char("VKHBSLJN"),
                random.pick_char(LETTERS)
            );
            let text = digits(random, letters, 5);
            of(text, C::White, K::Military, 1, V::Car)
        }
    }
}

fn serial(random: &mut Random, start: String, count: usize) -> String {
    extended(random, start, SERIAL, count)
}

fn digits(random: &mut Random, start: String, count: usize) -> String {
    extended(random, start, DIGITS, count)
}

fn extended(random: &mut Random, mut text: String, from: &str, count: usize) -> String {
    text.extend((0..count).map(|_| {
        // All of one byte.
        char::from(random.pick(from.as_bytes()))
    }));
    text
}

/// Another character that a reader may take this one for.
pub(crate) fn confused(c: char) -> char {
    const PAIRS: &str = "0D8B5S2Z1T7Y6G4A9P3JKXMNHUEFLCQRVW";
    let mut before = None;
    for one in PAIRS.chars() {
        match before.take() {
            None => before = Some(one),
            Some(first) if first == c => return one,
            Some(first) if one == c => return first,
            Some(_) => {}
        }
    }
    if c == '警' { '挂' } else { '8' }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn plates_of_all_provinces_and_many_kinds_come_up() {
        let mut random = Random::of(&[3]);
        let plates: Vec<MadeUp> = (0..20_000).map(|_| made_up(&mut random, 13)).collect();
        let first: BTreeSet<char> = plates
            .iter()
            .filter_map(|p| p.text.chars().next())
            .collect();
        assert!(
            PROVINCES.iter().all(|(p, _)| first.contains(p)),
            "{first:?}"
        );
        let kinds: BTreeSet<_> = plates.iter().filter_map(|p| p.kind).collect();
        assert_eq!(kinds.len(), 16, "{kinds:?}");
        for plate in &plates {
            assert!((7..=8).contains(&plate.text.chars().count()), "{plate:?}");
            assert!(!plate.text.contains(['I', 'O']), "{plate:?}");
        }
    }

    #[test]
    fn what_is_confused_is_another_character() {
        for c in "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ京挂警学".chars() {
            assert_ne!(confused(c), c);
        }
    }
}
