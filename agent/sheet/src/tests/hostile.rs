//! Tables made to take memory, or to get past what bounds it.

use super::*;
use crate::csv::is_too_wide;

/// The usual workbook with another text in one of its parts.
fn with(name: &str, text: impl Into<String>) -> Vec<u8> {
    let mut parts = parts(SHEET, TEXTS);
    let part = parts.iter_mut().find(|(n, _)| *n == name).unwrap();
    part.1 = text.into();
    packed(&parts)
}

/// The usual text of a part.
fn usual(name: &str) -> String {
    let parts = parts(SHEET, TEXTS);
    parts.into_iter().find(|(n, _)| *n == name).unwrap().1
}

/// A sheet with such rows.
fn sheet_fault(rows: &str) -> SheetError {
    fault(&workbook(rows, TEXTS))
}

/// Refused by name, for this reason.
fn is_refused(found: &SheetError, name: &str, reason: &str) -> bool {
    matches!(found, SheetError::Workbook(why) if why.starts_with(name) && why.contains(reason))
}

fn is_too_much(found: &SheetError, name: &str, bytes: u64) -> bool {
    matches!(found, SheetError::Bomb { part, most } if part == name && *most == bytes)
}

/// As UTF-16 has ASCII.
fn wide(text: &str) -> String {
    text.chars().flat_map(|c| [c, '\0']).collect()
}

const STRINGS: &str = "xl/sharedStrings.xml";
const SHEET_PART: &str = "xl/worksheets/sheet1.xml";

#[test]
fn a_workbook_that_promises_texts_without_number_is_refused() {
    for promise in [
        "uniqueCount=\"10000000000000\"",
        "count='2' uniqueCount='4000001'",
        "uniqueCount \r\n=\t\"10000000000000\"",
        "uniqueCount=\"99999999999999999999999999\"",
        "a=\">\" uniqueCount=\"10000000000000\"",
    ] {
        for prefix in ["", "x:"] {
            let texts = format!("<{prefix}sst {promise}>{TEXTS}</{prefix}sst>");
            let found = fault(&with(STRINGS, texts));
            assert!(
                is_refused(&found, "xl/sharedstrings.xml", "promises"),
                "{promise}: {found:?}"
            );
        }
    }
    for promise in ["uniqueCount=\"2\"", "uniqueCount = '000000000000002'"] {
        let texts = format!("<sst count=\"2\" {promise}>{TEXTS}</sst>");
        assert_eq!(kept(&with(STRINGS, texts)).0.rows, 3, "{promise}");
    }
    // As UTF-16 the word could not be found.
    let wide = wide(&format!("<sst uniqueCount=\"9999999999\">{TEXTS}</sst>"));
    let found = fault(&with(STRINGS, wide));
    assert!(
        is_refused(&found, "xl/sharedstrings.xml", "UTF-8"),
        "{found:?}"
    );
}

#[test]
fn no_cell_and_no_comment_is_put_together_of_megabytes() {
    let text = "x".repeat(900 << 10);
    let cell = |within: &str| format!("<row><c t=\"inlineStr\"><is>{within}</is></c></row>");
    // What looks like the cell's end is none for the reader either.
    for piece in [
        format!("<t>{text}</t>"),
        format!("<t><![CDATA[{text}]]></t>"),
        format!("<t a=\"</t></is></c>\">{text}</t>"),
        format!("<t><!-- </t></is></c> -->{text}</t>"),
        format!("<t><?x </t></is></c> ?>{text}</t>"),
        format!("<r><t/></r><t>{text}</t>"),
    ] {
        let found = sheet_fault(&cell(&piece.repeat(5)));
        let start = piece.get(..12).unwrap();
        assert!(
            is_too_much(&found, SHEET_PART, 4 << 20),
            "{start}: {found:?}"
        );
    }
    let texts = format!("<sst><si>{}</si></sst>", format!("<t>{text}</t>").repeat(5));
    let found = fault(&with(STRINGS, texts));
    assert!(
        is_too_much(&found, "xl/sharedstrings.xml", 4 << 20),
        "{found:?}"
    );
    let many = "<   ".repeat(300_000);
    for piece in [
        format!("<!-- {many} -->"),
        format!("<?x {many} ?>"),
        format!("<x a=\"{many}\"/>"),
    ] {
        let found = sheet_fault(&piece);
        assert!(is_too_much(&found, SHEET_PART, 1 << 20), "{found:?}");
    }
}

#[test]
fn a_workbook_whose_elements_do_not_fit_is_refused() {
    for (rows, reason) in [
        ("<row><c><is><t></c></t></is></c></row>", "end tag"),
        ("<row><c></c \u{c}></row>", "end tag"),
        ("</sheetData></worksheet></worksheet>", "end tag"),
        ("<row><></row>", "no name"),
        ("<!DOCTYPE x>", "declaration"),
        ("<x>".repeat(300).as_str(), "too deep"),
    ] {
        let found = sheet_fault(rows);
        assert!(is_refused(&found, SHEET_PART, reason), "{rows}: {found:?}");
    }
    // What few writers use, and all may.
    let (told, kept) = kept(&workbook(
        &SHEET
            .replace("鲁E6K829", "<![CDATA[鲁E6K829]]>")
            .replace("<row r=\"4\">", "<!-- > by - hand --><?x y?><row  r='4' >")
            .replace("</row>", "</row\n>"),
        TEXTS,
    ));
    assert_eq!(told.rows, 3);
    assert_eq!(kept.rows[0].1[0], "鲁E6K829");
}

#[test]
fn a_sheet_part_with_another_ending_is_checked_too() {
    let name = "xl/_rels/workbook.xml.rels";
    for target in ["worksheets/sheet1.bin", "worksheets/sheet1", ""] {
        let relations = usual(name).replace("worksheets/sheet1.xml", target);
        let mut parts = parts(&" ".repeat(2 << 20), TEXTS);
        for part in &mut parts {
            if part.0 == name {
                part.1 = relations.clone();
            } else if part.0 == SHEET_PART {
                part.0 = "xl/worksheets/sheet1.bin";
            }
        }
        let found = fault(&packed(&parts));
        assert!(is_refused(&found, name, "unusual"), "{target}: {found:?}");
    }
    // What lies where nothing is looked at is not read.
    let query = wide("<DataMashup/>");
    let mut with_query = parts(SHEET, TEXTS);
    with_query.push(("customXml/item1.xml", query));
    assert_eq!(kept(&packed(&with_query)).0.rows, 3);
    let relations = usual(name).replace("worksheets/sheet1.xml", "/customXml/item1.xml");
    let found = fault(&with(name, relations));
    assert!(is_refused(&found, name, "unusual"), "{found:?}");
    // Each sheet would get a copy of it.
    let long = format!("{}.xml", "x".repeat(2_000));
    let relations = usual(name).replace("worksheets/sheet1.xml", &long);
    let found = fault(&with(name, relations));
    assert!(is_refused(&found, name, "unusual"), "{found:?}");
}

#[test]
fn a_misnamed_workbooks_texts_keep_the_texts_bound() {
    let name = "_rels/.rels";
    for target in [
        "xl/worksheets/workbook.xml",
        "xl\\Worksheets\\workbook.xml",
        "xl/work&#115;heets/workbook.xml",
    ] {
        let relations = usual(name).replace("xl/workbook.xml", target);
        let found = fault(&with(name, relations));
        assert!(is_refused(&found, name, "unusual"), "{target}: {found:?}");
    }
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(
        "xl/worksheets/sharedStrings.xml",
        SimpleFileOptions::default(),
    )
    .unwrap();
    zip.write_all(b"<sst>").unwrap();
    let texts = format!("<si><t>{}</t></si>", "x".repeat(10_000)).repeat(100);
    for _ in 0..68 {
        zip.write_all(texts.as_bytes()).unwrap();
    }
    let found = fault(&zip.finish().unwrap().into_inner());
    assert!(
        is_too_much(&found, "xl/worksheets/sharedstrings.xml", 64 << 20),
        "{found:?}"
    );
}

#[test]
fn what_a_workbook_has_each_cell_or_sheet_copy_is_bounded() {
    // A format of 60 KB for each of 2,000 kinds of cells.
    let styles = |format: usize, kinds: usize| {
        format!(
            "<styleSheet><numFmts><numFmt numFmtId=\"200\" formatCode=\"{}\"/></numFmts><cellXfs><xf/><xf numFmtId=\"14\"/>{}</cellXfs></styleSheet>",
            "0".repeat(format),
            "<xf numFmtId=\"200\"/>".repeat(kinds)
        )
    };
    for (styles, reason) in [
        (styles(60_000, 2_000), "formats"),
        (styles(70_000, 1), "too long"),
        (styles(10, 200_001), "styles"),
    ] {
        let found = fault(&with("xl/styles.xml", styles));
        assert!(is_refused(&found, "xl/styles.xml", reason), "{found:?}");
    }
    // As many as Excel takes.
    let many = kept(&with("xl/styles.xml", styles(200, 65_000)));
    assert_eq!(many.0.rows, 3);
    let book = usual("xl/workbook.xml").replace(
        "<sheets>",
        &format!(
            "<sheets>{}",
            "<sheet name=\"x\" r:id=\"rId1\"/>".repeat(4_096)
        ),
    );
    let found = fault(&with("xl/workbook.xml", book));
    assert!(is_refused(&found, "xl/workbook.xml", "sheets"), "{found:?}");
}

#[test]
fn no_mark_and_no_comment_hides_a_row_without_end() {
    let commas = ",".repeat(20_000);
    // The reader has closed, or never seen, the quote in each.
    for lead in [
        "#,\"\n",
        "#,\r,\"\n",
        "\n\r\n#\"\n#,\"\n",
        "\u{feff}\"a,\"\n",
        "\u{feff}#,\"\n",
    ] {
        let text = format!("{lead}plate,level\n{commas}\n");
        assert!(is_too_wide(&text, b','), "{lead:?}");
        assert!(
            // Of two marks the first tells the encoding.
            matches!(
                fault(format!("\u{feff}{text}").as_bytes()),
                SheetError::TooManyColumns
            ),
            "{lead:?}"
        );
    }
    // Behind a mark a quote begins a cell, and it is not closed here; a `#` within a row is none.
    let open = format!("\u{feff}\"a,\",\"\nplate,level\n{commas}\n");
    assert!(!is_too_wide(&open, b','));
    assert!(!is_too_wide(&format!("#{commas}\nplate,level\n"), b','));
    assert!(is_too_wide(&format!("a#{commas}\n"), b','));
    assert!(is_too_wide(&format!("\"a\"#{commas}\n"), b','));
}

#[test]
fn a_json_row_without_end_is_not_taken_apart() {
    let zeros = "0,".repeat(1 << 20);
    let names: String = (0..150_000).map(|at| format!("\"{at}\":0,")).collect();
    for long in [
        format!("{{\"plate\": [{zeros}0]}}"),
        format!("{{{names}\"plate\": \"A2\"}}"),
    ] {
        let text = format!("[{{\"plate\": \"A1\"}},\n{long}]");
        let (told, kept) = kept(text.as_bytes());
        assert_eq!((told.rows, cells(&kept)), (2, vec![vec!["A1"]]));
        let bytes = long.len();
        let why = format!("the row has {bytes} bytes; 1048576 are taken at most");
        assert_eq!(kept.bad, [(2, why)]);
    }
    // What a list says of itself is no longer than a cell.
    for (blanks, version) in [(10, Some("7")), (CELL_MAX, None)] {
        let text = format!(
            "{{\"version\": [{}7], \"entries\": [{{\"plate\": \"A1\"}}]}}",
            " ".repeat(blanks)
        );
        assert_eq!(kept(text.as_bytes()).0.version.as_deref(), version);
    }
}
