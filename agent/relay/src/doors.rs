//! Doors to what a camera's bytes reach, for the fuzz targets in `agent/fuzz`. Nothing else goes
//! through here.

use std::time::Duration;

use kakou_guard::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::dialogue::{Dialogue, Step};
use crate::fault::Fault;
use crate::http::{Asking, next, sniffed};
use crate::target::{Login, Target, Timeouts, Transport};
use crate::wire::{Item, LARGEST, item};
use crate::{BoxStream, Trust};

/// What goes out on either side because of what a camera sent.
#[derive(Debug, Default)]
pub struct Said {
    pub to_camera: Vec<Vec<u8>>,
    pub to_ffmpeg: Vec<Vec<u8>>,
    pub fault: Option<String>,
}

const CAMERA: &str = "rtsp://10.0.0.5/a?x=1";
const LOCAL: &str = "rtsp://127.0.0.1:9/camera";
/// What ffmpeg asks, one after the other.
const SCRIPT: [(&str, &str); 7] = [
    ("OPTIONS", ""),
    ("DESCRIBE", ""),
    ("SETUP", "/trackID=1"),
    ("SETUP", "/trackID=2"),
    ("PLAY", "/"),
    ("GET_PARAMETER", "/"),
    ("TEARDOWN", "/"),
];

fn login(password: &str) -> Login {
    Login {
        user: Secret::new("kakou"),
        password: Secret::new(password),
    }
}

/// Whether these bytes are one RTSP message, whole and nothing behind it.
pub fn is_one_message(bytes: &[u8]) -> bool {
    matches!(item(bytes), Ok(Item::Message(head)) if head.body.end == bytes.len())
}

/// How many bytes each item takes that a camera's bytes are taken apart into.
pub fn items(bytes: &[u8]) -> Vec<usize> {
    let (mut rest, mut taken) = (bytes, Vec::new());
    while let Ok(found) = item(rest) {
        let size = match found {
            Item::Nothing => break,
            Item::Packet(n) | Item::Junk(n) => n,
            Item::Message(head) => head.body.end,
        };
        taken.push(size);
        match rest.get(size..) {
            Some(after) if size > 0 => rest = after,
            _ => break,
        }
    }
    taken
}

/// A whole conversation: ffmpeg asks its usual questions, and the camera says these bytes.
pub fn rtsp(bytes: &[u8], password: Option<&str>, udp: bool) -> Said {
    let mut dialogue = Dialogue::new(LOCAL.to_owned(), CAMERA.to_owned(), password.map(login));
    if udp {
        dialogue = dialogue.at_source("10.0.0.5".to_owned());
    }
    let mut said = Said::default();
    let fault = converse(&mut dialogue, bytes, &mut said).err();
    said.to_camera.extend(dialogue.goodbye());
    said.fault = fault.map(|fault| fault.text);
    said
}

fn converse(dialogue: &mut Dialogue, bytes: &[u8], said: &mut Said) -> Result<(), Fault> {
    let (mut rest, mut script) = (bytes, SCRIPT.iter().enumerate());
    loop {
        if dialogue.owed().is_none()
            && let Some((number, (method, track))) = script.next()
        {
            let text = format!("{method} {LOCAL}{track} RTSP/1.0\r\nCSeq: {number}\r\n\r\n");
            if let Ok(Item::Message(head)) = item(text.as_bytes()) {
                said.to_camera.push(dialogue.asked(head, &[])?);
            }
        }
        let size = match item(rest).map_err(Fault::broken)? {
            Item::Nothing => return Ok(()),
            Item::Packet(n) | Item::Junk(n) => n,
            Item::Message(head) => {
                let body = rest.get(head.body.clone()).unwrap_or_default();
                match dialogue.told(&head, body)? {
                    Step::ToFfmpeg(bytes) => said.to_ffmpeg.push(bytes),
                    Step::ToCamera(bytes) => said.to_camera.push(bytes),
                    Step::Nothing => {}
                }
                head.body.end
            }
        };
        rest = rest.get(size..).unwrap_or_default();
    }
}

/// A camera over HTTP: each part of the bytes between `separator`s answers one request. What was
/// asked of it, and why there is no stream.
pub fn http(bytes: &[u8], separator: u8, password: &str) -> Said {
    let target = Target {
        url: Secret::new("http://10.0.0.5/a?x=1"),
        login: Some(login(password)),
        transport: Transport::Tcp,
        trust: Trust::default(),
        timeouts: Timeouts {
            silence: Duration::from_secs(1),
            ..Timeouts::default()
        },
    };
    let mut said = Said::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let (Ok(runtime), Some(parts)) = (runtime, target.parts()) else {
        return said;
    };
    let mut asking = Asking::new(&target, &parts);
    for answer in bytes.split(|b| *b == separator).take(8) {
        let asked = runtime.block_on(one(&target, &mut asking, answer, &mut said));
        match asked {
            Ok(true) => {}
            Ok(false) => break,
            Err(fault) => {
                said.fault = Some(fault.text);
                break;
            }
        }
    }
    said
}

/// Whether to ask again.
async fn one(
    target: &Target,
    asking: &mut Asking<'_>,
    answer: &[u8],
    said: &mut Said,
) -> Result<bool, Fault> {
    let (ours, mut theirs) = duplex(LARGEST);
    let answer = answer.to_vec();
    let camera = tokio::spawn(async move {
        let mut request = vec![0; 4096];
        let length = theirs.read(&mut request).await.unwrap_or_default();
        request.truncate(length);
        // A relay that hangs up early is the relay's affair.
        let _ = theirs.write_all(&answer).await;
        request
    });
    let stream: BoxStream = Box::new(ours);
    let response = asking.ask(stream).await;
    said.to_camera.extend(camera.await);
    let Some(mut body) = asking.answered(response?)? else {
        return Ok(true);
    };
    let first = next(&mut body.body, target).await?.unwrap_or_default();
    if body.picture.is_none() {
        sniffed(&first)?;
    }
    while next(&mut body.body, target).await?.is_some() {}
    Ok(false)
}
