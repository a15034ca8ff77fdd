//! Passages as rows of a table that grows as they come.
//!
//! The texts come from the network: control characters are taken out of them, so that no message
//! can steer the terminal that shows it.

use std::io::{self, Write};

use chrono::{FixedOffset, NaiveDate};
use indicatif::ProgressBar;
use kakou_contract::{
    HitMessage, HitState, Level, PassageMessage, Plate, PlateColour, PlateKind, SignalMessage,
    Vehicle, VehicleColourRead,
};
use kakou_guard::is_steering;
use unicode_width::UnicodeWidthStr;

const HEADINGS: [&str; 8] = [
    "time",
    "site/camera",
    "lane",
    "plate",
    "colour",
    "kind",
    "vehicle",
    "conf",
];
/// Where most rows fit; a longer cell widens its column from then on.
const WIDTHS: [usize; 8] = [12, 16, 8, 16, 6, 19, 11, 6];
const PLATE: usize = 3;
const NONE: &str = "—";

/// Makes the lines; printing them is the caller's part, see `print`.
#[derive(Debug)]
pub struct Table {
    coloured: bool,
    widths: [usize; 8],
    /// The day, and the offset from UTC, of the row before.
    day: Option<(NaiveDate, FixedOffset)>,
}

impl Table {
    pub fn new(coloured: bool) -> Self {
        Self {
            coloured,
            widths: WIDTHS,
            day: None,
        }
    }

    /// Coloured on a terminal, unless the user asked for none (no-color.org).
    pub fn for_stdout() -> Self {
        Self::new(crate::log::coloured(&io::stdout()))
    }

    /// The row of a passage; before the first one the headings, and before the first of a day its
    /// date.
    pub fn passage(&mut self, message: &PassageMessage) -> Vec<String> {
        let plate = match (&message.plate, message.no_plate_reason) {
            (Some(plate), _) => grouped(&plate.text),
            (None, Some(reason)) => format!("{NONE} ({})", reason.as_str().replace('_', " ")),
            (None, None) => NONE.to_owned(),
        };
        let read = message.plate.as_ref();
        let cells = [
            message.time.format("%H:%M:%S%.3f").to_string(),
            format!("{}/{}", message.site, message.camera),
            message
                .lane
                .as_ref()
                .map_or(NONE, |lane| {
                    lane.name.as_deref().unwrap_or(lane.id.as_str())
                })
                .to_owned(),
            plate,
            read.and_then(|plate| plate.colour)
                .map_or(NONE, |colour| colour.value.as_str())
                .replace('_', "-"),
            read.and_then(|plate| plate.kind)
                .map_or(NONE.to_owned(), kind),
            message
                .vehicle
                .as_ref()
                .map_or_else(|| NONE.to_owned(), vehicle),
            read.map_or(NONE.to_owned(), |plate| plate.confidence.to_string()),
        ];
        let colour = read
            .and_then(|plate| plate.colour)
            .map(|colour| colour.value);
        let mut row = self.row(cells, colour);
        for note in notes(message) {
            row.push_str("  ");
            row.push_str(&note);
        }
        // After the row: the headings stand above its columns.
        let mut lines = self.headings(message);
        lines.push(row);
        lines
    }

    /// A signal is no row either, and no alarm.
    pub fn signal(&self, message: &SignalMessage) -> String {
        let plate = message.plate.as_ref();
        let plate = plate.map_or(NONE.to_owned(), |plate| {
            let colour = plate.colour.map(|c| c.value);
            self.painted(&grouped(&clean(&plate.text)), colour)
        });
        let (on, off) = match self.coloured {
            true => ("\x1b[1m", "\x1b[0m"),
            false => ("", ""),
        };
        let lane = message.lane.as_ref();
        let lane = lane.map(|lane| format!(" lane {}", lane.id));
        let late = if message.is_late { " (late)" } else { "" };
        format!(
            "{on}SIGNAL {}{off} {} {plate} {}/{}{}{}{late}",
            message.kind,
            message.time.format("%H:%M:%S%.3f"),
            message.site,
            message.camera,
            lane.unwrap_or_default(),
            doubts(message),
        )
    }

    /// A hit is no row: it is a sentence that cannot be overlooked, one for each step of its life.
    pub fn hit(&self, message: &HitMessage) -> String {
        let plate = self.painted(
            &grouped(&clean(&message.plate.text)),
            message.plate.colour.map(|c| c.value),
        );
        let level = message.level.as_str().to_uppercase();
        // What takes an alarm back is none.
        let alarms = matches!(message.state, HitState::Provisional | HitState::Confirmed);
        let (on, off) = match (self.coloured, alarms) {
            (true, true) => (alarm(message.level), "\x1b[0m"),
            (true, false) => ("\x1b[1m", "\x1b[0m"),
            (false, _) => ("", ""),
        };
        let taken_back = message.retraction.as_ref().map(|why| {
            let reason = why.reason.as_str().replace('_', " ");
            let now = why
                .plate
                .as_deref()
                .map(|plate| format!(": {}", grouped(&clean(plate))));
            format!(" ({reason}{})", now.unwrap_or_default())
        });
        let differs = differs(message);
        let late = if message.is_late { " (late)" } else { "" };
        let text = format!(
            "{}/{} {}: {}; match {}{differs} {}{late}",
            message.site,
            message.camera,
            clean(&message.category),
            clean(&message.reason),
            message.doubt.kind,
            message.doubt.confidence,
        );
        let (state, taken_back) = (message.state, taken_back.unwrap_or_default());
        // The last digits tell one hit from another; those before are the time.
        let id = message.id.simple().to_string();
        let id = id.get(26..).unwrap_or_default();
        format!(
            "{on}HIT {level} {state}{off}{taken_back} {id} {} {plate} {text}",
            message.time.format("%H:%M:%S%.3f")
        )
    }

    fn headings(&mut self, message: &PassageMessage) -> Vec<String> {
        let day = (message.time.date_naive(), *message.time.offset());
        if self.day == Some(day) {
            return Vec::new();
        }
        let first = self.day.replace(day).is_none();
        let date = format!("{} (UTC{})", day.0, day.1);
        if first {
            vec![date, self.row(HEADINGS.map(str::to_owned), None)]
        } else {
            vec![date]
        }
    }

    fn row(&mut self, cells: [String; 8], colour: Option<PlateColour>) -> String {
        let mut row = String::new();
        for (at, (cell, width)) in cells.iter().zip(self.widths.iter_mut()).enumerate() {
            let cell = clean(cell);
            let wide = cell.width();
            *width = (*width).max(wide);
            let gap = *width - wide + 2;
            if at == PLATE {
                row.push_str(&paint(&cell, colour.filter(|_| self.coloured)));
            } else {
                row.push_str(&cell);
            }
            row.extend(std::iter::repeat_n(' ', gap));
        }
        row.truncate(row.trim_end().len());
        row
    }

    fn painted(&self, plate: &str, colour: Option<PlateColour>) -> String {
        paint(plate, colour.filter(|_| self.coloured))
    }
}

/// Prints lines on stdout, above a progress bar if there is one: also when the bar is hidden, for
/// example because stderr is no terminal.
pub fn print(lines: &[String], bar: Option<&ProgressBar>) -> io::Result<()> {
    let write = || {
        let mut out = io::stdout().lock();
        for line in lines {
            writeln!(out, "{line}")?;
        }
        out.flush()
    };
    bar.map_or_else(write, |bar| bar.suspend(write))
}

/// As it is written on the plate: 鲁E·6K829. Plates of other forms stay as they are.
pub fn grouped(text: &str) -> String {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(province), Some(letter)) if !province.is_ascii() && letter.is_ascii_uppercase() => {
            format!("{province}{letter}·{}", characters.as_str())
        }
        _ => text.to_owned(),
    }
}

/// What may steer a terminal or hide something as a replacement character, so that columns stay.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if is_steering(c) {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Its colour, where that is sure, and its class.
fn vehicle(vehicle: &Vehicle) -> String {
    match vehicle.colour.filter(VehicleColourRead::is_sure) {
        Some(colour) => format!("{} {}", colour.value, vehicle.class),
        None => vehicle.class.to_string(),
    }
}

/// `52 small new energy`: the code of GA 36, and its English name.
fn kind(kind: PlateKind) -> String {
    let mut text = kind.code().to_owned();
    for c in format!("{kind:?}").chars() {
        if c.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// What a reader should know before trusting the row.
fn notes(message: &PassageMessage) -> Vec<String> {
    let corrections = |plate: &Plate| {
        plate
            .corrected
            .iter()
            .map(|c| format!("{}→{}", c.from, c.to))
            .collect::<Vec<_>>()
    };
    let mut notes = Vec::new();
    if let Some(corrected) = message
        .plate
        .as_ref()
        .map(corrections)
        .filter(|list| !list.is_empty())
    {
        notes.push(clean(&format!("corrected {}", corrected.join(" "))));
    }
    if message.is_late {
        notes.push("late".to_owned());
    }
    notes
}

/// The plate as it looks on the road: 97 and 30 are white and black letters, 4x is the ground.
fn paint(text: &str, colour: Option<PlateColour>) -> String {
    let Some(colour) = colour else {
        return text.to_owned();
    };
    let style = match colour {
        PlateColour::Blue => "97;44",
        PlateColour::Yellow => "30;43",
        PlateColour::Green => "30;42",
        PlateColour::White => "30;47",
        PlateColour::Black => "97;40",
        PlateColour::YellowGreen => {
            let cut = text.char_indices().nth(2).map_or(text.len(), |(at, _)| at);
            let (left, right) = text.split_at(cut);
            return format!("\x1b[30;43m{left}\x1b[30;42m{right}\x1b[0m");
        }
    };
    format!("\x1b[{style}m{text}\x1b[0m")
}

/// What does not fit, for people.
fn doubts(message: &SignalMessage) -> String {
    let conflicts = message.conflicts.iter().map(|c| {
        let what = c.what.as_str().replace('_', " ");
        format!("{what} {}, not {}", clean(&c.seen), clean(&c.expected))
    });
    let other = message.other.as_ref().map(|other| {
        let lane = other.lane.as_ref().map(|lane| format!(" lane {}", lane.id));
        let (from, to) = (other.first_seen, other.last_seen);
        format!(
            "also at {}{} {} to {}",
            other.camera,
            lane.unwrap_or_default(),
            from.format("%H:%M:%S%.3f"),
            to.format("%H:%M:%S%.3f")
        )
    });
    let metres = message.metres.map(|metres| format!("{metres} m apart"));
    let speed = message.speed_kmh.map(|kmh| format!("{kmh} km/h at least"));
    let why = message.no_plate_reason;
    let why = why.map(|why| why.as_str().replace('_', " "));
    let rest = [other, metres, speed, why].into_iter().flatten();
    let all: Vec<String> = conflicts.chain(rest).collect();
    match all.is_empty() {
        true => String::new(),
        false => format!(": {}", all.join("; ")),
    }
}

/// Where a near match differs, for people: ` (read 0, listed D at 5)`.
fn differs(message: &HitMessage) -> String {
    let shown = |c: Option<char>| c.map_or(NONE.to_owned(), |c| clean(&c.to_string()));
    let all: Vec<String> = message
        .doubt
        .differences
        .iter()
        .map(|d| {
            let at = u32::from(d.position) + 1;
            format!("read {}, listed {} at {at}", shown(d.read), shown(d.listed))
        })
        .chain(message.doubt.contradictions.iter().map(|c| {
            let what = c.what.as_str().replace('_', " ");
            format!("{what} {}, listed {}", clean(&c.seen), clean(&c.listed))
        }))
        .collect();
    match all.is_empty() {
        true => String::new(),
        false => format!(" ({})", all.join("; ")),
    }
}

fn alarm(level: Level) -> &'static str {
    match level {
        Level::Red => "\x1b[1;97;41m",
        Level::Orange => "\x1b[1;30;43m",
        Level::Yellow => "\x1b[1;33m",
        Level::Blue => "\x1b[1;34m",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kakou_contract::{Message, NoPlateReason};

    fn golden() -> PassageMessage {
        PassageMessage::from_json(include_bytes!("../../contract/golden/passage.json")).unwrap()
    }

    fn without_colour(text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\x1b') {
            out.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        out + rest
    }

    #[test]
    fn columns_stay_aligned_by_width_on_the_screen() {
        let mut table = Table::new(true);
        let lines = table.passage(&golden());
        assert_eq!(lines.len(), 3, "day, headings, row: {lines:?}");
        let (headings, row) = (&lines[1], without_colour(&lines[2]));
        let column = |line: &str, what: &str| line.split_once(what).unwrap().0.width();
        let colour = golden().plate.unwrap().colour.unwrap().value.as_str();
        assert_eq!(
            column(headings, "colour"),
            column(&row, colour),
            "{headings}\n{row}"
        );
        assert!(
            row.contains(&grouped(&golden().plate.unwrap().text)),
            "{row}"
        );
        assert_eq!(
            table.passage(&golden()).len(),
            1,
            "headings and day are told once"
        );
    }

    #[test]
    fn a_vehicle_has_its_colour_where_that_is_sure() {
        let mut message = golden();
        let of = |message: &PassageMessage| Table::new(false).passage(message).pop().unwrap();
        assert!(of(&message).contains(" white car "), "{}", of(&message));
        let colour = message.vehicle.as_mut().unwrap().colour.as_mut().unwrap();
        colour.confidence = kakou_contract::Confidence::new(0.6);
        assert!(!of(&message).contains("white"), "{}", of(&message));
    }

    #[test]
    fn a_vehicle_without_a_plate_says_why() {
        let mut message = golden();
        message.plate = None;
        message.no_plate_reason = Some(NoPlateReason::NotReadable);
        assert!(
            Table::new(true)
                .passage(&message)
                .last()
                .unwrap()
                .contains("— (not readable)")
        );
    }

    #[test]
    fn a_hit_is_told_with_where_it_is_in_its_life() {
        let of = |golden: &[u8]| Table::new(false).hit(&HitMessage::from_json(golden).unwrap());
        let confirmed = of(include_bytes!("../../contract/golden/hit.json"));
        assert!(
            confirmed.starts_with("HIT RED confirmed fb1202 "),
            "{confirmed}"
        );
        let near = of(include_bytes!("../../contract/golden/hit-near.json"));
        assert!(near.starts_with("HIT YELLOW provisional "), "{near}");
        let differs = "match near (read 0, listed D at 5; vehicle class car, listed truck)";
        assert!(near.contains(differs), "{near}");
        let retracted = of(include_bytes!("../../contract/golden/hit-retracted.json"));
        let why = "HIT RED retracted (vote changed: 冀Z·7KDT9) ";
        assert!(retracted.starts_with(why), "{retracted}");
    }

    #[test]
    fn a_signal_says_what_does_not_fit() {
        let of = |golden: &[u8]| {
            let message = SignalMessage::from_json(golden).unwrap();
            Table::new(false).signal(&message)
        };
        let travel = of(include_bytes!("../../contract/golden/signal.json"));
        let begin = "SIGNAL travel 08:15:30.250 冀Z·7K0T9 g15-k42/cam-1 lane lane-1: ";
        assert!(travel.starts_with(begin), "{travel}");
        let end = "also at cam-2 lane lane-1 08:15:21.700 to 08:15:23.400; 1200 m apart; \
                   798 km/h at least";
        assert!(travel.ends_with(end), "{travel}");
        let conflict = of(include_bytes!(
            "../../contract/golden/signal-contradiction.json"
        ));
        let end = "plate colour yellow, not green";
        assert!(conflict.ends_with(end), "{conflict}");
        let wrong_way = of(include_bytes!(
            "../../contract/golden/signal-wrong-way.json"
        ));
        assert!(
            wrong_way.starts_with("SIGNAL wrong_way 08:18:20.330 — "),
            "{wrong_way}"
        );
    }

    #[test]
    fn plates_are_grouped_as_on_the_road() {
        assert_eq!(grouped("鲁E6K829"), "鲁E·6K829");
        assert_eq!(grouped("京AD12345"), "京A·D12345");
        assert_eq!(grouped("使014578"), "使014578");
        assert_eq!(grouped("WJ鲁12345"), "WJ鲁12345");
        assert_eq!(grouped(""), "");
    }

    #[test]
    fn colour_only_where_it_is_wanted_and_both_halves_of_yellow_green() {
        assert!(
            !Table::new(false)
                .passage(&golden())
                .concat()
                .contains('\x1b')
        );
        let painted = paint("京A·12345D", Some(PlateColour::YellowGreen));
        assert_eq!(painted, "\x1b[30;43m京A\x1b[30;42m·12345D\x1b[0m");
    }

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        let mut message = golden();
        let mut plate = message.plate.take().unwrap();
        plate.text = "\x1b[2J\u{202e}鲁\u{9b}E\n".to_owned();
        message.plate = Some(plate);
        let lines = Table::new(false).passage(&message).concat();
        assert!(
            !lines.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{lines:?}"
        );
    }

    #[test]
    fn kinds_have_code_and_name() {
        assert_eq!(kind(PlateKind::SmallNewEnergy), "52 small new energy");
        assert_eq!(kind(PlateKind::Small), "02 small");
    }
}
