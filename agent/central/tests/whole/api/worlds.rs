//! Small made-up worlds whose answer is known.

use kakou_central::analysis::{ListError, cameras, organisations, sites};
use kakou_central::api::Role;
use kakou_contract::{HitState, Verdict};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::rig::{DAY, PLATE, Rig, Seen, WHY, after};

const MINE: &str = "plate=%E5%86%80Z7K0T9";

/// Four places on a line to the east, about 43 km apart on the great circle.
async fn road(rig: &Rig) -> String {
    for n in 0..4 {
        rig.site(&format!("s{n}"), "130600", 115.0 + 0.5 * f64::from(n), 38.9)
            .await;
    }
    rig.user(
        "li",
        &[Role::Investigator, Role::Viewer, Role::Operator],
        None,
    )
    .await
}

async fn seen(rig: &Rig, site: &str, plate: &str, minutes: i64) -> Uuid {
    let (plate, at) = (Some(plate), after(minutes * 60));
    rig.passage(Seen {
        site,
        plate,
        at,
        ..Seen::default()
    })
    .await
}

fn texts(rows: &[Value], key: &str) -> Vec<String> {
    rows.iter()
        .map(|row| row[key].as_str().unwrap_or("-").to_owned())
        .collect()
}

#[tokio::test]
async fn a_route_is_in_time_order_with_the_way_between() {
    let rig = Rig::new().await;
    let token = road(&rig).await;
    for (site, minutes) in [("s2", 60), ("s0", 0), ("s1", 30)] {
        seen(&rig, site, PLATE, minutes).await;
    }
    seen(&rig, "s3", "冀A00001", 45).await;
    let rows = rig
        .get(&token, &format!("/api/v1/route?{DAY}&{WHY}&{MINE}"))
        .await
        .rows();
    assert_eq!(texts(&rows, "site"), ["s0", "s1", "s2"]);
    assert_eq!(
        (&rows[0]["km"], &rows[0]["seconds"]),
        (&Value::Null, &Value::Null)
    );
    let km = rows[1]["km"].as_f64().unwrap();
    // 0.5 degrees of longitude at 38.9 degrees north.
    assert!((km - 43.27).abs() < 0.05, "{km}");
    assert_eq!(rows[2]["seconds"], json!(1800.0));
    assert_eq!(rows[0]["time"], "2031-05-04T12:00:00+08:00");
}

#[tokio::test]
async fn companions_are_those_near_at_enough_places() {
    let rig = Rig::new().await;
    let token = road(&rig).await;
    for (n, site) in ["s0", "s1", "s2"].iter().enumerate() {
        let at = 30 * n as i64;
        seen(&rig, site, PLATE, at).await;
        // A minute behind all the way.
        seen(&rig, site, "冀B11111", at + 1).await;
        // Ten minutes behind: too far for a window of two.
        seen(&rig, site, "冀C22222", at + 10).await;
        // Near, but at one place only; seen there by both cameras.
        let (plate, at) = (Some("冀D33333"), after(30));
        for camera in ["cam-1", "cam-2"] {
            rig.passage(Seen {
                site: "s0",
                camera,
                plate,
                at,
                ..Seen::default()
            })
            .await;
        }
    }
    // On another box of the same site, and at two places.
    let of = |site: &'static str, minutes: i64| Seen {
        site,
        agent: "box-2",
        plate: Some("冀E44444"),
        at: after(minutes * 60 - 20),
        ..Seen::default()
    };
    rig.passage(of("s0", 0)).await;
    rig.passage(of("s2", 60)).await;
    let ask = async |least: u32| {
        let path = format!("/api/v1/companions?{DAY}&{WHY}&{MINE}&window=120&least_sites={least}");
        rig.get(&token, &path).await.rows()
    };
    let rows = ask(2).await;
    assert_eq!(texts(&rows, "plate"), ["冀B11111", "冀E44444"]);
    assert_eq!(
        (&rows[0]["sites"], &rows[0]["meetings"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(rows[0]["mean_seconds"], json!(60.0));
    assert_eq!(rows[1]["at_sites"], json!(["s0", "s2"]));
    assert_eq!(texts(&ask(3).await, "plate"), ["冀B11111"]);
}

#[tokio::test]
async fn a_clone_is_one_plate_too_far_apart_for_the_time() {
    let rig = Rig::new().await;
    let token = road(&rig).await;
    // 43 km in ten minutes: 260 km/h.
    let first = seen(&rig, "s0", "冀C00001", 0).await;
    seen(&rig, "s1", "冀C00001", 10).await;
    // The same in half an hour: 87 km/h.
    seen(&rig, "s0", "冀C00002", 0).await;
    seen(&rig, "s1", "冀C00002", 30).await;
    // Two cameras of one box, and two boxes of one site.
    for (agent, camera, at) in [
        ("box-1", "cam-1", 0),
        ("box-1", "cam-2", 1),
        ("box-2", "cam-1", 2),
    ] {
        let (plate, at) = (Some("冀C00003"), after(at));
        rig.passage(Seen {
            site: "s0",
            agent,
            camera,
            plate,
            at,
            ..Seen::default()
        })
        .await;
    }
    // A read that is not sure, and a clock that is not.
    for (n, (confidence, clock)) in [(0.6, "synchronised"), (0.97, "unsynchronised")]
        .iter()
        .enumerate()
    {
        let plate = format!("冀C0001{n}");
        seen(&rig, "s0", &plate, 0).await;
        let (plate, at, confidence) = (Some(plate.as_str()), after(60), *confidence);
        rig.passage(Seen {
            site: "s3",
            plate,
            at,
            confidence,
            clock,
            ..Seen::default()
        })
        .await;
    }
    // Hidden by a sighting between: s0, s3 and back within 20 minutes.
    for (site, minutes) in [("s0", 0), ("s3", 15), ("s0", 30)] {
        seen(&rig, site, "冀C00004", minutes).await;
    }
    // A place that is on no map.
    rig.passage(Seen {
        site: "nowhere",
        plate: Some("冀C00005"),
        ..Seen::default()
    })
    .await;
    seen(&rig, "s0", "冀C00005", 1).await;

    // Two vehicles with one plate.
    for (place, colour) in [("=", "white"), ("<>", "black")] {
        rig.sql(&format!(
            "UPDATE passages SET vehicle_colour = '{colour}', vehicle_colour_confidence = 0.9
             WHERE plate = '冀C00001' AND id {place} '{first}'"
        ))
        .await;
    }

    let ask = async |more: &str| {
        rig.get(&token, &format!("/api/v1/clones?{DAY}&{WHY}{more}"))
            .await
            .rows()
    };
    let rows = ask("").await;
    assert_eq!(texts(&rows, "plate"), ["冀C00001", "冀C00004", "冀C00004"]);
    assert_eq!(rows[0]["before_id"], json!(first));
    assert_eq!(rows[0]["before_vehicle_colour"], json!("white"));
    assert_eq!(rows[0]["vehicle_colour"], json!("black"));
    let kmh = rows[0]["implied_kmh"].as_f64().unwrap();
    assert!((kmh - 259.6).abs() < 0.5, "{kmh}");
    assert_eq!(
        texts(&ask("&kmh=300").await, "plate"),
        ["冀C00004", "冀C00004"]
    );
    assert!(texts(&ask("&confidence=0.5").await, "plate").contains(&"冀C00010".to_owned()));
    assert!(texts(&ask("&kmh=80").await, "plate").contains(&"冀C00002".to_owned()));
}

#[tokio::test]
async fn flow_is_counted_in_the_hours_weeks_and_months_of_shanghai() {
    let rig = Rig::new().await;
    let token = road(&rig).await;
    let at = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap();
    // 23:59 of Sunday and 00:01 of Monday; the last of May and the first of June, by the local clock.
    for (text, lane) in [
        ("2031-05-04T15:59:00Z", Some("l1")),
        ("2031-05-04T16:01:00Z", Some("l1")),
        ("2031-05-31T15:59:00Z", Some("l1")),
        ("2031-05-31T16:01:00Z", Some("l1")),
        ("2031-05-31T16:02:00Z", None),
    ] {
        rig.passage(Seen {
            site: "s0",
            lane,
            at: at(text),
            ..Seen::default()
        })
        .await;
    }
    rig.passage(Seen {
        site: "s0",
        plate: None,
        lane: Some("l1"),
        at: at("2031-05-04T15:58:00Z"),
        ..Seen::default()
    })
    .await;
    let ask = async |per: &str| {
        let span = "from=2031-05-01T00:00:00Z&to=2031-06-05T00:00:00Z&site=s0";
        let rows = rig
            .get(&token, &format!("/api/v1/flow?{span}&per={per}"))
            .await
            .rows();
        rows.iter()
            .map(|row| {
                let lane = row["lane"].as_str().unwrap_or("-").to_owned();
                let counts = (
                    row["passages"].as_i64().unwrap(),
                    row["with_plate"].as_i64().unwrap(),
                );
                (
                    row["period"].as_str().unwrap().to_owned(),
                    lane,
                    counts.0,
                    counts.1,
                )
            })
            .collect::<Vec<_>>()
    };
    let row = |period: &str, lane: &str, all, read| (period.to_owned(), lane.to_owned(), all, read);
    assert_eq!(
        ask("hour").await,
        [
            row("2031-05-04T23", "l1", 2, 1),
            row("2031-05-05T00", "l1", 1, 1),
            row("2031-05-31T23", "l1", 1, 1),
            row("2031-06-01T00", "-", 1, 1),
            row("2031-06-01T00", "l1", 1, 1),
        ]
    );
    let days: Vec<String> = ask("day").await.into_iter().map(|row| row.0).collect();
    assert_eq!(
        days,
        [
            "2031-05-04",
            "2031-05-05",
            "2031-05-31",
            "2031-06-01",
            "2031-06-01"
        ]
    );
    assert_eq!(
        ask("week").await,
        [
            row("2031-W18", "l1", 2, 1),
            row("2031-W19", "l1", 1, 1),
            row("2031-W22", "-", 1, 1),
            row("2031-W22", "l1", 2, 2),
        ]
    );
    assert_eq!(
        ask("month").await,
        [
            row("2031-05", "l1", 4, 3),
            row("2031-06", "-", 1, 1),
            row("2031-06", "l1", 1, 1),
        ]
    );
}

#[tokio::test]
async fn quality_has_the_worst_camera_first() {
    let rig = Rig::new().await;
    let token = road(&rig).await;
    let at = |hour: i64| after((hour - 12) * 3600 + 60);
    // Good: one in every hour. Worse: half without a plate. Late: half late, half with a wrong clock.
    for hour in 0..24 {
        rig.passage(Seen {
            site: "s0",
            at: at(hour),
            ..Seen::default()
        })
        .await;
        let plate = (hour % 2 == 0).then_some(PLATE);
        rig.passage(Seen {
            site: "s1",
            plate,
            at: at(hour),
            ..Seen::default()
        })
        .await;
        let (is_late, clock) = (
            hour % 2 == 0,
            if hour % 2 == 0 {
                "unsynchronised"
            } else {
                "synchronised"
            },
        );
        rig.passage(Seen {
            site: "s2",
            is_late,
            clock,
            at: at(hour),
            ..Seen::default()
        })
        .await;
    }
    // Known by the list, and silent; known by its status, with messages missing.
    let csv = "site,agent,camera,name,device\ns3,box-1,cam-9,北口,13060000001320000001\n";
    assert_eq!(cameras(&rig.store, csv.as_bytes()).await.unwrap(), 1);
    let agent = rig.agent("s1", "box-2").await;
    rig.sql(&format!(
        "INSERT INTO camera_state (agent, camera, health) VALUES ({agent}, 'cam-1', 'failed');
         INSERT INTO gaps (agent, first, last, since) VALUES ({agent}, 3, 12, '2031-05-04T01:00:00Z'),
             ({agent}, 20, 20, '2031-05-20T00:00:00Z');"
    ))
    .await;
    rig.clock.advance(std::time::Duration::from_secs(86_400));
    let rows = rig
        .get(&token, "/api/v1/quality?day=2031-05-04")
        .await
        .rows();
    let told: Vec<(String, f64)> = rows
        .iter()
        .map(|row| {
            let place = format!(
                "{}/{}",
                row["site"].as_str().unwrap(),
                row["agent"].as_str().unwrap()
            );
            (place, row["score"].as_f64().unwrap())
        })
        .collect();
    let wanted = [
        ("s1/box-2", 3.0),
        ("s3/box-1", 2.0),
        ("s2/box-1", 1.0),
        ("s1/box-1", 0.5),
        ("s0/box-1", 0.0),
    ];
    let wanted: Vec<(String, f64)> = wanted.iter().map(|(p, s)| ((*p).to_owned(), *s)).collect();
    assert_eq!(told, wanted);
    assert_eq!(rows[0]["missing"], json!(10));
    assert_eq!(
        (&rows[1]["device"], &rows[1]["silent_hours"]),
        (&json!("13060000001320000001"), &json!(24))
    );
    assert_eq!(
        (&rows[2]["late_share"], &rows[2]["unsynchronised_share"]),
        (&json!(0.5), &json!(0.5))
    );
    assert_eq!(
        (&rows[3]["plate_share"], &rows[3]["passages"]),
        (&json!(0.5), &json!(24))
    );
    assert_eq!(rows[4]["organisation_name"], "支队 130600");
    assert_eq!(rows[4]["plate_width"], json!(120.0));
}

#[tokio::test]
async fn a_hit_is_shown_as_it_stands_with_the_last_answer() {
    let rig = Rig::new().await;
    let token = road(&rig).await;
    let [confirmed, taken_back, open] = [1, 2, 3].map(|n| kakou_contract::live_id(after(n)));
    rig.hit("s0", confirmed, HitState::Provisional, after(5))
        .await;
    // The vehicle passed before the frame of the provisional message.
    rig.hit("s0", confirmed, HitState::Confirmed, after(3))
        .await;
    rig.hit("s0", confirmed, HitState::Again, after(600)).await;
    rig.hit("s1", taken_back, HitState::Provisional, after(10))
        .await;
    rig.hit("s1", taken_back, HitState::Retracted, after(11))
        .await;
    rig.hit("s2", open, HitState::Provisional, after(20)).await;
    rig.answer("s0", confirmed, Verdict::WrongPlate, after(700))
        .await;
    rig.answer("s0", confirmed, Verdict::Confirmed, after(800))
        .await;
    // A body that says no hit, and one that is none, are nobody's answer.
    rig.sql("INSERT INTO audits (id, time, kind, agent, body) SELECT gen_random_uuid(), '2031-05-04T05:00:00Z',
             'answer', min(id), b::bytea FROM agents, (VALUES ('{}'), ('no json')) v(b) GROUP BY b").await;
    let rows = rig.get(&token, &format!("/api/v1/hits?{DAY}")).await.rows();
    assert_eq!(texts(&rows, "state"), ["again", "provisional", "retracted"]);
    assert_eq!(
        (&rows[0]["verdict"], &rows[0]["verdict_by"]),
        (&json!("confirmed"), &json!("李警官"))
    );
    assert_eq!(rows[1]["verdict"], Value::Null);
    let filtered = rig
        .get(
            &token,
            &format!("/api/v1/hits?{DAY}&state=retracted&site=s1"),
        )
        .await;
    assert_eq!(filtered.rows().len(), 1);

    let mut client = rig.store.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction
        .batch_execute("SET LOCAL kakou.prefectures = '*'")
        .await
        .unwrap();
    let row = transaction
        .query_one("SELECT hit, verdict, site FROM seen.verdicts", &[])
        .await
        .unwrap();
    assert_eq!(
        (row.get::<_, Uuid>(0), row.get(1), row.get(2)),
        (confirmed, "confirmed".to_owned(), "s0".to_owned())
    );
}

#[tokio::test]
async fn lists_are_taken_whole_or_not_at_all() {
    let rig = Rig::new().await;
    let of = "code,name,parent\n130600,保定支队,\n130601,一大队,130600\n";
    assert_eq!(organisations(&rig.store, of.as_bytes()).await.unwrap(), 2);
    let wrong = "site,name,organisation\ns1,北口,130601\ns2,南口,999\n";
    let Err(ListError::Lines(told)) = sites(&rig.store, wrong.as_bytes()).await else {
        panic!("taken");
    };
    assert_eq!(
        told.to_string(),
        "line 3: organisation `999` is not in the list of organisations; load that list first"
    );
    assert_eq!(rig.one("SELECT count(*)::text FROM sites").await, "0");
    let right =
        "site,name,organisation,prefecture,longitude,latitude\ns1,北口,130601,130600,115.4,38.9\n";
    assert_eq!(sites(&rig.store, right.as_bytes()).await.unwrap(), 1);
    let anew = right.replace("北口", "北口收费站");
    sites(&rig.store, anew.as_bytes()).await.unwrap();
    assert_eq!(rig.one("SELECT name FROM sites").await, "北口收费站");
}
