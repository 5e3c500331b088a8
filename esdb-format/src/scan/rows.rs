//! Scanning contiguous ordinals block by block, from both ends.

use std::ops::Range;
use std::sync::Arc;

use crate::block::Block;
use crate::codec::key64;
use crate::error::{Error, Result, Section};
use crate::file::OpenFile;
use crate::tables::BlockEntry;
use crate::tree::TreeCursor;

use super::{StoredEvent, Times};

/// What a row must satisfy beside its ordinal.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowFilter {
    pub(crate) times: Times,
    pub(crate) indexes: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

impl RowFilter {
    pub(crate) fn is_everything(&self) -> bool {
        self.times.is_everything() && self.indexes.is_empty()
    }

    /// Whether no row of the block can satisfy it.
    pub(crate) fn excludes(&self, block: &BlockEntry) -> bool {
        block.last < self.times.first || block.first > self.times.last
    }

    /// The rows of `rows` that satisfy it, ascending.
    pub(crate) fn select(&self, block: &Block, rows: Range<usize>) -> Result<Vec<u32>> {
        let times = block.times()?;
        let mut selected: Vec<u32> = match self.times.is_everything() {
            true => rows.map(|row| row as u32).collect(),
            false => rows.filter(|&row| self.times.contains(times[row])).map(|row| row as u32).collect(),
        };
        for (name, values) in &self.indexes {
            let indexes = block.indexes()?;
            let Some(column) = indexes.column(name) else { return Ok(Vec::new()) };
            let places: Vec<u32> = values.iter().filter_map(|value| indexes.place(column, value)).collect();
            let column = &indexes.columns()[column];
            selected.retain(|&row| column.places(row as usize).iter().any(|place| places.contains(place)));
        }
        Ok(selected)
    }
}

/// A scan over the ordinals `left`, of the rows that satisfy the filter.
pub(crate) struct RowScan {
    file: Arc<OpenFile>,
    filter: RowFilter,
    /// What neither end has passed yet.
    left: Range<u64>,
    front: End,
    back: End,
}

/// One end of a scan: the block it is in, and the frame.
struct End {
    blocks: TreeCursor<Arc<OpenFile>>,
    block: Option<Arc<Block>>,
    /// The rows of the block that are to come.
    rows: Rows,
    frame: Option<usize>,
    frame_rows: Range<usize>,
    data: Arc<Vec<u8>>,
    stored: Vec<u8>,
}

enum Rows {
    All(Range<usize>),
    Listed(std::vec::IntoIter<u32>),
}

impl RowScan {
    pub(crate) fn new(file: &Arc<OpenFile>, ordinals: Range<u64>, filter: RowFilter) -> Self {
        let end = || End::new(file);
        Self { file: Arc::clone(file), filter, left: ordinals, front: end(), back: end() }
    }

    pub(crate) fn next(&mut self, slot: &mut Option<StoredEvent>) -> Result<bool> {
        loop {
            if let (Some(row), Some(block)) = (self.front.rows.next(), &self.front.block) {
                let ordinal = block.head().first_ordinal + row as u64;
                if ordinal >= self.left.end {
                    return Ok(false);
                }
                self.left.start = ordinal + 1;
                return self.front.give(&self.file, row, slot);
            }
            let after = self.front.block.as_ref().map(|block| block.head().end_ordinal());
            self.left.start = self.left.start.max(after.unwrap_or(0));
            if self.left.is_empty() {
                return Ok(false);
            }
            self.front.enter(&self.file, self.left.start, &self.left, &self.filter)?;
        }
    }

    pub(crate) fn next_back(&mut self, slot: &mut Option<StoredEvent>) -> Result<bool> {
        loop {
            if let (Some(row), Some(block)) = (self.back.rows.next_back(), &self.back.block) {
                let ordinal = block.head().first_ordinal + row as u64;
                if ordinal < self.left.start {
                    return Ok(false);
                }
                self.left.end = ordinal;
                return self.back.give(&self.file, row, slot);
            }
            let before = self.back.block.as_ref().map(|block| block.head().first_ordinal);
            self.left.end = self.left.end.min(before.unwrap_or(u64::MAX));
            if self.left.is_empty() {
                return Ok(false);
            }
            self.back.enter(&self.file, self.left.end - 1, &self.left, &self.filter)?;
        }
    }
}

/// The entry of the block that should hold `ordinal`.
pub(crate) fn block_entry(blocks: &mut TreeCursor<Arc<OpenFile>>, ordinal: u64) -> Result<BlockEntry> {
    if !blocks.floor(&key64(ordinal))? {
        return Err(Error::corrupt(Section::Blocks, 0, "T1", format!("no block holds event {ordinal}")));
    }
    BlockEntry::decode(blocks.key(), blocks.value())
}

/// The block that holds `ordinal`.
pub(crate) fn block_of(
    file: &OpenFile,
    blocks: &mut TreeCursor<Arc<OpenFile>>,
    ordinal: u64,
) -> Result<Arc<Block>> {
    let block = file.block(&block_entry(blocks, ordinal)?)?;
    check_holds(file, &block, ordinal)?;
    Ok(block)
}

/// The block holds `ordinal`, and no event that the footer does not count.
pub(crate) fn check_holds(file: &OpenFile, block: &Block, ordinal: u64) -> Result<()> {
    let (head, events) = (block.head(), file.footer.events);
    if ordinal >= head.end_ordinal() || head.end_ordinal() > events {
        let reason = format!(
            "events {} to {} are here, {ordinal} of {events} is wanted",
            head.first_ordinal,
            head.end_ordinal()
        );
        return Err(Error::corrupt(Section::Block, head.offset, "B2", reason));
    }
    Ok(())
}

impl End {
    fn new(file: &Arc<OpenFile>) -> Self {
        Self {
            blocks: file.blocks().cursor(),
            block: None,
            rows: Rows::All(0..0),
            frame: None,
            frame_rows: 0..0,
            data: Arc::default(),
            stored: Vec::new(),
        }
    }

    /// Goes to the block that holds `ordinal`.
    fn enter(
        &mut self,
        file: &Arc<OpenFile>,
        ordinal: u64,
        left: &Range<u64>,
        filter: &RowFilter,
    ) -> Result<()> {
        let entry = block_entry(&mut self.blocks, ordinal)?;
        let block = file.block(&entry)?;
        let head = *block.head();
        check_holds(file, &block, ordinal)?;
        let start = left.start.saturating_sub(head.first_ordinal) as usize;
        let end = (left.end - head.first_ordinal).min(u64::from(head.count)) as usize;
        self.rows = if filter.excludes(&entry) {
            Rows::All(0..0)
        } else if filter.is_everything() {
            Rows::All(start..end)
        } else {
            Rows::Listed(filter.select(&block, start..end)?.into_iter())
        };
        self.block = Some(block);
        self.frame = None;
        self.frame_rows = 0..0;
        Ok(())
    }

    /// Puts the event of a row of the current block into `slot`.
    fn give(&mut self, file: &Arc<OpenFile>, row: usize, slot: &mut Option<StoredEvent>) -> Result<bool> {
        let Some(block) = &self.block else { return Ok(false) };
        let payload = block.payload()?;
        if !self.frame_rows.contains(&row) {
            let frame = payload.frame_of(row);
            let data = match Arc::get_mut(&mut self.data) {
                Some(data) => data,
                None => {
                    // Events of the frame before are still in somebody's hands, or in the slot.
                    self.data = Arc::default();
                    Arc::make_mut(&mut self.data)
                }
            };
            file.unpack_frame(&payload.frames()[frame], &mut self.stored, data)?;
            self.frame_rows = payload.frame_rows(frame);
            self.frame = Some(frame);
        }
        let range = payload.range_in(self.frame.unwrap_or(0), row);
        let timestamp = block.times()?[row];
        match slot {
            Some(event) if event.is_in(block) && Arc::ptr_eq(&event.data, &self.data) => {
                event.move_to(row, timestamp, range)
            }
            _ => *slot = Some(StoredEvent::of_block(block, row, timestamp, &self.data, range)),
        }
        Ok(true)
    }
}

impl Rows {
    fn next(&mut self) -> Option<usize> {
        match self {
            Self::All(rows) => rows.next(),
            Self::Listed(rows) => rows.next().map(|row| row as usize),
        }
    }

    fn next_back(&mut self) -> Option<usize> {
        match self {
            Self::All(rows) => rows.next_back(),
            Self::Listed(rows) => rows.next_back().map(|row| row as usize),
        }
    }
}
