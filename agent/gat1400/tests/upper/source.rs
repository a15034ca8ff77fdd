//! A source that outlives the gateway, as a database does.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chrono::Duration;
use kakou_contract::{Message, PassageMessage};
use kakou_gat1400::{Item, Outgoing, Picture, Refusal};
use uuid::Uuid;

#[derive(Default)]
struct Held {
    waiting: VecDeque<Uuid>,
    passages: HashMap<Uuid, PassageMessage>,
    refused: HashMap<Uuid, String>,
    bytes: usize,
    bytes_of: HashMap<Uuid, usize>,
}

impl Held {
    /// Only what waits can be reported.
    fn take(&mut self, id: Uuid) {
        let at = self.waiting.iter().position(|other| *other == id);
        self.waiting.remove(at.unwrap());
    }
}

#[derive(Clone, Default)]
pub struct Source(Arc<Mutex<Held>>);

impl Source {
    pub fn new(passages: &[PassageMessage]) -> Self {
        let source = Self::default();
        source.with(|held| {
            held.bytes = 300;
            held.waiting = passages.iter().map(|p| p.id).collect();
            held.passages = passages.iter().map(|p| (p.id, p.clone())).collect();
        });
        source
    }

    fn with<T>(&self, f: impl FnOnce(&mut Held) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }

    pub fn waiting(&self) -> usize {
        self.with(|held| held.waiting.len())
    }

    pub fn refused(&self) -> HashMap<Uuid, String> {
        self.with(|held| held.refused.clone())
    }

    /// The size of each frame.
    pub fn pictures_of(&self, bytes: usize) {
        self.with(|held| held.bytes = bytes);
    }

    pub fn picture_of(&self, id: Uuid, bytes: usize) {
        self.with(|held| held.bytes_of.insert(id, bytes));
    }
}

impl Outgoing for Source {
    type Error = Infallible;

    async fn next(&self, most: usize) -> Result<Vec<Item>, Infallible> {
        Ok(self.with(|held| {
            let ids: Vec<Uuid> = held.waiting.iter().take(most).copied().collect();
            ids.iter()
                .map(|id| {
                    let passage = held.passages[id].clone();
                    let size = held.bytes_of.get(id).copied().unwrap_or(held.bytes);
                    let one = |role, size| Picture {
                        role,
                        bytes: Some(Bytes::from(vec![7; size])),
                        url: None,
                    };
                    let pictures = passage
                        .evidence
                        .iter()
                        .map(|e| one(e.role, if e.role.as_str() == "frame" { size } else { 30 }))
                        .collect();
                    Item {
                        passage,
                        pictures,
                        suspicious: None,
                    }
                })
                .collect()
        }))
    }

    async fn done(&self, ids: &[Uuid]) -> Result<(), Infallible> {
        self.with(|held| {
            for id in ids {
                held.take(*id);
            }
        });
        Ok(())
    }

    async fn refused(&self, id: Uuid, why: &Refusal) -> Result<(), Infallible> {
        self.with(|held| {
            held.take(id);
            held.refused.insert(id, why.to_string());
        });
        Ok(())
    }

    async fn again(&self, id: Uuid, _: &str) -> Result<(), Infallible> {
        self.with(|held| {
            held.take(id);
            held.waiting.push_back(id);
        });
        Ok(())
    }
}

/// Several vehicles in each second, of two cameras that are one device, every third without a plate.
pub fn passages(count: usize) -> Vec<PassageMessage> {
    let read = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../contract/golden");
        let bytes = std::fs::read(format!("{folder}/{name}.json")).unwrap();
        PassageMessage::from_json(&bytes).unwrap()
    };
    let (with, without) = (read("passage"), read("passage-no-plate"));
    (0..count)
        .map(|n| {
            let is_without = n % 3 == 2 && n > 6;
            let mut passage = if is_without {
                without.clone()
            } else {
                with.clone()
            };
            let later = Duration::milliseconds(n as i64 * 270);
            passage.time += later;
            passage.first_seen += later;
            passage.last_seen += later;
            for evidence in &mut passage.evidence {
                evidence.captured_at = evidence.captured_at.map(|at| at + later);
            }
            if !is_without {
                // So that each has a plate and each plate one vehicle.
                let plate = passage.plate.as_mut().unwrap();
                for (at, digit) in format!("{n:03}").chars().enumerate() {
                    plate.characters[2 + at].char = digit;
                }
                plate.text = plate.characters.iter().map(|c| c.char).collect();
            }
            passage.id = kakou_contract::live_id(passage.time);
            passage
        })
        .collect()
}
