//! Bringing the events of one space from file order into time order, in bounded memory.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::index_lists::IndexLists;
use crate::spool::{Spool, SpoolReader};
use crate::time_order::Place;

/// The events of the current space, as far as the time order and the index need them.
pub(crate) struct TimeSort {
    rows: Vec<Row>,
    /// The pairs of all rows, one row after another.
    pairs: Vec<u32>,
    /// The ordinal of the first row in memory.
    first_ordinal: u64,
    limit: usize,
    spilled: Vec<Spool>,
    folder: PathBuf,
}

struct Row {
    timestamp: i64,
    /// The ordinal of the first event of the row's grouping.
    run: u64,
    pairs_end: usize,
}

/// An event in time order.
pub(crate) struct Timed<'a> {
    pub(crate) place: Place,
    pub(crate) timestamp: i64,
    pub(crate) pairs: &'a [u32],
}

impl TimeSort {
    pub(crate) fn new(folder: &Path, limit: usize) -> Self {
        Self {
            rows: Vec::new(),
            pairs: Vec::new(),
            first_ordinal: 0,
            limit,
            spilled: Vec::new(),
            folder: folder.to_owned(),
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
        self.pairs.extend_from_slice(pairs);
        self.rows.push(Row { timestamp, run: place.run, pairs_end: self.pairs.len() });
        // Beside the rows themselves: their sorted order, and what sorting needs.
        if self.rows.len() * (size_of::<Row>() + 8) + 4 * self.pairs.len() > self.limit {
            self.spill(lists)?;
        }
        Ok(())
    }

    fn pairs_of(&self, row: usize) -> &[u32] {
        let start = if row == 0 { 0 } else { self.rows[row - 1].pairs_end };
        &self.pairs[start..self.rows[row].pairs_end]
    }

    fn sorted_rows(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
        // Stable: among equal times file order decides. Groupings are runs that the sort finds.
        order.sort_by_key(|&row| self.rows[row as usize].timestamp);
        order
    }

    fn place(&self, row: usize) -> Place {
        Place { ordinal: self.first_ordinal + row as u64, run: self.rows[row].run }
    }

    /// Writes what is in memory out, pairs spelled out: their numbers may be void when they are read.
    pub(crate) fn spill(&mut self, lists: &IndexLists) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut spool = Spool::new(&self.folder, 1 << 20);
        for row in self.sorted_rows() {
            let row = row as usize;
            let (place, pairs) = (self.place(row), self.pairs_of(row));
            spool.put_number(self.rows[row].timestamp.cast_unsigned());
            spool.put_number(place.ordinal);
            spool.put_number(place.run);
            spool.put_number(pairs.len() as u64);
            for &pair in pairs {
                let (name, value) = lists.pair(pair);
                spool.put_bytes(name);
                spool.put_bytes(value);
            }
            spool.end_record()?;
        }
        spool.spill()?;
        self.spilled.push(spool);
        self.rows.clear();
        self.pairs.clear();
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
            let row = order.get(at).map_or(at, |&row| row as usize);
            let timed = Timed {
                place: self.place(row),
                timestamp: self.rows[row].timestamp,
                pairs: self.pairs_of(row),
            };
            each(timed, lists)?;
        }
        self.rows.clear();
        self.pairs.clear();
        Ok(())
    }

    fn merge(
        &mut self,
        lists: &mut IndexLists,
        mut each: impl FnMut(Timed<'_>, &mut IndexLists) -> Result<()>,
    ) -> Result<()> {
        self.spill(lists)?;
        let mut sources = Vec::new();
        for spool in std::mem::take(&mut self.spilled) {
            sources.extend(SpilledRows::open(spool.into_reader()?)?);
        }
        let mut pairs = Vec::new();
        while let Some(next) = (0..sources.len()).min_by_key(|&at| {
            let source: &SpilledRows = &sources[at];
            (source.timestamp, source.place.ordinal)
        }) {
            let source = &mut sources[next];
            if lists.is_over_limit() {
                lists.spill()?;
            }
            pairs.clear();
            pairs.extend(source.pairs.iter().map(|(name, value)| lists.number(name, value)));
            each(Timed { place: source.place, timestamp: source.timestamp, pairs: &pairs }, lists)?;
            if !source.advance()? {
                sources.remove(next);
            }
        }
        Ok(())
    }
}

/// Spilled rows of one moment, at the row that comes next.
struct SpilledRows {
    reader: SpoolReader,
    timestamp: i64,
    place: Place,
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl SpilledRows {
    fn open(reader: SpoolReader) -> Result<Option<Self>> {
        let place = Place { ordinal: 0, run: 0 };
        let mut rows = Self { reader, timestamp: 0, place, pairs: Vec::new() };
        Ok(rows.advance()?.then_some(rows))
    }

    fn advance(&mut self) -> Result<bool> {
        let Some(timestamp) = self.reader.next_number()? else { return Ok(false) };
        self.timestamp = timestamp.cast_signed();
        self.place.ordinal = self.reader.number()?;
        self.place.run = self.reader.number()?;
        let count = self.reader.number()? as usize;
        self.pairs.resize_with(count, Default::default);
        for (name, value) in &mut self.pairs {
            self.reader.bytes(name)?;
            self.reader.bytes(value)?;
        }
        Ok(true)
    }
}
