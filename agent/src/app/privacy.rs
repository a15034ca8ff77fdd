//! What leaves the camera of a vehicle that nobody looks for: all of it, a keyed hash in place of
//! the plate, or nothing. What a passage holds is decided here, before anything is written to the
//! disk.

use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use kakou_contract::{NoPlateReason, Sha256Hex};
use kakou_guard::file::{FileError, read_bounded};
use sha2::Sha256;

use crate::config::{NonHits, PrivacyConfig};
use crate::pipeline::Record;

/// A shorter key could be guessed; a longer one is no key.
const KEY_BYTES: std::ops::RangeInclusive<u64> = 32..=4096;

/// Why the key for hashes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    #[error("privacy.key_file {path}: {source}", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("privacy.key_file {0}")]
    File(#[from] FileError),
    #[error(
        "privacy.key_file {path}: {bytes} bytes; give 32 to 4096 of chance, as from: head -c 32 /dev/urandom > {path}",
        path = path.display()
    )]
    Length { path: PathBuf, bytes: u64 },
    #[error(
        "privacy.key_file {path}: others may read it (mode {mode:04o}); run chmod 600 on it",
        path = path.display()
    )]
    Mode { path: PathBuf, mode: u32 },
}

/// What is done with passages that hit nothing.
pub enum Privacy {
    Whole,
    Hash(Box<Hmac<Sha256>>),
    Nothing,
}

impl Privacy {
    pub fn load(config: &PrivacyConfig) -> Result<Self, KeyFault> {
        Ok(match (config.non_hits, &config.key_file) {
            (NonHits::Whole, _) => Self::Whole,
            (NonHits::Nothing, _) => Self::Nothing,
            (NonHits::Hash, file) => Self::Hash(Box::new(key(file.as_deref())?)),
        })
    }

    /// Vehicles that nobody looks for may be known.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }

    /// A passage that hits nothing, as it may be kept and sent.
    pub fn of_non_hit(&self, mut record: Record) -> Option<Record> {
        match self {
            Self::Whole => Some(record),
            Self::Nothing => None,
            Self::Hash(key) => {
                let message = &mut record.message;
                if let Some(plate) = message.plate.take() {
                    message.plate_hash = Some(hash(key, &plate.text));
                    message.no_plate_reason = Some(NoPlateReason::Withheld);
                }
                // Each of them shows the plate.
                message.evidence.clear();
                record.pictures.clear();
                Some(record)
            }
        }
    }
}

fn hash(key: &Hmac<Sha256>, text: &str) -> Sha256Hex {
    let mut mac = key.clone();
    mac.update(text.as_bytes());
    Sha256Hex(mac.finalize().into_bytes().into())
}

fn key(file: Option<&Path>) -> Result<Hmac<Sha256>, KeyFault> {
    use std::os::unix::fs::MetadataExt;
    let path = file.unwrap_or(Path::new("")).to_path_buf();
    let about = std::fs::metadata(&path).map_err(|source| KeyFault::Read {
        path: path.clone(),
        source,
    })?;
    if about.mode() & 0o077 != 0 {
        let mode = about.mode() & 0o777;
        return Err(KeyFault::Mode { path, mode });
    }
    if !KEY_BYTES.contains(&about.len()) {
        let bytes = about.len();
        return Err(KeyFault::Length { path, bytes });
    }
    let bytes = read_bounded(&path, *KEY_BYTES.end())?;
    // A key of any length is one for HMAC.
    Hmac::new_from_slice(&bytes).map_err(|_| KeyFault::Length {
        path,
        bytes: bytes.len() as u64,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn written(bytes: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn the_hash_is_hmac_sha256_so_that_others_can_make_it() {
        // RFC 4231, test case 2, its key made long enough by zeros, which HMAC adds anyway.
        let mut bytes = b"Jefe".to_vec();
        bytes.resize(32, 0);
        let (_folder, path) = written(&bytes, 0o600);
        let key = key(Some(&path)).unwrap();
        let made = hash(&key, "what do ya want for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(made.to_string(), expected);
    }

    #[test]
    fn a_key_that_cannot_be_used_says_why() {
        let told = |path: &Path| key(Some(path)).err().unwrap().to_string();
        let (_folder, path) = written(&[7; 32], 0o640);
        assert!(told(&path).contains("mode 0640"), "{}", told(&path));
        let (_folder, path) = written(&[7; 31], 0o600);
        assert!(told(&path).contains("31 bytes; give 32"), "{}", told(&path));
        let (_folder, path) = written(&[7; 5000], 0o600);
        assert!(told(&path).contains("5000 bytes"), "{}", told(&path));
        assert!(told(&path.with_file_name("lost")).contains("No such file"));
    }
}
