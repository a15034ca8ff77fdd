//! When and where an entry holds.

use chrono::{DateTime, FixedOffset};
use kakou_contract::Direction;

use crate::schedule::{Schedule, Span};

/// When and where; empty: always and everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    pub when: Schedule,
    /// `when` as it was written, for people and for an export.
    pub days: String,
    pub hours: String,
    /// Ids of cameras; empty: all.
    pub cameras: Vec<String>,
    /// Ids of lanes; empty: all, and outside of lanes.
    pub lanes: Vec<String>,
    /// A vehicle whose direction could not be told meets it too: a hit too many is seen by a
    /// person, one too few by nobody.
    pub direction: Option<Direction>,
}

/// Where a vehicle is seen.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    pub camera: &'a str,
    pub lane: Option<&'a str>,
    pub direction: Direction,
}

impl Rules {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// `at`: now, by a clock that is right; without one no schedule applies.
    pub fn hold(&self, seen: &Sighting<'_>, at: Option<DateTime<FixedOffset>>) -> bool {
        let camera = self.cameras.is_empty() || self.cameras.iter().any(|c| c == seen.camera);
        let lane = self.lanes.is_empty()
            || seen
                .lane
                .is_some_and(|lane| self.lanes.iter().any(|l| l == lane));
        let direction = self.direction.is_none_or(|wanted| {
            matches!(seen.direction, Direction::Unknown | Direction::Standing)
                || seen.direction == wanted
        });
        camera && lane && direction && at.is_none_or(|at| self.when.is_on(at.naive_local()))
    }

    /// From days ("mon-fri", "周一至周五") and hours ("22:00-06:00; 12:00-13:00").
    pub fn set_times(&mut self, days: &str, hours: &str) -> Result<(), String> {
        let plain_days = plain_days(days);
        let plain_hours = plain(hours);
        let each = match plain_hours.is_empty() {
            true => vec!["00:00-24:00"],
            false => plain_hours
                .split([',', ';', ' '])
                .filter(|h| !h.is_empty())
                .collect(),
        };
        if plain_days.is_empty() && plain_hours.is_empty() {
            return Ok(());
        }
        let spans = each.iter().map(|hours| {
            let text = match plain_days.is_empty() {
                true => (*hours).to_owned(),
                false => format!("{plain_days} {hours}"),
            };
            text.parse::<Span>().map_err(|e| e.to_string())
        });
        self.when = Schedule(spans.collect::<Result<_, _>>()?);
        days.clone_into(&mut self.days);
        hours.clone_into(&mut self.hours);
        Ok(())
    }
}

/// Half-width, and one sign for each thing that people write in several ways.
fn plain(text: &str) -> String {
    text.trim()
        .chars()
        .map(|c| match c {
            '：' => ':',
            '；' | ';' | '、' | '，' => ',',
            '—' | '–' | '～' | '~' | '至' | '到' | '－' => '-',
            '０'..='９' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
            c => c,
        })
        .collect::<String>()
        .replace("--", "-")
        .replace(" -", "-")
        .replace("- ", "-")
}

fn plain_days(text: &str) -> String {
    let mut days = plain(text).to_lowercase().replace(' ', "");
    for (named, plain) in [
        ("每天", ""),
        ("每日", ""),
        ("daily", ""),
        ("工作日", "mon-fri"),
        ("weekdays", "mon-fri"),
        ("周末", "sat,sun"),
        ("weekend", "sat,sun"),
        ("monday", "mon"),
        ("tuesday", "tue"),
        ("wednesday", "wed"),
        ("thursday", "thu"),
        ("friday", "fri"),
        ("saturday", "sat"),
        ("sunday", "sun"),
    ] {
        days = days.replace(named, plain);
    }
    for week in ["星期", "礼拜", "周"] {
        for (number, day) in "一二三四五六日天1234567"
            .chars()
            .zip("mon tue wed thu fri sat sun sun mon tue wed thu fri sat sun".split(' '))
        {
            days = days.replace(&format!("{week}{number}"), day);
        }
    }
    days
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rules(days: &str, hours: &str) -> Rules {
        let mut rules = Rules::default();
        rules.set_times(days, hours).unwrap();
        rules
    }

    #[test]
    fn days_and_hours_as_people_write_them() {
        // 2026-03-13 is a Friday.
        let on = |rules: &Rules, at: &str| {
            let seen = Sighting {
                camera: "cam-1",
                lane: None,
                direction: Direction::Unknown,
            };
            rules.hold(&seen, Some(DateTime::parse_from_rfc3339(at).unwrap()))
        };
        let friday_noon = "2026-03-13T12:00:00+08:00";
        let saturday_noon = "2026-03-14T12:00:00+08:00";
        for days in [
            "mon-fri",
            "周一至周五",
            "星期一－星期五",
            "工作日",
            "Monday - Friday",
            "周1-周5",
        ] {
            let rules = rules(days, "");
            assert!(on(&rules, friday_noon), "{days}");
            assert!(!on(&rules, saturday_noon), "{days}");
        }
        for hours in [
            "11:00-13:00",
            "11：00～13：00",
            "01:00-02:00; 11:30-12:30",
            "11:00 至 13:00",
        ] {
            let rules = rules("", hours);
            assert!(on(&rules, saturday_noon), "{hours}");
            assert!(!on(&rules, "2026-03-14T14:00:00+08:00"), "{hours}");
        }
        assert!(on(&rules("", ""), friday_noon) && rules("每天", "").is_empty());
        let mut bad = Rules::default();
        let why = bad.set_times("someday", "").unwrap_err();
        assert!(why.contains("`someday`"), "{why}");
        assert!(bad.set_times("", "25:00-26:00").is_err());
    }

    #[test]
    fn a_clock_that_is_wrong_closes_nothing() {
        let rules = rules("mon", "03:00-03:01");
        let seen = Sighting {
            camera: "cam-1",
            lane: Some("1"),
            direction: Direction::Leaving,
        };
        assert!(rules.hold(&seen, None));
        let here = |cameras: &[&str], lanes: &[&str], direction| Rules {
            cameras: cameras.iter().map(|c| (*c).to_owned()).collect(),
            lanes: lanes.iter().map(|l| (*l).to_owned()).collect(),
            direction,
            ..Rules::default()
        };
        assert!(here(&["cam-2", "cam-1"], &["1"], Some(Direction::Leaving)).hold(&seen, None));
        assert!(!here(&["cam-2"], &[], None).hold(&seen, None));
        assert!(!here(&[], &["2"], None).hold(&seen, None));
        assert!(!here(&[], &[], Some(Direction::Approaching)).hold(&seen, None));
        let unsaid = Sighting {
            lane: None,
            direction: Direction::Unknown,
            ..seen
        };
        assert!(here(&[], &[], Some(Direction::Approaching)).hold(&unsaid, None));
        assert!(!here(&[], &["1"], None).hold(&unsaid, None));
    }
}
