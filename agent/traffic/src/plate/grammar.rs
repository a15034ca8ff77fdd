//! What a plate of the Chinese mainland may look like (GA 36).

use kakou_contract::PlateColour;
use kakou_contract::PlateColour::{Black, Blue, Green, White, Yellow, YellowGreen};

/// The 31 provinces, regions and municipalities a plate begins with.
pub const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";

pub fn is_province(ch: char) -> bool {
    PROVINCES.contains(ch)
}

/// What may stand at one place of a plate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Province,
    /// The letter of the issuing office. No I; O only on older police plates.
    Office,
    /// Letter or digit without I and O.
    Serial,
    Digit,
    Letter,
    /// The energy kind of a new-energy plate: A to E electric with D pure, F to K other.
    Energy,
    Fixed(char),
}

impl Slot {
    pub(crate) fn takes(self, ch: char) -> bool {
        match self {
            Self::Province => is_province(ch),
            // The reader's alphabet has no O: it spells it 0.
            Self::Office => (ch.is_ascii_uppercase() && ch != 'I') || ch == '0',
            Self::Serial => ch.is_ascii_digit() || Self::Letter.takes(ch),
            Self::Digit => ch.is_ascii_digit(),
            Self::Letter => ch.is_ascii_uppercase() && ch != 'I' && ch != 'O',
            Self::Energy => matches!(ch, 'A'..='H' | 'J' | 'K'),
            Self::Fixed(f) => ch == f,
        }
    }

    /// A Chinese character or a fixed mark: what tells a mainland plate from a foreign one.
    pub(crate) fn is_anchor(self) -> bool {
        matches!(self, Self::Province | Self::Fixed(_))
    }
}

/// The layouts, by what they say rather than by colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    Civil,
    NewEnergySmall,
    NewEnergyLarge,
    Learner,
    Trailer,
    Police,
    ArmedPolice,
    Military,
    Embassy,
    Consulate,
    HongKong,
    Macao,
    /// 试: vehicles under test.
    Test,
    /// 临, and 超 for special transports.
    Temporary,
    /// 应急: fire engines and other rescue vehicles.
    Emergency,
    /// 民航: vehicles of airports.
    CivilAviation,
    Tractor,
}

/// A layout with the ground colours it is made in.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) form: Form,
    pub(crate) slots: &'static [Slot],
    pub(crate) colours: &'static [PlateColour],
}

use Slot::{
    Digit as D, Energy as E, Fixed as F, Letter as L, Office as O, Province as P, Serial as S,
};

const fn pattern(form: Form, slots: &'static [Slot], colours: &'static [PlateColour]) -> Pattern {
    Pattern {
        form,
        slots,
        colours,
    }
}

/// Temporary plates are paper in several colours.
const PAPER: &[PlateColour] = &[Blue, Yellow, White];

/// Narrower layouts first: the first one that fits names the form.
pub(crate) const PATTERNS: &[Pattern] = &[
    pattern(
        Form::HongKong,
        &[F('粤'), F('Z'), S, S, S, S, F('港')],
        &[Black],
    ),
    pattern(
        Form::Macao,
        &[F('粤'), F('Z'), S, S, S, S, F('澳')],
        &[Black],
    ),
    pattern(Form::Police, &[P, O, S, S, S, S, F('警')], &[White]),
    pattern(Form::Learner, &[P, O, S, S, S, S, F('学')], &[Yellow]),
    pattern(Form::Trailer, &[P, O, S, S, S, S, F('挂')], &[Yellow]),
    pattern(Form::Consulate, &[P, O, S, S, S, S, F('领')], &[Black]),
    pattern(Form::Consulate, &[P, S, S, S, S, F('领')], &[Black]),
    pattern(Form::Test, &[P, O, S, S, S, S, F('试')], PAPER),
    pattern(Form::Temporary, &[P, O, S, S, S, S, F('临')], PAPER),
    pattern(Form::Temporary, &[P, O, S, S, S, S, S, F('临')], PAPER),
    pattern(Form::Temporary, &[P, O, S, S, S, S, S, S, F('临')], PAPER),
    pattern(Form::Temporary, &[P, O, S, S, S, S, F('超')], PAPER),
    pattern(
        Form::Emergency,
        &[P, L, D, D, D, D, F('应'), F('急')],
        &[White],
    ),
    pattern(
        Form::CivilAviation,
        &[F('民'), F('航'), L, D, D, D, D],
        &[Green],
    ),
    pattern(Form::Embassy, &[F('使'), D, D, D, D, D, D], &[Black]),
    pattern(Form::Embassy, &[D, D, D, D, D, D, F('使')], &[Black]),
    // Civil plates are black for foreign owners (older issue), white for older police plates.
    pattern(
        Form::Civil,
        &[P, O, S, S, S, S, S],
        &[Blue, Yellow, Black, White],
    ),
    pattern(Form::NewEnergySmall, &[P, O, E, S, D, D, D, D], &[Green]),
    pattern(
        Form::NewEnergyLarge,
        &[P, O, D, D, D, D, D, E],
        &[YellowGreen, Green, Yellow],
    ),
    pattern(Form::Tractor, &[P, D, D, D, D, D, D, D], &[Green]),
    pattern(
        Form::ArmedPolice,
        &[F('W'), F('J'), P, S, S, S, S, S],
        &[White],
    ),
    pattern(
        Form::ArmedPolice,
        &[F('W'), F('J'), D, D, S, S, S, S, S],
        &[White],
    ),
    pattern(
        Form::ArmedPolice,
        &[F('W'), F('J'), S, S, S, S, S],
        &[White],
    ),
    pattern(Form::Military, &[L, L, D, D, D, D, D], &[White]),
];

/// Why a text is not a plate of the mainland.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    Empty,
    /// No layout has this many characters.
    Length(usize),
    /// The characters fit no layout; the first place where the closest one breaks.
    Character(usize),
    /// The characters are fine, but not on this colour.
    Colour(Form),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grammar {
    Valid(Form),
    Invalid(Invalid),
}

impl Grammar {
    pub fn is_valid(self) -> bool {
        matches!(self, Self::Valid(_))
    }

    /// The layout of the characters, whether or not the colour agrees.
    pub fn form(self) -> Option<Form> {
        match self {
            Self::Valid(f) | Self::Invalid(Invalid::Colour(f)) => Some(f),
            Self::Invalid(_) => None,
        }
    }
}

/// Judges a text, with its colour where one was seen.
pub fn check(text: &str, colour: Option<PlateColour>) -> Grammar {
    let chars: Vec<char> = text.chars().collect();
    check_chars(&chars, colour)
}

pub(crate) fn check_chars(chars: &[char], colour: Option<PlateColour>) -> Grammar {
    if chars.is_empty() {
        return Grammar::Invalid(Invalid::Empty);
    }
    let mut furthest = None;
    let mut wrong_colour = None;
    for p in PATTERNS.iter().filter(|p| p.slots.len() == chars.len()) {
        let broken = p.slots.iter().zip(chars).position(|(s, &c)| !s.takes(c));
        match broken {
            Some(at) => furthest = furthest.max(Some(at)),
            None if colour.is_none_or(|c| p.colours.contains(&c)) => return Grammar::Valid(p.form),
            None => wrong_colour = wrong_colour.or(Some(p.form)),
        }
    }
    Grammar::Invalid(match (wrong_colour, furthest) {
        (Some(form), _) => Invalid::Colour(form),
        (None, Some(at)) => Invalid::Character(at),
        (None, None) => Invalid::Length(chars.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_plate_is_known() {
        for (text, colour, form) in [
            ("鲁E6K829", Some(Blue), Form::Civil),
            ("皖AB1234", Some(Yellow), Form::Civil),
            ("苏O12345", None, Form::Civil),
            ("鲁GD12345", Some(Green), Form::NewEnergySmall),
            ("粤BDF0001", None, Form::NewEnergySmall),
            ("沪A12345D", Some(YellowGreen), Form::NewEnergyLarge),
            ("皖A1234学", Some(Yellow), Form::Learner),
            ("皖A1234挂", Some(Yellow), Form::Trailer),
            ("京A0001警", Some(White), Form::Police),
            ("WJ京1234X", Some(White), Form::ArmedPolice),
            ("VA12345", Some(White), Form::Military),
            ("使014578", Some(Black), Form::Embassy),
            ("沪A0023领", Some(Black), Form::Consulate),
            ("粤Z1234港", Some(Black), Form::HongKong),
            ("粤Z12A4澳", None, Form::Macao),
            ("皖A1234试", Some(Yellow), Form::Test),
            ("沪AA12345临", Some(Blue), Form::Temporary),
            ("京A1234超", None, Form::Temporary),
            ("云S0000应急", Some(White), Form::Emergency),
            ("民航B0150", Some(Green), Form::CivilAviation),
            ("川0112345", Some(Green), Form::Tractor),
        ] {
            assert_eq!(check(text, colour), Grammar::Valid(form), "{text}");
        }
    }

    #[test]
    fn what_breaks_is_named() {
        assert_eq!(check("", None), Grammar::Invalid(Invalid::Empty));
        assert_eq!(check("皖A12", None), Grammar::Invalid(Invalid::Length(4)));
        assert_eq!(
            check("皖A12O45", None),
            Grammar::Invalid(Invalid::Character(4))
        );
        assert_eq!(
            check("皖A1I345", None),
            Grammar::Invalid(Invalid::Character(3))
        );
        assert_eq!(
            check("皖I12345", None),
            Grammar::Invalid(Invalid::Character(1))
        );
        assert_eq!(
            check("皖A12345", Some(Green)),
            Grammar::Invalid(Invalid::Colour(Form::Civil))
        );
        assert!(!check("34A36837", None).is_valid());
        assert!(!check("34A36837", Some(White)).is_valid());
        assert_eq!(PROVINCES.chars().count(), 31);
    }
}
