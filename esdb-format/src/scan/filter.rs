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
        let numbers = rows.start as u32..rows.end as u32;
        let mut selected: Vec<u32> = if self.times.is_everything() {
            numbers.collect()
        } else {
            let times = &columns.times()?[rows];
            let inside = |(row, &time)| self.times.contains(time).then_some(row);
            numbers.zip(times).filter_map(inside).collect()
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
