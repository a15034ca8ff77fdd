//! Who the broker must be, and who we are: certificates, user and password.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::address::User;
use kakou_guard::Secret;
use kakou_guard::file::FileError;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: {why}")]
    File { path: PathBuf, why: String },
    #[error("no trusted certificate on this machine ({why}); name the authority's by `ca`")]
    NoRoots { why: String },
    #[error("client certificate {path}: {why}")]
    Client { path: PathBuf, why: String },
}

/// Files only: they are read for each connection, so that renewed ones are used without a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities that may vouch for the broker; without it, those of the
    /// machine.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// A user whose password lies in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password_file: Option<PathBuf>,
}

impl Login {
    pub(super) fn user(&self) -> Result<User, TlsError> {
        let password = match &self.password_file {
            None => Secret::new(""),
            Some(path) => Secret::from_file(path)
                .map_err(|FileError { path, why }| TlsError::File { path, why })?,
        };
        Ok(User {
            name: self.user.clone(),
            password,
        })
    }
}

impl TlsFiles {
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|e| TlsError::File {
                        path: path.clone(),
                        why: e.to_string(),
                    })?;
                }
            }
            None => {
                roots = machine_roots()?;
            }
        }
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| TlsError::NoRoots { why: e.to_string() })?
            .with_root_certificates(roots);
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| TlsError::File {
                    path: key.clone(),
                    why: format!("no private key in PEM: {e}"),
                })?;
                builder
                    .with_client_auth_cert(chain, secret)
                    .map_err(|e| TlsError::Client {
                        path: certificate.clone(),
                        why: e.to_string(),
                    })?
            }
        };
        Ok(Arc::new(config))
    }
}

/// The authorities that this machine trusts. They are some hundred files: read once, and again only
/// as long as there are none. A renewed package of them is used from the next start on.
fn machine_roots() -> Result<RootCertStore, TlsError> {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found
            .errors
            .first()
            .map_or("none found".to_owned(), ToString::to_string);
        return Err(TlsError::NoRoots { why });
    }
    Ok(ROOTS.get_or_init(|| roots).clone())
}

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |why: String| TlsError::File {
        path: path.to_path_buf(),
        why,
    };
    let all: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|e| fault(format!("no certificate in PEM: {e}")))?;
    if all.is_empty() {
        Err(fault("it holds no certificate in PEM".to_owned()))
    } else {
        Ok(all)
    }
}
