//! Whether the same picture comes again and again.
//!
//! A camera whose sensor stands still goes on encoding: each key frame begins anew, and the
//! pictures between two of them come closer to it step by step. So it is not one picture that stays
//! but a few that come round, with every key frame. A sensor's noise makes each picture of a live
//! scene another one: none of those kept ever comes again.
//!
//! Some pictures of the last seconds are kept. That one of them comes again is a repeat, and
//! repeats belong together as long as they are of pictures kept before the repeat before. A still
//! scene may be sent unchanged until the next key frame; after that its old pictures do not come
//! again, and what repeats then began then.

use std::collections::VecDeque;
use std::time::Duration;

/// Between two pictures kept.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// A picture that did not come again for so long is forgotten; more than cameras have between two
/// key frames.
const FORGET: Duration = Duration::from_secs(10);
/// A repeat may come so much later than the one before it did.
const LATE: Duration = Duration::from_secs(2);
/// Of pictures kept.
const MOST: usize = 16;

type Cells = [[u32; 2]];

#[derive(Debug)]
struct Kept {
    cells: Vec<[u32; 2]>,
    taken: Duration,
    seen: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Round {
    since: Duration,
    last: Duration,
    /// The longest time between two repeats.
    gap: Duration,
}

impl Round {
    fn goes_on(&self, now: Duration) -> bool {
        now.saturating_sub(self.last) <= (2 * self.gap).min(self.gap + LATE)
    }
}

#[derive(Debug, Default)]
pub(super) struct Repeats {
    kept: VecDeque<Kept>,
    round: Option<Round>,
}

impl Repeats {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// For how long nothing but repeats has come, this picture included. `same`: whether two
    /// pictures are the same. `near`: whether nothing has moved from one to the other. Footage that
    /// is played in a loop repeats as well, but what moves in it shows that no sensor stands still.
    pub(super) fn update(
        &mut self,
        cells: &Cells,
        now: Duration,
        same: impl Fn(&Cells, &Cells) -> bool,
        near: impl Fn(&Cells, &Cells) -> bool,
    ) -> Duration {
        if self.kept.back().is_some_and(|k| !near(&k.cells, cells)) {
            self.clear();
        }
        self.kept.retain(|k| now.saturating_sub(k.seen) <= FORGET);
        let due = self
            .kept
            .back()
            .is_none_or(|k| now.saturating_sub(k.taken) >= KEEP_EVERY);
        match self.kept.iter_mut().find(|k| same(&k.cells, cells)) {
            Some(kept) => {
                kept.seen = now;
                let taken = kept.taken;
                // The first repeat alone says nothing of the time before it.
                match &mut self.round {
                    Some(r) if taken <= r.last => {
                        r.gap = r.gap.max(now.saturating_sub(r.last));
                        r.last = now;
                    }
                    // Kept within the round: it counts when it comes round again.
                    Some(r) if r.goes_on(now) => {}
                    _ => {
                        self.round = Some(Round {
                            since: now,
                            last: now,
                            gap: Duration::ZERO,
                        })
                    }
                }
            }
            None if due => {
                if self.kept.len() == MOST {
                    self.kept.pop_front();
                }
                self.kept.push_back(Kept {
                    cells: cells.to_vec(),
                    taken: now,
                    seen: now,
                });
            }
            None => {}
        }
        self.round
            .filter(|r| r.goes_on(now))
            .map_or(Duration::ZERO, |r| r.last.saturating_sub(r.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest time of repeats told, of pictures that are numbers, at 10 a second.
    fn longest(pictures: impl Iterator<Item = u32>) -> f32 {
        let mut repeats = Repeats::default();
        let told = pictures.zip(0_u32..).map(|(p, i)| {
            repeats.update(
                &[[p, p]],
                Duration::from_millis(u64::from(i) * 100),
                |a, b| a == b,
                |_, _| true,
            )
        });
        told.max().unwrap_or_default().as_secs_f32()
    }

    #[test]
    fn one_picture_and_pictures_that_come_round_with_the_key_frames_repeat() {
        assert_eq!(longest((0..300).map(|_| 7)), 29.8);
        // Ten, twenty and fifty pictures from key frame to key frame, the last ones of which are
        // alike.
        for gop in [10, 20, 50] {
            assert!(longest((0..400).map(|i| (i % gop).min(4))) > 30.0, "{gop}");
            assert!(longest((0..400).map(|i| i % gop)) > 25.0, "{gop}");
        }
    }

    /// Footage that is shown twice is no frozen camera.
    #[test]
    fn some_pictures_that_come_once_more_are_no_frozen_picture() {
        assert!(longest((0..50).chain(0..50).chain(100..300)) <= 5.0);
        assert_eq!(longest((0..150).cycle().take(1000)), 0.0);
    }

    #[test]
    fn a_live_picture_does_not_repeat_nor_does_one_sent_unchanged_until_the_next_key_frame() {
        assert_eq!(longest(0..1000), 0.0);
        assert!(longest((0..1000).map(|i| i / 40)) <= 4.0);
        assert!(longest((0..1000).map(|i| i / 100)) <= 10.0);
    }

    #[test]
    fn it_ends_as_soon_as_a_new_picture_should_have_been_an_old_one() {
        let mut repeats = Repeats::default();
        let mut at = |i: u64, picture| {
            repeats.update(
                &[[picture, 0]],
                Duration::from_millis(i * 100),
                |a, b| a == b,
                |_, _| true,
            )
        };
        for i in 0..250 {
            at(i, 1);
        }
        assert!(at(250, 1) >= Duration::from_secs(24));
        let ends = (251..300).find(|&i| at(i, i as u32).is_zero());
        assert!(ends.is_some_and(|i| i <= 254), "{ends:?}");
    }

    #[test]
    fn a_loop_in_which_something_moves_is_no_repeat() {
        let mut repeats = Repeats::default();
        let near = |a: &Cells, b: &Cells| a[0][0].abs_diff(b[0][0]) < 3;
        let told = (0..400_u64).map(|i| {
            let picture = (i % 50) as u32;
            repeats.update(
                &[[picture, 0]],
                Duration::from_millis(i * 100),
                |a, b| a == b,
                near,
            )
        });
        assert!(told.max().unwrap_or_default() < Duration::from_secs(1));
    }
}
