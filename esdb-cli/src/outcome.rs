//! How a run ends: its exit code, and what is said on standard error.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::args::Usage;
use crate::input::errors::{Fatal, Fault, Malformed};
use crate::text::escape;

/// The end of a run that did what it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// A file is damaged, or could not be looked at; it has been said which.
    Damaged,
    /// Something was skipped or lost; it has been said what.
    Lossy,
    /// Nothing matched, and that was asked to be told apart.
    NothingFound,
}

impl Outcome {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Damaged => 1,
            Self::Lossy => 3,
            Self::NothingFound => 4,
        }
    }
}

/// The end of a run that could not go on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The flags do not fit together. Exit code 2.
    Usage(Usage),
    /// A record of the input is not an event. Shown without the command's name, for editors that jump to it.
    Malformed(Malformed),
    /// Whoever read the results has closed the pipe: a normal end.
    Closed,
    /// Everything else, as `FILE: REASON`.
    Failed(String),
}

impl Failure {
    /// Says of a library error which file it is about.
    pub(crate) fn of(path: &Path) -> impl Fn(esdb_format::Error) -> Self {
        move |error| Self::of_file(path, &error.to_string())
    }

    /// Says what is wrong with a file.
    pub(crate) fn of_file(path: &Path, reason: &str) -> Self {
        Self::Failed(format!("{}: {reason}", escape(path.as_os_str().as_encoded_bytes())))
    }

    /// Says what writing the results met.
    pub(crate) fn of_stdout(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(format!("standard output: {error}")),
        }
    }

    /// What is printed on standard error. Usage errors have more to say than a line.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Self::Usage(_) | Self::Closed => None,
            Self::Malformed(malformed) => Some(malformed.to_string()),
            Self::Failed(reason) => Some(format!("esdb: {}", escape(reason.as_bytes()))),
        }
    }

    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Malformed(_) | Self::Failed(_) => 1,
            Self::Usage(_) => 2,
        }
    }
}

impl From<Usage> for Failure {
    fn from(usage: Usage) -> Self {
        Self::Usage(usage)
    }
}

impl From<Fatal> for Failure {
    fn from(fatal: Fatal) -> Self {
        Self::Failed(fatal.0)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed(malformed) => Self::Malformed(malformed),
            Fault::Fatal(fatal) => fatal.into(),
        }
    }
}
