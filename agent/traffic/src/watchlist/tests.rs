#![allow(clippy::unwrap_used)]
//! Rows as people write them.

use chrono::{DateTime, FixedOffset};
use kakou_contract::{Level, PlateKind};
use proptest::prelude::*;

use super::*;

const HEADER: &str = "plate,level,category,reason,valid_until";
const WITH_KIND: &str = "plate,level,category,reason,valid_until,kind";

fn built(options: ListOptions, header: &str, rows: &str) -> Parsed {
    let mut builder = Builder::new(options);
    let names: Vec<&str> = header.split(',').collect();
    builder.header(1, &names).unwrap();
    for (line, row) in (2..).zip(rows.lines()) {
        let cells: Vec<&str> = row.split(',').collect();
        builder.row(line, &cells).unwrap();
    }
    builder.finish("0123456789abcdef".to_owned(), None)
}

fn parse(header: &str, rows: &str) -> Parsed {
    built(ListOptions::default(), header, rows)
}

fn refused(header: &str, rows: &str) -> Vec<String> {
    let refused = parse(header, rows).refused;
    refused.told.iter().map(ToString::to_string).collect()
}

fn at(text: &str) -> Option<DateTime<FixedOffset>> {
    Some(DateTime::parse_from_rfc3339(text).unwrap())
}

#[test]
fn a_bad_line_is_refused_by_number_and_the_rest_is_used() {
    let p = parse(
        HEADER,
        "鲁E·6k829,red,stolen,reported twice,\n鲁E6K82,purple,stolen,x,\nx,red,a,b,\n京Ａ12345,blue,tax,unpaid,2031-05-04\n鲁B88888,orange,a,b,tomorrow\n",
    );
    assert_eq!((p.list.len(), p.list.refused), (2, 3));
    assert_eq!(p.list.named("鲁E6K829")[0].reason, "reported twice");
    let until = &p.list.named("京A12345")[0];
    assert!(until.is_valid(at("2031-05-04T23:59:59+08:00")));
    assert!(!until.is_valid(at("2031-05-05T00:00:00+08:00")));
    assert!(until.is_valid(None), "a clock that is wrong ends nothing");
    let bad: Vec<String> = p.refused.told.iter().map(ToString::to_string).collect();
    assert!(bad[0].starts_with("line 3: "), "{bad:?}");
    assert!(
        bad[1].contains("4 to 9") && bad[2].contains("tomorrow"),
        "{bad:?}"
    );
}

#[test]
fn a_chinese_list_is_read() {
    let p = parse(
        "序号,号牌号码,号牌种类,号牌颜色,车辆类型,预警级别,布控类别,布控单位,案件编号,备注,布控开始时间,有效期至,时段,卡口",
        "1,鲁E·6K829,小型汽车号牌,蓝色,小汽车,红色,被盗抢,市局刑侦,鲁公（2030）第7号,夜间,2030年1月1日,2031年5月4日,22:00-06:00,cam-1、cam-2",
    );
    assert_eq!(p.refused.told, []);
    let entry = &p.list.named("鲁E6K829")[0];
    assert_eq!(
        (
            entry.kind,
            entry.level,
            entry.category,
            entry.authority,
            entry.basis
        ),
        (
            Some(PlateKind::Small),
            Level::Red,
            "stolen",
            Some("市局刑侦"),
            Some("鲁公（2030）第7号")
        )
    );
    assert_eq!(entry.rules.unwrap().cameras, ["cam-1", "cam-2"]);
    assert_eq!(
        entry.valid_from.unwrap().to_rfc3339(),
        "2030-01-01T00:00:00+08:00"
    );
    assert!(!entry.is_valid(at("2029-12-31T23:59:59+08:00")));
}

#[test]
fn what_can_never_match_is_refused_with_what_was_meant() {
    for (plate, why) in [
        ("京A0O123", "京A00123 was probably meant"),
        ("京AO1234", "京A01234 was probably meant"),
        ("粤BI2345", "粤B12345 was probably meant"),
        (
            "粤B?I345",
            "no letter I in place 4; 粤B?1345 was probably meant",
        ),
        ("京I12345", "no letter I in place 2"),
        ("魯E6K829", "鲁E6K829 was probably meant"),
        ("鲁E6K829\u{200b}", "鲁E6K829 was probably meant"),
        ("囧E6K829", "囧 is no province"),
        ("囧E6*", "囧 stands on no plate"),
        ("京A1234", "it has 6 characters; 7 are usual"),
        ("京A12345678", "4 to 9"),
        ("京AD123456", "it has 9 characters"),
        ("京1A2345", "cannot stand in place 2"),
        ("鲁Е6К829", "鲁E6K829 was probably meant"),
        ("*", "fits every vehicle"),
        ("??*", "fits every vehicle"),
        ("", "is empty"),
    ] {
        let p = parse(HEADER, &format!("{plate},red,a,b,\n鲁E6K829,red,a,b,"));
        assert_eq!((p.list.len(), p.list.refused), (1, 1), "{plate}");
        let told = p.refused.told[0].to_string();
        assert!(
            told.starts_with("line 2: ") && told.contains(why),
            "{plate}: {told}"
        );
    }
}

#[test]
fn what_was_meant_is_taken_where_that_is_wanted() {
    let options = ListOptions {
        mend: true,
        ..ListOptions::default()
    };
    let p = built(
        options,
        HEADER,
        "京A0O123,red,a,b,\n魯E6K829,red,a,b,\n囧E6K829,red,a,b,",
    );
    assert_eq!((p.list.len(), p.list.refused, p.notes.count), (2, 1, 2));
    assert_eq!(p.list.named("京A00123").len(), 1);
    assert!(
        p.notes.told[0].to_string().contains("line 2: ")
            && p.notes.told[0].why.contains("taken as 京A00123")
    );
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
        "V01234",
        "AB1234",
        "京A·12345",
        "京Ａ１２３４５",
        " 京 a 12345 ",
    ] {
        let p = parse(HEADER, &format!("{plate},red,a,b,"));
        assert_eq!((p.refused.told, p.notes.told), (vec![], vec![]), "{plate}");
        assert_eq!(p.list.named(plate).len(), 1, "{plate}");
    }
    // The reader gives no letter O on plates from abroad, and that is said.
    let p = parse(HEADER, "VO1234,red,a,b,");
    assert!(
        p.list.len() == 1 && p.notes.told[0].why.contains("V01234"),
        "{:?}",
        p.notes
    );
    for pattern in ["鲁E6K8??", "鲁E*", "*829", "鲁?6K829", "京O*", "粤B·88***"] {
        let p = parse(HEADER, &format!("{pattern},red,a,b,"));
        assert_eq!((p.refused.told, p.list.len()), (vec![], 1), "{pattern}");
    }
    let all_large = parse(WITH_KIND, "*,red,a,b,,01");
    assert_eq!(all_large.list.len(), 1);
}

#[test]
fn an_office_of_letter_o_is_one_plate_in_both_spellings() {
    for plate in ["苏O12345", "苏012345"] {
        let list = parse(HEADER, &format!("{plate},red,a,b,")).list;
        assert_eq!(
            (list.named("苏O12345").len(), list.named("苏012345").len()),
            (1, 1)
        );
        assert!(list.named("苏D12345").is_empty());
        assert_eq!(
            list.entries().next().unwrap().plate,
            plate,
            "as it stands in the list"
        );
    }
}

#[test]
fn doubles_are_told_but_two_kinds_of_one_text_are_two_vehicles() {
    let p = parse(WITH_KIND, "鲁E6K829,blue,a,b,\n鲁E6K829,red,c,d,");
    assert_eq!(p.list.named("鲁E6K829")[0].level, Level::Red);
    assert!(
        p.notes.told[0]
            .to_string()
            .contains("line 3: 鲁E6K829 stands in line 2 too")
    );
    let p = parse(
        WITH_KIND,
        "鲁E6K829,red,a,large,,01\n鲁E6K829,blue,a,small,,2",
    );
    assert_eq!((p.list.len(), p.notes.count), (2, 0));
}

#[test]
fn a_kind_that_is_none_or_never_goes_with_the_plate_is_refused() {
    for (plate, kind, why) in [
        ("鲁E6K829", "77", "no code"),
        ("鲁E6K829", "blue", "no code"),
        ("鲁GD12345", "02", "of kind 52"),
        ("京A0001警", "02", "of kind 23, 24"),
    ] {
        let told = refused(WITH_KIND, &format!("{plate},red,a,b,,{kind}"));
        assert!(told[0].contains(why), "{told:?}");
    }
}

#[test]
fn what_is_required_is_refused_by_its_line() {
    let all = Require {
        authority: true,
        basis: true,
        end: true,
    };
    let header = "plate,level,category,authority,basis,valid_until";
    let rows = "鲁E6K829,red,a,PSB,case 7,2031-05-04\n京A12345,red,a,,case 7,2031-05-04\n京A12346,red,a,PSB,,2031-05-04\n京A12347,red,a,PSB,case 7,长期";
    let p = built(
        ListOptions {
            require: all,
            ..ListOptions::default()
        },
        header,
        rows,
    );
    let told: Vec<String> = p.refused.told.iter().map(ToString::to_string).collect();
    assert_eq!((p.list.len(), told.len()), (1, 3));
    for (told, (line, what)) in
        told.iter()
            .zip([(3, "no authority"), (4, "no basis"), (5, "no end")])
    {
        assert!(
            told.starts_with(&format!("line {line}: ")) && told.contains(what),
            "{told}"
        );
    }
    // What the list says for all of its rows counts.
    let options = ListOptions {
        require: Require { end: false, ..all },
        authority: Some("PSB".into()),
        basis: Some("order 9".into()),
        ..ListOptions::default()
    };
    let p = built(options, header, rows);
    assert_eq!(p.list.len(), 4);
    assert_eq!(p.list.named("京A12345")[0].authority, Some("PSB"));
    assert_eq!(p.list.named("京A12346")[0].basis, Some("order 9"));
}

#[test]
fn a_wrong_header_is_told() {
    let fault = |names: &[&str]| {
        let mut builder = Builder::new(ListOptions::default());
        builder.header(1, names).unwrap_err().to_string()
    };
    assert!(fault(&["plate", "level"]).contains("\"category\" is missing"));
    assert!(
        fault(&["plate", "level", "category", "valid_untl"])
            .contains("\"valid_until\" was probably meant")
    );
    assert!(fault(&["plate", "车牌", "level", "category"]).contains("plate stands there twice"));
    assert!(fault(&[]).contains("is missing"));
    // What a list has beside is left out, and told.
    let p = parse("plate,level,category,车主", "鲁E6K829,red,a,somebody");
    assert!(p.list.len() == 1 && p.notes.told[0].why.contains("车主"));
    // What the config says for all needs no column.
    let options = ListOptions {
        level: Some(Level::Orange),
        category: Some("wanted".into()),
        ..ListOptions::default()
    };
    let p = built(options, "车牌号码", "鲁E6K829");
    assert_eq!(p.list.named("鲁E6K829")[0].level, Level::Orange);
}

#[test]
fn a_list_says_which_it_is() {
    let list = parse(HEADER, "鲁E6K829,red,a,b,").list;
    assert_eq!(list.version, "0123456789ab");
    let named = Builder::new(ListOptions::default()).finish("00".into(), Some(" 2031-05/2 "));
    assert_eq!(named.list.version, "2031-05/2");
}

#[test]
fn a_report_stays_short() {
    let rows = "x,red,a,b,\n".repeat(5_000);
    let p = parse(HEADER, &rows);
    assert_eq!(
        (p.refused.count, p.list.refused, p.refused.told.len()),
        (5_000, 5_000, 1_000)
    );
}

proptest! {
    #[test]
    fn any_cells_are_read_without_a_panic(
        cells in proptest::collection::vec("[ -~·年月日鲁京警O?*０-９]{0,12}", 16),
    ) {
        let header = "plate,kind,colour,class,category,level,authority,basis,reason,valid_from,valid_until,days,hours,cameras,lanes,direction";
        let mut builder = Builder::new(ListOptions::default());
        builder.header(1, &header.split(',').collect::<Vec<_>>()).unwrap();
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        builder.row(2, &cells).unwrap();
        let mut alone = vec![cells[0], "", "", "", "a", "red"];
        alone.resize(16, "");
        builder.row(3, &alone).unwrap();
        let p = builder.finish("00".into(), None);
        prop_assert_eq!(p.list.len() as u64 + p.refused.count, 2);
        for entry in p.list.entries() {
            if !entry.plate.contains(['?', '*']) {
                prop_assert!(p.list.named(&entry.plate).contains(&entry));
            }
        }
    }
}
