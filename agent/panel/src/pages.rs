//! The pages, embedded as `make panel` built them.

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

/// A build without them answers the API all the same.
#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Dist;

const INDEX: &str = "index.html";
const MISSING: &str = "This build of the agent has no pages; `make panel` builds them, and then build the agent again.\n";

/// Everything that is no API. Names are looked up among those embedded: no path leads anywhere else.
pub async fn page(uri: Uri) -> Response {
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
    let mut response = file.data.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
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
