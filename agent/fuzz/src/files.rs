//! Files that somebody hands over: a recording's times and pictures, a manifest, a config.

use std::path::Path;

use kakou::config::{Config, ConfigError};
use kakou_sight::doors;
use kakou_sight::models::Manifest;

use crate::is_presentable;

/// A recording's `frames.jsonl`.
pub fn frames(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match doors::frames(text) {
        Ok(entries) => assert!(entries <= text.lines().count()),
        Err(error) => assert!(is_presentable(&error), "{error:?}"),
    }
}

/// Fewer than the agent takes: some hundred bytes can claim as many pixels as are allowed, and then
/// each input takes a second.
const PIXELS: u64 = 2_000_000;

/// A picture of a recording or a set.
pub fn picture(data: &[u8]) {
    match doors::picture(data, PIXELS) {
        Ok((width, height)) => {
            assert!(width > 0 && height > 0);
            assert!(u64::from(width) * u64::from(height) <= PIXELS);
        }
        Err(error) => assert!(is_presentable(&error), "{error:?}"),
    }
}

/// A manifest of models.
pub fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let manifest = match Manifest::parse(text, Path::new("models/manifest.toml")) {
        Ok(manifest) => manifest,
        Err(error) => return drop(error.to_string()),
    };
    let cache = Path::new("models/cache");
    for model in &manifest.models {
        assert!(manifest.model(&model.name).is_ok());
        let _ = manifest.labels(model).map_err(|error| error.to_string());
        let _ = (
            manifest.file(cache, model),
            manifest.dictionary(cache, model),
        );
    }
    let _ = manifest.model("none").map_err(|error| error.to_string());
    let _ = (manifest.library(), manifest.provider("cuda").is_some());
}

/// A config. Whatever stands in it, the fault names a line that there is.
pub fn config(data: &[u8]) {
    let lines = data.iter().filter(|b| **b == b'\n').count() + 1;
    let error = match Config::from_bytes(data, Path::new("/nowhere/gate.toml")) {
        Ok(config) => {
            let there = |line| (1..=lines).contains(&line);
            assert!(config.warnings.iter().all(|w| there(w.line)));
            return;
        }
        Err(error) => error,
    };
    assert!(!error.to_string().is_empty());
    match error {
        ConfigError::Syntax { line, .. } => assert!((1..=lines).contains(&line)),
        ConfigError::Wrong { findings, .. } => {
            for finding in findings {
                assert!((1..=lines).contains(&finding.line), "{finding}");
            }
        }
        ConfigError::Read { .. } => unreachable!("nothing is read"),
    }
}
