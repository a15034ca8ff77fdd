//! Runs a part on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::panic_text;
use super::pulse::Pulse;

/// How often a wait looks whether it is to end, and says that the thread lives.
const PIECE: Duration = Duration::from_millis(50);

/// Work on a thread that is begun again when it fails.
pub trait Part: Send {
    /// Works until `stop` says to end, which is `Ok`. It calls [`Pulse::beat`] at least every few
    /// seconds, and [`Pulse::working`] as soon as it does what it is for.
    fn run_once(&mut self, pulse: &Pulse, stop: &Stop) -> anyhow::Result<()>;

    /// A run failed or panicked, for this cause. It will be run again.
    fn failed(&mut self, _cause: &str) {}
}

/// Tells a part to end; a clone is another hand on the same word.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What comes after a run.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Ended,
    AgainAfter(Duration),
}

/// Starts the thread. The part begins when `begin` returns true, and never if it returns false.
pub fn spawn_thread(
    mut part: impl Part + 'static,
    pulse: Arc<Pulse>,
    stop: Stop,
    begin: impl FnOnce() -> bool + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(pulse.name().to_owned())
        .spawn(move || {
            if !begin() {
                return;
            }
            while let Next::AgainAfter(wait) = run(&mut part, &pulse, &stop) {
                if !rest(wait, &pulse, &stop) {
                    return;
                }
            }
        })
}

/// One run of the part, whatever becomes of it.
fn run(part: &mut impl Part, pulse: &Pulse, stop: &Stop) -> Next {
    pulse.begin();
    // What a panic left behind in the part is the part's to renew: each run begins with `run_once`.
    let outcome = catch_unwind(AssertUnwindSafe(|| part.run_once(pulse, stop)));
    let cause = match outcome {
        Ok(Ok(())) => return Next::Ended,
        Ok(Err(e)) => format!("{e:#}"),
        Err(panic) => panic_text(&*panic),
    };
    let wait = pulse.failed(&cause);
    if catch_unwind(AssertUnwindSafe(|| part.failed(&cause))).is_err() {
        tracing::error!(
            part = pulse.name(),
            "it panicked while it told of its failure"
        );
    }
    Next::AgainAfter(wait)
}

/// Waits. False: told to end meanwhile.
fn rest(wait: Duration, pulse: &Pulse, stop: &Stop) -> bool {
    let until = pulse.clock().mono() + wait;
    while pulse.clock().mono() < until {
        if stop.is_told() {
            return false;
        }
        pulse.beat();
        std::thread::sleep(PIECE.min(until.saturating_sub(pulse.clock().mono())));
    }
    !stop.is_told()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use chrono::DateTime;
    use kakou_contract::PartState;
    use kakou_time::SimulatedClock;

    use super::super::Parts;
    use super::*;

    /// Does in turn what is written down for it.
    struct Scripted {
        runs: Vec<fn() -> anyhow::Result<()>>,
        causes: Vec<String>,
    }

    impl Part for Scripted {
        fn run_once(&mut self, pulse: &Pulse, _: &Stop) -> anyhow::Result<()> {
            let run = self.runs.remove(0);
            run().inspect(|()| pulse.working())
        }

        fn failed(&mut self, cause: &str) {
            self.causes.push(cause.to_owned());
        }
    }

    fn clock() -> Arc<SimulatedClock> {
        let wall = DateTime::parse_from_rfc3339("2026-03-14T09:00:00+08:00").unwrap();
        Arc::new(SimulatedClock::new(wall, Duration::ZERO))
    }

    #[test]
    fn an_error_and_a_panic_are_a_failure_of_this_part_alone_and_it_begins_again() {
        let (clock, parts, stop) = (clock(), Parts::default(), Stop::default());
        let pulse = Arc::new(Pulse::of_thread("camera-a", clock.clone()));
        let other = Arc::new(Pulse::of_thread("camera-b", clock.clone()));
        parts.add(&pulse);
        parts.add(&other);
        other.working();
        let mut part = Scripted {
            runs: vec![
                || Err(anyhow::anyhow!("no such file").context("opening the source")),
                || panic!("index out of bounds"),
                || Ok(()),
            ],
            causes: Vec::new(),
        };
        for n in 0..2 {
            let Next::AgainAfter(wait) = run(&mut part, &pulse, &stop) else {
                panic!("it gave up")
            };
            let status = parts.status();
            assert_eq!(
                (status[0].state, status[0].restarts),
                (PartState::Failing, n)
            );
            assert_eq!(status[1].state, PartState::Working);
            clock.advance(wait);
        }
        assert_eq!(
            part.causes,
            [
                "opening the source: no such file",
                "it panicked: index out of bounds"
            ]
        );
        assert!(parts.faults().contains("camera-a failing: it panicked"));
        assert_eq!(run(&mut part, &pulse, &stop), Next::Ended);
        clock.advance(Duration::from_secs(10));
        assert_eq!(
            (parts.status()[0].state, parts.status()[0].restarts),
            (PartState::Working, 2)
        );
    }

    #[test]
    fn a_thread_that_is_silent_hangs_unless_it_said_that_it_is_at_long_work() {
        let clock = clock();
        let parts = Parts::default();
        let pulse = Arc::new(Pulse::of_thread("models", clock.clone()));
        parts.add(&pulse);
        parts.add(&Arc::new(Pulse::of_task("uplink", clock.clone())));
        clock.advance(Duration::from_secs(30));
        assert_eq!(parts.hanging(), None);
        clock.advance(Duration::from_secs(1));
        assert_eq!(
            parts.hanging(),
            Some(("models".to_owned(), Duration::from_secs(31)))
        );
        pulse.long_work("opening the models", Duration::from_secs(3600));
        clock.advance(Duration::from_secs(600));
        assert_eq!((parts.hanging(), parts.at_long_work()), (None, true));
        assert_eq!(
            parts.status()[0].detail.as_deref(),
            Some("opening the models")
        );
        // After that it may no longer be silent for so long.
        pulse.beat();
        assert!(!parts.at_long_work());
        clock.advance(Duration::from_secs(31));
        assert!(parts.hanging().is_some());
        pulse.long_work("opening the models", Duration::from_secs(3600));
        clock.advance(Duration::from_secs(3601));
        assert!(parts.hanging().is_some(), "nothing takes for ever");
    }

    #[test]
    fn a_part_that_is_replaced_keeps_its_place_and_one_that_is_gone_is_not_shown() {
        let (clock, parts) = (clock(), Parts::default());
        let named = |name: &str| Arc::new(Pulse::of_thread(name, clock.clone()));
        let (old, b, new) = (named("a"), named("b"), named("a"));
        for pulse in [&old, &b, &new] {
            parts.add(pulse);
        }
        let names = |parts: &Parts| {
            parts
                .status()
                .into_iter()
                .map(|p| p.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&parts), ["a", "b"]);
        parts.remove(&old);
        assert_eq!(names(&parts), ["a", "b"], "the old one gave way before");
        parts.remove(&new);
        assert_eq!(names(&parts), ["b"]);
    }
}
