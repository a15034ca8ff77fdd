//! What every answer carries, so that a browser makes no more of it than it is.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// `policy` is that of the content (CSP). `is_tls`: a browser may come by https alone from now on.
pub fn guard(headers: &mut HeaderMap, policy: &'static str, is_tls: bool) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_tls {
        // This host alone: nothing is said of subdomains.
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
}
