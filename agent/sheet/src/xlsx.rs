//! Rows from a workbook: the first sheet that has a header.
//!
//! Cells are taken one after the other as they stand in the file: the size that a sheet says it has
//! is not believed, and no table of that size is made.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{DataRef, ExcelDateTime, Reader, Xlsx};

use crate::{
    CELL_MAX, COLUMNS_MAX, Format, HEADER_WITHIN, ROWS_MAX, SheetError, Take, Told, is_header,
    zip_check,
};

pub(crate) fn read(bytes: &[u8], take: &mut dyn Take) -> Result<Told, SheetError> {
    zip_check::check(bytes)?;
    // A damaged workbook must not end the agent, whatever the reader makes of it.
    let outcome = catch_unwind(AssertUnwindSafe(|| read_sheets(bytes, take)));
    outcome.unwrap_or_else(|_| Err(SheetError::Workbook("it is damaged".to_owned())))
}

fn read_sheets(bytes: &[u8], take: &mut dyn Take) -> Result<Told, SheetError> {
    let unreadable = |e: &dyn std::fmt::Display| SheetError::Workbook(e.to_string());
    let mut workbook: Xlsx<_> =
        Xlsx::new(Cursor::new(bytes)).map_err(|e: calamine::XlsxError| unreadable(&e))?;
    for sheet in workbook.sheet_names() {
        let mut cells = match workbook.worksheet_cells_reader(&sheet) {
            Ok(cells) => cells,
            // A page of charts has no cells.
            Err(calamine::XlsxError::WorksheetNotFound(_)) => continue,
            Err(e) => return Err(unreadable(&e)),
        };
        let mut rows = Rows::default();
        loop {
            let cell = cells.next_cell().map_err(|e| unreadable(&e))?;
            let Some(cell) = cell else {
                rows.end(take)?;
                break;
            };
            let (row, column) = cell.get_position();
            if row != rows.row {
                rows.end(take)?;
                rows.row = row;
                if rows.is_hopeless() {
                    break;
                }
            }
            rows.put(column as usize, cell.get_value());
        }
        if rows.columns.is_some() {
            return Ok(Told {
                format: Format::Xlsx,
                encoding: None,
                rows: rows.found,
                version: None,
                authority: None,
            });
        }
    }
    Err(SheetError::NoHeader { line: 1 })
}

/// The row that is being read.
#[derive(Default)]
struct Rows {
    row: u32,
    cells: Vec<String>,
    fault: Option<String>,
    columns: Option<usize>,
    /// Rows that were no header.
    seen: usize,
    found: u64,
}

impl Rows {
    fn is_hopeless(&self) -> bool {
        self.columns.is_none() && self.seen >= HEADER_WITHIN
    }

    fn put(&mut self, column: usize, value: &DataRef<'_>) {
        // What stands far to the right belongs to no table.
        if column >= COLUMNS_MAX {
            return;
        }
        let text = match value {
            DataRef::Empty => return,
            DataRef::String(text) => text.clone(),
            DataRef::SharedString(text) => (*text).to_owned(),
            DataRef::Int(number) => number.to_string(),
            DataRef::Float(number) => number.to_string(),
            DataRef::Bool(flag) => flag.to_string(),
            DataRef::DateTime(time) => date(time),
            DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
            DataRef::Error(e) => {
                self.fault = Some(format!("the cell in column {} is {e}", column + 1));
                return;
            }
        };
        let text = text.trim();
        if text.len() > CELL_MAX {
            let bytes = text.len();
            self.fault = Some(format!(
                "a cell has {bytes} bytes; {CELL_MAX} are taken at most"
            ));
            return;
        }
        if self.cells.len() <= column {
            self.cells.resize(column + 1, String::new());
        }
        if let Some(cell) = self.cells.get_mut(column) {
            text.clone_into(cell);
        }
    }

    /// Hands on the row, if there is one.
    fn end(&mut self, take: &mut dyn Take) -> Result<(), SheetError> {
        let line = u64::from(self.row) + 1;
        let (cells, fault) = (std::mem::take(&mut self.cells), self.fault.take());
        if cells.iter().all(String::is_empty) && fault.is_none() {
            return Ok(());
        }
        let mut cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        let refused = |why| SheetError::Refused { line, why };
        let Some(columns) = self.columns else {
            self.seen += 1;
            if is_header(take, &cells) {
                take.header(line, &cells).map_err(refused)?;
                self.columns = Some(cells.len());
            }
            return Ok(());
        };
        self.found += 1;
        if self.found > ROWS_MAX {
            return Err(SheetError::TooManyRows);
        }
        cells.resize(columns, "");
        match fault {
            Some(why) => take.bad_row(line, why),
            None => take.row(line, &cells).map_err(refused)?,
        }
        Ok(())
    }
}

/// A day, with its time where it has one.
fn date(time: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let of_day = format!("{hour:02}:{minute:02}");
    match (time.as_f64(), hour, minute, second) {
        // A time alone.
        (serial, ..) if serial < 1.0 => of_day,
        (_, 0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:04}-{month:02}-{day:02} {of_day}:{second:02}"),
    }
}
