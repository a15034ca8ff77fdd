//! `kakou watchlist test`: which entries a plate would hit.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{DateTime, FixedOffset};
use clap::Args;
use kakou_contract::{
    AuditEvent, Character, Direction, Id, Lane, PLATE_MAX, PassageMessage, PictureSize, PixelBox,
    Plate, PlateColour, PlateColourRead, PlateKind, Px, SchemaVersion, Vehicle, VehicleClass, clip,
    live_id,
};
use kakou_time::{Clock, SystemClock};
use kakou_traffic::plate::kind;
use kakou_traffic::watchlist::{Conditions, Listed, Lists, Match};

use super::common::print_line;
use super::table::{clean, grouped};
use super::watchlist::{Reading, alone};
use super::watchlist_write::line;
use crate::app::notes;
use crate::app::watchfile::read;
use crate::config::{Config, ListConfig};

#[derive(Debug, Args)]
pub struct TestArgs {
    /// The plate as the reader gives it, for example 鲁E6K829.
    plate: String,
    /// A list; may be given several times.
    #[arg(
        long = "list",
        short,
        value_name = "FILE",
        required_unless_present = "config"
    )]
    lists: Vec<PathBuf>,
    /// The lists of this config, used as it says. The agent makes an audit record of the look-up.
    #[arg(long, value_name = "FILE", conflicts_with = "lists")]
    config: Option<PathBuf>,
    /// Why the plate is looked up, for the audit record; needed with the config of a box that has
    /// been in service.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who looks it up. [default: the user of this shell]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// How sure the whole text is, 0 to 1.
    #[arg(long, default_value_t = 0.95, value_name = "SHARE", value_parser = share)]
    confidence: f32,
    /// The colour of the plate that was seen.
    #[arg(long, value_parser = PlateColour::from_str)]
    colour: Option<PlateColour>,
    /// The class of the vehicle that was seen.
    #[arg(long, value_parser = VehicleClass::from_str)]
    class: Option<VehicleClass>,
    /// The camera that saw it.
    #[arg(long, default_value = "cam-1", value_name = "ID")]
    camera: String,
    /// The lane it was in.
    #[arg(long, value_name = "ID")]
    lane: Option<String>,
    #[arg(long, default_value = "unknown", value_parser = Direction::from_str)]
    direction: Direction,
    /// When, as 2031-05-04T08:00:00+08:00. [default: now]
    #[arg(long, value_parser = DateTime::parse_from_rfc3339)]
    time: Option<DateTime<FixedOffset>>,
    #[command(flatten)]
    reading: Reading,
}

/// Nothing is shown that was not recorded. Where no agent ever ran there is nobody's record.
fn record(args: &TestArgs, state: &Path, found: bool) -> anyhow::Result<()> {
    if !state.exists() {
        return Ok(());
    }
    let by = args.by.clone();
    let reason = args.reason.clone().context(
        "why is it looked up? Say so with --reason; this box keeps a record of look-ups",
    )?;
    let event = AuditEvent::Lookup {
        by: by.unwrap_or_else(notes::user),
        reason,
        plate: clip(&args.plate, PLATE_MAX).into_owned(),
        found,
    };
    let now = SystemClock::default().wall();
    notes::leave(state, event, now)
        .context("the look-up cannot be recorded, so it is not answered; run it as root or kakou")
}

fn share(text: &str) -> Result<f32, String> {
    let number = text.parse::<f32>().ok().filter(|n| (0.0..=1.0).contains(n));
    number.ok_or_else(|| "write a number from 0 to 1".to_owned())
}

/// Exit code 1: no hit.
pub fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let mut state = None;
    let configs: Vec<ListConfig> = match &args.config {
        Some(config) => {
            let config = Config::read(config)?;
            state = Some(config.outbox.state);
            config.watchlist
        }
        None => {
            let list = |file: &PathBuf| alone(file, args.reading.options(file));
            args.lists.iter().map(list).collect()
        }
    };
    ensure!(!configs.is_empty(), "there is no [watchlist] in the config");
    let mut listed = Vec::new();
    for config in &configs {
        let list = read(config)?.list;
        let policy = Arc::new(config.policy.clone());
        listed.push(Listed { list, policy });
    }
    let lists = Lists::new(listed, Arc::default());
    let passage = passage(args)?;
    let conditions = Conditions::default();
    let hit = lists.best(&passage, &conditions);
    if let Some(state) = state {
        record(args, &state, hit.is_some())?;
    }
    match &hit {
        Some(hit) => print_line(&format!("HIT {}", told(hit)))?,
        None => print_line(&format!("no hit for {}", grouped(&args.plate)))?,
    }
    for other in lists.all(&passage, &conditions) {
        let is_other = hit.as_ref().is_none_or(|h| {
            (h.list().name.as_str(), h.kind, h.entry())
                != (other.list().name.as_str(), other.kind, other.entry())
        });
        if is_other {
            print_line(&format!("also {}", told(&other)))?;
        }
    }
    let text = passage.plate.as_ref().map_or("", |p| p.text.as_str());
    for listed in lists.iter() {
        for entry in listed.list.named(text) {
            let now = Some(passage.time);
            let why = match (entry.is_valid(now), entry.rules) {
                (false, _) => "not within its validity".to_owned(),
                (true, Some(rules)) => {
                    let seen = kakou_traffic::watchlist::Sighting {
                        camera: passage.camera.as_str(),
                        lane: passage.lane.as_ref().map(|l| l.id.as_str()),
                        direction: passage.direction,
                    };
                    match rules.hold(&seen, now) {
                        true => continue,
                        false => "not here, or not at this time".to_owned(),
                    }
                }
                (true, None) => continue,
            };
            print_line(&format!(
                "not: {why}: {} line {}: {}",
                clean(&listed.list.name),
                entry.line,
                line(&entry)
            ))?;
        }
    }
    Ok(match hit {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    })
}

fn told(found: &Match<'_>) -> String {
    let mut text = format!(
        "{} score {:.4}  {} line {}: {}",
        found.kind,
        found.score,
        clean(&found.list().name),
        found.entry().line,
        line(&found.entry())
    );
    let said = |c: Option<char>| c.map_or("nothing".to_owned(), |c| c.to_string());
    for d in &found.differences {
        text.push_str(&format!(
            "; place {}: read {}, listed {}",
            d.position + 1,
            said(d.read),
            said(d.listed)
        ));
    }
    for c in &found.contradictions {
        text.push_str(&format!(
            "; {} seen {}, listed {}",
            c.what, c.seen, c.listed
        ));
    }
    text
}

/// A passage that has nothing but what was asked for.
fn passage(args: &TestArgs) -> anyhow::Result<PassageMessage> {
    let text: String = args.plate.chars().filter(|c| *c != '·').collect();
    let text = text.to_uppercase();
    ensure!(!text.is_empty(), "the plate is empty");
    let time = args.time.unwrap_or_else(|| SystemClock::default().wall());
    let seen: Option<PlateKind> = kind(&text, args.colour, 1, args.class);
    let plate = Plate {
        confidence: args.confidence.into(),
        characters: text
            .chars()
            .map(|char| Character {
                char,
                confidence: args.confidence.into(),
                runner_up: None,
            })
            .collect(),
        raw: text.clone(),
        corrected: Vec::new(),
        rows: 1,
        colour: args.colour.map(|value| PlateColourRead {
            value,
            confidence: 1.0_f32.into(),
        }),
        kind: seen,
        quad: [[Px::new(0.0); 2]; 4],
        reads: 1,
        frames_agreeing: 1,
        text,
    };
    let id = |text: &str| Id::from_str(text).with_context(|| format!("{text:?}"));
    let lane = match &args.lane {
        Some(lane) => Some(Lane {
            id: id(lane)?,
            name: None,
        }),
        None => None,
    };
    Ok(PassageMessage {
        lane,
        direction: args.direction,
        vehicle: args.class.map(|class| Vehicle {
            class,
            class_confidence: 1.0_f32.into(),
            colour: None,
            bounds: PixelBox::from_edges(0.0, 0.0, 1.0, 1.0),
        }),
        ..passage_of(plate, id(&args.camera)?, time)?
    })
}

/// A passage of which nothing is known but its plate.
pub fn passage_of(
    plate: Plate,
    camera: Id,
    time: DateTime<FixedOffset>,
) -> anyhow::Result<PassageMessage> {
    Ok(PassageMessage {
        is_late: false,
        schema_version: SchemaVersion::CURRENT,
        id: live_id(time),
        site: Id::new("site", "site")?,
        agent: Id::new("agent", "kakou")?,
        camera,
        lane: None,
        direction: Direction::Unknown,
        wrong_way: None,
        time,
        first_seen: time,
        last_seen: time,
        frames_seen: 1,
        picture: PictureSize {
            width: 1,
            height: 1,
        },
        vehicle: None,
        plate: Some(plate),
        no_plate_reason: None,
        plate_hash: None,
        evidence: Vec::new(),
        clock: None,
        models: Vec::new(),
        sequence: None,
    })
}
