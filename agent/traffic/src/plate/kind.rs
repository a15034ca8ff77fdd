//! The kind of a plate (号牌种类) from its text, colour, rows and vehicle.
//!
//! The layouts and colours are those of GA 36-2018, table 1 (号牌的分类、规格、颜色及适用范围); tractors follow NY
//! 345.
//!
//! | code | ground | layout |
//! | --- | --- | --- |
//! | 01 large | yellow | 皖A12345 |
//! | 02 small | blue | 皖A12345 |
//! | 03, 09 embassy (car, motorcycle) | black | 使014578 |
//! | 04, 10 consulate (car, motorcycle) | black | 沪A0023领 |
//! | 07, 08 motorcycle, light motorcycle | yellow, blue | 皖A12345 on a motorcycle |
//! | 14 tractor | green | 川0112345 |
//! | 15 trailer | yellow | 皖A1234挂 |
//! | 16, 17 coach (car, motorcycle) | yellow | 皖A1234学 |
//! | 18, 19 test (car, motorcycle) | any | 皖A1234试 |
//! | 22 temporary | any | 皖A1234临, 皖A1234超 |
//! | 23, 24 police (car, motorcycle) | white | 京A0001警, 苏O12345 |
//! | 26, 27 Hong Kong, Macao | black | 粤Z1234港, 粤Z1234澳 |
//! | 31 armed police | white | WJ京1234X |
//! | 32 military | white | VA12345 |
//! | 51 large new energy | yellow and green | 沪A12345D |
//! | 52 small new energy | green | 鲁GD12345 |
//! | 99 other: a layout without a code of its own | | 云S0000应急, 民航B0150 |
//!
//! Not told apart, and so never given: 05 and 06 (both black, with the layout of 01), 11 to 13, 20
//! and 21.

use kakou_contract::{PlateColour, PlateKind, VehicleClass};

use super::grammar::{Form, check};

/// What wears the plate. Some kinds differ in nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wearer {
    Motorcycle,
    Larger,
    Unknown,
}

impl Wearer {
    fn of(class: Option<VehicleClass>, rows: u8) -> Self {
        match class {
            Some(VehicleClass::Motorcycle) => Self::Motorcycle,
            Some(VehicleClass::Car | VehicleClass::Bus | VehicleClass::Truck) => Self::Larger,
            // The plates of motorcycles have two rows.
            None if rows < 2 => Self::Larger,
            Some(VehicleClass::Bicycle) | None => Self::Unknown,
        }
    }

    fn choose(self, motorcycle: PlateKind, larger: PlateKind) -> Option<PlateKind> {
        match self {
            Self::Motorcycle => Some(motorcycle),
            Self::Larger => Some(larger),
            Self::Unknown => None,
        }
    }
}

/// The kind; `None` where text, colour and vehicle do not tell it, or contradict each other.
/// Nothing is guessed.
pub fn kind(
    text: &str,
    colour: Option<PlateColour>,
    rows: u8,
    class: Option<VehicleClass>,
) -> Option<PlateKind> {
    use PlateKind as K;
    let wearer = Wearer::of(class, rows);
    // A character that only one kind has is read more surely than a colour. A layout without one is
    // no proof: the reader may have dropped the province of a blue plate.
    match check(text, colour).form()? {
        Form::NewEnergySmall => new_energy(colour).then_some(K::SmallNewEnergy),
        Form::NewEnergyLarge => new_energy(colour).then_some(K::LargeNewEnergy),
        Form::Learner => wearer.choose(K::CoachMotorcycle, K::Coach),
        Form::Trailer => Some(K::Trailer),
        Form::Test => wearer.choose(K::TestMotorcycle, K::Test),
        Form::Temporary => Some(K::Temporary),
        Form::Police => wearer.choose(K::PoliceMotorcycle, K::Police),
        Form::Embassy => wearer.choose(K::EmbassyMotorcycle, K::Embassy),
        Form::Consulate => wearer.choose(K::ConsulateMotorcycle, K::Consulate),
        Form::HongKong => Some(K::HongKong),
        Form::Macao => Some(K::Macao),
        Form::Emergency | Form::CivilAviation => Some(K::Other),
        Form::ArmedPolice => {
            let white = matches!(colour, None | Some(PlateColour::White));
            white.then_some(K::ArmedPolice)
        }
        Form::Military => (colour == Some(PlateColour::White)).then_some(K::Military),
        Form::Tractor => {
            let green = matches!(colour, None | Some(PlateColour::Green));
            green.then_some(K::Tractor)
        }
        Form::Civil => civil(text, colour, class, wearer),
    }
}

/// Eight characters are no proof of a new-energy plate: plates of other countries have as many, on
/// white and yellow. Blue is what a cast makes of green.
fn new_energy(colour: Option<PlateColour>) -> bool {
    use PlateColour as C;
    !matches!(colour, Some(C::White | C::Yellow | C::Black))
}

fn civil(
    text: &str,
    colour: Option<PlateColour>,
    class: Option<VehicleClass>,
    wearer: Wearer,
) -> Option<PlateKind> {
    use PlateKind as K;
    match colour {
        Some(PlateColour::Yellow | PlateColour::YellowGreen) => {
            wearer.choose(K::Motorcycle, K::Large)
        }
        Some(PlateColour::Blue) => wearer.choose(K::LightMotorcycle, K::Small),
        // The older plates of the police. A reader that knows no letter O gives a zero.
        Some(PlateColour::White) if matches!(text.chars().nth(1), Some('O' | '0')) => {
            wearer.choose(K::PoliceMotorcycle, K::Police)
        }
        // Black: 05 or 06. White and green: not a ground of this layout, a character is missing or
        // wrong.
        Some(PlateColour::Black | PlateColour::White | PlateColour::Green) => None,
        // Without a colour: what was seen to be a car wears a small plate; of the others both kinds
        // exist.
        None => (class == Some(VehicleClass::Car)).then_some(K::Small),
    }
}

/// The kinds that plates of a text's layout can have; `None`: the text has no layout.
pub fn possible_kinds(text: &str) -> Option<&'static [PlateKind]> {
    use PlateKind as K;
    let kinds: &[PlateKind] = match check(text, None).form()? {
        Form::NewEnergySmall => &[K::SmallNewEnergy],
        Form::NewEnergyLarge => &[K::LargeNewEnergy],
        Form::Learner => &[K::Coach, K::CoachMotorcycle],
        Form::Trailer => &[K::Trailer],
        Form::Test => &[K::Test, K::TestMotorcycle, K::Temporary],
        Form::Temporary => &[K::Temporary],
        Form::Police => &[K::Police, K::PoliceMotorcycle],
        Form::Embassy => &[K::Embassy, K::EmbassyMotorcycle],
        Form::Consulate => &[K::Consulate, K::ConsulateMotorcycle],
        Form::HongKong => &[K::HongKong],
        Form::Macao => &[K::Macao],
        Form::Emergency | Form::CivilAviation => &[K::Other],
        Form::ArmedPolice => &[K::ArmedPolice],
        Form::Military => &[K::Military],
        Form::Tractor => &[K::Tractor],
        Form::Civil => &[
            K::Large,
            K::Small,
            K::Overseas,
            K::Foreign,
            K::Motorcycle,
            K::LightMotorcycle,
            K::OverseasMotorcycle,
            K::ForeignMotorcycle,
            K::LowSpeed,
            K::Police,
            K::PoliceMotorcycle,
        ],
    };
    Some(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use PlateColour::{Black, Blue, Green, White, Yellow, YellowGreen};
    use VehicleClass::{Bicycle, Bus, Car, Motorcycle, Truck};

    fn code(
        text: &str,
        colour: Option<PlateColour>,
        rows: u8,
        class: Option<VehicleClass>,
    ) -> Option<&'static str> {
        kind(text, colour, rows, class).map(PlateKind::code)
    }

    #[test]
    fn every_kind_that_text_and_colour_tell() {
        for (text, colour, rows, class, want) in [
            ("鲁E6K829", Some(Yellow), 2, Some(Truck), "01"),
            ("鲁E6K829", Some(Yellow), 1, Some(Bus), "01"),
            ("鲁E6K829", Some(YellowGreen), 1, Some(Bus), "01"),
            ("鲁E6K829", Some(Blue), 1, Some(Car), "02"),
            ("鲁E6K829", Some(Blue), 1, None, "02"),
            ("鲁E6K829", None, 1, Some(Car), "02"),
            ("苏O12345", Some(Blue), 1, Some(Car), "02"),
            ("使014578", Some(Black), 1, Some(Car), "03"),
            ("014578使", Some(Black), 1, None, "03"),
            ("沪A0023领", Some(Black), 1, Some(Car), "04"),
            ("鲁E6K829", Some(Yellow), 2, Some(Motorcycle), "07"),
            ("鲁E6K829", Some(Blue), 2, Some(Motorcycle), "08"),
            ("使014578", Some(Black), 2, Some(Motorcycle), "09"),
            ("沪A0023领", Some(Black), 2, Some(Motorcycle), "10"),
            ("川0112345", Some(Green), 2, Some(Truck), "14"),
            ("皖A1234挂", Some(Yellow), 2, Some(Truck), "15"),
            ("皖A1234学", Some(Yellow), 1, Some(Car), "16"),
            ("皖A1234学", Some(Yellow), 2, Some(Motorcycle), "17"),
            ("皖A1234试", Some(Yellow), 1, Some(Car), "18"),
            ("皖A1234试", None, 2, Some(Motorcycle), "19"),
            ("京A1234临", Some(Blue), 1, Some(Car), "22"),
            ("沪AA12345临", None, 1, Some(Car), "22"),
            ("京A1234超", Some(Yellow), 1, Some(Truck), "22"),
            ("京A0001警", Some(White), 1, Some(Car), "23"),
            ("京A0001警", Some(Blue), 1, Some(Car), "23"),
            ("苏O12345", Some(White), 1, Some(Car), "23"),
            // The reader has no letter O.
            ("苏012345", Some(White), 1, Some(Car), "23"),
            ("京A0001警", Some(White), 2, Some(Motorcycle), "24"),
            ("粤Z1234港", Some(Black), 1, Some(Car), "26"),
            ("粤Z12A4澳", Some(Black), 1, Some(Car), "27"),
            ("WJ京1234X", Some(White), 1, Some(Car), "31"),
            ("WJ07X0230", None, 1, Some(Car), "31"),
            ("VA12345", Some(White), 1, Some(Car), "32"),
            ("沪A12345D", Some(Green), 1, Some(Truck), "51"),
            ("沪A12345D", Some(YellowGreen), 1, Some(Bus), "51"),
            ("鲁GD12345", Some(Green), 1, None, "52"),
            // A blue cast over a green plate does not make it another kind.
            ("鲁GD12345", Some(Blue), 1, None, "52"),
            ("云S0000应急", Some(White), 1, Some(Truck), "99"),
            ("民航B0150", Some(Green), 1, Some(Car), "99"),
        ] {
            let got = code(text, colour, rows, class);
            assert_eq!(got, Some(want), "{text} {colour:?} {rows} {class:?}");
        }
    }

    #[test]
    fn what_is_not_told_is_no_kind() {
        for (text, colour, rows, class) in [
            // A foreign plate, a torn one, none.
            ("34A36837", Some(White), 1, Some(Car)),
            ("鲁E6K8", Some(Blue), 1, Some(Car)),
            ("", None, 1, None),
            // A province that was not read is no military plate.
            ("AB12345", Some(Blue), 1, Some(Car)),
            ("AB12345", Some(Yellow), 1, Some(Truck)),
            ("AB12345", None, 1, Some(Car)),
            ("WJ12345", Some(Blue), 1, Some(Car)),
            // A layout on a ground that it is not made in.
            ("皖A12345", Some(Green), 1, Some(Car)),
            ("皖A12345", Some(White), 1, Some(Car)),
            ("鲁GD12345", Some(White), 1, Some(Truck)),
            ("沪A12345D", Some(Yellow), 1, Some(Truck)),
            ("川0112345", Some(Blue), 2, Some(Truck)),
            // 05 or 06.
            ("京A12345", Some(Black), 1, Some(Car)),
            // Large or small, car or motorcycle.
            ("鲁E6K829", None, 1, Some(Truck)),
            ("鲁E6K829", None, 2, Some(Motorcycle)),
            ("鲁E6K829", Some(Yellow), 2, None),
            ("鲁E6K829", Some(Blue), 2, Some(Bicycle)),
            ("使014578", Some(Black), 2, None),
        ] {
            let got = code(text, colour, rows, class);
            assert_eq!(got, None, "{text} {colour:?} {rows} {class:?}");
        }
    }

    #[test]
    fn a_told_kind_is_a_possible_one() {
        for text in [
            "皖A12345",
            "苏O12345",
            "使014578",
            "沪A0023领",
            "川0112345",
            "皖A1234试",
            "VA12345",
            "WJ京1234X",
            "沪A12345D",
            "鲁GD12345",
        ] {
            for colour in [None, Some(Blue), Some(Yellow), Some(White), Some(Green)] {
                for class in [None, Some(Car), Some(Motorcycle)] {
                    if let Some(kind) = kind(text, colour, 2, class) {
                        let possible = possible_kinds(text).unwrap_or_default();
                        assert!(possible.contains(&kind), "{text} {kind:?}");
                    }
                }
            }
        }
    }
}
