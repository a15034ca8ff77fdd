//! Who a camera must be. Cameras rarely have a certificate of an authority, so one camera's own can
//! be pinned by its SHA-256. A camera that does not prove itself is told no password.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kakou_guard::file::read_bounded;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::fault::Fault;

/// Certificates of authorities; a file is some hundred KiB at most.
const LARGEST_CA: u64 = 4 << 20;

/// The SHA-256 of a certificate in DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no SHA-256 of a certificate; write 64 hexadecimal digits, as `openssl x509 -noout -sha256 \
     -fingerprint` shows them"
)]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let text = text.trim();
        let text = text
            .get(..7)
            .filter(|head| head.eq_ignore_ascii_case("sha256:"))
            .map_or(text, |_| text.get(7..).unwrap_or_default());
        let digits: Option<Vec<u8>> = text
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).map(|digit| digit as u8))
            .collect();
        let digits = digits.filter(|d| d.len() == 64).ok_or(FingerprintError)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |value, digit| value * 16 + digit);
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Who may vouch for a camera.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// The authorities that this machine trusts.
    #[default]
    Machine,
    /// The authorities in this file (PEM).
    Authorities(PathBuf),
    /// Nobody: the certificate is this one.
    Pinned(Fingerprint),
}

/// Checks one camera's certificate, and remembers which one it showed.
#[derive(Debug)]
pub(crate) struct Checker {
    provider: Arc<CryptoProvider>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    pinned: Option<Fingerprint>,
    shown: Mutex<Option<Fingerprint>>,
}

impl Trust {
    pub(crate) fn checker(&self) -> Result<Arc<Checker>, Fault> {
        let provider = Arc::new(ring::default_provider());
        let roots = match self {
            Self::Machine => Some(machine_roots()?),
            Self::Authorities(path) => {
                let fault = |why: String| Fault::unreachable(format!("{}: {why}", path.display()));
                let bytes = read_bounded(path, LARGEST_CA)
                    .map_err(|e| Fault::unreachable(e.to_string()))?;
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(&bytes) {
                    let certificate =
                        certificate.map_err(|e| fault(format!("no certificate in PEM: {e}")))?;
                    roots.add(certificate).map_err(|e| fault(e.to_string()))?;
                }
                if roots.is_empty() {
                    return Err(fault("it holds no certificate in PEM".to_owned()));
                }
                Some(roots)
            }
            Self::Pinned(_) => None,
        };
        let authorities = roots
            .map(|roots| {
                WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
                    .build()
            })
            .transpose()
            .map_err(|e| Fault::unreachable(format!("the authorities cannot be used: {e}")))?;
        let pinned = match self {
            Self::Pinned(pin) => Some(*pin),
            _ => None,
        };
        Ok(Arc::new(Checker {
            provider,
            authorities,
            pinned,
            shown: Mutex::default(),
        }))
    }
}

impl Checker {
    pub(crate) fn config(self: &Arc<Self>) -> Result<ClientConfig, Fault> {
        Ok(
            ClientConfig::builder_with_provider(Arc::clone(&self.provider))
                .with_safe_default_protocol_versions()
                .map_err(|e| Fault::unreachable(e.to_string()))?
                .dangerous()
                .with_custom_certificate_verifier(Arc::clone(self) as Arc<dyn ServerCertVerifier>)
                .with_no_client_auth(),
        )
    }

    /// Why the handshake failed, and what to write if it is the right camera all the same.
    pub(crate) fn fault(&self, error: &std::io::Error) -> Fault {
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<Error>());
        let Some(Error::InvalidCertificate(bad)) = inner else {
            return Fault::unreachable(format!("TLS with the camera failed: {error}"));
        };
        use CertificateError as Bad;
        let why = match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => "has expired",
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "is not valid yet; is this box's clock right?"
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => "is for another name",
            Bad::ApplicationVerificationFailure => "is not the pinned one",
            _ => "is of nobody who is trusted here",
        };
        let shown = *self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mend = shown.map_or_else(String::new, |shown| {
            format!(
                "; the password was not sent. If the camera's own page shows this fingerprint, \
                 write fingerprint = \"{shown}\", or name its authority by `ca`"
            )
        });
        Fault::unreachable(format!("the camera's certificate {why}{mend}"))
    }
}

impl ServerCertVerifier for Checker {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Fingerprint(Sha256::digest(end_entity.as_ref()).into());
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        match (&self.authorities, &self.pinned) {
            (_, Some(pinned)) if *pinned == shown => Ok(ServerCertVerified::assertion()),
            (Some(authorities), None) => authorities.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            _ => Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Read once: they are some hundred files.
fn machine_roots() -> Result<RootCertStore, Fault> {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Fault::unreachable(
            "this machine trusts no authority, so no camera can prove itself; write `fingerprint` \
             or `ca`",
        ));
    }
    Ok(ROOTS.get_or_init(|| roots).clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_tools_write_it() {
        let plain = "00ff".repeat(16);
        let pin: Fingerprint = plain.parse().unwrap();
        assert_eq!(pin.to_string(), plain);
        let pairs: Vec<&str> = (0..32).map(|i| &plain[2 * i..2 * i + 2]).collect();
        let colons = format!("SHA256:{}", pairs.join(":").to_uppercase());
        assert_eq!(colons.parse::<Fingerprint>(), Ok(pin));
        for wrong in ["", "00ff", "sha256:", "é", &"g".repeat(64), &"0".repeat(65)] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}
