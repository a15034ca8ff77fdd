//! Where a live camera is, and how to speak to it. What proves who we are is never shown: `Display`
//! and `Debug` leave out user, password and query, and mask what looks like either in the path
//! (some cameras want the password there).

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use kakou_guard::{Secret, mask};
use kakou_relay::Login;
use percent_encoding::percent_decode_str;
use url::Url;

/// How frames come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Rtsp,
    /// MJPEG over HTTP (`multipart/x-mixed-replace`).
    Http,
    /// A device of this machine.
    V4l2,
}

#[derive(Clone, PartialEq, Eq)]
pub struct CameraAddress {
    protocol: Protocol,
    tls: bool,
    /// Without user and password; a device's path.
    url: Secret,
    shown: String,
    /// What the URL itself carried.
    login: Option<Login>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error(
        "{0}:// is no camera; write rtsp://, rtsps://, http:// or https:// (MJPEG), v4l2:/dev/video0, or a path"
    )]
    Scheme(String),
    #[error("the URL cannot be read: {0}")]
    Form(String),
    #[error("the URL names no host")]
    Host,
    #[error("what follows v4l2: is no device; write v4l2:/dev/video0")]
    Device,
}

impl CameraAddress {
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// `rtsps://` or `https://`: the camera must prove who it is.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// What the URL itself carried: user and password.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Whether a text means a live camera, and not a file or folder.
    pub fn is_live(text: &str) -> bool {
        text.contains("://") || text.starts_with("v4l2:")
    }

    /// The device file.
    pub fn device(&self) -> Option<PathBuf> {
        (self.protocol == Protocol::V4l2).then(|| PathBuf::from(self.url.reveal()))
    }

    /// The URL without user and password. Path and query may be secret all the same.
    pub(super) fn url(&self) -> &Secret {
        &self.url
    }
}

impl FromStr for CameraAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(rest) = text.strip_prefix("v4l2:") {
            let device = rest.strip_prefix("//").unwrap_or(rest);
            let plain =
                |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
            if !device.starts_with("/dev/") || !Path::new(device).components().all(plain) {
                return Err(AddressError::Device);
            }
            let shown = mask(&format!("v4l2:{device}"));
            return Ok(Self {
                protocol: Protocol::V4l2,
                tls: false,
                url: Secret::new(device),
                shown,
                login: None,
            });
        }
        let scheme = text
            .split("://")
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let protocol = match scheme.as_str() {
            "rtsp" | "rtsps" => Protocol::Rtsp,
            "http" | "https" => Protocol::Http,
            // What stands before `://` and is no scheme may be a user and a password.
            _ if scheme.len() > 10 || !scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                return Err(AddressError::Scheme("this".to_owned()));
            }
            _ => return Err(AddressError::Scheme(scheme)),
        };
        // A control character would end the line in which the decoder is told the URL.
        if let Some(c) = text.chars().find(|c| c.is_control()) {
            return Err(AddressError::Form(format!(
                "it holds the control character {:#x}",
                c as u32
            )));
        }
        let mut url = Url::parse(text).map_err(|e| AddressError::Form(e.to_string()))?;
        let host = url
            .host_str()
            .filter(|h| !h.is_empty())
            .ok_or(AddressError::Host)?
            .to_owned();
        let decoded = |s: &str| percent_decode_str(s).decode_utf8_lossy().into_owned();
        let login = (!url.username().is_empty() || url.password().is_some()).then(|| Login {
            user: decoded(url.username()).into(),
            password: decoded(url.password().unwrap_or_default()).into(),
        });
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
        let shown = mask(&format!(
            "{scheme}://{host}{port}{}",
            without_segments(url.path())
        ));
        Ok(Self {
            protocol,
            tls: scheme.ends_with('s'),
            url: Secret::new(url),
            shown,
            login,
        })
    }
}

/// A path without what stands in it as `/passwd:x` or `/pass/x`. In a sentence such words would mean
/// nothing, so the mask of texts passes them over.
fn without_segments(path: &str) -> String {
    const KEYS: [&str; 5] = ["password", "passwd", "pass", "pwd", "token"];
    let is_key = |text: &str| KEYS.iter().any(|key| text.eq_ignore_ascii_case(key));
    let mut hide = false;
    let parts = path.split('/').map(|part| {
        if std::mem::replace(&mut hide, is_key(part)) && !part.is_empty() {
            return "***".to_owned();
        }
        match part.split_once(':') {
            Some((key, _)) if is_key(key) => format!("{key}:***"),
            _ => part.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

impl fmt::Display for CameraAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for CameraAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CameraAddress({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_secret_is_not_shown() {
        let a: CameraAddress = "rtsp://ad%40min:p%26ss+w@10.0.0.5:554/Streaming/101?password=x"
            .parse()
            .unwrap();
        let login = a.login().unwrap();
        assert_eq!(
            (login.user.reveal(), login.password.reveal()),
            ("ad@min", "p&ss+w")
        );
        assert_eq!(a.to_string(), "rtsp://10.0.0.5:554/Streaming/101");
        assert_eq!(
            format!("{a:?}"),
            "CameraAddress(rtsp://10.0.0.5:554/Streaming/101)"
        );
        assert_eq!(
            a.url().reveal(),
            "rtsp://10.0.0.5:554/Streaming/101?password=x"
        );
    }

    /// Forms in which cameras and people write a password.
    #[test]
    fn no_form_of_a_url_shows_its_password() {
        for url in [
            "rtsp://u:S3CRET@h/x",
            "rtsp://S3CRET@h/x",
            "rtsps://u:S3CRET%21@h:322/x#S3CRET",
            "http://h/video?user=u&password=S3CRET",
            "http://h/v.cgi?loginuse=u&loginpas=S3CRET",
            "https://h/v.mjpg?token=S3CRET",
            "rtsp://h/user=u&password=S3CRET&channel=1&stream=0.sdp?",
            "rtsp://h/user=u_password=S3CRET_channel=1_stream=0.sdp",
            "rtsp://h/user_u_password_S3CRET_channel_1",
            "rtsp://h/PWD=S3CRET/ch1",
            "rtsp://h/cam;pwd=S3CRET",
            "rtsp://h/usr=S3CRET",
            "rtsp://u:S3CRET@[fe80::1]:554/x",
            "rtsp://u:S3CRET@h:99999/x",
            "u:S3CRET@h://x",
            "S3CRET://u@h/x",
            "ftp://u:S3CRET@h/x",
            "v4l2:u:S3CRET@h",
            "rtsp://h/passwd:S3CRET/1",
            "rtsp://h/live/Pass/S3CRET/1",
            "v4l2:/dev/video0?password=S3CRET",
        ] {
            let said = match url.parse::<CameraAddress>() {
                Ok(address) => format!("{address} {address:?} {:?}", address.login()),
                Err(e) => format!("{e} {e:?}"),
            };
            let said = said.to_lowercase();
            // A scheme is no secret; who puts one there is told only its length.
            if !url.starts_with("S3CRET") {
                assert!(!said.contains("s3cret"), "{url}: {said}");
            }
        }
    }

    #[test]
    fn what_is_no_camera_is_refused_with_the_mend() {
        let no = |t: &str| t.parse::<CameraAddress>().unwrap_err().to_string();
        assert!(no("ftp://host/x").contains("rtsp://"));
        assert!(no("rtsp://").contains("host") || no("rtsp://").contains("read"));
        assert!(no("rtsp://host/a\nfile 'x'").contains("control"));
        assert!(no("v4l2:video0").contains("v4l2:/dev/video0"));
        assert!(no("v4l2:/dev/../etc/passwd").contains("v4l2:/dev/video0"));
        let device: CameraAddress = "v4l2:/dev/video2".parse().unwrap();
        assert_eq!(
            (device.to_string(), device.device()),
            ("v4l2:/dev/video2".into(), Some("/dev/video2".into()))
        );
        assert!(CameraAddress::is_live("v4l2:/dev/video0") && !CameraAddress::is_live("day.mp4"));
    }
}
