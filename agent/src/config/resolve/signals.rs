//! `[signals]` and its distances.

use kakou_contract::{Id, SignalKind};
use kakou_traffic::signals::{Distance, SignalRules};

use super::super::keys::signals as keys;
use super::super::part::Part;
use super::super::settings::CameraConfig;

/// Of the pairs of as many cameras as a box has, few are worth a distance.
const MOST: usize = 1000;

pub(super) fn signals(part: &Part<'_>, cameras: &[CameraConfig]) -> SignalRules {
    let mut parts = part.parts(&keys::DISTANCE);
    if parts.len() > MOST {
        let reason = format!(
            "there are {} distances; at most {MOST} are taken",
            parts.len()
        );
        part.wrong(&keys::KINDS, reason);
        // Each is compared with all before it.
        parts.truncate(MOST);
    }
    let mut distances: Vec<Distance> = Vec::new();
    for part in &parts {
        let Some(new) = distance(part, cameras) else {
            continue;
        };
        let [a, b] = &new.cameras;
        let is_same = |d: &Distance| d.cameras.contains(a) && d.cameras.contains(b);
        if distances.iter().any(is_same) {
            let reason = format!("the distance of `{a}` and `{b}` is given twice; give it once");
            part.wrong(&keys::CAMERAS, reason);
        }
        distances.push(new);
    }
    let mut kinds: Vec<SignalKind> = part.get(&keys::KINDS).into_iter().map(|(k, _)| k).collect();
    kinds.sort();
    kinds.dedup();
    // Who writes the default out says no more than who leaves it out.
    if kinds.contains(&SignalKind::Travel)
        && part.place(&keys::KINDS).is_some()
        && kinds != SignalRules::default().kinds
        && distances.is_empty()
    {
        let reason = "has `travel`, but no two cameras have a distance; write \
                      [[signals.distance]], once for each pair";
        part.doubtful(&keys::KINDS, reason);
    }
    SignalRules {
        kinds,
        max_speed_kmh: part.get(&keys::MAX_SPEED_KMH),
        distances,
    }
}

/// `None`: what is wrong with it has been told.
fn distance(part: &Part<'_>, cameras: &[CameraConfig]) -> Option<Distance> {
    let given = part.get(&keys::CAMERAS);
    let metres = part.get(&keys::METRES);
    let ids: Vec<String> = given?.into_iter().map(|(id, _)| id).collect();
    let pair: [String; 2] = match ids.try_into() {
        Ok(pair) => pair,
        Err(ids) => {
            let ids: Vec<String> = ids;
            let reason = format!(
                "names {} cameras; a distance is of two, as [\"cam-1\", \"cam-2\"]",
                ids.len()
            );
            part.wrong(&keys::CAMERAS, reason);
            return None;
        }
    };
    if pair[0] == pair[1] {
        let reason = format!("names `{}` twice; name two cameras", pair[0]);
        part.wrong(&keys::CAMERAS, reason);
        return None;
    }
    let known = |id: &&String| cameras.iter().any(|camera| camera.id == **id);
    if let Some(unknown) = pair.iter().find(|id| !known(id)) {
        let all: Vec<&str> = cameras.iter().map(|c| c.id.as_str()).collect();
        let reason = format!(
            "there is no camera `{}`; the cameras are {}",
            kakou_guard::presentable(unknown),
            all.join(", ")
        );
        part.wrong(&keys::CAMERAS, reason);
        return None;
    }
    let [a, b] = pair.map(|id| Id::new("camera", id).ok());
    Some(Distance {
        cameras: [a?, b?],
        metres: metres?,
    })
}
