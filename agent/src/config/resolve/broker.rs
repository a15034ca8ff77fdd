//! `[broker]`: where the platform listens, and how we prove who we are.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use kakou_uplink::{BrokerAddress, Login, TlsFiles};

use super::super::keys::broker as keys;
use super::super::part::Part;
use super::super::settings::BrokerConfig;

/// No box has more ways to its platform.
const MOST: usize = 64;

pub(super) fn broker(part: &Part<'_>, base: &Path) -> BrokerConfig {
    let addresses = addresses(part);
    let keep_alive = part.get(&keys::KEEP_ALIVE_S);
    let answer_timeout = part.get(&keys::ANSWER_TIMEOUT_S);
    if u32::from(answer_timeout) > 2 * u32::from(keep_alive) {
        let reason = format!(
            "{answer_timeout} s is more than twice {}, so a broker that answers nothing is left later \
             than a dead connection; write a shorter time",
            part.named(&keys::KEEP_ALIVE_S, keep_alive)
        );
        part.doubtful(&keys::ANSWER_TIMEOUT_S, reason);
    }
    let seconds = |value: u64| Duration::from_secs(value);
    BrokerConfig {
        tls: tls(part, base, &addresses),
        login: login(part, base, &addresses),
        addresses,
        client_id: part.get(&keys::CLIENT_ID),
        window: part.get(&keys::WINDOW),
        window_bytes: usize::try_from(part.get(&keys::WINDOW_BYTES)).unwrap_or(usize::MAX),
        bandwidth: part.get(&keys::BANDWIDTH),
        keep_alive: seconds(keep_alive.into()),
        answer_timeout: seconds(answer_timeout.into()),
        session_expiry: seconds(part.get(&keys::SESSION_EXPIRY_S).into()),
    }
}

fn addresses(part: &Part<'_>) -> Vec<BrokerAddress> {
    let one = part.get(&keys::URL);
    let mut several = part.get(&keys::URLS);
    if let Some(urls) = several.as_mut().filter(|urls| urls.len() > MOST) {
        let reason = format!("has {} brokers; at most {MOST} are taken", urls.len());
        part.wrong(&keys::URLS, reason);
        // Each is compared with all before it.
        urls.truncate(MOST);
    }
    match (part.place(&keys::URL), part.place(&keys::URLS)) {
        (Some(_), Some(urls)) => {
            let reason = format!(
                "`url` and `urls` (line {}) are both given; keep one",
                part.at.line(&urls)
            );
            part.wrong(&keys::URL, reason);
        }
        (None, None) => {
            part.wrong(
                &keys::URL,
                "no broker is named; write url = \"mqtts://HOST\"",
            );
        }
        _ => {}
    }
    if let Some(urls) = &several {
        if urls.is_empty() {
            part.wrong(
                &keys::URLS,
                "no broker is named; write urls = [\"mqtts://HOST\"]",
            );
        }
        for (index, (address, span)) in urls.iter().enumerate() {
            let before = urls.iter().take(index);
            if let Some((_, first)) = before.into_iter().find(|(other, _)| other == address) {
                let reason = format!(
                    "{address} stands in line {} already; name each broker once",
                    part.at.line(first)
                );
                part.at.wrong(span, "broker.urls", reason);
            }
        }
    }
    aliases(part);
    no_downgrade(part, one.as_ref(), several.as_deref().unwrap_or_default());
    let several = several.into_iter().flatten().map(|(address, _)| address);
    one.into_iter().chain(several).collect()
}

/// Whoever can hold up the encrypted connection to one broker of a list could else have messages and
/// password sent to the next one in the clear.
fn no_downgrade(
    part: &Part<'_>,
    one: Option<&BrokerAddress>,
    several: &[(BrokerAddress, Range<usize>)],
) {
    let all = || {
        one.into_iter()
            .chain(several.iter().map(|(address, _)| address))
    };
    let Some(safe) = all().find(|address| address.tls) else {
        return;
    };
    for (plain, span) in several {
        if !plain.tls && !is_this_machine(&plain.host) {
            let reason = format!(
                "{plain} is without TLS and {safe} is with it: when that one cannot be reached, \
                 messages and password would go out unencrypted; write mqtts:// for both"
            );
            part.at.wrong(span, "broker.urls", reason);
        }
    }
}

/// Schemes that other programs use are taken, but what they mean is said.
fn aliases(part: &Part<'_>) {
    let urls = part.raw(&keys::URLS).and_then(DeValue::as_array);
    let urls = urls
        .into_iter()
        .flat_map(|urls| urls.iter().map(Spanned::get_ref));
    for url in part.raw(&keys::URL).into_iter().chain(urls) {
        let scheme = url.as_str().and_then(|url| url.split_once("://"));
        let meant = match scheme.map(|(scheme, _)| scheme) {
            Some("tcp") => "tcp:// is taken as mqtt://; write mqtt://",
            Some("ssl" | "tls") => "ssl:// and tls:// are taken as mqtts://; write mqtts://",
            _ => continue,
        };
        let written = part.place(&keys::URL).or(part.place(&keys::URLS));
        part.at.doubtful(
            &written.unwrap_or_else(|| part.span.clone()),
            "broker.url",
            meant,
        );
    }
}

fn tls(part: &Part<'_>, base: &Path, addresses: &[BrokerAddress]) -> TlsFiles {
    let ca = part.get(&keys::CA).map(|path| base.join(path));
    let certificate = part.get(&keys::CERTIFICATE).map(|path| base.join(path));
    let key = part.get(&keys::KEY).map(|path| base.join(path));
    let together = "`certificate` and `key` belong together; give both";
    match (part.place(&keys::CERTIFICATE), part.place(&keys::KEY)) {
        (Some(_), None) => part.wrong(&keys::CERTIFICATE, together),
        (None, Some(_)) => part.wrong(&keys::KEY, together),
        _ => {}
    }
    if let Some(plain) = addresses.iter().find(|address| !address.tls) {
        let reason = format!(
            "is for TLS, but {plain} is without TLS; write mqtts:// there, or leave this out"
        );
        for file in [&keys::CA, &keys::CERTIFICATE] {
            if part.place(file).is_some() {
                part.wrong(file, reason.clone());
            }
        }
    }
    TlsFiles {
        ca,
        client: certificate.zip(key),
    }
}

fn login(part: &Part<'_>, base: &Path, addresses: &[BrokerAddress]) -> Option<Login> {
    let user = part.get(&keys::USER);
    let password_file = part.get(&keys::PASSWORD_FILE).map(|path| base.join(path));
    if part.place(&keys::USER).is_none() && part.place(&keys::PASSWORD_FILE).is_some() {
        let span = part.place_or_header(&keys::PASSWORD_FILE);
        part.at.wrong(
            &span,
            "broker.user",
            "`password_file` is given without `user`; write user = \"NAME\" beside it",
        );
    }
    let open = addresses.iter().find(|address| {
        !address.tls
            && !is_this_machine(&address.host)
            && (user.is_some() || address.user.is_some())
    });
    if let Some(open) = open {
        let reason = format!(
            "{open} is without TLS, so anyone on the network can read user and password; write \
             mqtts://"
        );
        let written = part.place(&keys::URLS).or(part.place(&keys::URL));
        let span = written.unwrap_or_else(|| part.span.clone());
        part.at.doubtful(&span, "broker.url", reason);
    }
    Some(Login {
        user: user?,
        password_file,
    })
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
