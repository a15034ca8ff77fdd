//! Digest authentication as the asked side: challenges, and the answers to them.
//!
//! The algorithms are `http-auth`'s. For each challenge a client of it is kept, and what the other
//! side answers must be what that client would have answered: the same count, so that no answer is
//! taken twice.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::DateTime;
use http_auth::{DigestClient, ParamValue, PasswordParams};
use kakou_guard::Secret;
use uuid::Uuid;

/// The most challenges that are remembered; the oldest goes first.
const NONCES_MAX: usize = 256;
const NONCE_LIFE: Duration = Duration::from_secs(300);
const REALM: &str = "kakou-viid";

/// Whom the requests must come from.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub user: String,
    pub password: Secret,
}

#[derive(Debug, Default)]
pub(super) struct Challenges {
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    nonce: String,
    since: Duration,
    client: DigestClient,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Good,
    /// It may be right, but its challenge is used up or forgotten.
    Stale,
    Bad,
}

impl Challenges {
    /// The value of `WWW-Authenticate`. `now` is time that never runs backwards.
    pub(super) fn challenge(&mut self, now: Duration, stale: bool) -> String {
        // More than 128 bits of them are chance.
        let nonce: String = [chance(), chance()]
            .map(|id| id.simple().to_string())
            .concat();
        let text = format!(
            "Digest realm=\"{REALM}\", qop=\"auth\", nonce=\"{nonce}\", algorithm=MD5, stale={stale}"
        );
        let client = http_auth::parse_challenges(&text)
            .ok()
            .and_then(|all| all.first().and_then(|c| DigestClient::try_from(c).ok()));
        if let Some(client) = client {
            self.open.push_back(Open {
                nonce,
                since: now,
                client,
            });
        }
        while self.open.len() > NONCES_MAX {
            self.open.pop_front();
        }
        text
    }

    /// Whether `authorization` answers an open challenge for this request.
    pub(super) fn check(
        &mut self,
        authorization: &str,
        account: &Account,
        method: &str,
        uri: &str,
        now: Duration,
    ) -> Proof {
        // The header has the form of a challenge.
        let Ok(all) = http_auth::parse_challenges(authorization) else {
            return Proof::Bad;
        };
        let [given] = all.as_slice() else {
            return Proof::Bad;
        };
        let field = |name: &str| value(&given.params, name);
        if !given.scheme.eq_ignore_ascii_case("Digest")
            || field("username").as_deref() != Some(account.user.as_str())
            || field("uri").as_deref() != Some(uri)
        {
            return Proof::Bad;
        }
        let (Some(nonce), Some(cnonce), Some(nc), Some(response)) = (
            field("nonce"),
            field("cnonce"),
            field("nc"),
            field("response"),
        ) else {
            return Proof::Bad;
        };
        self.open
            .retain(|open| now.saturating_sub(open.since) <= NONCE_LIFE);
        let Some(at) = self.open.iter().position(|open| open.nonce == nonce) else {
            return Proof::Stale;
        };
        let Some(open) = self.open.get_mut(at) else {
            return Proof::Stale;
        };
        if u32::from_str_radix(&nc, 16).ok() != open.client.nonce_count().checked_add(1) {
            self.open.remove(at);
            return Proof::Stale;
        }
        let params = PasswordParams {
            username: &account.user,
            password: account.password.reveal(),
            uri,
            method,
            body: None,
        };
        // Their cnonce, not one of ours: that makes it their answer.
        let ours = open
            .client
            .respond_with_testing_cnonce(&params, &cnonce)
            .ok();
        let right = ours.as_deref().and_then(|text| {
            let all = http_auth::parse_challenges(text).ok()?;
            value(&all.first()?.params, "response")
        });
        if right.is_some_and(|right| right.eq_ignore_ascii_case(&response)) {
            return Proof::Good;
        }
        self.open.remove(at);
        Proof::Bad
    }
}

fn value(params: &[(&str, ParamValue<'_>)], name: &str) -> Option<String> {
    let found = params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.to_unescaped())
}

fn chance() -> Uuid {
    kakou_contract::live_id(DateTime::UNIX_EPOCH.fixed_offset())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http_auth::PasswordClient;

    const URI: &str = "/VIID/Subscribes?IDList=a";

    fn account() -> Account {
        Account {
            user: "upper".to_owned(),
            password: Secret::new("right"),
        }
    }

    fn client(challenge: &str) -> PasswordClient {
        PasswordClient::builder()
            .challenges(challenge)
            .build()
            .unwrap()
    }

    fn answer(client: &mut PasswordClient, password: &str, method: &str, uri: &str) -> String {
        client
            .respond(&PasswordParams {
                username: "upper",
                password,
                uri,
                method,
                body: None,
            })
            .unwrap()
    }

    #[test]
    fn an_answer_is_good_once_and_in_its_order() {
        let (mut open, now) = (Challenges::default(), Duration::ZERO);
        let mut client = client(&open.challenge(now, false));
        let first = answer(&mut client, "right", "GET", URI);
        assert_eq!(open.check(&first, &account(), "GET", URI, now), Proof::Good);
        let second = answer(&mut client, "right", "GET", URI);
        assert_eq!(
            open.check(&second, &account(), "GET", URI, now),
            Proof::Good
        );
        assert_eq!(
            open.check(&first, &account(), "GET", URI, now),
            Proof::Stale
        );
        // Whoever repeats one loses the challenge.
        let third = answer(&mut client, "right", "GET", URI);
        assert_eq!(
            open.check(&third, &account(), "GET", URI, now),
            Proof::Stale
        );
    }

    #[test]
    fn only_the_right_password_for_this_request_is_good() {
        for (password, method, uri, user) in [
            ("wrong", "GET", URI, "upper"),
            ("right", "POST", URI, "upper"),
            ("right", "GET", "/VIID/Subscribes", "upper"),
            ("right", "GET", URI, "other"),
        ] {
            let (mut open, now) = (Challenges::default(), Duration::ZERO);
            let mut client = client(&open.challenge(now, false));
            let text = answer(&mut client, password, method, uri)
                .replace("\"upper\"", &format!("{user:?}"));
            assert_eq!(
                open.check(&text, &account(), "GET", URI, now),
                Proof::Bad,
                "{text}"
            );
        }
    }

    #[test]
    fn a_challenge_ends_and_rubbish_is_bad() {
        let mut open = Challenges::default();
        let mut client = client(&open.challenge(Duration::ZERO, false));
        let text = answer(&mut client, "right", "GET", URI);
        let later = NONCE_LIFE + Duration::from_secs(1);
        assert_eq!(
            open.check(&text, &account(), "GET", URI, later),
            Proof::Stale
        );
        for bad in [
            "",
            "Basic dXBwZXI6cmlnaHQ=",
            "Digest",
            "Digest username=\"upper\"",
            "\u{0}",
        ] {
            assert_eq!(
                open.check(bad, &account(), "GET", URI, later),
                Proof::Bad,
                "{bad}"
            );
        }
        for _ in 0..2 * NONCES_MAX {
            open.challenge(later, true);
        }
        assert_eq!(open.open.len(), NONCES_MAX);
    }
}
