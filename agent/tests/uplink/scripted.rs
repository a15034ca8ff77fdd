//! A broker that misbehaves as its script says. It knows just enough MQTT 5 for one publisher at a time.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use kakou_uplink::BrokerAddress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What to do about one publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// PUBACK with this reason code.
    Ack(u8),
    /// Keep the acknowledgement back, and send all that are kept, newest first, before the next `Ack`.
    Hold,
    /// Nothing at all.
    Ignore,
    /// Close the connection.
    Cut,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) id: u16,
    pub(crate) payload: String,
}

pub(crate) struct Scripted {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Scripted {
    /// `answer` is asked about every publish. `receive_max` stands in the CONNACK.
    pub(crate) async fn start(
        receive_max: u16,
        answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::run(receive_max, answer, |_| None).await
    }

    /// Acknowledges all, but takes no more than this many packets on a connection, the CONNECT included.
    pub(crate) async fn start_dropping(
        receive_max: u16,
        packets: impl Fn(usize) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        Self::run(receive_max, |_| Answer::Ack(0), packets).await
    }

    async fn run(
        receive_max: u16,
        answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
        packets: impl Fn(usize) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            for connection in 1.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let _ = serve(
                    stream,
                    connection,
                    (receive_max, packets(connection)),
                    &answer,
                    &log,
                )
                .await;
            }
        });
        Self { port, seen }
    }

    pub(crate) fn address(&self) -> BrokerAddress {
        BrokerAddress::new("127.0.0.1", self.port)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic while logging").clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    (receive_max, packets): (u16, Option<usize>),
    answer: &impl Fn(&Seen) -> Answer,
    log: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    let mut held: Vec<u16> = Vec::new();
    for taken in 0.. {
        if packets.is_some_and(|most| taken >= most) {
            return Ok(());
        }
        let (kind, body) = packet(&mut stream).await?;
        match kind >> 4 {
            1 => {
                let [high, low] = receive_max.to_be_bytes();
                stream
                    .write_all(&[0x20, 6, 0, 0, 3, 0x21, high, low])
                    .await?;
            }
            3 => {
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                let id = u16::from_be_bytes([body[2 + topic], body[3 + topic]]);
                let (properties, length_bytes) = varint(&body[4 + topic..]);
                let payload = &body[4 + topic + length_bytes + properties..];
                let payload = String::from_utf8_lossy(payload).into_owned();
                let seen = Seen {
                    connection,
                    id,
                    payload,
                };
                let what = answer(&seen);
                log.lock().expect("no panic while logging").push(seen);
                match what {
                    Answer::Cut => return Ok(()),
                    Answer::Ignore => {}
                    Answer::Hold => held.push(id),
                    Answer::Ack(reason) => {
                        let mut acks = Vec::new();
                        held.push(id);
                        while let Some(id) = held.pop() {
                            let [high, low] = id.to_be_bytes();
                            acks.extend([0x40, 4, high, low, reason, 0]);
                        }
                        stream.write_all(&acks).await?;
                    }
                }
            }
            12 => stream.write_all(&[0xd0, 0]).await?,
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// A variable byte integer, and how many bytes it took.
fn varint(bytes: &[u8]) -> (usize, usize) {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return (value, at + 1);
        }
    }
    (value, bytes.len())
}

async fn packet(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await?;
    let (mut length, mut shift) = (0usize, 0);
    loop {
        let byte = stream.read_u8().await?;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((kind, body))
}
