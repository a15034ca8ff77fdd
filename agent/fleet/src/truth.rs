//! What a fleet really sent: one row for each message, for whoever compares a platform with it.
//!
//! Rows go to a thread that writes them, through a queue that is bounded: a slow disk slows the
//! fleet, and no row is dropped. What cannot be written is told at the end as an error.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use crate::options::{FleetError, TruthTo};

/// Rows that wait for the disk.
const QUEUE: usize = 65_536;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The broker has it: it must be exactly one row of the platform.
    Acknowledged,
    /// It has a number, and the broker had not acknowledged it at the end.
    Unacknowledged,
    /// The broker refused it.
    Held,
    /// It has a number and was given up on purpose; an audit message tells so.
    Evicted,
    /// The broker has it, and it is none of the agent's true messages.
    Evil,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub fate: Fate,
    pub site: String,
    pub agent: String,
    pub sequence: u64,
    /// The CloudEvents `id`.
    pub event_id: String,
    pub kind: String,
    pub topic: String,
    /// The CloudEvents `time`.
    pub time: String,
    /// Of the payload as it was sealed: without its number, and not marked late. Of a picture, of
    /// its bytes.
    pub sha256: String,
    /// What is wrong with it on purpose. Beside `acknowledged` it is still a true message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evil: Option<String>,
}

/// The counts of a fleet that has ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub agents: u32,
    /// From the start to the end of the drain.
    pub seconds: f64,
    /// Acknowledged, each once.
    pub passages: u64,
    pub hits: u64,
    pub signals: u64,
    pub pictures: u64,
    pub statuses: u64,
    pub audits: u64,
    pub results: u64,
    /// All of these.
    pub acknowledged: u64,
    pub unacknowledged: u64,
    pub held: u64,
    pub evicted: u64,
    /// Messages that were acknowledged once more.
    pub repeats: u64,
    /// Messages of [`Fate::Evil`], and of true ones that are wrong on purpose.
    pub evil: u64,
    pub outages: u64,
    pub commands: u64,
    /// Sightings that were still to be told when it ended: they never had a number.
    pub untold: u64,
    pub passages_per_second: f64,
    pub messages_per_second: f64,
    /// From the hand-over to the uplink to the acknowledgement.
    pub acknowledged_median_ms: f64,
    pub acknowledged_p99_ms: f64,
    /// Plates that travel together.
    pub pairs: Vec<[String; 2]>,
    /// Plates that two vehicles carry.
    pub clones: Vec<String>,
}

/// What a fleet sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Truth {
    pub summary: Summary,
    /// Empty unless [`TruthTo::Memory`] was asked for.
    pub rows: Vec<Row>,
}

#[derive(Serialize)]
struct Last<'a> {
    summary: &'a Summary,
}

pub(crate) enum Line {
    Row(Box<Row>),
    /// Nothing follows, whoever still holds the queue.
    End,
}

enum Writer {
    Nowhere,
    Memory(Arc<Mutex<Vec<Row>>>),
    File {
        path: PathBuf,
        queue: SyncSender<Line>,
        thread: JoinHandle<std::io::Result<BufWriter<File>>>,
    },
}

/// Where rows go; may be cloned.
#[derive(Clone)]
pub(crate) enum Sink {
    Nowhere,
    Memory(Arc<Mutex<Vec<Row>>>),
    File(SyncSender<Line>),
}

impl Sink {
    pub(crate) fn is_wanted(&self) -> bool {
        !matches!(self, Self::Nowhere)
    }

    pub(crate) fn put(&self, row: Row) {
        match self {
            Self::Nowhere => {}
            Self::Memory(rows) => rows
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(row),
            // The thread has ended over an error, which is told at the end.
            Self::File(queue) => drop(queue.send(Line::Row(Box::new(row)))),
        }
    }
}

/// The end that closes the record.
pub(crate) struct Record(Writer);

impl Record {
    pub(crate) fn open(to: &TruthTo) -> Result<(Self, Sink), FleetError> {
        Ok(match to {
            TruthTo::Nowhere => (Self(Writer::Nowhere), Sink::Nowhere),
            TruthTo::Memory => {
                let rows = Arc::default();
                (Self(Writer::Memory(Arc::clone(&rows))), Sink::Memory(rows))
            }
            TruthTo::File(path) => {
                let file = File::create(path).map_err(|e| fault(path.clone(), &e))?;
                let (queue, rows) = sync_channel(QUEUE);
                let thread = std::thread::spawn(move || {
                    let mut out = BufWriter::with_capacity(1 << 20, file);
                    while let Ok(Line::Row(row)) = rows.recv() {
                        serde_json::to_writer(&mut out, &row)?;
                        out.write_all(b"\n")?;
                    }
                    Ok(out)
                });
                let writer = Writer::File {
                    path: path.clone(),
                    queue: queue.clone(),
                    thread,
                };
                (Self(writer), Sink::File(queue))
            }
        })
    }

    /// What is put after this is not recorded.
    pub(crate) fn close(self, summary: Summary) -> Result<Truth, FleetError> {
        let mut truth = Truth {
            summary,
            rows: Vec::new(),
        };
        match self.0 {
            Writer::Nowhere => {}
            Writer::Memory(rows) => {
                truth.rows =
                    std::mem::take(&mut rows.lock().unwrap_or_else(PoisonError::into_inner));
            }
            Writer::File {
                path,
                queue,
                thread,
            } => {
                // Without a thread it ended over an error, which comes now.
                let _ = queue.send(Line::End);
                let written = thread.join().map_err(|_| FleetError::Ended {
                    what: "the thread that writes the record",
                })?;
                let last = Last {
                    summary: &truth.summary,
                };
                let end = |mut out: BufWriter<File>| -> std::io::Result<()> {
                    serde_json::to_writer(&mut out, &last)?;
                    out.write_all(b"\n")?;
                    out.flush()
                };
                written.and_then(end).map_err(|e| fault(path, &e))?;
            }
        }
        Ok(truth)
    }
}

fn fault(path: PathBuf, e: &std::io::Error) -> FleetError {
    let why = e.to_string();
    FleetError::Truth { path, why }
}
