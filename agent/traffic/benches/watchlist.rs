#![allow(clippy::disallowed_methods, clippy::unwrap_used)]
//! Look-ups among a million entries, ten million reads: time, memory, and what a swap costs.
//! `cargo bench -p kakou-traffic --bench watchlist`. The machine decides, so nothing is asserted.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kakou_contract::{Character, Message, PassageMessage, RunnerUp};
use kakou_traffic::plate::PROVINCES;
use kakou_traffic::watchlist::{
    Builder, Conditions, List, ListOptions, Listed, Lists, Parsed, Policy,
};

const ENTRIES: usize = 1_000_000;
const READS: usize = 10_000_000;
/// Plates that the reads are taken from, again and again.
const PLATES: usize = 200_000;

/// A small generator; the same numbers on each machine.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
    fn plate(&mut self) -> String {
        const SERIAL: &[u8] = b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";
        let provinces: Vec<char> = PROVINCES.chars().collect();
        let mut text = String::from(provinces[self.below(31)]);
        text.push(char::from(SERIAL[10 + self.below(24)]));
        let energy = self.below(4) == 0;
        if energy {
            text.push('D');
        }
        for place in 0..5 {
            let most = if energy && place > 0 { 10 } else { 34 };
            text.push(char::from(SERIAL[self.below(most)]));
        }
        text
    }
}

fn list(seed: u64, plates: &mut Vec<String>) -> List {
    let mut rng = Rng(seed);
    let mut builder = Builder::new(ListOptions::default());
    let header = [
        "plate",
        "level",
        "category",
        "reason",
        "basis",
        "authority",
        "valid_until",
    ];
    builder.header(1, &header).unwrap();
    for line in 0..ENTRIES {
        let plate = rng.plate();
        let day = format!("2031-{:02}-{:02}", 1 + rng.below(12), 1 + rng.below(28));
        // A reason and a case of its own for each entry: the worst for memory.
        let reason = format!("reported missing, case file {line}");
        let basis = format!("A{line:07}");
        let cells = [
            &plate,
            ["orange", "blue"][rng.below(2)],
            "stolen",
            &reason,
            &basis,
            "municipal police",
            &day,
        ];
        builder.row(line as u64 + 2, &cells).unwrap();
        if line % (ENTRIES / PLATES) == 0 {
            plates.push(plate);
        }
    }
    let Parsed { list, refused, .. } = builder.finish("0".repeat(64), None);
    assert_eq!(refused.count, 0);
    list
}

fn message(text: &str, doubt: bool, rng: &mut Rng) -> PassageMessage {
    let golden = include_bytes!("../../contract/golden/passage.json");
    let mut passage = PassageMessage::from_json(golden).unwrap();
    passage.evidence.clear();
    let plate = passage.plate.as_mut().unwrap();
    plate.text = text.to_owned();
    plate.corrected.clear();
    (plate.kind, plate.colour) = (None, None);
    let unsure = rng.below(7);
    plate.characters = (0..)
        .zip(text.chars())
        .map(|(at, char)| Character {
            char,
            confidence: if doubt && at == unsure { 0.7 } else { 0.99 }.into(),
            runner_up: (doubt && at == unsure).then(|| RunnerUp {
                char: '8',
                confidence: 0.2.into(),
            }),
        })
        .collect();
    passage
}

/// Another plate with the same doubts.
fn write(message: &mut PassageMessage, text: &str) {
    let plate = message.plate.as_mut().unwrap();
    text.clone_into(&mut plate.text);
    for (c, char) in plate.characters.iter_mut().zip(text.chars()) {
        c.char = char;
    }
}

fn median(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// What the process holds in memory, in MiB.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = text
        .split(' ')
        .nth(1)
        .and_then(|p| p.parse().ok())
        .unwrap_or(0.0);
    pages * 4096.0 / f64::from(1 << 20)
}

fn main() {
    // `cargo test` runs benches too, as a check that they work; this one takes its time.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let mut listed = Vec::new();
    let before = resident();
    let built = Instant::now();
    let list = Arc::new(list(1, &mut listed));
    println!(
        "{} entries: built in {:.2} s, {:.0} MiB by its own count, {:.0} MiB more resident",
        list.len(),
        built.elapsed().as_secs_f64(),
        list.bytes() as f64 / f64::from(1 << 20),
        resident() - before
    );

    let mut rng = Rng(7);
    let strangers: Vec<String> = (0..PLATES).map(|_| rng.plate()).collect();
    let with = |near: bool| {
        let policy = Policy {
            near: [near; 4],
            ..Policy::default()
        };
        Lists::new(
            vec![Listed {
                list: Arc::clone(&list),
                policy: policy.into(),
            }],
            Arc::default(),
        )
    };
    let conditions = Conditions::default();
    for (what, plates, near, doubt) in [
        ("exact, not listed", &strangers, false, false),
        ("exact, listed", &listed, false, false),
        ("near, not listed", &strangers, true, false),
        (
            "near, not listed, one character in doubt",
            &strangers,
            true,
            true,
        ),
    ] {
        let lists = with(near);
        // One message of each length, with the next plate written into it: a message that is looked
        // up has just been made.
        let mut messages = [7, 8].map(|n| message(&"0".repeat(n), doubt, &mut rng));
        let mut hits = 0_u64;
        let mut times = Vec::new();
        // One clock for a hundred: it costs as much as a look-up.
        let whole = Instant::now();
        for round in 0..READS / 4 / 100 {
            let start = Instant::now();
            for at in 0..100 {
                let text = &plates[(round * 100 + at) % plates.len()];
                let message = &mut messages[usize::from(text.len() > 9)];
                write(message, text);
                hits += u64::from(black_box(lists.best(black_box(message), &conditions)).is_some());
            }
            times.push(start.elapsed() / 100);
        }
        let each = whole.elapsed().as_secs_f64() / (READS / 4) as f64;
        let (middle, slow) = median(times);
        println!(
            "{what:42} median {:7.3} us, p99 {:7.3} us, mean {:7.3} us; hits {hits} of {}",
            middle.as_secs_f64() * 1e6,
            slow.as_secs_f64() * 1e6,
            each * 1e6,
            READS / 4
        );
    }
    index_alone(&list, &listed, &strangers);
    swap(&list);
}

/// The plates alone, in other indexes: what the decision rests on.
fn index_alone(list: &List, listed: &[String], strangers: &[String]) {
    let mut texts: Vec<String> = list.entries().map(|e| e.plate).collect();
    texts.sort_unstable();
    texts.dedup();
    let fst = fst::Set::from_iter(&texts).unwrap();
    println!(
        "fst: {:.1} MiB for {} plates",
        fst.as_fst().as_bytes().len() as f64 / f64::from(1 << 20),
        texts.len()
    );
    let map: HashMap<&str, u32> = texts.iter().map(String::as_str).zip(0..).collect();
    for (what, plates) in [("listed", listed), ("not listed", strangers)] {
        let time = |find: &dyn Fn(&str) -> bool| {
            let start = Instant::now();
            let mut found = 0_u64;
            for _ in 0..20 {
                found += plates.iter().filter(|p| find(p)).count() as u64;
            }
            black_box(found);
            start.elapsed().as_secs_f64() / (20 * plates.len()) as f64 * 1e6
        };
        println!(
            "{what:12} fst {:.3} us, HashMap of texts {:.3} us, this index with codes and entries {:.3} us",
            time(&|p| fst.contains(p)),
            time(&|p| map.contains_key(p)),
            time(&|p| !list.named(p).is_empty())
        );
    }
}

/// A reader goes on while a list of as many is built and swapped in.
fn swap(list: &Arc<List>) {
    let of = |list: Arc<List>| {
        Arc::new(Lists::new(
            vec![Listed {
                list,
                policy: Arc::default(),
            }],
            Arc::default(),
        ))
    };
    let current = Arc::new(Mutex::new(of(Arc::clone(list))));
    let writer = {
        let current = Arc::clone(&current);
        std::thread::spawn(move || {
            let new = of(Arc::new(self::list(2, &mut Vec::new())));
            let start = Instant::now();
            *current.lock().unwrap() = new;
            start.elapsed()
        })
    };
    let mut rng = Rng(9);
    let message = message(&rng.plate(), true, &mut rng);
    let (mut looks, mut longest) = (0_u64, Duration::ZERO);
    while !writer.is_finished() {
        let start = Instant::now();
        let lists = Arc::clone(&current.lock().unwrap());
        black_box(lists.best(&message, &Conditions::default()));
        longest = longest.max(start.elapsed());
        looks += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    println!(
        "swap: {:.1} us; meanwhile {looks} looks, the longest {:.2} ms; {:.0} MiB resident with both",
        writer.join().unwrap().as_secs_f64() * 1e6,
        longest.as_secs_f64() * 1e3,
        resident()
    );
}
