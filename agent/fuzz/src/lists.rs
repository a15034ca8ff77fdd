//! Watchlists: CSV, JSON and workbooks in any encoding.

use std::io::{Cursor, Write};
use std::sync::{Arc, Once, OnceLock};

use kakou::app::watchfile::decode;
use kakou_contract::{Level, Message, PassageMessage};
use kakou_traffic::watchlist::{Conditions, ListOptions, Listed, Lists, Require, Weights};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::SEPARATOR;

/// How many entries are looked for.
const TRIED: usize = 8;

/// A list's file.
pub fn watchlist(data: &[u8]) {
    list(&ListOptions::default(), data);
    let strict = ListOptions {
        name: "strict".to_owned(),
        authority: Some("PSB".to_owned()),
        level: Some(Level::Red),
        require: Require {
            authority: true,
            basis: true,
            end: true,
        },
        mend: true,
        ..ListOptions::default()
    };
    list(&strict, data);
}

/// `kakou-sheet` catches what the reader of workbooks panics over; libFuzzer would end at it.
fn pass_over_calamine() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info
                .location()
                .is_some_and(|at| at.file().contains("calamine"))
            {
                usual(info);
            }
        }));
    });
}

fn list(options: &ListOptions, data: &[u8]) {
    pass_over_calamine();
    let read = match decode(options, data) {
        Ok(read) => read,
        Err(error) => return drop(error.to_string()),
    };
    let parsed = read.parsed;
    let told = parsed.refused.told.iter().chain(&parsed.notes.told);
    for line in told {
        assert!(!line.to_string().is_empty());
    }
    assert!(parsed.refused.told.len() as u64 <= parsed.refused.count);
    // Each entry takes a row, and every row is an entry, a refused line or a repeat.
    assert!(parsed.list.len() as u64 <= read.told.rows);
    let plates: Vec<String> = parsed.list.entries().map(|e| e.plate).collect();
    assert_eq!(plates.len(), parsed.list.len());
    let golden = include_bytes!("../../contract/golden/passage.json");
    let Ok(mut passage) = PassageMessage::from_json(golden) else {
        unreachable!("the golden passage is one");
    };
    static WEIGHTS: OnceLock<Arc<Weights>> = OnceLock::new();
    let listed = Listed {
        list: Arc::new(parsed.list),
        policy: Arc::default(),
    };
    // Working the weights out takes longer than all the rest.
    let lists = Lists::new(vec![listed], WEIGHTS.get_or_init(Arc::default).clone());
    for plate in plates.into_iter().take(TRIED) {
        if let Some(read) = &mut passage.plate {
            read.text = plate;
        }
        let all = lists.all(&passage, &Conditions::default());
        let best = lists.best(&passage, &Conditions::default());
        assert_eq!(all.is_empty(), best.is_none());
    }
}

const TYPES: &str = r#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>"#;
const ROOT: &str = r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
const BOOK: &str = r#"<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="s" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
const RELATIONS: &str = r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="rId3" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>"#;

/// What stands in a workbook: the XML of its sheet, of its texts, of its styles, and of the book
/// itself, each behind a separator. Packed here: a changed archive is refused by its checksum before
/// the XML is read.
pub fn workbook(data: &[u8]) {
    let mut parts = data.split(|b| *b == SEPARATOR);
    let mut part = |usual: &'static str| match parts.next() {
        None | Some([]) => usual.as_bytes(),
        Some(part) => part,
    };
    let sheet = part("");
    let (texts, styles, book) = (part("<sst/>"), part("<styleSheet/>"), part(BOOK));
    let relations = part(RELATIONS);
    let files: [(&str, &[u8]); 7] = [
        ("[Content_Types].xml", TYPES.as_bytes()),
        ("_rels/.rels", ROOT.as_bytes()),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", relations),
        ("xl/worksheets/sheet1.xml", sheet),
        ("xl/sharedStrings.xml", texts),
        ("xl/styles.xml", styles),
    ];
    if let Ok(packed) = packed(&files) {
        list(&ListOptions::default(), &packed);
    }
}

fn packed(files: &[(&str, &[u8])]) -> zip::result::ZipResult<Vec<u8>> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, options)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}
