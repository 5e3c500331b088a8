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

/// The rows of `rows` whose timestamps lie in `wanted`. Without a branch for each row: which of them are wanted is hard to foresee.
fn in_times(times: &[i64], rows: Range<usize>, wanted: Times) -> Vec<u32> {
    let (mut selected, mut count) = (vec![0; rows.len()], 0);
    for (row, &time) in (rows.start as u32..).zip(&times[rows]) {
        selected[count] = row;
        count += usize::from(wanted.contains(time));
    }
    selected.truncate(count);
    selected
}
