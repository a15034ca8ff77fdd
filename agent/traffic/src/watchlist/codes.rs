//! Plates as numbers: seven bits a character, so that a whole plate is one `u64` and a look-up
//! compares no texts.

use std::sync::LazyLock;

use crate::plate::PROVINCES;

/// What stands on plates beside digits, letters and provinces.
const MARKS: &str = "使领警学挂港澳试临超应急民航";
/// The longest plate that is looked up; no layout is longer.
pub(super) const LONGEST: usize = 9;
const BITS: u32 = 7;
const FIRST_LETTER: u8 = 11;
const FIRST_PROVINCE: u8 = FIRST_LETTER + 26;
const FIRST_MARK: u8 = FIRST_PROVINCE + 31;
/// One more than the last character's code.
pub(super) const CODES: usize = FIRST_MARK as usize + 14;
/// In a pattern: any one character.
pub(super) const ANY: u8 = 126;
/// In a pattern: any number of characters, none too.
pub(super) const MANY: u8 = 127;
/// In a read: a character that was lost.
pub(super) const LOST: u8 = 125;

const ZERO: u8 = 1;
const LETTER_O: u8 = FIRST_LETTER + 14;
const LETTER_I: u8 = FIRST_LETTER + 8;

/// 1 to [`CODES`] - 1; `None`: no plate has this character.
pub(super) fn code(c: char) -> Option<u8> {
    match c {
        '0'..='9' => Some(ZERO + (c as u8 - b'0')),
        'A'..='Z' => Some(FIRST_LETTER + (c as u8 - b'A')),
        FIRST_CHINESE..=LAST_CHINESE => {
            let at = c as usize - FIRST_CHINESE as usize;
            CHINESE.get(at).copied().filter(|code| *code != 0)
        }
        _ => None,
    }
}

const FIRST_CHINESE: char = '\u{4e00}';
const LAST_CHINESE: char = '\u{9fff}';
/// The codes of provinces and marks by their place among the Chinese characters; 0: none.
static CHINESE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut codes = vec![0; LAST_CHINESE as usize - FIRST_CHINESE as usize + 1];
    for (c, code) in PROVINCES.chars().chain(MARKS.chars()).zip(FIRST_PROVINCE..) {
        if let Some(place) = codes.get_mut(c as usize - FIRST_CHINESE as usize) {
            *place = code;
        }
    }
    codes
});

pub(super) fn char_of(code: u8) -> char {
    match code {
        ZERO..FIRST_LETTER => char::from(b'0' + code - ZERO),
        FIRST_LETTER..FIRST_PROVINCE => char::from(b'A' + code - FIRST_LETTER),
        ANY => '?',
        MANY => '*',
        _ => {
            let mut all = PROVINCES.chars().chain(MARKS.chars());
            let at = usize::from(code.saturating_sub(FIRST_PROVINCE));
            all.nth(at).unwrap_or('?')
        }
    }
}

pub(super) fn is_province(code: u8) -> bool {
    (FIRST_PROVINCE..FIRST_MARK).contains(&code)
}

pub(super) fn is_chinese(code: u8) -> bool {
    (FIRST_PROVINCE..CODES as u8).contains(&code)
}

pub(super) fn provinces() -> impl Iterator<Item = u8> {
    FIRST_PROVINCE..FIRST_MARK
}

pub(super) fn marks() -> impl Iterator<Item = u8> {
    FIRST_MARK..CODES as u8
}

/// Digits and the letters that serials have.
pub(super) fn serials() -> impl Iterator<Item = u8> {
    (ZERO..FIRST_PROVINCE).filter(|c| !matches!(*c, LETTER_O | LETTER_I))
}

/// A text as codes, the way readers spell it: the letter O, which only the office of older plates
/// may be, is a zero to them. `None`: it has a character that no plate has.
pub(super) fn codes(text: &str) -> Option<Vec<u8>> {
    let mut codes = text.chars().map(code).collect::<Option<Vec<u8>>>()?;
    spell_as_read(&mut codes);
    Some(codes)
}

pub(super) fn spell_as_read(codes: &mut [u8]) {
    if let [first, office @ LETTER_O, ..] = codes
        && is_province(*first)
    {
        *office = ZERO;
    }
}

/// `None`: empty, or longer than any plate.
pub(super) fn pack(codes: &[u8]) -> Option<u64> {
    let fits = (1..=LONGEST).contains(&codes.len());
    fits.then(|| codes.iter().fold(0, |key, c| key << BITS | u64::from(*c)))
}

pub(super) fn unpack(key: u64) -> impl Iterator<Item = u8> {
    (0..LONGEST as u32)
        .rev()
        .map(move |i| (key >> (i * BITS)) as u8 & 0x7f)
        .skip_while(|c| *c == 0)
}

/// The key with another character in one place of its `length`.
pub(super) fn changed(key: u64, length: usize, place: usize, from: u8, to: u8) -> u64 {
    let shift = BITS * (length - 1 - place) as u32;
    key ^ (u64::from(from ^ to) << shift)
}

/// Spreads a key over all bits, which those of plates leave mostly alike.
pub(super) fn hash(key: u64) -> u64 {
    let wide = u128::from(key ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93_u128;
    (wide >> 64) as u64 ^ wide as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_character_has_one_code() {
        let all: Vec<char> = ('0'..='9')
            .chain('A'..='Z')
            .chain(PROVINCES.chars())
            .chain(MARKS.chars())
            .collect();
        assert_eq!(all.len(), CODES - 1);
        for (c, want) in all.iter().zip(1_u8..) {
            assert_eq!(code(*c), Some(want), "{c}");
            assert_eq!(char_of(want), *c);
        }
        assert!(CODES < usize::from(LOST));
        assert_eq!((code('a'), code('囧'), code('-')), (None, None, None));
    }

    #[test]
    fn a_key_is_its_plate() {
        for text in ["鲁E6K829", "WJ京1234X", "云S0000应急", "34A36837", "A"] {
            let codes = codes(text).unwrap();
            let key = pack(&codes).unwrap();
            assert_eq!(unpack(key).collect::<Vec<_>>(), codes);
            let other = changed(key, codes.len(), 0, codes[0], 5);
            assert_eq!(unpack(other).next(), Some(5));
            assert_eq!(
                unpack(other).skip(1).collect::<Vec<_>>(),
                codes.get(1..).unwrap()
            );
        }
        assert_eq!(codes("苏O12345"), codes("苏012345"));
        assert_ne!(codes("VO1234"), codes("V01234"));
        assert_eq!(pack(&[1; 10]), None);
        assert_eq!(pack(&[]), None);
    }
}
