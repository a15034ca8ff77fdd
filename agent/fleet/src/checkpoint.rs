//! One made-up agent: its names, key, cameras and clock.

use chrono::{DateTime, FixedOffset, TimeDelta};
use ed25519_dalek::SigningKey;
use kakou_contract::{ClockState, ClockStatus, Id, Lane, PublicKey};
use sha2::{Digest as _, Sha256};

use crate::city::Traffic;
use crate::options::{FleetError, FleetOptions};
use crate::random::Random;

#[derive(Debug, Clone)]
pub(crate) struct Camera {
    pub(crate) id: Id,
    pub(crate) lanes: Vec<Lane>,
}

#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    /// From 0.
    pub(crate) number: u32,
    pub(crate) site: Id,
    pub(crate) agent: Id,
    pub(crate) key: SigningKey,
    pub(crate) public_key: PublicKey,
    pub(crate) cameras: Vec<Camera>,
    /// How far its clock is ahead of the true time.
    pub(crate) ahead: TimeDelta,
    pub(crate) clock: ClockStatus,
}

impl Checkpoint {
    pub(crate) fn new(
        options: &FleetOptions,
        traffic: &Traffic,
        number: u32,
    ) -> Result<Self, FleetError> {
        let id = |name: String| {
            Id::new("name", name).map_err(|e| FleetError::Option {
                option: "prefix",
                why: e.to_string(),
            })
        };
        let key = key(options.seed, "agent", number);
        let mut cameras = Vec::new();
        for camera in 0..traffic.cameras(number) {
            let mut lanes = Vec::new();
            for lane in 1..=traffic.lanes(number, camera) {
                lanes.push(Lane {
                    id: id(format!("lane-{lane}"))?,
                    name: Some(format!("第{lane}车道")),
                });
            }
            let id = id(format!("cam-{}", camera + 1))?;
            cameras.push(Camera { id, lanes });
        }
        let mut random = Random::of(&[options.seed, 40, u64::from(number)]);
        let is_wrong = random.chance(options.troubles.wrong_clocks);
        let (ahead_ms, clock) = clock(is_wrong, &mut random);
        Ok(Self {
            number,
            site: options.site(number)?,
            agent: id("box-1".to_owned())?,
            public_key: PublicKey::of(&key.verifying_key()),
            key,
            cameras,
            ahead: TimeDelta::milliseconds(ahead_ms),
            clock,
        })
    }

    /// What its clock shows at this true time.
    pub(crate) fn shown(&self, time: DateTime<FixedOffset>) -> DateTime<FixedOffset> {
        time.checked_add_signed(self.ahead).unwrap_or(time)
    }
}

/// By how many milliseconds a clock is ahead, and what the agent says of it.
fn clock(is_wrong: bool, random: &mut Random) -> (i64, ClockStatus) {
    if !is_wrong {
        let status = ClockStatus {
            state: ClockState::Synchronised,
            offset_ms: Some(random.within(-20, 20)),
        };
        return (0, status);
    }
    let sign = if random.chance(0.5) { 1 } else { -1 };
    let ahead = sign * random.within(2_000, 600_000);
    let told = match random.below(3) {
        // It knows by how much it is wrong.
        0 => Some(-ahead),
        1 => None,
        // It was right when it was last measured.
        _ => Some(0),
    };
    let status = ClockStatus {
        state: ClockState::Unsynchronised,
        offset_ms: told,
    };
    (ahead, status)
}

/// A key that follows from the seed.
pub(crate) fn key(seed: u64, of: &str, number: u32) -> SigningKey {
    let mut hash = Sha256::new_with_prefix(b"kakou-fleet-key");
    hash.update(seed.to_be_bytes());
    hash.update(number.to_be_bytes());
    hash.update(of.as_bytes());
    SigningKey::from_bytes(&hash.finalize().into())
}
