//! The server's certificate: the one that the config names, or one that is made at the first start
//! and kept. A browser does not know the latter; its fingerprint is compared by hand, once.

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kakou_entry::identity::{self, IdentityError};
use kakou_guard::file::replace_durably;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls;

const CERTIFICATE: &str = "panel-certificate.pem";
const KEY: &str = "panel-key.pem";

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error(transparent)]
    File(#[from] IdentityError),
    #[error("a certificate could not be made: {0}")]
    Made(String),
}

/// Where certificate and key lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// The place of the one that is made by itself.
    pub fn own(state: &Path) -> Self {
        Self {
            certificate: state.join(CERTIFICATE),
            key: state.join(KEY),
        }
    }

    /// Makes one if there is none. It holds for these names and addresses; a browser that was told to
    /// trust it does not ask which.
    pub fn make_if_missing(&self, names: &[String]) -> Result<(), CertificateError> {
        if self.certificate.exists() && self.key.exists() {
            return Ok(());
        }
        let made = |e: rcgen::Error| CertificateError::Made(e.to_string());
        let key = rcgen::KeyPair::generate().map_err(made)?;
        let mut params = rcgen::CertificateParams::new(names.to_vec()).map_err(made)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Kakou panel");
        // A box's clock may be wrong when it is made; the fingerprint is what is trusted.
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2070, 1, 1);
        let certificate = params.self_signed(&key).map_err(made)?;
        let write = |path: &Path, text: &str, mode| {
            replace_durably(path, mode, |file| file.write_all(text.as_bytes()))
                .map_err(|e| IdentityError::new(path, e))
        };
        write(&self.key, &key.serialize_pem(), 0o600)?;
        Ok(write(&self.certificate, &certificate.pem(), 0o640)?)
    }

    /// Whether it can be used.
    pub fn check(&self) -> Result<(), CertificateError> {
        self.server_config().map(|_| ())
    }

    pub(crate) fn server_config(&self) -> Result<Arc<rustls::ServerConfig>, CertificateError> {
        Ok(identity::server_config(&self.certificate, &self.key)?)
    }
}

/// SHA-256 of a certificate as browsers show it: pairs of digits with colons.
pub fn fingerprint(path: &Path) -> Result<String, CertificateError> {
    let chain = identity::chain(path)?;
    let first = chain.first().map(AsRef::as_ref).unwrap_or_default();
    let digits: Vec<String> = Sha256::digest(first)
        .iter()
        .map(|b| format!("{b:02X}"))
        .collect();
    Ok(digits.join(":"))
}

/// The names that a certificate for this address holds for.
pub(crate) fn names(address: IpAddr, hostname: Option<&str>) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    if !address.is_unspecified() && !address.is_loopback() {
        names.push(address.to_string());
    }
    names.extend(hostname.filter(|name| name.is_ascii()).map(str::to_owned));
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_is_made_once_kept_and_usable() {
        let folder = tempfile::tempdir().unwrap();
        let own = Certificate::own(folder.path());
        own.make_if_missing(&names("10.0.0.5".parse().unwrap(), Some("box-1")))
            .unwrap();
        let first = fingerprint(&own.certificate).unwrap();
        assert_eq!(first.len(), 32 * 3 - 1);
        own.make_if_missing(&[]).unwrap();
        assert_eq!(fingerprint(&own.certificate).unwrap(), first);
        own.server_config().unwrap();
        let mode = std::fs::metadata(&own.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn files_that_are_none_are_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let own = Certificate::own(folder.path());
        own.make_if_missing(&["localhost".into()]).unwrap();
        std::fs::write(&own.certificate, "no certificate").unwrap();
        let told = own.server_config().unwrap_err().to_string();
        assert!(
            told.contains(CERTIFICATE) && told.contains("no certificate in PEM"),
            "{told}"
        );
    }
}
