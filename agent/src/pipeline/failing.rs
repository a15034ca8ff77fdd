//! When looks fail: one that does concerns its frame; when none succeeds any more, it is the models
//! that have failed. Pure.

/// So many looks in a row that fail are no accident of a frame.
const MOST_IN_A_ROW: u32 = 10;

/// Looks in a row that failed.
#[derive(Debug, Default)]
pub(super) struct Failing(u32);

impl Failing {
    pub(super) fn succeeded(&mut self) {
        self.0 = 0;
    }

    /// One more. Returns how many there are, if that is no accident any more.
    pub(super) fn failed(&mut self) -> Option<u32> {
        self.0 = self.0.saturating_add(1);
        (self.0 >= MOST_IN_A_ROW).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_that_fail_now_and_then_are_accidents_and_ones_that_always_do_are_not() {
        let mut failing = Failing::default();
        for _ in 0..100 {
            assert_eq!(failing.failed(), None);
            assert_eq!(failing.failed(), None);
            failing.succeeded();
        }
        let told: Vec<_> = (0..12).map(|_| failing.failed()).collect();
        assert_eq!(told.iter().position(Option::is_some), Some(9));
        assert_eq!(told.last(), Some(&Some(12)), "until one succeeds");
    }
}
