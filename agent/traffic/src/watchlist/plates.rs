//! What may stand in the column of plates: whether such a plate exists, and what a mistaken one
//! probably means.

use crate::plate::{Grammar, Invalid, check, is_province};

use super::codes::{self, ANY, LONGEST, MANY};

/// A plate or pattern as it is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Looked {
    pub codes: Vec<u8>,
    /// It was written with the letter O as its office.
    pub office_o: bool,
    /// What the reader cannot give of it, for a note.
    pub note: Option<String>,
}

impl Looked {
    pub fn is_pattern(&self) -> bool {
        self.codes.iter().any(|c| matches!(*c, ANY | MANY))
    }

    pub fn is_everything(&self) -> bool {
        self.codes.iter().all(|c| matches!(*c, ANY | MANY))
    }
}

/// Why a text is no plate, and what is probably meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoPlate {
    pub why: String,
    pub meant: Option<String>,
}

impl std::fmt::Display for NoPlate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)?;
        match &self.meant {
            Some(text) => write!(f, "; {text} was probably meant"),
            None => Ok(()),
        }
    }
}

/// Without the dots, spaces, full width and small letters that people write.
pub(super) fn normalised(plate: &str) -> String {
    plate
        .chars()
        .filter(|c| {
            !c.is_whitespace()
                && !matches!(
                    c,
                    '·' | '•' | '・' | '‧' | '∙' | '●' | '-' | '.' | '．' | '－' | '_'
                )
        })
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

/// Refuses what no plate can say. Plates from abroad have no layout here and are taken as they
/// stand.
pub(super) fn looked(plate: &str) -> Result<Looked, NoPlate> {
    let no = |why: String| NoPlate {
        why,
        meant: meant(plate),
    };
    let length = plate.chars().count();
    let allowed = |c: &char| {
        c.is_ascii_alphanumeric() || matches!(c, '?' | '*') || ('\u{4e00}'..='\u{9fff}').contains(c)
    };
    if plate.is_empty() {
        return Err(no("the plate is empty".to_owned()));
    }
    if let Some(c) = plate.chars().find(|c| !allowed(c)) {
        return Err(no(format!("plate {plate:?} has {c:?} in it")));
    }
    if plate.contains(['?', '*']) {
        return pattern(plate).map_err(no);
    }
    if !(4..=LONGEST).contains(&length) {
        return Err(no(format!(
            "plate {plate:?} has {length} characters; 4 to {LONGEST} are possible"
        )));
    }
    // Chinese characters stand on plates of the mainland only, whose layouts are known.
    let never = |why: String| no(format!("plate {plate:?} can never match: {why}"));
    if !plate.is_ascii()
        && let Grammar::Invalid(fault) = check(plate, None)
    {
        return Err(never(why(plate, length, fault)));
    }
    let codes = codes::codes(plate).ok_or_else(|| never("it is no plate".to_owned()))?;
    // Readers know neither letter in serials; on plates from abroad they give the digit.
    let note = plate
        .is_ascii()
        .then(|| as_digits(plate))
        .filter(|read| read != plate);
    let note = note.map(|read| {
        format!(
            "plate {plate:?} has a letter O or I, which the reader gives as a digit: list {read} \
             too, else only a near match can find it"
        )
    });
    Ok(Looked {
        codes,
        office_o: plate.chars().nth(1) == Some('O')
            && plate.chars().next().is_some_and(is_province),
        note,
    })
}

fn as_digits(plate: &str) -> String {
    plate.replace('O', "0").replace('I', "1")
}

fn pattern(plate: &str) -> Result<Looked, String> {
    let fixed = plate.chars().filter(|c| !matches!(c, '?' | '*'));
    if fixed.clone().count() > LONGEST || plate.chars().count() > 2 * LONGEST {
        return Err(format!("pattern {plate:?} is longer than any plate"));
    }
    let code = |c: char| match c {
        '?' => Some(ANY),
        '*' => Some(MANY),
        c => codes::code(c),
    };
    let mut all = Vec::new();
    for c in plate.chars() {
        let code = code(c)
            .ok_or_else(|| format!("pattern {plate:?} can never match: {c} stands on no plate"))?;
        if !(code == MANY && all.last() == Some(&MANY)) {
            all.push(code);
        }
    }
    if let Some((at, c)) = plate.chars().enumerate().find(|(at, c)| {
        let office = *at == 1 && *c == 'O';
        matches!(c, 'O' | 'I') && !plate.is_ascii() && !office
    }) {
        return Err(format!(
            "pattern {plate:?} can never match: plates have no letter {c} in place {}",
            at + 1
        ));
    }
    codes::spell_as_read(&mut all);
    Ok(Looked {
        codes: all,
        office_o: plate.chars().nth(1) == Some('O')
            && plate.chars().next().is_some_and(is_province),
        note: None,
    })
}

fn why(plate: &str, length: usize, fault: Invalid) -> String {
    let ordinary = plate.chars().next().is_some_and(is_province)
        && plate.chars().skip(1).all(|c| c.is_ascii_alphanumeric());
    match fault {
        _ if ordinary && !(7..=8).contains(&length) => {
            format!("it has {length} characters; 7 are usual, and 8 for new energy")
        }
        Invalid::Length(n) => format!("no plate with Chinese characters has {n} characters"),
        Invalid::Character(at) => match plate.chars().nth(at) {
            Some(c @ ('O' | 'I')) => format!("plates have no letter {c} in place {}", at + 1),
            Some(c) if at == 0 => format!("{c} is no province"),
            Some(c) => format!("{c} cannot stand in place {}", at + 1),
            None => "it is no plate".to_owned(),
        },
        Invalid::Empty | Invalid::Colour(_) => "it is no plate".to_owned(),
    }
}

/// The plate or pattern that a mistaken one most probably stands for, where one change of its kind
/// makes it possible.
fn meant(plate: &str) -> Option<String> {
    let chars = plate.chars().filter(|c| !is_invisible(*c)).map(simplified);
    let repaired: String = chars
        .enumerate()
        .map(|(i, c)| match (i, c) {
            // The office is a letter; behind it letters and digits are mixed, but for these two.
            (0 | 1, c) => c,
            (_, 'O') => '0',
            (_, 'I') => '1',
            (_, c) => c,
        })
        .collect();
    let stands = match repaired.contains(['?', '*']) {
        true => pattern(&repaired).is_ok(),
        false => check(&repaired, None).is_valid(),
    };
    (repaired != plate && stands).then_some(repaired)
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' | '\u{202a}'..='\u{202e}')
}

/// The character of today's plates for one that looks or means the same.
fn simplified(c: char) -> char {
    match c {
        '魯' | '⿂' => '鲁',
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
        '應' => '应',
        '試' => '试',
        '臨' => '临',
        // Cyrillic and Greek letters that look like Latin ones.
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'С' => 'C',
        'Е' | 'Ε' => 'E',
        'Н' | 'Η' => 'H',
        'К' | 'Κ' => 'K',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'Р' | 'Ρ' => 'P',
        'Т' | 'Τ' => 'T',
        'Х' | 'Χ' => 'X',
        'У' | 'Υ' => 'Y',
        'Ζ' => 'Z',
        c => c,
    }
}
