//! What cannot belong together: a plate's text, its ground colour, and the class of the vehicle.
//!
//! The grounds are those of GA 36-2018, table 1 (号牌的分类、规格、颜色及适用范围), and of NY 345 for tractors.
//! What a colour cast or a worn plate confuses is let pass, as [`super::kind()`] lets it pass, and so is
//! what exists in many colours.

use kakou_contract::PlateColour::{self, Black, Blue, Green, White, Yellow, YellowGreen};
use kakou_contract::VehicleClass::{self, Bus, Car, Motorcycle, Truck};
use kakou_contract::{Conflict, Trait};

use super::grammar::{Form, check};

/// What does not fit. Colour and class are given only where they are sure. Nothing is said of a
/// text that has no layout of the mainland.
pub fn contradictions(
    text: &str,
    colour: Option<PlateColour>,
    class: Option<VehicleClass>,
) -> Vec<Conflict> {
    let Some(form) = check(text, None).form() else {
        return Vec::new();
    };
    let mut all = Vec::new();
    if let Some(seen) = colour {
        let made = grounds(form, text);
        if !made.is_empty() && !made.contains(&seen) && !takes_for(form, seen) {
            let expected = made.iter().map(|colour| colour.as_str());
            all.push(conflict(Trait::PlateColour, seen.as_str(), expected));
        }
    }
    if let Some(seen) = class {
        let worn = wearers(form, colour);
        if !worn.is_empty() && !worn.contains(&seen) {
            let expected = worn.iter().map(|class| class.as_str());
            all.push(conflict(Trait::VehicleClass, seen.as_str(), expected));
        }
    }
    all
}

fn conflict<'a>(what: Trait, seen: &str, expected: impl Iterator<Item = &'a str>) -> Conflict {
    Conflict {
        what,
        seen: seen.to_owned(),
        expected: expected.collect::<Vec<_>>().join(", "),
    }
}

/// The grounds that a layout is made in; empty: any, or the layout is no proof of its kind.
fn grounds(form: Form, text: &str) -> &'static [PlateColour] {
    match form {
        // Black: 05 and 06. White: the older plates of the police, whose O is read as a zero.
        Form::Civil if matches!(text.chars().nth(1), Some('O' | '0')) => {
            &[Blue, Yellow, Black, White]
        }
        Form::Civil => &[Blue, Yellow, Black],
        Form::NewEnergySmall => &[Green],
        Form::NewEnergyLarge => &[YellowGreen, Green],
        Form::Learner | Form::Trailer => &[Yellow],
        Form::Police | Form::Emergency => &[White],
        Form::Embassy | Form::Consulate | Form::HongKong | Form::Macao => &[Black],
        Form::CivilAviation | Form::Tractor => &[Green],
        // A reader that drops the province of a blue plate makes such a text of it; where the
        // province stands behind WJ, nothing was dropped.
        Form::ArmedPolice if text.chars().count() > 7 => &[White],
        Form::ArmedPolice | Form::Military => &[],
        // Paper in many colours.
        Form::Test | Form::Temporary => &[],
    }
}

/// A ground that another one is taken for: by a cast, by wear, at night.
fn takes_for(form: Form, seen: PlateColour) -> bool {
    match form {
        Form::NewEnergySmall => matches!(seen, Blue | YellowGreen),
        Form::NewEnergyLarge => matches!(seen, Blue | Yellow),
        Form::Civil => seen == YellowGreen,
        Form::Embassy | Form::Consulate | Form::HongKong | Form::Macao => seen == Blue,
        Form::CivilAviation | Form::Tractor => matches!(seen, Blue | YellowGreen),
        _ => false,
    }
}

/// The vehicles that wear such a plate; empty: any.
fn wearers(form: Form, colour: Option<PlateColour>) -> &'static [VehicleClass] {
    match (form, colour) {
        (Form::Trailer, _) => &[Truck],
        // Kind 01 and 51 are of large vehicles, 07 is of motorcycles.
        (Form::Civil, Some(Yellow)) => &[Bus, Truck, Motorcycle],
        (Form::NewEnergyLarge, _) => &[Bus, Truck],
        (Form::NewEnergySmall, _) => &[Car, Bus, Truck],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, colour: Option<PlateColour>, class: Option<VehicleClass>) -> Vec<String> {
        contradictions(text, colour, class)
            .into_iter()
            .map(|c| format!("{} {} not {}", c.what, c.seen, c.expected))
            .collect()
    }

    #[test]
    fn what_fits_is_no_contradiction() {
        for (text, colour, class) in [
            ("皖A12345", Some(Blue), Some(Car)),
            ("皖A12345", Some(Blue), Some(Truck)),
            ("皖A12345", Some(Yellow), Some(Truck)),
            ("皖A12345", Some(Yellow), Some(Motorcycle)),
            ("皖A12345", Some(YellowGreen), Some(Bus)),
            ("皖A12345", Some(Yellow), None),
            ("皖A12345", Some(Black), Some(Car)),
            ("皖A12345", None, Some(Car)),
            ("苏O12345", Some(White), Some(Car)),
            ("苏012345", Some(White), Some(Car)),
            ("鲁GD12345", Some(Green), Some(Car)),
            ("鲁GD12345", Some(Blue), Some(Car)),
            ("沪A12345D", Some(YellowGreen), Some(Bus)),
            ("沪A12345D", Some(Yellow), Some(Truck)),
            ("皖A1234挂", Some(Yellow), Some(Truck)),
            ("皖A1234学", Some(Yellow), Some(Car)),
            ("京A0001警", Some(White), Some(Car)),
            ("粤Z1234港", Some(Black), Some(Car)),
            ("粤Z1234澳", Some(Blue), Some(Car)),
            ("使014578", Some(Black), Some(Car)),
            ("WJ京1234X", Some(White), Some(Car)),
            // The province of a blue plate was not read.
            ("AB12345", Some(Blue), Some(Car)),
            ("WJ12345", Some(Blue), Some(Car)),
            // Paper.
            ("京A1234临", Some(Blue), Some(Car)),
            ("皖A1234试", Some(Green), Some(Car)),
            // No plate of the mainland.
            ("34A36837", Some(White), Some(Car)),
            ("", Some(White), Some(Car)),
        ] {
            let got = told(text, colour, class);
            assert!(got.is_empty(), "{text} {colour:?} {class:?}: {got:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_what_would() {
        for (text, colour, class, want) in [
            (
                "皖A12345",
                Some(Green),
                Some(Car),
                "plate_colour green not blue, yellow, black",
            ),
            (
                "皖A12345",
                Some(White),
                None,
                "plate_colour white not blue, yellow, black",
            ),
            (
                "鲁GD12345",
                Some(Yellow),
                Some(Car),
                "plate_colour yellow not green",
            ),
            (
                "沪A12345D",
                Some(White),
                None,
                "plate_colour white not yellow_green, green",
            ),
            (
                "京A0001警",
                Some(Blue),
                Some(Car),
                "plate_colour blue not white",
            ),
            (
                "粤Z1234港",
                Some(White),
                None,
                "plate_colour white not black",
            ),
            ("WJ京1234X", Some(Blue), None, "plate_colour blue not white"),
            (
                "皖A12345",
                Some(Yellow),
                Some(Car),
                "vehicle_class car not bus, truck, motorcycle",
            ),
            ("皖A1234挂", None, Some(Bus), "vehicle_class bus not truck"),
            (
                "沪A12345D",
                Some(Green),
                Some(Car),
                "vehicle_class car not bus, truck",
            ),
        ] {
            assert_eq!(told(text, colour, class), [want], "{text}");
        }
        assert_eq!(told("皖A1234挂", Some(Blue), Some(Car)).len(), 2);
    }
}
