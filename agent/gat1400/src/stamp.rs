//! Times as the standard writes them: `yyyyMMddHHmmss`, of Beijing, without a zone.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDateTime, TimeZone};

use crate::fault::FieldError;

const BEIJING_S: i32 = 8 * 3_600;
const FORM: &str = "%Y%m%d%H%M%S";

fn beijing() -> Option<FixedOffset> {
    FixedOffset::east_opt(BEIJING_S)
}

/// `time` in Beijing; what is below the second is cut off. `field` names it in the error.
pub fn text(field: &str, time: &DateTime<FixedOffset>) -> Result<String, FieldError> {
    let local = beijing().map(|zone| time.with_timezone(&zone));
    match local {
        Some(local) if (1_000..=9_999).contains(&local.year()) => {
            Ok(local.format(FORM).to_string())
        }
        _ => Err(FieldError::new(
            field,
            format!("{time} has no year of four digits in Beijing"),
            "set the clock of the box",
        )),
    }
}

/// Reads 14 digits, or 17 with milliseconds; RFC 3339 too, since some libraries write it.
pub fn parse(field: &str, text: &str) -> Result<DateTime<FixedOffset>, FieldError> {
    read(text).ok_or_else(|| {
        FieldError::new(
            field,
            format!("{:?} is no time", crate::fault::shown(text)),
            "write yyyyMMddHHmmss in Beijing time",
        )
    })
}

fn read(text: &str) -> Option<DateTime<FixedOffset>> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return DateTime::parse_from_rfc3339(text).ok();
    }
    let (seconds, millis) = match text.len() {
        14 => (text, 0),
        17 => (text.get(..14)?, text.get(14..)?.parse::<i64>().ok()?),
        _ => return None,
    };
    let local = NaiveDateTime::parse_from_str(seconds, FORM).ok()?;
    let time = beijing()?.from_local_datetime(&local).single()?;
    time.checked_add_signed(chrono::Duration::milliseconds(millis))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_zone_is_written_in_beijing_time() {
        for (read, written) in [
            ("2031-05-04T08:15:30.950+08:00", "20310504081530"),
            ("2031-05-04T00:15:30Z", "20310504081530"),
            ("2031-12-31T20:00:00-04:00", "20320101080000"),
        ] {
            let time = DateTime::parse_from_rfc3339(read).unwrap();
            assert_eq!(text("PassTime", &time).unwrap(), written);
        }
        let late = DateTime::parse_from_rfc3339("9999-12-31T23:59:59-08:00").unwrap();
        let e = text("PassTime", &late).unwrap_err().to_string();
        assert!(
            e.starts_with("PassTime: ") && e.contains("clock of the box"),
            "{e}"
        );
    }

    #[test]
    fn what_is_no_time_is_named() {
        for bad in [
            "",
            "2031050408153",
            "20310230081530",
            "20310504246060",
            "soon",
            "２０３１０５０４０８１５３０",
        ] {
            let e = parse("BeginTime", bad).unwrap_err().to_string();
            assert!(e.contains("yyyyMMddHHmmss"), "{bad}: {e}");
        }
        let millis = parse("t", "20310504081530250").unwrap();
        assert_eq!(millis.timestamp_subsec_millis(), 250);
        assert_eq!(parse("t", "2031-05-04T00:15:30.250Z").unwrap(), millis);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0_i64..253_000_000_000) {
            let time = DateTime::from_timestamp(seconds, 0).unwrap().fixed_offset();
            let written = text("t", &time).unwrap();
            prop_assert_eq!(written.len(), 14);
            prop_assert_eq!(parse("t", &written).unwrap(), time);
        }
    }
}
