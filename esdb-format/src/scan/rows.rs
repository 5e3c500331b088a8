//! Scanning contiguous ordinals, a payload frame at a time, from both ends.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::block::{Columns, FrameTable, Indexes, Part};
use crate::error::Result;
use crate::file::{Frames, Keep, OpenFile};
use crate::limits;

use super::blocks::{BlockCursor, block_entry, check_holds, end_of_block, rows_within};
use super::event::Batch;
use super::filter::RowFilter;
use super::keys::KeysOf;
use super::{End, Rows};

/// The events of one payload frame. Their rows are those of the block.
pub(crate) struct FrameEvents {
    block: Arc<OpenBlock>,
    part: Part,
    data: Arc<Vec<u8>>,
    /// Where the frame's data begins among that of the part.
    start: u32,
}

/// What a scan needs of a block to give its events.
struct OpenBlock {
    file: Arc<OpenFile>,
    columns: Arc<Columns>,
    keys: KeysOf,
    frames: Arc<FrameTable>,
    indexes: OnceLock<Arc<Indexes>>,
}

impl OpenBlock {
    fn new(file: &Arc<OpenFile>, columns: Arc<Columns>, keys: Option<&KeysOf>) -> Result<Self> {
        Ok(Self {
            file: Arc::clone(file),
            keys: KeysOf::of_block(file, &columns, keys)?,
            frames: Arc::clone(columns.frames()?),
            columns,
            indexes: OnceLock::new(),
        })
    }

    fn ordinals(&self) -> Range<u64> {
        let head = self.columns.head();
        head.first_ordinal..head.end_ordinal()
    }
}

impl FrameEvents {
    #[inline]
    pub(super) fn timestamp(&self, row: usize) -> i64 {
        self.part.time(row)
    }

    pub(super) fn ordinal(&self, row: usize) -> u64 {
        self.block.columns.head().first_ordinal + row as u64
    }

    #[inline]
    pub(super) fn data(&self, row: usize) -> &[u8] {
        &self.data[self.part.range_from(self.start, row)]
    }

    pub(super) fn keys(&self, row: usize) -> (&[u8], &[u8]) {
        self.block.keys.of_row(row, &self.block.columns)
    }

    pub(super) fn indexes(&self) -> Result<&Indexes> {
        let OpenBlock { file, columns, indexes, .. } = &*self.block;
        if let Some(indexes) = indexes.get() {
            return Ok(indexes);
        }
        let fetched = file.indexes(columns)?;
        Ok(indexes.get_or_init(|| fetched))
    }
}

/// A scan over the ordinals `left`, of the rows that satisfy the filter.
pub(crate) struct RowScan {
    file: Arc<OpenFile>,
    filter: RowFilter,
    /// If they are the same for all events.
    keys: Option<KeysOf>,
    /// What no end has fetched yet.
    left: Range<u64>,
    frames: Frames,
    /// Whether columns and frames are kept in the cache: those of short scans are likely to be asked for again.
    keeps: bool,
    front: Place,
    back: Place,
}

/// Where one end of a scan is.
struct Place {
    blocks: BlockCursor,
    block: Option<Arc<OpenBlock>>,
    /// The rows of the block that satisfy the filter, unless all do.
    rows: Option<Vec<u32>>,
    /// What was decoded of the block last.
    part: Option<Part>,
    /// Whether a frame was fetched: whoever wants the newest event waits for the rows of one frame only.
    begun: bool,
}

impl RowScan {
    pub(super) fn new(
        file: &Arc<OpenFile>,
        ordinals: Range<u64>,
        filter: RowFilter,
        keys: Option<KeysOf>,
    ) -> Self {
        let place =
            || Place { blocks: file.blocks().cursor(), block: None, rows: None, part: None, begun: false };
        Self {
            frames: file.frames(),
            filter,
            keys,
            keeps: ordinals.end - ordinals.start <= limits::BLOCK_EVENTS as u64,
            left: ordinals,
            front: place(),
            back: place(),
            file: Arc::clone(file),
        }
    }

    /// Gives an end the events of its next frame; false if there are none left to fetch.
    pub(super) fn fill(&mut self, end: &mut End, back: bool) -> Result<bool> {
        while !self.left.is_empty() {
            let place = if back { &mut self.back } else { &mut self.front };
            let ordinal = if back { self.left.end - 1 } else { self.left.start };
            let Some(block) = place.block.clone().filter(|block| block.ordinals().contains(&ordinal)) else {
                let (filter, keys) = (&self.filter, self.keys.as_ref());
                if let Some(passed) = place.enter(&self.file, ordinal, filter, keys, self.keeps)? {
                    self.pass(passed, back);
                }
                continue;
            };
            let Some((frame, here, rows)) = place.next_rows(&block, &self.left, back) else {
                self.pass(block.ordinals(), back);
                continue;
            };
            end.rows = rows;
            let first = block.ordinals().start;
            let part = place.part_with(&block, frame, &self.left)?;
            self.pass(first + here.start as u64..first + here.end as u64, back);
            self.load(end, block, part, frame)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Nothing up to the end of `ordinals`, seen from this side, is left to fetch.
    fn pass(&mut self, ordinals: Range<u64>, back: bool) {
        if back {
            self.left.end = self.left.end.min(ordinals.start).max(self.left.start);
        } else {
            self.left.start = self.left.start.max(ordinals.end).min(self.left.end);
        }
    }

    fn load(&mut self, end: &mut End, block: Arc<OpenBlock>, part: Part, frame: usize) -> Result<()> {
        let (start, at) = (part.start(block.frames.rows(frame).start), part.frame(&block.frames, frame));
        if self.keeps
            && let Some(data) = self.frames.kept(&at, Keep::Second)?
        {
            end.batch = Some(Arc::new(Batch::Frame(FrameEvents { block, part, data, start })));
            return Ok(());
        }
        // The buffer of the frame before is used again, unless its events are still in somebody's hands.
        if let Some(batch) = &mut end.batch
            && let Some(Batch::Frame(events)) = Arc::get_mut(batch)
            && let Some(data) = Arc::get_mut(&mut events.data)
        {
            self.frames.unpack(&at, data)?;
            (events.block, events.part, events.start) = (block, part, start);
            return Ok(());
        }
        let mut data = Vec::new();
        self.frames.unpack(&at, &mut data)?;
        end.batch = Some(Arc::new(Batch::Frame(FrameEvents { block, part, data: Arc::new(data), start })));
        Ok(())
    }
}

impl Place {
    /// Goes to the block that holds `ordinal`. If none of its events satisfies the filter, it is not entered: its ordinals
    /// are returned. `keeps`: its columns go into the cache.
    fn enter(
        &mut self,
        file: &Arc<OpenFile>,
        ordinal: u64,
        filter: &RowFilter,
        keys: Option<&KeysOf>,
        keeps: bool,
    ) -> Result<Option<Range<u64>>> {
        let entry = block_entry(&mut self.blocks, ordinal)?;
        if filter.excludes(&entry) {
            let end = end_of_block(file, &mut self.blocks, ordinal)?;
            return Ok(Some(entry.first_ordinal..end));
        }
        // What is asked of all columns for a few events is likely to be asked of them again.
        let keeps = keeps || !filter.is_everything();
        let columns = if keeps { file.columns(&entry) } else { file.columns_once(&entry) }?;
        let head = *columns.head();
        check_holds(file, &self.blocks, &head, ordinal)?;
        self.rows = match filter.is_everything() {
            true => None,
            false => Some(filter.select(&columns, 0..columns.rows())?),
        };
        if self.rows.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Some(head.first_ordinal..head.end_ordinal()));
        }
        self.block = Some(Arc::new(OpenBlock::new(file, columns, keys)?));
        self.part = None;
        Ok(None)
    }

    /// The part of the block that holds a frame: the frame alone for the first one and for few events, otherwise all that is `left`
    /// of the block.
    fn part_with(&mut self, block: &OpenBlock, frame: usize, left: &Range<u64>) -> Result<Part> {
        let rows = block.frames.rows(frame);
        if let Some(part) = self.part.as_ref().filter(|part| part.rows().contains(&rows.start)) {
            return Ok(part.clone());
        }
        let many = self.rows.as_ref().is_none_or(|rows| rows.len() > Columns::FEW_PARTS);
        let wanted = match self.begun && many {
            true => block.frames.widen(&rows_within(block.columns.head(), left)),
            false => rows,
        };
        self.begun = true;
        Ok(self.part.insert(block.columns.part(wanted)?).clone())
    }

    /// The frame nearest to this end that has rows among those `left`; what is passed with it, and the rows to give.
    fn next_rows(
        &self,
        block: &OpenBlock,
        left: &Range<u64>,
        back: bool,
    ) -> Option<(usize, Range<usize>, Rows)> {
        let within = rows_within(block.columns.head(), left);
        let in_frame = |row: usize| {
            let frame = block.frames.of_row(row);
            let rows = block.frames.rows(frame);
            (frame, rows.start.max(within.start)..rows.end.min(within.end))
        };
        let Some(rows) = &self.rows else {
            let (frame, here) = in_frame(if back { within.end - 1 } else { within.start });
            return Some((frame, here.clone(), Rows::All(here)));
        };
        let border = |row: usize| rows.partition_point(|&other| (other as usize) < row);
        let selected = &rows[border(within.start)..border(within.end)];
        let (frame, here) = in_frame(*if back { selected.last() } else { selected.first() }? as usize);
        let rows = rows[border(here.start)..border(here.end)].to_vec();
        Some((frame, here, Rows::Listed(rows.into_iter())))
    }
}
