//! A hit as a recipient gets it: a CloudEvent, with what the recipient may not see taken out.
//!
//! What is taken out is named in the attribute `withheld`. A field that the contract requires stays
//! as an empty text or list, so that a reader of the contract can read it. Where nothing is withheld,
//! the data are those of the agent, but for `is_late` and the names of files on the box.

use kakou_contract::{HitMessage, Message as _};
use serde_json::{Map, Value};

use super::rights::Grant;

/// MQTT user properties.
type Properties = Vec<(String, String)>;

#[derive(Debug, thiserror::Error)]
#[error("the body of the hit is no hit of the contract: {0}")]
pub(super) struct EventError(#[from] serde_json::Error);

#[derive(Debug)]
pub(super) struct Event {
    /// CloudEvents attributes without `datacontenttype`.
    attributes: Properties,
    data: Map<String, Value>,
}

impl Event {
    /// `body` is what the agent sent. `late`: it is of no use for stopping a vehicle any more.
    pub(super) fn new(body: &[u8], grant: Grant, late: bool) -> Result<Self, EventError> {
        let hit: HitMessage = serde_json::from_slice(body)?;
        let mut attributes = hit.attributes().user_properties();
        let mut data: Map<String, Value> = match grant == Grant::WHOLE {
            true => serde_json::from_slice(body)?,
            // What a newer agent tells, and this program does not know, may be what is withheld.
            false => serde_json::from_value(serde_json::to_value(&hit)?)?,
        };
        let withheld = withhold(&mut data, grant);
        if !withheld.is_empty() {
            attributes.push(("withheld".to_owned(), withheld.join(" ")));
        }
        if late {
            data.insert("is_late".to_owned(), true.into());
        }
        Ok(Self { attributes, data })
    }

    /// Structured mode, `application/cloudevents+json`.
    pub(super) fn into_structured(self) -> Result<Vec<u8>, EventError> {
        let mut whole = Map::new();
        for (name, value) in self.attributes {
            whole.insert(name, value.into());
        }
        whole.insert(
            "datacontenttype".to_owned(),
            HitMessage::CONTENT_TYPE.into(),
        );
        whole.insert("data".to_owned(), Value::Object(self.data));
        Ok(serde_json::to_vec(&whole)?)
    }

    /// Binary mode: payload and MQTT user properties.
    pub(super) fn into_binary(self) -> Result<(Vec<u8>, Properties), EventError> {
        Ok((serde_json::to_vec(&self.data)?, self.attributes))
    }
}

/// What was taken out.
fn withhold(data: &mut Map<String, Value>, grant: Grant) -> Vec<&'static str> {
    let mut withheld = Vec::new();
    if let Some(Value::Array(evidence)) = data.get_mut("evidence") {
        match grant.pictures {
            true => evidence.iter_mut().for_each(|picture| {
                picture.as_object_mut().map(|it| it.remove("name"));
            }),
            false => {
                evidence.clear();
                withheld.push("pictures");
            }
        }
    }
    let empty = || Value::String(String::new());
    if !grant.reason {
        data.insert("reason".to_owned(), empty());
        withheld.push("reason");
    }
    if !grant.authority {
        withheld.push("authority");
    }
    if let Some(Value::Object(entry)) = data.get_mut("entry") {
        if !grant.reason {
            entry.remove("basis");
        }
        if !grant.authority {
            entry.remove("authority");
            entry.remove("list_version");
            entry.insert("list".to_owned(), empty());
        }
    }
    withheld
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HIT: &[u8] = include_bytes!("../../../contract/golden/hit.json");
    const NOTHING: Grant = Grant {
        pictures: false,
        reason: false,
        authority: false,
    };

    fn structured(grant: Grant, late: bool) -> Value {
        let event = Event::new(HIT, grant, late).unwrap();
        serde_json::from_slice(&event.into_structured().unwrap()).unwrap()
    }

    #[test]
    fn the_whole_hit_is_the_agents() {
        let event = structured(Grant::WHOLE, false);
        let sent: Value = serde_json::from_slice(HIT).unwrap();
        assert_eq!(event["data"], sent);
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["type"], "kakou.hit.v1");
        assert_eq!(event["source"], "/kakou/g15-k42/box-1");
        assert_eq!(
            event["id"],
            "01c2abf3-496c-73d0-8dee-7c50f6fb1202/confirmed"
        );
        assert_eq!(event["datacontenttype"], "application/json");
        assert!(event.get("withheld").is_none());
        assert_eq!(structured(Grant::WHOLE, true)["data"]["is_late"], true);
    }

    #[test]
    fn what_is_withheld_is_nowhere_in_it_and_the_rest_is_still_a_hit() {
        let event = structured(NOTHING, false);
        assert_eq!(event["withheld"], "pictures reason authority");
        let text = event.to_string();
        for secret in [
            "stolen, case",
            "31-0504",
            "police",
            "sha256",
            "evidence/",
            "2031-05-04.2",
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        let data = event["data"].to_string();
        let hit = HitMessage::from_json(data.as_bytes()).unwrap();
        assert_eq!(
            (hit.category.as_str(), hit.entry.plate.as_str()),
            ("stolen", "冀Z7K0T9")
        );
    }

    #[test]
    fn each_right_brings_its_own_part() {
        let only = |pictures, reason, authority| {
            structured(
                Grant {
                    pictures,
                    reason,
                    authority,
                },
                false,
            )
        };
        let pictures = only(true, false, false);
        assert_eq!(pictures["withheld"], "reason authority");
        assert_eq!(pictures["data"]["evidence"].as_array().unwrap().len(), 3);
        let reason = only(false, true, false);
        assert_eq!(reason["data"]["reason"], "reported stolen, case 31-0504");
        assert_eq!(reason["data"]["entry"]["basis"], "case 31-0504");
        assert!(reason["data"]["entry"].get("authority").is_none());
        let authority = only(false, false, true);
        assert_eq!(authority["data"]["entry"]["authority"], "prefecture police");
        assert_eq!(authority["data"]["entry"]["list"], "prefecture");
        assert!(authority["data"]["entry"].get("basis").is_none());
    }

    #[test]
    fn what_is_no_hit_is_an_error() {
        let told = Event::new(b"{}", Grant::WHOLE, false)
            .unwrap_err()
            .to_string();
        assert!(told.contains("no hit of the contract"), "{told}");
    }
}
