//! What is in a file: spaces, groupings, index names and values, from the tables alone and in key order.

use std::ops::Range;
use std::sync::Arc;

use crate::codec::key64;
use crate::error::{Error, Result, Section};
use crate::file::OpenFile;
use crate::scan::{Ordinals, space_entry, timestamp_of};
use crate::tables::{Extent, NameEntry, RunEntry, ValueEntry};
use crate::tree::{Tree, TreeCursor};

/// A space, a grouping or an index value, and the extent of its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The space, the grouping, or the value.
    pub key: Vec<u8>,
    /// Its events.
    pub extent: Extent,
}

/// A space in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSpace {
    /// The space.
    pub key: Vec<u8>,
    /// Its events.
    pub extent: Extent,
    /// How many groupings it has.
    pub groupings: u64,
}

/// An index name in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedName {
    /// The name.
    pub key: Vec<u8>,
    /// How many different values it has.
    pub values: u64,
    /// Its entries: an event with two values counts twice.
    pub extent: Extent,
}

type Cursor = TreeCursor<Arc<OpenFile>>;

/// The spaces of a file, in key order. Reads a page at a time.
pub struct Spaces {
    cursor: Cursor,
    ended: bool,
}

impl Spaces {
    pub(crate) fn new(file: &Arc<OpenFile>) -> Self {
        Self { cursor: file.spaces().cursor(), ended: false }
    }

    fn step(&mut self) -> Result<Option<ListedSpace>> {
        if !self.cursor.next()? {
            return Ok(None);
        }
        let row = self.cursor.leaf().row()?;
        Ok(Some(ListedSpace {
            key: self.cursor.key().to_vec(),
            extent: row.extent,
            groupings: row.groupings,
        }))
    }
}

/// The groupings of a space, in key order. Reads a page at a time.
pub struct Groupings {
    /// The grouping of a space that has only one.
    only: Option<Listed>,
    /// Place and number of those in the table.
    cursor: Cursor,
    /// What all keys of the space begin with.
    prefix: [u8; 8],
    left: u64,
    ended: bool,
}

impl Groupings {
    pub(crate) fn new(file: &Arc<OpenFile>, space: &[u8]) -> Result<Self> {
        let mut cursor = file.groupings().cursor();
        let (mut only, mut left, mut prefix) = (None, 0, [0; 8]);
        match space_entry(file, space)? {
            Some(RunEntry { only_grouping: Some(key), extent, .. }) => only = Some(Listed { key, extent }),
            Some(entry) => {
                (left, prefix) = (entry.groupings, key64(entry.first_ordinal));
                if !cursor.seek(&prefix)? {
                    let offset = file.footer.roots.groupings.page.offset;
                    return Err(Error::corrupt(
                        Section::Groupings,
                        offset,
                        "T3",
                        "the groupings of a space are missing",
                    ));
                }
            }
            None => {}
        }
        Ok(Self { only, cursor, prefix, left, ended: false })
    }

    fn step(&mut self) -> Result<Option<Listed>> {
        if self.only.is_some() || self.left == 0 {
            return Ok(self.only.take());
        }
        let extent = self.cursor.leaf().row()?.extent;
        let Some(key) = self.cursor.key().strip_prefix(&self.prefix).map(<[u8]>::to_vec) else {
            return Err(self.cursor.value().corrupt("T3", format!("{} more groupings expected", self.left)));
        };
        self.left = self.left.saturating_sub(1);
        if self.left > 0 && !self.cursor.next()? {
            return Err(self.cursor.value().corrupt("T3", format!("{} more groupings expected", self.left)));
        }
        Ok(Some(Listed { key, extent }))
    }
}

/// The index names of a file, in key order. Reads a page at a time.
pub struct IndexNames {
    cursor: Cursor,
    ended: bool,
}

impl IndexNames {
    pub(crate) fn new(file: &Arc<OpenFile>) -> Self {
        Self { cursor: file.names().cursor(), ended: false }
    }

    fn step(&mut self) -> Result<Option<ListedName>> {
        if !self.cursor.next()? {
            return Ok(None);
        }
        let entry = NameEntry::decode(self.cursor.value())?;
        Ok(Some(ListedName { key: self.cursor.key().to_vec(), values: entry.values, extent: entry.extent }))
    }
}

/// The values of an index, in key order. Reads a page at a time.
pub struct IndexValues {
    cursor: Option<Cursor>,
    space: Option<InSpace>,
    ended: bool,
}

/// What narrows a listing of values to a space.
struct InSpace {
    file: Arc<OpenFile>,
    numbers: Range<u64>,
    ordinals: Ordinals,
    blocks: Cursor,
}

impl IndexValues {
    pub(crate) fn new(file: &Arc<OpenFile>, name: &[u8], space: Option<&[u8]>) -> Result<Self> {
        let entry = file.names().get(name, NameEntry::decode)?;
        let tree = |entry: NameEntry| Tree::of(Arc::clone(file), entry.tree, entry.values, Section::Values);
        let mut cursor = entry.map(|entry| tree(entry).cursor());
        let mut in_space = None;
        if let Some(space) = space {
            match space_entry(file, space)? {
                Some(entry) => {
                    in_space = Some(InSpace {
                        file: Arc::clone(file),
                        numbers: entry.ordinals(),
                        ordinals: Ordinals::of_space(file, &entry),
                        blocks: file.blocks().cursor(),
                    });
                }
                None => cursor = None,
            }
        }
        Ok(Self { cursor, space: in_space, ended: false })
    }

    fn step(&mut self) -> Result<Option<Listed>> {
        let Some(cursor) = &mut self.cursor else { return Ok(None) };
        while cursor.next()? {
            let extent = match &mut self.space {
                None => Some(ValueEntry::decode_extent(&mut cursor.value())?),
                Some(space) => space.extent(&ValueEntry::decode(cursor.value())?)?,
            };
            if let Some(extent) = extent {
                return Ok(Some(Listed { key: cursor.key().to_vec(), extent }));
            }
        }
        Ok(None)
    }
}

impl InSpace {
    /// The part of a value's events that lie in the space. In time order the first is the oldest.
    fn extent(&mut self, value: &ValueEntry) -> Result<Option<Extent>> {
        let mut list = value.list.cursor(&self.file);
        let start = list.position_of(self.numbers.start)?;
        let end = list.position_of(self.numbers.end)?;
        if start >= end {
            return Ok(None);
        }
        let mut time = |position: u64| -> Result<i64> {
            let ordinal = self.ordinals.get(list.get(position)?)?;
            timestamp_of(&self.file, &mut self.blocks, ordinal)
        };
        let (count, last) = (end.saturating_sub(start), end.saturating_sub(1));
        Ok(Some(Extent { count, first: time(start)?, last: time(last)? }))
    }
}

/// Ends after the first error, as scans do.
macro_rules! listing {
    ($($listing:ty => $item:ty),+) => {$(
        impl Iterator for $listing {
            type Item = Result<$item>;

            fn next(&mut self) -> Option<Self::Item> {
                if self.ended {
                    return None;
                }
                let item = self.step().transpose();
                self.ended = !matches!(item, Some(Ok(_)));
                item
            }
        }

        impl std::iter::FusedIterator for $listing {}
    )+};
}

listing!(Spaces => ListedSpace, Groupings => Listed, IndexNames => ListedName, IndexValues => Listed);
