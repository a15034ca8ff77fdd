//! The brokers: whether they let us in, until when their certificates hold, and what the agent may
//! do there.

use std::time::Duration;

use kakou_contract::{EvidenceRole, Filter, Id, Level, SignalKind, Topic};
use kakou_time::{Clock, SharedClock};
use kakou_uplink::{Answer, BrokerAddress, NoEntry, Rights, Step, Tried, UplinkConfig, try_rights};

use super::finding::{Area, Finding};
use crate::config::{BrokerConfig, Config};

/// A certificate that ends so soon should be renewed now.
const SOON_DAYS: i64 = 30;

pub(super) fn examine(
    config: &Config,
    within: Duration,
    clock: &SharedClock,
    tell: &mut dyn FnMut(Finding),
) {
    let Some(broker) = &config.broker else {
        return tell(
            Finding::warning(Area::Broker, "the config names none, so nothing is sent")
                .mend("write [broker] and url = \"mqtts://HOST\" below it"),
        );
    };
    let (Ok(site), Ok(agent)) = (
        Id::new("site", config.site.as_str()),
        Id::new("agent", config.agent.as_str()),
    ) else {
        // The config's own check has told it.
        return;
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => {
            return tell(
                Finding::fault(Area::Broker, format!("no network here: {e}"))
                    .mend("see what uses up this machine: ulimit -a"),
            );
        }
    };
    let uplink = broker.uplink(format!("kakou-{site}-{agent}"));
    let rights = rights(config, &site, &agent);
    let tried: Vec<(&BrokerAddress, Result<Tried, NoEntry>)> = broker
        .addresses
        .iter()
        .map(|address| (address, ask(&runtime, &uplink, address, &rights, within)))
        .collect();
    let one_works = tried.iter().any(|(_, tried)| tried.is_ok());
    for (address, tried) in tried {
        let found = match tried {
            Ok(tried) => let_in(address, &tried, broker, &(&site, &agent), &**clock),
            Err(e) => vec![no_entry(address, &e, one_works)],
        };
        for finding in found {
            tell(finding.about(address.to_string()));
        }
    }
}

fn ask(
    runtime: &tokio::runtime::Runtime,
    uplink: &UplinkConfig,
    address: &BrokerAddress,
    rights: &Rights,
    within: Duration,
) -> Result<Tried, NoEntry> {
    // Looking up a name has no end of its own.
    let tried = async {
        let all = try_rights(uplink, address, rights, within);
        tokio::time::timeout(within + Duration::from_secs(1), all).await
    };
    runtime.block_on(tried).unwrap_or_else(|_| {
        Err(NoEntry {
            step: Step::Network,
            why: "no answer in time".to_owned(),
        })
    })
}

/// One topic of each family that this agent publishes on or listens to.
fn rights(config: &Config, site: &Id, agent: &Id) -> Rights {
    let (site_of, agent_of) = (|| site.clone(), || agent.clone());
    let mut publish = vec![
        Topic::Status {
            site: site_of(),
            agent: agent_of(),
        },
        Topic::Audit {
            site: site_of(),
            agent: agent_of(),
        },
        Topic::Result {
            site: site_of(),
            agent: agent_of(),
        },
        Topic::Evidence {
            site: site_of(),
            agent: agent_of(),
            passage: uuid::Uuid::nil(),
            role: EvidenceRole::Frame,
        },
    ];
    for camera in config.cameras.iter().filter(|c| c.source.is_some()) {
        let Ok(camera) = Id::new("camera", camera.id.as_str()) else {
            continue;
        };
        publish.push(Topic::Passage {
            site: site_of(),
            agent: agent_of(),
            camera: camera.clone(),
        });
        if !config.watchlist.is_empty() {
            publish.push(Topic::Hit {
                site: site_of(),
                agent: agent_of(),
                level: Level::Red,
                camera: camera.clone(),
            });
        }
        if let Some(kind) = config.signals.kinds.first() {
            let kind: SignalKind = *kind;
            publish.push(Topic::Signal {
                site: site_of(),
                agent: agent_of(),
                kind,
                camera,
            });
        }
    }
    let mut subscribe = vec![Filter::commands(site_of(), agent_of()).to_string()];
    if config.hears_lists() {
        subscribe.push(Filter::lists(site_of(), agent_of()).to_string());
    }
    Rights {
        publish: publish.iter().map(ToString::to_string).collect(),
        subscribe,
    }
}

fn no_entry(address: &BrokerAddress, error: &NoEntry, another_works: bool) -> Finding {
    let why = error.why.as_str();
    let mend = match error.step {
        Step::Files => "put the file there and give it to the agent's user",
        Step::Network if address.tls => {
            "is the broker on, is the address right, does a firewall let port and protocol through?"
        }
        Step::Network if why.contains("reset") || why.contains("closed") => {
            "is this the port for TLS? Then write mqtts://"
        }
        Step::Network => {
            "is the broker on, is the address right, does a firewall let the port through?"
        }
        Step::Tls
            if ["eof", "reset", "speak TLS"]
                .iter()
                .any(|w| why.contains(w)) =>
        {
            "is this the port for TLS? It is 8883 mostly; without TLS write mqtt://"
        }
        Step::Tls => {
            "give [broker] ca the authority of the broker's certificate, and use the name that \
             stands in it"
        }
        Step::Login => "correct [broker] user and password_file, or let the user in at the broker",
    };
    let message = format!("no connection: {why}");
    match another_works {
        true => Finding::warning(Area::Broker, message).mend(mend),
        false => Finding::fault(Area::Broker, message).mend(mend),
    }
}

fn let_in(
    address: &BrokerAddress,
    tried: &Tried,
    broker: &BrokerConfig,
    (site, agent): &(&Id, &Id),
    clock: &dyn Clock,
) -> Vec<Finding> {
    let user = address
        .user
        .as_ref()
        .map(|user| user.name.as_str())
        .or(broker.login.as_ref().map(|login| login.user.as_str()));
    let who = user.map_or("without a user".to_owned(), |user| format!("as `{user}`"));
    let mut found = vec![certificate(address, tried, &who, clock)];
    if !tried.retain {
        found.push(
            Finding::warning(
                Area::Broker,
                "it keeps no retained messages, so who subscribes later does not see the status",
            )
            .mend("let it keep retained messages"),
        );
    }
    let mut allowed = Vec::new();
    for right in &tried.rights {
        let (verb, access) = match right.is_publish {
            true => ("publish on", "write"),
            false => ("listen to", "read"),
        };
        let topic = &right.topic;
        match &right.answer {
            Answer::Allowed => allowed.push(right),
            Answer::Denied(why) => found.push(
                Finding::fault(Area::Topics, format!("may not {verb} {topic}: {why}")).mend(
                    format!(
                        "give this user {access} on {} at the broker",
                        match right.is_publish {
                            true => format!("kakou/v1/{site}/{agent}/#"),
                            false => topic.clone(),
                        }
                    ),
                ),
            ),
            Answer::Untried(why) => found.push(
                Finding::warning(
                    Area::Topics,
                    format!("could not try to {verb} {topic}: {why}"),
                )
                .mend("try again; else see the broker's log"),
            ),
        }
    }
    let (writes, reads): (Vec<_>, Vec<_>) = allowed.into_iter().partition(|r| r.is_publish);
    if !writes.is_empty() || !reads.is_empty() {
        let heard: Vec<&str> = reads.iter().map(|r| r.topic.as_str()).collect();
        let heard = match heard.is_empty() {
            true => String::new(),
            // Mosquitto and others judge each message, not the subscription.
            false => format!(
                "; the subscription to {} is taken (a broker may still withhold messages)",
                heard.join(", ")
            ),
        };
        let message = format!("may publish on {} topics{heard}", writes.len());
        found.push(Finding::ok(Area::Topics, message));
    }
    found
}

fn certificate(address: &BrokerAddress, tried: &Tried, who: &str, clock: &dyn Clock) -> Finding {
    if !address.tls {
        return Finding::ok(Area::Broker, format!("connected {who}, without TLS"));
    }
    let Some(dates) = tried.server else {
        return Finding::ok(Area::Broker, format!("connected {who}, by TLS"));
    };
    let day = dates.not_after.format("%Y-%m-%d");
    let message = format!("connected {who}, by TLS; its certificate holds until {day}");
    let left = dates.not_after.signed_duration_since(clock.wall());
    match left < chrono::TimeDelta::days(SOON_DAYS) {
        true => Finding::warning(Area::Broker, message).mend("renew the broker's certificate"),
        false => Finding::ok(Area::Broker, message),
    }
}
