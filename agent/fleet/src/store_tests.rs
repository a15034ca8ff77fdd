#![allow(clippy::unwrap_used)]

use chrono::DateTime;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::city::{City, Sighting};
use crate::fleet::shared;
use crate::options::{FleetOptions, TruthTo};
use crate::truth::Record;

struct Rig {
    store: MemoryStore,
    cursor: Cursor,
    _record: Record,
    rows: Sink,
}

fn rig(change: impl FnOnce(&mut FleetOptions)) -> Rig {
    let mut options = FleetOptions {
        start: Some(DateTime::parse_from_rfc3339("2031-05-04T08:00:00+08:00").unwrap()),
        // One message for each sighting.
        signals: 0.0,
        no_plate: 0.0,
        ..FleetOptions::new(1)
    };
    change(&mut options);
    let (record, sink) = Record::open(&TruthTo::Memory).unwrap();
    let shared = shared(options).unwrap();
    let checkpoint = Checkpoint::new(&shared.options, &shared.traffic, 0).unwrap();
    let books = Books {
        tally: Arc::default(),
        sink: sink.clone(),
        untold: Arc::default(),
    };
    let store = MemoryStore::new(Line::new(shared, Arc::new(checkpoint)), books);
    Rig {
        store,
        cursor: Cursor::default(),
        _record: record,
        rows: sink,
    }
}

impl Rig {
    fn happen(&self, count: usize, listed: bool) {
        let traffic = self.store.look(|line| line.shared.traffic);
        let mut city = City::new(traffic, 500, 0, true);
        let all = std::iter::from_fn(|| city.next()).map(|due| due.sighting);
        let wanted = all.filter(|s| listed || s.phase == Phase::Passed);
        for seen in wanted.take(count) {
            self.store.push(Event::Sighting(seen));
        }
    }

    async fn read(&mut self) -> Vec<Committed> {
        let all = self
            .store
            .fetch(self.cursor, &Priority::ORDER, 256, 4 << 20)
            .await
            .unwrap();
        for one in &all {
            self.cursor.advance(one.envelope.priority, one.sequence);
        }
        all
    }

    fn rows(&self) -> Vec<Row> {
        match &self.rows {
            Sink::Memory(rows) => rows.lock().unwrap().clone(),
            _ => Vec::new(),
        }
    }
}

/// Reads and acknowledges until nothing is left; what was read.
async fn drain(rig: &mut Rig) -> Vec<Committed> {
    let mut all = Vec::new();
    loop {
        let some = rig.read().await;
        if some.is_empty() {
            return all;
        }
        for one in &some {
            rig.store.acked(one.sequence).await.unwrap();
        }
        all.extend(some);
    }
}

#[tokio::test]
async fn what_happened_becomes_messages_as_there_is_room() {
    let mut rig = rig(|o| o.memory = 0);
    rig.happen(3_000, false);
    let room = 64 << 10;
    let first = rig.read().await;
    let bytes: usize = first
        .iter()
        .map(|c| c.envelope.payload.len() + BESIDE_PAYLOAD)
        .sum();
    assert!((room..room + 8_192).contains(&bytes), "{bytes}");
    assert!(rig.read().await.is_empty() && rig.store.untold() > 2_900);
    // With each acknowledgement the uplink hears that there is more.
    let mut committed = rig.store.committed();
    committed.mark_unchanged();
    rig.store.acked(first[0].sequence).await.unwrap();
    assert!(committed.has_changed().unwrap());
    for one in &first[1..] {
        rig.store.acked(one.sequence).await.unwrap();
    }
    let rest = drain(&mut rig).await;
    assert_eq!(first.len() + rest.len(), 3_000);
    assert_eq!(rig.store.untold(), 0);
    let numbers: Vec<u64> = rig.rows().iter().map(|row| row.sequence).collect();
    assert_eq!(numbers, (1..=3_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn hits_leave_first_and_a_lost_connection_reads_all_again() {
    let mut rig = rig(|o| o.hits = 0.2);
    rig.happen(120, true);
    let first = rig.read().await;
    let hits = first
        .iter()
        .take_while(|c| c.envelope.priority == Priority::Hit)
        .count();
    assert!(
        hits > 5
            && first[hits..]
                .iter()
                .all(|c| c.envelope.priority != Priority::Hit)
    );
    rig.cursor = Cursor::default();
    assert_eq!(rig.read().await, first);
}

#[tokio::test]
async fn what_was_acknowledged_is_sent_again_when_asked_for_and_recorded_once() {
    let mut rig = rig(|_| {});
    rig.happen(20, false);
    let first = drain(&mut rig).await;
    assert_eq!(first.len(), 20);
    let resent = rig.store.resend(5, 24);
    let missing = vec![[21, 24]];
    assert_eq!(
        resent,
        Resent {
            messages: 16,
            missing
        }
    );
    let again = drain(&mut rig).await;
    let payloads = |all: &[Committed]| -> Vec<_> {
        all.iter()
            .map(|c| (c.envelope.id.clone(), c.envelope.payload.clone()))
            .collect()
    };
    assert_eq!(payloads(&again), payloads(&first[4..]));
    assert_eq!(rig.rows().len(), 20);
    assert_eq!(rig.store.0.books.tally.repeats.get(), 16);
}

#[tokio::test]
async fn what_is_kept_for_that_is_bounded() {
    let mut rig = rig(|o| o.memory = 0);
    rig.happen(500, false);
    drain(&mut rig).await;
    let resent = rig.store.resend(1, 500);
    assert!((10..60).contains(&resent.messages), "{resent:?}");
    assert_eq!(resent.missing, [[1, 500 - resent.messages]]);
}

#[tokio::test]
async fn what_is_left_at_the_end_is_recorded() {
    let mut rig = rig(|o| o.troubles.evictions = 0.05);
    rig.happen(100, false);
    let some = rig.read().await;
    rig.store.acked(some[0].sequence).await.unwrap();
    rig.store
        .hold(some[1].sequence, Held::Refused, "why".to_owned())
        .await
        .unwrap();
    rig.store.end_evicting();
    let (left, held) = rig.store.close();
    let rows = rig.rows();
    let of = |fate| rows.iter().filter(|row| row.fate == fate).count() as u64;
    assert_eq!((of(Fate::Unacknowledged), of(Fate::Held)), (left, held));
    assert_eq!((of(Fate::Acknowledged), of(Fate::Held)), (1, 1));
    assert!(of(Fate::Evicted) > 2);
    let mut numbers: Vec<u64> = rows.iter().map(|row| row.sequence).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_that_the_broker_takes_later_is_read_again() {
    let mut rig = rig(|_| {});
    rig.happen(3, false);
    let all = rig.read().await;
    rig.store
        .hold(all[0].sequence, Held::NotAuthorised, "why".to_owned())
        .await
        .unwrap();
    assert_eq!(rig.store.release(Held::Refused, 5).await.unwrap(), 0);
    assert_eq!(rig.store.release(Held::NotAuthorised, 5).await.unwrap(), 1);
    let again = rig.read().await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].envelope, all[0].envelope);
}

#[tokio::test]
async fn repeats_come_once_more_and_end() {
    let mut rig = rig(|o| o.troubles.repeats = 0.5);
    rig.happen(400, false);
    let all = drain(&mut rig).await;
    assert!((500..700).contains(&all.len()), "{}", all.len());
    assert_eq!(rig.rows().len(), 400);
    // A sighting is small, since many wait.
    assert!(size_of::<Sighting>() <= 24 && size_of::<Event>() <= 32);
}
