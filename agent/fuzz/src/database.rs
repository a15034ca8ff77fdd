//! A damaged outbox: what a dying disk leaves of a good one.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::DateTime;
use kakou_contract::{Envelope, Id, Keep, Priority};
use kakou_outbox::{Inspection, Outbox, OutboxOptions, Repair, RepairOptions, repair};
use kakou_time::SimulatedClock;

const DATABASE: &str = "outbox.db";
const KEY: &str = "agent.key";
/// How many places are damaged at most.
const PLACES: usize = 32;

/// Damage: each place has five bytes (what, where in three, how much), and the bytes of an overwrite
/// behind them. `verify` and `export` say what is wrong, and what `repair` made is whole.
pub fn database(data: &[u8]) {
    static GOOD: OnceLock<Result<Good, String>> = OnceLock::new();
    let good = match GOOD.get_or_init(|| good().map_err(|e| e.to_string())) {
        Ok(good) => good,
        Err(error) => unreachable!("an outbox can be made here: {error}"),
    };
    let mut bytes = good.database.clone();
    damage(&mut bytes, data);
    let Ok(folder) = folder() else { return };
    let folder = folder.path();
    if good.lay(folder, &bytes).is_err() {
        return;
    }
    look(folder);
    match repair(folder, &RepairOptions::default(), |_| ()) {
        Ok(Repair::Done(repaired)) => {
            let verdict = Inspection::open(folder).and_then(|i| i.verify(|_| ()));
            let whole = verdict.as_ref().is_ok_and(|v| v.is_whole());
            assert!(whole, "{repaired:?} gave {verdict:?}");
        }
        Ok(Repair::NotNeeded { .. }) => {}
        Err(error) => drop(error.to_string()),
    }
}

fn look(folder: &Path) {
    let inspection = match Inspection::open(folder) {
        Ok(inspection) => inspection,
        Err(error) => return drop(error.to_string()),
    };
    let _ = inspection.verify(|_| ()).map_err(|e| e.to_string());
    let _ = inspection.overview().map_err(|e| e.to_string());
    let picture = |_, _: &str, _: &[u8]| Ok(None);
    let line = |_| Ok(());
    let _ = inspection
        .export(0, u64::MAX, None, picture, line)
        .map_err(|e| e.to_string());
}

fn damage(bytes: &mut Vec<u8>, mut data: &[u8]) {
    for _ in 0..PLACES {
        let [what, high, middle, low, size, rest @ ..] = data else {
            return;
        };
        data = rest;
        let at = u32::from_be_bytes([0, *high, *middle, *low]) as usize % (bytes.len() + 1);
        let size = usize::from(*size);
        let Some(place) = bytes.get_mut(at..) else {
            return;
        };
        match what % 4 {
            0 => {
                let (new, rest) = data.split_at(size.min(data.len()));
                data = rest;
                place.iter_mut().zip(new).for_each(|(old, new)| *old = *new);
            }
            1 => place.iter_mut().take(1).for_each(|old| *old ^= size as u8),
            2 => place.iter_mut().take(64 * size).for_each(|old| *old = 0xa5),
            _ => bytes.truncate(at),
        }
    }
}

/// In memory where there is such a place: a repair waits for the disk again and again.
fn folder() -> std::io::Result<tempfile::TempDir> {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    }
}

/// An outbox's database, and the key that it is signed with.
struct Good {
    database: Vec<u8>,
    key: Vec<u8>,
}

impl Good {
    fn lay(&self, folder: &Path, database: &[u8]) -> std::io::Result<()> {
        let mut key = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.join(KEY))?;
        key.write_all(&self.key)?;
        fs::write(folder.join(DATABASE), database)
    }
}

/// 24 messages, with some small pictures. A place in the file means the same in each run; the key is
/// another one.
fn good() -> Result<Good, Box<dyn std::error::Error>> {
    let folder = folder()?;
    let (site, agent) = (Id::new("site", "s")?, Id::new("agent", "a")?);
    let mut options = OutboxOptions::new(folder.path(), site, agent);
    let wall = DateTime::from_timestamp_millis(1_900_000_000_000).unwrap_or_default();
    options.clock = Arc::new(SimulatedClock::new(wall.fixed_offset(), Duration::ZERO));
    let outbox = Outbox::open(options)?;
    for n in 0..12 {
        let first = Priority::ORDER.get(n % 3).copied().unwrap_or(Priority::Hit);
        let both = vec![envelope(first, n), envelope(Priority::Picture, n)];
        outbox.append(both)?;
    }
    outbox.close()?;
    Ok(Good {
        database: fs::read(folder.path().join(DATABASE))?,
        key: fs::read(folder.path().join(KEY))?,
    })
}

fn envelope(priority: Priority, n: usize) -> Envelope {
    let is_picture = priority == Priority::Picture;
    let payload = if is_picture {
        vec![n as u8; 700 * n]
    } else {
        format!("{{\"text\":\"{n}\"}}").into_bytes()
    };
    Envelope {
        priority,
        keep: Keep::Passage,
        id: format!("id-{n}"),
        topic: format!("kakou/v1/s/a/{priority}/c"),
        content_type: Some("application/json".into()),
        user_properties: vec![("id".into(), format!("id-{n}"))],
        correlation: None,
        retain: false,
        captured_ms: None,
        numbered: !is_picture,
        payload: payload.into(),
    }
}
