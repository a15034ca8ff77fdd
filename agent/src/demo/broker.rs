//! An MQTT 5 broker in this process, on 127.0.0.1 and a free port.
//!
//! For the demo and for tests only: rumqttd keeps everything in memory, cannot be stopped, and
//! knows neither users nor TLS. Its threads end with the process.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rumqttd::{Config, ConnectionSettings, RouterConfig, ServerSettings};

use kakou_time::Stopwatch;
use kakou_uplink::BrokerAddress;

/// A passage with its pictures is about 300 KiB; this leaves room for full-size frames.
const MAX_PAYLOAD: usize = 8 << 20;
/// What the broker keeps of each filter before the oldest is forgotten: 8 segments of 16 MiB.
const SEGMENT_BYTES: usize = 16 << 20;
const SEGMENTS: usize = 8;
/// Another process may take the port between our choice of it and the broker's binding.
const TRIES: usize = 5;
const START_LIMIT: Duration = Duration::from_secs(5);

/// Log directives that keep the broker quiet: it reports every client that leaves as an error.
pub const LOG_DIRECTIVES: &str = "rumqttd=off";

#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("no free port on 127.0.0.1 for the embedded broker: {0}")]
    Port(#[source] io::Error),
    #[error("the embedded broker did not start on 127.0.0.1:{port}: {why}")]
    Start { port: u16, why: String },
}

/// The running broker. Dropping this handle leaves it running until the process ends.
#[derive(Debug)]
pub struct Broker {
    port: u16,
}

impl Broker {
    /// Starts a broker and returns once it accepts connections. Blocks for some milliseconds.
    pub fn start() -> Result<Self, BrokerError> {
        let mut last = None;
        for _ in 0..TRIES {
            match Self::start_once() {
                Ok(broker) => return Ok(broker),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or(BrokerError::Start {
            port: 0,
            why: "no try was made".to_owned(),
        }))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> BrokerAddress {
        BrokerAddress::new("127.0.0.1", self.port)
    }

    fn start_once() -> Result<Self, BrokerError> {
        let listen = free_port().map_err(BrokerError::Port)?;
        let port = listen.port();
        let start = |why: String| BrokerError::Start { port, why };
        let (ended, end) = mpsc::channel();
        // `start` returns only when its listener has failed, for example when the port is taken.
        thread::Builder::new()
            .name("demo-broker".to_owned())
            .spawn(move || {
                let result = rumqttd::Broker::new(config(listen)).start();
                let _ = ended.send(result.err().map(|error| error.to_string()));
            })
            .map_err(|error| start(error.to_string()))?;

        let waited = Stopwatch::start();
        while waited.elapsed() < START_LIMIT {
            let accepted = TcpStream::connect_timeout(&listen, Duration::from_millis(200)).is_ok();
            // Asked after connecting: who answered may be the process that took the port.
            match end.recv_timeout(Duration::from_millis(10)) {
                Err(mpsc::RecvTimeoutError::Timeout) if accepted => return Ok(Self { port }),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Ok(Some(why)) => return Err(start(why)),
                Ok(None) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(start("its listener ended".to_owned()));
                }
            }
        }
        Err(start(format!("it did not accept within {START_LIMIT:?}")))
    }
}

fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn config(listen: SocketAddr) -> Config {
    let server = ServerSettings {
        name: "demo-broker-v5".to_owned(),
        listen,
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 10_000,
            max_payload_size: MAX_PAYLOAD,
            max_inflight_count: 200,
            auth: None,
            external_auth: None,
            // Without it a message whose topic nobody subscribed to yet closes the connection.
            dynamic_filters: true,
        },
    };
    Config {
        router: RouterConfig {
            max_connections: 100,
            max_outgoing_packet_count: 200,
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: SEGMENTS,
            ..RouterConfig::default()
        },
        v5: Some(HashMap::from([("1".to_owned(), server)])),
        ..Config::default()
    }
}
