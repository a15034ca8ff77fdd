//! The pages, embedded as `make panel` built them.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;

/// A build without them answers the API all the same.
#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Dist;

const INDEX: &str = "index.html";
const MISSING: &str = "This build of the agent has no pages; `make panel` builds them, and then build the agent again.\n";

/// Everything that is no API. Names are looked up among those embedded: no path leads anywhere else.
pub async fn page(uri: Uri, asked: HeaderMap) -> Response {
    let name = uri.path().trim_start_matches('/');
    let name = if name.is_empty() { INDEX } else { name };
    let Some(file) = Dist::get(name) else {
        let built = Dist::get(INDEX).is_some();
        return match built {
            true => (StatusCode::NOT_FOUND, "there is no such page\n").into_response(),
            false => (StatusCode::SERVICE_UNAVAILABLE, MISSING).into_response(),
        };
    };
    // What Vite names by its content never changes; the page itself does.
    let cache = match name.starts_with("assets/") {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let kind = HeaderValue::from_static(kind_of(name));
    let takes_gzip = asked
        .get(header::ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|all| all.split(',').any(|one| one.trim().starts_with("gzip")));
    let packed = (takes_gzip && kind.as_bytes() != b"image/png")
        .then(|| packed(name, &file.data))
        .flatten();
    let mut response = match &packed {
        Some(packed) => packed.clone().into_response(),
        None => file.data.into_response(),
    };
    let headers = response.headers_mut();
    if packed.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

/// Packed once, the first time that somebody asks: over a mobile network it is a third of the time.
fn packed(name: &str, data: &[u8]) -> Option<Bytes> {
    static PACKED: Mutex<Option<HashMap<String, Bytes>>> = Mutex::new(None);
    let mut all = PACKED.lock().unwrap_or_else(PoisonError::into_inner);
    let all = all.get_or_insert_default();
    if let Some(packed) = all.get(name) {
        return Some(packed.clone());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).ok()?;
    let packed = Bytes::from(encoder.finish().ok()?);
    all.insert(name.to_owned(), packed.clone());
    Some(packed)
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "webmanifest" => "application/json",
        _ => "application/octet-stream",
    }
}
