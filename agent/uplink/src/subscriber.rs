//! The central side: subscribes, and subscribes again on every connection, for ever.
//!
//! Policy of the queue towards the reader: it blocks. A reader that is slow slows the broker down,
//! and nothing is dropped here; what the broker does with what it cannot pass on is the broker's
//! setting.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::address::BrokerAddress;
use super::backoff::Backoff;
use super::error::Error;
use super::link::{Habits, Link, LinkEvent, LinkOptions, Loss, NotGranted};
use super::message::Received;
use super::tls::TlsFiles;

#[derive(Debug, Clone)]
pub struct SubscriberConfig {
    pub client_id: String,
    /// Topic filters; best without overlap, or a broker may send a message once for each.
    pub filters: Vec<String>,
    /// Some: the broker keeps what arrives while this subscriber is away, for that long. The client
    /// id must then stay the same.
    pub keep_session: Option<Duration>,
    pub max_packet: u32,
    pub keep_alive: Duration,
    pub connect_timeout: Duration,
    pub backoff_first: Duration,
    pub backoff_most: Duration,
    /// Events between the connection and the reader.
    pub queue: usize,
    /// For `mqtts://`: who may vouch for the broker, and who we are.
    pub tls: TlsFiles,
}

impl SubscriberConfig {
    pub fn new(filters: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            client_id: format!("kakou-watch-{}", uuid::Uuid::now_v7().simple()),
            filters: filters.into_iter().map(Into::into).collect(),
            keep_session: None,
            max_packet: 16 << 20,
            keep_alive: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            backoff_first: Duration::from_millis(200),
            backoff_most: Duration::from_secs(15),
            queue: 64,
            tls: TlsFiles::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriberEvent {
    /// The broker confirmed the subscriptions: from now on nothing is missed.
    Subscribed,
    /// The broker does not allow this filter.
    Refused {
        filter: String,
        why: String,
    },
    Message(Received),
    /// The connection, or a try for one, ended; the next one comes by itself.
    Lost {
        why: String,
    },
}

/// Dropping it ends the connection.
#[derive(Debug)]
pub struct Subscriber {
    broker: String,
    events: mpsc::Receiver<SubscriberEvent>,
    task: JoinHandle<()>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subscriber {
    /// Starts connecting in the background; must be called within a tokio runtime.
    pub fn connect(address: BrokerAddress, config: SubscriberConfig) -> Self {
        let broker = address.to_string();
        let (tell, events) = mpsc::channel(config.queue.max(1));
        let options = LinkOptions {
            address,
            client_id: config.client_id,
            keep_alive: config.keep_alive,
            connect_timeout: config.connect_timeout,
            max_packet: config.max_packet,
            window: 1,
            keep_session: config.keep_session,
            // Read for each connection, below; without it an `mqtts://` address is not dialled.
            tls: None,
            will: None,
            habits: Habits::default(),
            // The next poll comes when the reader has taken this one, and rumqttc acknowledges
            // there.
            unacknowledged: None,
        };
        let backoff = Backoff::new(config.backoff_first, config.backoff_most);
        let task = tokio::spawn(run(options, config.tls, config.filters, backoff, tell));
        Self {
            broker,
            events,
            task,
        }
    }

    /// The next event; None only when the connection task has ended. May be cancelled.
    pub async fn recv(&mut self) -> Option<SubscriberEvent> {
        self.events.recv().await
    }

    /// What is there already.
    pub fn try_recv(&mut self) -> Option<SubscriberEvent> {
        self.events.try_recv().ok()
    }

    /// Waits until the broker confirmed the subscriptions, so that what is published afterwards is
    /// seen. Messages that come before, retained ones for example, are passed over.
    pub async fn subscribed(&mut self, within: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + within;
        let mut why = "still connecting".to_owned();
        loop {
            match timeout_at(deadline, self.recv()).await {
                Ok(Some(SubscriberEvent::Subscribed)) => return Ok(()),
                Ok(Some(SubscriberEvent::Lost { why: lost })) => why = lost,
                Ok(Some(SubscriberEvent::Refused {
                    filter,
                    why: refused,
                })) => why = format!("{filter}: {refused}"),
                Ok(Some(SubscriberEvent::Message(_))) => {}
                Ok(None) => {
                    return Err(Error::Stopped {
                        broker: self.broker.clone(),
                    });
                }
                Err(_) => {
                    return Err(Error::Unreachable {
                        broker: self.broker.clone(),
                        within,
                        why,
                    });
                }
            }
        }
    }
}

async fn run(
    mut options: LinkOptions,
    tls: TlsFiles,
    filters: Vec<String>,
    mut backoff: Backoff,
    tell: mpsc::Sender<SubscriberEvent>,
) {
    loop {
        let loss = match prove(&mut options, &tls).await {
            Ok(()) => {
                let mut link = Link::open(&options);
                match connection(&mut link, &filters, &mut backoff, &tell).await {
                    Ok(()) => return,
                    Err(loss) => loss,
                }
            }
            Err(loss) => loss,
        };
        if tell
            .send(SubscriberEvent::Lost { why: loss.why })
            .await
            .is_err()
        {
            return;
        }
        tokio::time::sleep(backoff.wait()).await;
    }
}

/// Gets ready to ask the broker who it is, where its address says TLS. Certificates are files: they
/// are read where that may take its time.
pub(crate) async fn prove(options: &mut LinkOptions, tls: &TlsFiles) -> Result<(), Loss> {
    if !options.address.tls {
        return Ok(());
    }
    let tls = tls.clone();
    let read = tokio::task::spawn_blocking(move || tls.client_config()).await;
    let config = read.map_err(|e| Loss::tls(e.to_string()))?;
    options.tls = Some(config.map_err(|e| Loss::tls(e.to_string()))?);
    Ok(())
}

/// The filters that the broker refuses, each with the reason. One that is not granted for the moment
/// ends the connection and is asked for anew on the next: on this one its messages would never come.
pub(crate) fn refused(
    filters: &[String],
    answers: Vec<Result<(), NotGranted>>,
) -> Result<Vec<(String, String)>, Loss> {
    let mut refused = Vec::new();
    for (filter, answer) in filters.iter().zip(answers) {
        match answer {
            Ok(()) => {}
            Err(refusal) if refusal.may_pass_later => {
                let why = format!("{filter} was not granted: {}", refusal.why);
                return Err(Loss::new(why));
            }
            Err(refusal) => refused.push((filter.clone(), refusal.why)),
        }
    }
    Ok(refused)
}

/// Where nothing is granted, there is nothing to stay for.
pub(crate) fn any_granted(filters: &[String], refused: usize) -> Result<(), Loss> {
    match refused == filters.len() {
        true => Err(Loss::new("the broker refused every subscription")),
        false => Ok(()),
    }
}

/// One connection. Ok: nobody listens any more.
async fn connection(
    link: &mut Link,
    filters: &[String],
    backoff: &mut Backoff,
    tell: &mpsc::Sender<SubscriberEvent>,
) -> Result<(), Loss> {
    loop {
        let event = match link.event().await? {
            LinkEvent::Up(_) => {
                if !link.subscribe(filters) {
                    return Err(Loss::new("the subscription could not be sent"));
                }
                continue;
            }
            LinkEvent::Subscribed(answers) => {
                let refused = refused(filters, answers)?;
                let count = refused.len();
                for (filter, why) in refused {
                    if tell
                        .send(SubscriberEvent::Refused { filter, why })
                        .await
                        .is_err()
                    {
                        return Ok(());
                    }
                }
                any_granted(filters, count)?;
                backoff.reset();
                SubscriberEvent::Subscribed
            }
            LinkEvent::Message(message, _) => SubscriberEvent::Message(message),
            _ => continue,
        };
        if tell.send(event).await.is_err() {
            return Ok(());
        }
    }
}
