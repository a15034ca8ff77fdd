//! What ffmpeg asks and the camera answers, and what is changed on the way: addresses, sequence
//! numbers, and the proof of who we are. Pure.
//!
//! ffmpeg knows a port of this machine; the camera sees its own address. Requests are numbered anew
//! towards the camera, because one that was answered by a 401 is sent again.

use std::collections::VecDeque;

use crate::fault::{Fault, FaultKind};
use crate::login::Proof;
use crate::target::Login;
use crate::wire::Head;

/// Requests of ffmpeg that the camera has not answered; it sends one after the other.
const PENDING: usize = 16;
/// Requests of the camera, of which no sane one sends many.
const STRANGE: u32 = 1_000;

/// How often one request is proven anew, because what the camera gave to prove it with was old.
const TRIES: u8 = 3;

/// What to do with an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    ToFfmpeg(Vec<u8>),
    ToCamera(Vec<u8>),
    Nothing,
}

struct Pending {
    /// Its number towards the camera, and ffmpeg's own.
    ours: u32,
    theirs: String,
    method: String,
    uri: String,
    head: Head,
    body: Vec<u8>,
    proven: bool,
    tries: u8,
}

impl Pending {
    /// By these a session is kept alive: every half minute or so, and ffmpeg waits for no answer.
    fn is_ping(&self) -> bool {
        matches!(
            self.method.as_str(),
            "GET_PARAMETER" | "SET_PARAMETER" | "OPTIONS"
        )
    }
}

pub(crate) struct Dialogue {
    /// What ffmpeg was told, and what the camera is called.
    local: String,
    camera: String,
    login: Option<Login>,
    proof: Proof,
    sent: u32,
    pending: VecDeque<Pending>,
    session: Option<String>,
    /// The URI by which the session is torn down.
    aggregate: String,
    playing: bool,
    torn_down: bool,
    strange: u32,
    /// Where the camera sends from by UDP, for answers that leave it out: ffmpeg would take the
    /// relay for the camera.
    source: Option<String>,
}

impl Dialogue {
    pub(crate) fn new(local: String, camera: String, login: Option<Login>) -> Self {
        Self {
            aggregate: camera.clone(),
            local,
            camera,
            login,
            proof: Proof::default(),
            sent: 0,
            pending: VecDeque::new(),
            session: None,
            playing: false,
            torn_down: false,
            strange: 0,
            source: None,
        }
    }

    /// For pictures by UDP.
    pub(crate) fn at_source(mut self, source: String) -> Self {
        self.source = Some(source);
        self
    }

    /// The stream was asked for and granted.
    pub(crate) fn is_playing(&self) -> bool {
        self.playing
    }

    /// What the camera owes an answer to. What keeps a stream alive needs none, and some cameras give
    /// none, or one with another number: whether the stream stands, its packets tell.
    pub(crate) fn owed(&self) -> Option<&str> {
        let owed = self.pending.iter().find(|p| !(self.playing && p.is_ping()));
        owed.map(|p| p.method.as_str())
    }

    /// A request of ffmpeg, as the camera gets it.
    pub(crate) fn asked(&mut self, head: Head, body: &[u8]) -> Result<Vec<u8>, Fault> {
        let Some((method, uri)) = head.request() else {
            return Err(Fault::broken(
                "ffmpeg asks the camera for nothing that is known",
            ));
        };
        if self.playing {
            // What was not answered by now will not be.
            self.pending.retain(|p| !p.is_ping());
        }
        if self.pending.len() >= PENDING {
            return Err(Fault::unreachable("the camera answers nothing any more"));
        }
        let (method, uri) = (method.to_owned(), self.mapped(uri));
        match method.as_str() {
            "TEARDOWN" => self.torn_down = true,
            "PLAY" => self.aggregate.clone_from(&uri),
            _ => {}
        }
        let mut pending = Pending {
            ours: 0,
            theirs: head.field("CSeq").unwrap_or_default().to_owned(),
            method,
            uri,
            head,
            body: body.to_vec(),
            proven: false,
            tries: 0,
        };
        let bytes = self.send(&mut pending);
        self.pending.push_back(pending);
        Ok(bytes)
    }

    /// ffmpeg's name of the stream or of a track, as the camera's.
    fn mapped(&self, uri: &str) -> String {
        match uri.strip_prefix(&self.local) {
            Some("" | "/") => self.camera.clone(),
            Some(track) if track.starts_with('/') => {
                format!("{}{track}", self.camera.trim_end_matches('/'))
            }
            _ => uri.to_owned(),
        }
    }

    fn send(&mut self, pending: &mut Pending) -> Vec<u8> {
        self.sent += 1;
        pending.ours = self.sent;
        let login = self.login.as_ref();
        let proof = self.proof.of(login, &pending.method, &pending.uri);
        pending.proven = proof.is_some();
        let first = format!("{} {} RTSP/1.0", pending.method, pending.uri);
        let number = pending.ours.to_string();
        let instead = [
            ("CSeq", Some(number.as_str())),
            ("Authorization", proof.as_deref()),
        ];
        pending.head.bytes(&first, &instead, &pending.body)
    }

    /// A message of the camera.
    pub(crate) fn told(&mut self, head: &Head, body: &[u8]) -> Result<Step, Fault> {
        let Some((status, reason)) = head.status() else {
            return self.strange(head);
        };
        // Informational.
        if status < 200 {
            return Ok(Step::Nothing);
        }
        let number = head
            .field("CSeq")
            .and_then(|n| n.trim().parse::<u32>().ok());
        let at = match number {
            Some(number) => self.pending.iter().position(|p| p.ours == number),
            // Some leave it out.
            None => (!self.pending.is_empty()).then_some(0),
        };
        let Some(mut pending) = at.and_then(|at| self.pending.remove(at)) else {
            return Ok(Step::Nothing);
        };
        if let (true, Some(session)) = (status < 300, head.field("Session")) {
            let id = session.split(';').next().unwrap_or_default().trim();
            self.session = (!id.is_empty()).then(|| id.to_owned());
        }
        let needed = matches!(pending.method.as_str(), "DESCRIBE" | "SETUP" | "PLAY");
        match status {
            401 if pending.method == "TEARDOWN" => Ok(Step::Nothing),
            401 if self.playing && pending.is_ping() => Ok(self.ping_again(pending, head)),
            // Packets tell whether the stream stands.
            300.. if self.playing && pending.is_ping() => Ok(Step::Nothing),
            401 => {
                pending.tries += 1;
                if pending.tries > TRIES {
                    return Err(Fault::unauthorised(
                        "the camera asks for user and password again and again",
                    ));
                }
                let challenges: Vec<&str> = head.all("WWW-Authenticate").collect();
                self.proof
                    .asked(self.login.as_ref(), &challenges, pending.proven)?;
                let bytes = self.send(&mut pending);
                self.pending.push_front(pending);
                Ok(Step::ToCamera(bytes))
            }
            300..=399 => Err(self.sent_on(head)),
            400.. if needed => Err(Fault::of_status(
                &pending.method,
                status,
                self.shown(reason),
            )),
            // Only asked what it can do; what it cannot will show.
            400.. if pending.method == "OPTIONS" => {
                let text = format!("RTSP/1.0 200 OK\r\nCSeq: {}\r\n\r\n", pending.theirs);
                Ok(Step::ToFfmpeg(text.into_bytes()))
            }
            _ => {
                self.playing |= pending.method == "PLAY";
                let transport = self.with_source(head);
                let mut instead = vec![
                    ("CSeq", Some(pending.theirs.as_str())),
                    ("WWW-Authenticate", None),
                ];
                if let Some(transport) = &transport {
                    instead.push(("Transport", Some(transport)));
                }
                Ok(Step::ToFfmpeg(head.bytes(&head.first, &instead, body)))
            }
        }
    }

    /// A keep-alive that was not proven as the camera wants it now. A stream that plays has proven user
    /// and password, so it is the nonce that is old, whether the camera says so or not. Asked twice is
    /// enough: no stream ends by it, and the next one is proven by what was learnt here.
    fn ping_again(&mut self, mut pending: Pending, head: &Head) -> Step {
        pending.tries += 1;
        let challenges: Vec<&str> = head.all("WWW-Authenticate").collect();
        let asked = self.proof.asked(self.login.as_ref(), &challenges, false);
        if asked.is_err() || pending.tries > 1 {
            return Step::Nothing;
        }
        let bytes = self.send(&mut pending);
        self.pending.push_front(pending);
        Step::ToCamera(bytes)
    }

    fn with_source(&self, head: &Head) -> Option<String> {
        let transport = head.field("Transport")?;
        let source = self.source.as_ref()?;
        let told = transport.to_ascii_lowercase();
        let is_udp = !told.contains("/tcp") && !told.contains("source=");
        is_udp.then(|| format!("{transport};source={source}"))
    }

    /// Cameras ask things too: to see whether we are there, or to send us elsewhere. Nothing of it
    /// is done.
    fn strange(&mut self, head: &Head) -> Result<Step, Fault> {
        self.strange += 1;
        if self.strange > STRANGE {
            return Err(Fault::broken(
                "the camera sends requests instead of a stream",
            ));
        }
        let status = match head.request() {
            Some(("OPTIONS", _)) => "200 OK",
            Some(("REDIRECT", _)) => return Err(self.sent_on(head)),
            _ => "501 Not Implemented",
        };
        let number: String = head
            .field("CSeq")
            .unwrap_or_default()
            .chars()
            .filter(char::is_ascii_digit)
            .take(10)
            .collect();
        let text = format!("RTSP/1.0 {status}\r\nCSeq: {number}\r\n\r\n");
        Ok(Step::ToCamera(text.into_bytes()))
    }

    fn sent_on(&self, head: &Head) -> Fault {
        let to = self.shown(head.field("Location").unwrap_or("nowhere"));
        Fault::new(
            FaultKind::Unreachable,
            format!(
                "the camera sends us on to {to}; neither the password nor we go there. If it is \
                 right, write it as `url`"
            ),
        )
    }

    /// A camera's own words, unless it tells in them what we told it.
    fn shown<'a>(&self, words: &'a str) -> &'a str {
        match &self.login {
            Some(login) if login.is_in(words) => "(words with the password in them)",
            _ => words,
        }
    }

    /// The end of the session, if one was begun and ffmpeg did not end it.
    pub(crate) fn goodbye(&mut self) -> Option<Vec<u8>> {
        let session = self.session.take().filter(|_| !self.torn_down)?;
        self.torn_down = true;
        self.sent += 1;
        let uri = self.aggregate.clone();
        let proof = self.proof.of(self.login.as_ref(), "TEARDOWN", &uri);
        let proof = proof.map_or_else(String::new, |p| format!("Authorization: {p}\r\n"));
        let text = format!(
            "TEARDOWN {uri} RTSP/1.0\r\nCSeq: {}\r\nSession: {session}\r\n{proof}\r\n",
            self.sent
        );
        Some(text.into_bytes())
    }
}

#[cfg(test)]
#[path = "keepalive_tests.rs"]
mod keepalive_tests;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::wire::{Item, item};
    use kakou_guard::Secret;
    use proptest::prelude::*;

    fn head(text: &str) -> Head {
        match item(text.as_bytes()) {
            Ok(Item::Message(head)) => head,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn dialogue() -> Dialogue {
        let login = Login {
            user: Secret::new("kakou"),
            password: Secret::new("S3CRET"),
        };
        let camera = "rtsp://10.0.0.5/a?x=1".to_owned();
        Dialogue::new("rtsp://127.0.0.1:9/camera".to_owned(), camera, Some(login))
    }

    pub(super) fn ask(d: &mut Dialogue, method: &str, track: &str) -> String {
        let text = format!(
            "{method} rtsp://127.0.0.1:9/camera{track} RTSP/1.0\r\nCSeq: 41\r\nUser-Agent: Lavf\r\n\r\n"
        );
        String::from_utf8(d.asked(head(&text), b"").unwrap()).unwrap()
    }

    pub(super) fn answer(d: &mut Dialogue, text: &str) -> Result<Step, Fault> {
        d.told(&head(text), b"")
    }

    #[test]
    fn the_camera_sees_its_own_address_and_ffmpeg_its_own_numbers() {
        let mut d = dialogue();
        let asked = ask(&mut d, "DESCRIBE", "");
        assert!(
            asked.starts_with("DESCRIBE rtsp://10.0.0.5/a?x=1 RTSP/1.0\r\n"),
            "{asked}"
        );
        assert!(asked.contains("CSeq: 1\r\n") && asked.contains("Lavf"));
        let challenge = "RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm=\"c\", nonce=\"1\"\r\n\r\n";
        let Ok(Step::ToCamera(again)) = answer(&mut d, challenge) else {
            panic!("not asked again");
        };
        let again = String::from_utf8(again).unwrap();
        assert!(again.contains("CSeq: 2\r\n") && again.contains("Authorization: Digest "));
        assert!(again.contains("uri=\"rtsp://10.0.0.5/a?x=1\"") && !again.contains("S3CRET"));
        let Ok(Step::ToFfmpeg(told)) = answer(&mut d, "RTSP/1.0 200 OK\r\nCSeq: 2\r\n\r\n") else {
            panic!("not told");
        };
        assert_eq!(
            String::from_utf8(told).unwrap(),
            "RTSP/1.0 200 OK\r\nCSeq: 41\r\n\r\n"
        );
        let setup = ask(&mut d, "SETUP", "/trackID=1");
        assert!(
            setup.starts_with("SETUP rtsp://10.0.0.5/a?x=1/trackID=1 RTSP/1.0"),
            "{setup}"
        );
    }

    #[test]
    fn a_session_is_torn_down_once() {
        let mut d = dialogue();
        assert_eq!(d.goodbye(), None);
        ask(&mut d, "SETUP", "/t");
        answer(
            &mut d,
            "RTSP/1.0 200 OK\r\nCSeq: 1\r\nSession: 77;timeout=60\r\n\r\n",
        )
        .unwrap();
        ask(&mut d, "PLAY", "/");
        answer(&mut d, "RTSP/1.0 200 OK\r\nCSeq: 2\r\n\r\n").unwrap();
        assert!(d.is_playing());
        let said = String::from_utf8(d.goodbye().unwrap()).unwrap();
        assert!(
            said.starts_with("TEARDOWN rtsp://10.0.0.5/a?x=1 ") && said.contains("Session: 77\r\n")
        );
        assert_eq!(d.goodbye(), None);
        let mut by_itself = dialogue();
        ask(&mut by_itself, "SETUP", "/t");
        answer(
            &mut by_itself,
            "RTSP/1.0 200 OK\r\nCSeq: 1\r\nSession: 7\r\n\r\n",
        )
        .unwrap();
        ask(&mut by_itself, "TEARDOWN", "/");
        assert_eq!(by_itself.goodbye(), None);
    }

    #[test]
    fn no_redirect_is_followed_and_refusals_are_named() {
        let on = "RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: rtsp://u:p@other/x\r\n\r\n";
        let mut d = dialogue();
        ask(&mut d, "DESCRIBE", "");
        let fault = answer(&mut d, on).unwrap_err();
        assert!(
            fault.text.contains("other/x") && !fault.text.contains("u:p"),
            "{fault}"
        );
        for (status, kind) in [
            (453, FaultKind::Busy),
            (503, FaultKind::Busy),
            (404, FaultKind::Unreachable),
            (403, FaultKind::Unauthorised),
            (461, FaultKind::Broken),
        ] {
            let mut d = dialogue();
            ask(&mut d, "SETUP", "/t");
            let fault = answer(&mut d, &format!("RTSP/1.0 {status} X\r\nCSeq: 1\r\n\r\n"));
            assert_eq!(fault.unwrap_err().kind, kind, "{status}");
        }
        // OPTIONS only asks what there is.
        let mut d = dialogue();
        ask(&mut d, "OPTIONS", "");
        let told = answer(&mut d, "RTSP/1.0 404 Not Found\r\nCSeq: 1\r\n\r\n").unwrap();
        assert!(matches!(told, Step::ToFfmpeg(text) if text.starts_with(b"RTSP/1.0 200")));
    }

    #[test]
    fn by_udp_the_pictures_come_from_the_camera() {
        let setup = |d: &mut Dialogue| {
            ask(d, "SETUP", "/t");
            let text =
                "RTSP/1.0 200 OK\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=1-2\r\n\r\n";
            match answer(d, text) {
                Ok(Step::ToFfmpeg(bytes)) => String::from_utf8(bytes).unwrap(),
                other => panic!("{other:?}"),
            }
        };
        let mut udp = dialogue().at_source("10.0.0.5".to_owned());
        assert!(setup(&mut udp).contains("client_port=1-2;source=10.0.0.5\r\n"));
        assert!(!setup(&mut dialogue()).contains("source"));
    }

    #[test]
    fn old_nonces_for_ever_are_an_end() {
        let mut d = dialogue();
        ask(&mut d, "DESCRIBE", "");
        let ends = (1..10).any(|n| {
            let text = format!("RTSP/1.0 401 U\r\nCSeq: {n}\r\nWWW-Authenticate: Digest realm=\"c\", nonce=\"{n}\", stale=true\r\n\r\n");
            answer(&mut d, &text).is_err()
        });
        assert!(ends);
    }

    #[test]
    fn requests_of_a_camera_do_nothing() {
        let mut d = dialogue();
        let ask = |method: &str| {
            format!("{method} rtsp://x/ RTSP/1.0\r\nCSeq: 5\r\nLocation: rtsp://y/\r\n\r\n")
        };
        let told = answer(&mut d, &ask("OPTIONS")).unwrap();
        assert!(matches!(told, Step::ToCamera(t) if t.starts_with(b"RTSP/1.0 200 OK\r\nCSeq: 5")));
        let told = answer(&mut d, &ask("SET_PARAMETER")).unwrap();
        assert!(matches!(told, Step::ToCamera(t) if t.starts_with(b"RTSP/1.0 501")));
        assert!(answer(&mut d, &ask("REDIRECT")).is_err());
        let flood = (0..2 * STRANGE).find_map(|_| answer(&mut d, &ask("PING")).err());
        assert!(flood.is_some());
    }

    proptest! {
        /// The password is in nothing that goes to either side, whatever the camera answers.
        #[test]
        fn the_password_is_never_written(status in 100u16..600, more in "[ -~]{0,40}") {
            let mut d = dialogue();
            ask(&mut d, "DESCRIBE", "");
            let text = format!("RTSP/1.0 {status} X\r\nCSeq: 1\r\nWWW-Authenticate: {more}\r\n\r\n");
            let said = match answer(&mut d, &text) {
                Ok(Step::ToFfmpeg(bytes) | Step::ToCamera(bytes)) => String::from_utf8(bytes).unwrap(),
                Ok(Step::Nothing) => String::new(),
                Err(fault) => fault.text,
            };
            prop_assert!(!said.contains("S3CRET"), "{}", said);
        }
    }
}
