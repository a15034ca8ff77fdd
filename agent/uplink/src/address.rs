//! A broker's address, as `mqtt://user:password@host:port` says it.

use std::fmt;
use std::str::FromStr;

use kakou_guard::{Secret, presentable};
use url::Url;

/// The registered ports of MQTT without and with TLS.
const PORT: u16 = 1883;
const PORT_TLS: u16 = 8883;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub password: Secret,
}

/// Where a broker listens, and as whom to log in. `Display` shows no user and no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    pub host: String,
    pub port: u16,
    /// `mqtts://`: the broker must show a certificate for `host`.
    pub tls: bool,
    pub user: Option<User>,
}

impl BrokerAddress {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            tls: false,
            user: None,
        }
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// Why a text is not a broker's address. `text` has no user and no password in it.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    #[error("{text:?} is not a broker URL: it has no scheme; write mqtt://{text}")]
    NoScheme { text: String },
    #[error(
        "{text:?} is not a broker URL: scheme {scheme:?} is unknown; write mqtt://host:port or mqtts://host:port"
    )]
    Scheme { text: String, scheme: String },
    #[error("{text:?} is not a broker URL: {why}; write mqtt://host:port or mqtts://host:port")]
    Form { text: String, why: String },
}

impl FromStr for BrokerAddress {
    type Err = AddressError;

    fn from_str(given: &str) -> Result<Self, AddressError> {
        let given = given.trim();
        let text = without_user(given);
        let Some((scheme, _)) = with_scheme(given) else {
            return Err(AddressError::NoScheme { text });
        };
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "mqtt" | "tcp" => false,
            "mqtts" | "ssl" | "tls" => true,
            _ => {
                let scheme = scheme.to_owned();
                return Err(AddressError::Scheme { text, scheme });
            }
        };
        let form = |why: &str| AddressError::Form {
            text: text.clone(),
            why: why.to_owned(),
        };
        let url = Url::parse(given).map_err(|error| form(&error.to_string()))?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| form("it names no host"))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(form("something follows the port"));
        }
        let port = url.port().unwrap_or(if tls { PORT_TLS } else { PORT });
        if port == 0 {
            return Err(form("port 0 is no port"));
        }
        let user = match (url.username(), url.password()) {
            ("", None) => None,
            ("", Some(_)) => return Err(form("it has a password but no user")),
            (name, password) => Some(User {
                name: percent_decoded(name).ok_or_else(|| form("the user is not UTF-8"))?,
                password: Secret::new(
                    percent_decoded(password.unwrap_or_default())
                        .ok_or_else(|| form("the password is not UTF-8"))?,
                ),
            }),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            tls,
            user,
        })
    }
}

/// The text with everything before the last `@` of its authority taken out: safe to show.
fn without_user(text: &str) -> String {
    let (scheme, rest) = match with_scheme(text) {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    // A password with an unescaped `/` ends the authority early, so look at the whole rest.
    let shown = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    presentable(&format!("{scheme}{shown}"))
}

/// Scheme and rest. What stands before `://` and is no scheme may be a user and a password.
fn with_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    scheme
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        .then_some((scheme, rest))
}

/// `%40` -> `@`. The URL crate keeps user and password as they were written.
fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = if byte == b'%' { hex_pair(after) } else { None };
        out.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() {
            after.get(2..).unwrap_or_default()
        } else {
            after
        };
    }
    String::from_utf8(out).ok()
}

fn hex_pair(rest: &[u8]) -> Option<u8> {
    let digit = |at: usize| rest.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<BrokerAddress, AddressError> {
        text.parse()
    }

    #[test]
    fn plain_addresses() {
        assert_eq!(
            parse("mqtt://127.0.0.1:2883"),
            Ok(BrokerAddress::new("127.0.0.1", 2883))
        );
        assert_eq!(
            parse("mqtt://broker.example"),
            Ok(BrokerAddress::new("broker.example", 1883))
        );
        let tls = parse("mqtts://broker.example").unwrap();
        assert_eq!(
            (tls.port, tls.tls, tls.to_string().as_str()),
            (8883, true, "mqtts://broker.example:8883")
        );
        assert_eq!(
            parse(" MQTT://[::1]:1884/ "),
            Ok(BrokerAddress::new("[::1]", 1884))
        );
        assert_eq!(
            parse("mqtt://[::1]:1884").unwrap().to_string(),
            "mqtt://[::1]:1884"
        );
    }

    #[test]
    fn user_and_password_are_decoded_and_never_shown() {
        let address = parse("mqtt://gate%201:p%40ss%2Fw:rd@broker:1").unwrap();
        let user = address.user.clone().unwrap();
        assert_eq!(
            (user.name.as_str(), user.password.reveal()),
            ("gate 1", "p@ss/w:rd")
        );
        let shown = format!("{address} {address:?}");
        assert!(!shown.contains("ss/w") && shown.contains("***"), "{shown}");
    }

    #[test]
    fn errors_say_what_to_write() {
        let told = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(
            told("localhost:1883"),
            "\"localhost:1883\" is not a broker URL: it has no scheme; write mqtt://localhost:1883"
        );
        assert!(told("http://broker").contains("scheme \"http\" is unknown"));
        // Each advice ends in "host:port"; what is wrong stands before it.
        let why = |text: &str| {
            let told = told(text);
            let (_, rest) = told.split_once("is not a broker URL: ").unwrap();
            rest.split_once("; write ").unwrap().0.to_owned()
        };
        assert_eq!(why("mqtt://"), "it names no host");
        assert_eq!(why("mqtt://broker:70000"), "invalid port number");
        assert!(told("mqtt://broker:0").contains("port 0"));
        assert!(told("mqtt://broker/topic").contains("follows the port"));
        assert!(told("mqtt://:secret@broker").contains("no user"));
        assert_eq!(
            told("user:secret@://"),
            "\"://\" is not a broker URL: it has no scheme; write mqtt://://"
        );
    }

    proptest! {
        /// Whatever is wrong with the rest, the password is in no error and no log.
        #[test]
        fn no_error_tells_the_password(
            scheme in "(mqtt://|mqtts://|http://|)", host in "[a-z:/ ]{0,6}", tail in "[:/?#0-9x]{0,6}",
        ) {
            let text = format!("{scheme}user:S3CRET@{host}{tail}");
            let shown = match parse(&text) {
                Ok(address) => format!("{address} {address:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            prop_assert!(!shown.contains("S3CRET"), "{}", shown);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
