//! How fast messages are made, numbered and signed, without a broker. For the example `speed`.

use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::city::City;
use crate::fleet::shared;
use crate::line::{Event, Line, Waiting};
use crate::options::{FleetError, FleetOptions};

/// What was made in this thread: passages, messages, and bytes of payload.
pub fn make(options: FleetOptions, passages: u64) -> Result<(u64, u64, u64), FleetError> {
    let shared = shared(options)?;
    let mut lines = Vec::new();
    for number in 0..shared.options.agents {
        let checkpoint = Checkpoint::new(&shared.options, &shared.traffic, number)?;
        lines.push(Line::new(Arc::clone(&shared), Arc::new(checkpoint)));
    }
    let mut city = City::new(shared.traffic, shared.options.live_vehicles(), 0, true);
    let (mut made, mut messages, mut bytes) = (0, 0, 0);
    let mut out = Vec::new();
    while made < passages {
        let Some(due) = city.next() else { break };
        made += u64::from(due.sighting.phase != crate::city::Phase::Ended);
        let line = &mut lines[due.agent as usize];
        line.tell(Event::Sighting(due.sighting), Waiting::default(), &mut out)
            .map_err(|e| FleetError::Option {
                option: "messages",
                why: e.to_string(),
            })?;
        messages += out.len() as u64;
        let sizes = out
            .drain(..)
            .map(|o| o.message.envelope.payload.len() as u64);
        bytes += sizes.sum::<u64>();
    }
    Ok((made, messages, bytes))
}
