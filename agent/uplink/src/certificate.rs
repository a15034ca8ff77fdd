//! From when until when a certificate holds. The TLS library checks it and does not tell.

use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::tls::{TlsError, certificates};

/// ASN.1's tags, as DER writes them.
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALISED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dates {
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
}

/// Those of all certificates in a PEM file.
pub fn of_file(path: &Path) -> Result<Vec<Dates>, TlsError> {
    let all = certificates(path)?;
    Ok(all.iter().filter_map(|der| of_der(der)).collect())
}

/// Those of one certificate in DER. `None`: it is none.
pub fn of_der(der: &[u8]) -> Option<Dates> {
    let (certificate, _) = tagged(der, SEQUENCE)?;
    let (mut rest, _) = tagged(certificate, SEQUENCE)?;
    // RFC 5280: version (not in version 1), serial number, signature, issuer, validity.
    if let Some((_, after)) = tagged(rest, VERSION) {
        rest = after;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = tagged(rest, tag)?.1;
    }
    let (validity, _) = tagged(rest, SEQUENCE)?;
    let (not_before, after) = time(validity)?;
    let (not_after, _) = time(after)?;
    Some(Dates {
        not_before,
        not_after,
    })
}

fn time(bytes: &[u8]) -> Option<(DateTime<Utc>, &[u8])> {
    let (text, rest, century) = match tagged(bytes, UTC_TIME) {
        Some((text, rest)) => (text, rest, true),
        None => {
            let (text, rest) = tagged(bytes, GENERALISED_TIME)?;
            (text, rest, false)
        }
    };
    let text = std::str::from_utf8(text).ok()?;
    let whole = match (century, text.get(..2)?.parse::<u8>()) {
        // RFC 5280: two digits from 50 on are of the last century.
        (true, Ok(50..)) => format!("19{text}"),
        (true, _) => format!("20{text}"),
        (false, _) => text.to_owned(),
    };
    let time = NaiveDateTime::parse_from_str(&whole, "%Y%m%d%H%M%SZ").ok()?;
    Some((time.and_utc(), rest))
}

/// The content of a value of this tag, and what follows it.
fn tagged(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    if found != tag {
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // So many bytes of length follow; four are enough for any certificate.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0, |sum, d| sum << 8 | usize::from(*d));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn certificate(from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut of = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        of.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        of.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        of.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificates_dates_are_read() {
        for (from, until) in [
            ((2024, 1, 2), (2031, 12, 30)),
            // Beyond 2049 times are written with four digits.
            ((1999, 5, 6), (2061, 7, 8)),
        ] {
            let dates = of_der(&certificate(from, until)).unwrap();
            let shown = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M:%S").to_string();
            let wanted = |(y, m, d): (i32, u8, u8)| format!("{y}-{m:02}-{d:02} 00:00:00");
            assert_eq!(shown(dates.not_before), wanted(from));
            assert_eq!(shown(dates.not_after), wanted(until));
        }
    }

    #[test]
    fn a_cut_certificate_has_no_dates_or_the_right_ones() {
        let whole = certificate((2024, 1, 2), (2031, 12, 30));
        let dates = of_der(&whole);
        for length in 0..whole.len() {
            let cut = of_der(&whole[..length]);
            assert!(cut.is_none() || cut == dates, "{length}");
        }
        assert_eq!(
            of_der(&whole[..whole.len() - 1]),
            None,
            "its length is told"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = of_der(&bytes);
        }
    }
}
