//! Texts: names, ids, choices, paths, and what another crate parses.

use std::fmt::Display;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use kakou_contract::{PublicKey, VerifyingKey, trusted_key};

use super::super::define::{Kind, Language, Refused, Shown, Words, Written};
use super::{said, text_of};

/// Any text but an empty one.
pub struct Text;

impl Kind for Text {
    type Value = String;

    fn read(&self, written: &Written<'_>) -> Result<String, Refused> {
        let text = text_of(written)?;
        if text.trim().is_empty() {
            return Err(Refused::new(written.span(), "is empty"));
        }
        Ok(text.to_owned())
    }

    fn words(&self, language: Language) -> String {
        said(language, "Text", "文本")
    }
}

impl Shown for Text {
    fn toml(&self, value: &String) -> String {
        toml::Value::from(value.as_str()).to_string()
    }
}

/// A name that stands in MQTT topics.
pub struct Id;

impl Kind for Id {
    type Value = String;

    fn read(&self, written: &Written<'_>) -> Result<String, Refused> {
        let text = text_of(written)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
            let reason = format!(
                "`{}` must be 1 to 64 of the characters A-Z a-z 0-9 - _, because it stands in \
                 MQTT topics",
                kakou_guard::presentable(text)
            );
            return Err(Refused::new(written.span(), reason));
        }
        Ok(text.to_owned())
    }

    fn words(&self, language: Language) -> String {
        said(
            language,
            "Text, 1 to 64 of A-Z a-z 0-9 - _",
            "文本，1 至 64 个字符，只能用 A-Z a-z 0-9 - _",
        )
    }
}

impl Shown for Id {
    fn toml(&self, value: &String) -> String {
        Text.toml(value)
    }
}

/// One of a few words.
pub struct Choice<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq + Sync> Kind for Choice<T> {
    type Value = T;

    fn read(&self, written: &Written<'_>) -> Result<T, Refused> {
        let text = text_of(written)?;
        self.0
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| {
                let all: Vec<String> = self
                    .0
                    .iter()
                    .map(|(name, _)| format!("\"{name}\""))
                    .collect();
                let told = kakou_guard::presentable(text);
                let reason = format!("`{told}` is not known; write one of {}", all.join(", "));
                Refused::new(written.span(), reason)
            })
    }

    fn words(&self, language: Language) -> String {
        let all: Vec<String> = self
            .0
            .iter()
            .map(|(name, _)| format!("`\"{name}\"`"))
            .collect();
        let (start, comma) = match language {
            Language::En => ("One of ", ", "),
            Language::Zh => ("取值：", "、"),
        };
        format!("{start}{}", all.join(comma))
    }
}

impl<T: Copy + PartialEq + Sync> Shown for Choice<T> {
    fn toml(&self, value: &T) -> String {
        let name = self.0.iter().find(|(_, known)| known == value);
        format!("\"{}\"", name.map_or("", |(name, _)| name))
    }
}

/// A path. A relative one counts from the folder of the config file.
pub struct FilePath;

impl Kind for FilePath {
    type Value = PathBuf;

    fn read(&self, written: &Written<'_>) -> Result<PathBuf, Refused> {
        let text = text_of(written)?;
        if text.trim().is_empty() || text.contains('\0') {
            return Err(Refused::new(written.span(), "is not a path; it is empty"));
        }
        Ok(PathBuf::from(text))
    }

    fn words(&self, language: Language) -> String {
        said(language, "Path", "路径")
    }
}

impl Shown for FilePath {
    fn toml(&self, value: &PathBuf) -> String {
        Text.toml(&value.display().to_string())
    }
}

/// A path, or `credential:NAME`: a file that systemd loaded.
pub struct SecretFile;

impl Kind for SecretFile {
    type Value = PathBuf;

    fn read(&self, written: &Written<'_>) -> Result<PathBuf, Refused> {
        let text = text_of(written)?;
        let Some(name) = text.strip_prefix("credential:") else {
            return FilePath.read(written);
        };
        if name.is_empty() || name.contains('/') {
            let reason =
                "write credential:NAME, with the NAME of LoadCredential= in the systemd unit";
            return Err(Refused::new(written.span(), reason));
        }
        // On a desk the file does not exist. It is opened only when the agent connects.
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
            .unwrap_or_else(|| "/run/credentials/kakou.service".into());
        Ok(PathBuf::from(folder).join(name))
    }

    fn words(&self, language: Language) -> String {
        said(
            language,
            "Path, or `credential:NAME`",
            "路径，或 `credential:名称`",
        )
    }
}

/// A key that the platform signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedKey(pub VerifyingKey);

impl FromStr for TrustedKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        trusted_key(text.trim()).map(Self).map_err(|e| {
            format!("is no key: {e}; write the public key that `kakou watchlist keygen` prints")
        })
    }
}

impl Shown for Parsed<TrustedKey> {
    fn toml(&self, value: &TrustedKey) -> String {
        Text.toml(&PublicKey::of(&value.0).base64)
    }
}

/// An address that the agent itself listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress(pub SocketAddr);

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.trim();
        let address = address.strip_prefix("http://").unwrap_or(address);
        let parsed = address.trim_end_matches('/').parse().map(Self);
        parsed.map_err(|_| {
            format!(
                "`{}` is no address to listen on; write the address of an interface of this box \
                 and a port, such as 127.0.0.1:9480, or 0.0.0.0:9480 for all interfaces",
                kakou_guard::presentable(text)
            )
        })
    }
}

/// What `T` can parse. Its errors must not repeat a secret.
pub struct Parsed<T> {
    pub words: Words,
    type_of: PhantomData<fn() -> T>,
}

impl<T> Parsed<T> {
    pub const fn new(words: Words) -> Self {
        Self {
            words,
            type_of: PhantomData,
        }
    }
}

impl<T: FromStr> Kind for Parsed<T>
where
    T::Err: Display,
{
    type Value = T;

    fn read(&self, written: &Written<'_>) -> Result<T, Refused> {
        text_of(written)?
            .parse()
            .map_err(|e: T::Err| Refused::new(written.span(), e.to_string()))
    }

    fn words(&self, language: Language) -> String {
        self.words.of(language).to_owned()
    }
}
