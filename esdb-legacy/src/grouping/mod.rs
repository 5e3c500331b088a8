//! The events of a grouping, each joined with its index entries.
//!
//! ```text
//! blocks -> content -> records, newest first -> rows, oldest first
//!                         ^ index entries point at their first bytes
//! ```
//!
//! Records have no mark: one that is misread leads astray. Index entries tell where records begin; where a block is lost, or the
//! records do not lead to the place of an entry or to the section's end, reading goes on at the next entry, or where a row of records
//! in order can only be one. The last records before such a place are left out, for nothing vouches for them.

mod doubt;

use std::fmt;
use std::ops::Range;

use esdb_format::Result;

use crate::batch::Row;
use crate::blocks::{BLOCK, Block, Blocks, holds_more};
use crate::context::Context;
use crate::entries::{Entries, Place};
use crate::input::Input;
use crate::parts::{self, Border};
use crate::records::{Record, header_len, record};
use crate::report::Quoted;

/// With its rows and their pairs a grouping takes about so many times the memory of its content, or less.
const ROWS: u64 = 8;

/// Parts take about so much memory, in bytes: what is handed on fits the processor's caches, and its memory is used again.
const PART: u64 = 4 << 20;

/// They are larger if entries come from many runs: a part's first ones are sought in each of them.
const PART_FOR_RUN: u64 = 1 << 20;

/// Empty events of time 0 at the end of a grouping: from so many on they may be lost pages.
const LIKE_LOST_PAGES: usize = 16;

/// A grouping's name, and where its section is.
pub(crate) struct Grouping<'a> {
    pub(crate) space: &'a [u8],
    /// Where the space begins in the file. Wraps around if a piece of the file is missing before the section.
    pub(crate) base: u64,
    pub(crate) name: &'a [u8],
    /// In the file.
    pub(crate) section: Range<u64>,
    /// The rest of the section is missing.
    pub(crate) is_cut: bool,
}

/// Reads a grouping: its events go to the sink, what is wrong to the account. `entries` stand at the section, or before it.
///
/// # Errors
///
/// I/O if the file cannot be read; Invalid if nobody takes the events.
pub(crate) fn read(
    context: &mut Context<'_>,
    input: &mut Input<'_>,
    grouping: &Grouping<'_>,
    entries: &mut Entries,
) -> Result<()> {
    context.base = grouping.base;
    let size = context.options.segment() as u64;
    let mut borders = None;
    if !grouping.is_cut && holds_more(input, grouping.section.clone(), size / ROWS)? {
        // Half of it is for what cannot be foreseen.
        let part = PART.max(PART_FOR_RUN * entries.runs() as u64).min(size / 2);
        borders = parts::borders(input, grouping.section.clone(), part, context.options.max_event)?;
    }
    let borders = borders.unwrap_or_default();
    let events = match &borders[..] {
        [] | [_] => read_part(context, input, grouping, entries, None, None)?,
        borders => {
            let (mut events, mut end) = (0, None);
            for start in borders.iter().rev() {
                if let Some(place) = grouping.place(start) {
                    entries.seek(place)?;
                }
                // Each has the batch's memory for itself.
                context.sink.hand_on()?;
                events += read_part(context, input, grouping, entries, Some(start), end)?;
                end = Some(start);
            }
            if let Some(end) = grouping.end() {
                entries.seek(end)?;
            }
            events
        }
    };
    context.account.report.events += events;
    context.account.report.groupings += u64::from(events > 0);
    context.space_events += events;
    context.sink.hand_on_if_full()
}

/// Reads what stands between two borders, or the whole grouping, and returns how many events there are.
fn read_part(
    context: &mut Context<'_>,
    input: &mut Input<'_>,
    grouping: &Grouping<'_>,
    entries: &mut Entries,
    start: Option<&Border>,
    end: Option<&Border>,
) -> Result<u64> {
    let from = start.map_or(grouping.section.start, |start| start.block);
    let mut blocks = Blocks::new(from..grouping.section.end);
    let mut reading = Reading::new(context, grouping, entries, start, end);
    while let Some((block, content)) = blocks.next(input)? {
        let first = start.filter(|start| start.block == block.bytes.start).map_or(0, |start| start.offset);
        let last = end.filter(|end| end.block == block.bytes.start).map(|end| end.offset);
        reading.block(&block, content.get(..last.unwrap_or(content.len())).unwrap_or_default(), first);
        if last.is_some() {
            reading.parse(0)?;
            break;
        }
        reading.parse(blocks.most_left())?;
        reading.context.sink.batch.read += block.bytes.end - block.bytes.start;
    }
    reading.finish()
}

impl Grouping<'_> {
    /// The first place that an index entry of the record behind a border may have.
    fn place(&self, border: &Border) -> Option<Place> {
        let offset = |at: u64| at.wrapping_sub(self.base);
        match border.before {
            // The end of a full block, and the beginning of the next one.
            Some(before) if border.offset == 0 => Place::new(offset(before), BLOCK as u16),
            _ => Place::new(offset(border.block), border.offset as u16),
        }
    }

    /// The place behind all of its records.
    fn end(&self) -> Option<Place> {
        Place::new(self.section.end.wrapping_sub(self.base), 0)
    }
}

/// Where the event of an index entry is.
enum Target {
    /// In the content.
    At(usize),
    /// In a block that is yet to come.
    Later,
    /// In no block, or in one that is lost.
    Nowhere,
}

/// A block whose content is in the batch.
#[derive(Clone, Debug)]
struct Decoded {
    /// In the file.
    bytes: Range<u64>,
    /// Offset of its header in the space.
    offset: u64,
    /// Where its content begins in the batch's: it may have begun before the batch did.
    start: i64,
}

struct Reading<'c, 's, 'g> {
    context: &'c mut Context<'s>,
    grouping: &'g Grouping<'g>,
    entries: &'c mut Entries,
    /// The blocks whose content is in the batch.
    blocks: Vec<Decoded>,
    /// Of these, the one that the last entry looked at pointed to.
    block: usize,
    /// Where the next record begins in the batch's content; `None` while that is not known.
    at: Option<usize>,
    /// Where a beginning is looked for then.
    from: usize,
    /// Content that is left out: the rest of a record that is too large.
    skip: u64,
    /// The first of this grouping's rows in the batch, and the last one that an index entry vouches for.
    first_row: usize,
    vouched: usize,
    /// Entries from here on belong to others.
    end: Option<Place>,
    /// Nothing but the next part follows.
    is_cut: bool,
    /// Timestamp of the last row that was handed on.
    last: Option<u32>,
    is_ordered: bool,
    /// Whether the old reader has stopped, at an event without data.
    is_hidden: bool,
    events: u64,
}

impl<'c, 's, 'g> Reading<'c, 's, 'g> {
    fn new(
        context: &'c mut Context<'s>,
        grouping: &'g Grouping<'g>,
        entries: &'c mut Entries,
        start: Option<&Border>,
        end: Option<&Border>,
    ) -> Self {
        let batch = &context.sink.batch;
        let (first_row, at) = (batch.rows.len(), batch.content.len());
        let before = start.and_then(|start| start.before.filter(|_| start.offset == 0));
        let before = before.map(|before| Decoded {
            bytes: before..before,
            offset: before.wrapping_sub(grouping.base),
            start: at as i64 - BLOCK as i64,
        });
        Self {
            context,
            grouping,
            entries,
            blocks: before.into_iter().collect(),
            block: 0,
            at: Some(at),
            from: at,
            skip: 0,
            first_row,
            vouched: first_row,
            end: match end {
                Some(end) => grouping.place(end),
                None => grouping.end(),
            },
            is_cut: grouping.is_cut || end.is_some(),
            last: None,
            is_ordered: true,
            is_hidden: start.is_some_and(|start| start.is_hidden),
            events: 0,
        }
    }

    fn content(&self) -> &[u8] {
        &self.context.sink.batch.content
    }

    fn rows(&self) -> &[Row] {
        self.context.sink.batch.rows.get(self.first_row..).unwrap_or_default()
    }

    fn lose(&mut self, bytes: Range<u64>, reason: impl fmt::Display) {
        let Grouping { space, name, .. } = self.grouping;
        let place = format_args!("space {}, grouping {}", Quoted(space), Quoted(name));
        self.context.account.lose(bytes, format_args!("{place}: {reason}"));
    }

    /// The block of a place in the content, in the file.
    fn file_range(&self, at: usize) -> Range<u64> {
        let behind = self.blocks.partition_point(|block| block.start <= at as i64);
        let block = behind.checked_sub(1).and_then(|block| self.blocks.get(block));
        block.map_or(self.grouping.section.clone(), |block| block.bytes.clone())
    }

    /// Takes a block's content, without what comes before `first`.
    fn block(&mut self, block: &Block, content: &[u8], first: usize) {
        if let Some(damage) = block.damage {
            let lost = if block.is_lost { "; its content is lost" } else { "; it was read all the same" };
            self.lose(block.bytes.clone(), format_args!("{damage}{lost}"));
        }
        let batch = &mut self.context.sink.batch;
        if block.is_lost {
            // The record that had begun cannot be whole, and where the next one begins nobody knows.
            batch.content.truncate(self.at.take().unwrap_or(batch.content.len()));
            self.from = batch.content.len();
            self.vouched = batch.rows.len();
            self.skip = 0;
            return;
        }
        let left_out = self.skip.min(content.len() as u64);
        self.skip -= left_out;
        let skipped = left_out.max(first as u64);
        let Some(rest) = content.get(skipped as usize..).filter(|rest| !rest.is_empty()) else { return };
        let offset = block.bytes.start.wrapping_sub(self.grouping.base);
        let start = batch.content.len() as i64 - skipped as i64;
        self.blocks.push(Decoded { bytes: block.bytes.clone(), offset, start });
        batch.content.extend_from_slice(rest);
    }

    /// Takes all records that are whole. The section has at most `most_left` bytes of content more.
    fn parse(&mut self, most_left: u64) -> Result<()> {
        while self.skip == 0 {
            let Some(at) = self.at else {
                if self.find_start(false)? {
                    continue;
                }
                return Ok(());
            };
            match record(self.content(), at) {
                Record::Whole { timestamp, data } if data.len() <= self.context.options.max_event => {
                    self.take(at, timestamp, data)?;
                }
                Record::Whole { data, .. } => {
                    self.refuse(at, data.len() as u64)?;
                    self.at = Some(data.end);
                }
                Record::Cut { len } => {
                    let available = (self.content().len() - at) as u64;
                    // A single byte may be the end marker.
                    if available > 1 && len > available.saturating_add(most_left) {
                        self.astray(at, None, "a record is longer than its section")?;
                    } else if len > self.context.options.max_event as u64 {
                        let Some(header) = header_len(self.content(), at) else { return Ok(()) };
                        self.refuse(at, len)?;
                        self.skip = len + header - available;
                        self.context.sink.batch.content.truncate(at);
                    } else {
                        return Ok(());
                    }
                }
                Record::Broken => self.astray(at, None, "a record has no length")?,
            }
        }
        Ok(())
    }

    /// The record at `at` has too much data: it is left out, and its index entries with it.
    fn refuse(&mut self, at: usize, len: u64) -> Result<()> {
        let most = self.context.options.max_event;
        let bytes = self.file_range(at);
        self.lose(bytes, format_args!("an event of {len} bytes is left out: at most {most} are allowed"));
        self.context.account.report.events_lost += 1;
        while matches!(self.next_target(at)?, Target::At(found) if found == at) {
            self.context.account.report.entries_lost += 1;
            self.entries.pass()?;
        }
        Ok(())
    }

    /// Where an entry points.
    fn target(&mut self, place: Place) -> Target {
        while self.blocks.get(self.block + 1).is_some_and(|block| block.offset <= place.block()) {
            self.block += 1;
        }
        match self.blocks.get(self.block) {
            Some(block) if block.offset == place.block() => {
                // A block that is not full ends before.
                let at = usize::try_from(block.start + place.offset() as i64).ok();
                at.filter(|at| *at <= self.content().len()).map_or(Target::Nowhere, Target::At)
            }
            Some(block) if block.offset < place.block() && self.block + 1 == self.blocks.len() => {
                Target::Later
            }
            None => Target::Later,
            _ => Target::Nowhere,
        }
    }

    /// The place of the next entry that points to `at` or behind it; those before point at no record, and are lost.
    fn next_target(&mut self, at: usize) -> Result<Target> {
        while let Some(place) = self.entries.peek() {
            if self.end.is_some_and(|end| place >= end) {
                break;
            }
            match self.target(place) {
                Target::Later => break,
                Target::At(found) if found >= at => return Ok(Target::At(found)),
                _ => self.context.lose_entries_at(self.entries)?,
            }
        }
        Ok(Target::Later)
    }

    /// Takes the record at `at`, with its index entries.
    fn take(&mut self, at: usize, timestamp: u32, data: Range<usize>) -> Result<()> {
        let mut target = self.next_target(at)?;
        let has_entries = matches!(target, Target::At(found) if found == at);
        let first_pair = self.context.sink.batch.pairs.len();
        if has_entries {
            self.vouched = self.context.sink.batch.rows.len();
            // The end of a full block and the beginning of the next one are the same place.
            while matches!(target, Target::At(found) if found == at) {
                self.context.take_entry(self.entries, first_pair, timestamp, data.is_empty())?;
                target = self.next_target(at)?;
            }
        }
        if let Target::At(inside) = target
            && inside < data.end
        {
            let upper = self.last_timestamp();
            if self.chain(data.end, upper.map(|upper| upper.min(timestamp)), false).is_contradicted {
                self.push(timestamp, data, first_pair);
                return self.astray(at, Some(inside), "a record does not end where the next one begins");
            }
        }
        let before = self.rows().last();
        let is_hole = before.is_some_and(|row| is_zeros(row) && timestamp > 0);
        if is_hole {
            self.drop_hole(at);
        }
        let end = data.end;
        self.push(timestamp, data, first_pair);
        self.at = Some(end);
        let batch = &self.context.sink.batch;
        if batch.memory() >= self.context.options.segment() {
            self.cut(end)?;
        }
        Ok(())
    }

    fn push(&mut self, timestamp: u32, data: Range<usize>, first_pair: usize) {
        let batch = &mut self.context.sink.batch;
        let pairs = first_pair..batch.pairs.len();
        batch.rows.push(Row { timestamp: timestamp.into(), data, pairs });
    }

    fn last_timestamp(&self) -> Option<u32> {
        self.rows().last().map(|row| row.timestamp as u32).or(self.last)
    }

    /// Removes rows from one on, whose entries are lost with them.
    fn pop(&mut self, from: usize) {
        let Context { sink, account, .. } = &mut *self.context;
        for row in sink.batch.rows.drain(from.min(sink.batch.rows.len())..) {
            account.report.entries_lost += row.pairs.len() as u64;
            account.report.events_lost += u64::from(!row.pairs.is_empty());
        }
        self.vouched = self.vouched.min(from);
    }

    /// Hands all rows on, and goes on in a new batch with the record at `next`.
    fn cut(&mut self, next: usize) -> Result<()> {
        self.emit();
        let rest = self.context.sink.batch.content.split_off(next);
        self.context.sink.hand_on()?;
        let content = &mut self.context.sink.batch.content;
        content.extend_from_slice(&rest);
        self.blocks.retain(|block| block.start + BLOCK as i64 >= next as i64);
        self.blocks.iter_mut().for_each(|block| block.start -= next as i64);
        (self.block, self.at, self.from) = (0, Some(0), 0);
        (self.first_row, self.vouched) = (0, 0);
        Ok(())
    }

    /// Puts the rows into the order of the new file: oldest first, equal times as they were added.
    fn emit(&mut self) {
        let report = &mut self.context.account.report;
        let batch = &mut self.context.sink.batch;
        let rows = batch.rows.get_mut(self.first_row..).unwrap_or_default();
        let mut is_ordered = true;
        for row in rows.iter() {
            is_ordered &= self.last.is_none_or(|last| i64::from(last) >= row.timestamp);
            self.last = Some(row.timestamp as u32);
            self.is_hidden |= row.data.is_empty();
            report.hidden_events += u64::from(self.is_hidden);
            report.index_entries += row.pairs.len() as u64;
        }
        self.events += rows.len() as u64;
        if is_ordered {
            rows.reverse();
            rows.chunk_by_mut(|a, b| a.timestamp == b.timestamp).for_each(<[Row]>::reverse);
        } else {
            rows.sort_by_key(|row| row.timestamp);
        }
        self.is_ordered &= is_ordered;
        batch.group(self.grouping.space, self.grouping.name, self.first_row);
    }

    /// The end of the section, or of a part: how many events there were.
    fn finish(mut self) -> Result<u64> {
        if self.skip == 0 {
            self.end()?;
        } else {
            self.lose(self.grouping.section.clone(), "the section ends inside a record");
        }
        let zeros = self.rows().iter().rev().take_while(|row| is_zeros(row)).count();
        if zeros >= LIKE_LOST_PAGES {
            let reason =
                format!("{zeros} events of time 0 without data at the end: lost pages look like this");
            self.lose(self.grouping.section.clone(), reason);
        }
        while self.entries.peek().is_some_and(|place| self.end.is_none_or(|end| place < end)) {
            self.context.lose_entries_at(self.entries)?;
        }
        self.emit();
        if !self.is_ordered {
            self.context.account.report.unordered_groupings += 1;
            let reason = "timestamps do not descend: the old writer cut them to 32 bits, or they are damaged";
            self.lose(self.grouping.section.clone(), reason);
        }
        Ok(self.events)
    }

    /// What is left when all records were taken must be the end marker.
    fn end(&mut self) -> Result<()> {
        loop {
            let Some(at) = self.at else {
                let len = self.content().len();
                if self.from + 1 >= len || !self.find_start(true)? {
                    return Ok(());
                }
                self.parse(0)?;
                continue;
            };
            match self.content().get(at..).unwrap_or_default() {
                [0] => return Ok(()),
                _ if self.is_cut => return Ok(()),
                [] => {
                    self.lose(self.grouping.section.clone(), "the end marker is missing");
                    return Ok(());
                }
                [marker] => {
                    let reason = format!("the end marker is {marker}, not 0");
                    self.lose(self.file_range(at), reason);
                    return Ok(());
                }
                _ => self.astray(at, None, "the last record does not end with its section")?,
            }
        }
    }
}

/// An event of time 0 without data: five bytes of zeros.
fn is_zeros(row: &Row) -> bool {
    row.timestamp == 0 && row.data.is_empty()
}
