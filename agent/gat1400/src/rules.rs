//! What each field of an object may be: name, type, length, codes, and whether it must be there.
//! Every object is checked before it leaves, so a mistake here or in the mapping is told, and no
//! upper library has to find it.
//!
//! The tables are also the docs' tables: a test compares them.

use serde_json::{Map, Value};

use crate::codes;
use crate::fault::{FieldError, shown};

/// Type of a field, with its bounds.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// Exactly so many digits.
    Digits(usize),
    /// At most so many characters.
    Text(usize),
    /// 14 digits that are a time.
    Time,
    Whole(u64, u64),
    Boolean,
    /// A whole number from 0 to 100, as text.
    Percent,
    /// One code of a list, as text.
    Code(fn(&str) -> bool, &'static str),
    /// Base64; the bound is the batch's.
    Base64,
    /// `SubImageInfoObject`, each by [`SUB_IMAGE`].
    Images,
}

/// A field.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub name: &'static str,
    pub form: Form,
    pub must: bool,
}

const fn rule(name: &'static str, form: Form, must: bool) -> Rule {
    Rule { name, form, must }
}

fn is_colour(code: &str) -> bool {
    codes::COLOURS.iter().any(|(known, _)| *known == code)
}
fn is_plate_class(code: &str) -> bool {
    codes::PLATE_CLASSES_2017.contains(&code) || codes::PLATE_CLASSES_LATER.contains(&code)
}
fn is_vehicle_class(code: &str) -> bool {
    codes::VEHICLE_CLASSES
        .iter()
        .any(|(known, _)| *known == code)
}
fn is_heading(code: &str) -> bool {
    matches!(code.as_bytes(), [b'1'..=b'9'])
}
fn is_image_type(code: &str) -> bool {
    matches!(code, "01" | "02" | "09")
}
fn is_format(code: &str) -> bool {
    matches!(code, "Jpeg" | "Png" | "Bmp" | "Gif")
}

const COLOUR: Form = Form::Code(is_colour, "ColorType");
const SIDE: Form = Form::Whole(0, 65_535);

/// `MotorVehicle`.
pub const MOTOR_VEHICLE: &[Rule] = &[
    rule("MotorVehicleID", Form::Digits(48), true),
    rule("InfoKind", Form::Whole(0, 2), true),
    rule("SourceID", Form::Digits(41), true),
    rule("TollgateID", Form::Digits(20), false),
    rule("DeviceID", Form::Digits(20), true),
    rule("StorageUrl1", Form::Text(256), true),
    rule("StorageUrl2", Form::Text(256), false),
    rule("StorageUrl5", Form::Text(256), false),
    rule("LeftTopX", SIDE, true),
    rule("LeftTopY", SIDE, true),
    rule("RightBtmX", SIDE, true),
    rule("RightBtmY", SIDE, true),
    rule("AppearTime", Form::Time, false),
    rule("DisappearTime", Form::Time, false),
    rule("LaneNo", Form::Whole(1, 99), false),
    rule("HasPlate", Form::Boolean, false),
    rule(
        "PlateClass",
        Form::Code(is_plate_class, "PlateClassType"),
        true,
    ),
    rule("PlateColor", COLOUR, true),
    rule("PlateNo", Form::Text(15), false),
    rule("Direction", Form::Code(is_heading, "HDirectionType"), false),
    rule(
        "VehicleClass",
        Form::Code(is_vehicle_class, "VehicleClassType"),
        false,
    ),
    rule("VehicleColor", COLOUR, true),
    rule("PassTime", Form::Time, true),
    rule("NameOfPassedRoad", Form::Text(64), false),
    rule("IsSuspicious", Form::Boolean, false),
    rule("PlateReliability", Form::Percent, false),
    rule("PlateCharReliability", Form::Text(64), false),
    rule("SubImageList", Form::Images, true),
];

/// `SubImageInfo`.
pub const SUB_IMAGE: &[Rule] = &[
    rule("ImageID", Form::Digits(41), true),
    rule("EventSort", Form::Whole(0, 999_999), true),
    rule("DeviceID", Form::Digits(20), true),
    rule("StoragePath", Form::Text(256), false),
    rule("Type", Form::Code(is_image_type, "ImageType"), true),
    rule("FileFormat", Form::Code(is_format, "ImageFormatType"), true),
    rule("ShotTime", Form::Time, true),
    rule("Width", Form::Whole(1, 65_535), true),
    rule("Height", Form::Whole(1, 65_535), true),
    rule("Data", Form::Base64, false),
];

/// Whether a `MotorVehicle` keeps every rule. The error names the field, what it has, and the rule.
pub fn check(vehicle: &Value) -> Result<(), FieldError> {
    let fields = fields_of("MotorVehicle", vehicle)?;
    table("", fields, MOTOR_VEHICLE)?;
    let side = |name: &str| fields.get(name).and_then(Value::as_u64).unwrap_or(0);
    for (least, most) in [("LeftTopX", "RightBtmX"), ("LeftTopY", "RightBtmY")] {
        if side(least) >= side(most) {
            let what = format!(
                "{} is not below {most}, which is {}",
                side(least),
                side(most)
            );
            return Err(broken(least, what));
        }
    }
    Ok(())
}

fn fields_of<'a>(at: &str, value: &'a Value) -> Result<&'a Map<String, Value>, FieldError> {
    value.as_object().ok_or_else(|| broken(at, "no object"))
}

fn broken(field: &str, what: impl Into<String>) -> FieldError {
    FieldError::new(
        field,
        what,
        "the object is not sent: report it with the passage's id",
    )
}

fn table(at: &str, fields: &Map<String, Value>, rules: &[Rule]) -> Result<(), FieldError> {
    if let Some(name) = fields
        .keys()
        .find(|name| !rules.iter().any(|r| r.name == *name))
    {
        return Err(broken(&format!("{at}{name}"), "not a field of this object"));
    }
    for rule in rules {
        let place = format!("{at}{}", rule.name);
        match fields.get(rule.name) {
            None | Some(Value::Null) if rule.must => return Err(broken(&place, "missing")),
            None => {}
            Some(value) => form(&place, value, rule.form)?,
        }
    }
    Ok(())
}

fn form(at: &str, value: &Value, form: Form) -> Result<(), FieldError> {
    let wrong = |what: String| Err(broken(at, what));
    let text = value.as_str();
    let given = || shown(&value.to_string());
    match form {
        Form::Digits(count) => match text {
            Some(t) if t.len() == count && t.bytes().all(|b| b.is_ascii_digit()) => Ok(()),
            _ => wrong(format!("{} is not {count} digits", given())),
        },
        Form::Text(most) => match text {
            Some(t) if t.chars().count() > most => wrong(format!(
                "{} characters; at most {most} are allowed",
                t.chars().count()
            )),
            Some(t) if t.chars().any(char::is_control) => wrong("a control character".to_owned()),
            Some(_) => Ok(()),
            None => wrong(format!("{} is no text", given())),
        },
        Form::Time => match text {
            Some(t) if t.len() == 14 => crate::stamp::parse(at, t).map(|_| ()),
            _ => wrong(format!("{} is not yyyyMMddHHmmss", given())),
        },
        Form::Whole(least, most) => match value.as_u64() {
            Some(n) if (least..=most).contains(&n) => Ok(()),
            _ => wrong(format!(
                "{} is not a whole number of {least} to {most}",
                given()
            )),
        },
        Form::Boolean if value.is_boolean() => Ok(()),
        Form::Boolean => wrong(format!("{} is neither true nor false", given())),
        Form::Percent => match text.and_then(|t| t.parse::<u8>().ok()) {
            Some(0..=100) => Ok(()),
            _ => wrong(format!("{} is not 0 to 100 in a text", given())),
        },
        Form::Code(is_known, list) => match text {
            Some(code) if is_known(code) => Ok(()),
            _ => wrong(format!("{} is no code of {list}", given())),
        },
        Form::Base64 => match text {
            Some(t) if t.len() % 4 == 0 && t.bytes().all(is_base64) => Ok(()),
            _ => wrong("no base64".to_owned()),
        },
        Form::Images => {
            let list = fields_of(at, value)?.get("SubImageInfoObject");
            let images = list.and_then(Value::as_array);
            let images = images.ok_or_else(|| broken(at, "no SubImageInfoObject"))?;
            for (index, image) in images.iter().enumerate() {
                let place = format!("{at}[{index}]");
                table(&format!("{place}."), fields_of(&place, image)?, SUB_IMAGE)?;
            }
            Ok(())
        }
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}
