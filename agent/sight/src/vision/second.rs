//! A second opinion: where one reader is in doubt about a plate, another one is asked too.
//!
//! The first reader keeps its word wherever it is sure. At a place where it is not, the two
//! readers' probabilities are averaged, as those of several looks are. The second reader is
//! asked only where all that helps is wanted ([`Effort::Utmost`]), so a plate that is read well, and
//! one that is still far away, cost nothing more.

use std::time::Duration;

use image::RgbImage;

use super::reader::{Effort, PlateReader, Reading};
use super::runtime::RuntimeError;
use kakou_traffic::geometry::Quad;
use kakou_traffic::plate::{CharRead, PlateRead, check};

/// A read with a character below this is worth a second opinion.
const ASK: f32 = 0.8;
/// A character below this is in doubt, once there are two opinions.
const DOUBT: f32 = 0.9;

/// Two readers that read as one.
pub struct TwoReaders {
    first: Box<dyn PlateReader>,
    second: Box<dyn PlateReader>,
}

impl TwoReaders {
    pub fn new(first: Box<dyn PlateReader>, second: Box<dyn PlateReader>) -> Self {
        Self { first, second }
    }
}

impl PlateReader for TwoReaders {
    fn read(
        &mut self,
        picture: &RgbImage,
        quad: &Quad,
        effort: Effort,
    ) -> Result<Option<Reading>, RuntimeError> {
        let Some(own) = self.first.read(picture, quad, effort)? else {
            return Ok(None);
        };
        if effort != Effort::Utmost || !in_doubt(&own) {
            return Ok(Some(own));
        }
        let other = self.second.read(picture, quad, effort)?;
        Ok(Some(advised(own, other)))
    }

    fn read_crop(&mut self, picture: &RgbImage) -> Result<Option<Reading>, RuntimeError> {
        match self.first.read_crop(picture)? {
            Some(own) if in_doubt(&own) => {
                let other = self.second.read_crop(picture)?;
                Ok(Some(advised(own, other)))
            }
            own => Ok(own),
        }
    }

    fn spent(&self) -> (Duration, u64) {
        let (first, second) = (self.first.spent(), self.second.spent());
        (first.0 + second.0, first.1 + second.1)
    }
}

/// Whether the second reader is worth its time. What is no plate needs no opinion.
fn in_doubt(own: &Reading) -> bool {
    let known = own.can_be_a_plate() || own.is_foreign();
    own.is_plate() && (own.read.min_conf() < ASK || !known)
}

/// The first reader's read, with the second one's say where the first is in doubt.
fn advised(mut own: Reading, other: Option<Reading>) -> Reading {
    if let Some(other) = other {
        // A province is taken from nobody where the first reader saw none.
        let invented = other.read.chars.first();
        if invented.is_some_and(|c| own.denies_province(c.ch)) {
            return own;
        }
        let read = united(&own.read, &other.read);
        // The other one has read another part of the picture, and that read is taken.
        if read.rows == other.read.rows && read.rows != own.read.rows {
            own.quad = other.quad;
        }
        own.read = read;
    }
    own
}

fn united(own: &PlateRead, other: &PlateRead) -> PlateRead {
    let can_be = |read: &PlateRead| check(&read.text(), None).is_valid();
    if own.chars.len() != other.chars.len() || own.rows != other.rows {
        // However sure a reader is: it may have dropped a character or doubled one.
        let other_wins = can_be(other) && !can_be(own);
        return if other_wins { other } else { own }.clone();
    }
    let pairs = own.chars.iter().zip(&other.chars);
    let both = PlateRead {
        chars: pairs.map(|(a, b)| character(a, b)).collect(),
        rows: own.rows,
    };
    if can_be(&both) {
        both
    } else if can_be(own) {
        own.clone()
    } else if can_be(other) {
        other.clone()
    } else {
        both
    }
}

/// One place, as both readers see it.
fn character(own: &CharRead, other: &CharRead) -> CharRead {
    if own.conf >= DOUBT {
        return *own;
    }
    let of = |read: &CharRead, ch: char| {
        let second = read.runner_up.filter(|r| r.0 == ch).map_or(0.0, |r| r.1);
        if read.ch == ch { read.conf } else { second }
    };
    let mean = |ch: char| (ch, (of(own, ch) + of(other, ch)) / 2.0);
    let named = [Some(own.ch), Some(other.ch)].into_iter();
    let named = named.chain([own.runner_up.map(|r| r.0), other.runner_up.map(|r| r.0)]);
    let mut votes: Vec<(char, f32)> = Vec::new();
    for ch in named.flatten() {
        if votes.iter().all(|(c, _)| *c != ch) {
            votes.push(mean(ch));
        }
    }
    // Stable: among equals the first reader's character stays.
    votes.sort_by(|a, b| b.1.total_cmp(&a.1));
    CharRead {
        ch: votes[0].0,
        conf: votes[0].1,
        runner_up: votes.get(1).copied(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A text of which the reader is sure but for its first character.
    fn plate(first: char, conf: f32, runner_up: Option<(char, f32)>, rest: &str) -> Reading {
        let char = |(ch, conf, runner_up)| CharRead {
            ch,
            conf,
            runner_up,
        };
        let mut chars = vec![char((first, conf, runner_up))];
        chars.extend(rest.chars().map(|c| char((c, 0.99, None))));
        Reading {
            read: PlateRead { chars, rows: 1 },
            quad: Quad::default(),
            colour: None,
            plate: Some(0.99),
            province: Some(0.99),
        }
    }

    fn text(own: Reading, other: Reading) -> String {
        advised(own, Some(other)).read.text()
    }

    #[test]
    fn the_second_reader_speaks_where_the_first_is_in_doubt() {
        let own = plate('津', 0.6, Some(('浙', 0.35)), "E28579");
        let other = plate('浙', 0.98, None, "E28579");
        assert_eq!(text(own, other), "浙E28579");
    }

    #[test]
    fn where_the_first_is_sure_it_keeps_its_word() {
        let mut own = plate('琼', 0.95, None, "A12345");
        own.read.chars[6].conf = 0.5;
        let other = plate('京', 0.999, None, "A12346");
        assert_eq!(text(own, other), "琼A12346");
    }

    #[test]
    fn another_length_counts_only_as_a_plate() {
        let own = plate('皖', 0.7, None, "A12345");
        let shorter = plate('皖', 0.99, None, "A1234");
        assert_eq!(text(own, shorter), "皖A12345");
        let own = plate('鲁', 0.7, None, "GD12345");
        let dropped = plate('鲁', 0.99, None, "G12345");
        assert_eq!(text(own, dropped), "鲁GD12345", "both can be plates");
        let own = plate('皖', 0.7, None, "A1234");
        let whole = plate('皖', 0.6, None, "A12345");
        assert_eq!(text(own, whole), "皖A12345");
    }

    #[test]
    fn nobody_adds_a_province_that_the_first_did_not_see() {
        let mut own = plate('5', 0.7, Some(('S', 0.2)), "1F12345");
        own.province = Some(0.02);
        let other = plate('皖', 0.99, None, "F12345");
        assert_eq!(text(own.clone(), other), "51F12345");
        own.read.chars[0].conf = 0.97;
        assert_eq!(asked(own, Effort::Utmost), 0, "a foreign plate, surely");
    }

    struct Asked(Reading, std::sync::Arc<AtomicU32>);

    impl PlateReader for Asked {
        fn read(
            &mut self,
            _: &RgbImage,
            _: &Quad,
            _: Effort,
        ) -> Result<Option<Reading>, RuntimeError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Ok(Some(self.0.clone()))
        }

        fn read_crop(&mut self, picture: &RgbImage) -> Result<Option<Reading>, RuntimeError> {
            self.read(picture, &Quad::default(), Effort::Utmost)
        }

        fn spent(&self) -> (Duration, u64) {
            (Duration::ZERO, self.1.load(Ordering::Relaxed).into())
        }
    }

    /// How often the second reader was asked about a plate that the first one read like this.
    fn asked(own: Reading, effort: Effort) -> u32 {
        let (first, second) = (std::sync::Arc::default(), std::sync::Arc::default());
        let other = Asked(
            plate('皖', 0.99, None, "A12345"),
            std::sync::Arc::clone(&second),
        );
        let mut both = TwoReaders::new(Box::new(Asked(own, first)), Box::new(other));
        let picture = RgbImage::new(8, 8);
        both.read(&picture, &Quad::default(), effort).unwrap();
        let spent = both.spent().1;
        let second = second.load(Ordering::Relaxed);
        assert_eq!(
            spent,
            u64::from(1 + second),
            "both readers' runs are counted"
        );
        second
    }

    #[test]
    fn only_doubt_that_may_take_its_time_costs_a_second_read() {
        let sure = plate('皖', 0.95, None, "A12345");
        let doubtful = plate('皖', 0.7, None, "A12345");
        let strange = plate('皖', 0.95, None, "12");
        assert_eq!(asked(sure, Effort::Utmost), 0);
        assert_eq!(asked(doubtful.clone(), Effort::Once), 0);
        assert_eq!(asked(doubtful.clone(), Effort::Thorough), 0);
        assert_eq!(asked(doubtful.clone(), Effort::Utmost), 1);
        assert_eq!(asked(strange, Effort::Utmost), 1);
        let sign = Reading {
            plate: Some(0.2),
            ..doubtful
        };
        assert_eq!(asked(sign, Effort::Utmost), 0);
    }
}
