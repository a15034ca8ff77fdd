//! Rows from CSV, and to CSV.

use csv::{ByteRecord, ReaderBuilder};

use crate::{
    CELL_MAX, COLUMNS_MAX, Encoding, Format, HEADER_WITHIN, ROWS_MAX, SheetError, Take, Told,
    is_header,
};

const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Spreadsheets leave empty cells behind a row, up to their own last column.
const WIDEST: usize = 16_384;
/// Comments that say something of the list.
const COUNT: &str = "entries";
const VERSION: &str = "version";
const AUTHORITY: &str = "authority";

pub(crate) fn read(
    text: &str,
    encoding: Encoding,
    take: &mut dyn Take,
) -> Result<Told, SheetError> {
    let said = comments(text)?;
    // The reader takes memory for each cell of a row before it can be asked how many there are.
    let narrow: Vec<u8> = SEPARATORS
        .into_iter()
        .filter(|separator| !is_too_wide(text, *separator))
        .collect();
    let separator = separator(text, &narrow, take).ok_or_else(|| {
        if narrow.len() < SEPARATORS.len() {
            return SheetError::TooManyColumns;
        }
        SheetError::NoHeader {
            line: first_line(text),
        }
    })?;
    if said.count.is_none() && !text.ends_with(['\n', '\r']) {
        return Err(SheetError::CutOff);
    }
    let found = rows(text, separator, encoding, take)?;
    match said.count {
        Some(said) if said != found => Err(SheetError::Count { said, found }),
        _ => Ok(Told {
            format: Format::Csv {
                separator: separator.into(),
            },
            encoding: Some(encoding),
            rows: found,
            version: said.version,
            authority: said.authority,
        }),
    }
}

fn reader(text: &str, separator: u8) -> csv::Reader<&[u8]> {
    ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes())
}

/// Whether a row has more cells by this separator than any list. What a comment is, a quote and the
/// end of a row is told as the reader tells it.
pub(crate) fn is_too_wide(text: &str, separator: u8) -> bool {
    // The reader passes over one mark; it is not the first where the encoding had one too.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // A quote means something where a cell begins; doubled within quotes it is one.
    let (mut cells, mut begins, mut quoted, mut was_quoted) = (0, true, false, false);
    // A comment goes on to the line feed, over quotes and carriage returns.
    let (mut row_begins, mut comment) = (true, false);
    for byte in text.bytes() {
        if comment {
            comment = byte != b'\n';
            continue;
        }
        if quoted {
            quoted = byte != b'"';
            was_quoted = !quoted;
            continue;
        }
        if row_begins && byte == b'#' {
            comment = true;
            continue;
        }
        row_begins = matches!(byte, b'\r' | b'\n');
        match byte {
            b'"' if begins || was_quoted => {
                (quoted, begins, was_quoted) = (true, false, false);
                continue;
            }
            b'\r' | b'\n' => (cells, begins) = (0, true),
            _ if byte == separator => (cells, begins) = (cells + 1, true),
            _ => begins = false,
        }
        was_quoted = false;
        if cells > WIDEST {
            return true;
        }
    }
    false
}

/// The one of these separators by which most columns are known.
fn separator(text: &str, separators: &[u8], take: &dyn Take) -> Option<u8> {
    let known = |separator: &u8| {
        let mut reader = reader(text, *separator);
        let mut most = 0;
        for record in reader
            .byte_records()
            .take(HEADER_WITHIN)
            .map_while(Result::ok)
        {
            let cells = cells(&record);
            most = most.max(cells.iter().filter(|name| take.knows(name)).count());
        }
        most
    };
    // Of several equally good the first.
    let counts = separators.iter().rev().map(|s| (known(s), *s));
    counts
        .max_by_key(|(known, _)| *known)
        .filter(|(known, _)| *known > 0)
        .map(|(_, separator)| separator)
}

/// Returns how many rows there are, used or not.
fn rows(
    text: &str,
    separator: u8,
    encoding: Encoding,
    take: &mut dyn Take,
) -> Result<u64, SheetError> {
    let mut reader = reader(text, separator);
    let mut record = ByteRecord::new();
    let (mut columns, mut found, mut seen) = (None, 0, 0);
    let mut lines = Lines::new(text);
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(e) => {
                let at = e.position().map_or(0, csv::Position::byte);
                take.bad_row(lines.of(at), e.to_string());
                continue;
            }
        }
        let line = lines.of(record.position().map_or(0, csv::Position::byte));
        // Spreadsheets leave rows of separators behind.
        if record.iter().all(<[u8]>::is_empty) {
            continue;
        }
        let cells = cells(&record);
        let Some(columns) = columns else {
            seen += 1;
            if is_header(take, &cells) {
                if cells.len() > COLUMNS_MAX {
                    return Err(SheetError::TooManyColumns);
                }
                let refused = |why| SheetError::Refused { line, why };
                take.header(line, &cells).map_err(refused)?;
                columns = Some(cells.len());
            } else if seen >= HEADER_WITHIN {
                break;
            }
            continue;
        };
        found += 1;
        if found > ROWS_MAX {
            return Err(SheetError::TooManyRows);
        }
        let end = line + line_ends(record.as_slice());
        match fault(&cells, columns, (line, end), encoding) {
            Some(why) => take.bad_row(line, why),
            None => {
                let refused = |why| SheetError::Refused { line, why };
                let cells = cells.get(..columns).unwrap_or(&cells);
                take.row(line, cells).map_err(refused)?;
            }
        }
    }
    match columns {
        Some(_) => Ok(found),
        None => Err(SheetError::NoHeader {
            line: first_line(text),
        }),
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

/// Numbers lines by where rows begin. The reader counts those that it skips, empty ones and
/// comments, only after it has said where it is.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            line: 1,
        }
    }

    /// The line of a row that is said to begin at this byte; rows are asked for in their order.
    fn of(&mut self, start: u64) -> u64 {
        let mut at = usize::try_from(start).unwrap_or(usize::MAX);
        loop {
            match self.text.get(at) {
                Some(b'\r' | b'\n') => at += 1,
                Some(b'#') => {
                    let rest = self.text.get(at..).unwrap_or(&[]);
                    let end = rest.iter().position(|b| matches!(b, b'\r' | b'\n'));
                    at += end.unwrap_or(rest.len());
                }
                _ => break,
            }
        }
        self.line += line_ends(self.text.get(self.at..at).unwrap_or(&[]));
        self.at = self.at.max(at);
        self.line
    }
}

/// The text is valid, and separators and quotes are ASCII: so is each cell.
fn cells(record: &ByteRecord) -> Vec<&str> {
    let cell = |bytes| std::str::from_utf8(bytes).unwrap_or("\u{fffd}");
    record.iter().map(cell).collect()
}

fn fault(
    cells: &[&str],
    columns: usize,
    (line, end): (u64, u64),
    encoding: Encoding,
) -> Option<String> {
    let extra = cells.get(columns..).unwrap_or(&[]);
    if cells.iter().any(|c| c.contains('\u{fffd}')) {
        let encoding = match encoding {
            Encoding::Utf8 | Encoding::Utf8Bom => "UTF-8",
            Encoding::Utf16Le | Encoding::Utf16Be => "UTF-16",
            Encoding::Gb18030 => "GB 18030",
        };
        return Some(format!("not {encoding}; save the list as UTF-8"));
    }
    if cells.len() < columns || extra.iter().any(|c| !c.is_empty()) {
        let many = cells.len();
        let hint = match end > line {
            true => format!(", and it goes on to line {end}: a quote is not closed"),
            false if many > columns => {
                ": a separator within a cell must stand in quotes".to_owned()
            }
            false => ": it is cut short".to_owned(),
        };
        return Some(format!(
            "the row has {many} cells, the header {columns}{hint}"
        ));
    }
    let long = cells.iter().map(|c| c.len()).max().unwrap_or(0);
    (long > CELL_MAX).then(|| format!("a cell has {long} bytes; {CELL_MAX} are taken at most"))
}

/// The first line that is neither empty nor a comment.
fn first_line(text: &str) -> u64 {
    (1..)
        .zip(text.lines())
        .find(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'))
        .map_or(1, |(line, _)| line)
}

#[derive(Default)]
struct Comments {
    count: Option<u64>,
    version: Option<String>,
    authority: Option<String>,
}

fn comments(text: &str) -> Result<Comments, SheetError> {
    let mut all = Comments::default();
    for (at, line) in (1..).zip(text.lines()) {
        let Some(words) = line.trim().strip_prefix('#').map(str::trim) else {
            continue;
        };
        // Spreadsheets put separators behind.
        let value = |name: &str| {
            let rest = words.strip_prefix(name)?;
            let value =
                rest.trim_matches([' ', '\t', ',', ';', '|', ':', '=', '"', '\u{3000}', '：']);
            rest.starts_with([' ', '\t', ',', ';', '|', ':', '=', '：'])
                .then_some(value)
        };
        if let Some(number) = value(COUNT) {
            let number = number.parse();
            all.count = Some(number.map_err(|_| SheetError::NoCount { line: at })?);
        } else if let Some(version) = value(VERSION) {
            all.version.get_or_insert_with(|| version.to_owned());
        } else if let Some(authority) = value(AUTHORITY) {
            all.authority.get_or_insert_with(|| authority.to_owned());
        }
    }
    Ok(all)
}

/// Rows as CSV: commas, quotes where they are needed.
pub fn write<'a>(rows: impl IntoIterator<Item = Vec<std::borrow::Cow<'a, str>>>) -> String {
    let mut out = String::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            let plain = !cell.contains([',', ';', '"', '\n', '\r', '\t', '|'])
                && !cell.starts_with([' ', '#'])
                && !cell.ends_with(' ');
            if plain {
                out.push_str(cell);
            } else {
                out.push('"');
                out.push_str(&cell.replace('"', "\"\""));
                out.push('"');
            }
        }
        out.push('\n');
    }
    out
}
