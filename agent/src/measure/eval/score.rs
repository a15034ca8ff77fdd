//! Counting what was read right.

use std::collections::BTreeMap;

use serde::Serialize;

use super::truth::{TruthPicture, TruthPlate};
use kakou_contract::PlateColour;
use kakou_traffic::detections::PlateFind;
use kakou_traffic::plate::{PlateRead, is_province, kind};

/// From this confidence on a wrong province is one that nobody doubts.
const SURE: f32 = 0.9;

/// Plates that have something in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GroupScore {
    pub plates: usize,
    pub right: usize,
}

/// What became of one plate of the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlateOutcome {
    Right,
    Wrong { read: String },
    Missed,
}

/// The report of a whole set; also what `--json` prints.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    pub pictures: usize,
    /// Pictures that could not be read, by name with the reason. Their plates count as missed.
    pub broken: Vec<String>,
    /// Plates in the truth; each is `right`, `wrong` or `missed`.
    pub plates: usize,
    pub right: usize,
    pub wrong: usize,
    /// Plates of the truth where no read stands.
    pub missed: usize,
    /// Reads that stand where the truth has no plate.
    pub false_reads: usize,
    pub characters: usize,
    pub characters_right: usize,
    /// Of the plates read whose colour is in the truth, how many had the right colour.
    pub colours: usize,
    pub colours_right: usize,
    /// Provinces read wrong with a confidence over 0.9.
    pub sure_wrong_provinces: usize,
    /// Of the plates that a person reads only with effort; they count everywhere else too.
    pub hard: GroupScore,
    /// By the province in the truth; `-` is a plate without one.
    pub by_province: BTreeMap<String, GroupScore>,
    /// By the kind (GA 36, code) that text, colour and rows of the truth tell; `-` is none.
    pub by_kind: BTreeMap<String, GroupScore>,
    pub by_rows: BTreeMap<u8, GroupScore>,
    pub by_colour: BTreeMap<String, GroupScore>,
    /// By number of characters in the truth.
    pub by_length: BTreeMap<usize, GroupScore>,
    /// Truth character, read character, how often; most frequent first. `-` stands for none.
    pub confusions: Vec<(String, String, usize)>,
    /// Finding and reading, without decoding the picture; mean over the pictures.
    pub ms_per_picture: f64,
}

/// Counts picture by picture.
#[derive(Default)]
pub struct Score {
    report: Report,
    confusions: BTreeMap<(String, String), usize>,
}

/// One step of the alignment of a truth with a read.
pub(super) type Pair = (Option<char>, Option<char>);

impl Score {
    /// Compares the reads of one picture with its truth. Returns the outcome for each plate of the
    /// truth and the false reads.
    pub fn add(
        &mut self,
        picture: &TruthPicture,
        finds: &[PlateFind],
    ) -> (Vec<PlateOutcome>, Vec<String>) {
        self.report.pictures += 1;
        let matched = matches(picture, finds);
        let outcomes = picture
            .plates
            .iter()
            .zip(&matched.plates)
            .map(|(plate, at)| self.count(plate, at.map(|i| &finds[i])))
            .collect();
        let false_reads: Vec<String> = matched
            .left
            .iter()
            .filter_map(|i| finds[*i].read.as_ref())
            .map(PlateRead::text)
            .collect();
        self.report.false_reads += false_reads.len();
        (outcomes, false_reads)
    }

    /// A picture that could not be read.
    pub fn broken(&mut self, picture: &TruthPicture, reason: String) {
        self.report.pictures += 1;
        self.report.broken.push(reason);
        for plate in &picture.plates {
            self.count(plate, None);
        }
    }

    fn count(&mut self, plate: &TruthPlate, find: Option<&PlateFind>) -> PlateOutcome {
        let r = &mut self.report;
        let text = plate.text.as_str();
        let read = find.and_then(|f| f.read.as_ref().map(|r| (f, r.text())));
        let right = read.as_ref().is_some_and(|(_, t)| t == text);
        r.plates += 1;
        let (province, kind) = (province(text), kind_code(plate));
        let none = || "-".to_owned();
        let mut groups = vec![
            r.by_province
                .entry(province.map_or_else(none, |p| p.to_string()))
                .or_default(),
            r.by_kind.entry(kind.unwrap_or_else(none)).or_default(),
            r.by_rows.entry(plate.rows).or_default(),
            r.by_length.entry(text.chars().count()).or_default(),
        ];
        if let Some(colour) = &plate.colour {
            groups.push(r.by_colour.entry(colour.clone()).or_default());
        }
        if plate.hard {
            groups.push(&mut r.hard);
        }
        for group in groups {
            group.plates += 1;
            group.right += usize::from(right);
        }
        r.characters += text.chars().count();
        let Some((find, got)) = read else {
            r.missed += 1;
            return PlateOutcome::Missed;
        };
        if let (Some(want), Some((colour, _))) = (&plate.colour, find.colour) {
            let got = serde_json::to_value(colour).ok();
            r.colours += 1;
            r.colours_right +=
                usize::from(got.as_ref().and_then(|v| v.as_str()) == Some(want.as_str()));
        }
        let first = find.read.as_ref().and_then(|r| r.chars.first());
        if let (Some(province), Some(first)) = (province, first) {
            r.sure_wrong_provinces += usize::from(first.ch != province && first.conf > SURE);
        }
        for (want, got) in align(text, &got) {
            if want.is_some() && want == got {
                r.characters_right += 1;
            } else {
                let s = |c: Option<char>| c.map_or("-".to_owned(), |c| c.to_string());
                *self.confusions.entry((s(want), s(got))).or_default() += 1;
            }
        }
        if right {
            r.right += 1;
            PlateOutcome::Right
        } else {
            r.wrong += 1;
            PlateOutcome::Wrong { read: got }
        }
    }

    pub fn finish(mut self, spent: std::time::Duration) -> Report {
        let seen = self.report.pictures - self.report.broken.len();
        self.report.ms_per_picture = spent.as_secs_f64() * 1e3 / seen.max(1) as f64;
        let mut pairs: Vec<_> = self
            .confusions
            .into_iter()
            .map(|((a, b), n)| (a, b, n))
            .collect();
        pairs.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| (&a.0, &a.1).cmp(&(&b.0, &b.1))));
        self.report.confusions = pairs;
        self.report
    }
}

/// Which read is of which plate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// For each plate of the truth the find whose read is taken for it.
    pub plates: Vec<Option<usize>>,
    /// Finds with a read that lie on no plate of the truth.
    pub left: Vec<usize>,
}

/// Reads go to the plate they lie on; a plate without a quad takes the read that is most like it.
pub fn matches(picture: &TruthPicture, finds: &[PlateFind]) -> Matched {
    let mut left: Vec<(usize, String)> = finds
        .iter()
        .enumerate()
        .filter_map(|(i, f)| f.read.as_ref().map(|r| (i, r.text())))
        .collect();
    let mut plates = vec![None; picture.plates.len()];
    // The likest pair first: else one plate takes the read of another that is a little like it.
    loop {
        let pairs = plates
            .iter()
            .enumerate()
            .filter(|(_, taken)| taken.is_none());
        let best = pairs
            .flat_map(|(p, _)| (0..left.len()).map(move |at| (p, at)))
            .filter_map(|(p, at)| {
                let (i, text) = &left[at];
                likeness(&picture.plates[p], &finds[*i], text, picture.is_crop).map(|l| (p, at, l))
            })
            .reduce(|best, pair| if pair.2 > best.2 { pair } else { best });
        let Some((p, at, _)) = best else { break };
        plates[p] = Some(left.remove(at).0);
    }
    // A second read on the same plate is no read of another plate.
    let on_truth = |f: &PlateFind| {
        picture
            .plates
            .iter()
            .any(|p| likeness(p, f, "", false).is_some())
    };
    let left = left
        .into_iter()
        .map(|(i, _)| i)
        .filter(|i| !on_truth(&finds[*i]))
        .collect();
    Matched { plates, left }
}

/// The province that a text begins with.
fn province(text: &str) -> Option<char> {
    text.chars().next().filter(|c| is_province(*c))
}

/// The code of a plate's kind, as far as the truth tells it.
fn kind_code(plate: &TruthPlate) -> Option<String> {
    let colour = plate.colour.as_ref().and_then(|c| {
        serde_json::from_value::<PlateColour>(serde_json::Value::String(c.clone())).ok()
    });
    kind(&plate.text, colour, plate.rows, None).map(|k| k.code().to_owned())
}

/// How well a read belongs to a plate; `None`: not at all.
fn likeness(plate: &TruthPlate, find: &PlateFind, text: &str, is_crop: bool) -> Option<f32> {
    match &plate.quad {
        _ if is_crop => Some(1.0),
        Some(q) => {
            let (a, b) = (q.bounds(), find.quad.bounds());
            let near = a.contains(b.center()) || b.contains(a.center());
            (near || a.iou(&b) > 0.1).then(|| a.iou(&b))
        }
        None => {
            let right = align(&plate.text, text)
                .iter()
                .filter(|(a, b)| a == b)
                .count();
            let n = plate.text.chars().count().max(1);
            (right * 2 > n).then(|| right as f32 / n as f32)
        }
    }
}

/// Least-cost alignment (Levenshtein) of two texts.
pub(super) fn align(want: &str, got: &str) -> Vec<Pair> {
    let (a, b): (Vec<char>, Vec<char>) = (want.chars().collect(), got.chars().collect());
    let mut cost = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            cost[i][j] = match (i, j) {
                (0, _) => j,
                (_, 0) => i,
                _ => (cost[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]))
                    .min(cost[i - 1][j] + 1)
                    .min(cost[i][j - 1] + 1),
            };
        }
    }
    let (mut i, mut j, mut pairs) = (a.len(), b.len(), Vec::new());
    while i > 0 || j > 0 {
        if i > 0 && j > 0 && cost[i][j] == cost[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]) {
            pairs.push((Some(a[i - 1]), Some(b[j - 1])));
            (i, j) = (i - 1, j - 1);
        } else if i > 0 && cost[i][j] == cost[i - 1][j] + 1 {
            pairs.push((Some(a[i - 1]), None));
            i -= 1;
        } else {
            pairs.push((None, Some(b[j - 1])));
            j -= 1;
        }
    }
    pairs.reverse();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use kakou_traffic::geometry::{Point, Quad};
    use kakou_traffic::plate::{CharRead, PlateRead};

    fn quad(x: f32) -> Quad {
        Quad(
            [(x, 0.0), (x + 90.0, 0.0), (x + 90.0, 30.0), (x, 30.0)].map(|(x, y)| Point::new(x, y)),
        )
    }

    fn find(text: &str, x: f32) -> PlateFind {
        let chars = text
            .chars()
            .map(|ch| CharRead {
                ch,
                conf: 1.0,
                runner_up: None,
            })
            .collect();
        PlateFind {
            quad: quad(x),
            score: 1.0,
            read: Some(PlateRead { chars, rows: 1 }),
            colour: Some((kakou_contract::PlateColour::Blue, 1.0)),
            legibility: 1.0,
        }
    }

    fn plate(text: &str, x: f32) -> TruthPlate {
        TruthPlate {
            text: text.into(),
            colour: Some("blue".into()),
            quad: Some(quad(x)),
            rows: 1,
            hard: false,
        }
    }

    #[test]
    fn each_plate_is_right_wrong_or_missed_and_the_rest_is_false() {
        let picture = TruthPicture {
            image: "a".into(),
            plates: vec![
                plate("鲁E6K829", 0.0),
                plate("鲁B3F571", 200.0),
                plate("鲁C8R206", 400.0),
            ],
            is_crop: false,
            vehicle_colours: Vec::new(),
        };
        let mut s = Score::default();
        let finds = [
            find("鲁B3E571", 205.0),
            find("鲁E6K829", 3.0),
            find("SALE", 700.0),
            find("鲁E6K82", 8.0),
        ];
        let (outcomes, false_reads) = s.add(&picture, &finds);
        assert_eq!(
            outcomes,
            [
                PlateOutcome::Right,
                PlateOutcome::Wrong {
                    read: "鲁B3E571".into()
                },
                PlateOutcome::Missed
            ]
        );
        assert_eq!(false_reads, ["SALE"]);
        let r = s.finish(std::time::Duration::from_millis(30));
        assert_eq!(
            (r.plates, r.right, r.wrong, r.missed, r.false_reads),
            (3, 1, 1, 1, 1)
        );
        assert_eq!((r.characters, r.characters_right), (21, 13));
        assert_eq!(r.confusions, [("F".to_owned(), "E".to_owned(), 1)]);
        assert_eq!((r.colours, r.colours_right), (2, 2));
        assert!((r.ms_per_picture - 30.0).abs() < 1e-9);
    }

    #[test]
    fn plates_are_counted_by_what_they_have_in_common() {
        let mut two_rows = plate("鲁B1234挂", 200.0);
        (two_rows.rows, two_rows.hard, two_rows.colour) = (2, true, Some("yellow".into()));
        let picture = TruthPicture {
            image: "a".into(),
            plates: vec![plate("琼E6K829", 0.0), two_rows, plate("KA1234", 400.0)],
            is_crop: false,
            vehicle_colours: Vec::new(),
        };
        let mut s = Score::default();
        let finds = [
            find("京E6K829", 3.0),
            find("鲁B1234挂", 203.0),
            find("KA1234", 403.0),
        ];
        s.add(&picture, &finds);
        let r = s.finish(std::time::Duration::ZERO);
        let group = |plates, right| GroupScore { plates, right };
        assert_eq!(
            r.by_province.into_iter().collect::<Vec<_>>(),
            [("-", group(1, 1)), ("琼", group(1, 0)), ("鲁", group(1, 1))]
                .map(|(name, g)| (name.to_owned(), g))
        );
        assert_eq!(
            r.by_kind.into_iter().collect::<Vec<_>>(),
            [("-", group(1, 1)), ("02", group(1, 0)), ("15", group(1, 1))]
                .map(|(name, g)| (name.to_owned(), g))
        );
        assert_eq!(
            r.by_rows.into_iter().collect::<Vec<_>>(),
            [(1, group(2, 1)), (2, group(1, 1))]
        );
        assert_eq!(r.hard, group(1, 1));
        assert_eq!(r.sure_wrong_provinces, 1, "琼 was read 京, surely");
    }

    #[test]
    fn a_lost_character_does_not_shift_the_rest() {
        let pairs = align("皖A8871", "皖A871");
        assert_eq!(pairs.iter().filter(|(a, b)| a == b).count(), 5);
        assert_eq!(pairs.iter().filter(|p| p.1.is_none()).count(), 1);
    }
}
