//! `kakou cmd`: one command to an agent, and its answer.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use kakou_contract::{Command, Id, Request, ResultCode, ResultMessage, Sequence, Verdict, live_id};
use kakou_time::{Clock, SystemClock};
use uuid::Uuid;

use super::box_name::BoxName;
use super::broker::{BrokerArgs, Way};
use super::cmd_answer::{picture, told};
use super::cmd_exchange::{Answered, Call, Ended, exchange};
use super::common::print_line;
use super::status_screen::screen;
use super::table::clean;
use super::watch::json_line;
use crate::app::web::LocalStatus;

/// Ask an agent for something, and print its answer.
///
/// The request goes to the agent's command topic, with a response topic below the agent's own
/// `result/`, so that it needs no rights beyond those of the platform (configs/broker). A request
/// that the agent does not fetch in time is forgotten by the broker, and not carried out later.
///
/// Exit code 0: done. 1: the agent refused it, or could not do it; the reason is on stderr. 2:
/// wrong arguments. 3: no answer in time; stderr says whether the agent is offline. 78: config,
/// password, certificates or the user's rights at the broker have to be mended.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The box, as its topics name it. With --config it may be left out: then it is the box whose
    /// config that is.
    #[arg(value_name = "SITE/AGENT")]
    to: Option<BoxName>,
    #[command(subcommand)]
    ask: Ask,
    #[command(flatten)]
    broker: BrokerArgs,
    /// How long to wait for the answer, the connection included.
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Who asks, for the agent's audit: 1 to 200 characters. `answer` needs it.
    #[arg(long, global = true, value_name = "NAME")]
    by: Option<String>,
    /// Ask once more for what got no answer, under the id that was printed then: the agent does
    /// nothing twice.
    #[arg(long, global = true, value_name = "UUID")]
    request_id: Option<Uuid>,
    /// Print the answer as it came, as one line of JSON; after `status` the status as another.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Ask {
    /// Ask whether the agent is there; it answers and does nothing else.
    Ping,
    /// Have the agent send its status now, and print it.
    Status,
    /// Fetch the newest picture of a camera, at most 1280 pixels wide.
    Snapshot {
        /// The camera's id.
        camera: Id,
        /// The picture's file.
        #[arg(long, value_name = "FILE", default_value = "snapshot.jpg")]
        out: PathBuf,
    },
    /// Have messages sent again that the platform misses: at most 100,000 at once.
    Resend {
        /// The first sequence number.
        #[arg(value_parser = number)]
        first: Sequence,
        /// The last sequence number; it is sent too.
        #[arg(value_parser = number)]
        last: Sequence,
    },
    /// Set how long the box keeps what the platform has; it holds over restarts.
    Retention {
        #[command(flatten)]
        passage: PassageTime,
        #[command(flatten)]
        hit: HitTime,
    },
    /// Have the agent read its config and watchlists again.
    Reload,
    /// Say what an officer found out about a hit; --by says who.
    Answer {
        /// The hit's `id`.
        hit: Uuid,
        /// confirmed: it is the vehicle that is looked for. wrong_plate: the vehicle carries another
        /// plate. released: the plate is right, and it was let go.
        verdict: Verdict,
        /// Up to 1000 characters.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
}

/// Hours or minutes.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct PassageTime {
    /// Keep passages for so many hours, 1 to 8760.
    #[arg(long, value_name = "N")]
    passage_hours: Option<u32>,
    /// Or for so many minutes, 1 to 525600.
    #[arg(long, value_name = "N")]
    passage_minutes: Option<u32>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct HitTime {
    /// Keep hits for so many hours, 1 to 8760.
    #[arg(long, value_name = "N")]
    hit_hours: Option<u32>,
    /// Or for so many minutes, 1 to 525600.
    #[arg(long, value_name = "N")]
    hit_minutes: Option<u32>,
}

const WRONG_ARGUMENTS: u8 = 2;
const NO_ANSWER: u8 = 3;
/// `EX_CONFIG` of sysexits.h.
const CONFIG: u8 = 78;

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.1..=3600.0).contains(&value) => Ok(Duration::from_secs_f64(value)),
        _ => Err(format!("`{text}` is outside 0.1 to 3600 seconds")),
    }
}

fn number(text: &str) -> Result<Sequence, String> {
    let number = text.parse::<u64>().ok().map(Sequence::new);
    match number {
        Some(Ok(number)) => Ok(number),
        Some(Err(e)) => Err(e.to_string()),
        None => Err("give a whole number".to_owned()),
    }
}

impl Ask {
    fn command(&self) -> Command {
        // What is beyond any bound is refused by the request's own check.
        let minutes = |hours: Option<u32>, minutes: Option<u32>| {
            let hours = hours.map(|hours| hours.saturating_mul(60));
            hours.or(minutes).unwrap_or(0)
        };
        match self {
            Self::Ping => Command::Ping,
            Self::Status => Command::Status,
            Self::Snapshot { camera, .. } => Command::Snapshot {
                camera: camera.clone(),
            },
            Self::Resend { first, last } => Command::Resend {
                first: *first,
                last: *last,
            },
            Self::Retention { passage, hit } => Command::Retention {
                passage_minutes: minutes(passage.passage_hours, passage.passage_minutes),
                hit_minutes: minutes(hit.hit_hours, hit.hit_minutes),
            },
            Self::Reload => Command::Reload,
            Self::Answer { hit, verdict, note } => Command::Answer {
                hit: *hit,
                verdict: *verdict,
                note: note.clone(),
            },
        }
    }
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let now = SystemClock::new().wall();
    let request = Request {
        request_id: args.request_id.unwrap_or_else(|| live_id(now)),
        sent_at: now,
        expires_at: None,
        by: args.by.clone(),
        command: args.ask.command(),
    };
    if let Err(e) = request.check() {
        return ended(WRONG_ARGUMENTS, &e.to_string());
    }
    let Way { addresses, tls, of } = match args.broker.way() {
        Ok(way) => way,
        Err(e) => return ended(CONFIG, &format!("{e:#}")),
    };
    let own = of
        .map(|(site, agent)| BoxName::new(&site, &agent))
        .transpose();
    let to = match (args.to.clone(), own) {
        (Some(to), _) | (None, Ok(Some(to))) => to,
        (None, Ok(None)) => {
            return ended(
                WRONG_ARGUMENTS,
                "name the box, SITE/AGENT, or give --config",
            );
        }
        (None, Err(e)) => return ended(CONFIG, &e),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime for the network could not be started")?;
    let call = Call {
        to: &to,
        request: &request,
        tls: &tls,
        within: args.timeout,
    };
    match runtime.block_on(exchange(&addresses, &call)) {
        Ok(answered) => show(&args, &to, &answered),
        Err(Ended::Config(why)) => ended(CONFIG, &why),
        Err(Ended::Silence(why)) => ended(NO_ANSWER, &why),
    }
}

fn ended(code: u8, why: &str) -> anyhow::Result<ExitCode> {
    eprintln!("kakou: {}", clean(why));
    Ok(ExitCode::from(code))
}

fn show(args: &Args, to: &BoxName, answered: &Answered) -> anyhow::Result<ExitCode> {
    let answer = &answered.answer;
    // Of a repeat, what counts is what the first answer had.
    let first = match (answer.code, &answer.data) {
        (ResultCode::Repeated, Some(data)) => {
            serde_json::from_value::<ResultMessage>(data.clone()).ok()
        }
        _ => None,
    };
    let data = first.as_ref().map_or(&answer.data, |first| &first.data);
    if args.json {
        print_line(&json_line(&answered.raw))?;
        if let Some((raw, _)) = &answered.status {
            print_line(&json_line(raw))?;
        }
    }
    if !answer.ok {
        let detail = answer
            .detail
            .as_deref()
            .or(first.as_ref().and_then(|f| f.detail.as_deref()));
        let detail = detail.map_or(String::new(), |detail| format!(": {detail}"));
        let code = answer.code.as_str().replace('_', " ");
        eprintln!("kakou: {to}: {}: {code}{}", answer.command, clean(&detail));
        return Ok(ExitCode::FAILURE);
    }
    if let Ask::Snapshot { out, .. } = &args.ask {
        let (bytes, taken) = picture(data.as_ref())
            .with_context(|| format!("{to}: the answer has no picture that can be used"))?;
        kakou_guard::file::replace(out, &bytes, 0o640)
            .with_context(|| out.display().to_string())?;
        if !args.json {
            let taken = taken.map_or(String::new(), |taken| format!(", taken {}", clean(&taken)));
            print_line(&format!("{}: {} bytes{taken}", out.display(), bytes.len()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if args.json {
        return Ok(ExitCode::SUCCESS);
    }
    if answer.code == ResultCode::Repeated {
        print_line("carried out before; this is the answer of then")?;
    }
    match (&args.ask, &answered.status) {
        (Ask::Status, Some((_, status))) => {
            let local = LocalStatus {
                reasons: Vec::new(),
                uplink: status.state.to_string(),
                traffic: Vec::new(),
                status: status.clone(),
            };
            for line in screen(&local, crate::log::coloured(&std::io::stdout())) {
                print_line(&line)?;
            }
        }
        (Ask::Status, None) => print_line(&format!(
            "{to} sends its status; it had not come within {} s",
            args.timeout.as_secs_f64()
        ))?,
        _ => {
            let name = args.ask.command().name();
            let lines = told(name, answer, data.as_ref(), answered.after);
            for line in lines {
                print_line(&format!("{to}: {}", clean(&line)))?;
            }
        }
    }
    // What an agent adds for people, as that a change needs a restart.
    if let (Some(detail), false) = (&answer.detail, answer.code == ResultCode::Repeated) {
        print_line(&format!("{to}: {}", clean(detail)))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;
    use kakou_contract::CommandName;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &[&str]) -> Result<Args, String> {
        let args = Cli::try_parse_from([&["kakou"], line].concat());
        args.map(|cli| cli.args).map_err(|e| e.to_string())
    }

    #[test]
    fn every_command_of_the_contract_can_be_asked() {
        let hit = Uuid::from_u128(7).to_string();
        let lines: [&[&str]; 7] = [
            &["ping"],
            &["status"],
            &["snapshot", "cam-1"],
            &["resend", "4", "9"],
            &["retention", "--passage-hours", "2", "--hit-minutes", "90"],
            &["reload"],
            &["answer", &hit, "wrong_plate", "--note", "a blue one"],
        ];
        let asked: Vec<CommandName> = lines
            .iter()
            .map(|line| {
                let args = parse(&[&["west/box-7"], *line].concat()).unwrap();
                assert_eq!(args.to, Some(BoxName::new("west", "box-7").unwrap()));
                args.ask.command().name()
            })
            .collect();
        assert_eq!(asked, CommandName::ALL);
    }

    #[test]
    fn times_become_minutes_whichever_way_they_are_given() {
        let of = |line: &[&str]| parse(&[&["a/b", "retention"], line].concat());
        let command = of(&["--passage-hours", "2", "--hit-minutes", "90"]).unwrap();
        assert_eq!(
            command.ask.command(),
            Command::Retention {
                passage_minutes: 120,
                hit_minutes: 90
            }
        );
        assert!(of(&["--passage-hours", "2"]).is_err());
        let both = [
            "--passage-hours",
            "2",
            "--passage-minutes",
            "3",
            "--hit-hours",
            "1",
        ];
        assert!(of(&both).is_err());
    }

    #[test]
    fn options_stand_before_or_behind_the_command_and_the_box_may_be_left_out() {
        for line in [
            ["--timeout", "2", "a/b", "ping"],
            ["a/b", "ping", "--timeout", "2"],
        ] {
            let args = parse(&line).unwrap();
            assert_eq!(args.timeout, Duration::from_secs(2));
        }
        assert_eq!(parse(&["ping"]).unwrap().to, None);
        assert!(
            parse(&["a/b/c", "ping"])
                .unwrap_err()
                .contains("SITE/AGENT")
        );
        assert!(parse(&["a/b", "resend", "0", "3"]).is_err());
    }
}
