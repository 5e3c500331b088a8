//! Collecting posting lists while events pass by, and writing the index when they have (spec §6.4).
//!
//! Time numbers come in ascending order, so every pair's list only grows at its end. Lists beyond the memory
//! limit are written out sorted by pair; in the end the parts of a pair are read one after another.

use std::path::{Path, PathBuf};

use crate::codec::{Decoder, Encode};
use crate::error::{Result, Section};
use crate::interner::Interner;
use crate::postings::ListBuilder;
use crate::spool::{Spool, SpoolReader};
use crate::tables::{Extent, NameEntry, ValueEntry};
use crate::tree::{PageSink, TreeBuilder};

/// The posting lists of all pairs seen so far.
pub(crate) struct IndexLists {
    interner: Interner,
    /// By the pair's number.
    lists: Vec<Part>,
    list_bytes: usize,
    limit: usize,
    spilled: Vec<Spool>,
    folder: PathBuf,
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
    pub(crate) fn new(folder: &Path, limit: usize) -> Self {
        Self {
            interner: Interner::default(),
            lists: Vec::new(),
            list_bytes: 0,
            limit,
            spilled: Vec::new(),
            folder: folder.to_owned(),
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
            spool.put_bytes(name);
            spool.put_bytes(value);
            spool.put_number(extent.count);
            spool.put_number(extent.first.cast_unsigned());
            spool.put_number(extent.last.cast_unsigned());
            spool.put_bytes(&part.gaps);
            spool.end_record()?;
        }
        spool.spill()?;
        self.spilled.push(spool);
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
        self.for_each(|name, value, parts| writer.pair(name, value, parts, sink))?;
        writer.finish(sink)
    }

    /// Hands every pair to `each`, ascending, with the parts of its list.
    pub(crate) fn for_each(
        mut self,
        mut each: impl FnMut(&[u8], &[u8], &[ListPart<'_>]) -> Result<()>,
    ) -> Result<()> {
        if self.spilled.is_empty() {
            for (number, part) in self.sorted_parts() {
                let Some(extent) = part.extent else { continue };
                let (name, value) = self.interner.pair(number);
                each(name, value, &[ListPart { extent, gaps: &part.gaps }])?;
            }
            return Ok(());
        }
        self.spill()?;
        let mut sources = Vec::new();
        for spool in std::mem::take(&mut self.spilled) {
            sources.extend(SpilledParts::open(spool.into_reader()?)?);
        }
        while let Some(next) = sources.iter().map(|source| (&source.name, &source.value)).min() {
            let (name, value) = (next.0.clone(), next.1.clone());
            // In the order of spilling, which is that of the time numbers.
            let parts: Vec<ListPart<'_>> = sources
                .iter()
                .filter(|source| (&source.name, &source.value) == (&name, &value))
                .map(|source| ListPart { extent: source.extent, gaps: &source.gaps })
                .collect();
            each(&name, &value, &parts)?;
            let mut at = 0;
            while at < sources.len() {
                let is_next = (&sources[at].name, &sources[at].value) == (&name, &value);
                if is_next && !sources[at].advance()? {
                    sources.remove(at);
                } else {
                    at += 1;
                }
            }
        }
        Ok(())
    }
}

/// A stretch of a pair's posting list.
pub(crate) struct ListPart<'a> {
    pub(crate) extent: Extent,
    gaps: &'a [u8],
}

impl ListPart<'_> {
    /// Hands every time number to `each`, ascending.
    pub(crate) fn for_each(&self, mut each: impl FnMut(u64) -> Result<()>) -> Result<()> {
        let mut gaps = Decoder::new(self.gaps, 0, Section::Postings);
        let mut number = 0;
        while gaps.remaining() > 0 {
            number += gaps.varint("T5")?;
            each(number)?;
        }
        Ok(())
    }
}

/// The spilled parts of one moment, at the part that comes next.
struct SpilledParts {
    reader: SpoolReader,
    name: Vec<u8>,
    value: Vec<u8>,
    extent: Extent,
    gaps: Vec<u8>,
}

impl SpilledParts {
    fn open(reader: SpoolReader) -> Result<Option<Self>> {
        let extent = Extent { count: 0, first: 0, last: 0 };
        let mut parts = Self { reader, name: Vec::new(), value: Vec::new(), extent, gaps: Vec::new() };
        Ok(parts.advance()?.then_some(parts))
    }

    fn advance(&mut self) -> Result<bool> {
        if !self.reader.next_bytes(&mut self.name)? {
            return Ok(false);
        }
        self.reader.bytes(&mut self.value)?;
        self.extent.count = self.reader.number()?;
        self.extent.first = self.reader.number()?.cast_signed();
        self.extent.last = self.reader.number()?.cast_signed();
        self.reader.bytes(&mut self.gaps)?;
        Ok(true)
    }
}

/// Writes the index of a file, pair by pair in ascending order.
#[derive(Default)]
struct IndexWriter {
    names: TreeBuilder,
    name: Vec<u8>,
    values: TreeBuilder,
    value_count: u64,
    /// Of all entries of the current name.
    extent: Option<Extent>,
    totals: IndexTotals,
    entry: Vec<u8>,
}

impl IndexWriter {
    fn pair(
        &mut self,
        name: &[u8],
        value: &[u8],
        parts: &[ListPart<'_>],
        sink: &mut impl PageSink,
    ) -> Result<()> {
        if self.extent.is_some() && self.name != name {
            self.finish_name(sink)?;
        }
        if self.extent.is_none() {
            self.names.make_room(sink)?;
            self.name = name.to_vec();
        }
        self.values.make_room(sink)?;
        let (mut list, mut extent) = (ListBuilder::default(), None);
        for part in parts {
            part.extent.join_into(&mut extent);
            part.for_each(|time_number| list.push(time_number, sink))?;
        }
        let Some(extent) = extent else { return Ok(()) };
        debug_assert_eq!(extent.count, list.count());
        extent.join_into(&mut self.extent);
        self.entry.clear();
        ValueEntry::encode_extent(&extent, &mut self.entry);
        list.finish(sink, &mut self.entry)?;
        self.values.add(value, &self.entry, sink)?;
        self.value_count += 1;
        Ok(())
    }

    fn finish_name(&mut self, sink: &mut impl PageSink) -> Result<()> {
        let Some(extent) = self.extent.take() else { return Ok(()) };
        let tree = std::mem::take(&mut self.values).finish_with_root(sink)?;
        let values = std::mem::take(&mut self.value_count);
        self.entry.clear();
        NameEntry { values, extent, tree }.encode(&mut self.entry);
        self.names.add(&self.name, &self.entry, sink)?;
        self.totals.names += 1;
        self.totals.values += values;
        self.totals.entries += extent.count;
        Ok(())
    }

    fn finish(mut self, sink: &mut impl PageSink) -> Result<(Vec<u8>, u64, IndexTotals)> {
        self.finish_name(sink)?;
        let (root, entries) = self.names.finish(sink)?;
        Ok((root, entries, self.totals))
    }
}
