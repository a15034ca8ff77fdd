//! The shipped rights of a broker (configs/broker/mosquitto.acl): they suffice for everybody's work,
//! and for no more. The real binary, a real Mosquitto.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command as Process, Output};

use crate::agent::until;
use crate::mosquitto::Mosquitto;
use crate::support::{self, root};
use kakou_contract::{
    Command, HitMessage, Message as _, PassageMessage, ResultCode, ResultMessage,
};

const USERS: [&str; 5] = [
    "north/box-1",
    "north/box-2",
    "platform",
    "tablet-north",
    "neighbour",
];

/// With these users, each with its name for a password.
pub fn broker() -> Mosquitto {
    let settings = "allow_anonymous false\npassword_file {dir}/passwd\nacl_file {dir}/acl";
    Mosquitto::start_with(settings, |folder: &Path| {
        let acl = root().join("configs/broker/mosquitto.acl");
        // The ids of the examples are refused by an agent.
        let text = std::fs::read_to_string(acl)
            .unwrap()
            .replace("north-gate", "north");
        std::fs::write(folder.join("acl"), text).unwrap();
        let file = folder.join("passwd");
        std::fs::write(&file, "").unwrap();
        for user in USERS {
            let done = Process::new("mosquitto_passwd")
                .arg("-b")
                .arg(&file)
                .args([user, user])
                .status();
            assert!(done.unwrap().success(), "{user}");
        }
    })
}

/// What a user hears on a topic within so many seconds: at most one message.
fn hears(broker: &Mosquitto, user: &str, topic: &str, seconds: u32) -> Vec<u8> {
    let seconds = seconds.to_string();
    let port = broker.address().port.to_string();
    let Output { stdout, .. } = Process::new("mosquitto_sub")
        .args(["-V", "5", "-p", &port, "-u", user, "-P", user])
        .args(["-t", topic, "-C", "1", "-W", &seconds])
        .output()
        .unwrap();
    stdout
}

/// Asks a command as a user does, and waits for the answer on a topic of its choice.
fn asks(broker: &Mosquitto, user: &str, command: Command, answer: &str, seconds: u32) -> Vec<u8> {
    let request = crate::agent::request(command);
    let port = broker.address().port.to_string();
    let topic = format!("kakou/v1/north/box-1/cmd/{}", request.command.name());
    let done = Process::new("mosquitto_rr")
        .args(["-V", "5", "-q", "1", "-p", &port, "-u", user, "-P", user])
        .args(["-t", &topic, "-e", answer, "-W", &seconds.to_string(), "-m"])
        .arg(String::from_utf8(request.to_json()).unwrap())
        .output();
    done.unwrap().stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_rights_suffice_for_everybody_and_for_no_more() {
    let broker = broker();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    std::fs::write(folder.join("password"), "north/box-1").unwrap();
    let url = format!(
        "url = \"{}\"\nuser = \"north/box-1\"\npassword_file = \"password\"",
        broker.address()
    );
    support::checkpoint(folder, &url, "day", "loop = true", "[hits]\nstory_s = 0\n");
    let list = folder.join("list.csv");
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, text.replace(",orange,", ",red,")).unwrap();
    let config = folder.join("kakou.toml");
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let agent = Process::new(env!("CARGO_BIN_EXE_kakou"))
        .args(["--log", "info", "run", "--config"])
        .arg(&config)
        .stderr(log)
        .spawn()
        .unwrap();
    let _agent = crate::agent::Agent(agent);

    let all = "kakou/v1/north/box-1";
    let heard = hears(&broker, "platform", &format!("{all}/passage/#"), 60);
    PassageMessage::from_json(&heard).expect("a passage at the platform");
    let heard = hears(&broker, "tablet-north", &format!("{all}/hit/#"), 60);
    HitMessage::from_json(&heard).expect("a hit at the tablet");
    let heard = hears(&broker, "neighbour", &format!("{all}/hit/red/#"), 60);
    HitMessage::from_json(&heard).expect("a red hit at the neighbour");
    let answer = asks(
        &broker,
        "platform",
        Command::Ping,
        &format!("{all}/result/console-7"),
        20,
    );
    let answer = ResultMessage::from_json(&answer).expect("an answer to the platform");
    assert_eq!(answer.code, ResultCode::Done);

    // Each of these topics has a message every few seconds.
    for (user, topic) in [
        ("neighbour", "kakou/v1/#".to_owned()),
        ("neighbour", format!("{all}/passage/#")),
        ("tablet-north", format!("{all}/passage/#")),
        ("north/box-2", format!("{all}/passage/#")),
        ("north/box-2", format!("{all}/status")),
    ] {
        let heard = hears(&broker, user, &topic, 4);
        // A subscription that is wider than the rights brings what the rights allow.
        let is_red = HitMessage::from_json(&heard).is_ok_and(|hit| hit.level.as_str() == "red");
        assert!(
            heard.is_empty() || (user == "neighbour" && is_red),
            "{user} {topic}"
        );
    }
    for user in ["neighbour", "tablet-north", "north/box-2"] {
        let own = format!("{all}/result/tablet");
        assert!(
            asks(&broker, user, Command::Ping, &own, 3).is_empty(),
            "{user}"
        );
    }
    let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    until("the agent is there", || log().contains("connected")).await;
    assert!(!log().contains("not authorised"), "{}", log());
}

/// A right: who, whether to publish or to subscribe, and the topics.
type Right = (String, &'static str, String);

fn rights_of_mosquitto(text: &str) -> BTreeSet<Right> {
    let (mut user, mut rights) = (None, BTreeSet::new());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let action = |word: &str| match word {
            "read" => "subscribe",
            "write" => "publish",
            other => panic!("{other} in {line}"),
        };
        match words.as_slice() {
            [] => {}
            ["user", name] => user = Some((*name).to_owned()),
            ["pattern", word, topic] => {
                let topic = topic.replace("%u", "${username}");
                rights.insert(("all".to_owned(), action(word), topic));
            }
            ["topic", word, topic] => {
                let user = user.clone().expect("a user before its topics");
                rights.insert((user, action(word), (*topic).to_owned()));
            }
            _ => panic!("{line}"),
        }
    }
    rights
}

fn rights_of_emqx(text: &str) -> BTreeSet<Right> {
    let rules = text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with("%%"));
    let mut rules: Vec<&str> = rules.collect();
    assert_eq!(rules.pop(), Some("{deny, all}."), "the last rule");
    let right = |rule: &str| -> Option<Right> {
        let rest = rule.strip_prefix("{allow, ")?;
        let (who, rest) = match rest.strip_prefix("{username, \"") {
            Some(rest) => rest.split_once("\"}, ")?,
            None => ("all", rest.strip_prefix("all, ")?),
        };
        let (action, topic) = rest.split_once(", [\"")?;
        let action = ["publish", "subscribe"]
            .into_iter()
            .find(|a| *a == action)?;
        let topic = topic.strip_suffix("\"]}.")?;
        Some((who.to_owned(), action, topic.to_owned()))
    };
    let rights = rules
        .iter()
        .map(|rule| right(rule).unwrap_or_else(|| panic!("{rule}")));
    rights.collect()
}

/// EMQX does not run here: what can be shown is that its file says the same.
#[test]
fn the_rights_for_emqx_are_those_for_mosquitto() {
    let read = |name: &str| {
        let path = root().join("configs/broker").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let rights = rights_of_mosquitto(&read("mosquitto.acl"));
    assert!(rights.len() > 10, "{rights:?}");
    assert_eq!(rights_of_emqx(&read("emqx-acl.conf")), rights);
}
