//! The metrics themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use kakou_entry::metrics::{Text, label, labels};
use kakou_time::{SharedClock, Stopwatch};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::standing::Standing;
use crate::ingest::{Counts, LaneKind};
use crate::store::Store;

/// The database is not asked again within this time, however many ask here.
const FRESH: Duration = Duration::from_secs(5);
/// An answer that takes longer is none.
const WITHIN: Duration = Duration::from_secs(8);

/// What the metrics are made of.
pub struct Sources {
    /// Group and name of this process.
    pub process: [String; 2],
    pub lanes: Vec<(LaneKind, Arc<Counts>)>,
    pub leads: Arc<AtomicBool>,
    /// It sends passages to an upper view library.
    pub has_upper: bool,
    pub store: Store,
    pub clock: SharedClock,
    pub started: DateTime<Utc>,
    last: Mutex<Option<(Stopwatch, Told)>>,
}

/// What the database said last, or why it did not.
type Told = Result<Arc<Standing>, String>;

type OfLane = fn(&Counts) -> &AtomicU64;

impl Sources {
    pub fn new(
        process: [String; 2],
        lanes: Vec<(LaneKind, Arc<Counts>)>,
        leads: Arc<AtomicBool>,
        has_upper: bool,
        store: Store,
        clock: SharedClock,
    ) -> Self {
        let started = clock.wall().to_utc();
        Self {
            process,
            lanes,
            leads,
            has_upper,
            store,
            clock,
            started,
            last: Mutex::default(),
        }
    }

    /// How it stands, or why the database does not say.
    pub(super) async fn standing(&self) -> Told {
        let mut last = self.last.lock().await;
        if let Some((asked, told)) = &*last
            && asked.elapsed() < FRESH
        {
            return told.clone();
        }
        let told = match timeout(WITHIN, Standing::read(&self.store)).await {
            Ok(Ok(standing)) => Ok(Arc::new(standing)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("database: no answer within {} s", WITHIN.as_secs())),
        };
        *last = Some((Stopwatch::start(), told.clone()));
        told
    }

    /// All of them, as they stand now.
    pub(super) async fn text(&self) -> String {
        let told = self.standing().await;
        let mut t = Text::new("kakou_central_");
        self.process(&mut t, told.is_ok());
        self.lanes(&mut t);
        if let Ok(standing) = told {
            trust(&mut t, &standing);
            telling(&mut t, &standing);
            if self.has_upper {
                upper(&mut t, &standing);
            }
        }
        t.into_string()
    }

    fn process(&self, t: &mut Text, database: bool) {
        let [group, name] = &self.process;
        let version = env!("CARGO_PKG_VERSION");
        let all = labels([("group", group), ("process", name), ("version", version)]);
        let help = "1; the labels say which process this is and what runs in it.";
        t.add("build_info", "gauge", help, [(all, 1.0)]);
        let help = "When this process started, in seconds since 1970.";
        t.one(
            "start_time_seconds",
            "gauge",
            help,
            seconds(Some(self.started)),
        );
        let leads = f64::from(u8::from(self.leads.load(Ordering::Relaxed)));
        let help = "1 for the process that follows the chains and the life of agents.";
        t.one("leads", "gauge", help, leads);
        let help = "1 if the database answers. If it does not, the metrics that it is asked for are left out.";
        t.one("database_up", "gauge", help, f64::from(u8::from(database)));
    }

    fn lanes(&self, t: &mut Text) {
        let lanes = || {
            let lane =
                |(kind, counts): &(LaneKind, Arc<Counts>)| (kind.as_str(), Arc::clone(counts));
            self.lanes.iter().map(lane)
        };
        let of_each = |value: OfLane| {
            lanes().map(move |(lane, counts)| {
                let value = value(&counts).load(Ordering::Relaxed) as f64;
                (label("lane", lane), value)
            })
        };
        let help =
            "1 if the broker has confirmed the lane's subscriptions and the connection stands.";
        t.add(
            "lane_subscribed",
            "gauge",
            help,
            of_each(|c| &c.is_subscribed),
        );
        let help = "Connections to the broker since the start.";
        t.add(
            "lane_connections_total",
            "counter",
            help,
            of_each(|c| &c.connections),
        );
        let outcomes: [(&str, OfLane); 3] = [
            ("fresh", |c| &c.fresh),
            ("repeat", |c| &c.repeats),
            ("apart", |c| &c.apart),
        ];
        let messages = lanes().flat_map(|(lane, counts)| {
            outcomes.map(|(outcome, value)| {
                let labels = labels([("lane", lane), ("outcome", outcome)]);
                (labels, value(&counts).load(Ordering::Relaxed) as f64)
            })
        });
        let help =
            "Messages taken in. outcome: a new row, one that was there already, or kept apart.";
        t.add("messages_total", "counter", help, messages);
        let last = lanes().map(|(lane, counts)| {
            let ms = counts.committed_ms.load(Ordering::Relaxed);
            (label("lane", lane), ms as f64 / 1000.0)
        });
        let help =
            "When messages were committed last, in seconds since 1970; 0: none since the start.";
        t.add("lane_last_commit_timestamp_seconds", "gauge", help, last);
        let now = self.clock.wall().timestamp_millis();
        let busy = lanes().map(|(lane, counts)| {
            let since = counts.writing_since_ms.load(Ordering::Relaxed);
            let since = i64::try_from(since).unwrap_or(0);
            let busy = if since == 0 { 0 } else { (now - since).max(0) };
            (label("lane", lane), busy as f64 / 1000.0)
        });
        let help =
            "How long the messages in hand have been on their way into the database; 0: none are.";
        t.add("lane_batch_seconds", "gauge", help, busy);
    }
}

fn seconds(time: Option<DateTime<Utc>>) -> f64 {
    time.map_or(0.0, |time| time.timestamp_millis() as f64 / 1000.0)
}

fn by<'a>(name: &'a str, all: &'a [(String, i64)]) -> impl Iterator<Item = (String, f64)> + 'a {
    all.iter()
        .map(move |(word, count)| (label(name, word), *count as f64))
}

fn trust(t: &mut Text, standing: &Standing) {
    let help = "Agents by their last word; unknown: none came yet.";
    t.add("agents", "gauge", help, by("state", &standing.agents));
    let help = "Alarms that nobody and nothing has ended.";
    t.add("alarms_open", "gauge", help, by("kind", &standing.alarms));
    let help = "Messages that are missing, of all agents.";
    t.one("missing_messages", "gauge", help, standing.missing as f64);
    let help = "Since when the oldest gap has been there, in seconds since 1970; 0: there is none.";
    let oldest = seconds(standing.oldest_gap);
    t.one("oldest_gap_timestamp_seconds", "gauge", help, oldest);
    let help = "Seals that the leader has not looked at yet.";
    t.one("ledger_seals", "gauge", help, standing.ledger as f64);
    let help = "Messages in the quarantine, by reason.";
    t.add(
        "quarantined_messages",
        "gauge",
        help,
        by("reason", &standing.apart),
    );
    let help = "Passages in the default partition: their time is far from now.";
    t.one("misdated_passages", "gauge", help, standing.misdated as f64);
}

fn telling(t: &mut Text, standing: &Standing) {
    let of =
        |recipient: &str, channel: &str| labels([("recipient", recipient), ("channel", channel)]);
    let waiting = standing.deliveries.iter();
    let counts = waiting
        .clone()
        .map(|(to, by, count, _)| (of(to, by), *count as f64));
    let help = "Hits that a recipient has not been told of yet.";
    t.add("deliveries_waiting", "gauge", help, counts);
    let oldest = waiting.map(|(to, by, _, since)| (of(to, by), seconds(*since)));
    let help = "When the oldest of them was taken in, in seconds since 1970.";
    t.add("oldest_delivery_timestamp_seconds", "gauge", help, oldest);
    let help = "Hits that were given up within the last 24 hours.";
    t.one(
        "deliveries_given_up",
        "gauge",
        help,
        standing.given_up as f64,
    );
    let off = standing.off.iter().map(|(to, by)| (of(to, by), 1.0));
    let help = "1 for each recipient that is told nothing: it answered that it never wants to be.";
    t.add("recipient_off", "gauge", help, off);
    let help = "Commands that no answer has come to.";
    t.add(
        "commands_open",
        "gauge",
        help,
        by("state", &standing.commands),
    );
}

fn upper(t: &mut Text, standing: &Standing) {
    let registered = f64::from(u8::from(standing.upper_registered));
    let help = "1 if a process of the centre is registered at the upper view library.";
    t.one("upper_registered", "gauge", help, registered);
    let [waiting, refused] = standing.upper.map(|count| count as f64);
    let help = "Passages that the upper view library has not taken yet.";
    t.one("upper_waiting", "gauge", help, waiting);
    let help = "Passages that the upper view library refused.";
    t.one("upper_refused", "gauge", help, refused);
}
