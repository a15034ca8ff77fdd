//! One row of a list: whether its plate can be on a vehicle at all, and what it says.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};
use kakou_contract::PlateKind;
use serde::Deserialize;

use crate::plate::{Grammar, Invalid, check, is_province, possible_kinds};

use super::Entry;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    plate: String,
    level: String,
    category: String,
    reason: String,
    valid_until: Option<String>,
    kind: Option<String>,
}

/// The entry of a row, or why the row cannot be used.
pub(super) fn entry(row: &Row) -> Result<Entry, String> {
    let plate = normalised(&row.plate);
    check_plate(&plate)?;
    let level = row
        .level
        .to_lowercase()
        .parse()
        .map_err(|e: kakou_contract::codes::UnknownWord| e.to_string())?;
    let valid_until = match row.valid_until.as_deref().unwrap_or("") {
        "" => None,
        text => Some(end(text)?),
    };
    let kind = match row.kind.as_deref().unwrap_or("") {
        "" => None,
        code => Some(kind(code, &plate)?),
    };
    Ok(Entry {
        plate,
        kind,
        level,
        category: row.category.clone(),
        reason: row.reason.clone(),
        valid_until,
    })
}

/// The text as a reader gives it. The letter O, which only the office of older plates may be, is a
/// zero to it.
pub(super) fn as_read(plate: &str) -> String {
    let office = |(i, c)| if i == 1 && c == 'O' { '0' } else { c };
    if plate.chars().next().is_some_and(is_province) {
        plate.chars().enumerate().map(office).collect()
    } else {
        plate.to_owned()
    }
}

/// Refuses what no plate can say. Plates from abroad have no layout here and are taken as they
/// stand.
fn check_plate(plate: &str) -> Result<(), String> {
    let length = plate.chars().count();
    let strange = plate
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || ('\u{4e00}'..='\u{9fff}').contains(c)));
    if let Some(c) = strange {
        return Err(format!("plate {plate:?} has {c:?} in it"));
    }
    if !(4..=9).contains(&length) {
        return Err(format!(
            "plate {plate:?} has {length} characters; 4 to 9 are possible"
        ));
    }
    // Chinese characters stand on plates of the mainland only, whose layouts are known.
    if plate.is_ascii() {
        return Ok(());
    }
    let ordinary = plate.chars().next().is_some_and(is_province)
        && plate.chars().skip(1).all(|c| c.is_ascii_alphanumeric());
    let why = match check(plate, None) {
        Grammar::Valid(_) => return Ok(()),
        Grammar::Invalid(_) if ordinary && !(7..=8).contains(&length) => {
            format!("it has {length} characters; 7 are usual, and 8 for new energy")
        }
        Grammar::Invalid(Invalid::Length(n)) => {
            format!("no plate with Chinese characters has {n} characters")
        }
        Grammar::Invalid(Invalid::Character(at)) => match plate.chars().nth(at) {
            Some(c @ ('O' | 'I')) => {
                format!("plates have no letter {c} in place {}", at + 1)
            }
            Some(c) if at == 0 => format!("{c} is no province"),
            Some(c) => format!("{c} cannot stand in place {}", at + 1),
            None => "it is no plate".to_owned(),
        },
        Grammar::Invalid(_) => "it is no plate".to_owned(),
    };
    let meant = match meant(plate) {
        Some(text) => format!("; {text} was probably meant"),
        None => String::new(),
    };
    Err(format!("plate {plate:?} can never match: {why}{meant}"))
}

/// The plate that a mistaken one most probably stands for, where one change of its kind makes it
/// valid.
fn meant(plate: &str) -> Option<String> {
    let simplified = |c: char| match c {
        '魯' => '鲁',
        '滬' => '沪',
        '蘇' => '苏',
        '遼' => '辽',
        '贛' => '赣',
        '粵' => '粤',
        '瓊' => '琼',
        '貴' => '贵',
        '雲' => '云',
        '陝' => '陕',
        '寧' => '宁',
        '閩' => '闽',
        '晉' => '晋',
        '領' => '领',
        '學' => '学',
        '掛' => '挂',
        c => c,
    };
    let repaired: String = plate
        .chars()
        .enumerate()
        .map(|(i, c)| match (i, c) {
            // The office is a letter; behind it letters and digits are mixed, but for these two.
            (0 | 1, c) => simplified(c),
            (_, 'O') => '0',
            (_, 'I') => '1',
            (_, c) => simplified(c),
        })
        .collect();
    (repaired != plate && check(&repaired, None).is_valid()).then_some(repaired)
}

/// A kind by its code. Spreadsheets drop the zero before a digit.
fn kind(code: &str, plate: &str) -> Result<PlateKind, String> {
    let kind = PlateKind::from_code(&format!("{code:0>2}"))
        .ok_or_else(|| format!("kind {code:?} is no code of GA 36, as 02 is"))?;
    match possible_kinds(plate) {
        Some(possible) if !possible.contains(&kind) => {
            let codes: Vec<&str> = possible.iter().map(|k| k.code()).collect();
            Err(format!(
                "plate {plate:?} can never match as kind {}: plates like it are of kind {}",
                kind.code(),
                codes.join(", ")
            ))
        }
        _ => Ok(kind),
    }
}

/// Without the dots, spaces and small letters that people write.
fn normalised(plate: &str) -> String {
    plate
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '·' | '•' | '・' | '-' | '.'))
        // Full-width letters and digits.
        .map(|c| {
            if ('！'..='～').contains(&c) {
                char::from_u32(c as u32 - 0xfee0).unwrap_or(c)
            } else {
                c
            }
        })
        .flat_map(char::to_uppercase)
        .collect()
}

/// A time, or the end of a day in China, as people and spreadsheets write them.
fn end(text: &str) -> Result<DateTime<FixedOffset>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time);
    }
    let wrong = || {
        format!(
            "valid_until {text:?} is neither a date (2031-05-04) nor a time (2031-05-04T08:00:00+08:00)"
        )
    };
    let plain: String = text
        .chars()
        .filter_map(|c| match c {
            '/' | '年' | '月' => Some('-'),
            '日' => None,
            c => Some(c),
        })
        .collect();
    let last = if let Ok(day) = NaiveDate::parse_from_str(&plain, "%Y-%m-%d") {
        day.and_hms_opt(23, 59, 59)
    } else {
        let time = NaiveDateTime::parse_from_str(&plain, "%Y-%m-%d %H:%M").map_err(|_| wrong())?;
        // Midnight is what a spreadsheet makes of a date without a time.
        let day = time.date();
        if day.and_hms_opt(0, 0, 0) == Some(time) {
            day.and_hms_opt(23, 59, 59)
        } else {
            Some(time)
        }
    };
    let china = FixedOffset::east_opt(8 * 3600).ok_or_else(wrong)?;
    last.ok_or_else(wrong)?
        .and_local_timezone(china)
        .single()
        .ok_or_else(wrong)
}
