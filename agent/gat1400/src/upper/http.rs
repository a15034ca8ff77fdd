//! One request to the other side, with Digest authentication, bounded, and without redirects.

use std::time::Duration;

use bytes::Bytes;
use http_auth::{PasswordClient, PasswordParams};
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE,
};
use reqwest::{Certificate, Client, Method, StatusCode, redirect};
use url::Url;

use crate::config::UpperConfig;
use crate::fault::{FieldError, UpperError, shown};

/// The most bytes of an answer. A status of 1,000 objects has some 300 KiB.
const ANSWER_MAX: usize = 4 << 20;

pub(super) struct Http {
    client: Client,
    device_id: String,
    user: String,
    password: kakou_guard::Secret,
}

pub(super) struct Answer {
    pub status: StatusCode,
    pub body: Vec<u8>,
    /// Whether user and password were asked for.
    pub logged_in: bool,
}

/// Whether a 401 is answered with user and password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    Answer,
    /// A 401 means that the registration is gone.
    Leave,
}

impl Http {
    pub(super) fn new(config: &UpperConfig) -> Result<Self, FieldError> {
        let settings = &config.settings;
        let mut builder = Client::builder();
        if let Some(pem) = &settings.ca {
            let wrong = |what: String| {
                FieldError::new("ca", what, "give the authority's certificate in PEM")
            };
            let authorities =
                Certificate::from_pem_bundle(pem).map_err(|e| wrong(e.to_string()))?;
            if authorities.is_empty() {
                return Err(wrong("no certificate is in it".to_owned()));
            }
            builder = builder.tls_certs_only(authorities);
        }
        let client = builder
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout.min(Duration::from_secs(10)))
            .build()
            .map_err(|e| {
                FieldError::new("upper library", e.to_string(), "install a TLS provider")
            })?;
        Ok(Self {
            client,
            device_id: settings.device_id.to_string(),
            user: settings.user.clone(),
            password: settings.password.clone(),
        })
    }

    /// A second 401 after user and password were given is an error. All other answers are the
    /// caller's to judge, but for a redirect.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &Url,
        body: Bytes,
        login: Login,
    ) -> Result<Answer, UpperError> {
        let path = url.path().to_owned();
        let mut given = None;
        // First without, then with an answer, and once more where the nonce was too old.
        for _ in 0..3 {
            let response = self
                .once(&method, url, body.clone(), given.as_deref())
                .await?;
            let status = response.status();
            if status.is_redirection() {
                let to = response
                    .headers()
                    .get(LOCATION)
                    .and_then(|to| to.to_str().ok());
                let to = shown(to.unwrap_or("nowhere"));
                return Err(UpperError::Redirect { path, to });
            }
            if status != StatusCode::UNAUTHORIZED || login == Login::Leave {
                return read(&path, response, given.is_some()).await;
            }
            let (challenges, stale) = challenges(response.headers());
            if given.is_some() && !stale {
                let why = "401 after the answer to its challenge".to_owned();
                return Err(UpperError::Login { path, why });
            }
            given = Some(self.answer(&path, &method, url, &body, &challenges)?);
        }
        let why = "each challenge it gives is too old at once".to_owned();
        Err(UpperError::Login { path, why })
    }

    async fn once(
        &self,
        method: &Method,
        url: &Url,
        body: Bytes,
        authorization: Option<&str>,
    ) -> Result<reqwest::Response, UpperError> {
        let mut request = self
            .client
            .request(method.clone(), url.clone())
            .header(CONTENT_TYPE, crate::CONTENT_TYPE)
            .header(crate::USER_IDENTIFY, &self.device_id);
        if let Some(text) = authorization {
            let mut value = HeaderValue::from_str(text)
                .map_err(|_| UpperError::answer(url.path(), "its challenge cannot be answered"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if !body.is_empty() {
            request = request.body(body);
        }
        request
            .send()
            .await
            .map_err(|e| unreachable(url.path(), &e))
    }

    fn answer(
        &self,
        path: &str,
        method: &Method,
        url: &Url,
        body: &[u8],
        challenges: &[String],
    ) -> Result<String, UpperError> {
        let refused = |why: String| UpperError::Login {
            path: path.to_owned(),
            why,
        };
        let mut client = challenges
            .iter()
            .fold(PasswordClient::builder(), |builder, text| {
                builder.challenges(text)
            })
            .build()
            .map_err(|why| refused(format!("its challenge is not known here: {}", shown(&why))))?;
        // Basic would send the password itself.
        if !matches!(client, PasswordClient::Digest(_)) {
            return Err(refused("it asks for another login than Digest".to_owned()));
        }
        let uri = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        client
            .respond(&PasswordParams {
                username: &self.user,
                password: self.password.reveal(),
                uri: &uri,
                method: method.as_str(),
                body: Some(body),
            })
            .map_err(|why| refused(shown(&why)))
    }
}

fn challenges(headers: &HeaderMap) -> (Vec<String>, bool) {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    let texts: Vec<String> = values
        .filter_map(|v| v.to_str().ok())
        .map(str::to_owned)
        .collect();
    let stale = texts.iter().any(|text| {
        http_auth::parse_challenges(text).is_ok_and(|all| {
            all.iter().flat_map(|c| &c.params).any(|(name, value)| {
                name.eq_ignore_ascii_case("stale")
                    && value.to_unescaped().eq_ignore_ascii_case("true")
            })
        })
    });
    (texts, stale)
}

async fn read(
    path: &str,
    mut response: reqwest::Response,
    logged_in: bool,
) -> Result<Answer, UpperError> {
    let status = response.status();
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|e| unreachable(path, &e))? {
        if body.len() + part.len() > ANSWER_MAX {
            let why = format!("it has more than {ANSWER_MAX} bytes");
            return Err(UpperError::answer(path, why));
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer {
        status,
        body,
        logged_in,
    })
}

fn unreachable(path: &str, e: &reqwest::Error) -> UpperError {
    let mut why = if e.is_timeout() {
        "no answer in time".to_owned()
    } else {
        String::new()
    };
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(e);
    while let Some(inner) = cause {
        if !why.is_empty() {
            why.push_str(": ");
        }
        why.push_str(&inner.to_string());
        cause = inner.source();
    }
    if why.is_empty() {
        why = e.to_string();
    }
    UpperError::Unreachable {
        path: path.to_owned(),
        why: shown(&why),
    }
}
