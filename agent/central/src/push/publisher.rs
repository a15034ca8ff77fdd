//! A standing MQTT connection that publishes one message after the other.
//!
//! It connects before anything is to be published, and again after every loss, so that a red hit
//! waits for no handshake. What is asked while there is no connection is answered with the reason at
//! once. One message is on its way at a time: an acknowledgement can only be that one's.

use std::time::Duration;

use kakou_uplink::{Backoff, BrokerAddress, Call, CallEvent, Caller, CallerConfig, TlsFiles};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const CONNECT: Duration = Duration::from_secs(10);
const ACKNOWLEDGED: Duration = Duration::from_secs(10);
/// Nothing is listened to.
const MAX_PACKET: u32 = 64 << 10;
const QUEUE: usize = 64;

/// The broker, for hits to recipients and commands to agents.
#[derive(Debug, Clone)]
pub struct PushBroker {
    /// Tried one after the other.
    pub brokers: Vec<BrokerAddress>,
    pub tls: TlsFiles,
    /// Each connection adds its purpose and a random part.
    pub client_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Published {
    Taken,
    /// The broker has nobody to give it to, and forgot it.
    NobodyListens,
    Refused(String),
    /// It was not sent.
    NoConnection(String),
    /// The connection ended over it. It may have been taken, or not.
    Lost(String),
}

type Order = (Call, oneshot::Sender<Published>);

/// Dropping it ends the connection.
#[derive(Debug)]
pub(super) struct Publisher {
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Publisher {
    /// Must be called within a tokio runtime.
    pub(super) fn connect(broker: &PushBroker, purpose: &str) -> Self {
        let (orders, queue) = mpsc::channel(QUEUE);
        let broker = broker.clone();
        let purpose = purpose.to_owned();
        let task = tokio::spawn(run(broker, purpose, queue));
        Self { orders, task }
    }

    pub(super) async fn publish(&self, call: Call) -> Published {
        let ended = || Published::NoConnection("the connection's task has ended".to_owned());
        let (tell, answer) = oneshot::channel();
        if self.orders.send((call, tell)).await.is_err() {
            return ended();
        }
        answer.await.unwrap_or_else(|_| ended())
    }
}

async fn run(broker: PushBroker, purpose: String, mut queue: mpsc::Receiver<Order>) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    loop {
        let why = match connect(&broker, &purpose).await {
            Ok(caller) => {
                backoff.reset();
                match serve(caller, &mut queue).await {
                    Some(why) => why,
                    None => return,
                }
            }
            Err(why) => why,
        };
        tracing::warn!(%purpose, %why, "no connection to the broker");
        let pause = sleep(backoff.wait());
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                order = queue.recv() => match order {
                    None => return,
                    Some((_, tell)) => {
                        // Who asked may have gone.
                        let _ = tell.send(Published::NoConnection(why.clone()));
                    }
                },
            }
        }
    }
}

async fn connect(broker: &PushBroker, purpose: &str) -> Result<Caller, String> {
    let mut why = "no broker is configured".to_owned();
    for address in &broker.brokers {
        let config = CallerConfig {
            client_id: format!(
                "{}-{purpose}-{}",
                broker.client_id,
                uuid::Uuid::now_v7().simple()
            ),
            filters: Vec::new(),
            max_packet: MAX_PACKET,
            tls: broker.tls.clone(),
        };
        match Caller::connect(address.clone(), config, CONNECT).await {
            Ok(caller) => return Ok(caller),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

/// One connection; why it ended. `None`: nobody publishes any more.
async fn serve(mut caller: Caller, queue: &mut mpsc::Receiver<Order>) -> Option<String> {
    loop {
        let (call, tell) = tokio::select! {
            order = queue.recv() => match order {
                Some(order) => order,
                None => {
                    caller.close().await;
                    return None;
                }
            },
            // Keeps the connection alive; nothing else is expected.
            event = caller.next() => match event {
                Ok(_) => continue,
                Err(error) => return Some(error.to_string()),
            },
        };
        let published = publish(&mut caller, &call).await;
        let lost = match &published {
            Published::Lost(why) => Some(why.clone()),
            _ => None,
        };
        // Who asked may have gone.
        let _ = tell.send(published);
        if lost.is_some() {
            return lost;
        }
    }
}

async fn publish(caller: &mut Caller, call: &Call) -> Published {
    let acknowledged = async {
        caller.send(call)?;
        loop {
            match caller.next().await? {
                CallEvent::Taken => return Ok(Published::Taken),
                CallEvent::NobodyListens => return Ok(Published::NobodyListens),
                CallEvent::NotTaken { why, .. } => return Ok(Published::Refused(why)),
                CallEvent::Message(_) => {}
            }
        }
    };
    match timeout(ACKNOWLEDGED, acknowledged).await {
        Ok(Ok(published)) => published,
        Ok(Err::<_, kakou_uplink::CallError>(error)) => Published::Lost(error.to_string()),
        Err(_) => {
            let within = ACKNOWLEDGED.as_secs();
            Published::Lost(format!("the broker acknowledged nothing within {within} s"))
        }
    }
}
