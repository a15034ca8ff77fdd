//! docs/messages.md, in both languages, shows the golden files and leaves out no field and no value.

use std::collections::BTreeSet;

use crate::common::{crate_folder, golden_files, read};
use kakou_contract::command::{BY_MAX, HOURS_MAX};
use kakou_contract::{
    CameraState, CommandName, EVIDENCE_MAX, ID_MAX, LIST_MAX, Message, MessageKind,
    PICTURE_BYTES_MAX, PICTURE_SIDE_MAX, PLATE_MAX, PassageMessage, PlateColour, PlateKind,
    ResultCode, TEXT_MAX, VehicleColour, WHOLE_MAX, schema,
};
use serde_json::Value;

/// Name and text of each language's page.
fn pages() -> [(&'static str, String); 2] {
    ["messages.md", "messages.zh-CN.md"].map(|name| {
        let path = crate_folder().join("../../docs").join(name);
        (name, read(path))
    })
}

/// Each JSON block with the comment above it, which names the golden file (and a place in it).
fn json_blocks(page: &str) -> Vec<(String, Value)> {
    let mut blocks = Vec::new();
    for (i, part) in page.split("```json\n").enumerate().skip(1) {
        let before = page.split("```json\n").nth(i - 1).unwrap();
        let comment = before.lines().next_back().unwrap();
        let source = comment
            .strip_prefix("<!-- golden/")
            .and_then(|c| c.strip_suffix(" -->"))
            .unwrap_or_else(|| panic!("no golden file is named above block {i}: {comment}"));
        let json = part.split("```").next().unwrap();
        blocks.push((source.to_owned(), serde_json::from_str(json).unwrap()));
    }
    blocks
}

#[test]
fn json_on_the_pages_is_that_of_the_golden_files() {
    for (page, text) in pages() {
        for (source, shown) in json_blocks(&text) {
            let (file, pointer) = source.split_once('#').unwrap_or((&source, ""));
            let golden = read(crate_folder().join("golden").join(file));
            let golden: Value = serde_json::from_str(&golden).unwrap();
            assert_eq!(Some(&shown), golden.pointer(pointer), "{page}: {source}");
        }
    }
}

#[test]
fn every_message_is_shown_on_both_pages() {
    for (page, text) in pages() {
        let shown: Vec<String> = json_blocks(&text)
            .into_iter()
            .map(|(source, _)| source)
            .collect();
        for name in [
            "passage",
            "passage-no-plate",
            "hit",
            "signal",
            "status-online",
            "status-offline",
            "audit",
            "audit-camera",
            "result",
        ] {
            assert!(
                shown.contains(&format!("{name}.json")),
                "{page} does not show {name}"
            );
        }
    }
    // A new kind of message needs an example before it can be forgotten here.
    let kinds: BTreeSet<_> = golden_files()
        .into_iter()
        .map(|(_, kind, _)| kind)
        .collect();
    let with_schema = MessageKind::ALL
        .into_iter()
        .filter(|k| k.schema_uri().is_some());
    assert_eq!(kinds, with_schema.collect());
}

/// The names of all fields and the values of all lists in a schema.
fn words(schema: &Value, out: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get("properties") {
                out.extend(properties.keys().cloned());
            }
            if let Some(Value::String(value)) = map.get("const") {
                out.insert(value.clone());
            }
            if let Some(Value::Array(values)) = map.get("enum") {
                out.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            map.values().for_each(|v| words(v, out));
        }
        Value::Array(items) => items.iter().for_each(|v| words(v, out)),
        _ => {}
    }
}

#[test]
fn every_field_and_value_is_explained_on_both_pages() {
    for (name, schema) in schema::files() {
        let mut all = BTreeSet::new();
        words(&schema, &mut all);
        assert!(all.len() > 3, "{name}");
        for (page, text) in pages() {
            for word in &all {
                // `name`, or the last part of `plate.name` and `cameras[].name`.
                let found =
                    text.contains(&format!("`{word}`")) || text.contains(&format!(".{word}`"));
                assert!(found, "{page} says nothing about `{word}`");
            }
        }
    }
}

#[test]
fn code_tables_are_those_of_the_code() {
    for (page, text) in pages() {
        for kind in PlateKind::ALL {
            let row = format!("| `{}` | {} |", kind.code(), kind.zh());
            assert!(text.contains(&row), "{page} has no row {row}");
        }
        for state in CameraState::ALL {
            let row = format!("| `{state}` | {} | `{}` |", state.zh(), state.health());
            assert!(text.contains(&row), "{page} has no row {row}");
        }
        for colour in PlateColour::ALL {
            let row = format!("| `{}` | {} |", colour, colour.zh());
            assert!(text.contains(&row), "{page} has no row {row}");
        }
        for colour in VehicleColour::ALL {
            let row = format!("| `{colour}` | {} | {} |", colour.code(), colour.zh());
            assert!(text.contains(&row), "{page} has no row {row}");
        }
    }
}

#[test]
fn the_topic_table_has_every_topic_and_every_command_its_row() {
    let places = [
        "",
        "/{camera}",
        "/{level}/{camera}",
        "/{kind}/{camera}",
        "/{owner}/{role}",
    ];
    for (page, text) in pages() {
        for kind in MessageKind::ALL {
            let found = places.iter().any(|rest| {
                let topic = format!("kakou/v1/{{site}}/{{agent}}/{}{rest}", kind.as_str());
                text.contains(&format!("\n| `{topic}` |"))
            });
            assert!(found, "{page} has no topic of {kind:?}");
        }
        for command in CommandName::ALL {
            assert!(
                text.contains(&format!("\n| `{command}` |")),
                "{page}: {command}"
            );
        }
        for code in ResultCode::ALL {
            assert!(text.contains(&format!("\n| `{code}` |")), "{page}: {code}");
        }
    }
}

#[test]
fn bounds_on_the_page_are_those_of_the_code() {
    for (page, text) in pages() {
        for bound in [
            WHOLE_MAX,
            TEXT_MAX as u64,
            LIST_MAX as u64,
            PLATE_MAX as u64,
            EVIDENCE_MAX as u64,
            u64::from(PICTURE_SIDE_MAX),
            PICTURE_BYTES_MAX,
            ID_MAX as u64,
            BY_MAX as u64,
            u64::from(HOURS_MAX),
        ] {
            let digits = bound.to_string();
            let stands_alone = text.match_indices(&digits).any(|(at, _)| {
                let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
                let (before, after) = (&text[..at], &text[at + digits.len()..]);
                !digit(before.chars().next_back()) && !digit(after.chars().next())
            });
            assert!(stands_alone, "{page} does not say {bound}");
        }
    }
}

/// So that a change shows as the lines that changed; tables and examples cannot be wrapped.
#[test]
fn prose_wraps_at_100() {
    for (page, text) in pages() {
        let mut in_example = false;
        for line in text.lines() {
            in_example ^= line.starts_with("```");
            let width: usize = line.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
            let is_prose = !in_example && !line.starts_with('|');
            assert!(!is_prose || width <= 100, "{page}: {width} columns: {line}");
        }
    }
}

#[test]
fn attributes_are_those_of_the_code() {
    let passage = read(crate_folder().join("golden/passage.json"));
    let passage = PassageMessage::from_json(passage.as_bytes()).unwrap();
    for (page, text) in pages() {
        for (name, _) in passage.attributes().user_properties() {
            assert!(
                text.contains(&format!("| `{name}` |")),
                "{page} has no row for {name}"
            );
        }
        for kind in MessageKind::ALL {
            assert!(
                text.contains(&format!("`{}`", kind.event_type())),
                "{page}: {kind:?}"
            );
        }
    }
}
