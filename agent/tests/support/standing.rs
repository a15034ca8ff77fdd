//! The listed vehicle that stands at the line, and a checkpoint that sees it.

use std::path::Path;

use kakou_contract::HitMessage;
use kakou_uplink::Received;

use super::agent::{Checkpoint, on};
use super::support;

/// Stands in the sample footage from about 4 to 8 s.
pub const STANDING: &str = "鲁E6K829";
/// The frame that is held.
const HELD_AT: usize = 60;

/// The sample footage `day`, in which the car at the line stands for so many seconds longer.
fn standing(to: &Path, seconds: usize) {
    let from = support::root().join("agent/samples/day");
    std::fs::create_dir_all(to).unwrap();
    let frames = std::fs::read_dir(&from)
        .unwrap()
        .filter(|f| {
            f.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "jpg")
        })
        .count();
    let order = (0..HELD_AT)
        .chain(std::iter::repeat_n(HELD_AT, 10 * seconds))
        .chain(HELD_AT..frames);
    let mut times = String::new();
    for (i, frame) in order.enumerate() {
        let name = format!("{i:06}.jpg");
        std::fs::copy(from.join(format!("{frame:06}.jpg")), to.join(&name)).unwrap();
        let time = chrono::DateTime::from_timestamp_millis(100 * i as i64).unwrap();
        times += &format!(
            "{{\"file\": \"{name}\", \"time\": \"{}\"}}\n",
            time.to_rfc3339()
        );
    }
    std::fs::write(to.join("frames.jsonl"), times).unwrap();
}

/// A checkpoint whose camera sees that footage.
pub async fn checkpoint(seconds: usize) -> Checkpoint {
    let gate = Checkpoint::new("").await;
    standing(&gate.path("standing"), seconds);
    let day = format!("{:?}", support::root().join("agent/samples/day"));
    let standing = format!("{:?}", gate.path("standing"));
    gate.write_config(&gate.config().replace(&day, &standing));
    gate
}

pub fn of_standing(m: &Received) -> Option<HitMessage> {
    on::<HitMessage>(m, "/hit/").filter(|hit| hit.plate.text == STANDING)
}
