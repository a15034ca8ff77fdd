//! What a connection's threads and its owner share: the slot for the newest frame, the counts, the
//! child process.

use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use kakou_relay::Relay;

use super::super::ffmpeg::{self, StreamInfo};
use super::{Fault, LiveFrame};

/// Buffers kept to read into.
const SPARE: usize = 2;

#[derive(Default)]
pub(super) struct Slot {
    pub(super) newest: Option<LiveFrame>,
    spare: Vec<Vec<u8>>,
    pub(super) ended: Option<Fault>,
}

impl Slot {
    pub(super) fn spare(&mut self, memory: Vec<u8>) {
        if self.spare.len() < SPARE {
            self.spare.push(memory);
        }
    }
}

#[derive(Default)]
pub(super) struct Shared {
    slot: Mutex<Slot>,
    pub(super) filled: Condvar,
    received: AtomicU64,
    dropped: AtomicU64,
    broken: AtomicU64,
    stop: AtomicBool,
    child: Mutex<Option<Child>>,
    relay: Mutex<Option<Arc<Relay>>>,
    stream: Mutex<Option<StreamInfo>>,
    coding: Mutex<PictureCoding>,
}

/// How the pictures of a stream are coded, as far as it has been seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct PictureCoding {
    pub pictures: u64,
    /// Pictures that wait for later ones: they hold the stream up.
    pub b_pictures: u64,
    pub key_pictures: u64,
    /// The most pictures from one key picture to the next; `None`: no two have been seen.
    pub key_distance: Option<u64>,
    since_key: Option<u64>,
}

impl PictureCoding {
    pub(super) fn saw(&mut self, kind: Option<char>, key: bool) {
        self.pictures += 1;
        self.b_pictures += u64::from(kind == Some('B'));
        let since = self.since_key.map(|since| since + 1);
        if key {
            self.key_pictures += 1;
            self.key_distance = self.key_distance.max(since);
            self.since_key = Some(0);
        } else {
            self.since_key = since;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn slot(&self) -> MutexGuard<'_, Slot> {
        locked(&self.slot)
    }

    /// Memory for the next frame.
    pub(super) fn memory(&self) -> Vec<u8> {
        self.slot().spare.pop().unwrap_or_default()
    }

    /// Puts a frame into the slot; one that nobody took is dropped for it.
    pub(super) fn put(&self, frame: LiveFrame) {
        self.received.fetch_add(1, Ordering::Relaxed);
        let mut slot = self.slot();
        if let Some(old) = slot.newest.replace(frame) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            if let Ok(planes) = Arc::try_unwrap(old.planes) {
                slot.spare(planes.bytes);
            }
        }
        drop(slot);
        self.filled.notify_all();
    }

    pub(super) fn end(&self, fault: Fault) {
        self.slot().ended = Some(fault);
        self.filled.notify_all();
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }

    /// The decoder complained of a frame.
    pub(super) fn complained(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stream(&self) -> Option<StreamInfo> {
        locked(&self.stream).clone()
    }

    pub(super) fn coding(&self) -> PictureCoding {
        *locked(&self.coding)
    }

    pub(super) fn saw(&self, kind: Option<char>, key: bool) {
        locked(&self.coding).saw(kind, key);
    }

    /// What the stream is; the first word counts.
    pub(super) fn tell(&self, stream: StreamInfo) {
        locked(&self.stream).get_or_insert(stream);
    }

    pub(super) fn hold(&self, child: Child) {
        *locked(&self.child) = Some(child);
    }

    pub(super) fn hold_relay(&self, relay: Arc<Relay>) {
        *locked(&self.relay) = Some(relay);
    }

    /// Bytes that came from the camera, where they pass by the relay.
    pub(super) fn bytes(&self) -> Option<u64> {
        locked(&self.relay).as_ref().map(|relay| relay.bytes())
    }

    /// Ends the child now, or as soon as it has been started.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(relay) = locked(&self.relay).as_ref() {
            relay.stop();
        }
        self.end_child();
    }

    pub(super) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks the child to end.
    pub(super) fn end_child(&self) {
        if let Some(child) = locked(&self.child).as_ref() {
            ffmpeg::ask_to_end(child);
        }
    }

    /// Waits for what is over when the child is, which was asked to end. A child that hangs is ended by
    /// force: nobody can wait for it.
    pub(super) fn insist(&self, is_over: impl Fn() -> bool) {
        if ffmpeg::in_time(is_over) {
            return;
        }
        if let Some(child) = locked(&self.child).as_mut() {
            // Fails only if it has ended. Whoever waits for it takes it from here first, so the number
            // is still its own.
            let _ = child.kill();
        }
    }

    /// Ends both and waits for them: the relay tears its session down, and no child is left behind
    /// as a zombie.
    pub(super) fn reap(&self) {
        let child = locked(&self.child).take();
        // Before the relay, which may be writing into the pipe of a child that does not read it: the
        // child's end alone releases it.
        if let Some(child) = child {
            ffmpeg::ask_to_end(&child);
            ffmpeg::end(child);
        }
        // Its thread is joined when the last one lets go of it.
        let relay = locked(&self.relay).take();
        drop(relay);
    }
}
