//! How many passages a second are made, numbered and signed in one thread, without a broker.
//!
//! `cargo run --release -p kakou-fleet --example speed [PASSAGES] [PICTURES]`

use kakou_fleet::{FleetError, FleetOptions, bench};
use kakou_time::Stopwatch;

fn main() -> Result<(), FleetError> {
    let mut numbers = std::env::args()
        .skip(1)
        .map(|n| n.parse::<u64>().unwrap_or(0));
    let passages = numbers.next().filter(|n| *n > 0).unwrap_or(200_000);
    let pictures = numbers.next().unwrap_or(0).min(3) as u8;
    let options = FleetOptions {
        pictures,
        ..FleetOptions::new(100)
    };
    let began = Stopwatch::start();
    let (made, messages, bytes) = bench::make(options, passages)?;
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{made} passages ({messages} messages, {:.1} MB) in {seconds:.2} s: {:.0} passages a second",
        bytes as f64 / 1e6,
        made as f64 / seconds
    );
    Ok(())
}
