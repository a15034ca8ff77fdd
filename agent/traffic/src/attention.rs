//! Where plates are expected in the next frame, and which are worth another read. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::detections::{Detections, Expected};
use crate::geometry::{Point, Quad};
use crate::track::{TrackId, Updates};

/// A plate that was not seen for this long is no longer expected anywhere.
const FORGET: Duration = Duration::from_millis(600);
/// Mean confidence of a read that counts towards `enough_reads`.
const SURE: f32 = 0.9;
/// A plate that was read often enough is read again once in so many sightings, so that a vehicle
/// that took another's place does not go unnoticed, and that a nearer view becomes its picture.
const AGAIN: u32 = 3;

#[derive(Debug, Clone)]
struct Followed {
    quad: Quad,
    at: Duration,
    /// Pixels per second.
    velocity: Point,
    text: String,
    /// Sure reads of `text` in a row.
    agreeing: u32,
    unread: u32,
}

/// The plates that are followed.
#[derive(Debug, Default)]
pub struct Attention {
    followed: BTreeMap<TrackId, Followed>,
    enough_reads: u32,
}

impl Attention {
    /// `enough_reads`: sure reads alike after which a plate is read only now and then; 0: read it
    /// always.
    pub fn new(enough_reads: u32) -> Self {
        Self {
            followed: BTreeMap::new(),
            enough_reads,
        }
    }

    /// Where the followed plates should be at `now`.
    pub fn expected(&self, now: Duration) -> Vec<Expected> {
        let place = |f: &Followed| {
            let dt = now.saturating_sub(f.at).as_secs_f32();
            let (dx, dy) = (f.velocity.x * dt, f.velocity.y * dt);
            f.quad.map(|p| Point::new(p.x + dx, p.y + dy))
        };
        let read = |f: &Followed| {
            self.enough_reads == 0 || f.agreeing < self.enough_reads || f.unread + 1 >= AGAIN
        };
        self.followed
            .values()
            .map(|f| Expected {
                quad: place(f),
                read: read(f),
            })
            .collect()
    }

    /// Takes in what the tracker made of a frame.
    pub fn update(&mut self, now: Duration, seen: &Detections, updates: &Updates) {
        for view in &updates.tracks {
            let Some(find) = view.plate_find.and_then(|i| seen.plates.get(i)) else {
                continue;
            };
            let old = self.followed.get(&view.id);
            let velocity = old.map_or(Point::default(), |o| {
                let dt = now.saturating_sub(o.at).as_secs_f32().max(1e-3);
                let (a, b) = (o.quad.center(), find.quad.center());
                Point::new((b.x - a.x) / dt, (b.y - a.y) / dt)
            });
            let (text, agreeing, unread) = match (&find.read, old) {
                (None, None) => (String::new(), 0, 0),
                (None, Some(o)) => (o.text.clone(), o.agreeing, o.unread + 1),
                (Some(r), old) => {
                    let text = r.text();
                    let sure = u32::from(r.mean_conf() >= SURE);
                    match old {
                        Some(o) if o.text == text => (text, o.agreeing + sure, 0),
                        _ => (text, sure, 0),
                    }
                }
            };
            self.followed.insert(
                view.id,
                Followed {
                    quad: find.quad,
                    at: now,
                    velocity,
                    text,
                    agreeing,
                    unread,
                },
            );
        }
        let live = |id: &TrackId| updates.tracks.binary_search_by_key(id, |t| t.id).is_ok();
        self.followed
            .retain(|id, f| live(id) && now.saturating_sub(f.at) <= FORGET);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detections::PlateFind;
    use crate::plate::{CharRead, PlateRead};
    use crate::track::TrackView;

    fn seen(x: f32, text: Option<&str>) -> Detections {
        let quad = Quad(
            [(x, 10.0), (x + 90.0, 10.0), (x + 90.0, 40.0), (x, 40.0)]
                .map(|(x, y)| Point::new(x, y)),
        );
        let chars = |t: &str| {
            t.chars()
                .map(|ch| CharRead {
                    ch,
                    conf: 0.99,
                    runner_up: None,
                })
                .collect()
        };
        let read = text.map(|t| PlateRead {
            chars: chars(t),
            rows: 1,
        });
        Detections {
            plates: vec![PlateFind {
                quad,
                score: 1.0,
                read,
                colour: None,
                legibility: 1.0,
            }],
            plates_looked_for: true,
            ..Detections::default()
        }
    }

    fn updates(find: Option<usize>) -> Updates {
        let view = TrackView {
            id: TrackId(7),
            vehicle: None,
            vehicle_find: None,
            plate_find: find,
            plate: None,
            around: false,
            standing: false,
        };
        Updates {
            tracks: vec![view],
            ..Updates::default()
        }
    }

    #[test]
    fn a_moving_plate_is_expected_further_on_and_forgotten_in_the_end() {
        let ms = Duration::from_millis;
        let mut a = Attention::new(2);
        a.update(ms(0), &seen(100.0, Some("鲁E6K829")), &updates(Some(0)));
        a.update(ms(100), &seen(110.0, Some("鲁E6K829")), &updates(Some(0)));
        let e = a.expected(ms(200));
        assert!((e[0].quad.0[0].x - 120.0).abs() < 0.01, "{e:?}");
        assert!(!e[0].read, "two sure reads are enough");
        let again = u64::from(AGAIN);
        for i in 2..again {
            let x = 100.0 + 10.0 * i as f32;
            a.update(ms(100 * i), &seen(x, None), &updates(Some(0)));
        }
        assert!(!a.expected(ms(100 * again))[0].read);
        let x = 100.0 + 10.0 * again as f32;
        a.update(ms(100 * again), &seen(x, None), &updates(Some(0)));
        let next = 100 * (again + 1);
        assert!(
            a.expected(ms(next))[0].read,
            "now and then it is read again"
        );
        let other = seen(x + 10.0, Some("鲁B3F571"));
        a.update(ms(next), &other, &updates(Some(0)));
        assert!(
            a.expected(ms(next + 100))[0].read,
            "another text begins anew"
        );
        a.update(ms(1600), &Detections::default(), &updates(None));
        assert!(a.expected(ms(1700)).is_empty());
    }
}
