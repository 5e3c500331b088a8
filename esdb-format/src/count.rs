//! Counting events by index value, space, grouping and time, from tables, posting lists and columns alone.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use foldhash::quality::RandomState;

use crate::block::Block;
use crate::error::Result;
use crate::file::OpenFile;
use crate::scan::{
    Numbers, Ordinals, RowFilter, Scan, Selection, block_entry, block_of, check_holds, grouping_ordinals,
    ordinals_in, rows_within, space_entry, time_numbers_in,
};
use crate::tables::SpaceEntry;

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
                selected.for_each_block(&file, |_, rows| {
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
        let mut counter = Counter { by, stretch, counts: HashMap::default() };
        Selected::new(&file, &selection)?.for_each_block(&file, |block, rows| counter.add(block, rows))?;
        Ok(counter.counts.into_iter().collect())
    }
}

fn count_numbers(mut numbers: Numbers) -> Result<u64> {
    let mut count = 0;
    while numbers.next()?.is_some() {
        count += 1;
    }
    Ok(count)
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

/// The selected events, as ordinals or as time numbers.
enum Selected {
    Nothing,
    Ordinals(Range<u64>, RowFilter),
    Numbers(Numbers, RowFilter),
}

impl Selected {
    fn new(file: &Arc<OpenFile>, selection: &Selection) -> Result<Self> {
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
    fn in_space(range: Range<u64>, entry: &SpaceEntry) -> Self {
        if entry.groupings == 1 || range == entry.ordinals() {
            return Self::Ordinals(range, RowFilter::default());
        }
        Self::Numbers(Numbers::Range(range), RowFilter::default())
    }

    /// Hands every block with selected events to `each`, with their rows. A block may come several times.
    fn for_each_block(
        self,
        file: &Arc<OpenFile>,
        mut each: impl FnMut(&Block, &[u32]) -> Result<()>,
    ) -> Result<()> {
        let mut blocks = file.blocks().cursor();
        match self {
            Self::Nothing => Ok(()),
            Self::Ordinals(range, filter) => {
                let mut next = range.start;
                while next < range.end {
                    let entry = block_entry(&mut blocks, next)?;
                    let block = file.block(&entry)?;
                    check_holds(file, &block, next)?;
                    let end = block.head().end_ordinal();
                    if !filter.excludes(&entry) {
                        let rows = filter.select(&block, rows_within(&block, &(next..range.end)))?;
                        each(&block, &rows)?;
                    }
                    next = end;
                }
                Ok(())
            }
            Self::Numbers(mut numbers, filter) => {
                let mut ordinals = Ordinals::new(file);
                loop {
                    let mut wanted = Vec::new();
                    while wanted.len() < WINDOW {
                        let Some(number) = numbers.next()? else { break };
                        wanted.push(ordinals.get(number)?);
                    }
                    let last = wanted.len() < WINDOW;
                    wanted.sort_unstable();
                    let mut rest = wanted.as_slice();
                    while let Some(&ordinal) = rest.first() {
                        let block = block_of(file, &mut blocks, ordinal)?;
                        let head = *block.head();
                        let (here, after) =
                            rest.split_at(rest.partition_point(|&other| other < head.end_ordinal()));
                        rest = after;
                        let mut rows: Vec<u32> =
                            here.iter().map(|&ordinal| (ordinal - head.first_ordinal) as u32).collect();
                        if !filter.times.is_everything() {
                            let times = block.times()?;
                            rows.retain(|&row| filter.times.contains(times[row as usize]));
                        }
                        each(&block, &rows)?;
                    }
                    if last {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// How many time numbers are looked up together.
const WINDOW: usize = 1 << 18;

struct Counter<'a> {
    by: &'a [CountBy],
    stretch: Stretch<'a>,
    counts: HashMap<CountKey, u64, RandomState>,
}

impl Counter<'_> {
    /// Counts rows of a block: first by small numbers, then, once for each combination, by keys.
    fn add(&mut self, block: &Block, rows: &[u32]) -> Result<()> {
        let mut parts = Vec::with_capacity(self.by.len());
        for by in self.by {
            parts.push(self.part(block, by, rows)?);
        }
        let mut local: HashMap<Vec<u32>, u64, RandomState> = HashMap::default();
        let mut last: Option<(Vec<u32>, u64)> = None;
        let mut codes = Vec::new();
        for &row in rows {
            combine(&parts, row, &mut codes, 0, &mut |codes| match &mut last {
                Some((same, count)) if same == codes => *count += 1,
                _ => {
                    if let Some((codes, count)) = last.replace((codes.to_vec(), 1)) {
                        *local.entry(codes).or_default() += count;
                    }
                }
            });
        }
        if let Some((codes, count)) = last {
            *local.entry(codes).or_default() += count;
        }
        for (codes, count) in local {
            let key =
                parts.iter().zip(codes).map(|(part, code)| part.key(block, code)).collect::<Result<_>>()?;
            *self.counts.entry(key).or_default() += count;
        }
        Ok(())
    }

    fn part<'b>(&self, block: &'b Block, by: &CountBy, rows: &[u32]) -> Result<Part<'b>> {
        Ok(match by {
            CountBy::Space => Part::Space(block),
            CountBy::Grouping => Part::Grouping(block),
            CountBy::Index(name) => {
                let indexes = block.indexes()?;
                Part::Index(indexes.column(name).map(|column| (&indexes.columns()[column], column)))
            }
            CountBy::Time => {
                let times = block.times()?;
                let (mut stretches, mut codes): (Vec<(i64, i64)>, _) = (Vec::new(), vec![0; block.rows()]);
                let mut numbers: HashMap<i64, u32, RandomState> = HashMap::default();
                let mut current = 0;
                for &row in rows {
                    let time = times[row as usize];
                    let inside = |&(first, last): &(i64, i64)| (first..=last).contains(&time);
                    if !stretches.get(current).is_some_and(inside) {
                        current = match stretches.iter().take(64).position(inside) {
                            Some(known) => known,
                            None => {
                                let stretch = (self.stretch)(time);
                                let number = *numbers.entry(stretch.0).or_insert(stretches.len() as u32);
                                if number as usize == stretches.len() {
                                    stretches.push(stretch);
                                }
                                number as usize
                            }
                        };
                    }
                    codes[row as usize] = current as u32;
                }
                Part::Time { starts: stretches.into_iter().map(|(first, _)| first).collect(), codes }
            }
        })
    }
}

/// Calls `each` with every combination of the codes that a row has in the parts.
fn combine(parts: &[Part<'_>], row: u32, codes: &mut Vec<u32>, at: usize, each: &mut impl FnMut(&[u32])) {
    let Some(part) = parts.get(at) else {
        each(codes);
        return;
    };
    let mut with = |code: u32| {
        codes.push(code);
        combine(parts, row, codes, at + 1, each);
        codes.pop();
    };
    match part {
        Part::Space(block) => with(block.space_run(block.grouping_run(row as usize)) as u32),
        Part::Grouping(block) => with(block.grouping_run(row as usize) as u32),
        Part::Index(None) => {}
        Part::Index(Some((column, _))) => column.places(row as usize).iter().for_each(|&place| with(place)),
        Part::Time { codes, .. } => with(codes[row as usize]),
    }
}

/// One of the things counted by, in one block.
enum Part<'a> {
    Space(&'a Block),
    Grouping(&'a Block),
    Index(Option<(&'a crate::block::IndexColumn, usize)>),
    Time { starts: Vec<i64>, codes: Vec<u32> },
}

impl Part<'_> {
    fn key(&self, block: &Block, code: u32) -> Result<KeyPart> {
        Ok(match self {
            Self::Space(_) => KeyPart::Bytes(block.space(code as usize).to_vec()),
            Self::Grouping(_) => KeyPart::Bytes(block.grouping(code as usize).to_vec()),
            Self::Index(column) => {
                let column = column.map_or(0, |(_, column)| column);
                let value = block.indexes()?.values(column).nth(code as usize);
                KeyPart::Bytes(value.unwrap_or_default().to_vec())
            }
            Self::Time { starts, .. } => KeyPart::Time(starts[code as usize]),
        })
    }
}
