//! The relay of an RTSP stream: ffmpeg at a port of this machine on one side, the camera on the
//! other. What is said is changed by `dialogue`; packets pass as they are.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::BoxStream;
use crate::dialogue::{Dialogue, Step};
use crate::fault::{Fault, FaultKind};
use crate::peer;
use crate::relay::{Answer, Opened, Shared, connect};
use crate::target::{Parts, Target, Timeouts, Transport};
use crate::wire::{self, Item};

/// The name of the stream at our port.
const PATH: &str = "/camera";
/// Of one read.
const PIECE: usize = 64 << 10;
/// Bytes without meaning in a row.
const JUNK: usize = 1 << 20;

pub(crate) async fn run(
    target: &Target,
    parts: &Parts,
    shared: &Shared,
    answer: &Answer,
    stopped: &mut watch::Receiver<bool>,
) -> Result<(), Fault> {
    let begin = begin(target, parts, answer);
    let (mut relay, mut ears) = tokio::select! {
        begun = begin => begun?,
        _ = stopped.wait_for(|stop| *stop) => return Ok(()),
    };
    let ended = tokio::select! {
        Err(ended) = relay.pass(&mut ears, shared) => ended,
        _ = stopped.wait_for(|stop| *stop) => None,
    };
    if let Some(fault) = &ended {
        shared.failed(fault);
    }
    relay.goodbye(&mut ears).await;
    ended.map_or(Ok(()), Err)
}

/// What is heard from both sides.
struct Ears {
    camera: ReadHalf<BoxStream>,
    ffmpeg: OwnedReadHalf,
    from_camera: BytesMut,
    from_ffmpeg: BytesMut,
}

/// Why the stream ended; `None`: ffmpeg did, and it knows why.
type End = Option<Fault>;

struct Relay {
    to_camera: WriteHalf<BoxStream>,
    to_ffmpeg: OwnedWriteHalf,
    dialogue: Dialogue,
    timeouts: Timeouts,
    /// Packets come by this connection.
    within: bool,
    junk: usize,
}

async fn begin(target: &Target, parts: &Parts, answer: &Answer) -> Result<(Relay, Ears), Fault> {
    let own = |e: std::io::Error| Fault::broken(format!("a port of this machine: {e}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(own)?;
    let here = listener.local_addr().map_err(own)?;
    let (camera, address) = connect(target, parts).await?;
    let url = format!("rtsp://{here}{PATH}");
    let port = here.port();
    // Who waits for it is told that it ended by the end of this thread.
    let _ = answer.try_send(Ok(Opened::Rtsp {
        url: url.clone(),
        port,
    }));
    let arrival = async {
        loop {
            let (ffmpeg, from) = listener.accept().await.map_err(own)?;
            if peer::is_ours(from, here) {
                return Ok(ffmpeg);
            }
            tracing::warn!("another user of this machine tried to get a camera's pictures");
        }
    };
    let ffmpeg = timeout(target.timeouts.answer, arrival)
        .await
        .map_err(|_| Fault::broken("ffmpeg does not ask for the stream"))??;
    let _ = ffmpeg.set_nodelay(true);
    let mut dialogue = Dialogue::new(url, target.url.reveal().to_owned(), target.login.clone());
    let within = target.transport == Transport::Tcp;
    if let (false, Some(address)) = (within, address.filter(|a| a.is_ipv4())) {
        dialogue = dialogue.at_source(address.ip().to_string());
    }
    let (camera, to_camera) = tokio::io::split(camera);
    let (ffmpeg, to_ffmpeg) = ffmpeg.into_split();
    let relay = Relay {
        to_camera,
        to_ffmpeg,
        dialogue,
        timeouts: target.timeouts,
        within,
        junk: 0,
    };
    let ears = Ears {
        camera,
        ffmpeg,
        from_camera: BytesMut::new(),
        from_ffmpeg: BytesMut::new(),
    };
    Ok((relay, ears))
}

impl Relay {
    /// Until one side ends.
    async fn pass(&mut self, ears: &mut Ears, shared: &Shared) -> Result<Infallible, End> {
        let (mut heard, mut owed) = (Instant::now(), None);
        loop {
            owed = match self.dialogue.owed() {
                None => None,
                Some(_) => owed.or_else(|| Some(Instant::now())),
            };
            let silent = heard + self.timeouts.silence;
            // By UDP, packets pass by here unseen; between two questions it is ffmpeg's turn.
            let until = match owed {
                Some(since) => silent.min(since + self.timeouts.answer),
                None if self.within && self.dialogue.is_playing() => silent,
                None => Instant::now() + self.timeouts.answer * 100,
            };
            ears.from_camera.reserve(PIECE);
            ears.from_ffmpeg.reserve(PIECE);
            tokio::select! {
                read = ears.camera.read_buf(&mut ears.from_camera) => {
                    let bytes = read.unwrap_or(0);
                    if bytes == 0 {
                        return Err(Some(self.closed()));
                    }
                    heard = Instant::now();
                    shared.came(bytes);
                    let answered = self.camera_said(&mut ears.from_camera).await?;
                    if answered {
                        owed = None;
                    }
                }
                read = ears.ffmpeg.read_buf(&mut ears.from_ffmpeg) => {
                    if read.unwrap_or(0) == 0 {
                        return Err(None);
                    }
                    let was_owed = self.dialogue.owed().is_some();
                    self.ffmpeg_said(&mut ears.from_ffmpeg).await?;
                    // What it asks starts the wait for an answer. What it says while the stream plays
                    // asks nothing, and a silent camera is no less silent for it.
                    if !was_owed && self.dialogue.owed().is_some() {
                        heard = Instant::now();
                    }
                }
                () = sleep_until(until) => return Err(Some(self.silent())),
            }
        }
    }

    /// Deals with all that is whole. True: a question was answered.
    async fn camera_said(&mut self, bytes: &mut BytesMut) -> Result<bool, End> {
        let mut answered = false;
        loop {
            let packets = packets(bytes);
            if packets > 0 {
                self.junk = 0;
                self.ffmpeg(bytes.get(..packets).unwrap_or_default())
                    .await?;
                bytes.advance(packets);
            }
            match wire::item(bytes).map_err(not_rtsp)? {
                Item::Nothing => return Ok(answered),
                Item::Packet(_) => {}
                Item::Junk(n) => {
                    self.junk += n;
                    if self.junk > JUNK {
                        return Err(Some(not_rtsp("noise")));
                    }
                    bytes.advance(n);
                }
                Item::Message(head) => {
                    self.junk = 0;
                    let body = bytes.get(head.body.clone()).unwrap_or_default().to_vec();
                    bytes.advance(head.body.end);
                    match self.dialogue.told(&head, &body)? {
                        Step::ToFfmpeg(bytes) => {
                            answered = true;
                            self.ffmpeg(&bytes).await?;
                        }
                        Step::ToCamera(bytes) => {
                            answered = true;
                            self.camera(&bytes).await?;
                        }
                        Step::Nothing => {}
                    }
                }
            }
        }
    }

    async fn ffmpeg_said(&mut self, bytes: &mut BytesMut) -> Result<(), Fault> {
        loop {
            match wire::item(bytes).map_err(|why| Fault::broken(format!("ffmpeg sends {why}")))? {
                Item::Nothing => return Ok(()),
                Item::Junk(n) => bytes.advance(n),
                Item::Packet(n) => {
                    let packet = bytes.split_to(n);
                    self.camera(&packet).await?;
                }
                Item::Message(head) => {
                    let body = bytes.get(head.body.clone()).unwrap_or_default().to_vec();
                    bytes.advance(head.body.end);
                    let asked = self.dialogue.asked(head, &body)?;
                    self.camera(&asked).await?;
                }
            }
        }
    }

    async fn camera(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let write = async {
            self.to_camera.write_all(bytes).await?;
            self.to_camera.flush().await
        };
        match timeout(self.timeouts.silence, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(self.closed()),
        }
    }

    /// A slow ffmpeg slows the camera down.
    async fn ffmpeg(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.to_ffmpeg.write_all(bytes).await.map_err(|_| None)
    }

    fn closed(&self) -> Fault {
        match (self.dialogue.owed(), self.dialogue.is_playing()) {
            (_, true) => Fault::broken("the camera ended the stream"),
            (Some(method), false) => Fault::unreachable(format!(
                "the camera closed the connection instead of an answer to {method}"
            )),
            (None, false) => Fault::unreachable("the camera closed the connection"),
        }
    }

    fn silent(&self) -> Fault {
        match (self.dialogue.owed(), self.dialogue.is_playing()) {
            (Some(method), false) => Fault::unreachable(format!(
                "the camera takes the connection and gives no answer to {method}; restart it if \
                 that lasts"
            )),
            _ => Fault::new(
                FaultKind::Silent,
                format!(
                    "the camera sent nothing for {:.0} s",
                    self.timeouts.silence.as_secs_f32()
                ),
            ),
        }
    }

    /// Ends the camera's session, so that it is free for the next connection.
    async fn goodbye(mut self, ears: &mut Ears) {
        let Some(bytes) = self.dialogue.goodbye() else {
            return;
        };
        let within = self.timeouts.goodbye;
        let answered = async {
            self.camera(&bytes).await?;
            // Packets are on their way until the camera has read it.
            loop {
                match wire::item(&ears.from_camera).map_err(not_rtsp)? {
                    Item::Message(head) if head.status().is_some() => return Ok(()),
                    Item::Message(head) => ears.from_camera.advance(head.body.end),
                    Item::Packet(n) | Item::Junk(n) => ears.from_camera.advance(n),
                    Item::Nothing => {
                        ears.from_camera.reserve(PIECE);
                        let read = ears.camera.read_buf(&mut ears.from_camera).await;
                        if read.unwrap_or(0) == 0 {
                            return Ok::<(), Fault>(());
                        }
                    }
                }
            }
        };
        if timeout(within, answered).await.is_err() {
            tracing::debug!("the camera did not answer the end of the session");
        }
    }
}

fn not_rtsp(why: &str) -> Fault {
    Fault::broken(format!("what the camera says is no RTSP: {why}"))
}

/// How many bytes of whole packets stand at the beginning.
fn packets(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some([b'$', _, high, low]) = bytes.get(end..end + 4) {
        let next = end + 4 + usize::from(u16::from_be_bytes([*high, *low]));
        if next > bytes.len() {
            break;
        }
        end = next;
    }
    end
}
