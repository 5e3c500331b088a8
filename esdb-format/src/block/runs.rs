//! Which rows of a block belong to which space and grouping (spec §5.2, areas 1 and 2).

use std::ops::Range;

use crate::codec::Decoder;
use crate::error::{Error, Result, Section};
use crate::packed::decode_column;
use crate::strings::Strings;

/// Which rows belong to which grouping, which groupings to which space.
pub(crate) struct Runs {
    /// For each space, the number behind its last grouping.
    pub(super) space_ends: Vec<u32>,
    /// For each grouping run, the row behind its last one.
    pub(super) grouping_ends: Vec<u32>,
}

/// The spaces and groupings of a block, one of each run.
pub(crate) struct Keys {
    spaces: Strings,
    groupings: Strings,
}

impl Runs {
    pub(super) fn decode(
        mut area: Decoder<'_>,
        space_count: usize,
        grouping_count: usize,
        rows: usize,
    ) -> Result<Self> {
        let space_ends = decode_ends(&mut area, space_count, grouping_count)?;
        let grouping_ends = decode_ends(&mut area, grouping_count, rows)?;
        area.finish("B4")?;
        Ok(Self { space_ends, grouping_ends })
    }

    pub(super) fn memory(&self) -> usize {
        let ends = self.space_ends.capacity().saturating_add(self.grouping_ends.capacity());
        ends.saturating_mul(size_of::<u32>())
    }

    /// For each grouping run, the row behind its last one.
    pub(crate) fn grouping_ends(&self) -> &[u32] {
        &self.grouping_ends
    }

    /// For each space run, the number behind its last grouping run.
    pub(crate) fn space_ends(&self) -> &[u32] {
        &self.space_ends
    }

    /// The number of the grouping run that `row` is in.
    pub(crate) fn grouping_of(&self, row: usize) -> usize {
        run_of(&self.grouping_ends, row)
    }

    /// The number of the space run that a grouping run is in.
    pub(crate) fn space_of(&self, grouping_run: usize) -> usize {
        run_of(&self.space_ends, grouping_run)
    }

    /// The rows of a grouping run.
    #[expect(clippy::indexing_slicing, reason = "runs have their numbers from here")]
    pub(crate) fn rows_of(&self, grouping_run: usize) -> Range<usize> {
        let start = grouping_run.checked_sub(1).map_or(0, |before| self.grouping_ends[before] as usize);
        start..self.grouping_ends[grouping_run] as usize
    }
}

fn run_of(ends: &[u32], place: usize) -> usize {
    match ends {
        [_] => 0,
        ends => ends.partition_point(|&end| end as usize <= place),
    }
}

impl Keys {
    pub(super) fn decode(mut area: Decoder<'_>, runs: &Runs) -> Result<Self> {
        let (mut spaces, mut groupings) = (Strings::default(), Strings::default());
        spaces.decode_list(&mut area, runs.space_ends.len(), ("B5", "spaces do not ascend"), |_| true)?;
        let mut firsts = runs.space_ends.iter().map(|&end| end as usize).peekable();
        let is_of_the_same_space = |place| firsts.next_if_eq(&place).is_none();
        let broken = ("B5", "groupings do not ascend");
        groupings.decode_list(&mut area, runs.grouping_ends.len(), broken, is_of_the_same_space)?;
        area.finish("B4")?;
        spaces.shrink();
        groupings.shrink();
        Ok(Self { spaces, groupings })
    }

    /// Bytes of memory in use.
    pub(crate) fn memory(&self) -> usize {
        self.spaces.memory().saturating_add(self.groupings.memory()).saturating_add(size_of::<Self>())
    }

    pub(crate) fn space(&self, space_run: usize) -> &[u8] {
        self.spaces.get(space_run)
    }

    pub(crate) fn grouping(&self, grouping_run: usize) -> &[u8] {
        self.groupings.get(grouping_run)
    }

    /// Space and grouping of a row.
    pub(crate) fn of_row(&self, row: usize, runs: &Runs) -> (&[u8], &[u8]) {
        self.of_run(runs.grouping_of(row), runs)
    }

    /// Space and grouping of a grouping run.
    pub(crate) fn of_run(&self, grouping_run: usize, runs: &Runs) -> (&[u8], &[u8]) {
        (self.space(runs.space_of(grouping_run)), self.grouping(grouping_run))
    }
}

/// Decodes `count` lengths, less one each, which must add up to `total`; returns the running sums.
pub(super) fn decode_ends(decoder: &mut Decoder<'_>, count: usize, total: usize) -> Result<Vec<u32>> {
    let mut ends = Vec::with_capacity(count);
    let mut sum = 0_u64;
    let offset = decoder.offset();
    let wrong = || Error::corrupt(Section::Block, offset, "B6", format!("runs do not add up to {total}"));
    decode_column(decoder, count, |frame| {
        // No sum of a frame overflows if no value exceeds the total.
        if frame.iter().fold(0, |all, less_one| all | less_one) > total.next_power_of_two() as u64 {
            return Err(wrong());
        }
        ends.extend(frame.iter().map(|less_one| {
            sum = sum.wrapping_add(less_one.wrapping_add(1));
            sum as u32
        }));
        if sum > total as u64 { Err(wrong()) } else { Ok(()) }
    })?;
    if sum != total as u64 {
        return Err(wrong());
    }
    Ok(ends)
}
