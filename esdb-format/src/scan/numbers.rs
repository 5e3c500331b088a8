//! Ascending time numbers from both ends: a range, or what posting lists have in common inside it.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result, Section};
use crate::file::OpenFile;
use crate::postings::{List, ListCursor};
use crate::tables::{NameEntry, ValueEntry};
use crate::tree::Tree;

/// The time numbers of a query.
pub(crate) enum Numbers {
    Range(Range<u64>),
    Lists(Intersection),
}

impl Numbers {
    /// The numbers in `range` of the events that have, for every name, one of its values.
    pub(crate) fn of_indexes(
        file: &Arc<OpenFile>,
        indexes: &[(Vec<u8>, Vec<Vec<u8>>)],
        range: Range<u64>,
    ) -> Result<Self> {
        let mut unions = Vec::new();
        for (name, values) in indexes {
            let mut lists = Vec::new();
            for value in values {
                if let Some(entry) = value_list(file, name, value)? {
                    lists.push(ListEnds::new(&entry.list, file, &range)?);
                }
            }
            unions.push(Union { lists });
        }
        // The rarest condition leads.
        unions.sort_by_key(Union::count);
        Ok(Self::Lists(Intersection { unions }))
    }

    /// Appends the next numbers until `into` holds `count`, or there are no more: the smallest ones ascending or, from the back,
    /// the largest ones descending.
    pub(crate) fn take(&mut self, count: usize, back: bool, into: &mut Vec<u64>) -> Result<()> {
        match self {
            Self::Range(range) => {
                let few = (range.end - range.start).min(count.saturating_sub(into.len()) as u64);
                if back {
                    into.extend((range.end - few..range.end).rev());
                    range.end -= few;
                } else {
                    into.extend(range.start..range.start + few);
                    range.start += few;
                }
                Ok(())
            }
            Self::Lists(lists) => lists.take(count, back, into),
        }
    }

    /// At least as many numbers as are left.
    pub(crate) fn count_at_most(&self) -> u64 {
        match self {
            Self::Range(range) => range.end - range.start,
            Self::Lists(lists) => lists.unions.iter().map(Union::count).min().unwrap_or(0),
        }
    }

    /// Exactly how many numbers are left, if that is known without walking through them.
    pub(crate) fn count_exactly(&self) -> Option<u64> {
        match self {
            Self::Range(range) => Some(range.end - range.start),
            Self::Lists(Intersection { unions }) => match unions.as_slice() {
                [Union { lists }] if lists.len() <= 1 => Some(lists.iter().map(ListEnds::count).sum()),
                _ => None,
            },
        }
    }
}

/// The table entry of an index value, if any event has it.
pub(crate) fn value_list(file: &Arc<OpenFile>, name: &[u8], value: &[u8]) -> Result<Option<ValueEntry>> {
    let Some(name) = file.names().get(name, NameEntry::decode)? else { return Ok(None) };
    let entry = Tree::of(file, name.tree, name.values, Section::Values).get(value, ValueEntry::decode)?;
    if let Some(entry) = &entry
        && entry.extent.count > file.footer.events
    {
        let reason = format!("{} events of {} have a value", entry.extent.count, file.footer.events);
        return Err(Error::corrupt(Section::Values, name.tree.offset, "T4", reason));
    }
    Ok(entry)
}

/// What all of several unions contain.
pub(crate) struct Intersection {
    unions: Vec<Union>,
}

impl Intersection {
    fn take(&mut self, count: usize, back: bool, into: &mut Vec<u64>) -> Result<()> {
        if let [Union { lists }] = self.unions.as_mut_slice()
            && let [list] = lists.as_mut_slice()
        {
            return list.take(count, back, into);
        }
        while into.len() < count {
            match if back { self.next_back()? } else { self.next()? } {
                Some(number) => into.push(number),
                None => break,
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<u64>> {
        let found = agree(&mut self.unions, 0, Union::seek)?;
        if let Some(number) = found {
            self.unions.iter_mut().try_for_each(|union| union.skip(number))?;
        }
        Ok(found)
    }

    fn next_back(&mut self) -> Result<Option<u64>> {
        let found = agree(&mut self.unions, u64::MAX, Union::seek_back)?;
        if let Some(number) = found {
            self.unions.iter_mut().try_for_each(|union| union.skip_back(number))?;
        }
        Ok(found)
    }
}

/// The nearest number that all unions contain; `seek` moves one of them to a wanted number or past it.
fn agree(
    unions: &mut [Union],
    mut wanted: u64,
    seek: impl Fn(&mut Union, u64) -> Result<Option<u64>>,
) -> Result<Option<u64>> {
    let mut agreed = 0;
    while agreed < unions.len() {
        agreed = 0;
        for union in &mut *unions {
            match seek(union, wanted)? {
                Some(found) if found == wanted => agreed += 1,
                Some(found) => {
                    wanted = found;
                    break;
                }
                None => return Ok(None),
            }
        }
    }
    Ok((agreed > 0).then_some(wanted))
}

/// What any of several lists contains.
struct Union {
    lists: Vec<ListEnds>,
}

impl Union {
    fn count(&self) -> u64 {
        self.lists.iter().map(ListEnds::count).fold(0, u64::saturating_add)
    }

    /// The first number not less than `wanted`.
    fn seek(&mut self, wanted: u64) -> Result<Option<u64>> {
        let mut best = None;
        for list in &mut self.lists {
            let found = list.seek(wanted)?;
            best = best.into_iter().chain(found).min();
        }
        Ok(best)
    }

    /// The last number not greater than `wanted`.
    fn seek_back(&mut self, wanted: u64) -> Result<Option<u64>> {
        let mut best = None;
        for list in &mut self.lists {
            let found = list.seek_back(wanted)?;
            best = best.into_iter().chain(found).max();
        }
        Ok(best)
    }

    /// Goes past `number`.
    fn skip(&mut self, number: u64) -> Result<()> {
        for list in &mut self.lists {
            if list.seek(number)? == Some(number) {
                list.positions.start += 1;
            }
        }
        Ok(())
    }

    fn skip_back(&mut self, number: u64) -> Result<()> {
        for list in &mut self.lists {
            if list.seek_back(number)? == Some(number) {
                list.positions.end -= 1;
            }
        }
        Ok(())
    }
}

/// A posting list between two positions, which move towards one another.
struct ListEnds {
    front: ListCursor<Arc<OpenFile>>,
    back: ListCursor<Arc<OpenFile>>,
    positions: Range<u64>,
}

impl ListEnds {
    /// The part of the list that lies in `range`.
    fn new(list: &List, file: &Arc<OpenFile>, range: &Range<u64>) -> Result<Self> {
        let mut front = list.cursor(Arc::clone(file));
        let mut back = list.cursor(Arc::clone(file));
        let everything = *range == (0..file.footer.events);
        let positions = match everything {
            true => 0..list.count(),
            false => front.position_of(range.start)?..back.position_of(range.end)?,
        };
        Ok(Self { front, back, positions })
    }

    fn count(&self) -> u64 {
        self.positions.end.saturating_sub(self.positions.start)
    }

    /// See [`Numbers::take`]. Takes whole stretches of frames.
    fn take(&mut self, count: usize, back: bool, into: &mut Vec<u64>) -> Result<()> {
        while into.len() < count && !self.positions.is_empty() {
            let room = (count - into.len()).min(usize::try_from(self.count()).unwrap_or(usize::MAX));
            if back {
                let numbers = self.back.up_to(self.positions.end - 1)?;
                let numbers = &numbers[numbers.len().saturating_sub(room)..];
                into.extend(numbers.iter().rev());
                self.positions.end -= numbers.len() as u64;
            } else {
                let numbers = self.front.from(self.positions.start)?;
                let numbers = &numbers[..numbers.len().min(room)];
                into.extend_from_slice(numbers);
                self.positions.start += numbers.len() as u64;
            }
        }
        Ok(())
    }

    fn seek(&mut self, wanted: u64) -> Result<Option<u64>> {
        if self.positions.is_empty() {
            return Ok(None);
        }
        let here = self.front.get(self.positions.start)?;
        if here >= wanted {
            return Ok(Some(here));
        }
        self.positions.start = self.front.position_of(wanted)?.max(self.positions.start);
        if self.positions.is_empty() {
            return Ok(None);
        }
        match self.front.get(self.positions.start)? {
            found if found >= wanted => Ok(Some(found)),
            found => Err(descends(found, wanted)),
        }
    }

    fn seek_back(&mut self, wanted: u64) -> Result<Option<u64>> {
        if self.positions.is_empty() {
            return Ok(None);
        }
        let here = self.back.get(self.positions.end - 1)?;
        if here <= wanted {
            return Ok(Some(here));
        }
        // Something greater than `wanted` was found, so there is a number after it.
        self.positions.end = self.back.position_of(wanted + 1)?.min(self.positions.end);
        if self.positions.is_empty() {
            return Ok(None);
        }
        match self.back.get(self.positions.end - 1)? {
            found if found <= wanted => Ok(Some(found)),
            found => Err(descends(wanted, found)),
        }
    }
}

/// A search found something that cannot be there if the list ascends.
fn descends(smaller: u64, larger: u64) -> Error {
    let reason = format!("time numbers do not ascend between {smaller} and {larger}");
    Error::corrupt(Section::Postings, 0, "T5", reason)
}
