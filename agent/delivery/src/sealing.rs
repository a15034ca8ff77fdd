//! Encryption at rest: ChaCha20-Poly1305 (RFC 8439) with a key from a file, which systemd can load
//! as a credential.
//!
//! Sealed bytes are the nonce (12 random bytes), the ciphertext and its tag (16 bytes).

use std::path::Path;

use kakou_guard::file::read_bounded;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

/// A key file is no longer than this.
const LONGEST: u64 = 4 << 10;
/// And no shorter.
const SHORTEST: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("{0}")]
    Read(String),
    #[error(
        "{path} has {has} bytes; a key has {SHORTEST} or more: head -c 32 /dev/urandom makes one"
    )]
    Short { path: String, has: usize },
}

/// Why sealed bytes cannot be opened, or none could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key does not fit, or the file was changed")]
pub(crate) struct Unsealable;

/// A key that lists are sealed with. `Debug` shows nothing of it.
pub struct SealingKey(LessSafeKey);

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl SealingKey {
    /// From a file of at least 32 bytes, whatever they are.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let bytes = read_bounded(path, LONGEST).map_err(|e| KeyError::Read(e.to_string()))?;
        Self::of(&bytes).ok_or_else(|| KeyError::Short {
            path: path.display().to_string(),
            has: bytes.len(),
        })
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < SHORTEST {
            return None;
        }
        // Whatever its length: the cipher takes 32 bytes.
        let key = Sha256::new()
            .chain_update(b"kakou-list-seal-v1")
            .chain_update(bytes)
            .finalize();
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key).ok()?;
        Some(Self(LessSafeKey::new(key)))
    }

    /// `about` is not sealed, but what is sealed with it opens with it alone.
    pub(crate) fn seal(&self, about: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let mut nonce = [0_u8; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| Unsealable)?;
        let mut sealed = Vec::with_capacity(bytes.len() + NONCE_LEN + 16);
        sealed.extend_from_slice(bytes);
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(unique, Aad::from(about), &mut sealed)
            .map_err(|_| Unsealable)?;
        sealed.splice(0..0, nonce);
        Ok(sealed)
    }

    pub(crate) fn open(&self, about: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(Unsealable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealable)?;
        let mut bytes = rest.to_vec();
        let length = self
            .0
            .open_in_place(nonce, Aad::from(about), &mut bytes)
            .map_err(|_| Unsealable)?
            .len();
        bytes.truncate(length);
        Ok(bytes)
    }
}
