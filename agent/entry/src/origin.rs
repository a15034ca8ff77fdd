//! Whether a request is for this host, and of no page of another origin.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Uri, header};

/// On loopback any page of the world could have a browser ask, by a name of its own that leads there;
/// its name stands in the request.
pub fn is_of_loopback(headers: &HeaderMap, uri: &Uri) -> bool {
    let named = headers.get(header::HOST).and_then(|v| v.to_str().ok());
    let named = named.or_else(|| uri.authority().map(|a| a.as_str()));
    let host = named.and_then(|text| text.parse::<Authority>().ok());
    host.is_some_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

/// A page of another origin had a browser send it. A link there may lead here where `may_navigate`.
/// `is_tls`: a browser knows this server by https.
pub fn is_foreign(headers: &HeaderMap, is_tls: bool, may_navigate: bool) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let navigates = text(HeaderName::from_static("sec-fetch-mode")) == Some("navigate");
    match text(HeaderName::from_static("sec-fetch-site")) {
        None | Some("same-origin" | "none") => {}
        Some(_) if navigates && may_navigate => {}
        Some(_) => return true,
    }
    let Some(origin) = text(header::ORIGIN) else {
        return false;
    };
    let scheme = if is_tls { "https" } else { "http" };
    let own = text(header::HOST).map(|host| format!("{scheme}://{host}"));
    !own.is_some_and(|own| own.eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        all.iter().map(pair).collect()
    }

    #[test]
    fn a_name_that_leads_to_this_machine_is_not_its_own() {
        let is_own = |host| is_of_loopback(&headers(&[("host", host)]), &Uri::from_static("/"));
        for host in ["localhost", "localhost:8480", "127.0.0.1:1", "[::1]:8480"] {
            assert!(is_own(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8480",
            "10.0.0.5",
            "localhost.evil.example",
        ] {
            assert!(!is_own(host), "{host}");
        }
        assert!(!is_of_loopback(&HeaderMap::new(), &Uri::from_static("/")));
    }

    #[test]
    fn a_page_of_another_origin_has_nothing_sent() {
        let same = headers(&[("host", "box:1"), ("origin", "http://box:1")]);
        assert!(!is_foreign(&same, false, false) && is_foreign(&same, true, false));
        let other = headers(&[("host", "box:1"), ("origin", "http://evil.example")]);
        assert!(is_foreign(&other, false, true));
        let link = headers(&[
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ]);
        assert!(!is_foreign(&link, false, true) && is_foreign(&link, false, false));
        assert!(is_foreign(
            &headers(&[("sec-fetch-site", "same-site")]),
            false,
            true
        ));
        assert!(
            !is_foreign(&headers(&[]), false, false),
            "a program says no origin"
        );
    }
}
