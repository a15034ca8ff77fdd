//! What `kakou eval` prints of its counts.

use super::common::print_line;
use crate::measure::eval::{GroupScore, PlateOutcome, Report, TruthPicture};

pub(super) fn name_errors(
    picture: &TruthPicture,
    outcomes: &[PlateOutcome],
    false_reads: &[String],
) {
    let image = picture.image.display();
    for (plate, outcome) in picture.plates.iter().zip(outcomes) {
        match outcome {
            PlateOutcome::Right => {}
            PlateOutcome::Wrong { read } => eprintln!("{image}: {} was read {read}", plate.text),
            PlateOutcome::Missed => eprintln!("{image}: {} was missed", plate.text),
        }
    }
    for text in false_reads {
        eprintln!("{image}: {text} was read where no plate is");
    }
}

pub(super) fn show(r: &Report) -> anyhow::Result<()> {
    let part =
        |n: usize, of: usize| format!("{n} of {of} ({:.1} %)", n as f64 * 100.0 / of.max(1) as f64);
    print_line(&format!("pictures           {}", r.pictures))?;
    print_line(&format!("whole plates right {}", part(r.right, r.plates)))?;
    print_line(&format!("  wrong, missed    {}, {}", r.wrong, r.missed))?;
    print_line(&format!(
        "characters right   {}",
        part(r.characters_right, r.characters)
    ))?;
    print_line(&format!("false reads        {}", r.false_reads))?;
    if r.colours > 0 {
        print_line(&format!(
            "colours right      {}",
            part(r.colours_right, r.colours)
        ))?;
    }
    print_line(&format!(
        "provinces read wrong, surely {}",
        r.sure_wrong_provinces
    ))?;
    let group = |name: &str, s: &GroupScore| {
        print_line(&format!("  {name:<16} {}", part(s.right, s.plates)))
    };
    for (colour, s) in &r.by_colour {
        group(colour, s)?;
    }
    for (rows, s) in &r.by_rows {
        group(&format!("{rows} row(s)"), s)?;
    }
    for (length, s) in &r.by_length {
        group(&format!("{length} characters"), s)?;
    }
    for (kind, s) in &r.by_kind {
        group(&format!("kind {kind}"), s)?;
    }
    if r.hard.plates > 0 {
        group("hard to read", &r.hard)?;
    }
    for (province, s) in &r.by_province {
        group(province, s)?;
    }
    for (want, got, n) in r.confusions.iter().take(12) {
        print_line(&format!("  {want} read as {got}      {n}"))?;
    }
    print_line(&format!("per picture        {:.1} ms", r.ms_per_picture))
}
