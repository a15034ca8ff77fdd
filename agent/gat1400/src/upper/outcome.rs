//! What the upper library says of a batch, object by object.

use std::collections::HashMap;

use reqwest::StatusCode;
use serde_json::Value;

use crate::codes::{self, Meaning};
use crate::fault::shown;
use crate::wire::ResponseStatusObject;

/// What came of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Taken,
    /// Not now; the text says why.
    Again(String),
    /// Never; the text says why.
    Refused(String),
}

/// What came of a request as a whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// One verdict for each object, in their order.
    Each(Vec<Verdict>),
    /// The body as a whole is not taken: too large, or something in it.
    Split(String),
    NotRegistered,
    /// The library is busy, or wrongly set up: nothing is known of the objects.
    Later(String),
}

/// `ids` are those of the objects that were sent, `library` is the DeviceID of this side.
pub(super) fn of(status: StatusCode, body: &[u8], ids: &[&str], library: &str) -> Outcome {
    let code = status.as_u16();
    match code {
        401 | 403 => return Outcome::NotRegistered,
        404 | 405 | 408 | 429 | 500.. => return Outcome::Later(format!("it answers {status}")),
        _ => {}
    }
    let statuses = statuses(body);
    let each = statuses
        .as_deref()
        .and_then(|all| verdicts(all, ids, library));
    match (each, status.is_success()) {
        (Some(each), true) => Outcome::Each(each),
        // An error as a whole that names objects: its words are kept, and nothing counts as taken
        // that it does not call taken.
        (Some(each), false) if each.iter().any(|v| *v != Verdict::Taken) => Outcome::Each(each),
        (_, true) => Outcome::Later("its answer has no status".to_owned()),
        (_, false) => Outcome::Split(format!("it answers {status}{}", words(statuses.as_deref()))),
    }
}

fn words(statuses: Option<&[ResponseStatusObject]>) -> String {
    let first = statuses.and_then(<[_]>::first);
    first.map_or_else(String::new, |s| format!(": {}", shown(&s.status_string)))
}

/// The statuses of an answer, in a list or alone, wrapped or bare.
pub(super) fn statuses(body: &[u8]) -> Option<Vec<ResponseStatusObject>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let inner = value
        .get("ResponseStatusListObject")
        .or_else(|| value.get("ResponseStatusList"))
        .unwrap_or(&value);
    let found = inner
        .get("ResponseStatusObject")
        .or_else(|| inner.get("ResponseStatus"))
        .or_else(|| inner.get("StatusCode").map(|_| inner))?;
    let list = match found {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    list.into_iter()
        .map(|s| serde_json::from_value(s).ok())
        .collect()
}

/// `None`: the statuses say nothing that can be put to an object.
fn verdicts(all: &[ResponseStatusObject], ids: &[&str], library: &str) -> Option<Vec<Verdict>> {
    if let [only] = all {
        let names_none = only
            .id
            .as_deref()
            .is_none_or(|id| id.is_empty() || id == library);
        if names_none {
            let verdict = verdict(only)?;
            return Some(vec![verdict; ids.len()]);
        }
    }
    let mut by_id: HashMap<&str, Vec<Verdict>> = HashMap::new();
    for status in all {
        if let (Some(id), Some(verdict)) = (status.id.as_deref(), verdict(status)) {
            by_id.entry(id).or_default().push(verdict);
        }
    }
    if !ids.iter().any(|id| by_id.contains_key(id)) {
        return None;
    }
    let one = |id: &&str| match by_id.get(id).map(Vec::as_slice) {
        None => Verdict::Again("its answer does not name the object".to_owned()),
        Some([first, rest @ ..]) if rest.iter().all(|v| v == first) => first.clone(),
        Some(_) => Verdict::Again("its answer says two things of the object".to_owned()),
    };
    Some(ids.iter().map(one).collect())
}

fn verdict(status: &ResponseStatusObject) -> Option<Verdict> {
    let code = status.status_code?;
    let why = || format!("{code} {}", shown(&status.status_string));
    let meaning = u32::try_from(code).map_or(Meaning::Again, codes::meaning);
    Some(match meaning {
        Meaning::Taken => Verdict::Taken,
        Meaning::Again => Verdict::Again(why()),
        Meaning::Refused => Verdict::Refused(why()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const IDS: [&str; 2] = ["a", "b"];

    fn said(status: u16, body: &Value) -> Outcome {
        let status = StatusCode::from_u16(status).unwrap_or_default();
        of(status, body.to_string().as_bytes(), &IDS, "lib")
    }

    fn list(all: &[(&str, Value)]) -> Value {
        let one =
            |(id, code): &(&str, Value)| json!({"Id": id, "StatusCode": code, "StatusString": "w"});
        let all: Vec<_> = all.iter().map(one).collect();
        json!({"ResponseStatusListObject": {"ResponseStatusObject": all}})
    }

    #[test]
    fn each_object_gets_its_own_verdict() {
        let again = Verdict::Again("2 w".to_owned());
        let refused = Verdict::Refused("8 w".to_owned());
        let body = list(&[("b", json!("8")), ("a", json!(0))]);
        assert_eq!(
            said(200, &body),
            Outcome::Each(vec![Verdict::Taken, refused.clone()])
        );
        let body = list(&[("a", json!(2)), ("b", json!(0))]);
        assert_eq!(said(201, &body), Outcome::Each(vec![again, Verdict::Taken]));
        let body = list(&[("a", json!(8)), ("b", json!(0))]);
        assert_eq!(
            said(400, &body),
            Outcome::Each(vec![refused, Verdict::Taken])
        );
    }

    #[test]
    fn what_is_not_named_is_not_taken() {
        let each = match said(200, &list(&[("a", json!(0))])) {
            Outcome::Each(each) => each,
            _ => Vec::new(),
        };
        assert!(
            matches!(each.as_slice(), [Verdict::Taken, Verdict::Again(_)]),
            "{each:?}"
        );
        let twice = list(&[("a", json!(0)), ("a", json!(8)), ("b", json!(0))]);
        assert!(matches!(said(200, &twice), Outcome::Each(e) if matches!(e[0], Verdict::Again(_))));
        for body in [
            json!({}),
            json!("<html>"),
            list(&[]),
            list(&[("x", json!(0)), ("y", json!(0))]),
        ] {
            assert!(matches!(said(200, &body), Outcome::Later(_)), "{body}");
        }
        assert!(matches!(
            of(StatusCode::OK, b"", &IDS, "lib"),
            Outcome::Later(_)
        ));
    }

    #[test]
    fn one_status_without_an_id_is_of_all() {
        for body in [
            json!({"ResponseStatusObject": {"StatusCode": "0"}}),
            json!({"StatusCode": 0, "Id": "lib"}),
            list(&[("", json!(0))]),
        ] {
            assert_eq!(
                said(200, &body),
                Outcome::Each(vec![Verdict::Taken; 2]),
                "{body}"
            );
        }
    }

    #[test]
    fn the_status_of_http_says_who_is_at_fault() {
        assert_eq!(said(401, &json!({})), Outcome::NotRegistered);
        assert_eq!(said(403, &list(&[("a", json!(0))])), Outcome::NotRegistered);
        for status in [404, 405, 408, 429, 500, 502, 503] {
            assert!(
                matches!(said(status, &json!({})), Outcome::Later(_)),
                "{status}"
            );
        }
        for status in [400, 413, 415, 422] {
            assert!(
                matches!(said(status, &json!({})), Outcome::Split(_)),
                "{status}"
            );
            let taken = list(&[("a", json!(0)), ("b", json!(0))]);
            assert!(
                matches!(said(status, &taken), Outcome::Split(_)),
                "{status}"
            );
        }
    }
}
