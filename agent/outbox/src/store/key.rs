//! The agent's signing key: made at the first start, readable by its owner alone, never sent.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};

use crate::error::OutboxError;

/// PEM, PKCS #8: `openssl pkey -in agent.key -pubout` shows the public half.
pub(crate) const FILE: &str = "agent.key";

pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// The key of this folder; `None` when there is none yet.
pub(crate) fn read(folder: &Path) -> Result<Option<SigningKey>, OutboxError> {
    let path = path(folder);
    let fault = |why: String| OutboxError::Key {
        path: path.clone(),
        why,
    };
    let meta = match std::fs::metadata(&path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fault(e.to_string())),
    };
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(fault(format!(
            "others may read the signing key (mode {mode:04o}); run chmod 600 on it"
        )));
    }
    let pem = std::fs::read_to_string(&path).map_err(|e| fault(e.to_string()))?;
    let key = SigningKey::from_pkcs8_pem(&pem).map_err(|e| {
        fault(format!(
            "not an Ed25519 key in PKCS #8 PEM ({e}); restore it from your copy"
        ))
    })?;
    Ok(Some(key))
}

/// A new key, not yet on disk.
pub(crate) fn make(folder: &Path) -> Result<SigningKey, OutboxError> {
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed).map_err(|e| OutboxError::Key {
        path: path(folder),
        why: format!("no random numbers: {e}"),
    })?;
    Ok(SigningKey::from_bytes(&seed))
}

/// Has the key on disk, before anything is signed with it: what is signed with a lost key cannot be
/// checked.
pub(crate) fn store(folder: &Path, key: &SigningKey) -> Result<(), OutboxError> {
    let path = path(folder);
    let fault = |why: String| OutboxError::Key {
        path: path.clone(),
        why,
    };
    let pem = key
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|e| fault(e.to_string()))?;
    // Written aside and renamed: a power cut leaves a whole key or none.
    let aside = folder.join("agent.key.new");
    let write = || -> std::io::Result<()> {
        match std::fs::remove_file(&aside) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&aside, &path)?;
        std::fs::File::open(folder)?.sync_all()
    };
    write().map_err(|e| fault(e.to_string()))
}

/// A new key, on disk.
#[cfg(test)]
pub(crate) fn create(folder: &Path) -> Result<SigningKey, OutboxError> {
    let key = make(folder)?;
    store(folder, &key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).unwrap().is_none());
        let made = create(dir.path()).unwrap();
        let mode = std::fs::metadata(path(dir.path()))
            .unwrap()
            .permissions()
            .mode()
            & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(read(dir.path()).unwrap().unwrap(), made);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path()).unwrap();
        std::fs::set_permissions(path(dir.path()), std::fs::Permissions::from_mode(0o644)).unwrap();
        let told = read(dir.path()).unwrap_err().to_string();
        assert!(
            told.contains("agent.key") && told.contains("chmod 600"),
            "{told}"
        );
    }

    #[test]
    fn a_broken_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path()).unwrap();
        std::fs::write(path(dir.path()), "no key").unwrap();
        assert!(
            read(dir.path())
                .unwrap_err()
                .to_string()
                .contains("not an Ed25519 key")
        );
    }
}
