//! Secrets in texts of others, found by their form: what stands before the `@` of a URL, the value
//! of a key such as `password=`, the words of an `Authorization` header. A message is never
//! searched for the letters of a known password: a short one would take the words of the message
//! with it, and its escaped forms would be missed.

use std::ops::Range;

use crate::ahead::Ahead;

/// Keys whose value is nobody's business, in paths, queries and messages.
const KEYS: [&str; 32] = [
    "user",
    "username",
    "usr",
    "uid",
    "login",
    "loginuse",
    "loginpas",
    "loginpass",
    "account",
    "accountname",
    "password",
    "passwd",
    "passwort",
    "passphrase",
    "pass",
    "pwd",
    "psw",
    "pw",
    "userpwd",
    "token",
    "access_token",
    "accesstoken",
    "auth",
    "authcode",
    "key",
    "apikey",
    "api_key",
    "secret",
    "session",
    "sid",
    "signature",
    "credential",
];
/// Keys that some cameras write with an underscore: `/user=admin_password_tlJwpbo6_channel=1`.
const UNDERSCORED: [&str; 4] = ["password", "passwd", "pwd", "user"];
const STARS: &str = "***";

/// The text with `***` in the place of what may be a secret.
pub fn mask(text: &str) -> String {
    let mut hidden: Vec<Range<usize>> = Vec::new();
    logins(text, &mut hidden);
    values(text, &mut hidden);
    headers(text, &mut hidden);
    hidden.sort_by_key(|range| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in hidden {
        if range.end <= at {
            continue;
        }
        if range.start >= at {
            out.push_str(text.get(at..range.start).unwrap_or_default());
            out.push_str(STARS);
        }
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Where a URL ends in a sentence.
fn ends_url(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '|')
}

fn begins(text: &str, is: impl Fn(char) -> bool) -> bool {
    text.chars().next().is_some_and(is)
}

/// `://user:password@`. A password with an unescaped `/` or `@` in it ends the authority early, so
/// what counts is the last `@` of the whole URL. What looks like another URL within it is a part of
/// it.
fn logins(text: &str, hidden: &mut Vec<Range<usize>>) {
    let mut end = 0;
    for (at, mark) in text.match_indices("://") {
        let start = at + mark.len();
        if start <= end {
            continue;
        }
        let rest = text.get(start..).unwrap_or_default();
        let url = rest.split(ends_url).next().unwrap_or_default();
        end = start + url.len();
        if let Some(login) = url.rfind('@') {
            hidden.push(start..start + login);
        }
    }
}

/// `password=x`, `"password": "x"`, `password_x`.
fn values(text: &str, hidden: &mut Vec<Range<usize>>) {
    let lower = text.to_ascii_lowercase();
    for key in KEYS {
        let mut ends = Ahead::new(&lower, |text| begins(text, ends_value));
        let mut quotes = ['"', '\''].map(|quote| {
            let is_one = move |text: &str| text.starts_with(quote);
            (quote, Ahead::new(&lower, is_one))
        });
        let mut next = Ahead::new(&lower, |text| begins_parameter(text, false));
        let mut next_underscored = Ahead::new(&lower, |text| begins_parameter(text, true));
        for (at, _) in lower.match_indices(key) {
            let before = lower.get(..at).and_then(|b| b.chars().next_back());
            if before.is_some_and(|c| c.is_alphanumeric()) {
                continue;
            }
            let after = at + key.len();
            let rest = lower.get(after..).unwrap_or_default();
            let Some(skip) = separator(key, rest) else {
                continue;
            };
            let start = after + skip;
            // What is quoted may have spaces.
            let before = lower.get(..start).and_then(|b| b.chars().next_back());
            let quote = quotes.iter_mut().find(|(quote, _)| before == Some(*quote));
            let end = match quote {
                Some((_, closing)) => closing.from(start),
                None if rest.starts_with('_') => ends.from(start).min(next_underscored.from(start)),
                None => ends.from(start).min(next.from(start)),
            };
            if end > start {
                hidden.push(start..end);
            }
        }
    }
}

/// How much stands between a key and its value; `None` if no value follows.
fn separator(key: &str, rest: &str) -> Option<usize> {
    if let Some(value) = rest.strip_prefix('=') {
        return Some(1 + usize::from(value.starts_with(['"', '\''])));
    }
    if rest.starts_with("%3d") {
        return Some(3);
    }
    if rest.starts_with('_') && UNDERSCORED.contains(&key) {
        // `password_file` is a key of our own.
        return (!rest.starts_with("_file")).then_some(1);
    }
    // JSON, and TOML with spaces.
    let tail = rest.trim_start_matches(['"', '\'']);
    let spaced = tail.trim_start_matches(' ');
    let quoted = tail.len() < rest.len();
    let value = match spaced.chars().next() {
        Some('=') => spaced.get(1..)?,
        Some(':') if quoted => spaced.get(1..)?,
        _ => return None,
    };
    let value = value.trim_start_matches(' ');
    let value = value.strip_prefix(['"', '\'']).unwrap_or(value);
    Some(rest.len() - value.len())
}

/// Where a value ends: where the URL does, and at the next parameter.
fn ends_value(c: char) -> bool {
    ends_url(c) || matches!(c, '&' | ';' | ',')
}

/// Some cameras part parameters by an underscore: `_channel=1`, `_channel_1`.
fn begins_parameter(text: &str, underscored: bool) -> bool {
    let Some(word) = text.strip_prefix('_') else {
        return false;
    };
    ["channel", "stream", "password", "passwd", "pwd", "user"]
        .iter()
        .filter_map(|name| word.strip_prefix(name))
        .any(|tail| tail.starts_with('=') || (underscored && tail.starts_with('_')))
}

/// `Basic dTpw`, `Bearer x`, `Digest ... response="..."`.
fn headers(text: &str, hidden: &mut Vec<Range<usize>>) {
    let lower = text.to_ascii_lowercase();
    for word in ["basic ", "bearer "] {
        for (at, _) in lower.match_indices(word) {
            let start = at + word.len();
            let token = text.get(start..).unwrap_or_default();
            let is_token = |c: char| {
                c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_' | '.')
            };
            let length = token.len() - token.trim_start_matches(is_token).len();
            // Shorter ones are words: `basic auth`.
            let coded = token.get(..length).unwrap_or_default();
            let is_word = coded.len() < 12 && coded.chars().all(|c| c.is_ascii_lowercase());
            if length >= 4 && !is_word {
                hidden.push(start..start + length);
            }
        }
    }
    let word = "authorization:";
    let mut ends = Ahead::new(text, |text| text.starts_with(['\r', '\n']));
    for (at, _) in lower.match_indices(word) {
        let rest = text.get(at + word.len()..).unwrap_or_default();
        let value = rest.trim_start_matches(' ');
        let start = text.len() - value.len();
        let end = ends.from(start);
        if end > start {
            hidden.push(start..end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_found_by_their_form() {
        for (text, shown) in [
            ("rtsp://admin:p4ss@10.0.0.5/x", "rtsp://***@10.0.0.5/x"),
            (
                "URL http://adm:Cam%232031!@127.0.0.1:1/x is not in",
                "URL http://***@127.0.0.1:1/x is not in",
            ),
            ("rtsp://u:p@ss/w@host/x", "rtsp://***@host/x"),
            ("rtsp://u:p/w@host/x", "rtsp://***@host/x"),
            (
                "rtsp://10.0.0.5/live?user=a&password=b&channel=1",
                "rtsp://10.0.0.5/live?user=***&password=***&channel=1",
            ),
            (
                "rtsp://h/user=admin&password=tlJ&channel=1&stream=0.sdp?",
                "rtsp://h/user=***&password=***&channel=1&stream=0.sdp?",
            ),
            (
                "rtsp://h/user=admin_password=tlJwpbo6_channel=1_stream=0.sdp",
                "rtsp://h/user=***_password=***_channel=1_stream=0.sdp",
            ),
            (
                "rtsp://h/user_admin_password_tlJwpbo6_channel_1",
                "rtsp://h/user_***_password_***_channel_1",
            ),
            (
                "http://h/v.cgi?loginuse=a&loginpas=b",
                "http://h/v.cgi?loginuse=***&loginpas=***",
            ),
            (
                "http://h/v.cgi?usr=a&pwd=b;x=1",
                "http://h/v.cgi?usr=***&pwd=***;x=1",
            ),
            ("PWD=Ab/cd?e", "PWD=***"),
            ("{\"password\": \"x y\"}", "{\"password\": \"***\"}"),
            ("password = \"HUNTER2\"", "password = \"***\""),
            (
                "Authorization: Digest username=\"u\", response=\"1\"",
                "Authorization: ***",
            ),
            ("Basic dTpTM0NSRVQtcHc=", "Basic ***"),
            (
                "two URLs rtsp://a:b@c/ and rtsp://d:e@f/",
                "two URLs rtsp://***@c/ and rtsp://***@f/",
            ),
        ] {
            assert_eq!(mask(text), shown);
        }
    }

    /// What a camera sends may be half a MiB, and one line of it made to be slow. Quadratic work on
    /// these would take minutes.
    #[test]
    fn no_text_is_slow() {
        for piece in [
            "://",
            "://@",
            "key=",
            "key=\"",
            "user_",
            "user='key=\"",
            "pwd=_user",
            "authorization:",
            "basic ",
            "key\"\"",
            "key  ",
        ] {
            let text = piece.repeat((1 << 20) / piece.len());
            assert!(mask(&text).len() < 3 * text.len());
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "camera.password_file: the `url` (line 3) has a password too",
            "user or password are not taken",
            "rtsp://10.0.0.5:554/Streaming/Channels/101",
            "the camera asks for a password",
            "basic auth is not taken",
            "no key frame came; monkey=1 stays",
            "mqtts://broker.example:8883",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    proptest! {
        #[test]
        fn a_password_in_a_url_is_never_shown(
            user in "[a-z]{1,8}",
            password in "[A-Za-z0-9%!$*()_+,;=/.-]{0,6}S3CRET[A-Za-z0-9%!$*()_+,;=/.-]{0,6}",
            tail in "[a-z0-9/?=&]{0,12}",
        ) {
            let shown = mask(&format!("cannot open rtsp://{user}:{password}@10.0.0.5/{tail} now"));
            prop_assert!(!shown.contains("S3CRET"), "{}", shown);
        }

        #[test]
        fn a_password_in_a_query_is_never_shown(
            key in "(password|PASSWORD|pwd|passwd|loginpas|token|user|usr)",
            lead in "[/?&;]",
            password in "[A-Za-z0-9%!$*()+/.-]{0,6}S3CRET[A-Za-z0-9%!$*()+/.-]{0,6}",
        ) {
            let shown = mask(&format!("http://10.0.0.5/a{lead}{key}={password}&b=1"));
            prop_assert!(!shown.contains("S3CRET") && shown.ends_with("&b=1"), "{}", shown);
        }

        #[test]
        fn any_text_is_masked_without_a_panic(text in "\\PC{0,60}") {
            let once = mask(&text);
            prop_assert_eq!(mask(&once), once);
        }
    }
}
