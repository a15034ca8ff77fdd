//! Every bound holds, in the schema and in the types alike: what is at a bound comes through, what
//! is beyond it is refused with the field's name.
//!
//! The bounds are taken from the schemas, so a field that is added is tested from then on; one
//! without a bound fails the first test.

use std::collections::BTreeSet;

use crate::common::golden_files;
use kakou_contract::{
    AuditMessage, Command, CommandFault, CommandName, HitMessage, Id, Message, MessageError,
    MessageKind, PassageMessage, ResultMessage, SignalMessage, StatusMessage, TEXT_MAX, schema,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Reads a payload as a message of this kind and writes it again.
fn read(kind: MessageKind, payload: &[u8]) -> Result<Vec<u8>, MessageError> {
    fn again<M: Message>(payload: &[u8]) -> Result<Vec<u8>, MessageError> {
        M::from_json(payload)?.to_json()
    }
    match kind {
        MessageKind::Passage => again::<PassageMessage>(payload),
        MessageKind::Hit => again::<HitMessage>(payload),
        MessageKind::Signal => again::<SignalMessage>(payload),
        MessageKind::Status => again::<StatusMessage>(payload),
        MessageKind::Audit => again::<AuditMessage>(payload),
        MessageKind::Result => again::<ResultMessage>(payload),
        MessageKind::Evidence => panic!("pictures are not JSON"),
    }
}

/// As if the agent had made the message: no bound is checked before it is written.
fn written(kind: MessageKind, message: &Value) -> Vec<u8> {
    fn to_json<M: Message>(message: &Value) -> Vec<u8> {
        serde_json::from_value::<M>(message.clone())
            .unwrap()
            .to_json()
            .unwrap()
    }
    match kind {
        MessageKind::Passage => to_json::<PassageMessage>(message),
        MessageKind::Hit => to_json::<HitMessage>(message),
        MessageKind::Signal => to_json::<SignalMessage>(message),
        MessageKind::Status => to_json::<StatusMessage>(message),
        MessageKind::Audit => to_json::<AuditMessage>(message),
        MessageKind::Result => to_json::<ResultMessage>(message),
        MessageKind::Evidence => panic!("pictures are not JSON"),
    }
}

fn has_type(rules: &Map<String, Value>, kind: &str) -> bool {
    match rules.get("type") {
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(several)) => several.contains(&json!(kind)),
        _ => false,
    }
}

/// Calls `on` with each schema within `schema` and its place.
fn each(schema: &Value, at: &str, on: &mut impl FnMut(&str, &Map<String, Value>)) {
    match schema {
        Value::Object(rules) => {
            on(at, rules);
            for (key, part) in rules {
                if !matches!(key.as_str(), "enum" | "const" | "default") {
                    each(part, &format!("{at}/{key}"), on);
                }
            }
        }
        Value::Array(parts) => {
            for (index, part) in parts.iter().enumerate() {
                each(part, &format!("{at}/{index}"), on);
            }
        }
        _ => {}
    }
}

#[test]
fn every_number_text_and_list_has_a_bound() {
    let mut seen = 0;
    for (name, schema) in schema::files() {
        each(&schema, "", &mut |at, rules| {
            let has = |keys: &[&str]| keys.iter().any(|key| rules.contains_key(*key));
            let bounded = |kind: &str| match kind {
                "integer" | "number" => has(&["minimum"]) && has(&["maximum"]),
                "string" => has(&["maxLength", "pattern", "format", "enum", "const"]),
                _ => has(&["maxItems"]),
            };
            for kind in ["integer", "number", "string", "array"] {
                if has_type(rules, kind) && !has(&["enum", "const"]) {
                    seen += 1;
                    assert!(bounded(kind), "{name}{at}: a {kind} without a bound");
                }
            }
        });
    }
    assert!(seen > 100, "{seen}");
}

/// A value in a message, with the rules of the schema for it.
struct Place {
    /// As in a JSON pointer.
    pointer: String,
    rules: Map<String, Value>,
}

impl Place {
    /// As an error names it, up to the first index.
    fn field(&self) -> String {
        let parts: Vec<&str> = self
            .pointer
            .split('/')
            .skip(1)
            .take_while(|part| part.parse::<usize>().is_err())
            .collect();
        parts.join(".")
    }
}

fn places(value: &Value, schema: &Value, root: &Value, pointer: &str, out: &mut Vec<Place>) {
    let Value::Object(rules) = schema else { return };
    if let Some(name) = rules.get("$ref").and_then(Value::as_str) {
        let other = root.pointer(name.strip_prefix('#').unwrap()).unwrap();
        return places(value, other, root, pointer, out);
    }
    for branch in ["anyOf", "oneOf"]
        .into_iter()
        .filter_map(|key| rules.get(key)?.as_array())
        .flatten()
    {
        let kind = branch.pointer("/properties/kind/const");
        if kind.is_none() || kind == value.get("kind") {
            places(value, branch, root, pointer, out);
        }
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let own = rules.get("properties").and_then(|all| all.get(name));
                if let Some(own) = own {
                    places(field, own, root, &format!("{pointer}/{name}"), out);
                }
            }
        }
        Value::Array(items) => {
            let prefix = rules.get("prefixItems").and_then(Value::as_array);
            for (index, item) in items.iter().enumerate() {
                let own = prefix.and_then(|all| all.get(index));
                if let Some(own) = own.or(rules.get("items")) {
                    places(item, own, root, &format!("{pointer}/{index}"), out);
                }
            }
        }
        _ => {}
    }
    out.push(Place {
        pointer: pointer.to_owned(),
        rules: rules.clone(),
    });
}

/// Values at each bound of a place, and just beyond it.
fn at_and_beyond(place: &Place, value: &Value) -> Vec<(Value, Value)> {
    let mut pairs = Vec::new();
    let whole = has_type(&place.rules, "integer");
    for (key, step) in [("minimum", -1_i64), ("maximum", 1)] {
        let Some(bound) = place.rules.get(key).filter(|_| value.is_number()) else {
            continue;
        };
        let beyond = match bound.as_i64() {
            Some(bound) if whole => json!(bound + step),
            _ => json!(bound.as_f64().unwrap() + step as f64),
        };
        pairs.push((bound.clone(), beyond));
    }
    if let Some(most) = place.rules.get("maxLength").and_then(Value::as_u64)
        && value.is_string()
    {
        let text = |length: u64| json!("卡".repeat(length as usize));
        pairs.push((text(most), text(most + 1)));
    }
    if let (Some(most), Value::Array(items)) =
        (place.rules.get("maxItems").and_then(Value::as_u64), value)
        && let Some(first) = items.first()
    {
        let list = |length: u64| json!(vec![first; length as usize]);
        pairs.push((list(most), list(most + 1)));
    }
    pairs
}

/// A value at its bound may contradict another field; that is another error than the bound's.
fn is_of_bound(error: &MessageError, place: &Place) -> bool {
    let text = error.to_string();
    let words = [
        "is not within",
        "are allowed",
        "are needed",
        "invalid value",
    ];
    text.starts_with(&place.field()) && words.iter().any(|word| text.contains(word))
}

#[test]
fn what_is_at_a_bound_passes_and_what_is_beyond_is_refused_by_schema_and_type() {
    let mut tried = BTreeSet::new();
    for (name, kind, text) in golden_files() {
        let schema = schema::generate(kind).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let good: Value = serde_json::from_str(&text).unwrap();
        let mut all = Vec::new();
        places(&good, &schema, &schema, "", &mut all);
        for place in all {
            let value = good.pointer(&place.pointer).unwrap();
            for (at, beyond) in at_and_beyond(&place, value) {
                let with = |value: &Value| {
                    let mut message = good.clone();
                    *message.pointer_mut(&place.pointer).unwrap() = value.clone();
                    message
                };
                let shown = format!("{name}{}: {}", place.pointer, clip(&at));
                let message = with(&at);
                assert!(validator.is_valid(&message), "the schema refuses {shown}");
                if let Err(error) = read(kind, message.to_string().as_bytes()) {
                    assert!(!is_of_bound(&error, &place), "{shown}: {error}");
                }
                let message = with(&beyond);
                let shown = format!("{name}{}: {}", place.pointer, clip(&beyond));
                assert!(!validator.is_valid(&message), "the schema takes {shown}");
                let error = read(kind, message.to_string().as_bytes()).expect_err(&shown);
                assert!(is_of_bound(&error, &place), "{shown}: {error}");
                tried.insert((kind, place.field()));
            }
        }
    }
    for field in [
        "plate.text",
        "sequence",
        "frames_seen",
        "evidence",
        "picture.width",
    ] {
        assert!(
            tried.contains(&(MessageKind::Passage, field.to_owned())),
            "{field}"
        );
    }
    assert!(tried.contains(&(MessageKind::Audit, "event.ranges".to_owned())));
}

fn clip(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

/// Made of parts that have bounds, or fixed in the program.
const SHORT: [&str; 8] = [
    "topic",
    "name",
    "content_type",
    "algorithm",
    "base64",
    "version",
    "software",
    "list_version",
];

#[test]
fn a_text_of_any_length_that_the_agent_writes_is_one_that_receivers_take() {
    let mut tried = BTreeSet::new();
    for (name, kind, text) in golden_files() {
        let schema = schema::generate(kind).unwrap();
        let good: Value = serde_json::from_str(&text).unwrap();
        let mut all = Vec::new();
        places(&good, &schema, &schema, "", &mut all);
        for place in all {
            let last = place.pointer.rsplit('/').next().unwrap();
            let is_free = place.rules.get("maxLength") == Some(&json!(TEXT_MAX));
            if !is_free || SHORT.contains(&last) {
                continue;
            }
            let mut message = good.clone();
            *message.pointer_mut(&place.pointer).unwrap() = json!("长".repeat(TEXT_MAX * 2));
            let payload = written(kind, &message);
            read(kind, &payload).unwrap_or_else(|e| panic!("{name}{}: {e}", place.pointer));
            tried.insert(last.to_owned());
        }
    }
    for text in ["detail", "reason", "category", "list"] {
        assert!(tried.contains(text), "{text}");
    }
}

fn name(text: &str) -> Id {
    Id::new("command", text).unwrap()
}

fn frame() -> Map<String, Value> {
    let json = json!({
        "request_id": "01c2abd3-bba2-7c16-b582-5a9dafc8c2b0",
        "sent_at": "2031-05-04T09:14:59+08:00",
    });
    json.as_object().unwrap().clone()
}

fn request(fields: Value) -> Vec<u8> {
    let mut all = frame();
    all.extend(fields.as_object().unwrap().clone());
    Value::Object(all).to_string().into_bytes()
}

#[test]
fn a_request_beyond_a_bound_is_refused_with_the_field_and_the_bound() {
    let most = 1_u64 << 53;
    let parse = |command: &str, fields: Value| Command::parse(&name(command), &request(fields));
    assert!(parse("resend", json!({ "first": 1, "last": 1 })).is_ok());
    assert!(parse("resend", json!({ "first": most, "last": most })).is_ok());
    assert!(parse("resend", json!({ "first": 1, "last": 100_000 })).is_ok());
    assert!(
        parse(
            "retention",
            json!({ "passage_hours": 1, "hit_hours": 8760 })
        )
        .is_ok()
    );
    let short = parse("retention", json!({ "passage_minutes": 1, "hit_hours": 2 }));
    let wanted = Command::Retention {
        passage_minutes: 1,
        hit_minutes: 120,
    };
    assert_eq!(short.unwrap().command, wanted);
    assert!(parse("ping", json!({ "by": "卡".repeat(200) })).is_ok());
    assert!(parse("snapshot", json!({ "camera": "c".repeat(64) })).is_ok());
    for (command, fields, field, bound) in [
        (
            "resend",
            json!({ "first": 1_u64 << 63, "last": (1_u64 << 63) + 1 }),
            "first",
            "9007199254740992",
        ),
        (
            "resend",
            json!({ "first": most + 1, "last": most + 1 }),
            "first",
            "9007199254740992",
        ),
        (
            "resend",
            json!({ "first": most, "last": most + 1 }),
            "last",
            "9007199254740992",
        ),
        ("resend", json!({ "first": 0, "last": 1 }), "first", "1 to"),
        ("resend", json!({ "first": -1, "last": 1 }), "first", "1 to"),
        (
            "resend",
            json!({ "first": 1e300, "last": 1 }),
            "first",
            "1 to",
        ),
        (
            "resend",
            json!({ "first": 1, "last": 100_001 }),
            "last",
            "at most 100000",
        ),
        (
            "resend",
            json!({ "first": 2, "last": 1 }),
            "last",
            "2 or more",
        ),
        (
            "retention",
            json!({ "passage_hours": 0, "hit_hours": 1 }),
            "passage_hours",
            "1 to 8760",
        ),
        (
            "retention",
            json!({ "passage_hours": 1, "hit_hours": 8761 }),
            "hit_hours",
            "1 to 8760",
        ),
        (
            "retention",
            json!({ "passage_hours": 1, "hit_hours": u64::MAX }),
            "hit_hours",
            "1 to 8760",
        ),
        (
            "retention",
            json!({ "passage_minutes": 525_601, "hit_hours": 1 }),
            "passage_minutes",
            "1 to 525600",
        ),
        (
            "retention",
            json!({ "passage_hours": 1, "hit_hours": 1, "hit_minutes": 60 }),
            "hit_minutes",
            "one of the two",
        ),
        (
            "retention",
            json!({ "passage_hours": 1 }),
            "hit_hours",
            "1 to 8760",
        ),
        ("ping", json!({ "by": "卡".repeat(201) }), "by", "1 to 200"),
        ("ping", json!({ "by": "" }), "by", "1 to 200"),
        ("ping", json!({ "by": "a\u{7}" }), "by", "control"),
        (
            "ping",
            json!({ "expires_at": "2031-05-04T09:14:59+08:00" }),
            "expires_at",
            "later",
        ),
        (
            "ping",
            json!({ "expires_at": "+12031-05-04T09:14:59+08:00" }),
            "expires_at",
            "RFC 3339",
        ),
        (
            "snapshot",
            json!({ "camera": "c".repeat(65) }),
            "camera",
            "id of a camera",
        ),
        (
            "snapshot",
            json!({ "camera": "" }),
            "camera",
            "id of a camera",
        ),
    ] {
        let error = parse(command, fields.clone()).expect_err(&fields.to_string());
        let CommandFault::Field(fault) = &error.fault else {
            panic!("{fields}: {error}");
        };
        assert_eq!(fault.field, field, "{fields}: {error}");
        assert!(error.to_string().contains(bound), "{fields}: {error}");
    }
}

/// Numbers near the bounds of everything.
fn number() -> impl Strategy<Value = Value> {
    let edges = [0_i128, 1, 8760, 100_000, 1 << 53, 1 << 63, 1 << 64];
    prop_oneof![
        (proptest::sample::select(edges.to_vec()), -2_i128..3)
            .prop_map(|(edge, off)| { serde_json::from_str(&(edge + off).to_string()).unwrap() }),
        any::<i64>().prop_map(|n| json!(n)),
        any::<u64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        ".{0,20}".prop_map(Value::from),
        ".{195,205}".prop_map(Value::from),
        Just(json!("2031-05-04T09:20:00+08:00")),
        "[a-z-]{60,66}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("[a-z_]{1,8}", inner, 0..4)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

const FIELDS: [&str; 14] = [
    "request_id",
    "sent_at",
    "expires_at",
    "by",
    "camera",
    "first",
    "last",
    "passage_hours",
    "hit_hours",
    "passage_minutes",
    "hit_minutes",
    "hit",
    "verdict",
    "note",
];

/// A request with the fields of its command, each of them good, near a bound, or anything.
fn any_request() -> impl Strategy<Value = (CommandName, Value)> {
    let value = |field: &'static str| {
        let good = match field {
            "camera" => json!("cam-1"),
            "by" | "note" => json!("duty officer"),
            "hit" => json!("01c2abf3-496c-73d0-8dee-7c50f6fb1202"),
            "verdict" => json!("wrong_plate"),
            "expires_at" => json!("2031-05-04T09:20:00+08:00"),
            _ => json!(7),
        };
        prop_oneof![3 => Just(good), 2 => number(), 1 => any_json()]
    };
    let some = proptest::collection::vec(0..FIELDS.len(), 0..2);
    let command = proptest::sample::select(CommandName::ALL);
    (command, some, any_json()).prop_flat_map(move |(command, extra, anything)| {
        let own: &[&'static str] = match command {
            CommandName::Snapshot => &["camera"],
            CommandName::Resend => &["first", "last"],
            CommandName::Retention => &["passage_hours", "hit_hours"],
            CommandName::Answer => &["by", "hit", "verdict", "note"],
            CommandName::Ping | CommandName::Status | CommandName::Reload => &["by", "expires_at"],
        };
        let values: Vec<_> = own.iter().map(|field| value(field)).collect();
        values.prop_map(move |values| {
            let mut all = frame();
            for (field, value) in own.iter().zip(values) {
                all.insert((*field).to_owned(), value);
            }
            for field in &extra {
                all.insert(FIELDS[*field].to_owned(), anything.clone());
            }
            (command, Value::Object(all))
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_request_that_is_taken_is_one_that_the_schema_allows((command, json) in any_request()) {
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&command.schema())
            .unwrap();
        let parsed = Command::parse(&name(command.as_str()), json.to_string().as_bytes());
        let allowed = validator.is_valid(&json);
        match parsed {
            Ok(request) => {
                prop_assert!(allowed, "{command} is taken against the schema: {json}");
                if let Command::Resend { first, last } = request.command {
                    prop_assert!(first <= last && last.get() - first.get() < 100_000);
                }
                let again = Command::parse(&name(command.as_str()), &request.to_json()).unwrap();
                prop_assert_eq!(again, request);
            }
            Err(error) if allowed => {
                // Only the rules between two fields are not in the schema.
                let CommandFault::Field(fault) = &error.fault else {
                    return Err(TestCaseError::fail(error.to_string()));
                };
                let of_a_pair = command == CommandName::Retention
                    && (fault.what == "missing" || fault.what.starts_with("given beside"));
                let between_two = ["last", "expires_at"].contains(&fault.field.as_str());
                prop_assert!(between_two || of_a_pair, "{error}: {json}");
            }
            Err(_) => {}
        }
    }

    #[test]
    fn no_json_makes_a_reader_panic(json in any_json(), command in proptest::sample::select(CommandName::ALL)) {
        let payload = json.to_string().into_bytes();
        let _ = Command::parse(&name(command.as_str()), &payload);
        for kind in MessageKind::ALL.into_iter().filter(|kind| *kind != MessageKind::Evidence) {
            let _ = read(kind, &payload);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        for command in CommandName::ALL {
            let _ = Command::parse(&name(command.as_str()), &payload);
        }
        for kind in MessageKind::ALL.into_iter().filter(|kind| *kind != MessageKind::Evidence) {
            let _ = read(kind, &payload);
        }
    }
}

/// A message in which some values are replaced by anything.
fn changed_message() -> impl Strategy<Value = (MessageKind, Value)> {
    let golden: Vec<(MessageKind, Value)> = golden_files()
        .into_iter()
        .map(|(_, kind, text)| (kind, serde_json::from_str(&text).unwrap()))
        .collect();
    let changes = proptest::collection::vec((any::<proptest::sample::Index>(), any_json()), 1..4);
    (proptest::sample::select(golden), changes).prop_map(|((kind, mut message), changes)| {
        let schema = schema::generate(kind).unwrap();
        for (which, value) in changes {
            let mut all = Vec::new();
            places(&message, &schema, &schema, "", &mut all);
            all.retain(|place| !place.pointer.is_empty());
            if all.is_empty() {
                continue;
            }
            let place = which.get(&all);
            *message.pointer_mut(&place.pointer).unwrap() = value;
        }
        (kind, message)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_message_that_is_taken_keeps_every_bound((kind, message) in changed_message()) {
        if read(kind, message.to_string().as_bytes()).is_ok() {
            let schema = schema::generate(kind).unwrap();
            let validator = jsonschema::validator_for(&schema).unwrap();
            let errors: Vec<String> = validator
                .iter_errors(&message)
                .filter(|error| is_bound(error.kind().keyword()))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            prop_assert!(errors.is_empty(), "{kind:?}: {errors:?}");
        }
    }
}

fn is_bound(keyword: &str) -> bool {
    [
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
    ]
    .contains(&keyword)
}
