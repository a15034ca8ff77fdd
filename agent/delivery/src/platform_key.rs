//! The platform's signing key, as a file: PEM, PKCS #8, as `openssl genpkey -algorithm ed25519`
//! makes one too.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use kakou_contract::SigningKey;
use kakou_guard::file::read_bounded;
use ring::rand::{SecureRandom, SystemRandom};

const LONGEST: u64 = 4 << 10;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformKeyError {
    #[error("{0}")]
    Read(String),
    #[error("{path}: {why}")]
    File { path: String, why: String },
}

/// Reads a key.
pub fn read_platform_key(path: &Path) -> Result<SigningKey, PlatformKeyError> {
    let bytes = read_bounded(path, LONGEST).map_err(|e| PlatformKeyError::Read(e.to_string()))?;
    let pem = String::from_utf8_lossy(&bytes);
    SigningKey::from_pkcs8_pem(&pem).map_err(|e| PlatformKeyError::File {
        path: path.display().to_string(),
        why: format!("not an Ed25519 key in PKCS #8 PEM ({e}); `kakou watchlist keygen` makes one"),
    })
}

/// Makes a key in a file that was not there.
pub fn make_platform_key(path: &Path) -> Result<SigningKey, PlatformKeyError> {
    let fault = |why: String| PlatformKeyError::File {
        path: path.display().to_string(),
        why,
    };
    let mut seed = [0_u8; 32];
    SystemRandom::new()
        .fill(&mut seed)
        .map_err(|_| fault("no random numbers".to_owned()))?;
    let key = SigningKey::from_bytes(&seed);
    let pem = key
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|e| fault(e.to_string()))?;
    // A key that is there signs lists somewhere: it is never written over.
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|e| fault(e.to_string()))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_read_again() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("platform.key");
        let made = make_platform_key(&path).unwrap();
        assert_eq!(read_platform_key(&path).unwrap(), made);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(make_platform_key(&path).is_err(), "never written over");
        std::fs::write(&path, "no key").unwrap();
        let told = read_platform_key(&path).unwrap_err().to_string();
        assert!(
            told.contains("platform.key") && told.contains("keygen"),
            "{told}"
        );
    }
}
