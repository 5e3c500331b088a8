//! One row of CSV: its lines, its cells, and the quotes that the parser is too lenient about.

use std::io::Read;

use csv_core::ReadRecordResult;
use memchr::memchr;

use crate::input::errors::{Problem, Reason, RecordError};
use crate::input::lines::Lines;

/// The cells of the current row, unquoted, one behind the other.
pub(crate) struct Cells {
    delimiter: u8,
    parser: csv_core::Reader,
    bytes: Vec<u8>,
    used: usize,
    ends: Vec<usize>,
    count: usize,
    /// Set while the row goes on behind what was parsed.
    open: bool,
}

impl Cells {
    pub(crate) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            parser: new_parser(delimiter),
            bytes: Vec::new(),
            used: 0,
            ends: Vec::new(),
            count: 0,
            open: false,
        }
    }

    /// How many cells the row has.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// A cell; empty if the row is shorter.
    pub(crate) fn get(&self, column: usize) -> &[u8] {
        let start = column.checked_sub(1).and_then(|before| self.ends.get(before).copied()).unwrap_or(0);
        let end = self.ends.get(column).copied().unwrap_or(start);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// A cell, if there is anything in it.
    pub(crate) fn filled(&self, column: usize) -> Option<&[u8]> {
        Some(self.get(column)).filter(|cell| !cell.is_empty())
    }

    /// Reads the next row from as many of `lines` as it has. Returns false at the end.
    pub(crate) fn read<R: Read>(&mut self, lines: &mut Lines<R>) -> Result<bool, RecordError> {
        if self.open {
            // A row that was given up in the middle must not leave its state to the next one.
            self.parser = new_parser(self.delimiter);
            self.open = false;
        }
        loop {
            if !lines.advance()? {
                return Ok(false);
            }
            if !lines.text().is_empty() {
                break;
            }
        }
        (self.used, self.count, self.open) = (0, 0, true);
        let mut parsed = 0;
        loop {
            let raw = lines.raw();
            let consumed = self.feed(raw.get(parsed..).unwrap_or_default());
            parsed += consumed;
            if !self.open {
                break;
            }
            if !lines.extend()? {
                // A line break ends the last row, unless it stands between quotes.
                self.feed(b"\n");
                if self.open {
                    let offset = open_quote(lines.raw(), self.delimiter);
                    let message = "the quote is never closed";
                    return Err(Problem::new(Reason::MisplacedQuote, offset, message).into());
                }
                break;
            }
        }
        self.check(lines.raw(), parsed)?;
        Ok(true)
    }

    /// Refuses what the parser reads past: a lone carriage return, text behind a closing quote.
    fn check(&self, raw: &[u8], parsed: usize) -> Result<(), Problem> {
        let lone_return = match raw.get(parsed..) {
            _ if raw.first() == Some(&b'\r') => Some(0),
            Some(b"" | b"\n") => None,
            _ => Some(parsed.saturating_sub(1)),
        };
        if let Some(offset) = lone_return {
            let message = "a carriage return stands in a cell without quotes";
            return Err(Problem::new(Reason::MisplacedQuote, offset, message));
        }
        if memchr(b'"', raw).is_some()
            && let Some(offset) = behind_quote(raw, self.delimiter)
        {
            let message = "text stands behind a closing quote; a quote inside a quoted cell is doubled";
            return Err(Problem::new(Reason::MisplacedQuote, offset, message));
        }
        Ok(())
    }

    /// Parses up to the end of the row or of `input`. Returns how many bytes that took.
    fn feed(&mut self, input: &[u8]) -> usize {
        let mut consumed = 0;
        loop {
            // An empty input would mean the end of the stream to the parser.
            let rest = input.get(consumed..).unwrap_or_default();
            if rest.is_empty() {
                return consumed;
            }
            self.bytes.resize(self.bytes.len().max(self.used + rest.len()), 0);
            self.ends.resize(self.ends.len().max(self.count + 16), 0);
            let bytes = self.bytes.get_mut(self.used..).unwrap_or_default();
            let ends = self.ends.get_mut(self.count..).unwrap_or_default();
            let (result, read, written, ended) = self.parser.read_record(rest, bytes, ends);
            consumed += read;
            self.used += written;
            self.count += ended;
            if matches!(result, ReadRecordResult::Record | ReadRecordResult::End) {
                self.open = false;
                return consumed;
            }
        }
    }
}

fn new_parser(delimiter: u8) -> csv_core::Reader {
    let mut parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
    // A parser drops a byte order mark from the first bytes it sees: let them be an empty line.
    parser.read_record(b"\n", &mut [], &mut []);
    parser
}

/// Calls `visit` with the ends of each quoted cell of `record`: where its opening quote stands and the place
/// behind its closing quote, if it has one. Returns the first thing that `visit` returns.
fn find_quoted<T>(
    record: &[u8],
    delimiter: u8,
    mut visit: impl FnMut(usize, Option<usize>) -> Option<T>,
) -> Option<T> {
    let mut at = 0;
    loop {
        if record.get(at) == Some(&b'"') {
            let open = at;
            at += 1;
            let mut close = None;
            while let Some(quote) = record.get(at..).and_then(|rest| memchr(b'"', rest)) {
                at += quote + 1;
                if record.get(at) != Some(&b'"') {
                    close = Some(at);
                    break;
                }
                at += 1;
            }
            if let Some(found) = visit(open, close) {
                return Some(found);
            }
            close?;
        }
        at += record.get(at..).and_then(|rest| memchr(delimiter, rest))? + 1;
    }
}

/// Where `record` has something other than the end of the cell behind a closing quote.
fn behind_quote(record: &[u8], delimiter: u8) -> Option<usize> {
    find_quoted(record, delimiter, |_, close| {
        let behind = record.get(close?..)?;
        let ends = behind.first() == Some(&delimiter) || matches!(behind, b"" | b"\n" | b"\r" | b"\r\n");
        if ends { None } else { close }
    })
}

/// Where the quote stands that is never closed.
fn open_quote(record: &[u8], delimiter: u8) -> usize {
    find_quoted(record, delimiter, |open, close| if close.is_none() { Some(open) } else { None }).unwrap_or(0)
}
