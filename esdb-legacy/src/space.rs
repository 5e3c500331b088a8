//! A space: its sections, and the table that names them.
//!
//! ```text
//! 0x2A, sections in order of keys, table, length of the table
//! ```
//!
//! First the index sections are read and their entries sorted by place, then the groupings, each event with its entries. Where the
//! table is damaged, sections are what lies between those that are known; a grouping whose name is lost is `unknown-1`, ….

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::Range;

use esdb_format::{Result, limits};

use crate::Options;
use crate::batch::Sink;
use crate::blocks::{Blocks, run_of_sections, tiles};
use crate::bytes::Bytes;
use crate::entries::{Entries, Place, Sorter};
use crate::grouping::{self, Grouping};
use crate::index::{self, Index};
use crate::input::Input;
use crate::key::Splits;
use crate::report::{Account, Quoted};
use crate::table::{Cursor, Problem, Table};

/// Begins a space.
pub(crate) const MARK: u8 = 0x2A;

/// How many bytes of blocks are walked over, beside four times those of the space, to see whether sections are where they should.
const MOST_WALKED: u64 = 1 << 20;

/// What all parts of a conversion share.
pub(crate) struct Context<'s> {
    pub(crate) options: &'s Options,
    pub(crate) splits: Splits,
    pub(crate) account: Account,
    pub(crate) sink: Sink,
    /// Events of the current space so far.
    pub(crate) space_events: u64,
    /// Where the current space begins in the file: places of index entries count from there.
    pub(crate) base: u64,
    /// Bytes of the pairs of the current event.
    pair_bytes: usize,
    /// Keys whose index leads to an event without data: the first entry that does, and from which on all were hidden anyway.
    stops: HashMap<u64, (u64, u64)>,
    stray: Stray,
}

/// Index entries of one block of events that point at no record.
#[derive(Clone, Copy, Debug, Default)]
struct Stray {
    /// Where the block begins in the file.
    block: u64,
    places: u64,
    entries: u64,
}

impl<'s> Context<'s> {
    pub(crate) fn new(options: &'s Options, account: Account, sink: Sink) -> Self {
        let splits = Splits::new(&options.split_index);
        Self {
            options,
            splits,
            account,
            sink,
            space_events: 0,
            base: 0,
            pair_bytes: 0,
            stops: HashMap::new(),
            stray: Stray::default(),
        }
    }

    /// Gives the next entry's pair to the event that is being read, whose first pair is `first_pair`; `is_empty` if it has no data.
    ///
    /// # Errors
    ///
    /// I/O if entries cannot be read back.
    pub(crate) fn take_entry(
        &mut self,
        entries: &mut Entries,
        first_pair: usize,
        timestamp: u32,
        is_empty: bool,
    ) -> Result<()> {
        entries.set_time(timestamp);
        let (Some(place), Some((key, number))) = (entries.peek(), entries.head()) else { return Ok(()) };
        let block = self.base.wrapping_add(place.block());
        let batch = &mut self.sink.batch;
        let count = batch.pairs.len() - first_pair;
        if count == 0 {
            self.pair_bytes = 0;
        }
        self.pair_bytes += key.name.len() + key.value.len();
        if is_empty {
            let (first, _) = self.stops.entry(key.number).or_insert((number, key.hidden_from));
            *first = number.min(*first);
        }
        if count > 0 && batch.ends_with_pair(key.name, key.value) {
            self.account.report.repeated_entries += 1;
            // Two pairs of an event can only have become one key if there are several colons in it.
            if !key.name.contains(&b':') && !key.value.contains(&b':') {
                let reason = format_args!(
                    "index {} = {}: an entry stands there twice",
                    Quoted(key.name),
                    Quoted(key.value)
                );
                self.account.lose(block..block, reason);
            }
        } else if count >= limits::PAIRS || self.pair_bytes > limits::PAIR_BYTES {
            self.account.report.entries_lost += 1;
            if count == limits::PAIRS
                || self.pair_bytes - key.name.len() - key.value.len() <= limits::PAIR_BYTES
            {
                self.account.lose(block..block, "an event has more index entries than a new file can hold");
            }
        } else {
            batch.pair(key.name, key.value);
        }
        entries.pass()
    }

    /// Gives up the next entry and all others of its place: no record begins there.
    ///
    /// # Errors
    ///
    /// I/O if entries cannot be read back.
    pub(crate) fn lose_entries_at(&mut self, entries: &mut Entries) -> Result<()> {
        let Some(place) = entries.peek() else { return Ok(()) };
        let mut count = 0;
        while entries.peek() == Some(place) {
            entries.pass()?;
            count += 1;
        }
        self.account.report.events_lost += 1;
        self.account.report.entries_lost += count;
        let block = self.base.wrapping_add(place.block());
        if self.stray.block != block {
            self.tell_stray();
        }
        let Stray { places, entries, .. } = self.stray;
        self.stray = Stray { block, places: places + 1, entries: entries + count };
        Ok(())
    }

    /// Tells which entries of the last block were given up.
    pub(crate) fn tell_stray(&mut self) {
        let Stray { block, places, entries } = std::mem::take(&mut self.stray);
        if places > 0 {
            let reason = format_args!(
                "{entries} index entries point at {places} places in the block here, where no record is"
            );
            self.account.lose(block..block, reason);
        }
    }

    /// Counts what the old reader hides behind events without data, at the end of a space.
    fn count_stops(&mut self) {
        for (_, (first, hidden_from)) in self.stops.drain() {
            self.account.report.hidden_entries += hidden_from.saturating_sub(first);
        }
    }

    /// Tells what was found wrong with a table.
    pub(crate) fn problems(&mut self, of: impl fmt::Display, problems: Vec<Problem>) {
        for (bytes, reason) in problems {
            self.account.lose(bytes, format_args!("{of}: {reason}"));
        }
    }
}

/// A space: where its sections begin and its table is.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    pub(crate) start: u64,
    /// How many bytes are missing somewhere between here and the table.
    pub(crate) missing: u64,
    pub(crate) table: Table,
}

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Grouping,
    Index,
    /// Its key is lost.
    Unknown,
}

/// A part of a space, with its key behind the letter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Section {
    kind: Kind,
    key: Vec<u8>,
    /// In the space.
    range: Range<u64>,
}

impl Space {
    /// The space that takes a region of the file, if its table can be found.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read.
    pub(crate) fn open(
        input: &mut Input<'_>,
        region: Range<u64>,
        problems: &mut Vec<Problem>,
    ) -> Result<Option<Self>> {
        input.focus(region.clone());
        let mark = input.get(region.start, 1)?.map(|mark| mark == [MARK]);
        let Some(table) = Table::at_end(input, problems)? else { return Ok(None) };
        if mark == Some(false) {
            problems.push((
                region.start..region.start + 1,
                "the mark of a space's beginning is not there".to_owned(),
            ));
        }
        Ok(Some(Self { start: region.start, missing: 0, table }))
    }

    /// Brings the space over under a name.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read; Invalid if nobody takes the events.
    pub(crate) fn read(&self, context: &mut Context<'_>, input: &Input<'_>, id: &[u8]) -> Result<()> {
        let region = self.start..self.table.end;
        let (mut tables, mut content) = (input.over(region.clone()), input.over(region));
        if id.len() > limits::KEY {
            let reason = format_args!(
                "space {}: its id has {} bytes, {} are possible",
                Quoted(id),
                id.len(),
                limits::KEY
            );
            context.account.lose(self.start..self.table.end, reason);
            return Ok(());
        }
        let mut sorter = Sorter::new(context.options.memory / 4);
        let mut sections = Sections::new(self);
        let (mut number, mut groupings) = (0, 0);
        while let Some(section) = sections.next(&mut tables)? {
            context.problems(format_args!("space {}", Quoted(id)), sections.take_problems());
            let kind = match section.kind {
                Kind::Unknown => self.kind_of(&mut content, &section)?,
                kind => kind,
            };
            if kind == Kind::Grouping {
                groupings += 1;
                continue;
            }
            number += 1;
            self.read_index(context, &mut content, id, &section, number, &mut sorter)?;
        }
        context.problems(format_args!("space {}", Quoted(id)), sections.take_problems());
        (context.space_events, context.base) = (0, self.start);
        if groupings > 0 {
            let unordered = context.account.report.unordered_groupings;
            let mut entries = sorter.finish()?;
            self.read_groupings(context, &mut tables, &mut content, id, &mut entries)?;
            while entries.peek().is_some() {
                context.lose_entries_at(&mut entries)?;
            }
            // Timestamps that were cut to 32 bits are not in order anywhere.
            if context.account.report.unordered_groupings == unordered {
                entries.for_each_misordered(|key| {
                    let index = format_args!("index {} = {}", Quoted(key.name), Quoted(key.value));
                    let reason =
                        format_args!("space {}, {index}: entries are not in order of time", Quoted(id));
                    context.account.lose(self.start..self.table.start, reason);
                });
            }
        }
        context.tell_stray();
        context.count_stops();
        context.account.report.spaces += u64::from(context.space_events > 0);
        Ok(())
    }

    /// Where a section is in the file, and where the space would begin if no byte before the section were missing.
    fn place(&self, input: &mut Input<'_>, range: &Range<u64>) -> Result<(Range<u64>, u64)> {
        let at = |base: u64| base.wrapping_add(range.start)..base.wrapping_add(range.end);
        let base = match self.missing {
            0 => self.start,
            // Sections before the loss stand where they should, those behind it earlier.
            missing if range.start < missing || tiles(input, at(self.start))? => self.start,
            missing => self.start.wrapping_sub(missing),
        };
        Ok((at(base), base))
    }

    fn kind_of(&self, input: &mut Input<'_>, section: &Section) -> Result<Kind> {
        let (place, base) = self.place(input, &section.range)?;
        kind_of(input, base, place)
    }

    fn read_index(
        &self,
        context: &mut Context<'_>,
        content: &mut Input<'_>,
        id: &[u8],
        section: &Section,
        number: u64,
        sorter: &mut Sorter,
    ) -> Result<()> {
        let (place, _) = self.place(content, &section.range)?;
        if section.kind == Kind::Unknown {
            let reason =
                format_args!("space {}: the name of an index is lost, and with it its entries", Quoted(id));
            context.account.lose(place, reason);
            return Ok(());
        }
        let split = context.splits.split(&section.key);
        let colon = split.colon.unwrap_or(section.key.len());
        let (name, rest) = section.key.split_at(colon);
        let value = rest.get(1..).unwrap_or_default();
        if split.colon.is_none() {
            let reason = format_args!("space {}: index {} has no colon", Quoted(id), Quoted(&section.key));
            context.account.lose(place.clone(), reason);
        }
        if name.len() > limits::KEY || value.len() > limits::KEY {
            let reason =
                format_args!("space {}: index {} is too long for a new file", Quoted(id), Quoted(name));
            context.account.lose(place, reason);
            return Ok(());
        }
        if split.is_ambiguous {
            context.account.ambiguous(name, value);
        }
        let start_in_space = section.range.start;
        let index = Index { space: id, start_in_space, number, name, value, section: place };
        index::read(context, content, &index, sorter)
    }

    fn read_groupings(
        &self,
        context: &mut Context<'_>,
        tables: &mut Input<'_>,
        content: &mut Input<'_>,
        id: &[u8],
        entries: &mut Entries,
    ) -> Result<()> {
        let mut sections = Sections::new(self);
        let mut unknown = 0;
        while let Some(section) = sections.next(tables)? {
            let kind = match section.kind {
                Kind::Unknown => self.kind_of(content, &section)?,
                kind => kind,
            };
            if kind == Kind::Index {
                continue;
            }
            let (place, base) = self.place(content, &section.range)?;
            let mut name = section.key;
            if section.kind == Kind::Unknown {
                unknown += 1;
                name = format!("unknown-{unknown}").into_bytes();
                let reason = format_args!(
                    "space {}: the name of a grouping is lost, it is now {}",
                    Quoted(id),
                    Quoted(&name)
                );
                context.account.lose(place.clone(), reason);
            }
            if name.len() > limits::KEY {
                let reason = format_args!(
                    "space {}: grouping {} is too long for a new file",
                    Quoted(id),
                    Quoted(&name)
                );
                context.account.lose(place, reason);
                continue;
            }
            let grouping = Grouping { space: id, base, name: &name, section: place, is_cut: false };
            grouping::read(context, content, &grouping, entries)?;
        }
        Ok(())
    }

    /// How far the sections of the space that ends with a table reach from its beginning.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read.
    pub(crate) fn sections_len(input: &mut Input<'_>, table: &Table) -> Result<u64> {
        let (mut len, mut cursor) = (1, table.cursor());
        while cursor.advance(input)? {
            let range = range_of(cursor.value());
            // One that does not follow the one before, and lies beyond the table, is damaged.
            if range.start == len || range.end <= table.start {
                len = range.end.max(len);
            }
        }
        Ok(len)
    }
}

/// What a section without a key holds: the first entry of an index points at a block before it. The space begins at `base`.
///
/// # Errors
///
/// I/O if the file cannot be read.
pub(crate) fn kind_of(content: &mut Input<'_>, base: u64, section: Range<u64>) -> Result<Kind> {
    let before = section.start.wrapping_sub(base);
    let mut blocks = Blocks::new(section);
    let Some((_, bytes)) = blocks.next(content)? else { return Ok(Kind::Unknown) };
    let mut entry = Bytes(bytes);
    let is_index = match (entry.u64(), entry.u16()) {
        (Some(block), Some(offset)) => (1..before).contains(&block) && Place::new(block, offset).is_some(),
        _ => false,
    };
    Ok(if is_index { Kind::Index } else { Kind::Grouping })
}

/// The sections of a space, in the order of the table, tiling the space up to it.
struct Sections<'t> {
    space: &'t Space,
    cursor: Cursor<'t>,
    /// Where the next section must begin.
    at: u64,
    /// The next two entries of the table: what follows tells whether one is right.
    ahead: VecDeque<Entry>,
    /// How many bytes of blocks were walked over.
    walked: u64,
    problems: Vec<Problem>,
}

/// An entry of the table as it stands there.
struct Entry {
    key: Vec<u8>,
    range: Range<u64>,
    /// Its block of the table fails its checksum.
    is_doubtful: bool,
}

impl<'t> Sections<'t> {
    fn new(space: &'t Space) -> Self {
        Self {
            space,
            cursor: space.table.cursor(),
            at: 1,
            ahead: VecDeque::new(),
            walked: 0,
            problems: Vec::new(),
        }
    }

    fn take_problems(&mut self) -> Vec<Problem> {
        let mut problems = self.cursor.take_problems();
        problems.append(&mut self.problems);
        problems
    }

    /// Where the sections end.
    fn limit(&self) -> u64 {
        self.space.table.start + self.space.missing - self.space.start
    }

    /// The next section; a part of the space that no entry names is one without a key.
    fn next(&mut self, input: &mut Input<'_>) -> Result<Option<Section>> {
        loop {
            while self.ahead.len() < 2 && self.cursor.advance(input)? {
                self.ahead.push_back(Entry::new(&self.cursor));
            }
            let (at, limit) = (self.at, self.limit());
            let Some(entry) = self.ahead.pop_front() else {
                return if at < limit { self.unnamed(input, at..limit).map(Some) } else { Ok(None) };
            };
            let range = entry.range.clone();
            let follows = self.ahead.front().map_or(limit, |next| next.range.start);
            let is_inside = range.start >= at && range.end <= limit && !range.is_empty();
            let is_tight = range.start == at && range.end == follows;
            if is_inside && (is_tight || self.tiles(input, &range)?) {
                if range.start == at {
                    return self.checked(input, entry, range).map(Some);
                }
                self.ahead.push_front(entry);
                return self.unnamed(input, at..range.start).map(Some);
            }
            // It is where no section can be: it may still be the one before the next.
            let reason = "the table states a place for it where no section is";
            self.problems.push((self.cursor.place(), format!("section {}: {reason}", Quoted(&entry.key))));
            if follows > at && follows <= limit {
                return self.checked(input, entry, at..follows).map(Some);
            }
        }
    }

    /// Whether blocks tile a section. In a hostile table any number of entries may share the same blocks: once their headers have been
    /// walked over a few times, they tile nothing.
    fn tiles(&mut self, input: &mut Input<'_>, range: &Range<u64>) -> Result<bool> {
        self.walked += range.end - range.start;
        if self.walked > 4 * self.limit() + MOST_WALKED {
            return Ok(false);
        }
        let (place, _) = self.space.place(input, range)?;
        tiles(input, place)
    }

    /// The first section of a part that no entry names: it ends behind a block that is not full.
    fn unnamed(&mut self, input: &mut Input<'_>, range: Range<u64>) -> Result<Section> {
        let (place, _) = self.space.place(input, &range)?;
        let mut first = None;
        run_of_sections(&mut input.over(place.clone()), place.start, |end| {
            first = Some(end);
            false
        })?;
        let end = first.map_or(range.end, |end| range.start + (end - place.start));
        Ok(self.section(Vec::new(), range.start..end))
    }

    /// A section with the key of an entry. If the entry is in doubt, its content must be what the key says.
    fn checked(&mut self, input: &mut Input<'_>, entry: Entry, range: Range<u64>) -> Result<Section> {
        let mut section = self.section(entry.key, range);
        if entry.is_doubtful && section.kind != self.space.kind_of(input, &section)? {
            section.kind = Kind::Unknown;
        }
        Ok(section)
    }

    fn section(&mut self, mut key: Vec<u8>, range: Range<u64>) -> Section {
        self.at = range.end;
        let kind = match key.first() {
            Some(b'g') => Kind::Grouping,
            Some(b'i') => Kind::Index,
            _ => Kind::Unknown,
        };
        key.drain(..key.len().min(1));
        Section { kind, key, range }
    }
}

impl Entry {
    fn new(cursor: &Cursor<'_>) -> Self {
        Self { key: cursor.key().to_vec(), range: range_of(cursor.value()), is_doubtful: !cursor.is_whole() }
    }
}

/// Where an entry of a space's table says that a section is in the space; empty if it says nothing.
fn range_of(value: &[u8]) -> Range<u64> {
    let mut value = Bytes(value);
    match (value.uvarint(), value.uvarint()) {
        (Some(offset), Some(len)) if value.0.is_empty() => offset..offset.saturating_add(len),
        _ => 0..0,
    }
}
