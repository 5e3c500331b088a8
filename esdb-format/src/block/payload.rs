//! Where the payload of each row lies: lengths and frames (spec §5.2, areas 4 and 5; §5.3).

use std::ops::Range;

use crate::codec::Decoder;
use crate::codecs::FrameAt;
use crate::error::Result;
use crate::limits;
use crate::packed::decode_column;

use super::head::Head;
use super::runs::decode_ends;

/// The frames of a block, and the place of each row's data in them.
pub(crate) struct Layout {
    /// For each row, where its data begins among the uncompressed data of the whole block; one more for the end.
    starts: Vec<u32>,
    /// For each frame, the row behind its last one.
    frame_ends: Vec<u32>,
    frames: Vec<FrameAt>,
}

impl Layout {
    pub(super) fn decode(
        mut lengths: Decoder<'_>,
        mut frames: Decoder<'_>,
        head: &Head,
        frame_count: usize,
    ) -> Result<Self> {
        let rows = head.count as usize;
        let mut starts = Vec::with_capacity(rows + 1);
        starts.push(0);
        let mut total = 0_u64;
        let here = lengths.clone();
        decode_column(&mut lengths, rows, |frame| {
            let mut end = total as u32;
            // The limit is one less than a power of two: no value exceeds it unless all of them together do.
            let all_bits = frame.iter().fold(0, |all, len| all | len);
            if all_bits <= limits::DATA as u64 {
                total += frame.iter().sum::<u64>();
            }
            if all_bits > limits::DATA as u64 || total > (limits::DATA + limits::BLOCK_DATA) as u64 {
                return Err(here.corrupt("L1", "events of a block are too long"));
            }
            starts.extend(frame.iter().map(|&len| {
                end += len as u32;
                end
            }));
            Ok(())
        })?;
        lengths.finish("B4")?;

        let frame_ends = decode_ends(&mut frames, frame_count, rows)?;
        let mut stored = Vec::with_capacity(frame_count);
        decode_column(&mut frames, frame_count, |frame| {
            stored.extend_from_slice(frame);
            Ok(())
        })?;
        let mut offset = head.payload_offset();
        let mut left = head.payload_len;
        let mut places = Vec::with_capacity(frame_count);
        let mut first_row = 0;
        for (&len, &end_row) in stored.iter().zip(&frame_ends) {
            if len > left {
                return Err(frames.corrupt("B7", format!("frame of {len} bytes, {left} are left")));
            }
            let data_len = (starts[end_row as usize] - starts[first_row]) as usize;
            places.push(FrameAt { offset, len: len as usize, checksum: frames.u32("B4")?, data_len });
            offset += len;
            left -= len;
            first_row = end_row as usize;
        }
        if left > 0 {
            return Err(frames.corrupt("B7", format!("{left} bytes behind the last frame")));
        }
        frames.finish("B4")?;
        Ok(Self { starts, frame_ends, frames: places })
    }

    pub(crate) fn frames(&self) -> &[FrameAt] {
        &self.frames
    }

    /// Bytes of memory that a layout takes.
    pub(super) fn memory(rows: usize, frames: usize) -> usize {
        size_of::<Self>() + 4 * (rows + 1) + frames * (4 + size_of::<FrameAt>())
    }

    /// The number of the frame that holds `row`.
    pub(crate) fn frame_of(&self, row: usize) -> usize {
        self.frame_ends.partition_point(|&end| end as usize <= row)
    }

    /// The rows of a frame.
    pub(crate) fn frame_rows(&self, frame: usize) -> Range<usize> {
        let start = if frame == 0 { 0 } else { self.frame_ends[frame - 1] as usize };
        start..self.frame_ends[frame] as usize
    }

    /// Where the data of `row`, which is in `frame`, lies in the uncompressed frame.
    pub(crate) fn range_in(&self, frame: usize, row: usize) -> Range<usize> {
        self.range_from(self.frame_start(frame), row)
    }

    /// Where the data of a frame begins among the uncompressed data of the whole block.
    pub(crate) fn frame_start(&self, frame: usize) -> u32 {
        self.starts[self.frame_rows(frame).start]
    }

    /// Where the data of `row` lies in the uncompressed frame that begins at `frame_start`.
    #[inline]
    pub(crate) fn range_from(&self, frame_start: u32, row: usize) -> Range<usize> {
        (self.starts[row] - frame_start) as usize..(self.starts[row + 1] - frame_start) as usize
    }

    /// All uncompressed data of the block, in bytes.
    pub(crate) fn data_len(&self) -> usize {
        self.starts.last().map_or(0, |&end| end as usize)
    }
}
