//! Which rows of a block belong to which space and grouping (spec §5.2, areas 1 and 2).

use crate::codec::Decoder;
use crate::error::{Error, Result, Section};
use crate::packed::decode_column;
use crate::strings::Strings;

/// Which rows belong to which grouping, which groupings to which space.
pub(super) struct Runs {
    pub(super) spaces: Strings,
    /// For each space, the number behind its last grouping.
    pub(super) space_ends: Vec<u32>,
    pub(super) groupings: Strings,
    /// For each grouping run, the row behind its last one.
    pub(super) grouping_ends: Vec<u32>,
}

impl Runs {
    pub(super) fn decode(
        mut keys: Decoder<'_>,
        mut runs: Decoder<'_>,
        space_count: usize,
        grouping_count: usize,
        rows: usize,
    ) -> Result<Self> {
        let mut spaces = Strings::default();
        for place in 0..space_count {
            spaces.decode(&mut keys, place == 0)?;
            if place > 0 && spaces.get(place - 1) >= spaces.get(place) {
                return Err(keys.corrupt("B5", "spaces do not ascend"));
            }
        }
        let mut groupings = Strings::default();
        for place in 0..grouping_count {
            groupings.decode(&mut keys, place == 0)?;
        }
        keys.finish("B4")?;
        let space_ends = decode_ends(&mut runs, space_count, grouping_count)?;
        let grouping_ends = decode_ends(&mut runs, grouping_count, rows)?;
        runs.finish("B4")?;
        let mut start = 0;
        for &end in &space_ends {
            for place in start + 1..end as usize {
                if groupings.get(place - 1) >= groupings.get(place) {
                    return Err(keys.corrupt("B5", "groupings do not ascend"));
                }
            }
            start = end as usize;
        }
        Ok(Self { spaces, space_ends, groupings, grouping_ends })
    }

    pub(super) fn memory(&self) -> usize {
        self.spaces.memory()
            + self.groupings.memory()
            + 4 * (self.space_ends.len() + self.grouping_ends.len())
    }
}

/// Decodes `count` lengths, less one each, which must add up to `total`; returns the running sums.
pub(super) fn decode_ends(decoder: &mut Decoder<'_>, count: usize, total: usize) -> Result<Vec<u32>> {
    let mut ends = Vec::with_capacity(count);
    let mut sum = 0_u64;
    let offset = decoder.offset();
    let wrong = || Error::corrupt(Section::Block, offset, "B6", format!("runs do not add up to {total}"));
    decode_column(decoder, count, |frame| {
        for &less_one in frame {
            sum = sum.saturating_add(less_one).saturating_add(1);
            if sum > total as u64 {
                return Err(wrong());
            }
            ends.push(sum as u32);
        }
        Ok(())
    })?;
    if sum != total as u64 {
        return Err(wrong());
    }
    Ok(ends)
}
