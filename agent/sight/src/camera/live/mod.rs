//! A live camera: one connection, made by `kakou-relay` and decoded by an ffmpeg child process, so
//! that a decoder that crashes takes nobody with it.
//!
//! `start` begins it, `next` gives the newest frame there is, and when it ends it says why; nothing
//! here tries again. One thread reads the pixels into a slot for one frame: a newer frame takes the
//! place of one that nobody took, which is counted. Another reads ffmpeg's log: each frame's time,
//! size and coding.

mod child;
mod config;
mod fault;
mod shared;

use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use kakou_time::SharedClock;

use super::Planes;
use super::ffmpeg::StreamInfo;
use shared::{Shared, Slot};

pub use config::{Decoder, LiveConfig};
pub use fault::{Fault, FaultKind};
pub use shared::PictureCoding;

/// One decoded frame.
#[derive(Debug, Clone)]
pub struct LiveFrame {
    /// Of this connection, from 0; dropped ones count.
    pub number: u64,
    /// On the monotonic side of the clock given to [`Live::start`].
    pub captured: Duration,
    pub planes: Arc<Planes>,
}

#[derive(Debug)]
pub enum LiveEvent {
    Frame(LiveFrame),
    /// None within the wait.
    Nothing,
    Ended(Fault),
}

/// One connection to a camera.
pub struct Live {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Connects. What goes wrong is told by [`Live::next`].
    pub fn start(config: &LiveConfig, clock: SharedClock) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (theirs, config) = (Arc::clone(&shared), config.clone());
        // The child dies with the thread that started it, so this one lives as long as the
        // connection.
        let thread = std::thread::Builder::new()
            .name("camera-reader".into())
            .spawn(move || {
                let fault = child::read(&config, &clock, &theirs);
                theirs.end(fault);
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// The newest frame, waiting for one; frames that came before the end are given before it.
    pub fn next(&self, wait: Duration) -> LiveEvent {
        let empty = |slot: &mut Slot| slot.newest.is_none() && slot.ended.is_none();
        let slot = self.shared.slot();
        let (mut slot, _) = self
            .shared
            .filled
            .wait_timeout_while(slot, wait, empty)
            .unwrap_or_else(PoisonError::into_inner);
        match (slot.newest.take(), &slot.ended) {
            (Some(frame), _) => LiveEvent::Frame(frame),
            (None, Some(fault)) => LiveEvent::Ended(fault.clone()),
            (None, None) => LiveEvent::Nothing,
        }
    }

    /// A newer frame than the one just taken, if there is one.
    pub fn newer(&self) -> Option<LiveFrame> {
        self.shared.slot().newest.take()
    }

    /// A frame's memory, to be used again if nobody else holds it.
    pub fn give_back(&self, planes: Arc<Planes>) {
        if let Ok(planes) = Arc::try_unwrap(planes) {
            self.shared.slot().spare(planes.bytes);
        }
    }

    /// Frames received.
    pub fn received(&self) -> u64 {
        self.shared.received()
    }

    /// Frames that a newer one displaced.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped()
    }

    /// Complaints of the decoder.
    pub fn broken(&self) -> u64 {
        self.shared.broken()
    }

    /// Bytes received of a network camera: while they grow it is there, and sends.
    pub fn bytes(&self) -> Option<u64> {
        self.shared.bytes()
    }

    /// How its pictures are coded, so far.
    pub fn coding(&self) -> PictureCoding {
        self.shared.coding()
    }

    pub fn stream(&self) -> Option<StreamInfo> {
        self.shared.stream()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(thread) = self.thread.take() {
            // It waits for the child, and some children are deaf.
            self.shared.insist(|| thread.is_finished());
            // It reports by the slot; a panic in it has been told by its message.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
