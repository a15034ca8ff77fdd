//! `kakou watchlist publish`: editions to boxes, and what they ask back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use clap::Args;
use kakou_contract::{
    AuditEvent, AuditMessage, Committed, Cursor, Edition, Envelope, Filter, Held, Keep, Message,
    Priority, Sequence, StatusMessage, Topic,
};
use kakou_delivery::Package;
use kakou_time::SystemClock;
use kakou_uplink::{
    Drain, Received, Store, StoreError, Subscriber, SubscriberConfig, SubscriberEvent, Uplink,
    UplinkConfig,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::box_name::BoxName;
use super::broker::BrokerArgs;
use super::common::print_line;
use super::table::clean;

/// How long a broker may take to answer, and to take what was sent.
const ANSWER: Duration = Duration::from_secs(10);
const TAKES: Duration = Duration::from_secs(120);
/// While the way to the broker has no room.
const PAUSE: Duration = Duration::from_millis(20);
/// The largest edition file.
const LARGEST: u64 = kakou_contract::EDITION_PACKED_MAX + (1 << 20);

#[derive(Debug, Args)]
pub struct Publish {
    /// Editions that `sign` wrote: the newest, and any before it that a box may lack.
    #[arg(required = true)]
    editions: Vec<PathBuf>,
    #[command(flatten)]
    broker: BrokerArgs,
    /// The boxes, each as SITE/AGENT.
    #[arg(
        long,
        value_name = "SITE/AGENT",
        required = true,
        value_delimiter = ','
    )]
    to: Vec<BoxName>,
    /// Wait so long until each box says that it uses the newest edition, and send what boxes ask
    /// for meanwhile. Exit code 1 if one does not. 0: only send.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

/// Nothing waits on a disk here: all is sent from memory.
struct Empty(watch::Sender<[u64; 4]>);

impl Store for Empty {
    async fn fetch(
        &self,
        _: Cursor,
        _: &[Priority],
        _: usize,
        _: usize,
    ) -> Result<Vec<Committed>, StoreError> {
        Ok(Vec::new())
    }
    async fn acked(&self, _: u64) -> Result<(), StoreError> {
        Ok(())
    }
    async fn hold(&self, _: u64, _: Held, _: String) -> Result<(), StoreError> {
        Ok(())
    }
    async fn release(&self, _: Held, _: usize) -> Result<usize, StoreError> {
        Ok(0)
    }
    async fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }
    fn committed(&self) -> watch::Receiver<[u64; 4]> {
        self.0.subscribe()
    }
}

/// An edition that can be sent: the same messages to each box.
struct Ready {
    edition: Edition,
    payloads: Vec<Bytes>,
}

pub fn publish(args: &Publish) -> anyhow::Result<ExitCode> {
    let mut editions = Vec::new();
    for file in &args.editions {
        let read = || -> anyhow::Result<Ready> {
            let bytes = kakou_guard::file::read_bounded(file, LARGEST)?;
            let (package, edition) = Package::from_bytes(&bytes)?;
            let chunks = package.chunks(&edition);
            let written = chunks.iter().map(|c| Ok(serde_json::to_vec(c)?.into()));
            let payloads = written.collect::<anyhow::Result<_>>()?;
            Ok(Ready { edition, payloads })
        };
        let what = || {
            let file = file.display();
            format!("{file} cannot be sent as an edition; `kakou watchlist sign` makes one")
        };
        editions.push(read().with_context(what)?);
    }
    editions.sort_by_key(|ready| ready.edition.version);
    let list = editions.first().map(|ready| ready.edition.list.clone());
    ensure!(
        editions
            .iter()
            .all(|r| Some(&r.edition.list) == list.as_ref()),
        "the editions are of several lists; publish one list after the other"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(send(args, &editions))
}

async fn send(args: &Publish, editions: &[Ready]) -> anyhow::Result<ExitCode> {
    let Some(last) = editions.last() else {
        bail!("there is no edition to publish");
    };
    let newest = &last.edition;
    let address = args.broker.address()?;
    let filters = args.to.iter().flat_map(|to| {
        let of = |filter: Filter| filter.at(to.site.clone()).of(to.agent.clone()).to_string();
        [of(Filter::audit()), of(Filter::status())]
    });
    let heard = SubscriberConfig {
        tls: args.broker.tls()?,
        ..SubscriberConfig::new(filters)
    };
    let mut subscriber = match args.wait {
        0 => None,
        _ => {
            let mut subscriber = Subscriber::connect(address.clone(), heard);
            subscriber.subscribed(ANSWER).await?;
            Some(subscriber)
        }
    };
    let id = format!("kakou-publish-{}", uuid::Uuid::now_v7().simple());
    let config = UplinkConfig {
        tls: args.broker.tls()?,
        ..UplinkConfig::new(vec![address], id)
    };
    let store = Empty(watch::Sender::new([0; 4]));
    let uplink = Uplink::start(config, store, Arc::new(SystemClock::new()));
    uplink.connected(ANSWER).await?;
    // The newest alone: whoever lacks one before it says so.
    for to in &args.to {
        put(&uplink, to, last, 1..=newest.chunks()).await?;
    }
    let mut left: BTreeSet<BoxName> = args.to.iter().cloned().collect();
    let mut said: BTreeMap<BoxName, String> = BTreeMap::new();
    let until = Instant::now() + Duration::from_secs(args.wait);
    while let (Some(subscriber), false) = (&mut subscriber, left.is_empty()) {
        let Ok(event) = timeout_at(until, subscriber.recv()).await else {
            break;
        };
        let Some(SubscriberEvent::Message(received)) = event else {
            ensure!(event.is_some(), "the connection task ended unexpectedly");
            continue;
        };
        match word(&received, newest) {
            Some((to, Word::Uses)) if left.remove(&to) => {
                print_line(&format!("{to}: version {} is in use", newest.version))?;
            }
            Some((to, Word::Wants(wanted))) => {
                for (ready, chunks) in wanted.answer(editions) {
                    put(&uplink, &to, ready, chunks).await?;
                }
            }
            Some((to, Word::Refused(why))) => drop(said.insert(to, why)),
            _ => {}
        }
    }
    let sent = uplink.finish(Drain::InFlight, None, TAKES).await;
    sent.context("not everything reached the broker")?;
    if args.wait == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    for to in &left {
        let why = said.get(to).map_or("it has not said why", String::as_str);
        eprintln!("kakou: {to} does not use version {}: {why}", newest.version);
    }
    Ok(match left.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

async fn put(
    uplink: &Uplink,
    to: &BoxName,
    Ready { edition, payloads }: &Ready,
    chunks: impl IntoIterator<Item = u32>,
) -> anyhow::Result<()> {
    let topic = Topic::List {
        site: to.site.clone(),
        agent: to.agent.clone(),
        list: edition.list.clone(),
    };
    for (chunk, payload) in chunks.into_iter().filter_map(|n| {
        let at = usize::try_from(n).ok()?.checked_sub(1)?;
        Some((n, payloads.get(at)?))
    }) {
        let envelope = Envelope {
            priority: Priority::Control,
            keep: Keep::Control,
            id: format!("{}/{}/{}", edition.list, edition.version, chunk),
            topic: topic.to_string(),
            content_type: Some("application/json".to_owned()),
            user_properties: Vec::new(),
            correlation: None,
            retain: false,
            captured_ms: None,
            numbered: false,
            payload: payload.clone(),
        };
        let until = Instant::now() + TAKES;
        while !uplink.direct(envelope.clone()) {
            ensure!(
                Instant::now() < until,
                "the broker took nothing for {} s",
                TAKES.as_secs()
            );
            sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// What a box said that concerns a list.
enum Word {
    Uses,
    Refused(String),
    Wants(Asked),
}

struct Asked {
    have: Option<Sequence>,
    version: Option<Sequence>,
    chunks: Vec<[u64; 2]>,
}

impl Asked {
    /// Which chunks of which editions answer it.
    fn answer<'a>(&self, editions: &'a [Ready]) -> Vec<(&'a Ready, Vec<u32>)> {
        let every = |ready: &'a Ready| (ready, (1..=ready.edition.chunks()).collect());
        if let Some(version) = self.version
            && let Some(ready) = editions.iter().find(|r| r.edition.version == version)
        {
            let wanted = |n: &u32| {
                let n = u64::from(*n);
                self.chunks.iter().any(|[a, b]| (*a..=*b).contains(&n))
            };
            let chunks = (1..=ready.edition.chunks()).filter(wanted).collect();
            return vec![(ready, chunks)];
        }
        // Changes one after the other from what it has, else the newest whole list and what
        // changed since.
        let mut at = self.have;
        let after = |at: Option<Sequence>| {
            let next = |r: &&Ready| r.edition.base.is_some() && r.edition.base == at;
            editions.iter().find(next)
        };
        let mut answer = Vec::new();
        if after(at).is_none() {
            let whole = |r: &&Ready| r.edition.base.is_none() && Some(r.edition.version) > at;
            let Some(whole) = editions.iter().rev().find(whole) else {
                return answer;
            };
            at = Some(whole.edition.version);
            answer.push(every(whole));
        }
        while let Some(next) = after(at) {
            at = Some(next.edition.version);
            answer.push(every(next));
        }
        answer
    }
}

fn word(received: &Received, newest: &Edition) -> Option<(BoxName, Word)> {
    let topic: Topic = received.topic.parse().ok()?;
    let to = BoxName {
        site: topic.site().clone(),
        agent: topic.agent().clone(),
    };
    let newest_version = newest.version.to_string();
    let is_newest =
        |list: &str, version: &str| list == newest.list.as_str() && version == newest_version;
    let word = match topic {
        Topic::Status { .. } => {
            let status = StatusMessage::from_json(&received.payload).ok()?;
            let lists = status.watchlist?.lists;
            let uses = lists.iter().any(|l| {
                let version = l.version.as_deref().unwrap_or_default();
                is_newest(&l.name, version)
            });
            uses.then_some(Word::Uses)?
        }
        Topic::Audit { .. } => match AuditMessage::from_json(&received.payload).ok()?.event {
            AuditEvent::Watchlist { list, version, .. } => {
                is_newest(&list, &version).then_some(Word::Uses)?
            }
            AuditEvent::ListRefused { list, detail, .. } if list == newest.list => {
                Word::Refused(clean(&detail))
            }
            AuditEvent::ListWanted {
                list,
                have,
                version,
                chunks,
            } if list == newest.list => Word::Wants(Asked {
                have,
                version,
                chunks,
            }),
            _ => return None,
        },
        _ => return None,
    };
    Some((to, word))
}
