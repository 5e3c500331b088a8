//! The events that a count is about, block by block.

use std::ops::Range;
use std::sync::Arc;

use crate::block::Columns;
use crate::error::Result;
use crate::file::OpenFile;
use crate::scan::{
    Numbers, Ordinals, RowFilter, Selection, block_entry, check_holds, end_of_block, grouping_ordinals,
    ordinals_in, rows_within, space_entry, time_numbers_in,
};
use crate::tables::{BlockEntry, RunEntry};

/// The selected events, as ordinals or as time numbers.
pub(super) enum Selected {
    Nothing,
    Ordinals(Range<u64>, RowFilter),
    Numbers(Numbers, RowFilter),
}

impl Selected {
    pub(super) fn new(file: &Arc<OpenFile>, selection: &Selection) -> Result<Self> {
        let times = selection.times;
        if times.is_empty() || file.footer.events == 0 {
            return Ok(Self::Nothing);
        }
        let indexed = !selection.indexes.is_empty();
        let everything = 0..file.footer.events;
        let in_times = RowFilter { times, indexes: Vec::new() };
        let Some(space) = &selection.space else {
            return Ok(if indexed {
                Self::Numbers(Numbers::of_indexes(file, &selection.indexes, everything)?, in_times)
            } else {
                Self::Ordinals(everything, in_times)
            });
        };
        let Some(entry) = space_entry(file, space)? else { return Ok(Self::Nothing) };
        if let Some(grouping) = &selection.grouping {
            let Some(all) = grouping_ordinals(file, &entry, grouping)? else { return Ok(Self::Nothing) };
            let filter = RowFilter { indexes: selection.indexes.clone(), ..RowFilter::default() };
            return Ok(Self::Ordinals(ordinals_in(file, &all, times)?, filter));
        }
        let range = time_numbers_in(file, &entry, times)?;
        Ok(if indexed {
            Self::Numbers(Numbers::of_indexes(file, &selection.indexes, range)?, RowFilter::default())
        } else {
            Self::in_space(range, &entry)
        })
    }

    /// The events of a space in a range of its time numbers.
    fn in_space(range: Range<u64>, entry: &RunEntry) -> Self {
        if entry.groupings == 1 || range == entry.ordinals() {
            return Self::Ordinals(range, RowFilter::default());
        }
        Self::Numbers(Numbers::Range(range), RowFilter::default())
    }

    /// Hands every block with selected events to `each`, with their rows. A block may come several times.
    pub(super) fn for_each_block(
        self,
        file: &Arc<OpenFile>,
        mut each: impl FnMut(&BlockEntry, &Columns, &[u32]) -> Result<()>,
    ) -> Result<()> {
        let mut blocks = file.blocks().cursor();
        match self {
            Self::Nothing => Ok(()),
            Self::Ordinals(range, filter) => {
                let mut next = range.start;
                while next < range.end {
                    let entry = block_entry(&mut blocks, next)?;
                    if filter.excludes(&entry) {
                        next = end_of_block(file, &mut blocks, next)?;
                        continue;
                    }
                    let columns = file.columns(&entry)?;
                    check_holds(file, &blocks, columns.head(), next)?;
                    let rows = filter.select(&columns, rows_within(columns.head(), &(next..range.end)))?;
                    next = columns.head().end_ordinal();
                    each(&entry, &columns, &rows)?;
                }
                Ok(())
            }
            Self::Numbers(mut numbers, filter) => {
                let mut ordinals = Ordinals::new(file);
                let (mut taken, mut wanted) = (Vec::new(), Vec::new());
                loop {
                    taken.clear();
                    numbers.take(WINDOW, false, &mut taken)?;
                    if taken.is_empty() {
                        return Ok(());
                    }
                    wanted.clear();
                    for &number in &taken {
                        wanted.push(ordinals.get(number)?);
                    }
                    wanted.sort_unstable();
                    let mut rest = wanted.as_slice();
                    while let Some(&ordinal) = rest.first() {
                        let entry = block_entry(&mut blocks, ordinal)?;
                        let columns = file.columns(&entry)?;
                        let head = columns.head();
                        check_holds(file, &blocks, head, ordinal)?;
                        let (here, after) =
                            rest.split_at(rest.partition_point(|&other| other < head.end_ordinal()));
                        rest = after;
                        let mut rows: Vec<u32> =
                            here.iter().map(|&ordinal| (ordinal - head.first_ordinal) as u32).collect();
                        if !filter.times.is_everything() {
                            let times = columns.times()?;
                            rows.retain(|&row| filter.times.contains(times[row as usize]));
                        }
                        each(&entry, &columns, &rows)?;
                    }
                }
            }
        }
    }
}

/// How many time numbers are looked up together.
const WINDOW: usize = 1 << 18;
