//! What the kernel knows of the clock: whether a time source disciplines it, and how far off it may
//! be (adjtimex(2)).

use kakou_contract::{ClockState, ClockStatus};

/// Beyond this estimated error, in microseconds, a clock that claims to be disciplined is not
/// believed: GA/T 832-2014 asks for a second.
const MOST_ERROR_US: i64 = 1_000_000;

/// How the clock stands now.
pub(crate) fn status() -> ClockStatus {
    match read() {
        Some(t) => judge(t),
        None => ClockStatus {
            state: ClockState::Unknown,
            offset_ms: None,
        },
    }
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    /// The kernel's clock state; 5 (`TIME_ERROR`): not synchronised.
    state: i32,
    status: i32,
    /// Microseconds.
    offset_us: i64,
    /// Microseconds.
    max_error_us: i64,
}

fn judge(t: Reading) -> ClockStatus {
    let disciplined = t.state != libc::TIME_ERROR && t.status & libc::STA_UNSYNC == 0;
    let state = match disciplined && t.max_error_us < 16 * MOST_ERROR_US {
        true => ClockState::Synchronised,
        false => ClockState::Unsynchronised,
    };
    // The kernel's offset is what is still to be corrected: the source's time less ours. Without a
    // source it says nothing.
    let offset_ms = disciplined.then(|| (t.offset_us + t.offset_us.signum() * 500) / 1000);
    ClockStatus { state, offset_ms }
}

#[allow(unsafe_code)]
fn read() -> Option<Reading> {
    // SAFETY: `timex` is plain integers, for which zeros are valid; with `modes` 0 the call only
    // reads, and writes to the structure it is given, which lives until it returns.
    let (state, t) = unsafe {
        let mut t: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&mut t), t)
    };
    if state < 0 {
        return None;
    }
    let unit = if t.status & libc::STA_NANO != 0 {
        1000
    } else {
        1
    };
    #[allow(clippy::useless_conversion)]
    let (offset, max_error): (i64, i64) = (t.offset.into(), t.maxerror.into());
    Some(Reading {
        state,
        status: t.status,
        offset_us: offset / unit,
        max_error_us: max_error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_word_is_taken_for_what_it_is() {
        let good = Reading {
            state: libc::TIME_OK,
            status: libc::STA_PLL,
            offset_us: -2_600,
            max_error_us: 20_000,
        };
        assert_eq!(
            judge(good),
            ClockStatus {
                state: ClockState::Synchronised,
                offset_ms: Some(-3)
            }
        );
        let free = Reading {
            state: libc::TIME_ERROR,
            status: libc::STA_UNSYNC,
            ..good
        };
        assert_eq!(
            judge(free),
            ClockStatus {
                state: ClockState::Unsynchronised,
                offset_ms: None
            }
        );
        let old = Reading {
            max_error_us: 16 * MOST_ERROR_US,
            ..good
        };
        assert_eq!(judge(old).state, ClockState::Unsynchronised);
        assert_ne!(status().state, ClockState::Unknown, "this kernel answers");
    }
}
