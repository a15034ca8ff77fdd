//! The processor and the clock.

use kakou_contract::{ClockState, ClockStatus};
use kakou_sight::share::cores;

use super::finding::{Area, Finding};

/// What the models are quick by, and whether this processor has it.
#[cfg(target_arch = "x86_64")]
fn features() -> Vec<(&'static str, bool)> {
    vec![
        ("AVX2", std::is_x86_feature_detected!("avx2")),
        (
            "VNNI",
            std::is_x86_feature_detected!("avx512vnni") || std::is_x86_feature_detected!("avxvnni"),
        ),
    ]
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<(&'static str, bool)> {
    vec![(
        "dot product",
        std::arch::is_aarch64_feature_detected!("dotprod"),
    )]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

pub(super) fn processor() -> Finding {
    of_processor(std::env::consts::ARCH, cores(), &features())
}

fn of_processor(arch: &str, cores: usize, features: &[(&str, bool)]) -> Finding {
    let names = |there: bool| {
        let names = features.iter().filter(|(_, is)| *is == there);
        names.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    let (with, without) = (names(true), names(false));
    let cores = match cores {
        1 => "1 core".to_owned(),
        n => format!("{n} cores"),
    };
    let mut message = format!("{arch}, {cores}");
    if !with.is_empty() {
        message += &format!(", with {with}");
    }
    if !without.is_empty() {
        message += &format!(", without {without}");
    }
    // Without VNNI a look takes longer; without AVX2 a few times as long.
    match without.contains("AVX2") {
        true => Finding::warning(Area::Processor, message)
            .mend("in a virtual machine let it have the host's processor; else give it one camera"),
        false => Finding::ok(Area::Processor, message),
    }
}

pub(super) fn clock(status: ClockStatus) -> Finding {
    let offset = status
        .offset_ms
        .map_or(String::new(), |ms| format!(", off by {ms} ms"));
    match status.state {
        ClockState::Synchronised => {
            Finding::ok(Area::Clock, format!("synchronised{offset}, says the kernel"))
        }
        ClockState::Unsynchronised => Finding::warning(
            Area::Clock,
            "not synchronised, says the kernel: so the times of passages prove nothing",
        )
        .mend("set up chrony or systemd-timesyncd with a time server that this box reaches; see: timedatectl"),
        ClockState::Unknown => Finding::warning(
            Area::Clock,
            "the kernel does not say whether the clock is synchronised",
        )
        .mend("let the service call adjtimex: the unit of the project does"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_processor_without_avx2_is_a_warning_and_one_without_vnni_is_not() {
        let of = |avx2, vnni| of_processor("x86_64", 2, &[("AVX2", avx2), ("VNNI", vnni)]);
        assert_eq!(of(true, false).state, State::Ok);
        assert_eq!(
            of(true, false).message,
            "x86_64, 2 cores, with AVX2, without VNNI"
        );
        assert_eq!(of(false, false).state, State::Warning);
        assert!(of(false, false).mend.is_some());
    }

    #[test]
    fn what_the_kernel_says_of_the_clock_decides() {
        let of = |state, offset_ms| clock(ClockStatus { state, offset_ms });
        let good = of(ClockState::Synchronised, Some(-3));
        assert_eq!(
            (good.state, good.message.contains("-3 ms")),
            (State::Ok, true)
        );
        for state in [ClockState::Unsynchronised, ClockState::Unknown] {
            let found = of(state, None);
            assert_eq!(found.state, State::Warning);
            assert!(found.mend.is_some());
        }
    }
}
