//! Event blocks: up to 4,096 events, complete in themselves (spec §5).
//!
//! ```text
//! head │ rows: directory · runs · times · lengths · frames │ labels: keys · values · index columns │ payload frames …
//! ```

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "rows of a block whose runs add up"
)]
mod columns;
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "the writer's own numbers")]
mod draft;
mod head;
mod indexes;
mod labels;
mod part;
mod payload;
mod runs;

pub(crate) use columns::Columns;
pub(crate) use draft::{BlockDraft, EncodedBlock, FrameCuts};
pub(crate) use head::{Head, Traits};
pub(crate) use indexes::{Entries, IndexColumn, Indexes, RowPairs};
pub(crate) use labels::LabelBytes;
pub(crate) use part::Part;
pub(crate) use payload::FrameTable;
pub(crate) use runs::Keys;

use std::sync::{Arc, OnceLock};

use crate::checksum::{check, compare};
use crate::codec::Decoder;
use crate::codecs::Codecs;
use crate::error::{Error, Result, Section};
use crate::header;
use crate::source::{Source, read};

/// A block for who reads it alone, with everything that is decoded of it. Scans share the parts through a cache.
pub(crate) struct Block {
    columns: Columns,
    keys: Keys,
    indexes: OnceLock<Indexes>,
}

impl Block {
    /// Decodes the keys.
    pub(crate) fn new(columns: Columns) -> Result<Self> {
        Ok(Self { keys: columns.decode_keys()?, columns, indexes: OnceLock::new() })
    }

    pub(crate) fn head(&self) -> &Head {
        self.columns.head()
    }

    pub(crate) fn rows(&self) -> usize {
        self.columns.rows()
    }

    /// Space and grouping of a row.
    pub(crate) fn keys_of(&self, row: usize) -> (&[u8], &[u8]) {
        self.keys.of_row(row, self.columns.runs())
    }

    /// The timestamps of all rows.
    pub(crate) fn times(&self) -> Result<&[i64]> {
        self.columns.times().map(|times| times.as_slice())
    }

    /// Where the payload frames are.
    pub(crate) fn frames(&self) -> Result<&FrameTable> {
        self.columns.frames().map(|frames| &**frames)
    }

    /// Times and places of all rows.
    pub(crate) fn whole(&self) -> Result<Part> {
        self.columns.whole()
    }

    /// The index values of all rows.
    pub(crate) fn indexes(&self) -> Result<&Indexes> {
        get_or_decode(&self.indexes, || self.columns.decode_indexes())
    }
}

/// What `cell` holds; decoded first if nobody did before.
fn get_or_decode<T>(cell: &OnceLock<T>, decode: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = decode()?;
    Ok(cell.get_or_init(|| value))
}

/// Reads a whole block but its payload. See [`read_columns`].
pub(crate) fn read_block(
    source: &(impl Source + ?Sized),
    offset: u64,
    layout: &header::Layout,
    codecs: &Arc<Codecs>,
) -> Result<Block> {
    let head = read_head(source, offset, layout)?;
    let columns = read(source, head.rows_offset(), head.columns_len(), Section::Block, "B4")?;
    decode_columns(head, &columns, codecs)
}

/// Decodes a block of which all bytes are at hand. See [`read_columns`].
pub(crate) fn decode_block(
    bytes: &[u8],
    offset: u64,
    expected: Option<u32>,
    layout: &header::Layout,
    codecs: &Arc<Codecs>,
) -> Result<Block> {
    let head = Head::decode(bytes, offset, layout)?;
    if let Some(expected) = expected {
        compare(expected, head.checksum, Section::Block, offset, "T1")?;
    }
    if head.block_len() != bytes.len() as u64 {
        // The file changes while it is read.
        let reason = format!("block of {} bytes, {} expected", head.block_len(), bytes.len());
        return Err(Error::corrupt(Section::Block, offset, "B1", reason));
    }
    let mut parts = Decoder::new(bytes, offset, Section::Block);
    parts.take(Head::SIZE, "B1")?;
    decode_columns(head, parts.take(head.columns_len() as usize, "B4")?, codecs)
}

/// Decodes the columns of a block, all of which are at hand, with all checksums compared.
pub(crate) fn decode_columns(head: Head, columns: &[u8], codecs: &Arc<Codecs>) -> Result<Block> {
    let mut parts = Decoder::new(columns, head.rows_offset(), Section::Block);
    let rows = parts.take(head.rows_len as usize, "B4")?;
    check(head.rows_checksum, rows, Section::Block, head.rows_offset(), "B1")?;
    let labels = LabelBytes::AtHand(parts.rest().to_vec());
    let columns = Columns::decode(head, rows.to_vec(), labels, Arc::clone(codecs))?;
    columns.check_labels()?;
    Block::new(columns)
}

/// Reads head and row areas of a block, at once and with their checksums compared; the label areas stay in the file.
///
/// `rows_len` is the length of the row areas that the table of blocks states, `expected` the head's checksum.
pub(crate) fn read_columns(
    source: &Arc<dyn Source>,
    offset: u64,
    rows_len: u32,
    expected: Option<u32>,
    layout: &header::Layout,
    codecs: &Arc<Codecs>,
) -> Result<Columns> {
    let len = Head::SIZE.saturating_add(rows_len as usize);
    let mut bytes = read(&**source, offset, len as u64, Section::Block, "B1")?;
    let head = Head::decode(&bytes, offset, layout)?;
    if let Some(expected) = expected {
        compare(expected, head.checksum, Section::Block, offset, "T1")?;
    }
    if head.rows_len != rows_len {
        let reason = format!("row areas of {} bytes, the blocks table states {rows_len}", head.rows_len);
        return Err(Error::corrupt(Section::Block, offset, "T1", reason));
    }
    check_in(&**source, &head)?;
    bytes.drain(..Head::SIZE);
    check(head.rows_checksum, &bytes, Section::Block, head.rows_offset(), "B1")?;
    Columns::decode(head, bytes, LabelBytes::InFile(Arc::clone(source)), Arc::clone(codecs))
}

pub(crate) fn read_head(
    source: &(impl Source + ?Sized),
    offset: u64,
    layout: &header::Layout,
) -> Result<Head> {
    let bytes = read(source, offset, Head::SIZE as u64, Section::Block, "B1")?;
    let head = Head::decode(&bytes, offset, layout)?;
    check_in(source, &head)?;
    Ok(head)
}

/// A block lies in its file.
fn check_in(source: &(impl Source + ?Sized), head: &Head) -> Result<()> {
    if head.block_len() <= source.len().saturating_sub(head.offset) {
        return Ok(());
    }
    let reason = format!("block of {} bytes, the file ends at {}", head.block_len(), source.len());
    Err(Error::corrupt(Section::Block, head.offset, "B1", reason))
}
