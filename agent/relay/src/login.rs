//! Basic and Digest (MD5, SHA-256, SHA-512-256), as RTSP and HTTP share them. The algorithms are
//! `http-auth`'s.

use http_auth::{ChallengeRef, PasswordClient, PasswordParams};

use crate::fault::Fault;
use crate::target::Login;

/// Answers what one camera asks, on one connection.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    client: Option<PasswordClient>,
}

impl Proof {
    /// Takes in what the camera asks for by a 401. `again`: the request carried an answer already.
    pub(crate) fn asked(
        &mut self,
        login: Option<&Login>,
        challenges: &[&str],
        again: bool,
    ) -> Result<(), Fault> {
        if login.is_none() {
            return Err(Fault::unauthorised(
                "the camera asks for a user and a password; write `user` and `password_file`",
            ));
        }
        let asked = |text: &&str| {
            http_auth::parse_challenges(text).is_ok_and(|all| all.iter().any(is_stale))
        };
        if again && !challenges.iter().any(asked) {
            return Err(Fault::unauthorised(
                "user or password are not taken by the camera",
            ));
        }
        let client = challenges
            .iter()
            .fold(PasswordClient::builder(), |builder, text| {
                builder.challenges(text)
            })
            .build();
        match client {
            Ok(client) => {
                self.client = Some(client);
                Ok(())
            }
            Err(why) => Err(Fault::unauthorised(format!(
                "the camera asks for a login that is not known here ({why}); user and password may \
                 be right: set its RTSP or HTTP authentication to digest in its web page"
            ))),
        }
    }

    /// The value of `Authorization` for a request; `None` while the camera asked for nothing.
    pub(crate) fn of(&mut self, login: Option<&Login>, method: &str, uri: &str) -> Option<String> {
        let login = login?;
        let params = PasswordParams {
            username: login.user.reveal(),
            password: login.password.reveal(),
            uri,
            method,
            body: Some(&[]),
        };
        self.client.as_mut()?.respond(&params).ok()
    }
}

fn is_stale(challenge: &ChallengeRef<'_>) -> bool {
    challenge.params.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("stale") && value.to_unescaped().eq_ignore_ascii_case("true")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::fault::FaultKind;
    use kakou_guard::Secret;

    fn login() -> Login {
        Login {
            user: Secret::new("kakou"),
            password: Secret::new("right"),
        }
    }

    #[test]
    fn every_kind_of_challenge_is_answered_or_named() {
        let known = [
            "Basic realm=\"cam\"",
            "Digest realm=\"cam\", nonce=\"5a\"",
            "Digest realm=\"cam\", nonce=\"5a\", algorithm=\"SHA-256\", stale=\"FALSE\"",
            "Digest realm=\"cam\", nonce=\"5a\", algorithm=MD5, qop=\"auth\", opaque=\"x\"",
        ];
        for challenge in known {
            let mut proof = Proof::default();
            assert_eq!(proof.of(Some(&login()), "DESCRIBE", "rtsp://h/x"), None);
            proof.asked(Some(&login()), &[challenge], false).unwrap();
            let answer = proof.of(Some(&login()), "DESCRIBE", "rtsp://h/x").unwrap();
            let scheme = challenge.split(' ').next().unwrap();
            assert!(answer.starts_with(scheme), "{challenge}: {answer}");
        }
        for challenge in [
            "NTLM",
            "Digest realm=\"c\", nonce=\"x\", algorithm=SHA3",
            "",
            "\u{1b}=",
        ] {
            let fault = Proof::default().asked(Some(&login()), &[challenge], false);
            let fault = fault.unwrap_err();
            assert_eq!(fault.kind, FaultKind::Unauthorised);
            assert!(fault.text.contains("may be right"), "{challenge}: {fault}");
        }
    }

    #[test]
    fn a_wrong_password_is_told_from_an_old_nonce() {
        let mut proof = Proof::default();
        let ask = "Digest realm=\"cam\", nonce=\"1\"";
        proof.asked(Some(&login()), &[ask], false).unwrap();
        assert!(proof.asked(Some(&login()), &[ask], true).is_err());
        let stale = "Digest realm=\"cam\", nonce=\"2\", stale=TRUE";
        assert!(proof.asked(Some(&login()), &[stale], true).is_ok());
        let none = proof.asked(None, &[ask], false).unwrap_err();
        assert!(none.text.contains("password_file"), "{none}");
    }

    #[test]
    fn digest_is_preferred_to_basic() {
        let mut proof = Proof::default();
        let asks = ["Basic realm=\"cam\"", "Digest realm=\"cam\", nonce=\"5a\""];
        proof.asked(Some(&login()), &asks, false).unwrap();
        let answer = proof.of(Some(&login()), "GET", "/").unwrap();
        assert!(answer.starts_with("Digest "), "{answer}");
    }
}
