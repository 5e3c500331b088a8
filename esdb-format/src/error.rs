//! Errors: what is wrong, where in the file, and what was expected.

use std::fmt;
use std::io;

use crate::legacy::LegacyKind;

/// What reading and writing return.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong. [`Error::kind`] groups the cases for a caller's decision.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is damaged: a rule of the spec does not hold.
    #[error("corrupt {0}")]
    Corrupt(Box<Problem>),
    /// The file begins like an esdb file, but its end is missing.
    #[error("the end of the file is missing: it was cut off, or never finished ({0})")]
    CutOff(String),
    /// The file is of a later version of the format than this library reads.
    #[error("format {found} is newer than this program reads ({supported})")]
    NewerVersion {
        /// The version in the file.
        found: u16,
        /// The newest version that is understood.
        supported: u16,
    },
    /// The file needs features that this library does not know.
    #[error("the file needs features that this program does not know (required flags {0:#010x})")]
    UnknownFeature(u32),
    /// The file was written by the Go library of 2014.
    #[error("this is {0} of the 2014 Go library, not a file of this format; esdb convert brings it over")]
    Legacy(LegacyKind),
    /// The file is something else.
    #[error("not an esdb file{0}")]
    Foreign(String),
    /// No event of a damaged file can be saved.
    #[error("nothing can be recovered: no event block is whole")]
    NothingWhole,
    /// A caller's argument is out of range, or an option does not fit.
    #[error("{0}")]
    Invalid(String),
    /// The operating system failed.
    #[error("{context}: {source}")]
    Io {
        /// What was being done.
        context: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// The groups of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file is damaged or cut off.
    Corrupt,
    /// The file is newer than this library, or needs features it does not know.
    Unsupported,
    /// The file is not of this format.
    Foreign,
    /// A caller's argument was refused.
    Invalid,
    /// The operating system failed.
    Io,
}

impl Error {
    /// The group this error belongs to.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt(_) | Self::CutOff(_) | Self::NothingWhole => ErrorKind::Corrupt,
            Self::NewerVersion { .. } | Self::UnknownFeature(_) => ErrorKind::Unsupported,
            Self::Legacy(_) | Self::Foreign(_) => ErrorKind::Foreign,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Io { .. } => ErrorKind::Io,
        }
    }

    /// The damage, if that is what this is.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Corrupt(problem) => Some(problem),
            _ => None,
        }
    }

    pub(crate) fn io(context: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let context = context.into();
        move |source| Self::Io { context, source }
    }

    pub(crate) fn corrupt(
        section: Section,
        offset: u64,
        rule: &'static str,
        reason: impl Into<String>,
    ) -> Self {
        Self::Corrupt(Box::new(Problem { section, offset, rule, reason: reason.into() }))
    }
}

/// One damaged place: which part of the file, at which byte, and which rule of the spec is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The part of the file.
    pub section: Section,
    /// Where in the file, in bytes from its start.
    pub offset: u64,
    /// The id of the rule in `spec/format.md`, such as `B4`.
    pub rule: &'static str,
    /// What was expected and what was found.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {} [{}]", self.section, self.offset, self.reason, self.rule)
    }
}

/// The parts of a file, as the spec names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Section {
    /// Spec §3.2.
    Header,
    /// Spec §3.3.
    Dictionary,
    /// Spec §5.
    Block,
    /// Spec §5.3.
    Frame,
    /// Spec §6.5.
    TimeOrder,
    /// Spec §6.4: posting lists.
    Postings,
    /// Spec §6.4: values of an index name.
    Values,
    /// Spec §6.4: index names.
    Names,
    /// Spec §6.2.
    Spaces,
    /// Spec §6.3.
    Groupings,
    /// Spec §6.1.
    Blocks,
    /// Spec §7.
    Facts,
    /// Spec §7: a section this library does not know.
    Extra,
    /// Spec §3.4.
    Footer,
    /// The file as a whole.
    File,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Dictionary => "dictionary",
            Self::Block => "event block",
            Self::Frame => "payload frame",
            Self::TimeOrder => "time order",
            Self::Postings => "posting list",
            Self::Values => "index values",
            Self::Names => "index names",
            Self::Spaces => "spaces table",
            Self::Groupings => "groupings table",
            Self::Blocks => "blocks table",
            Self::Facts => "facts",
            Self::Extra => "extra section",
            Self::Footer => "footer",
            Self::File => "file",
        })
    }
}
