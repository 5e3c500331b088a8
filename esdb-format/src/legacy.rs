//! Recognising files of the Go library of 2014, so that they are refused by name.

use crate::error::{Result, Section};
use crate::source::{Source, read};

/// Ends the table that stands before a file's last 8 bytes.
const TABLE_MAGIC: [u8; 8] = [0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB];

/// Begins a stream.
const STREAM_HEADER: &[u8] = b"ESDBstream";

/// Whether a file, whose first bytes are `start`, was written by that library.
pub(crate) fn is_legacy(source: &dyn Source, start: &[u8]) -> Result<bool> {
    if start.starts_with(STREAM_HEADER) {
        return Ok(true);
    }
    let Some(offset) = source.len().checked_sub(16) else { return Ok(false) };
    Ok(read(source, offset, 8, Section::File, "F2")? == TABLE_MAGIC)
}
