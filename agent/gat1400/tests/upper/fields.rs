//! What a strict upper library demands of each field, by a table of its own (`fields.tsv`): it knows
//! nothing of the rules of the crate.

use serde_json::{Map, Value};

struct Field {
    object: &'static str,
    name: &'static str,
    kind: &'static str,
    length: &'static str,
    must: bool,
    codes: &'static str,
}

fn table() -> impl Iterator<Item = Field> {
    include_str!("fields.tsv").lines().skip(1).map(|line| {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap();
        Field {
            object: next(),
            name: next(),
            kind: next(),
            length: next(),
            must: next() == "R",
            codes: next(),
        }
    })
}

/// What is wrong with a `MotorVehicle`; `None`: nothing.
pub fn fault(vehicle: &Value) -> Option<String> {
    object("MotorVehicle", vehicle.as_object()?).or_else(|| sense(vehicle))
}

fn object(which: &str, given: &Map<String, Value>) -> Option<String> {
    let known: Vec<Field> = table().filter(|f| f.object == which).collect();
    if let Some(name) = given.keys().find(|n| !known.iter().any(|f| f.name == *n)) {
        return Some(format!("{which}.{name} is not known"));
    }
    known.iter().find_map(|field| match given.get(field.name) {
        None if field.must => Some(format!("{which}.{} is missing", field.name)),
        None => None,
        Some(value) => {
            (!is_right(field, value)).then(|| format!("{which}.{}: {value}", field.name))
        }
    })
}

fn is_right(field: &Field, value: &Value) -> bool {
    let text = value.as_str();
    let length = || field.length.parse::<usize>().unwrap();
    let digits =
        |n: usize| text.is_some_and(|t| t.len() == n && t.bytes().all(|b| b.is_ascii_digit()));
    match field.kind {
        "digits" => digits(length()),
        "string" => text.is_some_and(|t| t.chars().count() <= length()),
        "time" => {
            let parts = |t: &str| {
                let at = |from: usize, to: usize| t[from..to].parse::<u32>().unwrap();
                (1..=12).contains(&at(4, 6))
                    && (1..=31).contains(&at(6, 8))
                    && at(8, 10) < 24
                    && at(10, 12) < 60
                    && at(12, 14) < 60
            };
            digits(14) && text.is_some_and(parts)
        }
        "int" => {
            let (least, most) = field.length.split_once('-').unwrap();
            let range = least.parse::<i64>().unwrap()..=most.parse().unwrap();
            value.as_i64().is_some_and(|n| range.contains(&n))
        }
        "bool" => value.is_boolean(),
        "percent" => text.is_some_and(|t| t.len() <= 3 && t.parse::<u32>().is_ok_and(|n| n <= 100)),
        "code" => {
            text.is_some_and(|t| t.len() <= length() && field.codes.split(',').any(|c| c == t))
        }
        "base64" => {
            use base64::Engine;
            let engine = base64::engine::general_purpose::STANDARD;
            text.is_some_and(|t| engine.decode(t).is_ok_and(|bytes| !bytes.is_empty()))
        }
        other => {
            assert_eq!(other, "images", "fields.tsv has another type");
            let list = value["SubImageInfoObject"].as_array();
            list.is_some_and(|l| {
                l.iter()
                    .all(|i| object("SubImageInfo", i.as_object().unwrap()).is_none())
            })
        }
    }
}

/// Fields that must agree with each other.
fn sense(v: &Value) -> Option<String> {
    let text = |name: &str| v[name].as_str().unwrap_or_default();
    let number = |name: &str| v[name].as_u64().unwrap_or_default();
    let (id, source, device) = (text("MotorVehicleID"), text("SourceID"), text("DeviceID"));
    let told = |what: &str| Some(what.to_owned());
    if !id.starts_with(source) || &id[41..43] != "02" {
        return told("MotorVehicleID is not the SourceID, 02 and a serial");
    }
    if !source.starts_with(device) || &source[20..22] != "02" || &source[22..36] != text("PassTime")
    {
        return told("SourceID is not the DeviceID, 02, PassTime and a serial");
    }
    if number("LeftTopX") >= number("RightBtmX") || number("LeftTopY") >= number("RightBtmY") {
        return told("the box has no inside");
    }
    if text("AppearTime") > text("PassTime") || text("PassTime") > text("DisappearTime") {
        return told("PassTime is not between AppearTime and DisappearTime");
    }
    if v["HasPlate"] == false && text("PlateNo") != "无车牌" {
        return told("no plate, and a PlateNo");
    }
    let each = text("PlateCharReliability");
    if !each.is_empty() {
        let spelt: String = each
            .split(',')
            .filter_map(|part| part.chars().next())
            .collect();
        if spelt != text("PlateNo") {
            return told("PlateCharReliability spells another plate");
        }
    }
    let images = v["SubImageList"]["SubImageInfoObject"].as_array()?;
    let mut ids: Vec<&str> = images
        .iter()
        .map(|i| i["ImageID"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    (ids.len() != count).then(|| "two pictures have one ImageID".to_owned())
}
