#![allow(clippy::unwrap_used)]
//! Lists as people keep them.

use chrono::{DateTime, FixedOffset};
use kakou_contract::{Level, PlateKind};
use proptest::prelude::*;

use super::*;

const HEADER: &str = "plate,level,category,reason,valid_until\n";
const WITH_KIND: &str = "plate,level,category,reason,valid_until,kind\n";

fn parse(text: &str) -> Parsed {
    List::parse("test", text.as_bytes()).unwrap()
}

fn fault(text: &str) -> String {
    List::parse("test", text.as_bytes())
        .unwrap_err()
        .to_string()
}

fn at(text: &str) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(text).unwrap()
}

fn has(list: &List, plate: &str) -> bool {
    list.matches(plate, None, at("2031-01-01T00:00:00Z"))
        .is_some()
}

#[test]
fn a_bad_line_is_refused_by_number_and_the_rest_is_used() {
    let p = parse(&format!(
        "\u{feff}{HEADER}鲁E·6k829,red,stolen,\"reported, twice\",\n鲁E6K82,purple,stolen,x,\nx,red,a,b,\n京Ａ12345,blue,tax,unpaid,2031-05-04\n苏A1,red\n鲁B88888,orange,a,b,tomorrow\n,,,,\n"
    ));
    assert_eq!((p.list.len(), p.list.refused), (2, 4));
    let found = |plate: &str, time: &str| p.list.matches(plate, None, at(time));
    assert_eq!(
        found("鲁E6K829", "2040-01-01T00:00:00Z").unwrap().reason,
        "reported, twice"
    );
    assert!(found("京A12345", "2031-05-04T23:59:59+08:00").is_some());
    assert!(found("京A12345", "2031-05-05T00:00:00+08:00").is_none());
    let bad: Vec<String> = p.refused.iter().map(ToString::to_string).collect();
    assert_eq!(bad.len(), 4, "{bad:?}");
    assert!(bad[0].starts_with("line 3: "), "{bad:?}");
    assert!(
        bad[1].contains("4 to 9") && bad[3].contains("tomorrow"),
        "{bad:?}"
    );
}

#[test]
fn near_is_not_enough() {
    let list = parse(&format!("{HEADER}鲁E6K829,red,a,b,\n")).list;
    for other in ["鲁E6K82", "鲁E6K82B", "鲁E6K8290", "鲁F6K829"] {
        assert!(!has(&list, other), "{other}");
    }
}

#[test]
fn the_more_severe_of_two_holds_and_is_told() {
    let p = parse(&format!("{HEADER}鲁E6K829,blue,a,b,\n鲁E6K829,red,c,d,\n"));
    let entry = p.list.matches("鲁E6K829", None, at("2031-01-01T00:00:00Z"));
    assert_eq!(entry.unwrap().level, Level::Red);
    assert!(
        p.notes[0]
            .to_string()
            .contains("line 3: 鲁E6K829 stands in line 2 too")
    );
    assert_eq!(p.list.refused, 0);
}

#[test]
fn an_expired_entry_hides_none_that_is_valid() {
    for rows in [
        "鲁E6K829,red,stolen,found,2024-06-30\n鲁E6K829,yellow,inspection,overdue,\n",
        "鲁E6K829,yellow,inspection,overdue,\n鲁E6K829,red,stolen,found,2024-06-30\n",
    ] {
        let list = parse(&format!("{HEADER}{rows}")).list;
        let level = |time: &str| list.matches("鲁E6K829", None, at(time)).unwrap().level;
        assert_eq!(level("2024-06-30T12:00:00+08:00"), Level::Red);
        assert_eq!(level("2031-01-01T00:00:00Z"), Level::Yellow);
    }
}

#[test]
fn what_can_never_match_is_refused_with_what_was_meant() {
    for (plate, why) in [
        ("京A0O123", "京A00123 was probably meant"),
        ("京AO1234", "京A01234 was probably meant"),
        ("粤BI2345", "粤B12345 was probably meant"),
        ("京I12345", "no letter I in place 2"),
        ("魯E6K829", "鲁E6K829 was probably meant"),
        ("囧E6K829", "囧 is no province"),
        ("京A1234", "it has 6 characters; 7 are usual"),
        ("京A12345678", "4 to 9"),
        ("京AD123456", "it has 9 characters"),
        ("京1A2345", "cannot stand in place 2"),
        ("鲁Е6К829", "in it"),
    ] {
        let p = parse(&format!("{HEADER}{plate},red,a,b,\n鲁E6K829,red,a,b,\n"));
        assert_eq!((p.list.len(), p.list.refused), (1, 1), "{plate}");
        let told = p.refused[0].to_string();
        assert!(
            told.starts_with("line 2: ") && told.contains(why),
            "{plate}: {told}"
        );
    }
}

#[test]
fn what_may_match_is_taken() {
    for plate in [
        "京N8P5Z7",
        "沪A12345D",
        "使014578",
        "WJ京1234X",
        "粤Z1234港",
        "云S0000应急",
        "民航B0150",
        "34A36837",
        "VO1234",
        "AB1234",
    ] {
        let p = parse(&format!("{HEADER}{plate},red,a,b,\n"));
        assert_eq!(p.refused, [], "{plate}");
        assert!(has(&p.list, plate), "{plate}");
    }
}

#[test]
fn an_office_of_letter_o_matches_in_both_spellings() {
    for plate in ["苏O12345", "苏012345"] {
        let list = parse(&format!("{HEADER}{plate},red,a,b,\n")).list;
        assert!(has(&list, "苏O12345") && has(&list, "苏012345"), "{plate}");
        assert!(!has(&list, "苏D12345"));
    }
}

#[test]
fn two_kinds_of_one_text_are_two_vehicles() {
    use PlateKind::{Large, Small};
    let p = parse(&format!(
        "{WITH_KIND}鲁E6K829,red,a,large,,01\n鲁E6K829,blue,a,small,,2\n"
    ));
    assert_eq!((p.list.len(), p.notes.len()), (2, 0));
    let level = |kind| {
        let entry = p.list.matches("鲁E6K829", kind, at("2031-01-01T00:00:00Z"));
        entry.map(|e| e.level)
    };
    assert_eq!(level(Some(Small)), Some(Level::Blue));
    assert_eq!(level(Some(Large)), Some(Level::Red));
    assert_eq!(level(Some(PlateKind::Motorcycle)), None);
    assert_eq!(
        level(None),
        Some(Level::Red),
        "not told: it may be the worse one"
    );
}

#[test]
fn a_kind_that_is_none_or_never_goes_with_the_plate_is_refused() {
    for (plate, kind, why) in [
        ("鲁E6K829", "77", "no code"),
        ("鲁E6K829", "blue", "no code"),
        ("鲁GD12345", "02", "of kind 52"),
        ("京A0001警", "02", "of kind 23, 24"),
    ] {
        let p = parse(&format!("{WITH_KIND}{plate},red,a,b,,{kind}\n"));
        assert!(p.list.is_empty());
        let told = p.refused[0].to_string();
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn a_list_that_is_cut_off_is_not_used() {
    let whole = format!("{HEADER}鲁E6K829,red,stolen,a,\n京A12345,blue,tax,unpaid,2031-05-04\n");
    assert_eq!(parse(&whole).list.len(), 2);
    // Anywhere but behind a row.
    let header = HEADER.len();
    for end in header + 1..whole.len() {
        let part = &whole.as_bytes()[..end];
        if !part.ends_with(b"\n") {
            assert_eq!(List::parse("test", part), Err(ListError::CutOff), "{end}");
        }
    }
    // Behind a row only the count tells.
    let counted = format!("# entries 2\n{whole}");
    assert_eq!(parse(&counted).list.len(), 2);
    assert_eq!(parse(counted.trim_end()).list.len(), 2);
    let first = counted.find("京").unwrap();
    assert!(fault(&counted[..first]).contains("it has 1 rows"));
    assert!(fault(&format!("{whole}#entries,,,,\n")).contains("line 4"));
    // Refused rows are rows, too.
    let refused = format!("{whole}x,red,a,b,\n# entries 3\n");
    assert_eq!(parse(&refused).list.refused, 1);
}

#[test]
fn dates_of_spreadsheets_are_dates() {
    for date in [
        "2031-05-04",
        "2031/5/4",
        "2031-5-4",
        "2031年5月4日",
        "2031/5/4 0:00",
    ] {
        let list = parse(&format!("{HEADER}鲁E6K829,red,a,b,{date}\n")).list;
        let on = |time: &str| list.matches("鲁E6K829", None, at(time)).is_some();
        assert!(on("2031-05-04T23:59:59+08:00"), "{date}");
        assert!(!on("2031-05-05T00:00:00+08:00"), "{date}");
    }
}

#[test]
fn a_list_says_which_it_is() {
    let text = format!("{HEADER}鲁E6K829,red,a,b,\n");
    let list = parse(&text).list;
    assert_eq!((list.name.as_str(), list.sha256.len()), ("test", 64));
    assert!(list.sha256.starts_with(&list.version) && list.version.len() == 12);
    assert_ne!(
        list.sha256,
        parse(&format!("{text}鲁B88888,red,a,b,\n")).list.sha256
    );
}

#[test]
fn a_wrong_header_is_told() {
    assert!(fault("plate,level\n").contains("\"category\" is missing"));
    assert!(fault("plate,level,category,reason,colour\n").contains("unknown column \"colour\""));
    assert!(fault("").contains("is missing"));
    let gbk = b"plate,level,category,reason\n\xbe\xa9A12345,red,a,b\n";
    let refused = List::parse("gbk", gbk).unwrap().refused;
    assert!(refused[0].why.contains("UTF-8"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = List::parse("any", &bytes);
        let _ = List::parse("any", &[HEADER.as_bytes(), &bytes].concat());
        let _ = List::parse("any", &[WITH_KIND.as_bytes(), &bytes, b"\n"].concat());
    }
}
