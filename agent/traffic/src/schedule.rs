//! When a camera is on duty: `"mon-fri 06:00-22:00"`, local time. Pure.

use std::str::FromStr;

use chrono::{Datelike, NaiveDateTime, NaiveTime, Weekday};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Spans of time in a week; none at all means always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule(pub Vec<Span>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// From Monday on: the days on which it begins.
    days: [bool; 7],
    from: NaiveTime,
    /// Up to and without; before or at `from`: of the next day.
    to: NaiveTime,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no span: {why}; write \"mon-fri 06:00-22:00\", \"sat,sun 22:00-06:00\" or \"06:00-22:00\""
)]
pub struct SpanError {
    text: String,
    why: String,
}

impl Schedule {
    pub fn is_on(&self, now: NaiveDateTime) -> bool {
        self.0.is_empty() || self.0.iter().any(|s| s.holds(now))
    }
}

impl Span {
    fn holds(&self, now: NaiveDateTime) -> bool {
        let day = |d: Weekday| self.days[d.num_days_from_monday() as usize];
        let (today, time) = (now.weekday(), now.time());
        if self.from < self.to {
            return day(today) && time >= self.from && time < self.to;
        }
        // Over midnight: since today, or since yesterday.
        (day(today) && time >= self.from) || (day(today.pred()) && time < self.to)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let wrong = |why: String| SpanError {
            text: text.to_owned(),
            why,
        };
        let lower = text.trim().to_ascii_lowercase();
        let (days, times) = match lower.rsplit_once(' ') {
            Some((days, times)) => (days_of(days).map_err(wrong)?, times.to_owned()),
            None => ([true; 7], lower),
        };
        let (from, to) = times
            .split_once('-')
            .ok_or_else(|| wrong("the times are missing".into()))?;
        let time = |t: &str| match t.trim() {
            "24:00" => Ok(NaiveTime::MIN),
            t => NaiveTime::parse_from_str(t, "%H:%M")
                .map_err(|_| wrong(format!("`{t}` is no time of day"))),
        };
        Ok(Self {
            days,
            from: time(from)?,
            to: time(to)?,
        })
    }
}

fn days_of(text: &str) -> Result<[bool; 7], String> {
    let day = |name: &str| {
        let name = name.trim();
        DAYS.iter()
            .position(|d| *d == name)
            .ok_or_else(|| format!("`{name}` is no day ({})", DAYS.join(" ")))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((a, b)) => (day(a)?, day(b)?),
            None => (day(part)?, day(part)?),
        };
        let mut at = first;
        loop {
            days[at] = true;
            if at == last {
                break;
            }
            at = (at + 1) % 7;
        }
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn on(spans: &[&str], at: &str) -> bool {
        let s = Schedule(spans.iter().map(|s| s.parse().unwrap()).collect());
        s.is_on(NaiveDateTime::parse_from_str(at, "%Y-%m-%d %H:%M").unwrap())
    }

    #[test]
    fn spans_hold_when_they_say() {
        // 2026-03-13 is a Friday.
        assert!(on(&[], "2026-03-14 03:00"));
        assert!(on(&["mon-fri 06:00-22:00"], "2026-03-13 06:00"));
        assert!(!on(&["mon-fri 06:00-22:00"], "2026-03-13 22:00"));
        assert!(!on(&["mon-fri 06:00-22:00"], "2026-03-14 12:00"));
        assert!(on(&["fri 22:00-06:00"], "2026-03-14 05:59"));
        assert!(!on(&["fri 22:00-06:00"], "2026-03-14 22:30"));
        assert!(on(&["sat-mon 00:00-24:00"], "2026-03-15 12:00"));
        assert!(on(
            &["mon,sat 08:00-09:00", "10:00-11:00"],
            "2026-03-15 10:30"
        ));
    }

    #[test]
    fn what_is_no_span_says_why() {
        for (text, part) in [
            ("noon", "missing"),
            ("mon 25:00-26:00", "25:00"),
            ("mo-fr 06:00-07:00", "`mo`"),
        ] {
            let e = text.parse::<Span>().unwrap_err().to_string();
            assert!(e.contains(part) && e.contains("mon-fri 06:00-22:00"), "{e}");
        }
    }
}
