//! The time of a stream, which never runs backwards. Pure.
//!
//! While no frame comes, time is told to go on, so that what is out of sight can end. A network
//! that was held up may then deliver frames from before: taking them in would turn time back, and
//! the tracker would take that for a cut.

use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// The latest time that was told: of a frame, or of none.
    told: Option<Duration>,
}

impl Timeline {
    /// Whether a frame of this time can still be taken in.
    pub(super) fn admits(&self, frame: Duration) -> bool {
        self.told.is_none_or(|told| frame >= told)
    }

    /// A frame was taken in.
    pub(super) fn frame(&mut self, time: Duration) {
        self.told = self.told.max(Some(time));
    }

    /// Time has gone on to here without a frame; whether that is news.
    pub(super) fn idle(&mut self, time: Duration) -> bool {
        let is_news = self.told.is_some_and(|told| time > told);
        if is_news {
            self.told = Some(time);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_frames_after_a_stall_do_not_turn_time_back() {
        let ms = Duration::from_millis;
        let mut timeline = Timeline::default();
        let mut told = Vec::new();
        let mut take = |timeline: &mut Timeline, time| {
            if timeline.admits(time) {
                timeline.frame(time);
                told.push(time);
            }
        };
        for i in 0..10 {
            take(&mut timeline, ms(40 * i));
        }
        // Three seconds without a frame; a second of delay is allowed for.
        for i in 0..10 {
            let idle = ms(400 + 200 * i);
            assert!(timeline.idle(idle));
        }
        assert!(!timeline.idle(ms(2200)), "that is no news");
        // Then all that was captured meanwhile comes at once.
        for i in 10..100 {
            take(&mut timeline, ms(40 * i));
        }
        assert!(told.is_sorted(), "{told:?}");
        let after: Vec<_> = told.iter().filter(|t| **t > ms(360)).collect();
        assert_eq!(after.first(), Some(&&ms(2200)));
        assert_eq!(after.len(), 45, "what is newer is looked at");
    }

    #[test]
    fn time_goes_on_only_where_it_has_begun() {
        let mut timeline = Timeline::default();
        assert!(!timeline.idle(Duration::from_secs(5)));
        assert!(timeline.admits(Duration::ZERO));
    }
}
