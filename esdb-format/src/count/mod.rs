//! Counting events by index value, space, grouping and time, from tables, posting lists and columns alone.

mod combinations;
mod counter;
mod selected;
mod stretches;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::Result;
use crate::file::OpenFile;
use crate::scan::{Numbers, Scan, Selection};

use counter::Counter;
use selected::Selected;

/// What events are counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountBy {
    /// The values of an index. An event with two values counts for both, one without a value for none.
    Index(Vec<u8>),
    /// The space.
    Space,
    /// The grouping. Equal groupings of several spaces count together.
    Grouping,
    /// A stretch of time; see [`Scan::count_by`].
    Time,
}

/// Tells the stretch of time that a timestamp lies in, both ends included, in the file's unit.
///
/// It is asked once for each stretch, more often only if times jump about.
pub type Stretch<'a> = &'a (dyn Fn(i64) -> (i64, i64) + Sync);

/// The key of a count: one part for each thing counted by.
pub type CountKey = Vec<KeyPart>;

/// A part of a count's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPart {
    /// An index value, a space or a grouping.
    Bytes(Vec<u8>),
    /// The first timestamp of a stretch of time.
    Time(i64),
}

impl Scan {
    /// How many events the scan would give. No payload is decompressed.
    ///
    /// Cost: from tables and posting lists alone unless several index values, or a time range over all spaces, make
    /// columns necessary.
    ///
    /// # Errors
    ///
    /// Corrupt or I/O if something that is needed cannot be read; Invalid for a grouping without its space.
    pub fn total(self) -> Result<u64> {
        let (file, selection) = self.parts()?;
        match Selected::new(&file, &selection)? {
            Selected::Nothing => Ok(0),
            Selected::Ordinals(range, filter) if filter.is_everything() => Ok(range.end - range.start),
            Selected::Numbers(numbers, filter) if filter.is_everything() => match numbers.count_exactly() {
                Some(count) => Ok(count),
                None => count_numbers(numbers),
            },
            selected => {
                let mut total = 0;
                selected.for_each_block(&file, |_, _, rows| {
                    total += rows.len() as u64;
                    Ok(())
                })?;
                Ok(total)
            }
        }
    }

    /// Counts the events that the scan would give, by one thing or several. No payload is decompressed.
    ///
    /// The result is in the order of its keys, whose parts stand in the order of `by`. `stretch` is needed for
    /// [`CountBy::Time`].
    ///
    /// Cost: the columns of all selected events; the whole file by one index, by space or by grouping of one space from the tables alone.
    /// Memory: one entry for each key.
    ///
    /// # Errors
    ///
    /// Those of [`total`](Self::total).
    pub fn count_by(self, by: &[CountBy], stretch: Stretch<'_>) -> Result<BTreeMap<CountKey, u64>> {
        let (file, selection) = self.parts()?;
        if let Some(counts) = from_tables(&file, &selection, by)? {
            return Ok(counts);
        }
        let mut counter = Counter::new(&file, by, stretch);
        Selected::new(&file, &selection)?
            .for_each_block(&file, |block, columns, rows| counter.add(block, columns, rows))?;
        Ok(counter.finish())
    }
}

/// How many time numbers are counted at a time.
const COUNTED_AT_ONCE: usize = 1 << 12;

fn count_numbers(mut numbers: Numbers) -> Result<u64> {
    let (mut count, mut taken) = (0, Vec::new());
    loop {
        numbers.take(COUNTED_AT_ONCE, false, &mut taken)?;
        if taken.is_empty() {
            return Ok(count);
        }
        count += taken.len() as u64;
        taken.clear();
    }
}

/// Counts that stand in a table already.
fn from_tables(
    file: &Arc<OpenFile>,
    selection: &Selection,
    by: &[CountBy],
) -> Result<Option<BTreeMap<CountKey, u64>>> {
    if !selection.indexes.is_empty() || !selection.times.is_everything() || selection.grouping.is_some() {
        return Ok(None);
    }
    let reader = crate::Reader { file: Arc::clone(file) };
    let listed =
        |item: Result<crate::Listed>| item.map(|item| (vec![KeyPart::Bytes(item.key)], item.extent.count));
    match (by, &selection.space) {
        ([CountBy::Index(name)], None) => {
            reader.index_values(name)?.map(listed).collect::<Result<_>>().map(Some)
        }
        ([CountBy::Index(name)], Some(space)) => {
            reader.index_values_in(name, space)?.map(listed).collect::<Result<_>>().map(Some)
        }
        ([CountBy::Grouping], Some(space)) => {
            reader.groupings(space)?.map(listed).collect::<Result<_>>().map(Some)
        }
        ([CountBy::Space], None) => reader
            .spaces()
            .map(|item| item.map(|item| (vec![KeyPart::Bytes(item.key)], item.extent.count)))
            .collect::<Result<_>>()
            .map(Some),
        _ => Ok(None),
    }
}
