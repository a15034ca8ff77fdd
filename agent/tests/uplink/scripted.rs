//! A broker that misbehaves as its script says. It knows just enough MQTT 5 for one client at a
//! time.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kakou_uplink::BrokerAddress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex as AsyncMutex;

/// What to do about one publish.
#[allow(dead_code)] // Two test programs share this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// PUBACK with this reason code.
    Ack(u8),
    /// Keep the acknowledgement back, and send all that are kept, newest first, before the next
    /// `Ack`.
    Hold,
    /// Nothing at all.
    Ignore,
    /// Close the connection.
    Cut,
    /// DISCONNECT with this reason code.
    Disconnect(u8),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) id: u16,
    pub(crate) topic: String,
    pub(crate) payload: String,
}

type Decide<In, Out> = Box<dyn Fn(In) -> Out + Send + Sync>;

/// How it misbehaves; the default does not.
pub(crate) struct Script {
    /// Stands in the CONNACK.
    pub(crate) receive_max: u16,
    /// "Retain available" in the CONNACK.
    pub(crate) retain: bool,
    /// "Shared Subscription Available" in the CONNACK.
    pub(crate) shared: bool,
    pub(crate) publish: Box<dyn Fn(&Seen) -> Answer + Send + Sync>,
    /// About a SUBSCRIBE: `Ack` with a reason code for its one filter, `Cut` or `Disconnect`.
    pub(crate) subscribe: Decide<usize, Answer>,
    /// How many packets to take on a connection, the CONNECT included; by the connection's number.
    pub(crate) packets: Decide<usize, Option<usize>>,
    /// PINGRESP again and again, asked for or not.
    pub(crate) chatter: Option<Duration>,
    /// It refuses a connection whose will is retained (0x9a).
    pub(crate) no_retained_will: bool,
    /// It refuses a connection whose will has a QoS above 0 (0x9b).
    pub(crate) no_will_qos: bool,
    /// "Server Keep Alive" in the CONNACK.
    pub(crate) keep_alive: Option<u16>,
    /// Once the subscription is acknowledged, a command with a topic alias.
    pub(crate) alias: bool,
    /// Commands that are published once the subscription is acknowledged, all at once.
    pub(crate) commands: usize,
    /// After those, one with a payload of so many bytes.
    pub(crate) large: Option<usize>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            receive_max: 10,
            retain: true,
            shared: true,
            publish: Box::new(|_| Answer::Ack(0)),
            subscribe: Box::new(|_| Answer::Ack(1)),
            packets: Box::new(|_| None),
            chatter: None,
            no_retained_will: false,
            no_will_qos: false,
            keep_alive: None,
            alias: false,
            commands: 0,
            large: None,
        }
    }
}

#[derive(Default)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    disconnects: AtomicUsize,
    pings: AtomicUsize,
    acknowledged: AtomicUsize,
}

pub(crate) struct Scripted {
    port: u16,
    log: Arc<Log>,
}

#[allow(dead_code)] // Two test programs share this file.
impl Scripted {
    /// `answer` is asked about every publish. `receive_max` stands in the CONNACK.
    pub(crate) async fn start(
        receive_max: u16,
        answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::run(Script {
            receive_max,
            publish: Box::new(answer),
            ..Script::default()
        })
        .await
    }

    /// Acknowledges all, but takes no more than this many packets on a connection, the CONNECT
    /// included.
    pub(crate) async fn start_dropping(
        receive_max: u16,
        packets: impl Fn(usize) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        Self::run(Script {
            receive_max,
            packets: Box::new(packets),
            ..Script::default()
        })
        .await
    }

    pub(crate) async fn run(script: Script) -> Self {
        Self::run_on(0, script).await
    }

    /// On this port; 0: a free one.
    pub(crate) async fn run_on(port: u16, script: Script) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = serve(stream, &script, &shared).await;
            }
        });
        Self { port, log }
    }

    pub(crate) fn address(&self) -> BrokerAddress {
        BrokerAddress::new("127.0.0.1", self.port)
    }

    /// The publishes, in the order in which they came.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log
            .seen
            .lock()
            .expect("no panic while logging")
            .clone()
    }

    /// CONNECT packets.
    pub(crate) fn connections(&self) -> usize {
        self.log.connections.load(Ordering::Relaxed)
    }

    /// DISCONNECT packets of the client.
    pub(crate) fn disconnects(&self) -> usize {
        self.log.disconnects.load(Ordering::Relaxed)
    }

    /// PINGREQ packets.
    pub(crate) fn pings(&self) -> usize {
        self.log.pings.load(Ordering::Relaxed)
    }

    /// Commands that the client acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.log.acknowledged.load(Ordering::Relaxed)
    }
}

type Writer = Arc<AsyncMutex<OwnedWriteHalf>>;

/// Ends its task when dropped.
struct Chatter(tokio::task::JoinHandle<()>);

impl Drop for Chatter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn serve(stream: TcpStream, script: &Script, log: &Log) -> std::io::Result<()> {
    let (mut reader, writer) = stream.into_split();
    let writer: Writer = Arc::new(AsyncMutex::new(writer));
    let mut chatter = None;
    let mut connection = 0;
    let mut held: Vec<u16> = Vec::new();
    let mut most = None;
    for taken in 0.. {
        if taken == 0 {
            // Also of a connection that sees no packet at all.
            connection = log.connections.fetch_add(1, Ordering::Relaxed) + 1;
            most = (script.packets)(connection);
        }
        if most.is_some_and(|most| taken >= most) {
            return Ok(());
        }
        let (kind, body) = packet(&mut reader).await?;
        let answer = match kind >> 4 {
            1 => {
                let [high, low] = script.receive_max.to_be_bytes();
                let retain = u8::from(script.retain);
                let flags = body.get(7).copied().unwrap_or_default();
                let refused = match script {
                    s if s.no_retained_will && flags & 0x20 != 0 => Some(0x9a),
                    s if s.no_will_qos && flags & 0x18 != 0 => Some(0x9b),
                    _ => None,
                };
                if let Some(code) = refused {
                    let connack = [0x20, 3, 0, code, 0];
                    return writer.lock().await.write_all(&connack).await;
                }
                let mut told = vec![0x21, high, low, 0x25, retain];
                if !script.shared {
                    told.extend([0x2a, 0]);
                }
                if let Some(seconds) = script.keep_alive {
                    let [high, low] = seconds.to_be_bytes();
                    told.extend([0x13, high, low]);
                }
                let length = u8::try_from(told.len()).expect("a short packet");
                let mut connack = vec![0x20, 3 + length, 0, 0, length];
                connack.extend(told);
                writer.lock().await.write_all(&connack).await?;
                chatter = script.chatter.map(|every| chat(&writer, every));
                continue;
            }
            3 => {
                let seen = publish(connection, &body);
                let answer = (script.publish)(&seen);
                let id = seen.id;
                log.seen.lock().expect("no panic while logging").push(seen);
                match answer {
                    Answer::Ack(_) | Answer::Hold => held.push(id),
                    Answer::Ignore | Answer::Cut | Answer::Disconnect(_) => {}
                }
                if let Answer::Ack(reason) = answer {
                    let mut acks = Vec::new();
                    while let Some(id) = held.pop() {
                        let [high, low] = id.to_be_bytes();
                        acks.extend([0x40, 4, high, low, reason, 0]);
                    }
                    writer.lock().await.write_all(&acks).await?;
                }
                answer
            }
            4 => {
                log.acknowledged.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            8 => {
                let answer = (script.subscribe)(connection);
                if let Answer::Ack(code) = answer {
                    let mut writer = writer.lock().await;
                    writer
                        .write_all(&[0x90, 4, body[0], body[1], 0, code])
                        .await?;
                    if script.alias {
                        // cmd/a, id 1, alias 1, no payload.
                        let text = b"cmd/a";
                        let mut packet = vec![0x32, 2 + 5 + 2 + 1 + 3, 0, 5];
                        packet.extend(text);
                        packet.extend([0, 1, 3, 0x23, 0, 1]);
                        writer.write_all(&packet).await?;
                    }
                    for n in 1..=script.commands {
                        writer.write_all(&command(n)).await?;
                    }
                    if let Some(bytes) = script.large {
                        writer.write_all(&large(bytes)).await?;
                    }
                }
                answer
            }
            12 => {
                log.pings.fetch_add(1, Ordering::Relaxed);
                writer.lock().await.write_all(&[0xd0, 0]).await?;
                continue;
            }
            14 => {
                log.disconnects.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            _ => return Ok(()),
        };
        match answer {
            Answer::Cut => return Ok(()),
            Answer::Disconnect(code) => {
                return writer.lock().await.write_all(&[0xe0, 2, code, 0]).await;
            }
            Answer::Ack(_) | Answer::Hold | Answer::Ignore => {}
        }
    }
    drop(chatter);
    Ok(())
}

fn chat(writer: &Writer, every: Duration) -> Chatter {
    let writer = Arc::clone(writer);
    Chatter(tokio::spawn(async move {
        while writer.lock().await.write_all(&[0xd0, 0]).await.is_ok() {
            tokio::time::sleep(every).await;
        }
    }))
}

fn publish(connection: usize, body: &[u8]) -> Seen {
    let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let id = u16::from_be_bytes([body[2 + topic], body[3 + topic]]);
    let (properties, length_bytes) = varint(&body[4 + topic..]);
    let payload = &body[4 + topic + length_bytes + properties..];
    Seen {
        connection,
        id,
        topic: String::from_utf8_lossy(&body[2..2 + topic]).into_owned(),
        payload: String::from_utf8_lossy(payload).into_owned(),
    }
}

/// Command number `n` as a PUBLISH with QoS 1.
fn command(n: usize) -> Vec<u8> {
    let (topic, payload) = (b"cmd/test", n.to_string().into_bytes());
    let [high, low] = u16::try_from(n).expect("not so many").to_be_bytes();
    let length = 2 + topic.len() + 2 + 1 + payload.len();
    let mut packet = vec![0x32, u8::try_from(length).expect("a short packet")];
    packet.extend([0, topic.len() as u8]);
    packet.extend(topic);
    packet.extend([high, low, 0]);
    packet.extend(payload);
    packet
}

/// A command with a payload of so many spaces, and an id that no other has.
fn large(bytes: usize) -> Vec<u8> {
    let topic = b"cmd/test";
    let mut length = 2 + topic.len() + 2 + 1 + bytes;
    let mut packet = vec![0x32];
    while length > 0x7f {
        packet.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    packet.extend([length as u8, 0, topic.len() as u8]);
    packet.extend(topic);
    packet.extend([0xff, 0, 0]);
    packet.resize(packet.len() + bytes, b' ');
    packet
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

async fn packet(stream: &mut OwnedReadHalf) -> std::io::Result<(u8, Vec<u8>)> {
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
