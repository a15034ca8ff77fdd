//! The models, the runtime and the execution provider of `[vision]`: opened as the agent would.

use kakou_sight::models::ManifestError;
use kakou_sight::vision::{OpenError, Provider, RuntimeError};

use super::note::Report;
use crate::app::prepare;
use crate::config::{Config, message_and_mend};

pub(super) fn check(report: &mut Report, config: &Config) {
    let choice = &config.models;
    let found = match prepare::try_models(config) {
        Ok(pool) => {
            let used = pool.used().iter();
            let named: Vec<_> = used.map(|(name, v)| format!("{name} {v}")).collect();
            format!("opened {}", named.join(", "))
        }
        Err(e) => {
            let (key, text) = told(&e, report.is_written("vision.manifest"));
            report.failed(key, &text);
            "cannot be used".to_owned()
        }
    };
    let manifest = choice.location.manifest.display();
    report.see(format!("models {manifest} on {}", choice.provider), &found);
}

/// Which key it is about, and what to say.
pub(super) fn told(error: &anyhow::Error, names_manifest: bool) -> (&'static str, String) {
    let open: Option<&OpenError> = error.chain().find_map(|e| e.downcast_ref());
    let Some(open) = open else {
        return ("vision", format!("{error:#}"));
    };
    let text = open.to_string();
    match open {
        OpenError::Manifest(ManifestError::Read { path, .. }) if !names_manifest && !path.exists() => (
            "vision.manifest",
            "no models were found beside or above the program, nor in /usr/share/kakou/models; run \
             `make models`, or name their manifest.toml"
                .to_owned(),
        ),
        OpenError::Manifest(ManifestError::Read { path, .. }) if !path.exists() => (
            "vision.manifest",
            format!(
                "{}: there is no such file; a relative path counts from the config's folder: write \
                 the whole path, or leave `manifest` out",
                path.display()
            ),
        ),
        OpenError::Manifest(ManifestError::OptionalFile { name, .. })
            if name.parse::<Provider>().is_ok() =>
        {
            ("vision.provider", text)
        }
        OpenError::Manifest(_) => ("vision.manifest", text),
        OpenError::Runtime(
            RuntimeError::ProviderNotBuilt { .. } | RuntimeError::ProviderNotThere { .. },
        ) => ("vision.provider", text),
        OpenError::Runtime(RuntimeError::Load { .. } | RuntimeError::Twice { .. }) => {
            ("vision.runtime", text)
        }
        OpenError::Runtime(_) => match message_and_mend(&text) {
            (_, Some(_)) => ("vision", text),
            (message, None) => (
                "vision",
                format!("{message}; fetch the models again (make models), or install the package again"),
            ),
        },
    }
}
