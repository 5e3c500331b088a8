//! Events out of text: one input after another, one event after another.
//!
//! ```text
//! open      file or stdin, gzip and zstd unpacked, binary refused
//!   lines   records of whole lines, bounded
//!     native          lines as `scan` prints them
//!     foreign, csv    other JSON lines and CSV, made events by a mapping
//! rejects   what becomes of records that are not events
//! ```

pub(crate) mod args;
mod csv;
mod document;
pub(crate) mod errors;
mod fill;
mod foreign;
mod lines;
pub(crate) mod mapping;
mod native;
pub(crate) mod open;
pub(crate) mod rejects;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use esdb_format::{EventBuf, Unit};

use self::csv::Rows;
use self::errors::{Fatal, Fault, Malformed, Problem, Reason, RecordError};
use self::fill::check_pairs;
use self::foreign::Foreign;
use self::lines::{CopyError, LineError, Lines};
use self::mapping::Mapping;
use self::native::Native;
use self::open::{Progress, Stream};

/// The events of one input.
pub(crate) struct Source {
    name: String,
    lines: Lines<Stream>,
    format: Format,
    max_data: usize,
    progress: Progress,
}

/// What an input's text is.
#[derive(Clone)]
pub(crate) enum Layout {
    Native(Unit),
    Foreign(Arc<Mapping>),
    Csv(Arc<Mapping>, u8),
}

enum Format {
    Native(Native),
    Foreign(Foreign),
    /// None for an input without a header row, which is empty.
    Csv(Option<Box<Rows>>),
}

/// The longest record for events of at most `max_data` bytes.
///
/// Base64 makes four bytes of three and an escaped quote or line break two of one, so twice the data and
/// 1 MiB for everything else hold every ordinary line. Text of control characters grows sixfold; such an
/// event of more than a third of the limit needs a larger `--max-event` to come back in.
fn longest_record(max_data: usize) -> usize {
    // The fuzzer's inputs are short.
    const ELSE: usize = if cfg!(fuzzing) { 1 << 8 } else { 1 << 20 };
    max_data.saturating_mul(2).saturating_add(ELSE)
}

impl Source {
    /// Opens `path`, `-` for standard input. Events have at most `max_data` bytes of data.
    ///
    /// # Errors
    ///
    /// The input can not be read, is not text, or is CSV whose header lacks what the mapping needs.
    pub(crate) fn open(path: &Path, layout: &Layout, max_data: usize) -> Result<Self, Fatal> {
        let (stream, progress) = open::open(path)?;
        Self::new(open::name_of(path), stream, progress, layout, max_data)
    }

    /// The events of what was opened and unpacked. See [`open`](Self::open).
    pub(crate) fn new(
        name: String,
        stream: Stream,
        progress: Progress,
        layout: &Layout,
        max_data: usize,
    ) -> Result<Self, Fatal> {
        let lines = Lines::new(stream, longest_record(max_data));
        let format = match layout {
            Layout::Native(unit) => Format::Native(Native::new(*unit, max_data)),
            Layout::Foreign(mapping) => Format::Foreign(Foreign::new(Arc::clone(mapping))),
            Layout::Csv(..) => Format::Csv(None),
        };
        let mut source = Self { name, lines, format, max_data, progress };
        if let Layout::Csv(mapping, delimiter) = layout {
            let rows = Rows::open(&mut source.lines, Arc::clone(mapping), *delimiter);
            let rows = rows.map_err(|error| match source.fault(error) {
                Fault::Malformed(malformed) => Fatal(malformed.to_string()),
                Fault::Fatal(fatal) => fatal,
            })?;
            source.format = Format::Csv(rows.map(Box::new));
        }
        Ok(source)
    }

    /// Reads the next event. Returns false at the end; `event` then holds nothing of use, as after an error.
    pub(crate) fn next(&mut self, event: &mut EventBuf) -> Result<bool, Fault> {
        let lines = &mut self.lines;
        let result = match &mut self.format {
            Format::Native(native) => document::next_line(lines, |line| native.read(line, event)),
            Format::Foreign(foreign) => document::next_line(lines, |line| foreign.read(line, event)),
            Format::Csv(Some(rows)) => rows.read(lines, event),
            Format::Csv(None) => Ok(false),
        };
        let result = result.and_then(|found| {
            if found {
                check_pairs(&event.indexes)?;
            }
            Ok(found)
        });
        result.map_err(|error| self.fault(error))
    }

    /// Takes away the next records, as many as have been read and at least one, in any thread's hands; goes on behind them, in the
    /// memory of `spare`.
    ///
    /// Returns nothing where [`next`](Self::next) must be asked: at the end, for a record that is longer than others, so that few of
    /// them are in memory, and for CSV, whose lines do not tell where a record ends.
    ///
    /// # Errors
    ///
    /// The input can not be read.
    pub(crate) fn take_whole(&mut self, spare: Vec<u8>) -> Result<Option<Self>, Fault> {
        let format = match &self.format {
            Format::Native(native) => Format::Native(native.clone()),
            Format::Foreign(foreign) => Format::Foreign(foreign.clone()),
            Format::Csv(_) => return Ok(None),
        };
        let lines = self.lines.take_whole(spare).map_err(|error| self.fault(error.into()))?;
        let (name, progress, max_data) = (self.name.clone(), self.progress.clone(), self.max_data);
        Ok(lines.map(|lines| Self { name, lines, format, max_data, progress }))
    }

    /// The memory of the text, for [`take_whole`](Self::take_whole).
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.lines.into_buffer()
    }

    /// Copies the record that was just refused to `sink`, byte for byte with its line end.
    pub(crate) fn copy_raw(&mut self, sink: &mut dyn Write) -> Result<(), CopyError> {
        self.lines.copy_raw(sink)
    }

    /// The input's name in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How far the input has been read.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    fn fault(&self, error: RecordError) -> Fault {
        match error {
            RecordError::Problem(problem) => self.malformed(problem),
            RecordError::Line(LineError::TooLong) => {
                let (limit, max) = (self.lines.limit(), self.max_data);
                let message =
                    format!("the record has more than {limit} bytes, the limit for --max-event {max}");
                self.malformed(Problem::new(Reason::LineTooLong, 0, message))
            }
            RecordError::Line(LineError::Read(error)) => {
                let line = self.lines.number();
                Fault::Fatal(Fatal(format!("{}: reading failed at line {line}: {error}", self.name)))
            }
        }
    }

    fn malformed(&self, problem: Problem) -> Fault {
        // A record of several lines is named by its first one.
        let first_line = memchr::memchr(b'\n', self.lines.raw());
        let in_first_line = first_line.is_none_or(|end| problem.offset <= end);
        Fault::Malformed(Malformed {
            file: self.name.clone(),
            line: self.lines.number(),
            column: if in_first_line { problem.offset + 1 } else { 1 },
            reason: problem.reason,
            message: problem.message,
        })
    }
}
