//! What follows from the events: time order, posting lists, spaces and groupings (spec §6). The writer stores it, and
//! `verify` compares it with what is stored.

pub(crate) mod index_lists;
mod spills;
pub(crate) mod spool;
mod time_sort;

use crate::codec::key64;
use crate::error::Result;
use crate::limits;
use crate::storage::SpillFolder;
use crate::tables::{Extent, RunEntry, grouping_key};
use crate::time_order::{self, Place};

use index_lists::IndexLists;
use spool::Spool;
use time_sort::TimeSort;

/// Collects tables and posting lists while events pass by in file order.
pub(crate) struct Deriver {
    pub(crate) events: u64,
    pub(crate) extent: Option<Extent>,
    pub(crate) space_count: u64,
    pub(crate) grouping_count: u64,
    pub(crate) lists: IndexLists,
    space: Option<OpenSpace>,
    time_sort: TimeSort,
    tables: Tables,
}

/// Entries of tables, in key order.
pub(crate) struct Tables {
    pub(crate) time_order: Spool,
    pub(crate) spaces: Spool,
    pub(crate) groupings: Spool,
}

/// The space whose events are passing by.
struct OpenSpace {
    key: Vec<u8>,
    first_ordinal: u64,
    extent: Extent,
    groupings: u64,
    grouping: OpenGrouping,
}

struct OpenGrouping {
    key: Vec<u8>,
    first_ordinal: u64,
    extent: Extent,
}

impl Deriver {
    /// Takes at most about `memory` bytes; spills to `folder`.
    pub(crate) fn new(memory: usize, folder: &SpillFolder) -> Self {
        let spool = || Spool::new(folder, memory / 16);
        Self {
            events: 0,
            extent: None,
            space_count: 0,
            grouping_count: 0,
            lists: IndexLists::new(folder, memory / 8 * 3),
            space: None,
            time_sort: TimeSort::new(folder, memory / 8 * 3),
            tables: Tables { time_order: spool(), spaces: spool(), groupings: spool() },
        }
    }

    /// Notes space and grouping of the next events, and what they come to. They follow with [`add`](Self::add).
    ///
    /// The numbers of pairs that [`lists`](Self::lists) gave out may be void afterwards; its generation tells.
    pub(crate) fn enter(&mut self, space: &[u8], grouping: &[u8], extent: Extent) -> Result<()> {
        extent.join_into(&mut self.extent);
        if self.space.as_ref().is_some_and(|open| open.key != space) {
            self.close_space()?;
        }
        let first_ordinal = self.events;
        let opened = |key: &[u8]| OpenGrouping { key: key.to_vec(), first_ordinal, extent };
        let Some(open) = &mut self.space else {
            let (key, grouping) = (space.to_vec(), opened(grouping));
            self.space = Some(OpenSpace { key, first_ordinal, extent, groupings: 1, grouping });
            return Ok(());
        };
        open.extent.join(extent);
        if open.grouping.key == grouping {
            open.grouping.extent.join(extent);
            return Ok(());
        }
        let finished = std::mem::replace(&mut open.grouping, opened(grouping));
        open.groupings += 1;
        finished.spool(open.first_ordinal, &mut self.tables.groupings)
    }

    /// Adds the next one of the events that were entered, with the numbers of its pairs.
    pub(crate) fn add(&mut self, timestamp: i64, pairs: &[u32]) -> Result<()> {
        let run = self.space.as_ref().map_or(0, |space| space.grouping.first_ordinal);
        let place = Place { ordinal: self.events, run };
        self.events += 1;
        self.time_sort.push(place, timestamp, pairs, &self.lists)
    }

    /// Writes out posting lists that have outgrown their share of memory; all numbers of pairs are void then.
    pub(crate) fn relieve(&mut self) -> Result<()> {
        if self.lists.is_over_limit() {
            self.time_sort.spill(&self.lists)?;
            self.lists.spill()?;
        }
        Ok(())
    }

    fn close_space(&mut self) -> Result<()> {
        let Some(space) = self.space.take() else { return Ok(()) };
        self.space_count += 1;
        self.grouping_count += space.groupings;
        let one_grouping = space.groupings == 1;
        let mut time_frame = TimeFrameWriter::new(&mut self.tables.time_order);
        let mut time_number = space.first_ordinal;
        self.time_sort.finish(one_grouping, &mut self.lists, |timed, lists| {
            for &pair in timed.pairs {
                lists.push(pair, time_number, timed.timestamp);
            }
            if !one_grouping {
                time_frame.add(time_number, timed.place, timed.timestamp)?;
            }
            time_number += 1;
            Ok(())
        })?;
        time_frame.close()?;

        let only_grouping = if one_grouping {
            Some(space.grouping.key)
        } else {
            space.grouping.spool(space.first_ordinal, &mut self.tables.groupings)?;
            None
        };
        let mut value = Vec::new();
        let (first_ordinal, extent, groupings) = (space.first_ordinal, space.extent, space.groupings);
        RunEntry { first_ordinal, extent, groupings, only_grouping }.encode(&mut value);
        self.tables.spaces.put_entry(&space.key, &value)
    }

    /// Ends the last space: counts and extent are complete.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.close_space()
    }

    /// The tables and the posting lists of all events.
    pub(crate) fn into_tables(self) -> (Tables, IndexLists) {
        (self.tables, self.lists)
    }
}

impl OpenGrouping {
    /// Enters the finished grouping of a space that has several.
    fn spool(&self, space_ordinal: u64, spool: &mut Spool) -> Result<()> {
        let (first_ordinal, extent) = (self.first_ordinal, self.extent);
        let mut value = Vec::new();
        RunEntry { first_ordinal, extent, groupings: 1, only_grouping: None }.encode(&mut value);
        spool.put_entry(&grouping_key(space_ordinal, &self.key), &value)
    }
}

/// Cuts the time order of a space into frames.
struct TimeFrameWriter<'a> {
    spool: &'a mut Spool,
    first: u64,
    timestamp: i64,
    places: Vec<Place>,
}

impl<'a> TimeFrameWriter<'a> {
    fn new(spool: &'a mut Spool) -> Self {
        Self { spool, first: 0, timestamp: 0, places: Vec::with_capacity(limits::TIME_FRAME) }
    }

    fn add(&mut self, time_number: u64, place: Place, timestamp: i64) -> Result<()> {
        if self.places.len() == limits::TIME_FRAME {
            self.close()?;
        }
        if self.places.is_empty() {
            (self.first, self.timestamp) = (time_number, timestamp);
        }
        self.places.push(place);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if self.places.is_empty() {
            return Ok(());
        }
        let mut value = Vec::new();
        time_order::encode(&self.places, self.timestamp, &mut value);
        self.places.clear();
        self.spool.put_entry(&key64(self.first), &value)
    }
}
