//! Choosing how a query is answered: by ordinals or by time numbers, and in which range of them (spec §9).

use std::ops::Range;
use std::sync::Arc;

use crate::codec::key64;
use crate::error::{Error, Result, Section};
use crate::file::OpenFile;
use crate::tables::{BlockEntry, RunEntry, grouping_key};
use crate::time_order::TimeFrame;

use super::blocks::{block_entry, rows_within, timestamp_of};
use super::filter::RowFilter;
use super::keys::KeysOf;
use super::numbers::Numbers;
use super::ordinals::Ordinals;
use super::rows::RowScan;
use super::window::WindowScan;
use super::{End, Selection, Times};

/// A scan under way.
pub(crate) enum Plan {
    Nothing,
    Rows(Box<RowScan>),
    Windows(Box<WindowScan>),
}

impl Plan {
    pub(crate) fn new(file: &Arc<OpenFile>, selection: &Selection) -> Result<Self> {
        let times = selection.times;
        if times.is_empty() || file.footer.events == 0 {
            return Ok(Self::Nothing);
        }
        let indexed = !selection.indexes.is_empty();
        let everything = 0..file.footer.events;
        let rows = |ordinals, filter, keys| Self::Rows(Box::new(RowScan::new(file, ordinals, filter, keys)));
        let windows = |numbers, ordinals, times, within, keys| {
            Self::Windows(Box::new(WindowScan::new(file, numbers, ordinals, times, within, keys)))
        };
        let Some(space) = &selection.space else {
            return Ok(if indexed {
                let numbers = Numbers::of_indexes(file, &selection.indexes, everything.clone())?;
                windows(numbers, Ordinals::new(file), times, everything, None)
            } else {
                rows(everything, RowFilter { times, indexes: Vec::new() }, None)
            });
        };
        let Some(entry) = space_entry(file, space)? else { return Ok(Self::Nothing) };
        let ordinals = Ordinals::of_space(file, &entry);
        let grouping = selection.grouping.as_ref().or(entry.only_grouping.as_ref());
        let keys = grouping.map(|grouping| KeysOf::all(space, grouping));
        if let Some(grouping) = &selection.grouping {
            let Some(all) = grouping_ordinals(file, &entry, grouping)? else { return Ok(Self::Nothing) };
            if !indexed {
                return Ok(rows(ordinals_in(file, &all, times)?, RowFilter::default(), keys));
            }
            let numbers =
                Numbers::of_indexes(file, &selection.indexes, time_numbers_in(file, &entry, times)?)?;
            // Reading a grouping's index columns is cheaper than following many lists that leave it.
            return Ok(if all.end - all.start <= numbers.count_at_most().saturating_mul(4) {
                let filter = RowFilter { times: Times::default(), indexes: selection.indexes.clone() };
                rows(ordinals_in(file, &all, times)?, filter, keys)
            } else {
                windows(numbers, ordinals, Times::default(), all, keys)
            });
        }
        let range = time_numbers_in(file, &entry, times)?;
        Ok(if indexed {
            let numbers = Numbers::of_indexes(file, &selection.indexes, range)?;
            windows(numbers, ordinals, Times::default(), entry.ordinals(), keys)
        } else if entry.groupings == 1 {
            rows(range, RowFilter::default(), keys)
        } else {
            windows(Numbers::Range(range), ordinals, Times::default(), entry.ordinals(), keys)
        })
    }

    /// Gives an end the next batch of events; false if none is left to fetch.
    pub(super) fn fill(&mut self, end: &mut End, back: bool) -> Result<bool> {
        match self {
            Self::Nothing => Ok(false),
            Self::Rows(scan) => scan.fill(end, back),
            Self::Windows(scan) => scan.fill(end, back),
        }
    }
}

/// The table entry of a space, if it has events.
pub(crate) fn space_entry(file: &Arc<OpenFile>, space: &[u8]) -> Result<Option<RunEntry>> {
    let found = file.spaces().find(space)?;
    let entry = found.map(|cursor| RunEntry::at(cursor.leaf())).transpose()?;
    if let Some(entry) = &entry
        && entry.ordinals().end > file.footer.events
    {
        let reason = format!("a space ends at event {} of {}", entry.ordinals().end, file.footer.events);
        return Err(Error::corrupt(Section::Spaces, file.footer.roots.spaces.page.offset, "T2", reason));
    }
    Ok(entry)
}

/// The ordinals of a grouping, if it has events.
pub(crate) fn grouping_ordinals(
    file: &Arc<OpenFile>,
    space: &RunEntry,
    grouping: &[u8],
) -> Result<Option<Range<u64>>> {
    if let Some(only) = &space.only_grouping {
        return Ok((only == grouping).then(|| space.ordinals()));
    }
    let key = grouping_key(space.first_ordinal, grouping);
    let Some(found) = file.groupings().find(&key)? else { return Ok(None) };
    let entry = RunEntry::at(found.leaf())?;
    if space.ordinals().start <= entry.first_ordinal && entry.ordinals().end <= space.ordinals().end {
        return Ok(Some(entry.ordinals()));
    }
    let offset = file.footer.roots.groupings.page.offset;
    Err(Error::corrupt(Section::Groupings, offset, "T3", "a grouping does not lie in its space"))
}

/// The part of a grouping's ordinals whose timestamps lie in `times`.
pub(crate) fn ordinals_in(file: &Arc<OpenFile>, all: &Range<u64>, times: Times) -> Result<Range<u64>> {
    if times.is_everything() {
        return Ok(all.clone());
    }
    let start = first_ordinal(file, all, |timestamp| timestamp < times.first)?;
    let end = first_ordinal(file, &(start..all.end), |timestamp| timestamp <= times.last)?;
    Ok(start..end)
}

/// The first of a grouping's ordinals whose timestamp is not `before`, which holds for the early ones.
fn first_ordinal(file: &Arc<OpenFile>, all: &Range<u64>, before: impl Fn(i64) -> bool) -> Result<u64> {
    if all.is_empty() {
        return Ok(all.end);
    }
    let mut blocks = file.blocks().cursor();
    block_entry(&mut blocks, all.end - 1)?;
    let last = blocks.position();
    block_entry(&mut blocks, all.start)?;
    let first = blocks.position();
    // A block that begins inside the grouping begins with its own smallest timestamp of it; that of the whole block
    // is the same but for the last one, which may hold other groupings.
    let position = blocks.partition(first + 1..last.max(first + 1), |blocks| {
        Ok(before(BlockEntry::at(blocks.leaf())?.first))
    })?;
    for position in position - 1..=last {
        blocks.go_to(position)?;
        let entry = BlockEntry::at(blocks.leaf())?;
        let columns = file.columns(&entry)?;
        let rows = rows_within(columns.head(), all);
        let early = columns.times()?[rows.clone()].partition_point(|&timestamp| before(timestamp));
        if early < rows.len() {
            return Ok(columns.head().first_ordinal + (rows.start + early) as u64);
        }
    }
    Ok(all.end)
}

/// The time numbers of a space whose timestamps lie in `times`.
pub(crate) fn time_numbers_in(file: &Arc<OpenFile>, space: &RunEntry, times: Times) -> Result<Range<u64>> {
    let all = space.ordinals();
    if space.groupings == 1 {
        return ordinals_in(file, &all, times);
    }
    if times.is_everything() {
        return Ok(all);
    }
    let start = first_time_number(file, &all, |timestamp| timestamp < times.first)?;
    let end = first_time_number(file, &(start..all.end), |timestamp| timestamp <= times.last)?;
    Ok(start..end)
}

/// The first of a space's time numbers whose timestamp is not `before`, which holds for the early ones.
fn first_time_number(file: &Arc<OpenFile>, all: &Range<u64>, before: impl Fn(i64) -> bool) -> Result<u64> {
    if all.is_empty() {
        return Ok(all.end);
    }
    let mut frames = file.time_order().cursor();
    let position_of = |frames: &mut crate::tree::TreeCursor<Arc<OpenFile>>, number: u64| -> Result<u64> {
        if frames.floor(&key64(number))? {
            return Ok(frames.position());
        }
        let offset = file.footer.roots.time_order.page.offset;
        Err(Error::corrupt(Section::TimeOrder, offset, "T6", format!("no frame holds time number {number}")))
    };
    let first = position_of(&mut frames, all.start)?;
    let last = position_of(&mut frames, all.end - 1)?;
    // The frame that may hold the border is the last one that begins before it.
    let position =
        frames.partition(first + 1..last + 1, |frames| Ok(before(TimeFrame::peek(frames.value())?.1)))? - 1;
    frames.go_to(position)?;
    let key = crate::codec::from_key64(frames.key()).unwrap_or(all.start);
    let count = TimeFrame::peek(frames.value())?.0;
    let (mut low, mut high) = (key.max(all.start), key.saturating_add(count).min(all.end));
    let (mut ordinals, mut blocks) = (Ordinals::covering(file, all.clone()), file.blocks().cursor());
    while low < high {
        let middle = low.midpoint(high);
        let ordinal = ordinals.get(middle)?;
        if before(timestamp_of(file, &mut blocks, ordinal)?) { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}
