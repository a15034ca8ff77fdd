//! A camera's `url` and the keys that say how to reach it.

use std::path::Path;
use std::time::Duration;

use kakou_guard::presentable;
use kakou_sight::camera::{CameraAddress, LiveConfig, Protocol, Trust};

use super::super::define::Setting;
use super::super::keys::camera as keys;
use super::super::part::Part;
use super::super::settings::CameraSource;

pub(super) fn source(part: &Part<'_>, base: &Path) -> Option<CameraSource> {
    let url = part.get(&keys::URL);
    let live = url.as_deref().is_some_and(CameraAddress::is_live);
    // Read in any case: a wrong value is told even where the key means nothing.
    let again = part.get(&keys::LOOP);
    let user = part.get(&keys::USER);
    let password_file = part.get(&keys::PASSWORD_FILE).map(|path| base.join(path));
    let transport = part.get(&keys::TRANSPORT);
    let ca = part.get(&keys::CA).map(|path| base.join(path));
    let fingerprint = part.get(&keys::FINGERPRINT);
    let decoder = part.get(&keys::DECODER);
    let codec = part.get(&keys::CODEC);
    let ffmpeg_args = part.get(&keys::FFMPEG_ARGS).into_iter().flatten();
    let latency = Duration::from_millis(part.get(&keys::LATENCY_MS).into());
    let url = url?;
    if !live {
        only_live(part);
        if holds_login(&url) {
            part.wrong(
                &keys::URL,
                "looks like a camera's address with a user and a password, and has no scheme; write \
                 rtsp:// before it, and `user` and `password_file` instead of the password",
            );
            return None;
        }
        if looks_like_host(&url) {
            let url = presentable(&url);
            let reason = format!(
                "`{url}` is read as a path; for a camera write rtsp://{url}/..., for a file or \
                 folder of that name ./{url}"
            );
            part.wrong(&keys::URL, reason);
        }
        return Some(CameraSource::Recording {
            path: base.join(url),
            again,
        });
    }
    if again {
        part.wrong(
            &keys::LOOP,
            "means something for a recording only; leave it out",
        );
    }
    if login_breaks_url(&url) {
        part.wrong(
            &keys::URL,
            "the user, the password or the path has a character that a URL gives another meaning; \
             write %2F for /, %3F for ?, %23 for #, %40 for @, or use `user` and `password_file`",
        );
        return None;
    }
    let address: CameraAddress = match url.parse() {
        Ok(address) => address,
        Err(e) => {
            let e: kakou_sight::camera::AddressError = e;
            part.wrong(&keys::URL, e.to_string());
            return None;
        }
    };
    if address.protocol() != Protocol::Rtsp {
        only(part, &keys::TRANSPORT, "rtsp://");
    }
    if !address.is_tls() {
        only(part, &keys::CA, "rtsps:// and https://");
        only(part, &keys::FINGERPRINT, "rtsps:// and https://");
    }
    if part.place(&keys::CA).is_some() && part.place(&keys::FINGERPRINT).is_some() {
        part.wrong(
            &keys::FINGERPRINT,
            "`ca` is given too; keep the one that says who the camera is",
        );
    }
    login_is_given_once(part, &address, user.as_deref());
    Some(CameraSource::Live(Box::new(LiveConfig {
        user,
        password_file,
        transport,
        trust: match (fingerprint, ca) {
            (Some(pin), _) => Trust::Pinned(pin),
            (None, Some(ca)) => Trust::Authorities(ca),
            (None, None) => Trust::Machine,
        },
        decoder,
        codec: codec.to_owned(),
        ffmpeg_args: ffmpeg_args.map(|(argument, _)| argument).collect(),
        latency,
        ..LiveConfig::new(address)
    })))
}

/// A key that would do nothing is a mistake that somebody should hear of.
fn only<K, F>(part: &Part<'_>, setting: &Setting<K, F>, what: &str) {
    if part.place(setting).is_some() {
        part.wrong(
            setting,
            format!("means something for {what} only; leave it out"),
        );
    }
}

fn only_live(part: &Part<'_>) {
    let live = "a live camera";
    only(part, &keys::USER, live);
    only(part, &keys::PASSWORD_FILE, live);
    only(part, &keys::TRANSPORT, "rtsp://");
    only(part, &keys::CA, "rtsps:// and https://");
    only(part, &keys::FINGERPRINT, "rtsps:// and https://");
    only(part, &keys::DECODER, live);
    only(part, &keys::CODEC, live);
    only(part, &keys::FFMPEG_ARGS, live);
    only(part, &keys::RATE, live);
    only(part, &keys::LATENCY_MS, live);
}

fn login_is_given_once(part: &Part<'_>, address: &CameraAddress, user: Option<&str>) {
    let in_url = address.login();
    let twice = |what: &str| {
        format!(
            "the `url` (line {}) has {what} too; give it once",
            part.at.line(&part.place_or_header(&keys::URL))
        )
    };
    if part.place(&keys::PASSWORD_FILE).is_some()
        && in_url.is_some_and(|login| !login.password.is_empty())
    {
        part.wrong(&keys::PASSWORD_FILE, twice("a password"));
    }
    if let (Some(known), Some(user)) = (in_url, user)
        && known.user.reveal() != user
        && !known.user.is_empty()
    {
        part.wrong(&keys::USER, twice("another user"));
    }
    if in_url.is_none()
        && part.place(&keys::USER).is_none()
        && part.place(&keys::PASSWORD_FILE).is_some()
    {
        let span = part.place_or_header(&keys::PASSWORD_FILE);
        part.at.wrong(
            &span,
            "camera.user",
            "`password_file` is given without `user`; write user = \"NAME\" beside it",
        );
    }
}

/// A path with `name:secret@host` in it is none.
fn holds_login(url: &str) -> bool {
    url.split_once('@')
        .is_some_and(|(login, host)| login.contains(':') && !host.is_empty())
}

/// An address without a scheme: `10.0.0.11`, `10.0.0.11:554/stream1`.
fn looks_like_host(url: &str) -> bool {
    let host = url.split('/').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    host.parse::<std::net::Ipv4Addr>().is_ok()
}

/// Whether `/`, `?` or `#` stands in user or password, or `@` behind them, so that a URL parser
/// would take part of the password for host, port or path, and would show it.
fn login_breaks_url(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let port = authority
        .rsplit(']')
        .next()
        .and_then(|host| host.split_once(':'))
        .map(|(_, port)| port);
    let odd_port = port.is_some_and(|port| port.contains(|c: char| !c.is_ascii_digit()));
    path.contains('@') && (authority.contains('@') || odd_port)
}

#[cfg(test)]
mod tests {
    use super::{holds_login, login_breaks_url, looks_like_host};

    #[test]
    fn a_login_without_a_scheme_is_no_path() {
        assert!(holds_login("admin:HUNTER2@10.0.0.11/stream") && holds_login("a:b@c"));
        assert!(!holds_login("2026-03-14T09:00:00.mp4") && !holds_login("gate@1/day.mp4"));
    }

    #[test]
    fn a_password_that_breaks_the_url_is_seen() {
        for url in [
            "rtsp://user:p@ss/word@10.0.0.11/s",
            "rtsp://user:pa/ss@10.0.0.11/s",
            "rtsp://user:pa?ss@10.0.0.11",
            "rtsp://user:pa#ss@10.0.0.11:554/s",
        ] {
            assert!(login_breaks_url(url), "{url}");
        }
        for url in [
            "rtsp://admin:Abc@12345@10.0.0.11/s",
            "rtsp://10.0.0.11:554/user=admin@1",
            "rtsp://[fe80::1]:554/a@b",
            "rtsp://user:p%40ss%2Fword@10.0.0.11/s",
            "v4l2:/dev/video0",
        ] {
            assert!(!login_breaks_url(url), "{url}");
        }
    }

    #[test]
    fn an_address_without_a_scheme_is_seen() {
        assert!(looks_like_host("10.0.0.11") && looks_like_host("10.0.0.11:554/stream1"));
        assert!(!looks_like_host("day.mp4") && !looks_like_host("./10.0.0.11"));
        assert!(!looks_like_host("2026.03.14/day.mp4") && !looks_like_host("/data/10.0.0.11"));
    }
}
