//! The log: lines on stderr for people, and for the journal with the priority that it sorts by.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, FixedOffset};
use kakou_guard::clean_line;
use kakou_time::{Clock, SystemClock};
use rustix::fs::fstat;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, registry};

/// Lines that are remembered for the box's own page, and the most that one may be long.
const REMEMBERED: usize = 1000;
const LINE_MOST: usize = 1000;

/// Sends what the filter lets through to stderr.
pub fn begin(filter: &str) -> Result<(), ParseError> {
    // The demo's broker reports every client that leaves as an error.
    let filter = EnvFilter::try_new(format!("{filter},rumqttd=off"))?;
    let all = registry().with(filter).with(Memory(SystemClock::new()));
    if is_journal() {
        let priority = ForJournal(Format::default().without_time().with_level(false));
        let lines = fmt::layer().with_ansi(false).event_format(priority);
        all.with(lines.with_writer(std::io::stderr)).init();
    } else {
        let lines = fmt::layer().with_ansi(coloured(&std::io::stderr()));
        all.with(lines.with_writer(std::io::stderr)).init();
    }
    Ok(())
}

/// A line of the log.
#[derive(Debug, Clone)]
pub struct Line {
    pub time: DateTime<FixedOffset>,
    pub level: Level,
    pub target: String,
    /// What was said, and the fields after it.
    pub text: String,
}

static LINES: Mutex<VecDeque<Line>> = Mutex::new(VecDeque::new());

fn lines() -> MutexGuard<'static, VecDeque<Line>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last lines that the filter let through, the newest last.
pub fn recent(most: usize) -> Vec<Line> {
    let lines = lines();
    lines
        .range(lines.len().saturating_sub(most)..)
        .cloned()
        .collect()
}

/// Remembers the last lines.
struct Memory(SystemClock);

impl<S: Subscriber> Layer<S> for Memory {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let mut text = clean_line(&format!("{}{}", said.message, said.fields));
        if let Some((cut, _)) = text.char_indices().nth(LINE_MOST) {
            text.truncate(cut);
        }
        let line = Line {
            time: self.0.wall(),
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            text,
        };
        let mut lines = lines();
        if lines.len() == REMEMBERED {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

#[derive(Default)]
struct Said {
    message: String,
    fields: String,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing into a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

/// Coloured on a terminal, unless the user asked for none (no-color.org).
pub fn coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Whether stderr goes to systemd's journal: it names the device and inode (systemd.exec(5)).
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    fstat(std::io::stderr().as_fd())
        .is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// A line that begins with its priority (sd-daemon(3)) and has no time: the journal has its own.
struct ForJournal(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for ForJournal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// As syslog numbers them (RFC 5424): 3 error, 4 warning, 6 informational, 7 debug.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}
