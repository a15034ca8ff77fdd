//! Runs a part as a tokio task, and catches panics in futures.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::task::JoinHandle;

use super::panic_text;
use super::pulse::Pulse;

/// Work in tokio that is begun again when it fails.
pub trait TaskPart: Send {
    /// Works until it is told to end, which is `Ok`. It may be dropped at any `await`.
    fn run_once(&mut self, pulse: &Pulse) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Runs the part until it ends by `Ok`. Must be called within a tokio runtime.
pub fn spawn_task(mut part: impl TaskPart + 'static, pulse: Arc<Pulse>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            pulse.begin();
            let cause = match caught(part.run_once(&pulse)).await {
                Ok(Ok(())) => return,
                Ok(Err(e)) => format!("{e:#}"),
                Err(Caught(text)) => text,
            };
            tokio::time::sleep(pulse.failed(&cause)).await;
        }
    })
}

/// What a panic said.
#[derive(Debug, PartialEq, Eq)]
pub struct Caught(pub String);

/// The future's outcome. A panic in it ends this future alone.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Caught> {
    let mut work = pin!(work);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Ready(outcome)) => Poll::Ready(Ok(outcome)),
            Ok(Poll::Pending) => Poll::Pending,
            // A future that panicked is never polled again: `poll_fn` is done with this.
            Err(panic) => Poll::Ready(Err(Caught(panic_text(&*panic)))),
        },
    )
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::time::Duration;

    use chrono::DateTime;
    use kakou_contract::PartState;
    use kakou_time::SimulatedClock;

    use super::*;

    struct Scripted(u32);

    impl TaskPart for Scripted {
        async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
            self.0 += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
            match self.0 {
                1 => panic!("a panic after an await"),
                2 => Err(anyhow::anyhow!("disk full").context("kakou.prom")),
                _ => {
                    pulse.working();
                    Ok(())
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_fails_or_panics_is_begun_again() {
        let wall = DateTime::parse_from_rfc3339("2026-03-14T09:00:00+08:00").unwrap();
        let clock = Arc::new(SimulatedClock::new(wall, Duration::ZERO));
        let pulse = Arc::new(Pulse::of_task("metrics", clock.clone()));
        spawn_task(Scripted(0), Arc::clone(&pulse)).await.unwrap();
        let status = pulse.status();
        assert_eq!((status.state, status.restarts), (PartState::Failing, 2));
        assert_eq!(status.detail.as_deref(), Some("kakou.prom: disk full"));
        clock.advance(Duration::from_secs(10));
        assert_eq!(pulse.status().state, PartState::Working);
    }

    #[tokio::test]
    async fn a_panic_in_a_future_is_its_outcome() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let text = String::from("of a command");
        let work = async move { panic!("{text}") };
        assert_eq!(
            caught::<()>(work).await,
            Err(Caught("it panicked: of a command".to_owned()))
        );
    }
}
