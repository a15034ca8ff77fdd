//! Texts of this box before they leave it: without secrets and without plates, both found by their
//! form. Pure.
//!
//! Better too much than too little: what looks like a plate and is none is hidden as well.

use kakou_guard::mask;
use kakou_traffic::plate::{check, is_province};
use serde_json::Value;

const STARS: &str = "***";
/// The longest plate with its separators.
const LONGEST: usize = 12;
/// So much of a number behind a province is a plate, be it read in part.
const NUMBER: usize = 4;

/// Without secrets and plates.
pub fn scrub(text: &str) -> String {
    plates(&mask(text))
}

/// The same for every text of a JSON value, names of fields included.
pub fn scrub_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(scrub(&text)),
        Value::Array(all) => all.into_iter().map(scrub_json).collect(),
        Value::Object(all) => all
            .into_iter()
            .map(|(name, value)| (plates(&name), scrub_json(value)))
            .collect(),
        other => other,
    }
}

/// What may stand between the parts of a plate: `鲁E·6K829`.
fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '·' | '•' | '・' | '‧' | '_')
}

/// Full-width letters and digits count as what they look like.
fn folded(c: char) -> char {
    let narrow = match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        _ => c,
    };
    narrow.to_ascii_uppercase()
}

fn plates(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let plain: Vec<char> = chars.iter().copied().map(folded).collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(c) = chars.get(at) {
        match plate_at(&plain, at) {
            Some(length) => {
                out.push_str(STARS);
                at += length;
            }
            None => {
                out.push(*c);
                at += 1;
            }
        }
    }
    out
}

/// How many characters a plate takes that begins here.
fn plate_at(chars: &[char], at: usize) -> Option<usize> {
    let rest = chars.get(at..)?;
    let first = *rest.first()?;
    if is_province(first) || matches!(first, '使' | '领' | '港' | '澳' | '民' | '军') {
        return led_by_a_character(rest);
    }
    let begins_word = at == 0 || !chars[at - 1].is_ascii_alphanumeric();
    (first.is_ascii_alphanumeric() && begins_word).then(|| by_grammar(rest))?
}

/// `鲁E6K829`, `使014578`, `民航A1234`: a character and a number behind it.
fn led_by_a_character(rest: &[char]) -> Option<usize> {
    let mut at = 1 + usize::from(rest.get(1) == Some(&'航'));
    let (mut count, mut end) = (0, 0);
    let mut gap = false;
    while let Some(&c) = rest.get(at) {
        if c.is_ascii_alphanumeric() {
            (count, gap) = (count + 1, false);
            end = at + 1;
        } else if is_separator(c) && !gap && at <= 2 {
            // Between the office's letter and the number, nowhere else.
            gap = true;
        } else {
            break;
        }
        at += 1;
    }
    if count < NUMBER {
        return None;
    }
    let ends = rest.get(end..).unwrap_or_default();
    let kinds = ends
        .iter()
        .take_while(|c| "学警港澳挂使领试临超应急".contains(**c));
    Some(end + kinds.count())
}

/// `WJ鲁12345`, `KA12345`, `014578使`: what the grammar of plates takes, as a word of its own.
fn by_grammar(rest: &[char]) -> Option<usize> {
    (5..=LONGEST.min(rest.len())).rev().find(|&length| {
        let ends_word = rest.get(length).is_none_or(|c| !c.is_ascii_alphanumeric());
        let word = rest.get(..length).unwrap_or_default();
        let text: String = word.iter().filter(|c| !is_separator(**c)).collect();
        let last = word.last().is_some_and(|c| !is_separator(*c));
        ends_word && last && check(&text, None).is_valid()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn plates_are_found_by_their_form() {
        for (text, shown) in [
            ("plate 鲁E6K829 passed", "plate *** passed"),
            ("鲁E·6K829, 鲁 E6K829; 鲁e6k829", "***, ***; ***"),
            ("沪AD53826", "***"),
            ("浙A1234挂 and 京A1234警", "*** and ***"),
            ("粤Z1234港", "***"),
            ("使014578", "***"),
            ("014578使", "***"),
            ("WJ鲁12345", "***"),
            ("(KA12345)", "(***)"),
            ("民航A1234", "***"),
            ("鲁Ｅ６Ｋ８２９", "***"),
            ("read in part: 鲁E6K82", "read in part: ***"),
            ("/evidence/鲁E6K829.jpg", "/evidence/***.jpg"),
            ("rtsp://u:p@h/ 鲁E6K829", "rtsp://***@h/ ***"),
        ] {
            assert_eq!(scrub(text), shown);
        }
    }

    #[test]
    fn what_is_none_stays() {
        for text in [
            "2031-05-04T08:15:30 INFO kakou: camera cam-1 is at work",
            "01c2abf3-45ca-7f24-9866-babef5c81ab8",
            "京津冀三地 2031",
            "a commit of 16 KiB takes 3.1 ms",
            "x86_64, 2 cores, with AVX2",
        ] {
            assert_eq!(scrub(text), text);
        }
        let json = json!({ "a鲁E6K829": ["鲁E6K829", 3], "url": "rtsp://u:p@h" });
        let shown = json!({ "a***": ["***", 3], "url": "rtsp://***@h" });
        assert_eq!(scrub_json(json), shown);
    }

    proptest! {
        #[test]
        fn a_plate_in_any_text_is_hidden(
            before in "[ a-z=\"(,，：]{0,8}",
            province in "[京津沪渝冀豫云辽黑湘皖鲁新苏浙]",
            number in "[A-HJ-NP-Z][A-HJ-NP-Z0-9]{5,6}",
            after in "[ ,.)\"，。]{0,3}",
        ) {
            let shown = scrub(&format!("{before}{province}{number}{after}"));
            prop_assert!(!shown.contains(&number), "{}", shown);
        }

        #[test]
        fn any_text_is_scrubbed_without_a_panic(text in "\\PC{0,60}") {
            let _ = scrub(&text);
        }
    }
}
