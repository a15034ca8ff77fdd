//! How long to wait after a failure: the double of the last wait, spread by chance, so that many
//! libraries do not come back at the same moment.

use std::time::Duration;

use chrono::DateTime;

#[derive(Debug, Clone)]
pub(super) struct Wait {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Wait {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        let most = most.max(least);
        Self {
            least,
            most,
            next: least,
        }
    }

    /// Something went well.
    pub(super) fn reset(&mut self) {
        self.next = self.least;
    }

    /// Between a half and the whole of this turn's wait; the next turn's is the double.
    pub(super) fn turn(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.most);
        // The low bits of such an id are chance.
        let id = kakou_contract::live_id(DateTime::UNIX_EPOCH.fixed_offset());
        let chance = (id.as_u128() & 0xffff) as u32;
        whole / 2 + (whole / 2).saturating_mul(chance) / 0xffff
    }

    pub(super) async fn sleep(&mut self) {
        tokio::time::sleep(self.turn()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_are_spread() {
        let ms = Duration::from_millis;
        let mut wait = Wait::new(ms(100), ms(1_000));
        for whole in [100, 200, 400, 800, 1_000, 1_000] {
            let turn = wait.turn();
            assert!(
                (ms(whole / 2)..=ms(whole)).contains(&turn),
                "{turn:?} of {whole}"
            );
        }
        wait.reset();
        assert!(wait.turn() <= ms(100));
        let mut several: Vec<_> = (0..20)
            .map(|_| Wait::new(ms(1_000), ms(1_000)).turn())
            .collect();
        several.dedup();
        assert!(several.len() > 10, "{several:?}");
    }
}
