//! The body of a request, bounded in size and time before anything reads it.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use tokio::time::timeout;

const WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("a request has at most {} KiB", most >> 10)]
    TooLarge { most: usize },
    #[error("the request came too slowly")]
    TooSlow,
}

/// The request with its whole body, of at most `most` bytes.
pub async fn with_body(request: Request, most: usize) -> Result<Request, BodyError> {
    let (parts, body) = request.into_parts();
    match timeout(WITHIN, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(Request::from_parts(parts, Body::from(bytes))),
        Ok(Err(_)) => Err(BodyError::TooLarge { most }),
        Err(_) => Err(BodyError::TooSlow),
    }
}
