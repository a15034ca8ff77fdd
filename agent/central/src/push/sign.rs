//! The signature of a webhook, as [Standard Webhooks](https://www.standardwebhooks.com) defines it:
//! HMAC-SHA256 over `{id}.{timestamp}.{body}`, as `v1,{base64}`.
//!
//! Each key of the file signs, so that a recipient may change to a new one while both hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kakou_guard::Secret;
use sha2::Sha256;

/// Of a key, in bytes; Standard Webhooks asks for 24 to 64.
const LEAST: usize = 24;
const MOST: usize = 1_024;
const KEYS_MAX: usize = 4;
/// Before a key in base64.
const PREFIX: &str = "whsec_";

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    #[error("no key in it")]
    None,
    #[error("more than {KEYS_MAX} keys")]
    Many,
    #[error("key {0} has less than {LEAST} or more than {MOST} bytes")]
    Length(usize),
    #[error("key {0} begins with {PREFIX} and is no base64")]
    Base64(usize),
}

/// Shown to nobody; a MAC that has taken the key in already.
#[derive(Clone)]
pub(super) struct SigningKeys(Vec<Hmac<Sha256>>);

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl SigningKeys {
    /// One key a line. `whsec_` and base64, as Standard Webhooks writes a key, stands for the bytes;
    /// any other line is the key itself.
    pub(super) fn parse(text: &Secret) -> Result<Self, KeyError> {
        let lines = text.reveal().lines().map(str::trim);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        match lines.len() {
            0 => return Err(KeyError::None),
            1..=KEYS_MAX => {}
            _ => return Err(KeyError::Many),
        }
        let keys = lines.iter().enumerate().map(|(index, line)| {
            let number = index + 1;
            let bytes = match line.strip_prefix(PREFIX) {
                Some(coded) => STANDARD
                    .decode(coded)
                    .map_err(|_| KeyError::Base64(number))?,
                None => line.as_bytes().to_vec(),
            };
            if !(LEAST..=MOST).contains(&bytes.len()) {
                return Err(KeyError::Length(number));
            }
            Hmac::new_from_slice(&bytes).map_err(|_| KeyError::Length(number))
        });
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// The value of the header `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signatures = self.0.iter().map(|key| {
            let mut mac = key.clone();
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn agrees_with_the_published_example() {
        let keys = SigningKeys::parse(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        let signed = keys.unwrap().sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_key_signs_and_bad_ones_are_named() {
        let raw = "a key of more than 24 bytes, as it is";
        let parse = |text: &str| SigningKeys::parse(&Secret::new(text));
        let both = parse(&format!("{raw}\n\n{raw} too\n")).unwrap();
        let signed = both.sign("id", 1, b"{}");
        let alone = parse(raw).unwrap().sign("id", 1, b"{}");
        let parts: Vec<&str> = signed.split(' ').collect();
        assert_eq!(
            (parts.len(), parts.first().copied()),
            (2, Some(alone.as_str()))
        );
        assert_eq!(parse(" \n").unwrap_err(), KeyError::None);
        assert_eq!(parse("short").unwrap_err(), KeyError::Length(1));
        let bad = parse(&format!("{raw}\nwhsec_!")).unwrap_err();
        assert_eq!(bad, KeyError::Base64(2));
        assert_eq!(format!("{both:?}"), "***");
    }
}
