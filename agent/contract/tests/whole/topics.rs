//! Topics and filters, as a broker matches them.

use kakou_contract::{EvidenceRole, Filter, Id, Level, SignalKind, Topic};
use proptest::prelude::*;
use uuid::Uuid;

fn id() -> impl Strategy<Value = Id> {
    "[A-Za-z0-9_-]{1,64}".prop_map(|s| Id::new("id", s).unwrap())
}

fn topic() -> impl Strategy<Value = Topic> {
    let ids = (id(), id(), id());
    let rest = (0..6, 0..4_usize, 0..3_usize, any::<u128>());
    (ids, rest).prop_map(
        |((site, agent, third), (form, level, role, passage))| match form {
            0 => Topic::Passage {
                site,
                agent,
                camera: third,
            },
            1 => Topic::Hit {
                site,
                agent,
                level: Level::ALL[level],
                camera: third,
            },
            2 => Topic::Status { site, agent },
            4 => Topic::Signal {
                site,
                agent,
                kind: SignalKind::ALL[level],
                camera: third,
            },
            3 => {
                let (passage, role) = (Uuid::from_u128(passage), EvidenceRole::ALL[role]);
                Topic::Evidence {
                    site,
                    agent,
                    passage,
                    role,
                }
            }
            _ => Topic::Command {
                site,
                agent,
                command: third,
            },
        },
    )
}

/// The rule of MQTT 5, section 4.7.
fn matches(filter: &str, topic: &str) -> bool {
    let (mut f, mut t) = (filter.split('/'), topic.split('/'));
    loop {
        match (f.next(), t.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

proptest! {
    #[test]
    fn a_topic_survives_text(topic in topic()) {
        let text = topic.to_string();
        prop_assert_eq!(text.parse::<Topic>().unwrap(), topic);
        prop_assert!(!text.contains(['+', '#', '$']));
    }

    #[test]
    fn each_topic_is_matched_by_its_own_filter_alone(topic in topic()) {
        let text = topic.to_string();
        let (site, agent) = (topic.site().clone(), topic.agent().clone());
        let all = [
            (Filter::passages(), matches!(topic, Topic::Passage { .. })),
            (Filter::hits(), matches!(topic, Topic::Hit { .. })),
            (Filter::hits_of(Level::Red), matches!(topic, Topic::Hit { level: Level::Red, .. })),
            (Filter::signals(), matches!(topic, Topic::Signal { .. })),
            (Filter::status(), matches!(topic, Topic::Status { .. })),
            (Filter::evidence(), matches!(topic, Topic::Evidence { .. })),
            (
                Filter::evidence_of(EvidenceRole::Plate),
                matches!(topic, Topic::Evidence { role: EvidenceRole::Plate, .. }),
            ),
            (
                Filter::commands(site.clone(), agent.clone()),
                matches!(topic, Topic::Command { .. }),
            ),
            (Filter::everything(), true),
        ];
        for (filter, expected) in all {
            prop_assert_eq!(matches(&filter.to_string(), &text), expected, "{}", &filter);
            let narrow = filter.at(site.clone()).of(agent.clone());
            prop_assert_eq!(matches(&narrow.to_string(), &text), expected, "{}", &narrow);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,80}", tail in ".{0,40}") {
        let _ = text.parse::<Topic>();
        let _ = format!("kakou/v1/{tail}").parse::<Topic>();
    }
}

#[test]
fn filters_read_as_documented() {
    let name = |s: &str| Id::new("name", s).unwrap();
    assert_eq!(Filter::passages().to_string(), "kakou/v1/+/+/passage/+");
    assert_eq!(Filter::hits().to_string(), "kakou/v1/+/+/hit/+/+");
    assert_eq!(Filter::signals().to_string(), "kakou/v1/+/+/signal/+/+");
    assert_eq!(
        Filter::status().at(name("g15-k42")).to_string(),
        "kakou/v1/g15-k42/+/status"
    );
    assert_eq!(
        Filter::passages().shared(&name("platform")),
        "$share/platform/kakou/v1/+/+/passage/+"
    );
    assert_eq!(Filter::everything().to_string(), "kakou/v1/+/+/#");
}

#[test]
fn what_is_wrong_with_a_topic_is_said() {
    for (topic, fault) in [
        ("kakou/v2/s/a/status", "does not begin with kakou/v1/"),
        ("kakou/v1", "does not begin with kakou/v1/"),
        ("kakou/v1/s", "is none of the forms"),
        ("kakou/v1/s/a/passage", "is none of the forms"),
        ("kakou/v1/s/a/status/x", "is none of the forms"),
        (
            "kakou/v1/s p/a/status",
            "site \"s p\" has ' ' at position 2",
        ),
        ("kakou/v1/s//status", "agent is empty"),
        (
            "kakou/v1/s/a/passage/卡",
            "camera \"卡\" has '卡' at position 1",
        ),
        ("kakou/v1/s/a/hit/purple/c", "Level has no value \"purple\""),
        ("kakou/v1/s/a/evidence/7/frame", "\"7\" is not a passage id"),
        (
            "kakou/v1/s/a/evidence/0196974CF2E97000800000000000000F/frame",
            "is not a passage id",
        ),
    ] {
        let e = topic.parse::<Topic>().unwrap_err().to_string();
        assert!(e.contains(fault) && e.contains(topic), "{topic}: {e}");
    }
}
