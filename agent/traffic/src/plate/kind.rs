//! The kind of a plate (号牌种类) from its text, colour, rows and vehicle.

use std::fmt;

use kakou_contract::{PlateColour, VehicleClass};

use super::grammar::{Form, check};

/// A code of GA 36, two digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindCode(pub u8);

impl KindCode {
    pub const LARGE: Self = Self(1);
    pub const SMALL: Self = Self(2);
    pub const EMBASSY: Self = Self(3);
    pub const CONSULATE: Self = Self(4);
    pub const FOREIGN: Self = Self(6);
    pub const MOTORCYCLE: Self = Self(7);
    pub const LIGHT_MOTORCYCLE: Self = Self(8);
    pub const TRAILER: Self = Self(15);
    pub const COACH: Self = Self(16);
    pub const COACH_MOTORCYCLE: Self = Self(17);
    pub const POLICE: Self = Self(23);
    pub const POLICE_MOTORCYCLE: Self = Self(24);
    pub const HONG_KONG: Self = Self(26);
    pub const MACAO: Self = Self(27);
    pub const ARMED_POLICE: Self = Self(31);
    pub const MILITARY: Self = Self(32);
    pub const NONE: Self = Self(41);
    pub const LARGE_NEW_ENERGY: Self = Self(51);
    pub const SMALL_NEW_ENERGY: Self = Self(52);
    pub const OTHER: Self = Self(99);
}

impl fmt::Display for KindCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

/// The kind, or 99 (other) where text and colour do not tell: nothing is guessed.
pub fn kind(
    text: &str,
    colour: Option<PlateColour>,
    rows: u8,
    class: Option<VehicleClass>,
) -> KindCode {
    let motorcycle = class == Some(VehicleClass::Motorcycle);
    let either = |bike: KindCode, other: KindCode| if motorcycle { bike } else { other };
    // The layout alone decides where the colour contradicts it: colours are read less surely than text.
    let Some(form) = check(text, colour).form() else {
        return KindCode::OTHER;
    };
    match form {
        Form::NewEnergySmall => KindCode::SMALL_NEW_ENERGY,
        Form::NewEnergyLarge => KindCode::LARGE_NEW_ENERGY,
        Form::Learner => either(KindCode::COACH_MOTORCYCLE, KindCode::COACH),
        Form::Trailer => KindCode::TRAILER,
        Form::Police => either(KindCode::POLICE_MOTORCYCLE, KindCode::POLICE),
        Form::ArmedPolice => KindCode::ARMED_POLICE,
        Form::Military => KindCode::MILITARY,
        Form::Embassy => KindCode::EMBASSY,
        Form::Consulate => KindCode::CONSULATE,
        Form::HongKong => KindCode::HONG_KONG,
        Form::Macao => KindCode::MACAO,
        Form::Civil => civil(text, colour, rows, class),
    }
}

fn civil(
    text: &str,
    colour: Option<PlateColour>,
    rows: u8,
    class: Option<VehicleClass>,
) -> KindCode {
    let motorcycle = class == Some(VehicleClass::Motorcycle);
    match colour {
        Some(PlateColour::Yellow | PlateColour::YellowGreen) if motorcycle => KindCode::MOTORCYCLE,
        Some(PlateColour::Yellow | PlateColour::YellowGreen) => KindCode::LARGE,
        Some(PlateColour::Blue) if motorcycle => KindCode::LIGHT_MOTORCYCLE,
        Some(PlateColour::Blue) => KindCode::SMALL,
        Some(PlateColour::Black) => KindCode::FOREIGN,
        Some(PlateColour::White) if text.chars().nth(1) == Some('O') => KindCode::POLICE,
        Some(PlateColour::White | PlateColour::Green) => KindCode::OTHER,
        // Unknown colour: cars wear small plates; of the two-row ones and of trucks both kinds exist.
        None if motorcycle => KindCode::MOTORCYCLE,
        None if rows < 2 && class == Some(VehicleClass::Car) => KindCode::SMALL,
        None => KindCode::OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PlateColour::{Black, Blue, Green, White, Yellow};
    use VehicleClass::{Car, Motorcycle, Truck};

    #[test]
    fn codes_of_ga36() {
        for (text, colour, rows, class, code) in [
            ("鲁E6K829", Some(Blue), 1, Some(Car), "02"),
            ("鲁E6K829", Some(Yellow), 2, Some(Truck), "01"),
            ("鲁E6K829", Some(Yellow), 2, Some(Motorcycle), "07"),
            ("鲁E6K829", None, 1, Some(Car), "02"),
            ("鲁E6K829", None, 1, Some(Truck), "99"),
            ("鲁GD12345", Some(Green), 1, None, "52"),
            // A blue cast over a green plate does not make it another kind.
            ("鲁GD12345", Some(Blue), 1, None, "52"),
            ("沪A12345D", Some(Green), 1, Some(Truck), "51"),
            ("京A0001警", Some(White), 1, Some(Car), "23"),
            ("皖A1234学", Some(Yellow), 1, Some(Car), "16"),
            ("使014578", Some(Black), 1, Some(Car), "03"),
            ("34A36837", Some(White), 1, Some(Car), "99"),
        ] {
            assert_eq!(
                kind(text, colour, rows, class).to_string(),
                code,
                "{text} {colour:?}"
            );
        }
    }
}
