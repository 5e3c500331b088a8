//! Event blocks: up to 4,096 events, complete in themselves (spec §5).
//!
//! ```text
//! head │ columns: keys · runs · times · lengths · frames · values · index columns │ payload frames …
//! ```

mod columns;
mod draft;
mod head;
mod indexes;
mod payload;
mod runs;

pub(crate) use columns::Block;
pub(crate) use draft::{BlockDraft, EncodedBlock, FrameCuts};
pub(crate) use head::Head;
pub(crate) use indexes::IndexColumn;
pub use indexes::Pairs;

use std::sync::Arc;

use crate::checksum::{check, compare};
use crate::codecs::Codecs;
use crate::error::{Error, Result, Section};
use crate::header;
use crate::source::{Source, read};

/// Reads head and columns of the block at `offset`, with all checksums compared if `checks` is set.
///
/// `expected` is the head's checksum as a handle states it.
pub(crate) fn read_block(
    source: &(impl Source + ?Sized),
    offset: u64,
    expected: Option<u32>,
    layout: &header::Layout,
    codecs: &Arc<Codecs>,
) -> Result<Block> {
    let head = read_head(source, offset, layout)?;
    if let Some(expected) = expected {
        compare(expected, head.checksum, Section::Block, offset, "T1")?;
    }
    let start = offset + Head::SIZE as u64;
    let columns = read(source, start, u64::from(head.columns_len), Section::Block, "B4")?;
    check(head.columns_checksum, &columns, Section::Block, start, "B1")?;
    Block::decode(head, columns, Arc::clone(codecs))
}

pub(crate) fn read_head(
    source: &(impl Source + ?Sized),
    offset: u64,
    layout: &header::Layout,
) -> Result<Head> {
    let bytes = read(source, offset, Head::SIZE as u64, Section::Block, "B1")?;
    let head = Head::decode(&bytes, offset, layout)?;
    if head.block_len() > source.len() - offset {
        let reason = format!("block of {} bytes, the file ends at {}", head.block_len(), source.len());
        return Err(Error::corrupt(Section::Block, offset, "B1", reason));
    }
    Ok(head)
}
