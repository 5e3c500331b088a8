//! Where the payload of a block lies: lengths and frames (spec §5.2, areas 4 and 5; §5.3).

use std::ops::Range;

use crate::codec::Decoder;
use crate::codecs::FrameAt;
use crate::error::{Error, Result};
use crate::limits;
use crate::packed::{Marks, decode_column};

use super::head::Head;
use super::runs::decode_ends;

/// The payload frames of a block: where they are stored, and which rows they hold.
pub(crate) struct FrameTable {
    /// For each frame, the row behind its last one.
    ends: Vec<u32>,
    stored: Vec<Stored>,
}

#[derive(Clone, Copy)]
struct Stored {
    offset: u64,
    len: usize,
    checksum: u32,
}

impl FrameTable {
    pub(super) fn decode(mut area: Decoder<'_>, head: &Head, count: usize) -> Result<Self> {
        let ends = decode_ends(&mut area, count, head.count as usize)?;
        let mut lens = Vec::with_capacity(count);
        decode_column(&mut area, count, |frame| {
            lens.extend_from_slice(frame);
            Ok(())
        })?;
        let (mut offset, mut left) = (head.payload_offset(), head.payload_len);
        let mut stored = Vec::with_capacity(count);
        for &len in &lens {
            if len > left {
                return Err(area.corrupt("B7", format!("frame of {len} bytes, {left} are left")));
            }
            stored.push(Stored { offset, len: len as usize, checksum: area.u32("B4")? });
            offset = offset.saturating_add(len);
            left = left.saturating_sub(len);
        }
        if left > 0 {
            return Err(area.corrupt("B7", format!("{left} bytes behind the last frame")));
        }
        area.finish("B4")?;
        Ok(Self { ends, stored })
    }

    /// Bytes of memory that a table of `frames` takes.
    pub(super) fn memory(frames: usize) -> usize {
        let one = size_of::<u32>().saturating_add(size_of::<Stored>());
        frames.saturating_mul(one).saturating_add(size_of::<Self>())
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of the frame that holds `row`.
    pub(crate) fn of_row(&self, row: usize) -> usize {
        // Usual frames hold equally many events: the place among them is known, and one look shows whether it is right.
        let first = self.ends.first().map_or(1, |&end| end as usize);
        let guess = row.checked_div(first).unwrap_or(0);
        let end =
            |frame: Option<usize>| frame.and_then(|frame| self.ends.get(frame)).map(|&end| end as usize);
        let starts_here = end(guess.checked_sub(1)).is_none_or(|end| end <= row);
        if starts_here && end(Some(guess)).is_some_and(|end| row < end) {
            return guess;
        }
        self.ends.partition_point(|&end| end as usize <= row)
    }

    /// The rows of a frame.
    #[expect(clippy::indexing_slicing, reason = "frames have their numbers from this table")]
    pub(crate) fn rows(&self, frame: usize) -> Range<usize> {
        let start = frame.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        start..self.ends[frame] as usize
    }

    /// The rows of all frames that hold some of `rows`, of which there is at least one.
    pub(crate) fn widen(&self, rows: &Range<usize>) -> Range<usize> {
        self.rows(self.of_row(rows.start)).start..self.rows(self.of_row(rows.end.saturating_sub(1))).end
    }

    /// A frame whose rows have `data_len` bytes.
    #[expect(clippy::indexing_slicing, reason = "frames have their numbers from this table")]
    pub(super) fn frame(&self, frame: usize, data_len: usize) -> FrameAt {
        let Stored { offset, len, checksum } = self.stored[frame];
        FrameAt { offset, len, checksum, data_len }
    }
}

/// Where the data of some rows begins, counted from the first of them; one more for the end.
pub(super) fn decode_starts(lengths: Decoder<'_>, marks: &Marks, rows: Range<usize>) -> Result<Vec<u32>> {
    let here = lengths.clone();
    let lens = marks.decode(lengths, rows)?;
    // No sum overflows if no value exceeds the limit: there are few.
    if lens.iter().fold(0, |all, len| all | len) > limits::DATA as u64 {
        return Err(too_long(&here));
    }
    let mut starts = Vec::with_capacity(lens.len().saturating_add(1));
    let mut end = 0_u64;
    starts.push(0);
    starts.extend(lens.iter().map(|&len| {
        end = end.wrapping_add(len);
        end as u32
    }));
    if end > (limits::DATA + limits::BLOCK_DATA) as u64 { Err(too_long(&here)) } else { Ok(starts) }
}

fn too_long(lengths: &Decoder<'_>) -> Error {
    lengths.corrupt("L1", "events of a block are too long")
}
