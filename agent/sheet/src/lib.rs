//! Tables as people keep them, to rows: CSV, JSON and XLSX, in UTF-8, UTF-16 or GB 18030. Pure: from
//! bytes, without files.
//!
//! What it promises:
//!
//! - Format, encoding and separator are told by the content, never by a name, and are reported.
//! - Everything has a bound that is checked before memory is taken for it: bytes, rows, columns,
//!   cells, and what a compressed workbook unpacks to.
//! - A row that cannot be taken apart is told by its line, and the others are read. A table that is
//!   cut off is not read at all.

mod csv;
mod encoding;
mod json;
mod xlsx;
mod xml_check;
mod xml_kept;
mod zip_check;

#[cfg(test)]
mod tests;

pub use csv::write as write_csv;
pub use encoding::Encoding;

/// The most bytes of a table.
pub const BYTES_MAX: u64 = 64 << 20;
/// The most rows.
pub const ROWS_MAX: u64 = 2_000_000;
/// The most columns.
pub const COLUMNS_MAX: usize = 256;
/// The most bytes of a cell.
pub const CELL_MAX: usize = 16 << 10;
/// How far down the row with the columns' names may stand, below titles and empty rows.
const HEADER_WITHIN: usize = 20;

/// Takes what is read.
pub trait Take {
    /// Whether columns have this name. It tells the header from titles above it, and the separator.
    fn knows(&self, name: &str) -> bool;
    /// The names of the columns, once, before any row.
    fn header(&mut self, line: u64, names: &[&str]) -> Result<(), String>;
    /// A row; as many cells as the header has names. `Err`: the table cannot be used.
    fn row(&mut self, line: u64, cells: &[&str]) -> Result<(), String>;
    /// A row that cannot be taken apart.
    fn bad_row(&mut self, line: u64, why: String);
}

/// What a table is kept as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv { separator: char },
    Json,
    Xlsx,
}

/// What the content told of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub format: Format,
    /// `None`: a workbook, which has no encoding of its own.
    pub encoding: Option<Encoding>,
    /// Rows, used or not, without the header.
    pub rows: u64,
    pub version: Option<String>,
    pub authority: Option<String>,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.format {
            Format::Csv { separator: '\t' } => f.write_str("CSV, separated by tabs")?,
            Format::Csv { separator } => write!(f, "CSV, separated by {separator:?}")?,
            Format::Json => f.write_str("JSON")?,
            Format::Xlsx => f.write_str("XLSX")?,
        }
        match self.encoding {
            Some(encoding) => write!(f, ", {encoding}"),
            None => Ok(()),
        }
    }
}

/// Why no row of a table can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SheetError {
    #[error("the list is empty; its first row is plate,level,category,reason,valid_until")]
    Empty,
    #[error("the list has {bytes} bytes; {} MiB are taken at most", .most >> 20)]
    TooLarge { bytes: u64, most: u64 },
    #[error("the list has more than {ROWS_MAX} rows")]
    TooManyRows,
    #[error("the list has more than {COLUMNS_MAX} columns")]
    TooManyColumns,
    #[error(
        "line {line}: no header: none of the first rows names a column of plates; write \
         plate,level,category,reason,valid_until (号牌号码,级别,类别,原因,有效期至) above the rows"
    )]
    NoHeader { line: u64 },
    #[error("line {line}: {why}")]
    Refused { line: u64, why: String },
    #[error(
        "the last line does not end: the list is cut off or still being copied. Each row, the last one \
         too, ends with a line end"
    )]
    CutOff,
    #[error(
        "\"# entries {said}\" stands in the list, but it has {found} rows: it is cut off or still being \
         copied"
    )]
    Count { said: u64, found: u64 },
    #[error("line {line}: \"# entries\" is followed by no number")]
    NoCount { line: u64 },
    #[error("line {line}: this is no JSON: {why}")]
    Json { line: u64, why: String },
    #[error("the workbook cannot be read: {0}; save it again as .xlsx, or as CSV UTF-8")]
    Workbook(String),
    #[error(
        "this is an old Excel workbook (.xls), or one that is locked by a password; save it as .xlsx \
         without a password, or as CSV UTF-8"
    )]
    OldWorkbook,
    #[error("the workbook unpacks to more than {} MiB ({part}); it is not opened", .most >> 20)]
    Bomb { part: String, most: u64 },
}

/// Reads a table. `take` has got the rows before an error that is found at the end.
pub fn read(bytes: &[u8], take: &mut dyn Take) -> Result<Told, SheetError> {
    let size = bytes.len() as u64;
    if size > BYTES_MAX {
        let most = BYTES_MAX;
        return Err(SheetError::TooLarge { bytes: size, most });
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return xlsx::read(bytes, take);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Err(SheetError::OldWorkbook);
    }
    let (encoding, text) = encoding::decode(bytes);
    match text.trim_start().chars().next() {
        None => Err(SheetError::Empty),
        Some('[' | '{') => json::read(&text, encoding, take),
        Some(_) => csv::read(&text, encoding, take),
    }
}

/// The first row that names known columns.
fn is_header(take: &dyn Take, cells: &[&str]) -> bool {
    cells.iter().any(|name| take.knows(name))
}
