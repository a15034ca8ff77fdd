//! `kakou bench --providers`: which execution provider is fastest on this box.
//!
//! A process can load one ONNX Runtime only, so each provider is measured by a process of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;
use serde::Serialize;

use super::bench::{Args, Measured};
use super::common::print_line;
use kakou_sight::models::{FileState, Manifest, ProviderEntry, verify_provider};

/// By how much another provider must be faster to be worth its memory and its download.
const WORTH: f64 = 1.05;
const CPU: &str = "cpu";

/// One provider, measured or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Tried {
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<Measured>,
    /// Why it could not be measured, and what mends that.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

/// What `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Compared {
    providers: Vec<Tried>,
    /// What to write into `[vision] provider`.
    best: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let location = &config.models.location;
    let manifest = Manifest::read(&location.manifest)?;
    let mut providers = vec![measure(args, CPU)];
    for provider in &manifest.providers {
        let name = provider.name.as_str();
        providers.push(if provider.arch != std::env::consts::ARCH {
            not_there(name, format!("it is there for {} only", provider.arch))
        } else if is_fetched(provider, &location.cache) {
            measure(args, name)
        } else {
            let how = format!("not fetched: python3 models/fetch.py --only {name}");
            not_there(name, how)
        });
    }
    let compared = Compared {
        best: best(&providers).to_owned(),
        providers,
    };
    if args.json {
        return print_line(&serde_json::to_string(&compared)?);
    }
    show(&compared)
}

fn is_fetched(provider: &ProviderEntry, cache: &Path) -> bool {
    verify_provider(provider, cache)
        .iter()
        .all(|f| f.state == FileState::Right)
}

fn not_there(provider: &str, why: String) -> Tried {
    Tried {
        provider: provider.to_owned(),
        measured: None,
        missing: Some(why),
    }
}

fn measure(args: &Args, provider: &str) -> Tried {
    match measured(args, provider) {
        Ok(measured) => Tried {
            provider: provider.to_owned(),
            measured: Some(measured),
            missing: None,
        },
        Err(e) => not_there(provider, format!("{e:#}")),
    }
}

fn measured(args: &Args, provider: &str) -> anyhow::Result<Measured> {
    let program = std::env::current_exe().context("finding this program's own file")?;
    let output = Command::new(program)
        .args(args.for_provider(provider))
        .stdin(Stdio::null())
        .output()
        .context("running this program once more")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{}", said.trim());
    serde_json::from_slice(&output.stdout).context("reading what it measured")
}

/// The fastest, but the processor's own if no other one is clearly faster.
fn best(providers: &[Tried]) -> &str {
    let speed = |t: &Tried| {
        t.measured
            .as_ref()
            .map(|m| m.frames_per_second_without_decoding)
    };
    let cpu = providers
        .iter()
        .find(|t| t.provider == CPU)
        .and_then(speed)
        .unwrap_or(0.0);
    providers
        .iter()
        .filter_map(|t| Some((t.provider.as_str(), speed(t)?)))
        .filter(|(_, speed)| *speed > cpu * WORTH)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map_or(CPU, |(name, _)| name)
}

fn show(compared: &Compared) -> anyhow::Result<()> {
    print_line("provider     frames/s   vehicle ms   plate ms   reader ms   resident MiB")?;
    for tried in &compared.providers {
        let name = &tried.provider;
        print_line(&match (&tried.measured, &tried.missing) {
            (Some(m), _) => format!(
                "{name:<10} {:10.1} {:12.2} {:10.2} {:11.2} {:14.1}",
                m.frames_per_second_without_decoding,
                m.ms_vehicles,
                m.ms_plates,
                m.ms_reader,
                m.resident_mib
            ),
            (None, missing) => format!("{name:<10} {}", missing.as_deref().unwrap_or_default()),
        })?;
    }
    print_line("\nWrite into the config:\n\n[vision]")?;
    print_line(&format!("provider = \"{}\"", compared.best))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(provider: &str, frames_per_second: f64) -> Tried {
        Tried {
            provider: provider.to_owned(),
            measured: Some(Measured {
                frames_per_second_without_decoding: frames_per_second,
                ..Measured::default()
            }),
            missing: None,
        }
    }

    #[test]
    fn another_provider_must_be_clearly_faster() {
        let missing = not_there("rknpu", "not fetched".into());
        let of =
            |speed| best(&[tried(CPU, 50.0), tried("openvino", speed), missing.clone()]).to_owned();
        assert_eq!(of(60.0), "openvino");
        assert_eq!(of(51.0), CPU);
        assert_eq!(of(20.0), CPU);
    }
}
