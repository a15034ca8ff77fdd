//! Searches are recorded first, or not made.

use kakou_central::api::Role;
use serde_json::{Value, json};

use crate::api::rig::{DAY, PLATE, Rig, Seen, WHY};

const BY_PLATE: &str = "plate=%E5%86%80z%C2%B77k0t9";

fn searches() -> Vec<(&'static str, String)> {
    vec![
        (
            "passages",
            format!("/api/v1/passages/search?{DAY}&{BY_PLATE}"),
        ),
        ("route", format!("/api/v1/route?{DAY}&{BY_PLATE}")),
        ("companions", format!("/api/v1/companions?{DAY}&{BY_PLATE}")),
        ("clones", format!("/api/v1/clones?{DAY}")),
    ]
}

#[tokio::test]
async fn a_search_is_recorded_with_who_why_and_what() {
    let rig = Rig::new().await;
    let [place, _] = rig.two_places().await;
    let token = rig
        .user("李", &[Role::Viewer, Role::Investigator], None)
        .await;
    for (what, path) in searches() {
        for wrong in ["", "&reason=", "&reason=ab", "&reason=%09%09%09%09%09"] {
            let told = rig.get(&token, &format!("{path}{wrong}")).await;
            assert_eq!(
                (told.status, told.field().as_str()),
                (400, "reason"),
                "{what}"
            );
        }
        assert!(rig.searched().await.iter().all(|row| row["what"] != what));
        let told = rig.get(&token, &format!("{path}&{WHY}")).await;
        let found = told.rows().len();
        let row = &rig.searched().await[0];
        assert_eq!(row["what"], what);
        assert_eq!(row["who"], "李");
        assert_eq!(row["role"], "investigator");
        assert_eq!(row["address"], "10.0.0.9");
        assert_eq!(row["reason"], "case 31-0504");
        assert_eq!(row["rows"], json!(found));
        if what != "clones" {
            assert_eq!(row["filter"]["plate"], PLATE);
        }
    }
    let pictures = rig
        .get(
            &token,
            &format!("/api/v1/pictures/{}/frame?{WHY}", place.passage),
        )
        .await;
    assert_eq!(pictures.status, 200);
    assert_eq!(rig.searched().await[0]["what"], "picture");

    // Who may, reads it; and nobody takes it away.
    let admin = rig.user("admin", &[Role::Admin], None).await;
    let told = rig
        .pages(&admin, &format!("/api/v1/audit?{DAYS}&who=%E6%9D%8E"), 2)
        .await;
    assert_eq!(told.len(), 5);
    let client = rig.store.client().await.unwrap();
    for sql in [
        "DELETE FROM search_audit",
        "TRUNCATE search_audit",
        "UPDATE search_audit SET reason = 'another'",
        "UPDATE search_audit SET rows = 7",
    ] {
        let error = client.batch_execute(sql).await.unwrap_err();
        let error = error.as_db_error().unwrap().message().to_owned();
        assert_eq!(error, "search_audit is only added to", "{sql}");
    }
}

const DAYS: &str = "from=2031-05-01T00:00:00%2B08:00&to=2031-06-05T00:00:00%2B08:00";

#[tokio::test]
async fn where_it_cannot_be_recorded_there_is_no_answer() {
    let rig = Rig::new().await;
    let [place, _] = rig.two_places().await;
    let token = rig
        .user("li", &[Role::Viewer, Role::Investigator], None)
        .await;
    let picture = format!("/api/v1/pictures/{}/frame?", place.passage);
    let mut all = searches();
    all.push(("picture", picture));
    // It cannot be written; and it can, but not completed.
    for broken in [
        "ALTER TABLE search_audit ADD CONSTRAINT broken CHECK (id < 0) NOT VALID",
        "ALTER TABLE search_audit DROP CONSTRAINT broken, ADD CONSTRAINT broken CHECK (rows IS NULL) NOT VALID",
        "DROP TABLE search_audit",
    ] {
        rig.sql(broken).await;
        for (what, path) in &all {
            let told = rig.get(&token, &format!("{path}&{WHY}")).await;
            assert_eq!(
                (told.status, told.code().as_str()),
                (503, "audit_unwritable"),
                "{what}: {}",
                told.text
            );
            assert!(
                !told.text.contains("Z7K0T9") && !told.text.contains("site-"),
                "{}",
                told.text
            );
        }
    }
}

#[tokio::test]
async fn plates_are_found_whole_by_their_beginning_and_by_pattern() {
    let rig = Rig::new().await;
    rig.site("site-a", "130600", 115.4, 38.9).await;
    for plate in ["冀Z7K0T9", "冀Z7K0T8", "冀A00001", "京Z7K0T9"] {
        rig.passage(Seen {
            plate: Some(plate),
            ..Seen::default()
        })
        .await;
    }
    rig.passage(Seen {
        plate: None,
        ..Seen::default()
    })
    .await;
    let token = rig.user("li", &[Role::Investigator], None).await;
    let found = async |filter: &str| {
        let path = format!("/api/v1/passages/search?{DAY}&{WHY}&{filter}");
        let mut plates: Vec<String> = rig
            .get(&token, &path)
            .await
            .rows()
            .iter()
            .map(|row| row["plate"].as_str().unwrap_or("-").to_owned())
            .collect();
        plates.sort();
        plates.join(" ")
    };
    assert_eq!(found("plate=%E5%86%80Z7K0T9").await, "冀Z7K0T9");
    assert_eq!(found("plate=%E5%86%80Z*").await, "冀Z7K0T8 冀Z7K0T9");
    assert_eq!(found("plate=%E5%86%80Z7K0T?").await, "冀Z7K0T8 冀Z7K0T9");
    assert_eq!(found("plate=?Z7K0T9").await, "京Z7K0T9 冀Z7K0T9");
    assert_eq!(found("site=site-a").await.split(' ').count(), 5);
    assert_eq!(found("site=site-b").await, "");
    rig.sql(
        "UPDATE passages SET vehicle_colour = 'red', vehicle_colour_confidence = 0.9
         WHERE plate = '冀A00001'",
    )
    .await;
    let red = "site=site-a&vehicle_colour=red";
    assert_eq!(found(red).await, "冀A00001");

    let told = rig
        .get(&token, &format!("/api/v1/passages/search?{DAY}&{WHY}"))
        .await;
    assert_eq!(told.field(), "plate");
    // The wider the pattern the shorter the time.
    let told = rig
        .get(
            &token,
            &format!("/api/v1/passages/search?{DAYS}&{WHY}&plate=?A1"),
        )
        .await;
    assert_eq!(told.field(), "to");
}

#[tokio::test]
async fn pictures_of_hits_are_for_viewers_and_others_need_a_reason() {
    let rig = Rig::new().await;
    let [place, _] = rig.two_places().await;
    let viewer = rig.user("viewer", &[Role::Viewer], None).await;
    let searcher = rig.user("searcher", &[Role::Investigator], None).await;
    rig.picture("site-a", place.hit, b"\xff\xd8 hit").await;
    let of = |owner| format!("/api/v1/pictures/{owner}/frame");

    let told = rig.get(&viewer, &of(place.hit)).await;
    assert_eq!(
        (told.status, told.headers["content-type"].to_str().unwrap()),
        (200, "image/jpeg")
    );
    assert_eq!(rig.searched().await[0]["reason"], Value::Null);
    assert_eq!(rig.get(&viewer, &of(place.passage)).await.code(), "role");
    assert_eq!(
        rig.get(&searcher, &of(place.passage)).await.field(),
        "reason"
    );
    let told = rig
        .get(&searcher, &format!("{}?{WHY}", of(place.passage)))
        .await;
    assert_eq!(told.status, 200);
    assert_eq!(
        rig.searched().await[0]["filter"]["owner"],
        json!(place.passage)
    );

    // One that was changed is not shown, and one that is gone is none.
    let key = format!("{}/frame", place.hit);
    rig.shelf
        .0
        .lock()
        .unwrap()
        .insert(key.clone(), bytes::Bytes::from_static(b"another"));
    assert_eq!(rig.get(&viewer, &of(place.hit)).await.code(), "failed");
    rig.shelf.0.lock().unwrap().remove(&key);
    assert_eq!(rig.get(&viewer, &of(place.hit)).await.status, 404);
}
