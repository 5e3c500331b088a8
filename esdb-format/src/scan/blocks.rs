//! Finding the block that holds an ordinal.

use std::ops::Range;
use std::sync::Arc;

use crate::block::{Columns, Head};
use crate::codec::key64;
use crate::error::{Error, Result, Section};
use crate::file::OpenFile;
use crate::tables::BlockEntry;
use crate::tree::TreeCursor;

/// A place in the table of blocks.
pub(crate) type BlockCursor = TreeCursor<Arc<OpenFile>>;

/// The entry of the block that should hold `ordinal`.
pub(crate) fn block_entry(blocks: &mut BlockCursor, ordinal: u64) -> Result<BlockEntry> {
    if !blocks.floor(&key64(ordinal))? {
        return Err(Error::corrupt(Section::Blocks, 0, "T1", format!("no block holds event {ordinal}")));
    }
    BlockEntry::at(blocks.leaf())
}

/// The columns of the block that holds `ordinal`. `keeps`: they go into the cache.
pub(crate) fn columns_of(
    file: &OpenFile,
    blocks: &mut BlockCursor,
    ordinal: u64,
    keeps: bool,
) -> Result<Arc<Columns>> {
    let entry = block_entry(blocks, ordinal)?;
    let columns = if keeps { file.columns(&entry) } else { file.columns_once(&entry) }?;
    check_holds(file, blocks, columns.head(), ordinal)?;
    Ok(columns)
}

/// The ordinal behind the block that the cursor is at, which should hold `ordinal`, without reading the block.
pub(crate) fn end_of_block(file: &OpenFile, blocks: &mut BlockCursor, ordinal: u64) -> Result<u64> {
    let end = match blocks.next()? {
        true => BlockEntry::at(blocks.leaf())?.first_ordinal,
        false => file.footer.events,
    };
    if end <= ordinal {
        let reason = format!("the block of event {ordinal} ends at {end}");
        return Err(Error::corrupt(Section::Blocks, file.footer.roots.blocks.page.offset, "P2", reason));
    }
    Ok(end)
}

/// The block that the cursor is at holds `ordinal`, and no event that the footer does not count; the last one holds the last event.
pub(crate) fn check_holds(file: &OpenFile, blocks: &BlockCursor, head: &Head, ordinal: u64) -> Result<()> {
    let events = file.footer.events;
    let is_last = blocks.position() + 1 == blocks.entries();
    if is_last != (head.end_ordinal() == events) && head.end_ordinal() <= events {
        let reason = format!(
            "block {} of {} ends at event {} of {events}",
            blocks.position(),
            blocks.entries(),
            head.end_ordinal()
        );
        return Err(Error::corrupt(Section::Block, head.offset, "B2", reason));
    }
    if !(head.first_ordinal..head.end_ordinal()).contains(&ordinal) || head.end_ordinal() > events {
        let reason = format!(
            "events {} to {} are here, {ordinal} of {events} is wanted",
            head.first_ordinal,
            head.end_ordinal()
        );
        return Err(Error::corrupt(Section::Block, head.offset, "B2", reason));
    }
    Ok(())
}

/// The rows of a block whose ordinals lie in `ordinals`.
pub(crate) fn rows_within(head: &Head, ordinals: &Range<u64>) -> Range<usize> {
    let start = ordinals.start.saturating_sub(head.first_ordinal).min(u64::from(head.count));
    let end = ordinals.end.saturating_sub(head.first_ordinal).min(u64::from(head.count));
    start as usize..end as usize
}

/// The timestamp of an event, from its block's columns.
pub(crate) fn timestamp_of(file: &OpenFile, blocks: &mut BlockCursor, ordinal: u64) -> Result<i64> {
    let columns = columns_of(file, blocks, ordinal, true)?;
    columns.time((ordinal - columns.head().first_ordinal) as usize)
}
