//! A believed message as the row that it becomes.
//!
//! Each kind of message has one table, and each table has the seal and the exact bytes in it. Text
//! that PostgreSQL cannot hold (a NUL character) is shown with U+FFFD in its column; the bytes keep
//! it.

use bytes::Bytes;
use chrono::{DateTime, FixedOffset, Utc};
use kakou_contract::{
    AuditMessage, Evidence, HitMessage, Message as _, PassageMessage, ResultMessage, Seal,
    Sha256Hex, SignalMessage, StatusMessage, Topic,
};
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

/// What every row has beside its own columns.
#[derive(Debug, Clone)]
pub struct Frame {
    pub agent: i32,
    /// CloudEvents id.
    pub event_id: String,
    pub time: DateTime<Utc>,
    pub sequence: Option<i64>,
    pub previous: Option<Vec<u8>>,
    pub hash: Option<Vec<u8>>,
    pub signature: Option<Vec<u8>>,
    pub body: Bytes,
}

impl Frame {
    pub fn new(
        agent: i32,
        event_id: String,
        time: DateTime<FixedOffset>,
        seal: Option<&Seal>,
        body: Bytes,
    ) -> Self {
        Self {
            agent,
            event_id: stored(&event_id),
            time: time.to_utc(),
            // The contract's numbers go to 2^53.
            sequence: seal.and_then(|seal| i64::try_from(seal.sequence).ok()),
            previous: seal.map(|seal| seal.previous.to_vec()),
            hash: seal.map(|seal| seal.hash.to_vec()),
            signature: seal.map(|seal| seal.signature.to_vec()),
            body,
        }
    }
}

/// A message as a row of its table.
#[derive(Debug, Clone)]
pub enum Row {
    Passage(Box<PassageMessage>),
    Hit(Box<HitMessage>),
    Signal(Box<SignalMessage>),
    Status(Box<StatusMessage>),
    Audit(Box<AuditMessage>),
    Result(Box<ResultMessage>),
    Picture(Picture),
}

/// A picture; its bytes are the message's.
#[derive(Debug, Clone)]
pub struct Picture {
    pub owner: Uuid,
    pub role: String,
    pub content_type: String,
    pub sha256: Sha256Hex,
    /// Where it lies in the object store.
    pub object: String,
}

/// Which table a row belongs to; in the order in which a batch writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    Hits,
    Statuses,
    Audits,
    Results,
    Signals,
    Passages,
    Pictures,
}

impl Table {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hits => "hits",
            Self::Statuses => "statuses",
            Self::Audits => "audits",
            Self::Results => "results",
            Self::Signals => "signals",
            Self::Passages => "passages",
            Self::Pictures => "pictures",
        }
    }

    /// Its own columns with their types; those of the frame come after them.
    const fn own(self) -> &'static [(&'static str, Type)] {
        match self {
            Self::Passages => &[
                ("id", Type::UUID),
                ("camera", Type::TEXT),
                ("lane", Type::TEXT),
                ("direction", Type::TEXT),
                ("wrong_way", Type::BOOL),
                ("first_seen", Type::TIMESTAMPTZ),
                ("last_seen", Type::TIMESTAMPTZ),
                ("vehicle_class", Type::TEXT),
                ("class_confidence", Type::FLOAT4),
                ("vehicle_colour", Type::TEXT),
                ("vehicle_colour_confidence", Type::FLOAT4),
                ("plate", Type::TEXT),
                ("plate_confidence", Type::FLOAT4),
                ("plate_kind", Type::TEXT),
                ("plate_colour", Type::TEXT),
                ("plate_width", Type::FLOAT4),
                ("no_plate_reason", Type::TEXT),
                ("is_late", Type::BOOL),
                ("clock_state", Type::TEXT),
                ("evidence", Type::TEXT_ARRAY),
            ],
            Self::Hits => &[
                ("hit", Type::UUID),
                ("state", Type::TEXT),
                ("passage", Type::UUID),
                ("camera", Type::TEXT),
                ("lane", Type::TEXT),
                ("level", Type::TEXT),
                ("category", Type::TEXT),
                ("reason", Type::TEXT),
                ("list", Type::TEXT),
                ("entry_plate", Type::TEXT),
                ("authority", Type::TEXT),
                ("plate", Type::TEXT),
                ("plate_confidence", Type::FLOAT4),
                ("plate_kind", Type::TEXT),
                ("is_late", Type::BOOL),
                ("retraction", Type::TEXT),
                ("evidence", Type::TEXT_ARRAY),
            ],
            Self::Signals => &[
                ("id", Type::UUID),
                ("kind", Type::TEXT),
                ("passage", Type::UUID),
                ("camera", Type::TEXT),
                ("lane", Type::TEXT),
                ("plate", Type::TEXT),
            ],
            Self::Statuses => &[
                ("id", Type::UUID),
                ("state", Type::TEXT),
                ("reason", Type::TEXT),
                ("health", Type::TEXT),
            ],
            Self::Audits => &[("id", Type::UUID), ("kind", Type::TEXT)],
            Self::Results => &[
                ("id", Type::UUID),
                ("request_id", Type::UUID),
                ("command", Type::TEXT),
                ("ok", Type::BOOL),
                ("code", Type::TEXT),
            ],
            Self::Pictures => &[
                ("owner", Type::UUID),
                ("role", Type::TEXT),
                ("content_type", Type::TEXT),
                ("bytes", Type::INT8),
                ("sha256", Type::BYTEA),
                ("object", Type::TEXT),
            ],
        }
    }

    const FRAME: &'static [(&'static str, Type)] = &[
        ("agent", Type::INT4),
        ("time", Type::TIMESTAMPTZ),
        ("sequence", Type::INT8),
        ("previous_hash", Type::BYTEA),
        ("hash", Type::BYTEA),
        ("signature", Type::BYTEA),
    ];

    /// The columns that a row has, in the order of its cells. The staging table has `event_id`
    /// behind them, for the ledger.
    pub fn columns(self) -> Vec<(&'static str, Type)> {
        let body = (self != Self::Pictures).then_some(("body", Type::BYTEA));
        let own = self.own().iter().cloned();
        own.chain(Self::FRAME.iter().cloned()).chain(body).collect()
    }

    /// What is the same for every repeat of a message, and for no other.
    pub const fn key(self) -> &'static [&'static str] {
        match self {
            Self::Hits => &["event_id", "time"],
            Self::Pictures => &["owner", "role", "time"],
            _ => &["id", "time"],
        }
    }

    /// The table has the CloudEvents id as a column of its own.
    pub const fn keeps_event_id(self) -> bool {
        matches!(self, Self::Hits)
    }
}

/// The cells of a row: made once, lent to the writer.
pub struct Cells(pub Vec<Box<dyn ToSql + Sync + Send>>);

impl Row {
    pub fn table(&self) -> Table {
        match self {
            Self::Passage(_) => Table::Passages,
            Self::Hit(_) => Table::Hits,
            Self::Signal(_) => Table::Signals,
            Self::Status(_) => Table::Statuses,
            Self::Audit(_) => Table::Audits,
            Self::Result(_) => Table::Results,
            Self::Picture(_) => Table::Pictures,
        }
    }

    /// When it happened, as the agent says.
    pub fn time(&self) -> Option<DateTime<FixedOffset>> {
        Some(match self {
            Self::Passage(message) => message.time(),
            Self::Hit(message) => message.time(),
            Self::Signal(message) => message.time(),
            Self::Status(message) => message.time(),
            Self::Audit(message) => message.time(),
            Self::Result(message) => message.time(),
            Self::Picture(_) => return None,
        })
    }

    /// In the order of [`Table::columns`], and the event id behind them.
    pub fn cells(&self, frame: &Frame) -> Cells {
        let mut cells = Vec::with_capacity(28);
        match self {
            Self::Passage(message) => passage(message, &mut cells),
            Self::Hit(message) => hit(message, &mut cells),
            Self::Signal(message) => {
                cell(&mut cells, message.id);
                cell(&mut cells, message.kind.as_str());
                cell(&mut cells, message.passage_id);
                cell(&mut cells, message.camera.to_string());
                cell(
                    &mut cells,
                    message.lane.as_ref().map(|lane| lane.id.to_string()),
                );
                cell(
                    &mut cells,
                    message.plate.as_ref().map(|plate| stored(&plate.text)),
                );
            }
            Self::Status(message) => {
                cell(&mut cells, message.id);
                cell(&mut cells, message.state.as_str());
                cell(&mut cells, message.reason.map(|reason| reason.as_str()));
                cell(&mut cells, message.health.as_str());
            }
            Self::Audit(message) => {
                cell(&mut cells, message.id);
                cell(&mut cells, message.event.kind());
            }
            Self::Result(message) => {
                cell(&mut cells, message.id);
                cell(&mut cells, message.request_id);
                cell(&mut cells, message.command.to_string());
                cell(&mut cells, message.ok);
                cell(&mut cells, message.code.as_str());
            }
            Self::Picture(picture) => {
                cell(&mut cells, picture.owner);
                cell(&mut cells, picture.role.clone());
                cell(&mut cells, stored(&picture.content_type));
                cell(
                    &mut cells,
                    i64::try_from(frame.body.len()).unwrap_or(i64::MAX),
                );
                cell(&mut cells, picture.sha256.0.to_vec());
                cell(&mut cells, picture.object.clone());
            }
        }
        cell(&mut cells, frame.agent);
        cell(&mut cells, frame.time);
        cell(&mut cells, frame.sequence);
        cell(&mut cells, frame.previous.clone());
        cell(&mut cells, frame.hash.clone());
        cell(&mut cells, frame.signature.clone());
        if self.table() != Table::Pictures {
            cell(&mut cells, frame.body.to_vec());
        }
        cell(&mut cells, frame.event_id.clone());
        Cells(cells)
    }
}

fn passage(message: &PassageMessage, cells: &mut Vec<Box<dyn ToSql + Sync + Send>>) {
    let plate = message.plate.as_ref();
    let vehicle = message.vehicle.as_ref();
    cell(cells, message.id);
    cell(cells, message.camera.to_string());
    cell(cells, message.lane.as_ref().map(|lane| lane.id.to_string()));
    cell(cells, message.direction.as_str());
    cell(cells, message.wrong_way);
    cell(cells, message.first_seen.to_utc());
    cell(cells, message.last_seen.to_utc());
    cell(cells, vehicle.map(|vehicle| vehicle.class.as_str()));
    cell(cells, vehicle.map(|vehicle| vehicle.class_confidence.get()));
    let body = vehicle.and_then(|vehicle| vehicle.colour);
    cell(cells, body.map(|colour| colour.value.as_str()));
    cell(cells, body.map(|colour| colour.confidence.get()));
    cell(cells, plate.map(|plate| stored(&plate.text)));
    cell(cells, plate.map(|plate| plate.confidence.get()));
    cell(
        cells,
        plate.and_then(|plate| plate.kind).map(|kind| kind.code()),
    );
    let colour = plate.and_then(|plate| plate.colour.as_ref());
    cell(cells, colour.map(|colour| colour.value.as_str()));
    cell(cells, plate.map(width));
    cell(cells, message.no_plate_reason.map(|reason| reason.as_str()));
    cell(cells, message.is_late);
    let clock = message.clock.as_ref();
    cell(cells, clock.map(|clock| clock.state.as_str()));
    cell(cells, promised(message.id, &message.evidence));
}

fn hit(message: &HitMessage, cells: &mut Vec<Box<dyn ToSql + Sync + Send>>) {
    cell(cells, message.id);
    cell(cells, message.state.as_str());
    cell(cells, message.passage_id);
    cell(cells, message.camera.to_string());
    cell(cells, message.lane.as_ref().map(|lane| lane.id.to_string()));
    cell(cells, message.level.as_str());
    cell(cells, stored(&message.category));
    cell(cells, stored(&message.reason));
    cell(cells, stored(&message.entry.list));
    cell(cells, stored(&message.entry.plate));
    cell(cells, message.entry.authority.as_deref().map(stored));
    cell(cells, stored(&message.plate.text));
    cell(cells, message.plate.confidence.get());
    cell(cells, message.plate.kind.map(|kind| kind.code()));
    cell(cells, message.is_late);
    let retraction = message.retraction.as_ref();
    cell(
        cells,
        retraction.map(|retraction| retraction.reason.as_str()),
    );
    cell(cells, promised(message.id, &message.evidence));
}

fn cell(cells: &mut Vec<Box<dyn ToSql + Sync + Send>>, value: impl ToSql + Sync + Send + 'static) {
    cells.push(Box::new(value));
}

/// Mean of the upper and the lower edge, px.
fn width(plate: &kakou_contract::Plate) -> f32 {
    let [a, b, c, d] = plate.quad.map(|[x, y]| [x.get(), y.get()]);
    let length = |[x0, y0]: [f32; 2], [x1, y1]: [f32; 2]| (x1 - x0).hypot(y1 - y0);
    f32::midpoint(length(a, b), length(d, c))
}

/// 'owner/role sha256' of each picture that is promised. The owner is the one that its topic names: a
/// hit that is confirmed promises pictures of its passage.
fn promised(owner: Uuid, evidence: &[Evidence]) -> Vec<String> {
    let line = |one: &Evidence| {
        let owner = match one.topic.as_deref().map(str::parse) {
            Some(Ok(Topic::Evidence { passage, .. })) => passage,
            _ => owner,
        };
        format!("{owner}/{} {}", one.role, one.sha256)
    };
    evidence.iter().map(line).collect()
}

/// PostgreSQL's text cannot hold a NUL.
pub fn stored(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
