//! Passwords: Argon2id with the parameters of RFC 9106's second recommended option as the library
//! has them (19 MiB, two passes), each with a salt of its own.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use kakou_guard::Secret;

/// Characters that a password must have (NIST SP 800-63B asks for eight).
pub const PASSWORD_LEAST: usize = 10;
/// Hashing takes time by length; nobody types more.
const PASSWORD_MOST: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has at least {PASSWORD_LEAST} characters")]
    Short,
    #[error("a password has at most {PASSWORD_MOST} bytes")]
    Long,
    #[error("the password could not be hashed: {0}")]
    Hash(String),
}

/// The password's hash, with its parameters and salt, as a PHC string.
pub fn hashed(password: &Secret) -> Result<String, PasswordError> {
    let text = password.reveal();
    if text.chars().count() < PASSWORD_LEAST {
        return Err(PasswordError::Short);
    }
    if text.len() > PASSWORD_MOST {
        return Err(PasswordError::Long);
    }
    Argon2::default()
        .hash_password(text.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|e| PasswordError::Hash(e.to_string()))
}

/// Takes tens of milliseconds, on purpose; for a blocking thread.
pub fn matches(password: &Secret, hash: &str) -> bool {
    let text = password.reveal();
    if text.len() > PASSWORD_MOST {
        return false;
    }
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(text.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_and_no_other() {
        let hash = hashed(&Secret::new("卡口 correct horse")).unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(matches(&Secret::new("卡口 correct horse"), &hash));
        assert!(!matches(&Secret::new("卡口 correct horsf"), &hash));
        assert!(!matches(&Secret::new("卡口 correct horse"), "nonsense"));
        // The same password has another hash each time.
        assert_ne!(hash, hashed(&Secret::new("卡口 correct horse")).unwrap());
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert_eq!(hashed(&Secret::new("123456789")), Err(PasswordError::Short));
        assert_eq!(
            hashed(&Secret::new("x".repeat(257))),
            Err(PasswordError::Long)
        );
    }
}
