//! A camera as `kakou setup` is told of it: `NAME=URL`, or `NAME=VENDOR:HOST`.

use anyhow::{Context, bail, ensure};
use kakou_contract::Id;
use kakou_guard::{Secret, mask};
use kakou_sight::camera::CameraAddress;
use url::Url;

use super::setup_vendors::{names, vendor};

/// A user and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub user: String,
    pub password: Secret,
}

#[derive(Debug, Clone)]
pub struct Camera {
    pub id: Id,
    /// Without user and password.
    pub url: String,
    /// What is known of it, for the config's comment.
    pub about: String,
    pub account: Option<Account>,
}

impl Camera {
    /// Reads `NAME=URL` or `NAME=VENDOR:HOST[:PORT]`. No error repeats a password.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        // A password may have the first `=`.
        let named = text.split_once('=').filter(|(name, _)| !name.contains(':'));
        let (name, place) = named.with_context(|| {
            format!(
                "--camera: {}: write NAME=URL or NAME=VENDOR:HOST",
                mask(text)
            )
        })?;
        let id = Id::new("the camera's id", name.trim())?;
        let place = place.trim();
        Self::at(id.clone(), place).with_context(|| format!("camera {id}"))
    }

    /// The camera at a URL, or at VENDOR:HOST[:PORT].
    pub fn at(id: Id, place: &str) -> anyhow::Result<Self> {
        if CameraAddress::is_live(place) {
            let (url, account) = without_account(place)?;
            return Ok(Self {
                id,
                url,
                about: "a camera by its URL".to_owned(),
                account,
            });
        }
        let known = || format!("write a URL, or one of {} and :HOST", names());
        let (maker, host) = place
            .split_once(':')
            .with_context(|| format!("{}: {}", mask(place), known()))?;
        let (maker, is_sub) =
            vendor(maker).with_context(|| format!("there is no maker {maker:?}; {}", known()))?;
        ensure!(
            !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']),
            "{}: the host is missing or is none; {}",
            maker.name,
            known()
        );
        let path = if is_sub { maker.sub } else { maker.main };
        let (url, account) = without_account(&format!("rtsp://{host}{path}"))?;
        let stream = if is_sub { "sub stream" } else { "main stream" };
        Ok(Self {
            id,
            url,
            about: format!("{}, {stream}", maker.shown),
            account,
        })
    }
}

/// The URL, and what it carried. A secret that cannot be taken out of it is refused: it would stand
/// in the config.
fn without_account(text: &str) -> anyhow::Result<(String, Option<Account>)> {
    let address: CameraAddress = text.parse()?;
    if address.device().is_some() {
        return Ok((text.to_owned(), None));
    }
    let mut url = Url::parse(text).context("the URL cannot be read")?;
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let mut plain = url.clone();
    plain.set_query(None);
    plain.set_fragment(None);
    let query = url.query().unwrap_or_default();
    let path_is_plain = CameraAddress::to_string(&plain.as_str().parse()?) == shown(&plain);
    if !path_is_plain || mask(query) != query {
        bail!(
            "{address}: a user or a password stands in its path or query, and would stand in the \
             config; give the URL without, and the account by --camera-user and \
             --camera-password-file"
        );
    }
    let account = address.login().map(|login| Account {
        user: login.user.reveal().to_owned(),
        password: login.password.clone(),
    });
    Ok((url.into(), account))
}

/// As an address without secrets shows itself.
fn shown(url: &Url) -> String {
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_maker_and_an_address_make_a_url() {
        for (text, url) in [
            (
                "a=hikvision:10.0.0.5",
                "rtsp://10.0.0.5/Streaming/Channels/101",
            ),
            (
                "a=Hikvision-sub:10.0.0.5:8554",
                "rtsp://10.0.0.5:8554/Streaming/Channels/102",
            ),
            (
                "a=dahua:gate.lan",
                "rtsp://gate.lan/cam/realmonitor?channel=1&subtype=0",
            ),
            (
                "a=dahua-sub:gate.lan",
                "rtsp://gate.lan/cam/realmonitor?channel=1&subtype=1",
            ),
            ("a=uniview:[fe80::1]", "rtsp://[fe80::1]/media/video1"),
            ("a=tp-link-sub:10.0.0.5", "rtsp://10.0.0.5/stream2"),
            (
                "a=rtsp://10.0.0.5/x?channel=3",
                "rtsp://10.0.0.5/x?channel=3",
            ),
            ("a=v4l2:/dev/video0", "v4l2:/dev/video0"),
        ] {
            let camera = Camera::parse(text).unwrap();
            assert_eq!((camera.url.as_str(), camera.account), (url, None), "{text}");
        }
    }

    #[test]
    fn an_account_is_taken_out_of_the_url() {
        let camera = Camera::parse("a=rtsp://ad%40min:S3%26CRET@10.0.0.5/x").unwrap();
        assert_eq!(camera.url, "rtsp://10.0.0.5/x");
        let account = camera.account.unwrap();
        assert_eq!(
            (account.user.as_str(), account.password.reveal()),
            ("ad@min", "S3&CRET")
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_its_password() {
        for (text, told) in [
            ("10.0.0.5", "NAME=URL"),
            ("north gate=hikvision:10.0.0.5", "A-Z a-z 0-9"),
            ("rtsp://u:S3CRET=x@10.0.0.5/1", "NAME=URL"),
            ("a=acme:10.0.0.5", "hikvision, dahua, uniview, tp-link"),
            ("a=10.0.0.5", "write a URL"),
            ("a=hikvision:", "host is missing"),
            ("a=hikvision:u:S3CRET@10.0.0.5", "host"),
            ("a=ftp://u:S3CRET@10.0.0.5/x", "rtsp://"),
            (
                "a=rtsp://h/user=u_password=S3CRET_channel=1",
                "--camera-password-file",
            ),
            (
                "a=http://h/v.cgi?user=u&pwd=S3CRET",
                "--camera-password-file",
            ),
            ("a=rtsp://h/live/pass/S3CRET/1", "--camera-password-file"),
        ] {
            let said = format!("{:#}", Camera::parse(text).unwrap_err());
            assert!(said.contains(told), "{text}: {said}");
            assert!(!said.contains("S3CRET"), "{text}: {said}");
        }
    }
}
