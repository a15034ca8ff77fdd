//! Which ffmpeg this is, and what its options are called.

use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::program;

/// The oldest with all that is asked of it.
const OLDEST: (u32, u32) = (4, 4);

/// How frames are passed on with the times they have: the option's name changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::camera) enum Passthrough {
    /// Until 5.0.
    Vsync,
    /// From 5.1 on.
    FpsMode,
}

impl Passthrough {
    pub(in crate::camera) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Vsync => &["-vsync", "passthrough"],
            Self::FpsMode => &["-fps_mode", "passthrough"],
        }
    }

    /// Of the ffmpeg that will be started. It is asked once; one that could not be asked is asked
    /// again, since it may be installed meanwhile.
    pub(in crate::camera) fn of_this_ffmpeg() -> Result<Self, String> {
        static KNOWN: Mutex<Option<Result<Passthrough, String>>> = Mutex::new(None);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return known.clone();
        }
        let name = program("ffmpeg");
        let asked = super::bare_environment(&mut Command::new(&name))
            .arg("-version")
            .stdin(Stdio::null())
            .output()
            .map_err(|e| {
                format!(
                    "{} cannot be started: {e}; install it (Debian: ffmpeg) or name it by \
                     KAKOU_FFMPEG",
                    name.display()
                )
            })?;
        let said = String::from_utf8_lossy(&asked.stdout);
        let found = of(&said).map_err(|found| {
            format!(
                "{} is {found}; Kakou needs ffmpeg {}.{} or newer: install it, or name another one \
                 by KAKOU_FFMPEG",
                name.display(),
                OLDEST.0,
                OLDEST.1
            )
        });
        *known = Some(found.clone());
        found
    }
}

/// From the first line of `ffmpeg -version`. `Err`: the version that is too old.
pub(in crate::camera) fn of(said: &str) -> Result<Passthrough, String> {
    let word = said
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("ffmpeg version "))
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap_or_default();
    let mut numbers = word
        .trim_start_matches(|c: char| !c.is_ascii_digit())
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    // `N-109542-gb7f2b3b`, `git-2024-01-01`: built from the sources, so not an old one.
    let released = word.starts_with(|c: char| c.is_ascii_digit()) || word.starts_with('n');
    let major = numbers.next().and_then(Result::ok).filter(|_| released);
    let minor = numbers.next().and_then(Result::ok).unwrap_or(0);
    match major {
        None => Ok(Passthrough::FpsMode),
        Some(major) if (major, minor) < OLDEST => Err(format!("ffmpeg {major}.{minor}")),
        Some(major) if (major, minor) < (5, 1) => Ok(Passthrough::Vsync),
        // A year is no version.
        Some(_) => Ok(Passthrough::FpsMode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_many_makers_are_told_apart() {
        for (word, mode) in [
            ("4.4.2-0ubuntu0.22.04.1", Ok(Passthrough::Vsync)),
            ("n4.4.1", Ok(Passthrough::Vsync)),
            ("5.0.1", Ok(Passthrough::Vsync)),
            ("5.1.9-0+deb12u1", Ok(Passthrough::FpsMode)),
            ("6.1.1-3ubuntu5", Ok(Passthrough::FpsMode)),
            ("n7.1-dev", Ok(Passthrough::FpsMode)),
            ("N-109542-gb7f2b3b", Ok(Passthrough::FpsMode)),
            ("git-2024-01-01-abc", Ok(Passthrough::FpsMode)),
            ("4.2.7-0ubuntu0.1", Err("ffmpeg 4.2".to_owned())),
            ("3.4.11", Err("ffmpeg 3.4".to_owned())),
        ] {
            assert_eq!(
                of(&format!("ffmpeg version {word} Copyright (c)")),
                mode,
                "{word}"
            );
        }
        assert_eq!(of("something else"), Ok(Passthrough::FpsMode));
    }
}
