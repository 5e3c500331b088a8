//! The label areas of a block: what its events are called and found by (spec §5.2, areas 5 to 7). Each has a checksum of its own, so
//! that whoever wants times and data alone leaves them unread.

use std::ops::Range;
use std::sync::Arc;

use crate::checksum::check;
use crate::codec::Decoder;
use crate::error::{Result, Section};
use crate::source::{Source, borrow};

/// The label areas of a block, and what they are read from.
pub(super) struct Labels {
    pub(super) bytes: LabelBytes,
    /// Where the first area begins in the file.
    pub(super) offset: u64,
    pub(super) keys: LabelArea,
    pub(super) values: LabelArea,
    /// One for each index name.
    pub(super) columns: Vec<LabelArea>,
    /// Whether checksums are compared.
    pub(super) checks: bool,
}

/// What label areas are read from.
pub(crate) enum LabelBytes {
    InFile(Arc<dyn Source>),
    AtHand(Vec<u8>),
}

/// Where an area lies, counted from the first one's beginning, and its checksum.
pub(super) struct LabelArea {
    pub(super) range: Range<usize>,
    pub(super) checksum: u32,
}

impl Labels {
    /// Bytes of memory in use.
    pub(super) fn memory(&self) -> usize {
        let at_hand = match &self.bytes {
            LabelBytes::InFile(_) => 0,
            LabelBytes::AtHand(bytes) => bytes.capacity(),
        };
        self.columns.capacity().saturating_mul(size_of::<LabelArea>()).saturating_add(at_hand)
    }

    /// Reads one area, into `buffer` if it is not at hand, and compares its checksum.
    pub(super) fn area<'a>(&'a self, area: &LabelArea, buffer: &'a mut Vec<u8>) -> Result<Decoder<'a>> {
        let mut bytes = self.read(&area.range, buffer)?;
        self.next(area, &mut bytes, self.checks)
    }

    /// Reads all areas and compares their checksums, whether or not that is wanted of who asks for them.
    pub(super) fn check(&self) -> Result<()> {
        let areas = [&self.keys, &self.values].into_iter().chain(&self.columns);
        let (start, mut buffer) = (self.keys.range.start, Vec::new());
        let end = self.columns.last().unwrap_or(&self.values).range.end;
        let mut bytes = self.read(&(start..end), &mut buffer)?;
        areas.into_iter().try_for_each(|area| self.next(area, &mut bytes, true).map(drop))
    }

    /// Reads all that says which index values the events have, with one read: the values, and the index columns.
    pub(super) fn indexes<'a>(&'a self, buffer: &'a mut Vec<u8>) -> Result<(Decoder<'a>, Vec<Decoder<'a>>)> {
        let end = self.columns.last().unwrap_or(&self.values).range.end;
        let mut bytes = self.read(&(self.values.range.start..end), buffer)?;
        let values = self.next(&self.values, &mut bytes, self.checks)?;
        let columns = self.columns.iter().map(|column| self.next(column, &mut bytes, self.checks));
        Ok((values, columns.collect::<Result<_>>()?))
    }

    fn read<'a>(&'a self, range: &Range<usize>, buffer: &'a mut Vec<u8>) -> Result<Decoder<'a>> {
        let offset = self.offset.saturating_add(range.start as u64);
        let bytes = match &self.bytes {
            LabelBytes::InFile(source) => {
                borrow(&**source, offset, range.len() as u64, buffer, Section::Block, "B4")?
            }
            LabelBytes::AtHand(bytes) => bytes.get(range.clone()).unwrap_or_default(),
        };
        Ok(Decoder::new(bytes, offset, Section::Block))
    }

    /// The area that comes next in `bytes`.
    fn next<'a>(&self, area: &LabelArea, bytes: &mut Decoder<'a>, checks: bool) -> Result<Decoder<'a>> {
        let offset = bytes.offset();
        let area_bytes = bytes.take(area.range.len(), "B4")?;
        if checks {
            check(area.checksum, area_bytes, Section::Block, offset, "B1")?;
        }
        Ok(Decoder::new(area_bytes, offset, Section::Block))
    }
}
