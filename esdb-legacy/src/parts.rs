//! A large grouping in parts: since records stand newest first, the last part comes first.
//!
//! One pass over the content finds where parts may begin, and whether the section is whole. One that is not is read from its
//! beginning instead, and the writer sorts its parts.

use std::ops::Range;

use esdb_format::Result;

use crate::blocks::{BLOCK, Blocks};
use crate::bytes::Bytes;
use crate::input::Input;

/// What a row takes beside its data, in bytes, with some index entries.
const ROW: u64 = 160;

/// A place between two records of different time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Border {
    /// Where the record's first block is in the file, and the one before it.
    pub(crate) block: u64,
    pub(crate) before: Option<u64>,
    /// Where the record begins in the block's content; less than its length.
    pub(crate) offset: usize,
    /// The old reader stops before it.
    pub(crate) is_hidden: bool,
}

/// Where parts of at most about `size` bytes begin, the first at the section's beginning; records of one time are not parted. `None` if the
/// section is not whole, its records are not in order of time, or have more than `max_event` bytes of data.
///
/// # Errors
///
/// I/O if the file cannot be read.
pub(crate) fn borders(
    input: &mut Input<'_>,
    section: Range<u64>,
    size: u64,
    max_event: usize,
) -> Result<Option<Vec<Border>>> {
    let mut blocks = Blocks::new(section.clone());
    let mut borders = vec![Border { block: section.start, before: None, offset: 0, is_hidden: false }];
    let mut survey =
        Survey { starts: Vec::new(), window: Vec::new(), end: 0, next: 0, last: None, part: 0, same: 0 };
    // Where the records of one time begin: a part may begin there.
    let (mut next, mut is_hidden) = (None, false);
    while let Some((block, content)) = blocks.next(input)? {
        if block.damage.is_some() || survey.end != (survey.starts.len() * BLOCK) as u64 {
            return Ok(None);
        }
        survey.starts.push(block.bytes.start);
        survey.take(content);
        while let Some((at, timestamp, len)) = survey.record() {
            let is_zeros = timestamp == 0 && len == 0;
            if survey.last.is_some_and(|last| last < timestamp) || len > max_event as u64 || is_zeros {
                return Ok(None);
            }
            if survey.last != Some(timestamp) {
                let number = (at / BLOCK as u64) as usize;
                let before = number.checked_sub(1).and_then(|before| survey.starts.get(before)).copied();
                let Some(&block) = survey.starts.get(number) else { return Ok(None) };
                let border = Border { block, before, offset: (at % BLOCK as u64) as usize, is_hidden };
                (next, survey.same) = (Some(border).filter(|_| survey.part > 0), 0);
            }
            survey.part += len + ROW;
            survey.same += len + ROW;
            if survey.part > size
                && let Some(border) = next.take()
            {
                borders.push(border);
                survey.part = survey.same;
            }
            is_hidden |= len == 0;
            survey.last = Some(timestamp);
        }
    }
    let is_whole = survey.window == [0] && survey.next + 1 == survey.end;
    Ok(is_whole.then_some(borders))
}

/// A look at the beginnings of records.
struct Survey {
    /// Where the blocks are in the file; all but the last have 4,096 bytes of content.
    starts: Vec<u64>,
    /// The end of the content so far: what may belong to the beginning of a record.
    window: Vec<u8>,
    /// How much content there was.
    end: u64,
    /// Where the next record begins in the content.
    next: u64,
    last: Option<u32>,
    /// About how much memory the records since the last border take.
    part: u64,
    /// And those with the time of the last one.
    same: u64,
}

impl Survey {
    fn take(&mut self, content: &[u8]) {
        self.end += content.len() as u64;
        let behind = self.next.saturating_sub(self.end - content.len() as u64);
        self.window
            .extend_from_slice(content.get(behind.min(content.len() as u64) as usize..).unwrap_or_default());
    }

    /// The place, timestamp and length of the next record whose beginning is there.
    fn record(&mut self) -> Option<(u64, u32, u64)> {
        let at = self.next;
        let start = self.end - self.window.len() as u64;
        let mut rest = Bytes(self.window.get(usize::try_from(at.checked_sub(start)?).ok()?..)?);
        let (before, len, timestamp) = (rest.0.len(), rest.uvarint(), rest.u32());
        let (Some(len), Some(timestamp)) = (len, timestamp) else {
            self.window.drain(..(at - start) as usize);
            return None;
        };
        self.next = (at + (before - rest.0.len()) as u64).saturating_add(len);
        if self.next >= self.end {
            self.window.clear();
        }
        Some((at, timestamp, len))
    }
}
