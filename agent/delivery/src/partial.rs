//! The chunks of an edition that have come so far, in a file, so that a restart does not ask for
//! them again.
//!
//! The file is a line of JSON with the signed header, and for each chunk its number and its length
//! (4 bytes each, the low one first) and its bytes, sealed where there is a key. What was cut off
//! in the middle of a chunk is as if it had not come. Only the digest over all of it says that it
//! is right.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use kakou_contract::{
    CHUNK_BYTES_MAX, EDITION_PACKED_MAX, Edition, Id, Ranges, SignedEdition, VerifyingKey,
};
use kakou_guard::file::create;

use crate::vault::{Vault, VaultError};

/// With what sealing adds to each of the smallest chunks.
const FILE_MAX: u64 = EDITION_PACKED_MAX + (8 << 20);

#[derive(Debug)]
pub(crate) struct Partial {
    pub signed: SignedEdition,
    pub edition: Edition,
    file: File,
    /// Where each chunk stands in the file, and its length there.
    places: BTreeMap<u32, (u64, u32)>,
    end: u64,
}

impl Partial {
    /// Of an edition of which nothing has come; what there was of another is dropped.
    pub fn begin(
        vault: &Vault,
        signed: &SignedEdition,
        edition: &Edition,
    ) -> Result<Self, VaultError> {
        vault.make_folder()?;
        let path = vault.part(&edition.list);
        let begin = || -> std::io::Result<Self> {
            let mut head = serde_json::to_vec(signed)?;
            head.push(b'\n');
            let made = create(&path, 0o600)?;
            drop(made);
            let mut file = File::options().read(true).write(true).open(&path)?;
            file.write_all(&head)?;
            Ok(Self {
                signed: signed.clone(),
                edition: edition.clone(),
                file,
                places: BTreeMap::new(),
                end: head.len() as u64,
            })
        };
        begin().map_err(|e| vault.io(&path, &e))
    }

    /// What an earlier run left; `None` where there is nothing that can be gone on with.
    pub fn resume(vault: &Vault, list: &Id, trusted: &[VerifyingKey]) -> Option<Self> {
        let path = vault.part(list);
        let file = File::options().read(true).write(true).open(path).ok()?;
        if !file
            .metadata()
            .is_ok_and(|m| m.is_file() && m.len() <= FILE_MAX)
        {
            return None;
        }
        let mut bytes = Vec::new();
        (&file).take(FILE_MAX).read_to_end(&mut bytes).ok()?;
        let head = bytes.iter().position(|b| *b == b'\n')?;
        let signed: SignedEdition = serde_json::from_slice(bytes.get(..head)?).ok()?;
        let edition = signed.open(trusted).ok().filter(|e| e.list == *list)?;
        let mut places = BTreeMap::new();
        let mut at = head as u64 + 1;
        while let Some((chunk, length)) = record(&bytes, at) {
            places.insert(chunk, (at + 8, length));
            at += 8 + u64::from(length);
        }
        Some(Self {
            signed,
            edition,
            file,
            places,
            end: at,
        })
    }

    pub fn has(&self, chunk: u32) -> bool {
        self.places.contains_key(&chunk)
    }

    /// Keeps a chunk.
    pub fn put(&mut self, vault: &Vault, chunk: u32, bytes: &[u8]) -> Result<(), VaultError> {
        let path = vault.part(&self.edition.list);
        let sealed = match vault.key() {
            Some(key) => key
                .seal(&self.about(chunk), bytes)
                .map_err(|e| VaultError::Io {
                    path: path.clone(),
                    why: e.to_string(),
                })?,
            None => bytes.to_vec(),
        };
        let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
        let mut record = Vec::with_capacity(sealed.len() + 8);
        record.extend(chunk.to_le_bytes());
        record.extend(length.to_le_bytes());
        record.extend(sealed);
        let mut write = || {
            self.file.seek(SeekFrom::Start(self.end))?;
            self.file.write_all(&record)
        };
        write().map_err(|e| vault.io(&path, &e))?;
        self.places.insert(chunk, (self.end + 8, length));
        self.end += record.len() as u64;
        Ok(())
    }

    fn about(&self, chunk: u32) -> Vec<u8> {
        [
            self.edition.packed.sha256.0.as_slice(),
            &chunk.to_le_bytes(),
        ]
        .concat()
    }

    /// The chunks that have not come.
    pub fn missing(&self) -> Ranges {
        let mut missing = Ranges::new();
        let mut next = 1;
        let ends = self
            .places
            .keys()
            .copied()
            .chain([self.edition.chunks() + 1]);
        for chunk in ends {
            if chunk > next {
                missing.insert(u64::from(next), u64::from(chunk - 1));
            }
            next = chunk.saturating_add(1);
        }
        missing
    }

    pub fn is_complete(&self) -> bool {
        self.places.len() as u64 == u64::from(self.edition.chunks())
    }

    /// All chunks joined; whether they are what was signed is not said.
    pub fn joined(&mut self, vault: &Vault) -> Result<Vec<u8>, VaultError> {
        let path = vault.part(&self.edition.list);
        let mut all = Vec::new();
        for (chunk, (at, length)) in self.places.clone() {
            let mut bytes = vec![0; length as usize];
            let mut read = || {
                self.file.seek(SeekFrom::Start(at))?;
                self.file.read_exact(&mut bytes)
            };
            read().map_err(|e| vault.io(&path, &e))?;
            match vault.key() {
                None => all.extend(bytes),
                // One that does not open is one that is wrong: the digest will tell.
                Some(key) => all.extend(key.open(&self.about(chunk), &bytes).unwrap_or_default()),
            }
        }
        Ok(all)
    }

    /// Nothing of it is wanted any more.
    pub fn discard(vault: &Vault, list: &Id) {
        // What is not there was discarded before.
        let _ = std::fs::remove_file(vault.part(list));
    }
}

/// The record that begins here, if all of it is there.
fn record(bytes: &[u8], at: u64) -> Option<(u32, u32)> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    let number = |from: usize| -> Option<u32> {
        Some(u32::from_le_bytes(
            rest.get(from..from + 4)?.try_into().ok()?,
        ))
    };
    let (chunk, length) = (number(0)?, number(4)?);
    let fits = chunk > 0 && u64::from(length) <= u64::from(CHUNK_BYTES_MAX) + 64;
    (fits && rest.len() as u64 >= 8 + u64::from(length)).then_some((chunk, length))
}
