//! Where a message stands, and how many stand where.

/// Where a message stands on its way: it is in exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In line for the platform.
    Waiting,
    /// Set aside, with a reason.
    Held,
    /// The platform has it; the box keeps it for a while.
    Kept,
}

/// How many messages of one priority stand where, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub waiting: u64,
    pub waiting_bytes: u64,
    pub held: u64,
    pub held_bytes: u64,
    pub kept: u64,
    pub kept_bytes: u64,
    /// Given up before the platform had them, ever.
    pub evicted: u64,
    pub evicted_bytes: u64,
}

impl Counts {
    pub fn bytes(&self) -> u64 {
        self.waiting_bytes + self.held_bytes + self.kept_bytes
    }

    pub(crate) fn at(&self, stage: Stage) -> (u64, u64) {
        match stage {
            Stage::Waiting => (self.waiting, self.waiting_bytes),
            Stage::Held => (self.held, self.held_bytes),
            Stage::Kept => (self.kept, self.kept_bytes),
        }
    }

    fn at_mut(&mut self, stage: Stage) -> (&mut u64, &mut u64) {
        match stage {
            Stage::Waiting => (&mut self.waiting, &mut self.waiting_bytes),
            Stage::Held => (&mut self.held, &mut self.held_bytes),
            Stage::Kept => (&mut self.kept, &mut self.kept_bytes),
        }
    }

    pub(crate) fn enter(&mut self, stage: Stage, bytes: u64) {
        let (count, total) = self.at_mut(stage);
        *count += 1;
        *total += bytes;
    }

    /// Never below zero: the counters of a damaged database may be wrong, and a wrong counter must
    /// not stop a delivery.
    pub(crate) fn leave(&mut self, stage: Stage, bytes: u64) {
        let (count, total) = self.at_mut(stage);
        *count = count.saturating_sub(1);
        *total = total.saturating_sub(bytes);
    }

    /// As if nothing stood there.
    pub(crate) fn without(mut self, stage: Stage) -> Self {
        let (count, total) = self.at_mut(stage);
        (*count, *total) = (0, 0);
        self
    }
}
