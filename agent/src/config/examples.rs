//! The ids of the example configs. A box that starts under them binds its state folder to a place
//! that does not exist, and two such boxes write under each other's name.

/// Site and agent of each example that is to be edited before it is used.
const EXAMPLES: [(&str, &str); 2] = [("ring-road-7", "box-1"), ("north-gate", "box-1")];

/// Whether these are the ids of an example config that nobody has edited yet. The configs that play
/// the sample footage have ids of their own and are no such examples: they run as they are.
pub fn is_example(site: &str, agent: &str) -> bool {
    EXAMPLES.contains(&(site, agent))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::config::Config;

    /// These play footage that the project brings along, or only list the keys.
    const TO_RUN_AS_THEY_ARE: [&str; 4] = [
        "reference.toml",
        "replay.toml",
        "samples-leaving.toml",
        "samples.toml",
    ];

    fn configs() -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
        let entries = std::fs::read_dir(folder).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
        files
    }

    #[test]
    fn every_config_that_is_to_be_edited_has_ids_that_say_so() {
        let mut seen = Vec::new();
        for file in configs() {
            let config = Config::read(&file).unwrap();
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            assert_eq!(
                is_example(&config.site, &config.agent),
                !TO_RUN_AS_THEY_ARE.contains(&name.as_str()),
                "{name}: {} {}",
                config.site,
                config.agent
            );
            seen.push((config.site, config.agent));
        }
        for (site, agent) in EXAMPLES {
            assert!(
                seen.contains(&(site.to_owned(), agent.to_owned())),
                "{site}/{agent} is in no config"
            );
        }
    }

    #[test]
    fn ids_that_somebody_chose_are_no_example() {
        for (site, agent) in [
            ("north-gate", "box-2"),
            ("north-gate-2", "box-1"),
            ("ring-road-8", "box-1"),
            ("site", "kakou"),
        ] {
            assert!(!is_example(site, agent), "{site}/{agent}");
        }
    }
}
