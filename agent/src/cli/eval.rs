//! `kakou eval`: accuracy on pictures whose plates are known.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::common::{ConfigArgs, print_line};
use crate::measure::eval::{GroupScore, PlateOutcome, Report, Score, TruthPicture, read_truth};
use kakou_sight::camera::decode;
use kakou_sight::vision::{Opener, PlateFinder};
use kakou_time::Stopwatch;
use kakou_traffic::detections::PlateFind;

/// Measure accuracy on a folder of pictures with a truth.jsonl.
///
/// A line of truth.jsonl is {"image", "text"} for a cropped plate, {"image", "text", "colour",
/// "quad"} for a cut-out in which the plate must be found, or {"image", "plates": [{"text",
/// "colour", "quad"}]} for a whole frame; a plate may also have "rows" and "hard". A plates.jsonl beside it is preferred. Every picture is
/// looked at by itself, at several scales; recordings are measured with `kakou replay --truth`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with pictures and truth.jsonl, or such a file.
    set: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
    /// Print one JSON object on stdout: pictures, plates, right, wrong, missed, false_reads,
    /// by_province, by_kind, ms_per_picture, ...
    #[arg(long)]
    json: bool,
    /// Name every plate that was not read right, and every false read, on stderr.
    #[arg(long)]
    errors: bool,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let pictures = read_truth(&args.set)?;
    let mut plates = Opener::new(&config.models)?.plates()?;
    let mut score = Score::default();
    let mut spent = Duration::ZERO;
    for picture in &pictures {
        let image = match decode(&picture.image) {
            Ok(i) => i,
            Err(e) => {
                let reason = format!("{}: {e}", picture.image.display());
                eprintln!("kakou: {reason}");
                score.broken(picture, reason);
                continue;
            }
        };
        let start = Stopwatch::start();
        let finds = look(&mut plates, picture, &image)?;
        spent += start.elapsed();
        let (outcomes, false_reads) = score.add(picture, &finds);
        if args.errors {
            name_errors(picture, &outcomes, &false_reads);
        }
    }
    let report = score.finish(spent);
    if args.json {
        print_line(&serde_json::to_string(&report)?)?;
    } else {
        show(&report)?;
    }
    Ok(if report.broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn look(
    plates: &mut PlateFinder,
    picture: &TruthPicture,
    image: &image::RgbImage,
) -> anyhow::Result<Vec<PlateFind>> {
    Ok(if picture.is_crop {
        vec![plates.read_crop(image)?]
    } else {
        plates.still(image)?
    })
}

fn name_errors(picture: &TruthPicture, outcomes: &[PlateOutcome], false_reads: &[String]) {
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

fn show(r: &Report) -> anyhow::Result<()> {
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
