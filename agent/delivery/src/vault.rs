//! The lists in use, on disk: a file for each, `{list}.list`, in a folder that the agent alone may
//! read.
//!
//! A file is a line of JSON with the signed header, and behind it the list's whole text, packed,
//! and sealed where there is a key. It is written aside, brought to the disk, and renamed.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kakou_contract::{EDITION_WHOLE_MAX, Edition, EditionError, Id, SignedEdition, VerifyingKey};
use kakou_guard::file::{read_bounded, replace_durably};
use serde::{Deserialize, Serialize};

use crate::content::{pack, unpack};
use crate::package::content_of;
use crate::sealing::SealingKey;

/// Header and packed text; a text that does not shrink at all fits as well.
const FILE_MAX: u64 = EDITION_WHOLE_MAX + (1 << 20);
const MODE: u32 = 0o600;

/// Why a list in the vault cannot be used, or none could be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("{path}: {why}", path = path.display())]
    Io { path: PathBuf, why: String },
    #[error("{path}: {source}", path = path.display())]
    Edition { path: PathBuf, source: EditionError },
    #[error("{path} is sealed; name the key that it was sealed with in `watchlist.store_key_file`", path = path.display())]
    Sealed { path: PathBuf },
    #[error("{path} was changed or damaged: {why}", path = path.display())]
    Damaged { path: PathBuf, why: String },
}

/// The first line of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Head {
    #[serde(flatten)]
    signed: SignedEdition,
    sealed: bool,
}

/// A list as it was kept, verified again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub edition: Edition,
    pub text: Vec<u8>,
    /// Nothing of it is on the disk in the clear.
    pub sealed: bool,
}

/// Where lists are kept. A clone is another hand on the same folder.
#[derive(Debug, Clone)]
pub struct Vault {
    folder: PathBuf,
    key: Option<Arc<SealingKey>>,
}

impl Vault {
    pub fn new(folder: impl Into<PathBuf>, key: Option<SealingKey>) -> Self {
        Self {
            folder: folder.into(),
            key: key.map(Arc::new),
        }
    }

    pub fn path(&self, list: &Id) -> PathBuf {
        self.folder.join(format!("{list}.list"))
    }

    pub(crate) fn key(&self) -> Option<&SealingKey> {
        self.key.as_deref()
    }

    pub(crate) fn part(&self, list: &Id) -> PathBuf {
        self.folder.join(format!("{list}.part"))
    }

    /// The folder, made if it is not there.
    pub(crate) fn make_folder(&self) -> Result<(), VaultError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|e| self.io(&self.folder, &e))
    }

    pub(crate) fn io(&self, path: &Path, e: &std::io::Error) -> VaultError {
        VaultError::Io {
            path: path.to_path_buf(),
            why: e.to_string(),
        }
    }

    fn head(&self, list: &Id) -> Result<Option<(Head, Vec<u8>)>, VaultError> {
        let path = self.path(list);
        let bytes = match std::fs::symlink_metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            _ => read_bounded(&path, FILE_MAX).map_err(|e| VaultError::Io {
                path: path.clone(),
                why: e.why,
            })?,
        };
        let damaged = |why: &str| VaultError::Damaged {
            path: path.clone(),
            why: why.to_owned(),
        };
        let end = bytes.iter().position(|b| *b == b'\n');
        let (head, body) = end
            .and_then(|end| bytes.split_at_checked(end))
            .ok_or_else(|| damaged("it has no header"))?;
        let head = serde_json::from_slice(head).map_err(|e| damaged(&e.to_string()))?;
        Ok(Some((head, body.get(1..).unwrap_or_default().to_vec())))
    }

    /// What the header of the stored list says, believed because it is on this box's own disk: a
    /// list whose key is trusted no more is used no more, but nothing older takes its place.
    pub(crate) fn floor(&self, list: &Id) -> Option<Edition> {
        let (head, _) = self.head(list).ok()??;
        serde_json::from_str(&head.signed.edition).ok()
    }

    /// The list in use; `None`: none was ever delivered.
    pub fn load(&self, list: &Id, trusted: &[VerifyingKey]) -> Result<Option<Stored>, VaultError> {
        match self.head(list)? {
            Some((head, body)) => self.opened(list, &head, body, trusted).map(Some),
            None => Ok(None),
        }
    }

    fn opened(
        &self,
        list: &Id,
        head: &Head,
        body: Vec<u8>,
        trusted: &[VerifyingKey],
    ) -> Result<Stored, VaultError> {
        let path = self.path(list);
        let damaged = |why: String| VaultError::Damaged {
            path: path.clone(),
            why,
        };
        let edition = head
            .signed
            .open(trusted)
            .map_err(|source| VaultError::Edition {
                path: path.clone(),
                source,
            })?;
        if edition.list != *list {
            return Err(damaged(format!("it is the list {}", edition.list)));
        }
        let packed = match (head.sealed, &self.key) {
            (false, _) => body,
            (true, None) => return Err(VaultError::Sealed { path }),
            (true, Some(key)) => key
                .open(head.signed.edition.as_bytes(), &body)
                .map_err(|e| damaged(e.to_string()))?,
        };
        let text = unpack(&packed, edition.whole.bytes).map_err(|e| damaged(e.to_string()))?;
        if content_of(&text) != edition.whole {
            return Err(damaged(
                "its content is not the one that was signed".to_owned(),
            ));
        }
        Ok(Stored {
            edition,
            text,
            sealed: head.sealed,
        })
    }

    /// Keeps a list whose header and text have been checked.
    pub(crate) fn store(
        &self,
        list: &Id,
        signed: &SignedEdition,
        text: &[u8],
    ) -> Result<(), VaultError> {
        let path = self.path(list);
        let other = |why: String| VaultError::Io {
            path: path.clone(),
            why,
        };
        let packed = pack(text).map_err(|e| self.io(&path, &e))?;
        let (sealed, body) = match &self.key {
            None => (false, packed),
            Some(key) => {
                let sealed = key.seal(signed.edition.as_bytes(), &packed);
                (true, sealed.map_err(|e| other(e.to_string()))?)
            }
        };
        let head = Head {
            signed: signed.clone(),
            sealed,
        };
        let mut head = serde_json::to_vec(&head).map_err(|e| other(e.to_string()))?;
        head.push(b'\n');
        self.make_folder()?;
        replace_durably(&path, MODE, |file| {
            file.write_all(&head)?;
            file.write_all(&body)
        })
        .map_err(|e| self.io(&path, &e))
    }

    /// Has a list that was kept in the clear sealed, now that there is a key.
    pub fn seal(&self, list: &Id, trusted: &[VerifyingKey]) -> Result<(), VaultError> {
        if self.key.is_none() {
            return Ok(());
        }
        match self.head(list)? {
            Some((head, body)) if !head.sealed => {
                let stored = self.opened(list, &head, body, trusted)?;
                self.store(list, &head.signed, &stored.text)
            }
            _ => Ok(()),
        }
    }
}
