//! Dates and times as people and spreadsheets write them.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};

/// Which side of a validity a date is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// A day begins at midnight.
    From,
    /// A day ends at its last second.
    Until,
}

/// Words for "no end".
const OPEN: &[&str] = &[
    "长期",
    "长期有效",
    "永久",
    "永久有效",
    "无",
    "无期限",
    "-",
    "—",
    "none",
    "never",
    "permanent",
];

/// A time; `None`: open. Days are days in China.
pub(super) fn time(
    column: &str,
    text: &str,
    side: Side,
) -> Result<Option<DateTime<FixedOffset>>, String> {
    let text = text.trim();
    if text.is_empty() || OPEN.contains(&text.to_lowercase().as_str()) {
        return Ok(None);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(Some(time));
    }
    let wrong = || {
        format!(
            "{column} {text:?} is neither a date (2031-05-04, 2031年5月4日) nor a time \
             (2031-05-04 08:00, 2031-05-04T08:00:00+08:00)"
        )
    };
    let (day, time) = split(text).ok_or_else(wrong)?;
    let day = date(&day).ok_or_else(wrong)?;
    let last = NaiveTime::from_hms_opt(23, 59, 59).ok_or_else(wrong)?;
    let time = match (time.as_deref(), side) {
        (None, Side::From) => NaiveTime::MIN,
        (None | Some("24:00" | "24:00:00"), Side::Until) => last,
        (Some(text), side) => {
            let time = ["%H:%M", "%H:%M:%S", "%H:%M:%S%.f"]
                .iter()
                .find_map(|format| NaiveTime::parse_from_str(text, format).ok())
                .ok_or_else(wrong)?;
            // Midnight is what a spreadsheet makes of a date without a time.
            match side {
                Side::Until if time == NaiveTime::MIN => last,
                _ => time,
            }
        }
    };
    let china = FixedOffset::east_opt(8 * 3600).ok_or_else(wrong)?;
    let local = NaiveDateTime::new(day, time).and_local_timezone(china);
    local.single().map(Some).ok_or_else(wrong)
}

/// The day, and the time if there is one, in half-width characters.
fn split(text: &str) -> Option<(String, Option<String>)> {
    let plain: String = text
        .chars()
        .map(|c| match c {
            '０'..='９' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
            '：' => ':',
            '／' => '/',
            '－' => '-',
            '\u{3000}' => ' ',
            c => c,
        })
        .collect();
    // "2031年5月4日8时30分"
    if let Some((day, time)) = plain.split_once('日') {
        let time = time
            .trim()
            .replace(['时', '点', '分'], ":")
            .replace('秒', "");
        let time = time.trim_end_matches(':');
        let time = match (time.is_empty(), time.contains(':')) {
            (true, _) => None,
            (false, true) => Some(time.to_owned()),
            (false, false) => Some(format!("{time}:00")),
        };
        return Some((day.to_owned(), time));
    }
    match plain.split_once([' ', 'T']) {
        Some((day, time)) => Some((day.to_owned(), Some(time.trim().to_owned()))),
        None => Some((plain, None)),
    }
}

/// Year first: the order of the others is not to be guessed.
fn date(text: &str) -> Option<NaiveDate> {
    if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        return NaiveDate::parse_from_str(text, "%Y%m%d").ok();
    }
    let mut parts = text
        .split(['-', '/', '.', '年', '月'])
        .filter(|p| !p.is_empty());
    let mut number = || parts.next()?.trim().parse::<u32>().ok();
    let (year, month, day) = (number()?, number()?, number()?);
    let fits = (1990..=9999).contains(&year) && parts.next().is_none();
    fits.then(|| NaiveDate::from_ymd_opt(year as i32, month, day))
        .flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn until(text: &str) -> Option<String> {
        let time = time("valid_until", text, Side::Until).unwrap();
        time.map(|t| t.to_rfc3339())
    }

    #[test]
    fn a_day_is_written_in_many_ways() {
        for text in [
            "2031-05-04",
            "2031/5/4",
            "2031-5-4",
            "2031.5.4",
            "20310504",
            "2031年5月4日",
            "2031年05月04日",
            "2031/5/4 0:00",
            "2031-05-04 00:00:00",
            "2031-05-04 24:00",
            "２０３１／５／４",
        ] {
            assert_eq!(until(text).unwrap(), "2031-05-04T23:59:59+08:00", "{text}");
        }
        for text in [
            "2031-05-04 08:30",
            "2031/5/4 8:30",
            "2031年5月4日 8:30",
            "2031年5月4日8时30分",
            "2031-05-04T08:30:00",
        ] {
            assert_eq!(until(text).unwrap(), "2031-05-04T08:30:00+08:00", "{text}");
        }
        assert_eq!(
            until("2031-05-04T08:30:00Z").unwrap(),
            "2031-05-04T08:30:00+00:00"
        );
        let from = time("valid_from", "2031/5/4", Side::From).unwrap().unwrap();
        assert_eq!(from.to_rfc3339(), "2031-05-04T00:00:00+08:00");
    }

    #[test]
    fn what_is_no_date_is_told_and_what_has_no_end_is_open() {
        for text in [
            "tomorrow",
            "5/4/2031",
            "2031-13-01",
            "31-05-04",
            "2031",
            "2031-05-04 25:00",
        ] {
            let why = time("valid_until", text, Side::Until).unwrap_err();
            assert!(why.contains(text) && why.contains("2031-05-04"), "{why}");
        }
        for text in ["", " ", "长期", "永久", "-", "never"] {
            assert_eq!(until(text), None, "{text}");
        }
    }
}
