//! A stream over HTTP: MJPEG and nothing else. The camera is asked here, and what it sends goes
//! into a pipe, so ffmpeg needs no network for it.

use std::io::Write;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION, USER_AGENT, WWW_AUTHENTICATE};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::time::timeout;
use url::Url;

use crate::BoxStream;
use crate::fault::{Fault, FaultKind};
use crate::login::Proof;
use crate::relay::{Answer, Opened, Picture, Pipe, Shared, connect};
use crate::target::{Parts, Target};

/// Requests until there is a stream: for the login, and for redirects within the camera.
const TRIES: usize = 6;
/// The largest head of an answer.
const LARGEST_HEAD: usize = 64 << 10;

pub(crate) async fn run(
    target: &Target,
    parts: &Parts,
    shared: &Shared,
    answer: &Answer,
    mut pipes: mpsc::Receiver<Pipe>,
) -> Result<(), Fault> {
    let mut body = open(target, parts).await?;
    let mut first = Bytes::new();
    let picture = match body.picture {
        Some(picture) => picture,
        None => {
            first = next(&mut body.body, target).await?.unwrap_or_default();
            sniffed(&first)?
        }
    };
    // Who waits for it is told that it ended by the end of this thread.
    let _ = answer.try_send(Ok(Opened::Http(picture)));
    // The owner starts ffmpeg now, or ends us by letting go of its end.
    let Some(mut pipe) = pipes.recv().await else {
        return Ok(());
    };
    loop {
        shared.came(first.len());
        // ffmpeg ended: whoever waits for it knows.
        if pipe.write_all(&first).and_then(|()| pipe.flush()).is_err() {
            return Ok(());
        }
        let fault = match next(&mut body.body, target).await {
            Ok(Some(piece)) => {
                first = piece;
                continue;
            }
            Ok(None) => Fault::broken("the camera ended the stream"),
            Err(fault) => fault,
        };
        shared.failed(&fault);
        return Err(fault);
    }
}

pub(crate) struct Body {
    pub(crate) body: Incoming,
    pub(crate) picture: Option<Picture>,
}

/// Asks until there is a stream.
async fn open(target: &Target, parts: &Parts) -> Result<Body, Fault> {
    let mut asking = Asking::new(target, parts);
    for _ in 0..TRIES {
        let asked = async {
            let (stream, _) = connect(target, parts).await?;
            asking.ask(stream).await
        };
        let response = timeout(target.timeouts.answer, asked).await.map_err(|_| {
            Fault::unreachable("the camera takes the connection and gives no answer to GET")
        })??;
        if let Some(body) = asking.answered(response)? {
            return Ok(body);
        }
    }
    Err(asking.in_a_circle())
}

/// What is asked for, and how it is proven. Each request has a connection of its own.
pub(crate) struct Asking<'a> {
    target: &'a Target,
    parts: &'a Parts,
    path: String,
    proof: Proof,
    proven: bool,
}

impl<'a> Asking<'a> {
    pub(crate) fn new(target: &'a Target, parts: &'a Parts) -> Self {
        Self {
            target,
            parts,
            path: parts.path.clone(),
            proof: Proof::default(),
            proven: false,
        }
    }

    pub(crate) async fn ask(&mut self, stream: BoxStream) -> Result<Response<Incoming>, Fault> {
        let login = self.target.login.as_ref();
        let header = self.proof.of(login, "GET", &self.path);
        self.proven = header.is_some();
        ask(stream, self.parts, &self.path, header).await
    }

    /// The stream, or `None`: ask again.
    pub(crate) fn answered(&mut self, response: Response<Incoming>) -> Result<Option<Body>, Fault> {
        let status = response.status();
        match status.as_u16() {
            200 => return stream(response).map(Some),
            401 => {
                let challenges: Vec<&str> = response
                    .headers()
                    .get_all(WWW_AUTHENTICATE)
                    .iter()
                    .filter_map(|value| value.to_str().ok())
                    .collect();
                let login = self.target.login.as_ref();
                self.proof.asked(login, &challenges, self.proven)?;
            }
            301 | 302 | 303 | 307 | 308 => self.path = sent_on(self.target, &response)?,
            code => {
                let reason = status.canonical_reason().unwrap_or_default();
                return Err(Fault::of_status("GET", code, reason));
            }
        }
        Ok(None)
    }

    fn in_a_circle(&self) -> Fault {
        let kind = if self.proven {
            FaultKind::Unauthorised
        } else {
            FaultKind::Unreachable
        };
        Fault::new(kind, "the camera sends us round in a circle")
    }
}

async fn ask(
    stream: BoxStream,
    parts: &Parts,
    path: &str,
    proof: Option<String>,
) -> Result<Response<Incoming>, Fault> {
    let fault = |e: hyper::Error| Fault::unreachable(format!("the camera speaks no HTTP: {e}"));
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(LARGEST_HEAD)
        .ignore_invalid_headers_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(fault)?;
    // It ends with the body, or with this thread.
    tokio::spawn(connection);
    let mut request = Request::get(path)
        .header(HOST, &parts.authority)
        .header(USER_AGENT, "kakou");
    if let Some(proof) = proof {
        request = request.header(AUTHORIZATION, proof);
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|_| Fault::broken("the path of the camera's `url` cannot be sent"))?;
    sender.send_request(request).await.map_err(fault)
}

/// The path to ask for instead, if it is the camera's own.
fn sent_on(target: &Target, response: &Response<Incoming>) -> Result<String, Fault> {
    let to = response.headers().get(LOCATION);
    let to = to.map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
    let to = to.unwrap_or_default();
    let base = Url::parse(target.url.reveal());
    let joined = base.as_ref().ok().and_then(|base| base.join(&to).ok());
    match (base.as_ref(), joined) {
        (Ok(base), Some(url)) if url.origin() == base.origin() => Ok(match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        }),
        _ if target.login.as_ref().is_some_and(|l| l.is_in(&to)) => Err(Fault::unreachable(
            "the camera sends us on to an address with our password in it; nobody goes there",
        )),
        _ => Err(Fault::unreachable(format!(
            "the camera sends us on to {to}; neither the password nor we go there. If it is right, \
             write it as `url`"
        ))),
    }
}

fn stream(response: Response<Incoming>) -> Result<Body, Fault> {
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.map(|kind| String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase());
    let kind = kind.unwrap_or_default();
    let name = kind.split(';').next().unwrap_or_default().trim();
    let picture = match name {
        "" | "application/octet-stream" => None,
        "video/x-motion-jpeg" | "video/mjpeg" | "video/x-mjpeg" | "video/x-jpeg" => {
            Some(Picture::Bare)
        }
        _ if name.starts_with("multipart/") => Some(Picture::Parts),
        _ if name.starts_with("image/") => {
            return Err(Fault::broken(format!(
                "this URL gives single pictures ({name}) and no stream; write the URL of the \
                 camera's MJPEG stream, or of its RTSP stream"
            )));
        }
        _ => {
            return Err(Fault::broken(format!(
                "this URL gives {name} and no MJPEG stream; over HTTP only MJPEG is taken, for \
                 anything else write the camera's rtsp:// URL"
            )));
        }
    };
    Ok(Body {
        body: response.into_body(),
        picture,
    })
}

/// What the first bytes are, where the camera does not say it.
pub(crate) fn sniffed(first: &[u8]) -> Result<Picture, Fault> {
    let start: &[u8] = first.trim_ascii_start();
    if start.starts_with(b"--") {
        return Ok(Picture::Parts);
    }
    if start.starts_with(&[0xff, 0xd8]) {
        return Ok(Picture::Bare);
    }
    Err(Fault::broken(
        "this URL gives no MJPEG stream; over HTTP only MJPEG is taken, for anything else write the \
         camera's rtsp:// URL",
    ))
}

/// The next piece of the stream; `None` at its end.
pub(crate) async fn next(body: &mut Incoming, target: &Target) -> Result<Option<Bytes>, Fault> {
    loop {
        let frame = timeout(target.timeouts.silence, body.frame())
            .await
            .map_err(|_| {
                Fault::new(
                    FaultKind::Silent,
                    format!(
                        "the camera sent nothing for {:.0} s",
                        target.timeouts.silence.as_secs_f32()
                    ),
                )
            })?;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(_)) => return Err(Fault::broken("the camera broke the stream off")),
        }
    }
}
