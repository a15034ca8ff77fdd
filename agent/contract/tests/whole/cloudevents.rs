//! The CloudEvents attributes beside a message.

use crate::common::{crate_folder, read};
use kakou_contract::{Attributes, Message, PassageMessage};

fn passage() -> PassageMessage {
    let text = read(crate_folder().join("golden/passage.json"));
    PassageMessage::from_json(text.as_bytes()).unwrap()
}

fn table(attributes: &Attributes) -> String {
    let lines = attributes
        .user_properties()
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_passage_carries_its_attributes() {
    let m = passage();
    let id = m.id;
    assert_eq!(
        table(&m.attributes()),
        format!(
            "specversion=1.0\nid={id}\nsource=/kakou/g15-k42/box-1\ntype=kakou.passage.v1\n\
             subject=cam-1\ntime=2031-05-04T08:15:30.250+08:00\n\
             dataschema=urn:kakou:schema:passage:v1"
        )
    );
    assert_eq!(m.attributes().datacontenttype, "application/json");
}

#[test]
fn a_picture_is_told_from_its_passage_and_from_its_siblings() {
    let m = passage();
    let id = m.id;
    let a = Attributes::of_evidence(m.id, &m, &m.evidence[1]);
    assert_eq!(
        table(&a),
        format!(
            "specversion=1.0\nid={id}/plate\nsource=/kakou/g15-k42/box-1\ntype=kakou.evidence.v1\n\
             subject={id}\ntime=2031-05-04T08:15:29.930+08:00"
        )
    );
    assert_eq!(a.datacontenttype, "image/jpeg");
}

#[test]
fn extensions_are_added_under_names_that_cloudevents_allows() {
    let a = passage().attributes().with("sequence", "40127").unwrap();
    assert!(table(&a).ends_with("\nsequence=40127"));
    for bad in [
        "",
        "prev_hash",
        "Signature",
        "id",
        "datacontenttype",
        &"x".repeat(21),
        "sequence",
    ] {
        assert!(a.clone().with(bad, "x").is_err(), "{bad}");
    }
}
