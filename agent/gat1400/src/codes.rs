//! Code tables of the standard, as far as passages need them, each with its source.
//!
//! The sources are public implementations, by these names; `docs/gat1400.md` says more of them:
//!
//! - **W**: `648540858/wvp-GB28181-pro`, `gb_dict.json` and the classes of its package `gat1400`.
//! - **D**: `haoxianrui/gat1400`, a client made for a maker's library.
//! - **C**: a C++ SDK whose header `CMS_1400_STRUCT` gives type and length of each field.
//! - **F**: `ty-wssf/fliad-viid`, whose class `MotorVehicle` quotes a document on how to connect.
//! - **P**: a Python service whose models name the standard's clauses.
//! - **V**: Java enums of `com.viid.common.enums` and `com.ss.facesys.data.viid`.
//!
//! A table that only one of them has, or in which they differ, says **unverified**.

use kakou_contract::codes::{EvidenceRole, PlateColour, PlateKind, VehicleClass, VehicleColour};
use serde::{Deserialize, Serialize};

/// `InfoKind` 自动采集 (W, D, P).
pub const INFO_AUTOMATIC: u8 = 1;
/// Kind in an id of a picture (D; W checks it).
pub const BASIC_IMAGE: &str = "02";
/// Kind in an id of a motor vehicle (D).
pub const OBJECT_MOTOR_VEHICLE: &str = "02";
/// Kind in the id of a notification of a subscription: **unverified**.
pub const BUSINESS_NOTIFICATION: &str = "04";
/// Kind in the id of a notification of a disposition: **unverified**.
pub const BUSINESS_DISPOSITION_NOTIFICATION: &str = "02";
/// `EventSort` of a picture: D says 1 for 过车. **Unverified**: the table was not found.
pub const EVENT_PASSAGE: u32 = 1;
/// `SubscribeDetail` 自动采集的车辆信息 (W, V).
pub const DETAIL_MOTOR_VEHICLE: &str = "13";
/// `PlateNo` of a vehicle without a plate, or with one that could not be read (F).
pub const NO_PLATE: &str = "无车牌";
/// `PlateNo`: a character that could not be read (F).
pub const UNREAD: char = '-';

/// `ColorType`, of `PlateColor` and `VehicleColor` (W, D, and two public user interfaces agree). The
/// contract's `PlateColour::gat1400` says otherwise for black, white and yellow, and is not used.
pub const COLOURS: &[(&str, &str)] = &[
    ("1", "黑"),
    ("2", "白"),
    ("3", "灰"),
    ("4", "红"),
    ("5", "蓝"),
    ("6", "黄"),
    ("7", "橙"),
    ("8", "棕"),
    ("9", "绿"),
    ("10", "紫"),
    ("11", "青"),
    ("12", "粉"),
    ("13", "透明"),
    ("99", "其他"),
];
pub const COLOUR_OTHER: &str = "99";

/// `PlateColor`. Plates of large new-energy vehicles are yellow and green: the table has no such
/// colour, so they are 99, and `PlateClass` tells what they are.
pub const fn plate_colour(colour: PlateColour) -> &'static str {
    match colour {
        PlateColour::Black => "1",
        PlateColour::White => "2",
        PlateColour::Blue => "5",
        PlateColour::Yellow => "6",
        PlateColour::Green => "9",
        PlateColour::YellowGreen => COLOUR_OTHER,
    }
}

/// `VehicleColor`.
pub const fn vehicle_colour(colour: VehicleColour) -> &'static str {
    match colour {
        VehicleColour::Black => "1",
        VehicleColour::White => "2",
        VehicleColour::Grey => "3",
        VehicleColour::Red => "4",
        VehicleColour::Blue => "5",
        VehicleColour::Yellow => "6",
        VehicleColour::Brown => "8",
        VehicleColour::Green => "9",
        VehicleColour::Purple => "10",
        VehicleColour::Pink => "12",
    }
}

/// `PlateClass` of 2017 (W).
pub const PLATE_CLASSES_2017: &[&str] = &[
    "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15", "16",
    "17", "20", "21", "22", "23", "24", "25", "26", "27", "31", "32", "99",
];
/// Those that the codes of plates (号牌种类) have beyond it.
pub const PLATE_CLASSES_LATER: &[&str] = &["18", "19", "41", "42", "43", "51", "52"];
pub const PLATE_CLASS_OTHER: &str = "99";

/// Which table of `PlateClass` the upper library has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlateClassTable {
    /// The codes of GA 36, with 51 and 52 for new energy. **Unverified** for GA/T 1400: its table is
    /// of 2017, before these plates were everywhere.
    #[default]
    Ga36,
    /// Only the table of 2017: what it does not have is 99.
    Year2017,
}

/// `PlateClass`; 99 where the kind is not known.
pub fn plate_class(kind: Option<PlateKind>, table: PlateClassTable) -> &'static str {
    let code = kind.map_or(PLATE_CLASS_OTHER, PlateKind::code);
    match table {
        PlateClassTable::Year2017 if !PLATE_CLASSES_2017.contains(&code) => PLATE_CLASS_OTHER,
        _ => code,
    }
}

/// `VehicleClass` (W): the groups of GA 24.4 that can be told by a camera, and 其他.
pub const VEHICLE_CLASSES: &[(&str, &str)] = &[
    ("K10", "大型客车"),
    ("K30", "小型客车"),
    ("H10", "重型货车"),
    ("H30", "轻型货车"),
    ("M20", "二轮摩托车"),
    ("X99", "其他"),
];

/// `VehicleClass`. The standard's classes go by mass and length, which a picture does not tell: the
/// plate tells large from small where there is one, and where nothing tells, it is 其他.
pub fn vehicle_class(class: VehicleClass, kind: Option<PlateKind>) -> &'static str {
    use PlateKind::{Large, LargeNewEnergy, Small, SmallNewEnergy};
    match (class, kind) {
        (VehicleClass::Car, _) => "K30",
        (VehicleClass::Bus, Some(Small | SmallNewEnergy)) => "K30",
        (VehicleClass::Bus, _) => "K10",
        (VehicleClass::Truck, Some(Small | SmallNewEnergy)) => "H30",
        (VehicleClass::Truck, Some(Large | LargeNewEnergy)) => "H10",
        (VehicleClass::Motorcycle, _) => "M20",
        (VehicleClass::Truck | VehicleClass::Bicycle, _) => "X99",
    }
}

/// `ImageType` of a picture (W, P).
pub const fn image_type(role: EvidenceRole) -> &'static str {
    match role {
        // 车辆大图
        EvidenceRole::Frame => "01",
        // 车牌彩色小图
        EvidenceRole::Plate => "02",
        // 车辆特写图
        EvidenceRole::Thumbnail => "09",
    }
}

/// `FileFormat` by MIME type (P; D and W write `Jpeg`).
pub fn file_format(content_type: &str) -> Option<&'static str> {
    Some(match content_type.to_ascii_lowercase().as_str() {
        "image/jpeg" | "image/jpg" => "Jpeg",
        "image/png" => "Png",
        "image/bmp" => "Bmp",
        "image/gif" => "Gif",
        _ => return None,
    })
}

/// `HDirectionType`: whither one goes or looks (W, P).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heading {
    /// 西向东
    East,
    /// 东向西
    West,
    /// 北向南
    South,
    /// 南向北
    North,
    /// 西南到东北
    NorthEast,
    /// 东北到西南
    SouthWest,
    /// 西北到东南
    SouthEast,
    /// 东南到西北
    NorthWest,
}

pub const HEADING_OTHER: &str = "9";

impl Heading {
    pub const fn code(self) -> &'static str {
        match self {
            Self::East => "1",
            Self::West => "2",
            Self::South => "3",
            Self::North => "4",
            Self::NorthEast => "5",
            Self::SouthWest => "6",
            Self::SouthEast => "7",
            Self::NorthWest => "8",
        }
    }

    pub const fn opposite(self) -> Self {
        match self {
            Self::East => Self::West,
            Self::West => Self::East,
            Self::South => Self::North,
            Self::North => Self::South,
            Self::NorthEast => Self::SouthWest,
            Self::SouthWest => Self::NorthEast,
            Self::SouthEast => Self::NorthWest,
            Self::NorthWest => Self::SouthEast,
        }
    }
}

/// What a `StatusCode` means for the object it is about (`ConfirmStatusType`, V; three agree).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    Taken,
    /// It may go well another time.
    Again,
    /// It never will.
    Refused,
}

/// Code, name, and what is done.
pub const STATUS: &[(u32, &str, Meaning)] = &[
    (0, "正常", Meaning::Taken),
    (1, "未知错误", Meaning::Again),
    (2, "设备忙", Meaning::Again),
    (3, "设备错", Meaning::Again),
    (4, "无效操作", Meaning::Refused),
    (5, "XML格式无效", Meaning::Refused),
    (6, "XML内容无效", Meaning::Refused),
    (7, "JSON格式无效", Meaning::Refused),
    (8, "JSON内容无效", Meaning::Refused),
    (9, "系统重启中", Meaning::Again),
];

/// The codes that this side answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Ok = 0,
    Fault = 3,
    InvalidOperation = 4,
    InvalidJsonFormat = 7,
    InvalidJsonContent = 8,
}

/// Codes beyond the table are tried again: nothing is given up for a code that is not known.
pub fn meaning(code: u32) -> Meaning {
    let known = STATUS.iter().find(|(known, ..)| *known == code);
    known.map_or(Meaning::Again, |(.., meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_has_the_code_of_its_name() {
        let named = |zh: &str| {
            COLOURS
                .iter()
                .find(|(_, name)| *name == zh)
                .map(|(code, _)| *code)
        };
        for colour in PlateColour::ALL {
            let expected = named(colour.zh()).unwrap_or(COLOUR_OTHER);
            assert_eq!(plate_colour(*colour), expected, "{colour}");
        }
        for colour in VehicleColour::ALL {
            assert_eq!(
                Some(vehicle_colour(*colour)),
                named(colour.zh()),
                "{colour}"
            );
        }
        assert_eq!(named("蓝"), Some("5"));
    }

    #[test]
    fn every_plate_kind_has_a_class_in_either_table() {
        for kind in PlateKind::ALL {
            let ga36 = plate_class(Some(*kind), PlateClassTable::Ga36);
            assert_eq!(ga36, kind.code());
            let known = PLATE_CLASSES_2017.contains(&ga36) || PLATE_CLASSES_LATER.contains(&ga36);
            assert!(known, "{ga36}");
            let older = plate_class(Some(*kind), PlateClassTable::Year2017);
            assert!(PLATE_CLASSES_2017.contains(&older), "{older}");
        }
        let small = Some(PlateKind::SmallNewEnergy);
        assert_eq!(plate_class(small, PlateClassTable::Ga36), "52");
        assert_eq!(plate_class(small, PlateClassTable::Year2017), "99");
        assert_eq!(plate_class(None, PlateClassTable::Ga36), "99");
    }

    #[test]
    fn every_vehicle_class_is_in_the_table() {
        let kinds = PlateKind::ALL.iter().map(|k| Some(*k)).chain([None]);
        for kind in kinds {
            for class in VehicleClass::ALL {
                let code = vehicle_class(*class, kind);
                assert!(
                    VEHICLE_CLASSES.iter().any(|(known, _)| *known == code),
                    "{code}"
                );
            }
        }
        let class = |class, kind| vehicle_class(class, Some(kind));
        assert_eq!(class(VehicleClass::Truck, PlateKind::Small), "H30");
        assert_eq!(class(VehicleClass::Truck, PlateKind::Large), "H10");
        assert_eq!(vehicle_class(VehicleClass::Truck, None), "X99");
        assert_eq!(class(VehicleClass::Bus, PlateKind::Large), "K10");
    }

    #[test]
    fn headings_are_in_pairs() {
        use Heading::*;
        let all = [
            East, West, South, North, NorthEast, SouthWest, SouthEast, NorthWest,
        ];
        for (at, heading) in all.into_iter().enumerate() {
            assert_eq!(heading.code(), (at + 1).to_string());
            assert_eq!(heading.opposite().code(), ((at ^ 1) + 1).to_string());
        }
    }

    #[test]
    fn pictures_have_types_and_formats() {
        let types: Vec<_> = EvidenceRole::ALL.iter().map(|r| image_type(*r)).collect();
        assert_eq!(types, ["01", "02", "09"]);
        assert_eq!(file_format("image/JPEG"), Some("Jpeg"));
        assert_eq!(file_format("image/webp"), None);
    }

    #[test]
    fn no_status_is_given_up_unless_it_says_so() {
        for (at, (code, ..)) in STATUS.iter().enumerate() {
            assert_eq!(*code as usize, at);
        }
        assert_eq!(meaning(0), Meaning::Taken);
        assert_eq!(meaning(8), Meaning::Refused);
        assert_eq!(meaning(2), Meaning::Again);
        assert_eq!(meaning(1403), Meaning::Again);
    }
}
