//! Where a live camera is, and how to speak to it. What proves who we are is never shown: `Display`
//! and `Debug` leave out user, password and query (some cameras want the password there).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::Url;

/// How frames come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Rtsp,
    /// A stream over HTTP: MJPEG (`multipart/x-mixed-replace`), or whatever ffmpeg finds there.
    Http,
    /// A device of this machine.
    V4l2,
}

#[derive(Clone, PartialEq, Eq)]
pub struct CameraAddress {
    protocol: Protocol,
    /// Without user and password.
    url: String,
    shown: String,
    /// What the URL itself carried.
    login: Option<(String, String)>,
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
    #[error("`{0}` is no device; write v4l2:/dev/video0")]
    Device(String),
}

impl CameraAddress {
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// What the URL itself carried: user and password.
    pub fn login(&self) -> Option<&(String, String)> {
        self.login.as_ref()
    }

    /// Whether a text means a live camera, and not a file or folder.
    pub fn is_live(text: &str) -> bool {
        text.contains("://") || text.starts_with("v4l2:")
    }

    /// The device file.
    pub fn device(&self) -> Option<PathBuf> {
        (self.protocol == Protocol::V4l2).then(|| PathBuf::from(&self.url))
    }

    /// The URL with everything in it that opens the stream: for the decoder alone, never for a log.
    pub fn secret_url(&self, login: Option<&(String, String)>) -> String {
        let Some((user, password)) = login else {
            return self.url.clone();
        };
        let Ok(mut url) = Url::parse(&self.url) else {
            return self.url.clone();
        };
        // Both fail only for URLs without a host, which `from_str` refuses.
        let _ = url.set_username(user);
        let _ = url.set_password(Some(password));
        url.into()
    }
}

impl FromStr for CameraAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(rest) = text.strip_prefix("v4l2:") {
            let device = rest.strip_prefix("//").unwrap_or(rest);
            if !device.starts_with("/dev/") {
                return Err(AddressError::Device(device.to_owned()));
            }
            let shown = format!("v4l2:{device}");
            return Ok(Self {
                protocol: Protocol::V4l2,
                url: device.to_owned(),
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
        let login = (!url.username().is_empty() || url.password().is_some()).then(|| {
            (
                decoded(url.username()),
                decoded(url.password().unwrap_or_default()),
            )
        });
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
        let shown = format!("{scheme}://{host}{port}{}", url.path());
        Ok(Self {
            protocol,
            url: url.into(),
            shown,
            login,
        })
    }
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
        assert_eq!(
            a.login().unwrap(),
            &("ad@min".to_owned(), "p&ss+w".to_owned())
        );
        assert_eq!(a.to_string(), "rtsp://10.0.0.5:554/Streaming/101");
        assert_eq!(
            format!("{a:?}"),
            "CameraAddress(rtsp://10.0.0.5:554/Streaming/101)"
        );
        let whole = a.secret_url(a.login());
        assert_eq!(
            whole,
            "rtsp://ad%40min:p&ss+w@10.0.0.5:554/Streaming/101?password=x"
        );
        let again: CameraAddress = whole.parse().unwrap();
        assert_eq!(again.login(), a.login());
    }

    #[test]
    fn what_is_no_camera_is_refused_with_the_mend() {
        let no = |t: &str| t.parse::<CameraAddress>().unwrap_err().to_string();
        assert!(no("ftp://host/x").contains("rtsp://"));
        assert!(no("rtsp://").contains("host") || no("rtsp://").contains("read"));
        assert!(no("rtsp://host/a\nfile 'x'").contains("control"));
        assert!(no("v4l2:video0").contains("v4l2:/dev/video0"));
        let device: CameraAddress = "v4l2:/dev/video2".parse().unwrap();
        assert_eq!(
            (device.to_string(), device.device()),
            ("v4l2:/dev/video2".into(), Some("/dev/video2".into()))
        );
        assert!(CameraAddress::is_live("v4l2:/dev/video0") && !CameraAddress::is_live("day.mp4"));
    }
}
