//! What the uplink is told when it starts.

use std::sync::Arc;
use std::time::Duration;

use kakou_contract::Envelope;

use super::address::BrokerAddress;
use super::link::{Habits, LinkOptions};
use super::tls::{Login, TlsFiles};
use super::twin::TwinWatch;

#[derive(Clone)]
pub struct UplinkConfig {
    /// Tried in this order; the first one is gone back to.
    pub brokers: Vec<BrokerAddress>,
    pub tls: TlsFiles,
    pub login: Option<Login>,
    /// Must differ from every other client's: a broker throws out the older of two with the same
    /// id.
    pub client_id: String,
    /// Messages sent and not yet acknowledged. The broker's receive maximum lowers it.
    pub window: u16,
    /// Bytes of them; on a slow link as many as it delivers in a second.
    pub window_bytes: usize,
    /// The largest packet sent. The broker's own maximum lowers it.
    pub max_packet: u32,
    /// Bytes a second, at most.
    pub bandwidth: Option<u64>,
    pub keep_alive: Duration,
    pub connect_timeout: Duration,
    /// With messages in flight and no sign of the broker for this long, and what the largest of
    /// them takes on a slow link, the connection counts as lost. A half-open connection would else
    /// hold them until TCP gives up, a quarter of an hour.
    pub answer_timeout: Duration,
    pub backoff_first: Duration,
    pub backoff_most: Duration,
    /// How long after taking to another broker it is looked whether one before it in the list is
    /// back; twelve times that at most, where it did not let us stay.
    pub return_after: Duration,
    /// What was captured longer ago than this is marked as late.
    pub late_after: Duration,
    /// Makes the last will; anew for each connection. It is published as well when a broker is left
    /// for another, so that no "online" stays there. `None`: this time there is none.
    pub will: Option<Arc<dyn Fn() -> Option<Envelope> + Send + Sync>>,
    /// Where commands come.
    pub commands: Option<String>,
    /// Where lists come; asked for only beside commands.
    pub lists: Option<String>,
    /// How another client under our identity is known.
    pub twin: Option<TwinWatch>,
    /// How long the broker keeps commands for an agent that is away.
    pub session_expiry: Duration,
}

impl UplinkConfig {
    pub fn new(brokers: Vec<BrokerAddress>, client_id: impl Into<String>) -> Self {
        Self {
            brokers,
            tls: TlsFiles::default(),
            login: None,
            client_id: client_id.into(),
            window: 4096,
            window_bytes: 4 << 20,
            max_packet: 8 << 20,
            bandwidth: None,
            keep_alive: Duration::from_secs(30),
            // TCP, TLS and CONNACK are five round trips, and a mobile link may take a second for
            // each.
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(20),
            backoff_first: Duration::from_millis(200),
            backoff_most: Duration::from_secs(30),
            return_after: Duration::from_secs(300),
            late_after: Duration::from_secs(60),
            will: None,
            commands: None,
            lists: None,
            twin: None,
            session_expiry: Duration::from_secs(3600),
        }
    }
}

/// The largest packet taken from the broker: a request has 16 KiB, its properties as much again; a
/// chunk of a list has 48 KiB.
const LARGEST_COMMAND: u32 = 64 << 10;
/// Commands sent by the broker and not yet handed to the agent.
pub(crate) const COMMANDS_OPEN: u16 = 32;

impl UplinkConfig {
    /// What a link to this broker needs. Secrets are read anew each time, so that a renewed one is
    /// used; it reads files, so it is called where that may take its time.
    pub(crate) fn link(
        &self,
        address: BrokerAddress,
        habits: Habits,
    ) -> Result<LinkOptions, String> {
        let tls = match (&address.tls, &self.tls) {
            (false, _) => None,
            (true, tls) => Some(tls.client_config().map_err(|e| e.to_string())?),
        };
        let mut address = address;
        if address.user.is_none()
            && let Some(login) = &self.login
        {
            address.user = Some(login.user().map_err(|e| e.to_string())?);
        }
        Ok(LinkOptions {
            address,
            client_id: self.client_id.clone(),
            keep_alive: self.keep_alive,
            connect_timeout: self.connect_timeout,
            max_packet: LARGEST_COMMAND,
            window: self.window,
            keep_session: self.commands.as_ref().map(|_| self.session_expiry),
            tls,
            will: self.will.as_ref().and_then(|make| make()),
            habits,
            unacknowledged: self.commands.as_ref().map(|_| COMMANDS_OPEN),
        })
    }
}
