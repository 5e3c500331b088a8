//! Choosing rows of a block by its columns.

use std::ops::Range;

use crate::block::Columns;
use crate::error::Result;
use crate::tables::BlockEntry;

use super::Times;

/// What a row must satisfy beside its ordinal.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowFilter {
    pub(crate) times: Times,
    pub(crate) indexes: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

impl RowFilter {
    pub(crate) fn is_everything(&self) -> bool {
        self.times.is_everything() && self.indexes.is_empty()
    }

    /// Whether no row of the block can satisfy it.
    pub(crate) fn excludes(&self, block: &BlockEntry) -> bool {
        block.last < self.times.first || block.first > self.times.last
    }

    /// The rows of `rows` that satisfy it, ascending.
    pub(crate) fn select(&self, columns: &Columns, rows: Range<usize>) -> Result<Vec<u32>> {
        let mut selected: Vec<u32> = if self.times.is_everything() {
            (rows.start as u32..rows.end as u32).collect()
        } else {
            in_times(columns.times()?, rows, self.times)
        };
        for (name, values) in &self.indexes {
            if selected.is_empty() {
                break;
            }
            let Some(column) = columns.decode_index(name)? else { return Ok(Vec::new()) };
            let places: Vec<u32> = values.iter().filter_map(|value| column.place(value)).collect();
            selected.retain(|&row| column.places(row as usize).iter().any(|place| places.contains(place)));
        }
        Ok(selected)
    }
}

/// Rows that are looked at together: where none of them is wanted, nothing is done for each.
const TOGETHER: usize = 32;

/// The rows of `rows` whose timestamps lie in `wanted`, which is not empty.
fn in_times(times: &[i64], rows: Range<usize>, wanted: Times) -> Vec<u32> {
    // One comparison instead of two: what lies before the first becomes the largest.
    let span = wanted.last.wrapping_sub(wanted.first) as u64;
    let is_wanted = |time: &i64| time.wrapping_sub(wanted.first) as u64 <= span;
    let mut selected = Vec::new();
    for (together, start) in times[rows.clone()].chunks(TOGETHER).zip((rows.start as u32..).step_by(TOGETHER))
    {
        if together.iter().fold(false, |any, time| any | is_wanted(time)) {
            selected.extend((start..).zip(together).filter(|(_, time)| is_wanted(time)).map(|(row, _)| row));
        }
    }
    selected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_their_times() {
        let extremes = [i64::MIN, i64::MIN + 1, -7, -1, 0, 1, 7, i64::MAX - 1, i64::MAX];
        let times: Vec<i64> = (0..500).map(|i| extremes[i * 7 % 9].wrapping_add(i as i64 / 90)).collect();
        for (first, last) in extremes.into_iter().flat_map(|first| extremes.map(|last| (first, last))) {
            if first > last {
                continue;
            }
            for rows in [0..500, 0..0, 31..33, 7..400] {
                let wanted = Times { first, last };
                let expected: Vec<u32> =
                    rows.clone().filter(|&row| wanted.contains(times[row])).map(|row| row as u32).collect();
                assert_eq!(in_times(&times, rows, wanted), expected);
            }
        }
    }
}
