//! The server's certificate and key, from their files.

use std::path::Path;
use std::sync::Arc;

use kakou_guard::file::read_bounded;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls;

const LARGEST: u64 = 1 << 20;

/// Which file cannot be used, and why.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {why}")]
pub struct IdentityError {
    pub file: String,
    pub why: String,
}

impl IdentityError {
    pub fn new(file: &Path, why: impl std::fmt::Display) -> Self {
        Self {
            file: file.display().to_string(),
            why: why.to_string(),
        }
    }
}

/// The settings of TLS for HTTP/1.1 with this chain and key, both in PEM.
pub fn server_config(
    certificate: &Path,
    key: &Path,
) -> Result<Arc<rustls::ServerConfig>, IdentityError> {
    let chain = chain(certificate)?;
    let bytes = read_bounded(key, LARGEST).map_err(|e| IdentityError::new(key, e))?;
    let secret = PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|_| IdentityError::new(key, "no private key in PEM"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| IdentityError::new(certificate, e))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|e| {
            let why = format!("it cannot be used with {}: {e}", key.display());
            IdentityError::new(certificate, why)
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The certificates of a file in PEM; at least one.
pub fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let bytes = read_bounded(path, LARGEST).map_err(|e| IdentityError::new(path, e))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| IdentityError::new(path, "no certificate in PEM"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_that_are_none_are_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        server_config(&certificate, &key).unwrap();
        let told = |certificate: &Path, key: &Path| {
            server_config(certificate, key).unwrap_err().to_string()
        };
        let no_key = told(&certificate, &certificate);
        assert!(no_key.contains("a.pem: no private key in PEM"), "{no_key}");
        let no_chain = told(&key, &key);
        assert!(
            no_chain.contains("a.key: no certificate in PEM"),
            "{no_chain}"
        );
    }
}
