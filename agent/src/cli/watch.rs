//! `kakou watch`: a central subscriber in a terminal.

use std::collections::{HashSet, VecDeque};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use kakou_contract::{Filter, Id, Message, PartState, StatusMessage};
use kakou_guard::is_steering;
use tokio::io::Interest;
use tokio::net::unix::pipe;

use super::broker::BrokerArgs;
use super::table::{Table, clean};
use kakou_uplink::{Known, Received, Subscriber, SubscriberConfig, SubscriberEvent};

/// How many message ids are remembered to recognise repeats: at ten passages a second the last
/// hours.
const REMEMBERED: usize = 100_000;
/// The largest packet taken. What is shown has some KiB, and at the bounds of its lists a few
/// hundred; reading one takes thirty times its size, and some dozen wait while the screen does.
const LARGEST: u32 = 2 << 20;

/// Show what the checkpoints send, as it arrives.
///
/// Subscribes to every site's passages, hits, signals and status, and prints a row per passage. It
/// waits for a broker that is not there and comes back after every loss; connection, status and
/// messages that are not valid are told on stderr. A repeat of a message, which "at least once"
/// allows, is not shown. Ends on Ctrl-C, after --count messages, or when the reader of its output
/// ends.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    broker: BrokerArgs,
    /// Print messages as they are, one JSON object a line, and nothing else on stdout.
    #[arg(long)]
    json: bool,
    /// Only this site.
    #[arg(long, value_name = "SITE")]
    site: Option<Id>,
    /// Which messages. [default: all; with --json: passage]
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_enum)]
    messages: Vec<Kind>,
    /// End after this many messages on stdout.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Passage,
    Hit,
    Signal,
    Status,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime for the network could not be started")?;
    runtime.block_on(watch(args))
}

async fn watch(args: Args) -> anyhow::Result<ExitCode> {
    if args.count == Some(0) {
        return Ok(ExitCode::SUCCESS);
    }
    let broker = args.broker.address()?;
    let config = SubscriberConfig {
        tls: args.broker.tls()?,
        max_packet: LARGEST,
        ..SubscriberConfig::new(filters(&args))
    };
    let mut subscriber = Subscriber::connect(broker.clone(), config);
    let table = if args.json {
        None
    } else {
        Some(Table::for_stdout())
    };
    let mut view = View::new(
        broker.to_string(),
        table,
        args.count,
        io::stdout(),
        io::stderr(),
    );
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut reader_gone = std::pin::pin!(reader_gone());
    let end = loop {
        let event = tokio::select! {
            event = subscriber.recv() => event.context("the connection task ended unexpectedly")?,
            _ = &mut interrupted => break Ok(()),
            () = &mut reader_gone => break Ok(()),
        };
        match view.show(event) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    match end {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("stdout"),
        _ => {
            view.summary();
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn filters(args: &Args) -> Vec<String> {
    let kinds: &[Kind] = match (args.messages.as_slice(), args.json) {
        ([], true) => &[Kind::Passage],
        ([], false) => &[Kind::Passage, Kind::Hit, Kind::Signal, Kind::Status],
        (chosen, _) => chosen,
    };
    let mut filters: Vec<String> = Vec::new();
    for kind in kinds {
        let filter = match kind {
            Kind::Passage => Filter::passages(),
            Kind::Hit => Filter::hits(),
            Kind::Signal => Filter::signals(),
            Kind::Status => Filter::status(),
        };
        let filter = args
            .site
            .iter()
            .cloned()
            .fold(filter, Filter::at)
            .to_string();
        if !filters.contains(&filter) {
            filters.push(filter);
        }
    }
    filters
}

/// Ready once nobody reads our output any more (`| head -3`): else that would show only at the next
/// message, which may be a night away. Never ready where it cannot be told, as with a file.
async fn reader_gone() {
    // `_unchecked`: the checking variant would make stdout itself non-blocking, and its writes
    // fail.
    let stdout = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .and_then(pipe::Sender::from_owned_fd_unchecked);
    if let Ok(stdout) = stdout
        && stdout.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// What is shown where; without I/O of its own.
struct View<O, E> {
    broker: String,
    /// None: JSON lines.
    table: Option<Table>,
    count: Option<u64>,
    out: O,
    err: E,
    seen: Seen,
    shown: u64,
    repeats: u64,
    invalid: u64,
    /// What was last said about the connection, so that it is said once.
    said: Option<String>,
}

impl<O: Write, E: Write> View<O, E> {
    fn new(broker: String, table: Option<Table>, count: Option<u64>, out: O, err: E) -> Self {
        let seen = Seen::new(REMEMBERED);
        Self {
            broker,
            table,
            count,
            out,
            err,
            seen,
            shown: 0,
            repeats: 0,
            invalid: 0,
            said: None,
        }
    }

    /// Break: all that was asked for is shown.
    fn show(&mut self, event: SubscriberEvent) -> io::Result<ControlFlow<()>> {
        match event {
            SubscriberEvent::Subscribed => self.say("connected".to_owned()),
            SubscriberEvent::Lost { why } => self.say(format!(
                "no connection: {}; trying again until it works",
                clean(&why)
            )),
            SubscriberEvent::Refused { filter, why } => {
                self.note(&format!("subscription to {filter} refused: {why}"))
            }
            SubscriberEvent::Message(received) => self.message(&received)?,
        }
        let done = self.count.is_some_and(|count| self.shown >= count);
        Ok(if done {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    fn message(&mut self, received: &Received) -> io::Result<()> {
        let known = match received.read() {
            Ok(known) => known,
            Err(error) => {
                self.invalid += 1;
                self.note(&format!("not shown: {}", clean(&error.to_string())));
                return Ok(());
            }
        };
        let id = match &known {
            Known::Passage(message) => message.event_id(),
            Known::Hit(message) => message.event_id(),
            Known::Signal(message) => message.event_id(),
            Known::Status(message) => message.event_id(),
            Known::Other(_) => return Ok(()),
        };
        if !self.seen.is_new(id) {
            self.repeats += 1;
            return Ok(());
        }
        let lines = match (&mut self.table, &known) {
            (None, _) => vec![json_line(&received.payload)],
            (Some(table), Known::Passage(message)) => table.passage(message),
            (Some(table), Known::Hit(message)) => vec![table.hit(message)],
            (Some(table), Known::Signal(message)) => vec![table.signal(message)],
            (Some(_), Known::Status(message)) => {
                self.note(&status(message));
                return Ok(());
            }
            (Some(_), Known::Other(_)) => return Ok(()),
        };
        self.shown += 1;
        for line in lines {
            writeln!(self.out, "{line}")?;
        }
        self.out.flush()
    }

    /// Says something about the connection unless it was the last thing said.
    fn say(&mut self, what: String) {
        if self.said.as_ref() != Some(&what) {
            self.note(&format!("{}: {what}", self.broker));
            self.said = Some(what);
        }
    }

    fn note(&mut self, text: &str) {
        // Where stderr is closed there is nobody left to tell.
        let _ = writeln!(self.err, "kakou: {text}");
    }

    fn summary(&mut self) {
        if self.repeats + self.invalid > 0 {
            self.note(&format!(
                "{} shown, {} repeats and {} messages that are not valid left out",
                self.shown, self.repeats, self.invalid
            ));
        }
    }
}

fn status(message: &StatusMessage) -> String {
    let reason = message
        .reason
        .map(|reason| format!(" ({})", reason.as_str().replace('_', " ")))
        .unwrap_or_default();
    let cameras: String = message
        .cameras
        .iter()
        .filter_map(|camera| {
            camera
                .detail
                .as_ref()
                .map(|detail| format!("; {}: {}", camera.camera, clean(detail)))
        })
        .collect();
    // A camera's part is told by the camera.
    let parts: String = message
        .parts
        .iter()
        .filter(|part| part.state == PartState::Failing && !part.name.starts_with("camera-"))
        .filter_map(|part| {
            let detail = part.detail.as_ref()?;
            Some(format!("; {}: {}", clean(&part.name), clean(detail)))
        })
        .collect();
    format!(
        "{}/{}: {}{reason}, {}{cameras}{parts}",
        message.site, message.agent, message.state, message.health
    )
}

/// The payload on one line, which may be read on a terminal. It is valid JSON here, so a line break
/// can only stand between its parts, and what may steer a terminal only within a text, where an
/// escape means the same.
pub(super) fn json_line(payload: &[u8]) -> String {
    let mut line = String::with_capacity(payload.len());
    for c in String::from_utf8_lossy(payload).chars() {
        if matches!(c, '\n' | '\r' | '\t') {
            line.push(' ');
        } else if is_steering(c) {
            let units = &mut [0; 2];
            for unit in c.encode_utf16(units) {
                line += &format!("\\u{unit:04x}");
            }
        } else {
            line.push(c);
        }
    }
    line
}

/// The ids seen last, in bounded memory: the oldest is forgotten.
struct Seen {
    limit: usize,
    ids: HashSet<String>,
    order: VecDeque<String>,
}

impl Seen {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            ids: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    fn is_new(&mut self, id: String) -> bool {
        if !self.ids.insert(id.clone()) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;
    use kakou_contract::{HitMessage, PassageMessage};

    const PASSAGE: &[u8] = include_bytes!("../../contract/golden/passage.json");
    const HIT: &[u8] = include_bytes!("../../contract/golden/hit.json");
    const STATUS: &[u8] = include_bytes!("../../contract/golden/status-offline.json");

    fn event<M: Message>(payload: &[u8]) -> SubscriberEvent {
        let topic = M::from_json(payload).unwrap().topic().to_string();
        SubscriberEvent::Message(Received {
            topic,
            payload: payload.to_vec(),
            ..Received::default()
        })
    }

    fn view(table: bool, count: Option<u64>) -> View<Vec<u8>, Vec<u8>> {
        let table = table.then(|| Table::new(false));
        View::new(
            "mqtt://broker:1".to_owned(),
            table,
            count,
            Vec::new(),
            Vec::new(),
        )
    }

    fn texts(view: View<Vec<u8>, Vec<u8>>) -> (String, String) {
        (
            String::from_utf8(view.out).unwrap(),
            String::from_utf8(view.err).unwrap(),
        )
    }

    #[test]
    fn a_repeat_is_not_shown_and_the_rest_goes_on_after_rubbish() {
        let mut view = view(true, None);
        let rubbish = Received {
            topic: "kakou/v1/s/a/passage/c".to_owned(),
            payload: b"{".to_vec(),
            ..Received::default()
        };
        for event in [
            event::<PassageMessage>(PASSAGE),
            event::<PassageMessage>(PASSAGE),
            SubscriberEvent::Message(rubbish),
        ] {
            assert!(view.show(event).unwrap().is_continue());
        }
        for event in [event::<HitMessage>(HIT), event::<StatusMessage>(STATUS)] {
            assert!(view.show(event).unwrap().is_continue());
        }
        assert_eq!((view.shown, view.repeats, view.invalid), (2, 1, 1));
        let (out, err) = texts(view);
        assert_eq!(out.lines().count(), 4, "day, headings, passage, hit: {out}");
        assert!(
            err.contains("kakou/v1/s/a/passage/c: not a passage message"),
            "{err}"
        );
        assert!(err.contains("offline"), "{err}");
    }

    #[test]
    fn json_is_one_line_a_message_and_reads_back() {
        let mut view = view(false, Some(1));
        assert!(
            view.show(SubscriberEvent::Subscribed)
                .unwrap()
                .is_continue()
        );
        assert!(
            view.show(event::<PassageMessage>(PASSAGE))
                .unwrap()
                .is_break()
        );
        let (out, _) = texts(view);
        assert_eq!(out.lines().count(), 1);
        let back = PassageMessage::from_json(out.as_bytes()).unwrap();
        assert_eq!(back, PassageMessage::from_json(PASSAGE).unwrap());
    }

    #[test]
    fn no_text_of_a_message_steers_the_terminal() {
        let evil = "a\u{7f}\u{85}\u{9b}31m\u{202e}\u{200f}\u{feff}\u{e0041}b";
        let text = String::from_utf8(PASSAGE.to_vec()).unwrap();
        let mut passage: serde_json::Value = serde_json::from_str(&text).unwrap();
        passage["lane"]["name"] = evil.into();
        let payload = serde_json::to_vec_pretty(&passage).unwrap();
        for table in [false, true] {
            let mut view = view(table, None);
            let _ = view.show(event::<PassageMessage>(&payload)).unwrap();
            let (out, _) = texts(view);
            assert!(
                !out.lines().any(|line| line.contains(is_steering)),
                "{out:?}"
            );
            if !table {
                let back = PassageMessage::from_json(out.as_bytes()).unwrap();
                assert_eq!(back, PassageMessage::from_json(&payload).unwrap());
            }
        }
    }

    #[test]
    fn a_status_says_which_parts_fail_and_why() {
        let online = include_bytes!("../../contract/golden/status-online.json");
        let text = status(&StatusMessage::from_json(online).unwrap());
        assert!(
            text.contains("; cam-2: connection refused; watchlist: watchlist.csv: No such file"),
            "{text}"
        );
    }

    #[test]
    fn an_outage_is_told_once() {
        let mut view = view(false, None);
        let lost = || SubscriberEvent::Lost {
            why: "connection refused".to_owned(),
        };
        for event in [
            lost(),
            lost(),
            SubscriberEvent::Subscribed,
            lost(),
            lost(),
            SubscriberEvent::Subscribed,
        ] {
            assert!(view.show(event).unwrap().is_continue());
        }
        let (out, err) = texts(view);
        assert_eq!((out.as_str(), err.lines().count()), ("", 4), "{err}");
    }

    #[test]
    fn memory_of_ids_is_bounded() {
        let mut seen = Seen::new(10);
        let ids: Vec<String> = (0..11).map(|n| n.to_string()).collect();
        assert!(ids.iter().all(|id| seen.is_new((*id).clone())));
        assert_eq!((seen.ids.len(), seen.order.len()), (10, 10));
        assert!(!seen.is_new(ids[10].clone()) && seen.is_new(ids[0].clone()));
    }

    #[test]
    fn filters_follow_the_options() {
        #[derive(Debug, Parser)]
        struct Cli {
            #[command(flatten)]
            args: Args,
        }
        let of = |options: &[&str]| {
            filters(
                &Cli::try_parse_from([&["kakou"], options].concat())
                    .unwrap()
                    .args,
            )
        };
        assert_eq!(of(&[]).len(), 4);
        assert_eq!(of(&["--json"]), ["kakou/v1/+/+/passage/+"]);
        assert_eq!(
            of(&["--site", "g1", "--messages", "hit,hit"]),
            ["kakou/v1/g1/+/hit/+/+"]
        );
        assert_eq!(of(&["--messages", "signal"]), ["kakou/v1/+/+/signal/+/+"]);
        let wrong = Cli::try_parse_from(["kakou", "--broker", "http://user:S3CRET@b"]).unwrap();
        let error = format!("{wrong:?} {}", wrong.args.broker.address().unwrap_err());
        assert!(
            error.contains("scheme") && !error.contains("S3CRET"),
            "{error}"
        );
    }
}
