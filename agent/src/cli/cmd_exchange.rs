//! One request to an agent by way of the broker, and what is known when no answer comes.

use std::time::Duration;

use kakou_contract::{
    AgentState, Filter, Message, Request, ResultMessage, StatusMessage, Topic, command,
};
use kakou_time::Stopwatch;
use kakou_uplink::{BrokerAddress, CallError, CallEvent, Caller, CallerConfig, Received, TlsFiles};
use tokio::time::{Instant, timeout_at};

use super::box_name::BoxName;
use super::table::clean;

/// The largest packet taken. A picture in an answer has at most 700 KiB, a status at the bounds of
/// its lists some hundred.
const LARGEST: u32 = 2 << 20;

/// What is asked, of whom, and for how long.
pub struct Call<'a> {
    pub to: &'a BoxName,
    pub request: &'a Request,
    pub tls: &'a TlsFiles,
    pub within: Duration,
}

/// The agent has answered.
pub struct Answered {
    pub raw: Vec<u8>,
    pub answer: ResultMessage,
    /// From the question to the answer.
    pub after: Duration,
    /// What the agent sent because it was asked for its status.
    pub status: Option<(Vec<u8>, StatusMessage)>,
}

/// It has not.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// And will not until something is mended on this side.
    Config(String),
    Silence(String),
}

impl From<CallError> for Ended {
    fn from(error: CallError) -> Self {
        match error.is_lasting {
            true => Self::Config(error.to_string()),
            false => Self::Silence(error.to_string()),
        }
    }
}

/// Where the answer is to come: below the agent's own topic for results.
fn response_topic(call: &Call<'_>) -> String {
    let own = Topic::Result {
        site: call.to.site.clone(),
        agent: call.to.agent.clone(),
    };
    format!("{own}/cmd-{}", call.request.request_id.simple())
}

/// Asks by the first broker of the list that lets us in.
pub async fn exchange(brokers: &[BrokerAddress], call: &Call<'_>) -> Result<Answered, Ended> {
    let until = Instant::now() + call.within;
    let (site, agent) = (call.to.site.clone(), call.to.agent.clone());
    let answers = response_topic(call);
    let status = Filter::status().at(site).of(agent).to_string();
    let config = CallerConfig {
        client_id: format!("kakou-cmd-{}", uuid::Uuid::now_v7().simple()),
        filters: vec![answers.clone(), status.clone()],
        max_packet: LARGEST,
        tls: call.tls.clone(),
    };
    let mut no_way = Ended::Silence("there is no broker to ask".to_owned());
    for broker in brokers {
        let left = until.saturating_duration_since(Instant::now());
        match Caller::connect(broker.clone(), config.clone(), left).await {
            Ok(caller) => return ask(caller, call, (&answers, &status), until).await,
            Err(error) => no_way = error.into(),
        }
    }
    Err(no_way)
}

async fn ask(
    mut caller: Caller,
    call: &Call<'_>,
    (answers, status): (&str, &str),
    until: Instant,
) -> Result<Answered, Ended> {
    let to = call.to;
    if let Some((filter, why)) = caller.refused.iter().find(|(filter, _)| filter == answers) {
        let why = format!("{to}: the broker does not let this user read {filter}: {why}");
        return Err(Ended::Config(why));
    }
    let topic = call.request.topic(to.site.clone(), to.agent.clone());
    let topic = topic.map_err(|e| Ended::Config(e.to_string()))?.to_string();
    // A request that nobody has fetched by then is not carried out when nobody waits any more.
    let left = until.saturating_duration_since(Instant::now());
    caller.send(&kakou_uplink::Call {
        topic: topic.clone(),
        payload: call.request.to_json(),
        user_properties: Vec::new(),
        response_topic: Some(answers.to_owned()),
        correlation: Some(call.request.request_id.as_bytes().to_vec()),
        expires_s: u32::try_from(left.as_secs()).unwrap_or(u32::MAX).max(1),
    })?;
    let asked = Stopwatch::start();
    let mut heard = Heard::default();
    while let Ok(event) = timeout_at(until, caller.next()).await {
        match event {
            Ok(CallEvent::Taken) => {}
            Ok(CallEvent::NobodyListens) => {
                heard.nobody = true;
                if !heard.is_online() {
                    break;
                }
            }
            Ok(CallEvent::NotTaken { why, denied }) => {
                let why = format!("{to}: the broker does not take a command on {topic}: {why}");
                return Err(match denied {
                    true => Ended::Config(format!(
                        "{why}; log in as a user who may write there, as configs/broker shows"
                    )),
                    false => Ended::Silence(why),
                });
            }
            Ok(CallEvent::Message(received)) if received.topic == status => {
                heard.status(received);
            }
            Ok(CallEvent::Message(received)) => match is_answer(&received, call, answers) {
                Ok(true) => heard.answer(received, asked.elapsed())?,
                Ok(false) => {}
                Err(why) => return Err(Ended::Silence(why)),
            },
            Err(error) => {
                if heard.answered.is_none() {
                    return Err(error.into());
                }
                break;
            }
        }
        let wants_status = call.request.command == command::Command::Status;
        if let Some(answered) = &heard.answered
            && (!wants_status || !answered.answer.ok || heard.fresh.is_some())
        {
            break;
        }
    }
    caller.close().await;
    match heard.answered.take() {
        Some(answered) => Ok(Answered {
            status: heard.fresh,
            ..answered
        }),
        None => Err(Ended::Silence(heard.silence(call))),
    }
}

/// Whether this is the answer that is waited for. `Err`: it is, and says something else.
fn is_answer(received: &Received, call: &Call<'_>, answers: &str) -> Result<bool, String> {
    let ours = received.correlation.as_deref() == Some(call.request.request_id.as_bytes());
    if received.topic != answers || !ours {
        return Ok(false);
    }
    let of_this_box = ResultMessage::from_json(&received.payload)
        .is_ok_and(|answer| answer.site == call.to.site && answer.agent == call.to.agent);
    match of_this_box {
        true => Ok(true),
        false => Err(format!(
            "{}: something answers there that is no agent of this contract",
            call.to
        )),
    }
}

/// What has come so far.
#[derive(Default)]
struct Heard {
    /// The last status, be it one that the broker had kept.
    last: Option<StatusMessage>,
    /// The last one that was sent since.
    fresh: Option<(Vec<u8>, StatusMessage)>,
    answered: Option<Answered>,
    /// The broker said that nobody listens to commands of this agent.
    nobody: bool,
}

impl Heard {
    fn status(&mut self, received: Received) {
        // What is none says nothing about the agent.
        let Ok(status) = StatusMessage::from_json(&received.payload) else {
            return;
        };
        self.last = Some(status.clone());
        if !received.retained {
            self.fresh = Some((received.payload, status));
        }
    }

    fn answer(&mut self, received: Received, after: Duration) -> Result<(), Ended> {
        let answer = ResultMessage::from_json(&received.payload)
            .map_err(|e| Ended::Silence(e.to_string()))?;
        self.answered = Some(Answered {
            raw: received.payload,
            answer,
            after,
            status: None,
        });
        Ok(())
    }

    fn is_online(&self) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|status| status.state == AgentState::Online)
    }

    /// Why there may be no answer.
    fn silence(&self, call: &Call<'_>) -> String {
        let to = call.to;
        let nobody = match self.nobody {
            true => "nobody listens to its commands at this broker",
            false => "no answer",
        };
        let within = call.within.as_secs_f64();
        let told = match self.nobody && !self.is_online() {
            true => format!("{to}: {nobody}"),
            false => format!("{to}: {nobody} within {within} s"),
        };
        let Some(status) = &self.last else {
            return format!(
                "{told}, and the broker has no status of it: the agent is absent (it was never \
                 connected here, or site and agent are wrong), or this user may not read it"
            );
        };
        let time = status.time.format("%Y-%m-%d %H:%M:%S %:z");
        match status.state {
            AgentState::Offline => {
                let reason = status.reason.map_or(String::new(), |reason| {
                    format!(", {}", reason.as_str().replace('_', " "))
                });
                format!("{told}; its status says offline since {time}{reason}")
            }
            AgentState::Online => format!(
                "{told}; its status of {time} says online, {}: it may be busy, or cut off just \
                 now; ask for the same once more with --request-id {}",
                clean(status.health.as_str()),
                call.request.request_id
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kakou_contract::Command;
    use uuid::Uuid;

    use super::*;

    const OFFLINE: &[u8] = include_bytes!("../../contract/golden/status-offline.json");
    const RESULT: &[u8] = include_bytes!("../../contract/golden/result.json");

    fn request() -> Request {
        Request {
            request_id: Uuid::from_u128(5),
            sent_at: StatusMessage::from_json(OFFLINE).unwrap().time,
            expires_at: None,
            by: None,
            command: Command::Ping,
        }
    }

    fn with<T>(check: impl FnOnce(&Call<'_>) -> T) -> T {
        check(&Call {
            to: &BoxName::new("g15-k42", "box-1").unwrap(),
            request: &request(),
            tls: &TlsFiles::default(),
            within: Duration::from_secs(10),
        })
    }

    #[test]
    fn silence_says_what_the_status_says() {
        let retained = |payload: &[u8]| Received {
            payload: payload.to_vec(),
            retained: true,
            ..Received::default()
        };
        let mut heard = Heard::default();
        let absent = with(|call| heard.silence(call));
        assert!(
            absent.contains("within 10 s") && absent.contains("absent"),
            "{absent}"
        );
        heard.status(retained(b"{"));
        assert!(heard.last.is_none());
        heard.status(retained(OFFLINE));
        assert!(heard.fresh.is_none(), "it was kept from before");
        let offline = with(|call| heard.silence(call));
        assert!(offline.contains("offline since 20"), "{offline}");
        heard.nobody = true;
        let nobody = with(|call| heard.silence(call));
        assert!(
            nobody.contains("nobody listens") && !nobody.contains("within"),
            "{nobody}"
        );
    }

    #[test]
    fn only_the_answer_to_this_request_counts() {
        let answers = with(response_topic);
        assert!(
            answers.starts_with("kakou/v1/g15-k42/box-1/result/cmd-"),
            "{answers}"
        );
        let received = |topic: &str, correlation: u128, payload: &[u8]| Received {
            topic: topic.to_owned(),
            correlation: Some(Uuid::from_u128(correlation).as_bytes().to_vec()),
            payload: payload.to_vec(),
            ..Received::default()
        };
        let is = |r: Received| with(|call| is_answer(&r, call, &answers));
        assert_eq!(is(received(&answers, 5, RESULT)), Ok(true));
        assert_eq!(is(received(&answers, 6, RESULT)), Ok(false));
        assert_eq!(is(received("elsewhere", 5, RESULT)), Ok(false));
        assert!(is(received(&answers, 5, b"{}")).is_err());
        let text = String::from_utf8(RESULT.to_vec()).unwrap();
        let other = text.replace("box-1", "box-2");
        assert!(is(received(&answers, 5, other.as_bytes())).is_err());
    }
}
