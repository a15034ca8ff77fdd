//! Identifiers of the standard. All are digits:
//!
//! ```text
//! DeviceID       20  place 8, trade 2, kind of device 3, network 1, number 6
//! BasicObjectID  41  DeviceID 20, kind 2 (02: picture), time 14, serial 5
//! ObjectID       48  BasicObjectID of the source 41, kind 2 (02: motor vehicle), serial 5
//! BusinessID     33  organisation 12, kind 2, time 14, serial 5
//! ```
//!
//! The serials are made from the passage's UUID, so that a repeat of a passage makes the same
//! object and no counter has to be kept. Two vehicles get the same ObjectID only if one device saw
//! them in the same second and the ten digits agree: once in 2.5 thousand million such pairs. The
//! id of a picture has five digits only: once in 25,000 such pairs.

use std::fmt;

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Deserializer, Serialize, de};
use uuid::Uuid;

use crate::codes;
use crate::fault::{FieldError, shown};
use crate::stamp;

macro_rules! digits {
    ($(#[$meta:meta])* $name:ident, $length:literal, $mend:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub const LENGTH: usize = $length;

            /// Checks the form; `field` names it in the error.
            pub fn new(field: &str, text: impl Into<String>) -> Result<Self, FieldError> {
                let text = text.into();
                if text.len() == $length && text.bytes().all(|b| b.is_ascii_digit()) {
                    return Ok(Self(text));
                }
                let what = format!(
                    "{:?} is not {} digits (it has {} characters)",
                    shown(&text),
                    $length,
                    text.chars().count()
                );
                Err(FieldError::new(field, what, $mend))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Self::new(stringify!($name), String::deserialize(d)?).map_err(de::Error::custom)
            }
        }
    };
}

digits! {
    /// A camera, a checkpoint (卡口), a view library.
    DeviceId, 20, "give the 20 digits that the upper library has on record"
}
digits! {
    /// A picture: what `SourceID` and `ImageID` are.
    ImageId, 41, "it is DeviceID, 02, the time and 5 digits"
}
digits! {
    /// A vehicle in a picture: what `MotorVehicleID` is.
    ObjectId, 48, "it is the SourceID, 02 and 5 digits"
}
digits! {
    /// A subscription, a disposition (布控), or a notification of one.
    BusinessId, 33, "it is the organisation's 12 digits, the kind, the time and 5 digits"
}
digits! {
    /// An organisation of the police (公安机关机构代码).
    OrgCode, 12, "give the 12 digits of the organisation"
}

/// The pictures of a passage that have ids of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The frame: what the vehicle was found in, so its id is the `SourceID`.
    Frame = 0,
    Plate = 1,
    Thumbnail = 2,
}

const SERIALS: u128 = 100_000;
const SLOTS: u128 = 4;

impl ImageId {
    /// The picture of a passage. The time is the passage's, for all its pictures.
    pub fn of(
        device: &DeviceId,
        time: &DateTime<FixedOffset>,
        passage: Uuid,
        slot: Slot,
    ) -> Result<Self, FieldError> {
        let time = stamp::text("PassTime", time)?;
        let serial = passage.as_u128() / SERIALS % (SERIALS / SLOTS) * SLOTS + slot as u128;
        let kind = codes::BASIC_IMAGE;
        Self::new("ImageID", format!("{device}{kind}{time}{serial:05}"))
    }
}

impl ObjectId {
    /// The vehicle of a passage.
    pub fn of(source: &ImageId, passage: Uuid) -> Result<Self, FieldError> {
        let serial = passage.as_u128() % SERIALS;
        let kind = codes::OBJECT_MOTOR_VEHICLE;
        Self::new("MotorVehicleID", format!("{source}{kind}{serial:05}"))
    }
}

impl BusinessId {
    /// A notification. `of` tells those of one second apart; the same makes the same id.
    pub fn notification(
        kind: &str,
        org: &OrgCode,
        time: &DateTime<FixedOffset>,
        of: Uuid,
    ) -> Result<Self, FieldError> {
        let time = stamp::text("TriggerTime", time)?;
        let serial = of.as_u128() % SERIALS;
        Self::new("NotificationID", format!("{org}{kind}{time}{serial:05}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn device() -> DeviceId {
        DeviceId::new("DeviceID", "13010000001190000001").unwrap()
    }

    #[test]
    fn an_error_names_the_field_and_the_mend() {
        for bad in [
            "",
            "1301000000119000000",
            "1301000000119000000x",
            "１３０１００００００１１９０００００１",
        ] {
            let e = DeviceId::new("cameras.cam-1.device_id", bad)
                .unwrap_err()
                .to_string();
            assert!(e.starts_with("cameras.cam-1.device_id: "), "{e}");
            assert!(
                e.ends_with("give the 20 digits that the upper library has on record"),
                "{e}"
            );
        }
        assert!(serde_json::from_str::<ObjectId>("\"12\"").is_err());
    }

    #[test]
    fn ids_are_put_together_as_the_standard_says() {
        let time = DateTime::parse_from_rfc3339("2031-05-04T00:15:30.250Z").unwrap();
        let passage = Uuid::from_u128(7 * 100_000 + 42);
        let source = ImageId::of(&device(), &time, passage, Slot::Frame).unwrap();
        assert_eq!(source.as_str(), "13010000001190000001022031050408153000028");
        let plate = ImageId::of(&device(), &time, passage, Slot::Plate).unwrap();
        assert_eq!(plate.as_str(), "13010000001190000001022031050408153000029");
        let vehicle = ObjectId::of(&source, passage).unwrap();
        assert_eq!(vehicle.as_str(), format!("{source}0200042"));
        let org = OrgCode::new("org", "130100000000").unwrap();
        let told = BusinessId::notification("04", &org, &time, passage).unwrap();
        assert_eq!(told.as_str(), "130100000000042031050408153000042");
    }

    proptest! {
        #[test]
        fn any_passage_has_ids_of_the_right_form(n in any::<u128>(), s in 0_i64..4_000_000_000) {
            let time = DateTime::from_timestamp(s, 0).unwrap().fixed_offset();
            let id = Uuid::from_u128(n);
            let all: Vec<_> = [Slot::Frame, Slot::Plate, Slot::Thumbnail]
                .map(|slot| ImageId::of(&device(), &time, id, slot).unwrap()).into();
            prop_assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
            let vehicle = ObjectId::of(&all[0], id).unwrap();
            prop_assert_eq!(&vehicle, &ObjectId::of(&all[0], id).unwrap());
            prop_assert_eq!(&vehicle.as_str()[20..22], "02");
            prop_assert_eq!(&vehicle.as_str()[41..43], "02");
        }
    }

    /// Ten vehicles in each second: more than one device sees.
    #[test]
    fn many_vehicles_of_one_device_have_ids_of_their_own() {
        let mut seen = std::collections::HashSet::new();
        let start = DateTime::parse_from_rfc3339("2031-05-04T00:00:00+08:00").unwrap();
        for n in 0..20_000_i64 {
            let time = start + chrono::Duration::milliseconds(n * 100);
            let id = kakou_contract::live_id(time);
            let source = ImageId::of(&device(), &time, id, Slot::Frame).unwrap();
            assert!(seen.insert(ObjectId::of(&source, id).unwrap()), "{id}");
        }
    }
}
