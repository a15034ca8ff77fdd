//! The questions are answered by indexes, and by the days that they ask for.

use crate::api::rig::{PLATE, Rig, Seen, noon};

/// The plan of a question, where the planner is told that reading whole tables is dear.
async fn plan(rig: &Rig, sql: &str) -> String {
    let mut client = rig.store.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let set = "SET LOCAL enable_seqscan = off; SET LOCAL kakou.prefectures = '*'";
    transaction.batch_execute(set).await.unwrap();
    let rows = transaction
        .query(&format!("EXPLAIN {sql}"), &[])
        .await
        .unwrap();
    rows.iter()
        .map(|row| row.get::<_, String>(0) + "\n")
        .collect()
}

#[tokio::test]
async fn the_questions_have_their_indexes() {
    let rig = Rig::new().await;
    rig.two_places().await;
    let day = "'2031-05-04', '2031-05-05'";
    let between = "time >= '2031-05-04' AND time < '2031-05-05'";
    for (sql, index) in [
        (
            format!("SELECT * FROM seen.route('{PLATE}', {day})"),
            "passages_20310504_plate_time_idx",
        ),
        (
            format!("SELECT * FROM seen.passages WHERE plate LIKE '冀Z7%' AND {between}"),
            "passages_20310504_plate_time_idx",
        ),
        (
            format!("SELECT * FROM seen.companions('{PLATE}', {day}, '60 s', 2)"),
            "passages_20310504_agent_camera_time_idx",
        ),
        (
            format!(
                "SELECT * FROM seen.hits_now WHERE {between} ORDER BY time DESC, event_id DESC LIMIT 9"
            ),
            "hits_20310504_time_event_id_idx",
        ),
        (
            format!("SELECT * FROM seen.hits_now WHERE {between}"),
            "hits_20310504_hit_time_idx",
        ),
        (
            "SELECT * FROM seen.answers WHERE hit = gen_random_uuid()".to_owned(),
            "audits_20310504_answered_hit_idx",
        ),
        (
            format!("SELECT * FROM seen.flow({day}, 'hour', 'site-a')"),
            "passages_20310504_agent_camera_time_idx",
        ),
    ] {
        let plan = plan(&rig, &sql).await;
        assert!(plan.contains(index), "{sql}\n{plan}");
    }
    // A day is one partition: the others are not looked at.
    rig.passage(Seen {
        at: noon() + chrono::TimeDelta::days(3),
        ..Seen::default()
    })
    .await;
    let plan = plan(&rig, &format!("SELECT * FROM seen.route('{PLATE}', {day})")).await;
    assert!(!plan.contains("20310507"), "{plan}");
}
