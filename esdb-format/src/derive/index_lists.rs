//! Collecting posting lists while events pass by, and writing the index when they have (spec §6.4).
//!
//! Time numbers come in ascending order, so every pair's list only grows at its end. Lists beyond the memory
//! limit are written out sorted by pair; in the end the parts of a pair are read one after another.

use std::cmp::Ordering;

use super::spills::{Record, Spills};
use super::spool::{Spool, SpoolReader};
use crate::codec::{Decoder, Encode};
use crate::error::{Result, Section};
use crate::interner::Interner;
use crate::postings::ListBuilder;
use crate::storage::SpillFolder;
use crate::tables::{Extent, NameEntry, ValueEntry};
use crate::tree::{PageSink, TreeBuilder};

/// The posting lists of all pairs seen so far.
pub(crate) struct IndexLists {
    interner: Interner,
    /// By the pair's number.
    lists: Vec<Part>,
    list_bytes: usize,
    limit: usize,
    spilled: Spills,
    folder: SpillFolder,
    generation: u64,
}

/// A pair's time numbers, as varint differences; the first counts from 0.
#[derive(Default)]
struct Part {
    extent: Option<Extent>,
    last: u64,
    gaps: Vec<u8>,
}

/// What the index of a file came to.
#[derive(Default)]
pub(crate) struct IndexTotals {
    pub(crate) names: u64,
    pub(crate) values: u64,
    pub(crate) entries: u64,
}

impl IndexLists {
    pub(crate) fn new(folder: &SpillFolder, limit: usize) -> Self {
        Self {
            interner: Interner::default(),
            lists: Vec::new(),
            list_bytes: 0,
            limit,
            spilled: Spills::default(),
            folder: folder.clone(),
            generation: 0,
        }
    }

    /// Changes whenever the numbers given out before become void.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn number(&mut self, name: &[u8], value: &[u8]) -> u32 {
        self.interner.number(name, value)
    }

    pub(crate) fn pair(&self, number: u32) -> (&[u8], &[u8]) {
        self.interner.pair(number)
    }

    /// Adds an event to a pair's list. Time numbers must ascend.
    pub(crate) fn push(&mut self, pair: u32, time_number: u64, timestamp: i64) {
        let pair = pair as usize;
        if self.lists.len() <= pair {
            self.lists.resize_with(self.interner.len(), Part::default);
        }
        let part = &mut self.lists[pair];
        Extent::of(timestamp).join_into(&mut part.extent);
        let before = part.gaps.capacity();
        part.gaps.put_varint(time_number - part.last);
        part.last = time_number;
        self.list_bytes += part.gaps.capacity() - before;
    }

    /// Whether [`spill`](Self::spill) is due.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.memory() > self.limit
    }

    fn memory(&self) -> usize {
        self.interner.memory() + self.lists.capacity() * size_of::<Part>() + self.list_bytes
    }

    /// Writes all lists out and forgets the pairs: numbers given out before are void.
    pub(crate) fn spill(&mut self) -> Result<()> {
        let mut spool = Spool::new(&self.folder, 1 << 20);
        for (number, part) in self.sorted_parts() {
            let Some(extent) = part.extent else { continue };
            let (name, value) = self.interner.pair(number);
            let whole = ListPart { extent, before: 0, gaps: &part.gaps };
            whole.cut(|piece| put_piece(&mut spool, name, value, piece))?;
        }
        self.spilled.push::<SpilledPart>(spool)?;
        self.interner = Interner::default();
        self.lists = Vec::new();
        self.list_bytes = 0;
        self.generation += 1;
        Ok(())
    }

    /// The parts in memory, ascending by pair.
    fn sorted_parts(&self) -> impl Iterator<Item = (u32, &Part)> {
        let mut numbers: Vec<u32> = (0..self.lists.len() as u32).collect();
        numbers.sort_unstable_by_key(|&number| self.interner.pair(number));
        numbers.into_iter().map(|number| (number, &self.lists[number as usize]))
    }

    /// Writes all lists, values and names, but the root page of the names, which is returned.
    pub(crate) fn finish(self, sink: &mut impl PageSink) -> Result<(Vec<u8>, u64, IndexTotals)> {
        let mut writer = IndexWriter::default();
        self.for_each(|name, value, part| writer.add(name, value, part, sink))?;
        writer.finish(sink)
    }

    /// Hands every pair to `each`, ascending, with its list: once, or in parts one after another.
    pub(crate) fn for_each(
        mut self,
        mut each: impl FnMut(&[u8], &[u8], &ListPart<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.spilled.is_empty() {
            for (number, part) in self.sorted_parts() {
                let Some(extent) = part.extent else { continue };
                let (name, value) = self.interner.pair(number);
                each(name, value, &ListPart { extent, before: 0, gaps: &part.gaps })?;
            }
            return Ok(());
        }
        self.spill()?;
        self.spilled.drain(|part: &SpilledPart| each(&part.name, &part.value, &part.part()))
    }
}

/// A stretch of a pair's posting list.
pub(crate) struct ListPart<'a> {
    /// Of the events in it. When a stretch is cut, the first piece speaks for all of them, and the others count none.
    pub(crate) extent: Extent,
    /// The number that the first difference counts from.
    before: u64,
    gaps: &'a [u8],
}

/// A spilled list is cut into pieces of at most this many bytes, so that many can be read side by side.
const PIECE: usize = 16 << 10;

impl ListPart<'_> {
    /// Hands every time number to `each`, ascending.
    pub(crate) fn for_each(&self, mut each: impl FnMut(u64) -> Result<()>) -> Result<()> {
        let mut gaps = Decoder::new(self.gaps, 0, Section::Postings);
        let mut number = self.before;
        while gaps.remaining() > 0 {
            number += gaps.varint("T5")?;
            each(number)?;
        }
        Ok(())
    }

    fn cut(&self, mut each: impl FnMut(&ListPart<'_>) -> Result<()>) -> Result<()> {
        let mut gaps = Decoder::new(self.gaps, 0, Section::Postings);
        let (mut extent, mut before) = (self.extent, self.before);
        while gaps.remaining() > 0 {
            let mut rest = gaps.clone();
            let mut number = before;
            while rest.remaining() > 0 && gaps.remaining() - rest.remaining() < PIECE {
                number += rest.varint("T5")?;
            }
            let piece = gaps.take(gaps.remaining() - rest.remaining(), "T5")?;
            each(&ListPart { extent, before, gaps: piece })?;
            (extent.count, before) = (0, number);
        }
        Ok(())
    }
}

fn put_piece(spool: &mut Spool, name: &[u8], value: &[u8], piece: &ListPart<'_>) -> Result<()> {
    spool.put_bytes(name);
    spool.put_bytes(value);
    spool.put_number(piece.extent.count);
    spool.put_number(piece.extent.first.cast_unsigned());
    spool.put_number(piece.extent.last.cast_unsigned());
    spool.put_number(piece.before);
    spool.put_bytes(piece.gaps);
    spool.end_record()
}

/// A piece of a pair's list.
struct SpilledPart {
    name: Vec<u8>,
    value: Vec<u8>,
    extent: Extent,
    before: u64,
    gaps: Vec<u8>,
}

impl Default for SpilledPart {
    fn default() -> Self {
        let extent = Extent { count: 0, first: 0, last: 0 };
        Self { name: Vec::new(), value: Vec::new(), extent, before: 0, gaps: Vec::new() }
    }
}

impl SpilledPart {
    fn part(&self) -> ListPart<'_> {
        ListPart { extent: self.extent, before: self.before, gaps: &self.gaps }
    }
}

impl Record for SpilledPart {
    fn read(&mut self, reader: &mut SpoolReader) -> Result<bool> {
        if !reader.next_bytes(&mut self.name)? {
            return Ok(false);
        }
        reader.bytes(&mut self.value)?;
        self.extent.count = reader.number()?;
        self.extent.first = reader.number()?.cast_signed();
        self.extent.last = reader.number()?.cast_signed();
        self.before = reader.number()?;
        reader.bytes(&mut self.gaps)?;
        Ok(true)
    }

    fn write(&self, spool: &mut Spool) -> Result<()> {
        put_piece(spool, &self.name, &self.value, &self.part())
    }

    /// An earlier spool holds the smaller time numbers.
    fn order(&self, other: &Self) -> Ordering {
        (&self.name, &self.value).cmp(&(&other.name, &other.value))
    }
}

/// Writes the index of a file, pair by pair in ascending order.
#[derive(Default)]
struct IndexWriter {
    names: TreeBuilder,
    name: Option<OpenName>,
    totals: IndexTotals,
    entry: Vec<u8>,
}

/// The name whose values are being written.
struct OpenName {
    key: Vec<u8>,
    values: TreeBuilder,
    value_count: u64,
    /// Of all finished values.
    extent: Option<Extent>,
    value: Option<OpenValue>,
}

/// The value whose list is being written.
struct OpenValue {
    key: Vec<u8>,
    list: ListBuilder,
    extent: Extent,
}

impl IndexWriter {
    fn add(
        &mut self,
        name: &[u8],
        value: &[u8],
        part: &ListPart<'_>,
        sink: &mut impl PageSink,
    ) -> Result<()> {
        if self.name.as_ref().is_none_or(|open| open.key != name) {
            self.finish_name(sink)?;
            self.names.make_room(sink)?;
            self.name = Some(OpenName {
                key: name.to_vec(),
                values: TreeBuilder::default(),
                value_count: 0,
                extent: None,
                value: None,
            });
        }
        match &mut self.name {
            Some(open) => open.add(value, part, &mut self.entry, sink),
            None => Ok(()),
        }
    }

    fn finish_name(&mut self, sink: &mut impl PageSink) -> Result<()> {
        let Some(mut open) = self.name.take() else { return Ok(()) };
        open.finish_value(&mut self.entry, sink)?;
        let Some(extent) = open.extent else { return Ok(()) };
        let tree = open.values.finish_with_root(sink)?;
        self.entry.clear();
        NameEntry { values: open.value_count, extent, tree }.encode(&mut self.entry);
        self.names.add(&open.key, &self.entry, sink)?;
        self.totals.names += 1;
        self.totals.values += open.value_count;
        self.totals.entries += extent.count;
        Ok(())
    }

    fn finish(mut self, sink: &mut impl PageSink) -> Result<(Vec<u8>, u64, IndexTotals)> {
        self.finish_name(sink)?;
        let (root, entries) = self.names.finish(sink)?;
        Ok((root, entries, self.totals))
    }
}

impl OpenName {
    fn add(
        &mut self,
        key: &[u8],
        part: &ListPart<'_>,
        entry: &mut Vec<u8>,
        sink: &mut impl PageSink,
    ) -> Result<()> {
        let open = match &mut self.value {
            Some(open) if open.key == key => {
                open.extent.join(part.extent);
                open
            }
            _ => {
                self.finish_value(entry, sink)?;
                self.values.make_room(sink)?;
                let list = ListBuilder::default();
                self.value.insert(OpenValue { key: key.to_vec(), list, extent: part.extent })
            }
        };
        part.for_each(|time_number| open.list.push(time_number, sink))
    }

    fn finish_value(&mut self, entry: &mut Vec<u8>, sink: &mut impl PageSink) -> Result<()> {
        let Some(OpenValue { key, list, extent }) = self.value.take() else { return Ok(()) };
        debug_assert_eq!(extent.count, list.count());
        extent.join_into(&mut self.extent);
        entry.clear();
        ValueEntry::encode_extent(&extent, entry);
        list.finish(sink, entry)?;
        self.values.add(&key, entry, sink)?;
        self.value_count += 1;
        Ok(())
    }
}
