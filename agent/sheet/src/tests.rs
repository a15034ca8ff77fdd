#![allow(clippy::unwrap_used)]
//! Tables as people keep them, and as nobody should.

use std::io::{Cursor, Write};

use proptest::prelude::*;
use zip::write::SimpleFileOptions;

use super::*;

mod hostile;

/// Keeps what it gets.
#[derive(Default)]
struct Kept {
    names: Vec<String>,
    rows: Vec<(u64, Vec<String>)>,
    bad: Vec<(u64, String)>,
}

impl Take for Kept {
    fn knows(&self, name: &str) -> bool {
        ["plate", "level", "reason", "号牌号码", "级别"].contains(&name)
    }
    fn header(&mut self, _: u64, names: &[&str]) -> Result<(), String> {
        self.names = names.iter().map(|n| (*n).to_owned()).collect();
        Ok(())
    }
    fn row(&mut self, line: u64, cells: &[&str]) -> Result<(), String> {
        assert_eq!(cells.len(), self.names.len());
        let cells = cells.iter().map(|c| (*c).to_owned()).collect();
        self.rows.push((line, cells));
        Ok(())
    }
    fn bad_row(&mut self, line: u64, why: String) {
        self.bad.push((line, why));
    }
}

fn kept(bytes: &[u8]) -> (Told, Kept) {
    let mut kept = Kept::default();
    let told = read(bytes, &mut kept).unwrap();
    (told, kept)
}

fn fault(bytes: &[u8]) -> SheetError {
    read(bytes, &mut Kept::default()).unwrap_err()
}

fn cells(kept: &Kept) -> Vec<Vec<&str>> {
    kept.rows
        .iter()
        .map(|(_, r)| r.iter().map(String::as_str).collect())
        .collect()
}

const LIST: &str = "号牌号码,级别,reason\n鲁E6K829,红,\"被盗,追查\"\n京A12345,蓝,\n";

#[test]
fn encodings_are_told_by_their_content() {
    let utf16 = |little: bool| -> Vec<u8> {
        let units = LIST.encode_utf16();
        units
            .flat_map(|u| {
                if little {
                    u.to_le_bytes()
                } else {
                    u.to_be_bytes()
                }
            })
            .collect()
    };
    let with = |mark: &[u8], text: &[u8]| [mark, text].concat();
    let gb = encoding_rs::GB18030.encode(LIST).0.into_owned();
    for (bytes, encoding) in [
        (LIST.as_bytes().to_vec(), Encoding::Utf8),
        (with(b"\xef\xbb\xbf", LIST.as_bytes()), Encoding::Utf8Bom),
        (with(b"\xff\xfe", &utf16(true)), Encoding::Utf16Le),
        (with(b"\xfe\xff", &utf16(false)), Encoding::Utf16Be),
        (utf16(true), Encoding::Utf16Le),
        (utf16(false), Encoding::Utf16Be),
        (with(b"\x84\x31\x95\x33", &gb), Encoding::Gb18030),
        (gb, Encoding::Gb18030),
    ] {
        let (told, kept) = kept(&bytes);
        assert_eq!(told.encoding, Some(encoding));
        assert_eq!(kept.names, ["号牌号码", "级别", "reason"], "{encoding}");
        assert_eq!(
            cells(&kept),
            [["鲁E6K829", "红", "被盗,追查"], ["京A12345", "蓝", ""]]
        );
        assert_eq!((told.rows, kept.bad.len()), (2, 0));
    }
}

#[test]
fn a_damaged_line_is_told_and_the_others_are_read() {
    let mut bytes = "plate,level\n鲁E6K829,red\n京A12345,red\n皖A12345,red\n"
        .as_bytes()
        .to_vec();
    let at = bytes.windows(3).position(|w| w == "京".as_bytes()).unwrap();
    bytes[at + 1] = b' ';
    let (told, kept) = kept(&bytes);
    assert_eq!((told.encoding, kept.rows.len()), (Some(Encoding::Utf8), 2));
    assert!(
        kept.bad[0].0 == 3 && kept.bad[0].1.contains("UTF-8"),
        "{:?}",
        kept.bad
    );
}

#[test]
fn separators_titles_and_leftovers_are_understood() {
    for separator in [",", ";", "\t", "|"] {
        let text = format!(
            "布控名单\n\nplate{separator}level{separator}reason\n鲁E6K829{separator}red{separator}a\n{separator}{separator}\n京A12345{separator}red{separator}b{separator}\n"
        );
        let (told, kept) = kept(text.as_bytes());
        assert_eq!(
            told.format,
            Format::Csv {
                separator: separator.chars().next().unwrap()
            }
        );
        let lines: Vec<u64> = kept.rows.iter().map(|r| r.0).collect();
        assert_eq!((lines, kept.bad.len()), (vec![4, 6], 0), "{separator:?}");
        // As Excel ends its lines.
        let lines = |kept: &Kept| kept.rows.iter().map(|r| r.0).collect::<Vec<u64>>();
        let excel = text
            .replace('\n', "\r\n")
            .replace("京", "# a comment\r\n\r\n京");
        assert_eq!(lines(&self::kept(excel.as_bytes()).1), [4, 8]);
    }
    let (told, kept) =
        kept(b"sep=;\r\n# version 7/a\r\n# authority: PSB;\r\nplate;level\r\nAB1234;red\r\n");
    assert_eq!(
        (told.version.as_deref(), told.authority.as_deref()),
        (Some("7/a"), Some("PSB"))
    );
    assert_eq!(
        kept.rows,
        [(5, vec!["AB1234".to_owned(), "red".to_owned()])]
    );
}

#[test]
fn rows_that_are_torn_are_told_by_their_line() {
    let (_, kept) = kept(b"plate,level,reason\nA,red\nB,red,a,b\nC,red,\"open\nD,red,x\nE,red,y\n");
    assert_eq!(kept.bad[0].0, 2);
    assert!(
        kept.bad[0]
            .1
            .contains("2 cells, the header 3: it is cut short"),
        "{:?}",
        kept.bad
    );
    assert!(kept.bad[1].0 == 3 && kept.bad[1].1.contains("must stand in quotes"));
    // What an open quote swallows is one cell; the row is whole by its count, or is told.
    assert_eq!(kept.rows.len() + kept.bad.len(), 3);
}

#[test]
fn a_table_that_is_cut_off_is_not_used() {
    assert_eq!(fault(LIST.trim_end().as_bytes()), SheetError::CutOff);
    let counted = format!("# entries 2\n{LIST}");
    assert_eq!(kept(counted.trim_end().as_bytes()).0.rows, 2);
    let first = counted.find('京').unwrap();
    assert_eq!(
        fault(&counted.as_bytes()[..first]),
        SheetError::Count { said: 2, found: 1 }
    );
    let none = format!("{LIST}#entries,,,,\n");
    assert_eq!(fault(none.as_bytes()), SheetError::NoCount { line: 4 });
}

#[test]
fn what_is_no_table_is_told() {
    assert_eq!(fault(b""), SheetError::Empty);
    assert_eq!(fault(b" \n\n"), SheetError::Empty);
    assert!(matches!(
        fault(b"nothing,known\n1,2\n"),
        SheetError::NoHeader { line: 1 }
    ));
    assert_eq!(
        fault(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest"),
        SheetError::OldWorkbook
    );
    assert!(matches!(
        fault(b"PK\x03\x04nothing"),
        SheetError::Workbook(_)
    ));
    for (text, part) in [
        ("[{\"plate\": 1,}]", "line 1"),
        ("{\"other\": []}", "no array \"entries\""),
        ("[{\"number\": \"x\"}]", "no header"),
        ("[1", "line 1"),
    ] {
        let e = fault(text.as_bytes()).to_string();
        assert!(e.contains(part), "{text}: {e}");
    }
}

#[test]
fn json_is_read_in_each_of_its_forms() {
    let rows = "{\"plate\": \"鲁E6K829\", \"level\": \"red\", \"reason\": null},\n{\"plate\": \"京A12345\", \"level\": 4, \"reason\": [\"a\", \"b\"]}";
    let lines = rows.replace("},\n", "}\n");
    for text in [
        format!("[{rows}]"),
        format!(
            "{{\"version\": 7, \"authority\": \"PSB\", \"entries\": [{rows}], \"more\": {{}}}}"
        ),
        format!("{lines}\n"),
    ] {
        let (told, kept) = kept(text.as_bytes());
        assert_eq!((told.format, told.rows), (Format::Json, 2));
        let named = |row: usize, name: &str| {
            let at = kept.names.iter().position(|n| n == name).unwrap();
            kept.rows[row].1[at].clone()
        };
        assert_eq!(
            (named(0, "plate"), named(0, "reason")),
            ("鲁E6K829".into(), String::new())
        );
        assert_eq!(
            (named(1, "level"), named(1, "reason")),
            ("4".into(), "a,b".into())
        );
        assert_eq!(
            kept.rows.iter().map(|r| r.0).collect::<Vec<_>>(),
            [1, 2],
            "{text}"
        );
    }
    let (told, kept) = kept(
        b"[\"AB1234\",\n 7, {\"plate\": \"x\", \"kind\": {\"code\": \"02\"}},\n{\"plate\": {}}]",
    );
    assert_eq!((kept.rows.len(), told.rows), (2, 4));
    assert_eq!(kept.bad.iter().map(|b| b.0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(kept.names, ["plate", "kind"]);
}

/// A workbook as Excel writes it, with these rows of `<c>` elements.
fn workbook(sheet: &str, texts: &str) -> Vec<u8> {
    packed(&parts(sheet, texts))
}

fn packed(parts: &[(&str, String)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// What a workbook consists of.
fn parts(sheet: &str, texts: &str) -> Vec<(&'static str, String)> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    vec![
        (
            "[Content_Types].xml",
            "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>"
                .to_owned(),
        ),
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"{relations}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"{relations}/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"rId2\" Type=\"{relations}/sharedStrings\" Target=\"sharedStrings.xml\"/><Relationship Id=\"rId3\" Type=\"{relations}/styles\" Target=\"styles.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{main}\" xmlns:r=\"{relations}\"><sheets><sheet name=\"名单\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/styles.xml",
            format!(
                "<styleSheet xmlns=\"{main}\"><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
            ),
        ),
        (
            "xl/sharedStrings.xml",
            format!("<sst xmlns=\"{main}\">{texts}</sst>"),
        ),
        (
            "xl/worksheets/sheet1.xml",
            format!(
                "<worksheet xmlns=\"{main}\"><dimension ref=\"A1:XFD1048576\"/><sheetData>{sheet}</sheetData></worksheet>"
            ),
        ),
    ]
}

const SHEET: &str = "<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>布控名单 2031</t></is></c></row>\
    <row r=\"3\"><c r=\"A3\" t=\"s\"><v>0</v></c><c r=\"B3\" t=\"s\"><v>1</v></c><c r=\"C3\" t=\"inlineStr\"><is><t>有效期至</t></is></c><c r=\"D3\" t=\"inlineStr\"><is><t>种类</t></is></c></row>\
    <row r=\"4\"><c r=\"A4\" t=\"inlineStr\"><is><t>鲁E6K829</t></is></c><c r=\"B4\" t=\"inlineStr\"><is><t>红</t></is></c><c r=\"C4\" s=\"1\"><v>47972</v></c><c r=\"D4\"><v>2</v></c></row>\
    <row r=\"6\"><c r=\"A6\" t=\"inlineStr\"><is><t>京A12345</t></is></c><c r=\"C6\" s=\"1\"><v>47972.354166666664</v></c></row>\
    <row r=\"7\"><c r=\"A7\" t=\"e\"><v>#REF!</v></c></row>\
    <row r=\"8\"><c r=\"XFD8\" t=\"inlineStr\"><is><t>far</t></is></c></row>";
const TEXTS: &str = "<si><t>号牌号码</t></si><si><t>级别</t></si>";

#[test]
fn a_workbook_is_read_with_its_dates_and_lines() {
    let (told, kept) = kept(&workbook(SHEET, TEXTS));
    assert_eq!(
        (told.format, told.encoding, told.rows),
        (Format::Xlsx, None, 3)
    );
    assert_eq!(kept.names, ["号牌号码", "级别", "有效期至", "种类"]);
    assert_eq!(
        kept.rows[0],
        (
            4,
            ["鲁E6K829", "红", "2031-05-04", "2"]
                .map(str::to_owned)
                .to_vec()
        )
    );
    assert_eq!(
        kept.rows[1],
        (
            6,
            ["京A12345", "", "2031-05-04 08:30:00", ""]
                .map(str::to_owned)
                .to_vec()
        )
    );
    assert!(
        kept.bad[0].0 == 7 && kept.bad[0].1.contains("#REF!"),
        "{:?}",
        kept.bad
    );
}

#[test]
fn a_bomb_is_not_unpacked() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("xl/sharedStrings.xml", SimpleFileOptions::default())
        .unwrap();
    let part = vec![b' '; 1 << 20];
    for _ in 0..300 {
        zip.write_all(&part).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    assert!(bytes.len() < 1 << 20);
    assert!(
        matches!(fault(&bytes), SheetError::Bomb { .. }),
        "{:?}",
        fault(&bytes)
    );
    // Many files take memory before any of them is unpacked.
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for at in 0..6_000 {
        zip.start_file(at.to_string(), SimpleFileOptions::default())
            .unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    assert!(fault(&bytes).to_string().contains("5000 files"));
    // Tags without number, which would each become a text.
    let tags = "<si/>".repeat(17_000_000);
    assert!(matches!(
        fault(&workbook(SHEET, &tags)),
        SheetError::Bomb { .. }
    ));
}

#[test]
fn what_is_written_is_read_back() {
    let rows = [
        ["plate", "level", "reason"],
        ["鲁E6K829", "red", "a,b \"c\"\nd"],
        ["京A12345", "blue", " #x; "],
    ];
    let text = write_csv(rows.iter().map(|r| r.iter().map(|c| (*c).into()).collect()));
    let (told, kept) = kept(text.as_bytes());
    assert_eq!(told.format, Format::Csv { separator: ',' });
    assert_eq!(
        cells(&kept),
        [
            ["鲁E6K829", "red", "a,b \"c\"\nd"],
            ["京A12345", "blue", "#x;"]
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damaged_bytes_are_read_without_a_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..8),
        cut in any::<usize>(),
    ) {
        let _ = read(&noise, &mut Kept::default());
        let json = "{\"version\":1,\"entries\":[{\"plate\":\"鲁E6K829\"},{\"plate\":[1,{}]}]}";
        for whole in [workbook(SHEET, TEXTS), LIST.as_bytes().to_vec(), json.as_bytes().to_vec()] {
            let mut bytes = whole.clone();
            for (at, value) in &changes {
                let at = at % bytes.len();
                bytes[at] = *value;
            }
            let _ = read(&bytes, &mut Kept::default());
            bytes.truncate(cut % (bytes.len() + 1));
            let _ = read(&bytes, &mut Kept::default());
            let _ = read(&[&whole[..], &noise].concat(), &mut Kept::default());
        }
    }
}

#[test]
fn a_row_without_end_takes_no_memory_for_its_cells() {
    let head = "plate,level\n";
    let row = |cells: usize| format!("{head}{}\n", ",".repeat(cells));
    assert!(matches!(
        fault(row(20_000).as_bytes()),
        SheetError::TooManyColumns
    ));
    // In quotes they part nothing, and a quote within a cell begins nothing.
    let quoted = format!("{head}A1,\"x\"\"{}\"\n", ",".repeat(20_000));
    assert!(!csv::is_too_wide(&quoted, b','));
    let within = format!("{head}A\"1{}\n", ",".repeat(20_000));
    assert!(csv::is_too_wide(&within, b','));
}

#[test]
fn a_workbook_with_a_text_of_megabytes_is_not_read() {
    let sheet = format!("<sheetData>{}</sheetData>", " ".repeat(2 << 20));
    let found = fault(&workbook(&sheet, ""));
    assert!(
        matches!(&found, SheetError::Bomb { part, .. } if part.contains("worksheets")),
        "{found:?}"
    );
}
