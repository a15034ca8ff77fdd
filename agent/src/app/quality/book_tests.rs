#![allow(clippy::unwrap_used)]
use super::*;

fn at(text: &str) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(text).unwrap()
}

fn passed(passages: u64, read: u64, width: f64) -> Counts {
    Counts {
        covered_s: 3600.0,
        unsynchronised_s: 60.0,
        cameras: vec![CameraDay {
            camera: "entry".parse().unwrap(),
            looked: 100,
            dropped: 7,
            restarts: 1,
            down_s: 5.0,
        }],
        lanes: vec![LaneDay {
            camera: "entry".parse().unwrap(),
            lane: Some("1".parse().unwrap()),
            passages,
            read,
            confidence: 0.9 * read as f64,
            width: width * read as f64,
        }],
    }
}

#[test]
fn a_day_is_told_when_it_is_over_and_compared_with_those_before() {
    let mut book = Book::default();
    assert_eq!(
        book.add(at("2031-05-03T08:00:00+08:00"), passed(10, 9, 120.0)),
        None
    );
    assert_eq!(
        book.add(at("2031-05-03T23:59:59+08:00"), passed(10, 9, 120.0)),
        None
    );
    // What came over midnight belongs to the new day: a look is a few seconds.
    let first = book
        .add(at("2031-05-04T00:00:01+08:00"), passed(4, 1, 100.0))
        .unwrap();
    assert_eq!(
        (first.from, first.until),
        (
            at("2031-05-03T08:00:00+08:00"),
            at("2031-05-04T00:00:00+08:00")
        )
    );
    assert_eq!((first.covered_s, first.unsynchronised_s), (7200, 120));
    let lane = &first.lanes[0];
    assert_eq!((lane.passages, lane.read, &lane.before), (20, 18, &None));
    assert_eq!(lane.plate_width.unwrap().get(), 120.0);
    let camera = &first.cameras[0];
    assert_eq!(
        (
            camera.looked,
            camera.dropped,
            camera.restarts,
            camera.down_s
        ),
        (200, 14, 2, 10)
    );
    let second = book
        .add(at("2031-05-05T00:00:01+08:00"), Counts::default())
        .unwrap();
    let lane = &second.lanes[0];
    assert_eq!((lane.passages, lane.read), (4, 1));
    let before = lane.before.as_ref().unwrap();
    assert_eq!((before.days, before.passages, before.read), (1, 20, 18));
    assert_eq!(before.plate_width.unwrap().get(), 120.0);
}

#[test]
fn no_more_days_are_kept_than_are_compared() {
    let mut book = Book::default();
    let begin = at("2031-05-01T12:00:00+08:00");
    let mut last = None;
    for day in 0..40 {
        let now = begin + chrono::TimeDelta::days(day);
        last = book.add(now, passed(1, 0, 0.0)).or(last);
    }
    let last = last.unwrap();
    let before = last.lanes[0].before.as_ref().unwrap();
    assert_eq!((before.days, before.passages), (QUALITY_DAYS_MAX, 28));
    assert_eq!((before.confidence, last.lanes[0].plate_width), (None, None));
    assert_eq!(book.past.len(), 28);
}

#[test]
fn a_clock_that_learns_the_time_makes_no_report_and_one_set_back_no_second_day() {
    let mut book = Book::default();
    let booted = Counts {
        covered_s: 40.0,
        ..Counts::default()
    };
    assert_eq!(book.add(at("2000-01-01T00:00:10+00:00"), booted), None);
    assert_eq!(
        book.add(at("2031-05-04T09:00:00+08:00"), passed(3, 3, 90.0)),
        None
    );
    assert_eq!(
        book.add(at("2031-05-03T09:00:00+08:00"), passed(3, 3, 90.0)),
        None
    );
    let report = book
        .add(at("2031-05-05T00:00:00+08:00"), Counts::default())
        .unwrap();
    assert_eq!(report.lanes[0].passages, 6);
}

#[test]
fn it_is_kept_over_a_restart_and_damage_is_no_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("quality.json");
    assert_eq!(Book::open(&path), Book::default());
    let mut book = Book::default();
    book.add(at("2031-05-03T08:00:00+08:00"), passed(10, 9, 120.0));
    book.save(&path).unwrap();
    assert_eq!(Book::open(&path), book);
    // The agent was off over midnight: its next start tells the day.
    let mut later = Book::open(&path);
    let report = later
        .add(at("2031-05-06T10:00:00+08:00"), Counts::default())
        .unwrap();
    assert_eq!(report.until, at("2031-05-04T00:00:00+08:00"));
    std::fs::write(&path, "{\"today\":").unwrap();
    assert_eq!(Book::open(&path), Book::default());
}

#[test]
fn a_day_that_never_came_does_not_end_the_reports() {
    let mut book = Book::default();
    book.add(at("2031-05-03T08:00:00+08:00"), passed(1, 1, 90.0));
    book.add(at("2033-01-01T08:00:00+08:00"), passed(1, 1, 90.0));
    book.add(at("2031-05-03T09:00:00+08:00"), passed(2, 2, 90.0));
    let report = book.add(at("2031-05-04T00:00:01+08:00"), Counts::default());
    let lanes = report.unwrap().lanes;
    assert_eq!(lanes[0].passages, 2);
}
