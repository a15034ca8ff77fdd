//! What the reader takes for what, as counted: `confusions.csv`, whose head says how it was made.

use std::sync::LazyLock;

use super::grammar::is_province;

const TABLE: &str = include_str!("confusions.csv");
/// The table weighs as if so many more characters had been seen, of which as many were taken for
/// others as [`usual`] says. Most pairs were never seen, and that must not make them impossible.
const UNSEEN: f64 = 30.0;

/// How probable `read` is where `truth` stands, of characters nothing is known of.
fn usual(read: char, truth: char) -> f64 {
    let serial = |c: char| c.is_ascii_alphanumeric();
    if read == truth {
        0.97
    } else if is_province(read) && is_province(truth) || serial(read) && serial(truth) {
        5e-4
    } else {
        2e-5
    }
}

struct Table {
    /// All characters in it, in order.
    chars: Vec<char>,
    /// Row by row: `read` where `truth` stands.
    odds: Vec<f32>,
}

impl Table {
    fn parse(csv: &str) -> Self {
        let rows: Vec<(char, char, f64, f64)> = csv.lines().filter_map(row).collect();
        let mut chars: Vec<char> = rows.iter().flat_map(|r| [r.0, r.1]).collect();
        chars.sort_unstable();
        chars.dedup();
        let n = chars.len();
        let mut odds = Vec::with_capacity(n * n);
        for truth in &chars {
            let of = rows.iter().find(|r| r.0 == *truth).map_or(0.0, |r| r.2);
            for read in &chars {
                let mass = rows
                    .iter()
                    .find(|r| r.0 == *truth && r.1 == *read)
                    .map_or(0.0, |r| r.3);
                odds.push(((mass + UNSEEN * usual(*read, *truth)) / (of + UNSEEN)) as f32);
            }
        }
        Self { chars, odds }
    }

    fn odds(&self, read: char, truth: char) -> f32 {
        let at = |c: char| self.chars.binary_search(&c).ok();
        match (at(read), at(truth)) {
            (Some(read), Some(truth)) => self.odds[truth * self.chars.len() + read],
            _ => usual(read, truth) as f32,
        }
    }
}

/// `truth,read,count,of,mass`; `None`: the head, or a comment.
fn row(line: &str) -> Option<(char, char, f64, f64)> {
    let mut cells = line.split(',');
    let mut one = || {
        let mut chars = cells.next()?.chars();
        chars.next().filter(|_| chars.next().is_none())
    };
    let (truth, read) = (one()?, one()?);
    let mut number = || cells.next()?.trim().parse::<f64>().ok();
    let (_count, of, mass) = (number()?, number()?, number()?);
    Some((truth, read, of, mass))
}

/// The probability that the reader gives `read` where `truth` stands. It spells O as 0, and I, which
/// people write for 1, as 1.
pub fn odds(read: char, truth: char) -> f32 {
    static COUNTED: LazyLock<Table> = LazyLock::new(|| Table::parse(TABLE));
    let spelled = |c: char| match c {
        'O' => '0',
        'I' => '1',
        c => c,
    };
    COUNTED.odds(spelled(read), spelled(truth))
}

#[cfg(test)]
mod tests {
    use super::super::grammar::PROVINCES;
    use super::*;

    const SERIAL: &str = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";

    #[test]
    fn what_is_read_is_nearly_always_what_stands_there() {
        for truth in SERIAL.chars().chain(PROVINCES.chars()) {
            assert!(odds(truth, truth) > 0.8, "{truth}: {}", odds(truth, truth));
            let others = SERIAL.chars().chain(PROVINCES.chars());
            let all: f32 = others.map(|read| odds(read, truth)).sum();
            assert!((0.9..=1.01).contains(&all), "{truth}: {all}");
        }
    }

    #[test]
    fn likenesses_are_likelier_than_others() {
        for (truth, like, unlike) in [
            ('D', '0', 'H'),
            ('8', 'B', 'L'),
            ('2', 'Z', 'A'),
            ('Q', '0', 'T'),
            ('皖', '桂', '京'),
        ] {
            assert!(
                odds(like, truth) > 2.0 * odds(unlike, truth),
                "{truth} {like}"
            );
        }
        assert!(odds('京', 'A') < odds('4', 'A'));
    }

    #[test]
    fn what_was_never_seen_is_not_impossible() {
        for (read, truth) in [('挂', '学'), ('ö', '0'), ('é', 'E'), ('京', '藏')] {
            let p = odds(read, truth);
            assert!(p > 0.0 && p < 0.05, "{read} for {truth}: {p}");
        }
        assert!(odds('é', 'é') > 0.9);
        assert!(odds('0', 'O') > 0.9 && odds('1', 'I') > 0.9);
    }

    #[test]
    fn the_table_is_read_whole() {
        let rows = TABLE.lines().filter(|l| row(l).is_some()).count();
        let others = TABLE.lines().filter(|l| row(l).is_none());
        assert!(rows > 100);
        for line in others {
            assert!(
                line.starts_with('#') || line == "truth,read,count,of,mass",
                "{line}"
            );
        }
        let table = Table::parse("a,b,1,70,2.00\na,a,69,70,68.00\n");
        assert!((table.odds('b', 'a') - (2.0 + 30.0 * 5e-4) / 100.0).abs() < 1e-6);
    }
}
