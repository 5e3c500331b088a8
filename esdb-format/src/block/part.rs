//! Some neighbouring rows of a block: their timestamps, and where their data lies (spec §5.2, areas 3 to 5).

use std::ops::Range;
use std::sync::Arc;

use crate::codecs::FrameAt;

use super::payload::FrameTable;

/// The rows of whole payload frames that follow one another.
#[derive(Clone)]
pub(crate) struct Part {
    first_row: usize,
    times: Arc<Vec<i64>>,
    /// For each row, where its data begins among the uncompressed data of all; one more for the end.
    starts: Arc<Vec<u32>>,
}

impl Part {
    pub(super) fn new(first_row: usize, times: Arc<Vec<i64>>, starts: Arc<Vec<u32>>) -> Self {
        Self { first_row, times, starts }
    }

    pub(crate) fn rows(&self) -> Range<usize> {
        self.first_row..self.first_row.saturating_add(self.times.len())
    }

    /// The timestamp of a row.
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "who asks knows that the row is in this part"
    )]
    pub(crate) fn time(&self, row: usize) -> i64 {
        self.times[row - self.first_row]
    }

    /// A frame of `table` whose rows are among these.
    pub(crate) fn frame(&self, table: &FrameTable, frame: usize) -> FrameAt {
        let rows = table.rows(frame);
        table.frame(frame, self.start(rows.end).saturating_sub(self.start(rows.start)) as usize)
    }

    /// Where the data of a row begins among that of all rows.
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "who asks knows that the row is in this part"
    )]
    pub(crate) fn start(&self, row: usize) -> u32 {
        self.starts[row - self.first_row]
    }

    /// Where the data of a row lies in an uncompressed frame that begins at `frame_start` among the data of all rows.
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "who asks knows that the row is in this part"
    )]
    pub(crate) fn range_from(&self, frame_start: u32, row: usize) -> Range<usize> {
        let starts = &self.starts[row - self.first_row..][..2];
        let place = |start: u32| start.wrapping_sub(frame_start) as usize;
        place(starts[0])..place(starts[1])
    }

    /// Where the data of a row lies in its uncompressed frame.
    pub(crate) fn range_in(&self, table: &FrameTable, frame: usize, row: usize) -> Range<usize> {
        self.range_from(self.start(table.rows(frame).start), row)
    }

    /// All uncompressed data of these rows, in bytes.
    pub(crate) fn data_len(&self) -> usize {
        self.starts.last().map_or(0, |&end| end as usize)
    }
}
