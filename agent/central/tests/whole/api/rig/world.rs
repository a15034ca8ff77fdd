//! What the world consists of: sites, passages, hits, answers and pictures, by the golden messages.

use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use kakou_contract::{
    AuditEvent, AuditMessage, Confidence, HitMessage, HitState, Id, Message, PassageMessage,
    Verdict,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{DAY, PLATE, Rig, WHY, after, noon};

/// A passage that is to be: what is not said is that of the golden message.
#[derive(Clone)]
pub struct Seen<'a> {
    pub site: &'a str,
    pub agent: &'a str,
    pub camera: &'a str,
    pub lane: Option<&'a str>,
    pub plate: Option<&'a str>,
    pub confidence: f64,
    pub at: DateTime<FixedOffset>,
    pub is_late: bool,
    pub clock: &'a str,
}

impl Default for Seen<'_> {
    fn default() -> Self {
        Self {
            site: "site-a",
            agent: "box-1",
            camera: "cam-1",
            lane: Some("lane-1"),
            plate: Some(PLATE),
            confidence: 0.97,
            at: noon(),
            is_late: false,
            clock: "synchronised",
        }
    }
}

impl Rig {
    /// A site on the map, with one box.
    pub async fn site(&self, site: &str, prefecture: &str, longitude: f64, latitude: f64) {
        self.sql(&format!(
            "INSERT INTO organisations VALUES ('{prefecture}0001', '支队 {prefecture}') ON CONFLICT DO NOTHING;
             INSERT INTO sites VALUES ('{site}', '卡口 {site}', '{prefecture}0001', 'grid-{site}',
                 '{prefecture}', {longitude}, {latitude});"
        ))
        .await;
        self.agent(site, "box-1").await;
    }

    pub async fn agent(&self, site: &str, agent: &str) -> i32 {
        let client = self.store.client().await.unwrap();
        let sql = "INSERT INTO agents (site, agent) VALUES ($1, $2)
                   ON CONFLICT (site, agent) DO UPDATE SET site = excluded.site RETURNING id";
        client
            .query_one(sql, &[&site, &agent])
            .await
            .unwrap()
            .get(0)
    }

    async fn partition(&self, time: DateTime<FixedOffset>) {
        let client = self.store.client().await.unwrap();
        let times = std::iter::once(time.to_utc());
        self.days
            .make(&**client, noon().to_utc(), times)
            .await
            .unwrap();
    }

    /// A passage, by the golden message.
    pub async fn passage(&self, seen: Seen<'_>) -> Uuid {
        let golden = include_bytes!("../../../../../contract/golden/passage.json");
        let mut passage = PassageMessage::from_json(golden).unwrap();
        passage.id = kakou_contract::live_id(seen.at);
        passage.site = Id::new("site", seen.site).unwrap();
        passage.agent = Id::new("agent", seen.agent).unwrap();
        passage.camera = Id::new("camera", seen.camera).unwrap();
        passage.time = seen.at;
        passage.first_seen = seen.at;
        passage.last_seen = seen.at;
        passage.is_late = seen.is_late;
        if let (Some(plate), Some(text)) = (&mut passage.plate, seen.plate) {
            plate.text = text.to_owned();
            plate.confidence = Confidence::new(seen.confidence as _);
        }
        let agent = self.agent(seen.site, seen.agent).await;
        self.partition(seen.at).await;
        let read = passage.plate.as_ref().filter(|_| seen.plate.is_some());
        let client = self.store.client().await.unwrap();
        let sql = "INSERT INTO passages (id, time, agent, camera, lane, direction, first_seen,
                       last_seen, vehicle_class, plate, plate_confidence, plate_colour, plate_width,
                       is_late, clock_state, body)
                   VALUES ($1, $2, $3, $4, $5, 'approaching', $2, $2, 'car', $6, $7, 'blue', $8, $9,
                       $10, $11)";
        let width = read.map(|_| 120.0_f32);
        let confidence = read.map(|_| seen.confidence as f32);
        let body = passage.to_json().unwrap();
        client
            .execute(
                sql,
                &[
                    &passage.id,
                    &seen.at,
                    &agent,
                    &seen.camera,
                    &seen.lane,
                    &seen.plate,
                    &confidence,
                    &width,
                    &seen.is_late,
                    &seen.clock,
                    &&body[..],
                ],
            )
            .await
            .unwrap();
        passage.id
    }

    /// A message of a hit's life.
    pub async fn hit(
        &self,
        site: &str,
        id: Uuid,
        state: HitState,
        at: DateTime<FixedOffset>,
    ) -> String {
        let golden = include_bytes!("../../../../../contract/golden/hit.json");
        let mut hit = HitMessage::from_json(golden).unwrap();
        hit.id = id;
        hit.state = state;
        hit.site = Id::new("site", site).unwrap();
        hit.time = at;
        hit.decided_at = Some(at);
        let (agent, event_id) = (self.agent(site, "box-1").await, hit.event_id());
        self.partition(at).await;
        let client = self.store.client().await.unwrap();
        let sql = "INSERT INTO hits (event_id, time, hit, state, passage, agent, camera, level, category,
                       reason, list, entry_plate, plate, plate_confidence, is_late, body)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, false, $15)";
        let body = hit.to_json().unwrap();
        client
            .execute(
                sql,
                &[
                    &event_id,
                    &at,
                    &id,
                    &state.as_str(),
                    &hit.passage_id,
                    &agent,
                    &hit.camera.as_str(),
                    &hit.level.as_str(),
                    &hit.category,
                    &hit.reason,
                    &hit.entry.list,
                    &hit.entry.plate,
                    &hit.plate.text,
                    &0.97_f32,
                    &&body[..],
                ],
            )
            .await
            .unwrap();
        event_id
    }

    /// An officer's answer, as the box records it.
    pub async fn answer(&self, site: &str, hit: Uuid, verdict: Verdict, at: DateTime<FixedOffset>) {
        let golden = include_bytes!("../../../../../contract/golden/audit.json");
        let mut audit = AuditMessage::from_json(golden).unwrap();
        audit.id = kakou_contract::live_id(at);
        audit.time = at;
        audit.event = AuditEvent::Answer {
            hit,
            verdict,
            by: "李警官".into(),
            note: Some("查验".into()),
            list: Some("prefecture".into()),
            plate: Some(PLATE.into()),
            camera: None,
            raised: None,
        };
        let agent = self.agent(site, "box-1").await;
        self.partition(at).await;
        let client = self.store.client().await.unwrap();
        let sql =
            "INSERT INTO audits (id, time, kind, agent, body) VALUES ($1, $2, 'answer', $3, $4)";
        let body = audit.to_json().unwrap();
        client
            .execute(sql, &[&audit.id, &at, &agent, &&body[..]])
            .await
            .unwrap();
    }

    pub async fn picture(&self, site: &str, owner: Uuid, bytes: &'static [u8]) {
        let agent = self.agent(site, "box-1").await;
        self.partition(noon()).await;
        let client = self.store.client().await.unwrap();
        let sql =
            "INSERT INTO pictures (owner, role, time, agent, content_type, bytes, sha256, object)
                   VALUES ($1, 'frame', $2, $3, 'image/jpeg', $4, $5, $6)";
        let (digest, key) = (Sha256::digest(bytes), format!("{owner}/frame"));
        let length = bytes.len() as i64;
        client
            .execute(sql, &[&owner, &noon(), &agent, &length, &&digest[..], &key])
            .await
            .unwrap();
        self.shelf
            .0
            .lock()
            .unwrap()
            .insert(key, Bytes::from_static(bytes));
    }

    /// What was searched, the last first.
    pub async fn searched(&self) -> Vec<Value> {
        let client = self.store.client().await.unwrap();
        let sql = "SELECT to_jsonb(s) FROM search_audit s ORDER BY id DESC";
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Two places, each in a prefecture of its own, with something of everything.
    pub async fn two_places(&self) -> [Place; 2] {
        self.site("site-a", "130600", 115.4, 38.9).await;
        self.site("site-b", "130700", 114.9, 40.8).await;
        let mut places = Vec::new();
        for (n, site) in ["site-a", "site-b"].into_iter().enumerate() {
            let at = after(n as i64 * 60);
            let passage = self
                .passage(Seen {
                    site,
                    at,
                    ..Seen::default()
                })
                .await;
            let hit = kakou_contract::live_id(at);
            self.hit(site, hit, HitState::Confirmed, at).await;
            self.picture(site, passage, b"\xff\xd8 passage").await;
            let agent = self.agent(site, "box-1").await;
            let command = kakou_contract::live_id(at);
            self.sql(&format!(
                "INSERT INTO gaps (agent, first, last) VALUES ({agent}, 3, 5);
                 INSERT INTO alarms (kind, agent, detail) VALUES ('silent', {agent}, 'of {site}');
                 INSERT INTO agent_state (agent, state, health) VALUES ({agent}, 'online', 'ok');
                 INSERT INTO camera_state (agent, camera, state, health) VALUES ({agent}, 'cam-1', 'ok', 'ok');
                 INSERT INTO commands (request_id, agent, command, body, by, expires_at)
                     VALUES ('{command}', {agent}, 'ping', '{{}}', 'x', now());"
            ))
            .await;
            let newest = format!("SELECT max(id)::text FROM alarms WHERE agent = {agent}");
            let alarm = self.one(&newest).await;
            places.push(Place {
                site,
                passage,
                hit,
                command,
                alarm,
            });
        }
        places.try_into().map_err(|_| ()).unwrap()
    }
}

pub struct Place {
    pub site: &'static str,
    pub passage: Uuid,
    pub hit: Uuid,
    pub command: Uuid,
    pub alarm: String,
}

/// Every path that a place can be seen by; the last part says how it is asked.
pub fn questions(place: &Place) -> Vec<(&'static str, String, Option<Value>)> {
    let (site, passage) = (place.site, place.passage);
    let plate = "plate=%E5%86%80Z7K0T9";
    vec![
        ("GET", format!("/api/v1/hits?{DAY}"), None),
        (
            "GET",
            format!("/api/v1/passages/search?{DAY}&{WHY}&{plate}"),
            None,
        ),
        (
            "GET",
            format!("/api/v1/passages/search?{DAY}&{WHY}&site={site}"),
            None,
        ),
        ("GET", format!("/api/v1/route?{DAY}&{WHY}&{plate}"), None),
        (
            "GET",
            format!("/api/v1/companions?{DAY}&{WHY}&{plate}&least_sites=2"),
            None,
        ),
        ("GET", format!("/api/v1/clones?{DAY}&{WHY}"), None),
        ("GET", format!("/api/v1/flow?{DAY}"), None),
        ("GET", "/api/v1/quality?day=2031-05-04".into(), None),
        ("GET", "/api/v1/agents".into(), None),
        ("GET", format!("/api/v1/agents/{site}/box-1"), None),
        ("GET", "/api/v1/gaps".into(), None),
        ("GET", "/api/v1/alarms".into(), None),
        (
            "GET",
            format!("/api/v1/pictures/{passage}/frame?{WHY}"),
            None,
        ),
        ("GET", "/api/v1/organisations".into(), None),
        ("GET", format!("/api/v1/commands/{}", place.command), None),
        (
            "POST",
            format!("/api/v1/agents/{site}/box-1/commands"),
            Some(json!({ "command": "ping" })),
        ),
        (
            "POST",
            format!("/api/v1/alarms/{}/acknowledge", place.alarm),
            Some(json!({ "note": "seen to" })),
        ),
        (
            "POST",
            format!("/api/v1/alarms/{}/end", place.alarm),
            Some(json!({ "note": "a restored box" })),
        ),
    ]
}
