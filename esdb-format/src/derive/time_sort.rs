//! Bringing the events of one space from file order into time order, in bounded memory.

use std::cmp::Ordering;

use super::index_lists::IndexLists;
use super::spills::{Record, Spills};
use super::spool::{Spool, SpoolReader};
use crate::error::Result;
use crate::packed::bits;
use crate::storage::SpillFolder;
use crate::time_order::Place;

/// Numbers of rows and pairs in memory must fit 32 bits, in bytes.
const MOST: usize = 4 << 30;

/// The events of the current space, as far as the time order and the index need them.
pub(crate) struct TimeSort {
    rows: Vec<Row>,
    /// The ordinals of the first events of the groupings that the rows are of.
    runs: Vec<u64>,
    /// The pairs of all rows, one row after another.
    pairs: Vec<u32>,
    /// The ordinal of the first row in memory.
    first_ordinal: u64,
    limit: usize,
    spilled: Spills,
    folder: SpillFolder,
}

/// How many rows are fetched side by side.
const AHEAD: usize = 32;

struct Row {
    timestamp: i64,
    /// The place of the row's grouping in `runs`.
    run: u32,
    pairs_end: u32,
}

/// An event in time order.
pub(crate) struct Timed<'a> {
    pub(crate) place: Place,
    pub(crate) timestamp: i64,
    pub(crate) pairs: &'a [u32],
}

impl TimeSort {
    pub(crate) fn new(folder: &SpillFolder, limit: usize) -> Self {
        Self {
            rows: Vec::new(),
            runs: Vec::new(),
            pairs: Vec::new(),
            first_ordinal: 0,
            limit,
            spilled: Spills::default(),
            folder: folder.clone(),
        }
    }

    /// Adds the next event in file order.
    pub(crate) fn push(
        &mut self,
        place: Place,
        timestamp: i64,
        pairs: &[u32],
        lists: &IndexLists,
    ) -> Result<()> {
        if self.rows.is_empty() {
            self.first_ordinal = place.ordinal;
        }
        if self.runs.last() != Some(&place.run) {
            self.runs.push(place.run);
        }
        self.pairs.extend_from_slice(pairs);
        let (run, pairs_end) = (self.runs.len() as u32 - 1, self.pairs.len() as u32);
        self.rows.push(Row { timestamp, run, pairs_end });
        // Beside the rows themselves: what is sorted.
        let rows = self.rows.len() * (size_of::<Row>() + 8);
        if rows + 8 * self.runs.len() + 4 * self.pairs.len() > self.limit.min(MOST) {
            self.spill(lists)?;
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.runs.clear();
        self.pairs.clear();
    }

    fn pairs_of(&self, row: usize) -> &[u32] {
        let start = if row == 0 { 0 } else { self.rows[row - 1].pairs_end };
        &self.pairs[start as usize..self.rows[row].pairs_end as usize]
    }

    /// The places of the rows in time order; among equal times file order decides.
    fn sorted_rows(&self) -> Vec<u64> {
        let place_bits = bits(self.rows.len() as u64);
        let timestamps = || self.rows.iter().map(|row| row.timestamp);
        let (first, last) = (timestamps().min().unwrap_or(0), timestamps().max().unwrap_or(0));
        let since_first = |timestamp: i64| timestamp.wrapping_sub(first).cast_unsigned();
        if bits(since_first(last)) + place_bits > 64 {
            let mut order: Vec<u64> = (0..self.rows.len() as u64).collect();
            order.sort_unstable_by_key(|&row| (self.rows[row as usize].timestamp, row));
            return order;
        }
        // Time and place in one number: what is compared lies side by side.
        let mut order: Vec<u64> = timestamps()
            .zip(0..)
            .map(|(timestamp, place)| since_first(timestamp) << place_bits | place)
            .collect();
        order.sort_unstable();
        let place_mask = (1 << place_bits) - 1;
        order.iter_mut().for_each(|row| *row &= place_mask);
        order
    }

    /// Reads a little of the next rows: they lie anywhere, and the processor fetches them side by side.
    fn touch<'a>(&self, rows: impl Iterator<Item = &'a u64>) {
        let pair =
            |&row: &u64| self.pairs.get(self.rows.get(row as usize)?.pairs_end.saturating_sub(1) as usize);
        std::hint::black_box(rows.filter_map(pair).fold(0, |all, pair| all ^ pair));
    }

    fn place(&self, row: usize) -> Place {
        Place { ordinal: self.first_ordinal + row as u64, run: self.runs[self.rows[row].run as usize] }
    }

    /// Writes what is in memory out.
    pub(crate) fn spill(&mut self, lists: &IndexLists) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut spool = Spool::new(&self.folder, 1 << 20);
        for row in self.sorted_rows() {
            let row = row as usize;
            let (place, pairs) = (self.place(row), self.pairs_of(row));
            let pairs = pairs.iter().map(|&pair| lists.pair(pair));
            put_row(&mut spool, self.rows[row].timestamp, place, pairs)?;
        }
        self.spilled.push::<SpilledRow>(spool)?;
        self.clear();
        Ok(())
    }

    /// Ends the space: hands its events to `each` in time order, and is empty again.
    ///
    /// With `sorted` they are in time order already: the space has one grouping.
    pub(crate) fn finish(
        &mut self,
        sorted: bool,
        lists: &mut IndexLists,
        mut each: impl FnMut(Timed<'_>, &mut IndexLists) -> Result<()>,
    ) -> Result<()> {
        if !self.spilled.is_empty() {
            return self.merge(lists, each);
        }
        let order = if sorted { Vec::new() } else { self.sorted_rows() };
        for at in 0..self.rows.len() {
            if at.is_multiple_of(AHEAD) {
                self.touch(order.iter().skip(at).take(AHEAD));
            }
            let row = order.get(at).map_or(at, |&row| row as usize);
            let timed = Timed {
                place: self.place(row),
                timestamp: self.rows[row].timestamp,
                pairs: self.pairs_of(row),
            };
            each(timed, lists)?;
        }
        self.clear();
        Ok(())
    }

    fn merge(
        &mut self,
        lists: &mut IndexLists,
        mut each: impl FnMut(Timed<'_>, &mut IndexLists) -> Result<()>,
    ) -> Result<()> {
        self.spill(lists)?;
        let mut numbers = Vec::new();
        self.spilled.drain(|row: &SpilledRow| {
            if lists.is_over_limit() {
                lists.spill()?;
            }
            numbers.clear();
            numbers.extend(row.pairs.iter().map(|(name, value)| lists.number(name, value)));
            each(Timed { place: row.place, timestamp: row.timestamp, pairs: &numbers }, lists)
        })
    }
}

/// A row whose pairs are spelled out: their numbers may be void when it is read.
#[derive(Default)]
struct SpilledRow {
    timestamp: i64,
    place: Place,
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

fn put_row<'a>(
    spool: &mut Spool,
    timestamp: i64,
    place: Place,
    pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<()> {
    spool.put_number(timestamp.cast_unsigned());
    spool.put_number(place.ordinal);
    spool.put_number(place.run);
    spool.put_number(pairs.len() as u64);
    for (name, value) in pairs {
        spool.put_bytes(name);
        spool.put_bytes(value);
    }
    spool.end_record()
}

impl Record for SpilledRow {
    fn read(&mut self, reader: &mut SpoolReader) -> Result<bool> {
        let Some(timestamp) = reader.next_number()? else { return Ok(false) };
        self.timestamp = timestamp.cast_signed();
        self.place = Place { ordinal: reader.number()?, run: reader.number()? };
        let count = reader.number()? as usize;
        self.pairs.resize_with(count, Default::default);
        for (name, value) in &mut self.pairs {
            reader.bytes(name)?;
            reader.bytes(value)?;
        }
        Ok(true)
    }

    fn write(&self, spool: &mut Spool) -> Result<()> {
        let pairs = self.pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        put_row(spool, self.timestamp, self.place, pairs)
    }

    fn order(&self, other: &Self) -> Ordering {
        (self.timestamp, self.place.ordinal).cmp(&(other.timestamp, other.place.ordinal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn among_equal_times_file_order_decides_however_wide_they_lie() {
        let lists = IndexLists::new(&SpillFolder::of_system(), 1 << 20);
        for times in [[0, 1, 2], [i64::MIN, -1, i64::MAX]] {
            let mut sort = TimeSort::new(&SpillFolder::of_system(), 1 << 20);
            let time = |row: u64| times[(row * 7 % 3) as usize];
            for row in 0..1_000 {
                sort.push(Place { ordinal: row, run: 0 }, time(row), &[], &lists).unwrap();
            }
            let mut expected: Vec<u64> = (0..1_000).collect();
            expected.sort_by_key(|&row| time(row));
            assert_eq!(sort.sorted_rows(), expected);
        }
    }
}
