//! `kakou eval`: accuracy on pictures whose plates are known, and whether what is said of them holds.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::common::{ConfigArgs, print_line};
use super::eval_calibration::Calibration;
use super::eval_hits::HitFigures;
use super::eval_report::{name_errors, show};
use super::eval_vehicles::VehicleFigures;
use crate::config::Config;
use crate::measure::eval::{
    Confusions, Recording, Score, TruthPicture, matches, read_truth, recordings, stories,
};
use kakou_sight::camera::decode;
use kakou_sight::vision::{ModelPool, Opener, PlateFinder};
use kakou_time::Stopwatch;
use kakou_traffic::detections::PlateFind;
use kakou_traffic::plate::{Ballot, VoteConfig};

/// Measure accuracy on folders of pictures with a truth.jsonl each.
///
/// A line of truth.jsonl is {"image", "text"} for a cropped plate, {"image", "text", "colour",
/// "quad"} for a cut-out in which the plate must be found, or {"image", "plates": [{"text",
/// "colour", "quad"}]} for a whole frame; a plate may also have "rows" and "hard". A plates.jsonl beside it is preferred. Every picture is
/// looked at by itself, at several scales; recordings are measured with `kakou replay --truth`, and
/// by --calibration.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders with pictures and truth.jsonl, such files, or folders of such folders.
    #[arg(required = true, value_name = "SET")]
    sets: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Print one JSON object on stdout: pictures, plates, right, wrong, missed, false_reads,
    /// by_province, by_kind, ms_per_picture, ...
    #[arg(long)]
    json: bool,
    /// Name every plate that was not read right, and every false read, on stderr.
    #[arg(long)]
    errors: bool,
    /// Print how often texts were right that were said with a probability: of single reads, and for
    /// sets whose truth.jsonl names recordings ({"footage", "passages"}) of the votes after 1, 2,
    /// 4, 8 and all reads of a vehicle, and what an early word would be worth by its threshold.
    #[arg(long)]
    calibration: bool,
    /// With --calibration: write what each probability was made of into this file, a JSON object a
    /// line. models/train/calibration fits the weights on it.
    #[arg(long, value_name = "FILE", requires = "calibration")]
    signs: Option<PathBuf>,
    /// With --calibration: frames a second of a recording without times.
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = super::replay::positive, requires = "calibration")]
    fps: f64,
    /// Print what a watchlist would make of the reads: hits of listed plates that were read right,
    /// near hits of those read with one character wrong, and hits of plates that are not listed.
    #[arg(long, conflicts_with = "calibration")]
    hits: bool,
    /// Print how often the colour of a picture's largest vehicle is right, where its line of
    /// truth.jsonl names it ("vehicle_colours": ["white"]; of several, any is right).
    #[arg(long, conflicts_with_all = ["calibration", "hits", "confusions", "errors"])]
    vehicles: bool,
    /// Write what was read for which character into this file (CSV).
    #[arg(long, value_name = "FILE")]
    confusions: Option<PathBuf>,
}

/// One of the sets given.
enum Set {
    Pictures(Vec<TruthPicture>),
    Recordings(Vec<Recording>),
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let mut sets = Vec::new();
    for given in &args.sets {
        for path in folders(given) {
            let name = name_of(&path);
            let set = match (recordings(&path), read_truth(&path)) {
                (Some(recordings), _) if args.calibration => Set::Recordings(recordings),
                (_, Ok(pictures)) => Set::Pictures(pictures),
                // Footage beside the sets of pictures.
                (Some(_), Err(_)) if path != *given => continue,
                (_, Err(e)) => return Err(e.into()),
            };
            sets.push((name, set));
        }
    }
    if args.vehicles {
        return vehicles(&args, &config, &sets);
    }
    let mut calibration = Calibration::new(args.signs.as_deref())?;
    let mut plates = Opener::new(&config.models)?.plates()?;
    let mut pool = None;
    let mut confusions = Confusions::default();
    let mut hits = HitFigures::default();
    let mut score = Score::default();
    let mut spent = Duration::ZERO;
    for (name, set) in &sets {
        match set {
            Set::Pictures(pictures) => {
                for picture in pictures {
                    let Some((finds, took)) = look_at(&mut plates, picture, &mut score)? else {
                        continue;
                    };
                    spent += took;
                    let matched = matches(picture, &finds);
                    for (plate, at) in picture.plates.iter().zip(&matched.plates) {
                        hits.add(plate, at.and_then(|i| finds.get(i)))?;
                        let Some(find) = at.and_then(|i| finds.get(i)) else {
                            continue;
                        };
                        if let Some(read) = &find.read {
                            confusions.add(&plate.text, read);
                        }
                        calibration.single(name, picture, plate, find)?;
                    }
                    let (outcomes, false_reads) = score.add(picture, &finds);
                    if args.errors {
                        name_errors(picture, &outcomes, &false_reads);
                    }
                }
            }
            Set::Recordings(recordings) => {
                let pool = match &mut pool {
                    Some(pool) => pool,
                    none => none.insert(ModelPool::open(&config.models, 1)?),
                };
                for recording in recordings {
                    let stories = stories(&mut pool.take(), &config.look, recording, args.fps)?;
                    calibration.stories(name, recording, stories)?;
                }
            }
        }
    }
    let report = score.finish(spent);
    if let Some(path) = &args.confusions {
        let csv = confusions.csv(&command());
        std::fs::write(path, csv).with_context(|| format!("writing {}", path.display()))?;
    }
    if args.hits {
        hits.print(args.json)?;
    } else if args.calibration {
        calibration.print(args.json)?;
    } else if args.json {
        print_line(&serde_json::to_string(&report)?)?;
    } else if args.confusions.is_some() {
        for (truth, read, n, of) in confusions.worst().into_iter().take(40) {
            print_line(&format!("  {truth} read as {read}      {n} of {of}"))?;
        }
    } else {
        show(&report)?;
    }
    Ok(if report.broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn vehicles(args: &Args, config: &Config, sets: &[(String, Set)]) -> anyhow::Result<ExitCode> {
    let mut figures = VehicleFigures::open(config)?;
    for (_, set) in sets {
        if let Set::Pictures(pictures) = set {
            for picture in pictures {
                figures.add(picture)?;
            }
        }
    }
    figures.print(args.json)?;
    Ok(ExitCode::SUCCESS)
}

/// What a single picture says of a plate; `None`: it was not read.
pub(super) fn single_ballot(find: &PlateFind) -> Option<Ballot> {
    let read = find.read.as_ref()?;
    let mut ballot = Ballot::new(VoteConfig::default());
    if let Some((colour, sure)) = find.colour {
        ballot.add_colour(colour, sure, find.legibility);
    }
    ballot.add(read, find.legibility);
    Some(ballot)
}

/// The folder itself, or those in it that have a truth, where it has none.
fn folders(given: &Path) -> Vec<PathBuf> {
    let has_truth = |path: &Path| {
        ["truth.jsonl", "plates.jsonl"]
            .iter()
            .any(|f| path.join(f).is_file())
    };
    let mut inside: Vec<PathBuf> = match std::fs::read_dir(given) {
        Ok(entries) if !has_truth(given) => entries
            .filter_map(|e| e.ok().map(|e| e.path()))
            .filter(|path| has_truth(path))
            .collect(),
        _ => Vec::new(),
    };
    inside.sort();
    if inside.is_empty() {
        inside.push(given.to_path_buf());
    }
    inside
}

fn name_of(set: &Path) -> String {
    let full = set.canonicalize().unwrap_or_else(|_| set.to_path_buf());
    let folder = if full.is_file() {
        full.parent()
    } else {
        Some(full.as_path())
    };
    let name = folder.and_then(Path::file_name).unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// How this was called, for the head of a table.
fn command() -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    format!("kakou {}", words.join(" "))
}

/// What is found in a picture, and the time that it took; `None`: it cannot be read.
fn look_at(
    plates: &mut PlateFinder,
    picture: &TruthPicture,
    score: &mut Score,
) -> anyhow::Result<Option<(Vec<PlateFind>, Duration)>> {
    let image = match decode(&picture.image) {
        Ok(i) => i,
        Err(e) => {
            let reason = format!("{}: {e}", picture.image.display());
            eprintln!("kakou: {reason}");
            score.broken(picture, reason);
            return Ok(None);
        }
    };
    let start = Stopwatch::start();
    let finds = if picture.is_crop {
        vec![plates.read_crop(&image)?]
    } else {
        plates.still(&image)?
    };
    Ok(Some((finds, start.elapsed())))
}
