//! One recipient's webhook: a signed POST, and what its answer means.
//!
//! Nothing of an address beyond its host, no key and nothing of the answer's body is in an error or
//! a log. A redirect is not followed, wherever it leads: the recipient is who the config names.

use std::sync::Arc;
use std::time::Duration;

use kakou_time::SharedClock;
use kakou_uplink::TlsFiles;
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::config::Webhook;
use super::sign::SigningKeys;

const CLOUD_EVENT: HeaderValue = HeaderValue::from_static("application/cloudevents+json");
/// The body of an answer is read so that the connection can be used again, and never further.
const BODY_MOST: usize = 64 << 10;
/// The longest pause that a recipient can ask for.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(300);
/// A connection that was used once saves the next hit the handshake.
const IDLE: Duration = Duration::from_secs(90);

/// What came of one try, over HTTP or MQTT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Never again, for any hit.
    Gone,
    /// It takes nothing now.
    Away {
        why: String,
        after: Option<Duration>,
        /// It was reached: the reason may lie in this hit.
        reached: bool,
    },
    /// It did not take this one.
    NotTaken {
        why: String,
    },
}

#[derive(Debug, thiserror::Error)]
#[error("webhook of recipient {recipient:?}: {why}")]
pub struct WebhookError {
    pub recipient: String,
    pub why: String,
}

#[derive(Debug)]
pub(super) struct WebhookSender {
    client: Client,
    url: Url,
    keys: SigningKeys,
    clock: SharedClock,
}

impl WebhookSender {
    pub(super) fn new(
        recipient: &str,
        config: &Webhook,
        clock: SharedClock,
        timeout: Duration,
    ) -> Result<Self, WebhookError> {
        let fault = |why: String| WebhookError {
            recipient: recipient.to_owned(),
            why,
        };
        let files = TlsFiles {
            ca: config.ca.clone(),
            client: None,
        };
        let builder = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .http1_only()
            // Within that of the whole try, so that it shows which of the two it was.
            .connect_timeout(timeout / 2)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("kakou-central/", env!("CARGO_PKG_VERSION")));
        let builder = match config.url.scheme() {
            // Reads no certificates of the machine for what uses none.
            "http" => builder.tls_backend_preconfigured(no_tls().map_err(fault)?),
            _ => {
                let tls = files.client_config().map_err(|e| fault(e.to_string()))?;
                builder.tls_backend_preconfigured(Arc::unwrap_or_clone(tls))
            }
        };
        let client = builder.build().map_err(|e| fault(told(&e.without_url())))?;
        Ok(Self {
            client,
            url: config.url.clone(),
            keys: config.keys.clone(),
            clock,
        })
    }

    /// Which address this is, for the table: in hexadecimal, since a URL may hold a token.
    pub(super) fn address(&self) -> String {
        let digest = Sha256::digest(self.url.as_str());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) async fn send(&self, id: &str, body: Vec<u8>) -> Outcome {
        let timestamp = self.clock.wall().timestamp();
        let signature = self.keys.sign(id, timestamp, &body);
        let answer = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, CLOUD_EVENT)
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await;
        match answer {
            Ok(answer) => self.read(answer).await,
            Err(error) if error.is_builder() => Outcome::NotTaken {
                why: told(&error.without_url()),
            },
            Err(error) => Outcome::Away {
                reached: !error.is_connect(),
                why: format!("{}: {}", self.host(), told(&error.without_url())),
                after: None,
            },
        }
    }

    async fn read(&self, answer: Response) -> Outcome {
        let status = answer.status();
        if status.is_success() {
            drain(answer).await;
            return Outcome::Done;
        }
        if status == StatusCode::GONE {
            return Outcome::Gone;
        }
        let mut why = format!("{} answered {status}", self.host());
        if status.is_redirection() {
            let to = answer.headers().get(LOCATION);
            let to = to.and_then(|to| self.url.join(to.to_str().ok()?).ok());
            let to = to.as_ref().and_then(Url::host_str).unwrap_or("nowhere");
            let to = kakou_guard::presentable(to);
            why.push_str(&format!(
                ", a redirect to {to}, which is not followed; write the last address into the config"
            ));
        }
        let after = answer.headers().get(RETRY_AFTER);
        let after = after.and_then(|it| it.to_str().ok()?.trim().parse().ok());
        let after = after.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MOST));
        drain(answer).await;
        let says_later = match status {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::SERVICE_UNAVAILABLE => after.is_some(),
            _ => false,
        };
        match says_later {
            true => Outcome::Away {
                why,
                after,
                reached: true,
            },
            false => Outcome::NotTaken { why },
        }
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

async fn drain(mut answer: Response) {
    let mut left = BODY_MOST;
    while let Ok(Some(chunk)) = answer.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            // The connection is closed with the answer.
            None => return,
        }
    }
}

fn no_tls() -> Result<tokio_rustls::rustls::ClientConfig, String> {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let nobody = tokio_rustls::rustls::RootCertStore::empty();
    Ok(builder.with_root_certificates(nobody).with_no_client_auth())
}

/// With its causes: "error sending request" alone tells nobody anything.
fn told(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    kakou_guard::presentable(&text)
}
