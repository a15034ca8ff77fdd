//! Tracks in, passages out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kakou_time::Moment;

use crate::detections::Detections;
use crate::geometry::{Point, Rect};
use crate::track::{EndReason, TrackId, TrackView, Updates, are_in_line};

use super::evidence::{Evidence, Said, Scene};
use super::rules::{Reject, judge, passage, sure_plate};
use super::same::{Trace, same_vehicle};
use super::{Dropped, News, Passage, PassageConfig, VehicleId};

/// An ended track that waits for its vehicle to show up again.
#[derive(Debug, Clone)]
struct Held<F> {
    due: Duration,
    evidence: Evidence<F>,
}

/// Turns tracks into passages. `F` is a handle to a frame's pixels, kept for the best frames only.
#[derive(Debug, Clone)]
pub struct Passages<F> {
    config: PassageConfig,
    open: BTreeMap<TrackId, Evidence<F>>,
    /// In the order of their ends.
    held: Vec<Held<F>>,
    recent: VecDeque<Trace>,
    rejected: BTreeMap<Reject, u64>,
    dropped: Vec<Dropped>,
    number: u64,
    /// Vehicles followed so far.
    followed: u64,
}

impl<F: Clone> Passages<F> {
    pub fn new(config: PassageConfig) -> Self {
        Self {
            config,
            open: BTreeMap::new(),
            held: Vec::new(),
            recent: VecDeque::new(),
            rejected: BTreeMap::new(),
            dropped: Vec::new(),
            number: 0,
            followed: 0,
        }
    }

    /// How many tracks became no passage, by reason.
    pub fn rejected(&self) -> &BTreeMap<Reject, u64> {
        &self.rejected
    }

    /// Vehicles being followed or waiting to go out.
    pub fn pending(&self) -> usize {
        self.open.len() + self.held.len()
    }

    /// Takes one frame; returns what it tells.
    pub fn update(&mut self, frame: &F, time: Moment, det: &Detections, upd: &Updates) -> News<F> {
        for m in &upd.merged {
            if let Some(gone) = self.open.remove(&m.gone) {
                match self.open.get_mut(&m.into) {
                    Some(e) => e.absorb(gone),
                    None => {
                        self.open.insert(m.into, gone);
                    }
                }
            }
        }
        for (id, reason) in &upd.ended {
            if let Some(evidence) = self.open.remove(id) {
                let hold = match reason {
                    EndReason::LeftPicture => self.config.hold_left,
                    EndReason::Lost | EndReason::Replaced => self.config.hold_lost,
                    EndReason::Cut => self.config.hold_cut,
                };
                self.held.push(Held {
                    due: time.mono + hold,
                    evidence,
                });
            }
        }
        self.see(frame, time, det, upd);
        let mut out = Vec::new();
        while let Some(i) = self.held.iter().position(|h| h.due <= time.mono) {
            let h = self.held.remove(i);
            out.extend(self.close(h.evidence, false));
        }
        self.forget(time.mono);
        let sure = self.sure(time, det, upd);
        News {
            sure,
            ..self.send(out)
        }
    }

    /// Vehicles in sight whose plate is sure now.
    fn sure(&mut self, time: Moment, det: &Detections, upd: &Updates) -> Vec<Passage<F>> {
        let mut out = Vec::new();
        for view in &upd.tracks {
            let Some(e) = self.open.get_mut(&view.id).filter(|e| e.ballot.reads() > 0) else {
                continue;
            };
            let find = view.plate_find.and_then(|i| det.plates.get(i));
            let read_now = find.is_some_and(|plate| plate.read.is_some());
            let in_sight = view.plate.is_some() || view.vehicle_find.is_some();
            let due = e
                .said
                .as_ref()
                .is_some_and(|said| said.at + self.config.tell_again <= time.mono);
            let again = due && in_sight;
            if !read_now && !again {
                continue;
            }
            let Some(plate) = sure_plate(e, &self.config) else {
                continue;
            };
            let news = e.said.as_ref().is_none_or(|said| said.text != plate.text);
            if !news && !due {
                continue;
            }
            e.said = Some(Said {
                text: plate.text.clone(),
                at: time.mono,
            });
            let mut so_far = passage(e, Ok(plate), &self.config);
            if let Some(best) = &so_far.best {
                so_far.passed_at = best.time;
            }
            out.push(so_far);
        }
        out
    }

    /// The stream ends: everything open ends as a passage, where it is one.
    pub fn finish(&mut self) -> News<F> {
        let open = std::mem::take(&mut self.open);
        self.held.extend(open.into_values().map(|evidence| Held {
            due: Duration::ZERO,
            evidence,
        }));
        // The later parts of a vehicle take in the earlier ones.
        self.held.sort_by_key(|h| h.evidence.first.mono);
        let mut out = Vec::new();
        while !self.held.is_empty() {
            let h = self.held.remove(0);
            out.extend(self.close(h.evidence, true));
        }
        self.recent.clear();
        self.send(out)
    }

    fn see(&mut self, frame: &F, time: Moment, det: &Detections, upd: &Updates) {
        let scene = Scene {
            frame,
            time,
            det,
            upd,
            config: &self.config,
        };
        for view in &upd.tracks {
            let followed = &mut self.followed;
            let e = self.open.entry(view.id).or_insert_with(|| {
                *followed += 1;
                let id = VehicleId {
                    number: *followed,
                    since: time,
                };
                Evidence::new(&scene, id, view.id)
            });
            e.see(&scene, view);
        }
        for view in upd
            .tracks
            .iter()
            .filter(|v| v.vehicle_find.is_some() || v.plate.is_some())
        {
            let plain = self.open.get(&view.id).is_some_and(|e| e.plate_hits == 0);
            let on = self.lies_on_other(view, plain, upd);
            if let Some((e, other)) = self.open.get_mut(&view.id).zip(on) {
                if plain {
                    e.shadowed = e.shadowed.saturating_add(1);
                } else {
                    e.on_other = e.on_other.saturating_add(1);
                    e.hosted(other, 1);
                }
            }
        }
    }

    /// The other vehicle that a box without a plate lies on (an older or plate-bearing one), or
    /// that a plate without a vehicle lies on.
    fn lies_on_other(&self, view: &TrackView, plain: bool, upd: &Updates) -> Option<TrackId> {
        let bears = |id: TrackId| self.open.get(&id).is_some_and(|e| e.plate_hits > 0);
        let mut others = upd
            .tracks
            .iter()
            .filter(|o| o.id != view.id && (o.vehicle_find.is_some() || o.plate.is_some()));
        let on = others.find(|o| match (plain, o.vehicle) {
            (true, Some(r)) => {
                let first = bears(o.id) || o.id < view.id;
                let covers = |v: &Rect| {
                    (bears(o.id) || !are_in_line(v, &r))
                        && (v.iou(&r) > 0.4 || v.covered_by(&r) > 0.75)
                };
                first && view.vehicle.as_ref().is_some_and(covers)
            }
            (false, Some(r)) => {
                let place = |p: Point| r.contains(p) && p.y > r.y0 + 0.3 * r.height();
                view.vehicle.is_none() && view.plate.is_some_and(|q| place(q.center()))
            }
            (_, None) => false,
        });
        on.map(|o| o.id)
    }

    /// An ended vehicle's turn: it joins what is still there of it, or goes out, or is dropped.
    fn close(&mut self, evidence: Evidence<F>, finishing: bool) -> Option<Passage<F>> {
        let trace = Trace::of(&evidence, &self.config);
        // A plate that was read does not wait for a box at its place that shows none: that one may
        // be a ghost which stays. It is dropped as a repeat when it ends.
        let same = |e: &Evidence<F>| {
            let other = Trace::of(e, &self.config);
            let waits = trace.plate.is_none() || other.plate.is_some() || trace.lies_on(&other);
            waits && same_vehicle(&trace, &other, &self.config)
        };
        let again = self.open.iter().find(|(_, e)| same(e)).map(|(id, _)| *id);
        if let Some(e) = again.and_then(|id| self.open.get_mut(&id)) {
            e.absorb(evidence);
            return None;
        }
        let waiting = self.held.iter().position(|h| same(&h.evidence));
        if let Some(h) = waiting.and_then(|i| self.held.get_mut(i)) {
            h.evidence.absorb(evidence);
            return None;
        }
        if let Some(known) = self
            .recent
            .iter_mut()
            .find(|r| same_vehicle(r, &trace, &self.config))
        {
            if trace.last.mono > known.last.mono {
                known.extend(&trace);
            }
            self.reject(evidence, Reject::Repeated);
            return None;
        }
        match judge(&evidence, &self.config, finishing) {
            Ok(word) => {
                self.recent.push_back(trace);
                while self.recent.len() > self.config.keep_recent {
                    self.recent.pop_front();
                }
                Some(passage(&evidence, word, &self.config))
            }
            Err(why) => {
                self.reject(evidence, why);
                None
            }
        }
    }

    /// Drops what neither a new track nor one still open could be a repeat of.
    fn forget(&mut self, now: Duration) {
        let oldest = self
            .open
            .values()
            .chain(self.held.iter().map(|h| &h.evidence))
            .map(|e| e.first.mono)
            .min();
        let since = oldest.map_or(now, |o| o.min(now));
        let rejoin = self.config.rejoin;
        self.recent.retain(|t| t.last.mono + rejoin >= since);
    }

    fn reject(&mut self, evidence: Evidence<F>, why: Reject) {
        *self.rejected.entry(why).or_default() += 1;
        if evidence.said.is_some() {
            self.dropped.push(Dropped {
                vehicle: evidence.id,
                also: evidence.also,
                why,
            });
        }
    }

    fn send(&mut self, mut passed: Vec<Passage<F>>) -> News<F> {
        passed.sort_by_key(|p| p.passed_at.mono);
        for p in &mut passed {
            self.number += 1;
            p.number = self.number;
        }
        News {
            dropped: std::mem::take(&mut self.dropped),
            passed,
            sure: Vec::new(),
        }
    }
}
