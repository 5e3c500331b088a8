//! What can be wrong with an input: one record, or the input as a whole.

use std::fmt::{self, Display};

use super::lines::LineError;
use crate::json::{self, Stop, Syntax};
use crate::text::escape;
use crate::times::{TimeError, TimeErrorKind};

/// Why a record was refused; the categories that are counted with `--on-error skip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    InvalidJson,
    InvalidUtf8,
    InvalidBase64,
    NotAnObject,
    NestedTooDeeply,
    LineTooLong,
    UnknownKey,
    DuplicateKey,
    MissingValue,
    WrongType,
    UnreadableTime,
    TimeTooFine,
    TimeOutOfRange,
    NoTimeZone,
    UnclearLocalTime,
    ValueTooLarge,
    WrongColumnCount,
    MisplacedQuote,
}

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidJson => "invalid JSON",
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::InvalidBase64 => "invalid base64",
            Self::NotAnObject => "not a JSON object",
            Self::NestedTooDeeply => "nested too deeply",
            Self::LineTooLong => "line too long",
            Self::UnknownKey => "unknown key",
            Self::DuplicateKey => "duplicate key",
            Self::MissingValue => "missing value",
            Self::WrongType => "wrong type",
            Self::UnreadableTime => "unreadable time",
            Self::TimeTooFine => "time finer than the unit",
            Self::TimeOutOfRange => "time out of range",
            Self::NoTimeZone => "no time zone",
            Self::UnclearLocalTime => "unclear local time",
            Self::ValueTooLarge => "value too large",
            Self::WrongColumnCount => "wrong number of columns",
            Self::MisplacedQuote => "misplaced quote",
        })
    }
}

/// What is wrong inside one record, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    /// Bytes from the start of the record.
    pub(crate) offset: usize,
}

impl Problem {
    pub(crate) fn new(reason: Reason, offset: usize, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), offset }
    }

    /// A fault of JSON text that starts `base` bytes from the start of the record.
    pub(crate) fn json(syntax: Syntax, base: usize) -> Self {
        Self::new(Reason::InvalidJson, base + syntax.offset, format!("invalid JSON: {}", syntax.message))
    }

    /// A walk over JSON text that starts `base` bytes from the start of the record.
    pub(crate) fn stopped(stop: Stop<Self>, base: usize) -> Self {
        match stop {
            Stop::Syntax(syntax) => Self::json(syntax, base),
            Stop::Refused(problem, _) => problem,
        }
    }

    pub(crate) fn too_deep(offset: usize) -> Self {
        let message = format!("arrays and objects are nested more than {} deep", json::MAX_DEPTH);
        Self::new(Reason::NestedTooDeeply, offset, message)
    }

    pub(crate) fn time(error: TimeError, offset: usize) -> Self {
        let reason = match error.kind {
            TimeErrorKind::Unreadable => Reason::UnreadableTime,
            TimeErrorKind::TooFine => Reason::TimeTooFine,
            TimeErrorKind::OutOfRange => Reason::TimeOutOfRange,
            TimeErrorKind::NoZone => Reason::NoTimeZone,
            TimeErrorKind::UnclearLocal => Reason::UnclearLocalTime,
        };
        Self::new(reason, offset, format!("timestamp: {}", error.message))
    }
}

/// Why there is no next record: none could be read, or it is not an event.
pub(crate) enum RecordError {
    Line(LineError),
    Problem(Problem),
}

impl From<LineError> for RecordError {
    fn from(error: LineError) -> Self {
        Self::Line(error)
    }
}

impl From<Problem> for RecordError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// A record that is not an event. Shown as `FILE:LINE:COLUMN: reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// The input's name, escaped.
    pub(crate) file: String,
    /// The line on which the record starts, from 1.
    pub(crate) line: u64,
    /// A byte of that record, from 1.
    pub(crate) column: usize,
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

impl Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = escape(self.message.as_bytes());
        write!(f, "{}:{}:{}: {message}", self.file, self.line, self.column)
    }
}

impl std::error::Error for Malformed {}

/// Why an input can not be read at all, or not any further. Skipping bad records does not help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fatal(pub(crate) String);

impl Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0.as_bytes()).fmt(f)
    }
}

impl std::error::Error for Fatal {}

/// Why there is no next event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This record is not an event; reading can go on behind it.
    Malformed(Malformed),
    /// The input failed.
    Fatal(Fatal),
}

impl From<Fatal> for Fault {
    fn from(fatal: Fatal) -> Self {
        Self::Fatal(fatal)
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Fatal(fatal) => fatal.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}
