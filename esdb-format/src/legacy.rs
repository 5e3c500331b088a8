//! Recognising files of the Go library of 2014, so that they are refused by name; the crate `esdb-legacy` reads them.

use std::fmt;

use crate::error::{Result, Section};
use crate::source::{Source, read};

/// Ends the table that stands before a file's last 8 bytes.
const TABLE_MAGIC: [u8; 8] = [0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB];

/// Begins a stream.
const STREAM_HEADER: &[u8] = b"ESDBstream";

/// Ends a stream that was closed.
const STREAM_FOOTER: &[u8] = b"closedESDBstream";

/// What the Go library of 2014 wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyKind {
    /// Events of spaces, groupings and indexes, by time: `.esdb`.
    Archive,
    /// A log of records: the package `stream`.
    Stream,
}

impl LegacyKind {
    /// What a file is, by its first and last bytes; `None` if they are not that library's.
    ///
    /// # Errors
    ///
    /// I/O if it cannot be read.
    pub fn of(source: &dyn Source) -> Result<Option<Self>> {
        let len = source.len();
        let start = read(source, 0, len.min(STREAM_HEADER.len() as u64), Section::File, "F2")?;
        let tail_len = len.min(16);
        let tail = read(source, len.saturating_sub(tail_len), tail_len, Section::File, "F2")?;
        Ok(if start == STREAM_HEADER || tail == STREAM_FOOTER {
            Some(Self::Stream)
        } else if tail.len() == 16 && tail.starts_with(&TABLE_MAGIC) {
            Some(Self::Archive)
        } else {
            None
        })
    }
}

impl fmt::Display for LegacyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Archive => "an archive",
            Self::Stream => "a stream",
        })
    }
}
