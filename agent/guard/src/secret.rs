//! A text that is shown to nobody. `Debug` and `Display` say `***`; its memory is overwritten when
//! it is dropped.

use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::file::{FileError, read_bounded};

/// A password is a line; a token may be long.
const LONGEST: u64 = 64 << 10;

#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The content of a file, without the line break at its end. Its bytes are the secret: nothing
    /// in it is an escape.
    pub fn from_file(path: &Path) -> Result<Self, FileError> {
        let bytes = read_bounded(path, LONGEST)?;
        let text = String::from_utf8(bytes).map_err(|_| FileError::new(path, "it is not UTF-8"))?;
        Ok(Self::new(text.trim_end_matches(['\r', '\n'])))
    }

    /// The text itself; only for the one place that sends it.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }

    pub fn is_empty(&self) -> bool {
        self.reveal().is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.reveal() == other.reveal()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_shows_it() {
        #[derive(Debug)]
        struct Holder {
            #[allow(dead_code)]
            inner: Option<Secret>,
        }
        let secret = Secret::new("hunter2");
        let holder = Holder {
            inner: Some(secret.clone()),
        };
        let shown = format!("{secret} {secret:?} {holder:?} {holder:#?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn a_files_bytes_are_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, " ab%41c \r\n").unwrap();
        assert_eq!(Secret::from_file(&path).unwrap().reveal(), " ab%41c ");
        std::fs::write(&path, b"\xff\xfe").unwrap();
        let told = Secret::from_file(&path).unwrap_err().to_string();
        assert!(told.contains("UTF-8") && told.contains("secret"), "{told}");
        let endless = Secret::from_file(Path::new("/dev/zero")).unwrap_err();
        assert!(endless.to_string().contains("regular"), "{endless}");
    }
}
