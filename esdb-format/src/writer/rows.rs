//! Events of consecutive blocks, one after another: how what was written too early is read again.

use std::sync::Arc;

use super::ordered::{Ordered, OrderedPairs};
use crate::block::{Block, read_block};
use crate::codecs::Codecs;
use crate::error::{Result, Section};
use crate::header::Layout;
use crate::source::{Source, read};

/// A place among the events of consecutive blocks.
pub(crate) struct BlockRows<S> {
    source: S,
    layout: Layout,
    codecs: Arc<Codecs>,
    /// Where the blocks to come stand.
    blocks: std::ops::Range<u64>,
    current: Option<Current>,
    /// Data of the current frame, once an event of it was asked for.
    data: Option<Vec<u8>>,
}

struct Current {
    block: Block,
    row: usize,
    frame: usize,
}

impl<S: Source> BlockRows<S> {
    /// Before the first event of the blocks that stand at `blocks`, without gaps.
    pub(crate) fn new(source: S, layout: Layout, codecs: Arc<Codecs>, blocks: std::ops::Range<u64>) -> Self {
        Self { source, layout, codecs, blocks, current: None, data: None }
    }

    /// Moves to the next event, if there is one.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        if let Some(current) = &mut self.current {
            current.row += 1;
            if current.row < current.block.rows() {
                if current.row >= current.block.frames()?.rows(current.frame).end {
                    current.frame += 1;
                    self.data = None;
                }
                return Ok(true);
            }
        }
        if self.blocks.is_empty() {
            self.current = None;
            return Ok(false);
        }
        let block = read_block(&self.source, self.blocks.start, &self.layout, &self.codecs)?;
        self.blocks.start += block.head().block_len();
        block.frames()?;
        block.whole()?;
        block.indexes()?;
        self.current = Some(Current { block, row: 0, frame: 0 });
        self.data = None;
        Ok(true)
    }

    /// Space, grouping and timestamp of the current event; `None` behind the last one.
    pub(crate) fn key(&self) -> Option<(&[u8], &[u8], i64)> {
        let Current { block, row, .. } = self.current.as_ref()?;
        let (space, grouping) = block.keys_of(*row);
        Some((space, grouping, *block.times().ok()?.get(*row)?))
    }

    /// The current event, if there is one.
    pub(crate) fn event(&mut self) -> Result<Option<Ordered<'_>>> {
        let Some(Current { block, row, frame }) = &self.current else { return Ok(None) };
        let (frames, whole, (space, grouping)) = (block.frames()?, block.whole()?, block.keys_of(*row));
        let data = match &mut self.data {
            Some(data) => data,
            unread => {
                let frame = whole.frame(frames, *frame);
                let stored = read(&self.source, frame.offset, frame.len as u64, Section::Frame, "B7")?;
                let mut data = Vec::new();
                self.codecs.unpack_frame(&stored, &frame, &mut data)?;
                unread.insert(data)
            }
        };
        Ok(Some(Ordered {
            space,
            grouping,
            timestamp: block.times()?[*row],
            pairs: OrderedPairs::Block(block.indexes()?.pairs(*row)),
            data: &data[whole.range_in(frames, *frame, *row)],
        }))
    }
}
