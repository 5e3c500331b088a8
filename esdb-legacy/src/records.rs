//! Records of a grouping's content: length, timestamp, data.

use std::ops::Range;

use crate::bytes::Bytes;

/// A record as its bytes say.
pub(crate) enum Record {
    Whole {
        timestamp: u32,
        data: Range<usize>,
    },
    /// Its bytes are not all there.
    Cut {
        len: u64,
    },
    /// No number that could be a length.
    Broken,
}

/// Reads the record at `at`.
pub(crate) fn record(bytes: &[u8], at: usize) -> Record {
    let mut rest = Bytes(bytes.get(at..).unwrap_or_default());
    let available = rest.0.len();
    let Some(len) = rest.uvarint() else {
        return if available < 10 { Record::Cut { len: 0 } } else { Record::Broken };
    };
    let Some(timestamp) = rest.u32() else { return Record::Cut { len } };
    if len > rest.0.len() as u64 {
        return Record::Cut { len };
    }
    let start = bytes.len() - rest.0.len();
    Record::Whole { timestamp, data: start..start + len as usize }
}

/// How many bytes of a record stand before its data.
pub(crate) fn header_len(content: &[u8], at: usize) -> Option<u64> {
    let bytes = content.get(at..)?;
    let mut rest = Bytes(bytes);
    rest.uvarint()?;
    rest.u32()?;
    Some((bytes.len() - rest.0.len()) as u64)
}
