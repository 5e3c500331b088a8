//! Ascending time numbers from both ends: a range, or what posting lists have in common inside it.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Result, Section};
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

    pub(crate) fn next(&mut self) -> Result<Option<u64>> {
        match self {
            Self::Range(range) => Ok(range.next()),
            Self::Lists(lists) => lists.next(),
        }
    }

    pub(crate) fn next_back(&mut self) -> Result<Option<u64>> {
        match self {
            Self::Range(range) => Ok(range.next_back()),
            Self::Lists(lists) => lists.next_back(),
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
    Tree::of(file, name.tree, name.values, Section::Values).get(value, ValueEntry::decode)
}

/// What all of several unions contain.
pub(crate) struct Intersection {
    unions: Vec<Union>,
}

impl Intersection {
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
        self.lists.iter().map(ListEnds::count).sum()
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
        self.front.get(self.positions.start).map(Some)
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
        self.back.get(self.positions.end - 1).map(Some)
    }
}
