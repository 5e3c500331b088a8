//! Tables of the old formats: those of LevelDB without compression.
//!
//! ```text
//! data block … data block, metaindex block (empty), index block, trailer of 48 bytes
//! block: entries, restarts, their count; then type 0 and a masked CRC-32C
//! ```
//!
//! A table is found by its trailer and by the length that stands behind it, which say the same; where both are damaged, by walking
//! from its start. A block whose checksum is wrong is told, and its entries are used as far as they go.

use std::ops::Range;

use esdb_format::Result;

use crate::bytes::{Bytes, put_uvarint};
use crate::input::Input;

/// Ends every table.
pub(crate) const MAGIC: [u8; 8] = [0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB];

/// Bytes of the trailer.
const TRAILER: u64 = 48;

/// Type and checksum behind each block, in bytes.
const BEHIND: u64 = 5;

/// The metaindex, with type and checksum: no entries.
const METAINDEX: [u8; 13] = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0xC0, 0xF2, 0xA1, 0xB0];

/// The largest block that is read, in bytes. The old writer's have 4 KiB and at most one more key and value.
const MOST_BLOCK: u64 = 64 << 20;

/// Where a table and its data blocks are, in the file.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) start: u64,
    /// Behind the trailer.
    pub(crate) end: u64,
    blocks: Vec<Range<u64>>,
}

/// A damaged place, for the account.
pub(crate) type Problem = (Range<u64>, String);

fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// Splits a block with its type and checksum; tells whether they are right.
fn split_block(bytes: &[u8]) -> Option<(&[u8], bool)> {
    let (block, mut sum) =
        bytes.split_at_checked(bytes.len().checked_sub(4)?).map(|(block, sum)| (block, Bytes(sum)))?;
    let (kind, content) = block.split_last()?;
    Some((content, *kind == 0 && sum.u32() == Some(masked_checksum(block))))
}

/// The handles of a trailer: metaindex, and index.
fn handles(trailer: &[u8]) -> Option<[Range<u64>; 2]> {
    let mut trailer = Bytes(trailer);
    let mut handle = || {
        let (offset, len) = (trailer.uvarint()?, trailer.uvarint()?);
        Some(offset..offset.checked_add(len)?)
    };
    Some([handle()?, handle()?])
}

/// Whether a trailer without its magic is what the old writer makes of its handles: their numbers in the shortest form, and zeros.
fn is_canonical(trailer: &[u8], handles: &[Range<u64>; 2]) -> bool {
    let mut expected = Vec::with_capacity(TRAILER as usize);
    for handle in handles {
        put_uvarint(&mut expected, handle.start);
        put_uvarint(&mut expected, handle.end - handle.start);
    }
    expected.resize(TRAILER as usize - MAGIC.len(), 0);
    trailer.starts_with(&expected)
}

impl Table {
    /// Finds the table that ends a region, before the 8 bytes of its length.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read.
    pub(crate) fn at_end(input: &mut Input<'_>, problems: &mut Vec<Problem>) -> Result<Option<Self>> {
        let region = input.region();
        let Some(end) = region.end.checked_sub(8) else { return Ok(None) };
        let Some(footer) = input.get(end, 8)?.and_then(|footer| Bytes(footer).u64()) else { return Ok(None) };
        let Some(trailer_at) = end.checked_sub(TRAILER) else { return Ok(None) };
        let Some(trailer) = input.get(trailer_at, TRAILER as usize)? else { return Ok(None) };
        let has_magic = trailer.ends_with(&MAGIC);
        let handles = handles(trailer);
        let is_canonical = handles.as_ref().is_some_and(|handles| is_canonical(trailer, handles));
        let by_handles = handles.as_ref().and_then(|[_, index]| index.end.checked_add(BEHIND + TRAILER));
        let start_of =
            |len: Option<u64>| len.and_then(|len| end.checked_sub(len)).filter(|at| *at >= region.start);
        let (by_footer, by_handles) = (start_of(Some(footer)), start_of(by_handles));
        for (start, other) in [(by_footer, by_handles), (by_handles, by_footer)] {
            let (Some(start), Some(handles)) = (start, &handles) else { continue };
            if let Some(blocks) = Self::by_index(input, start, handles)? {
                if by_footer != Some(start) {
                    problems.push((
                        end..end + 8,
                        format!("the table's length is {footer}, its trailer says {}", end - start),
                    ));
                }
                if other != Some(start) && by_footer == Some(start) {
                    problems.push((trailer_at..end, "the table's trailer is damaged".to_owned()));
                }
                if !has_magic {
                    problems.push((end - 8..end, "the mark of a table's end is not there".to_owned()));
                }
                let [metaindex, _] = handles;
                let at = start + metaindex.start;
                if input.get(at, METAINDEX.len())? != Some(&METAINDEX) || !is_canonical {
                    problems.push((at..end, "the table's metaindex or trailer is damaged".to_owned()));
                }
                return Ok(Some(Self { start, end, blocks }));
            }
        }
        for start in [by_footer, by_handles].into_iter().flatten() {
            if let Some((table, _)) = Self::walk(input, start)? {
                problems.push((trailer_at..end, "the table's end or its index block is damaged".to_owned()));
                return Ok(Some(Self { end, ..table }));
            }
        }
        Ok(None)
    }

    /// The data blocks that a whole index block names, if they tile the table.
    fn by_index(
        input: &mut Input<'_>,
        start: u64,
        handles: &[Range<u64>; 2],
    ) -> Result<Option<Vec<Range<u64>>>> {
        let [metaindex, index] = handles;
        let len = index.end.saturating_sub(index.start);
        let (Some(at), true) = (start.checked_add(index.start), len <= MOST_BLOCK) else { return Ok(None) };
        let Some(bytes) = input.get(at, (len + BEHIND) as usize)? else { return Ok(None) };
        let Some((block, true)) = split_block(bytes) else { return Ok(None) };
        let Some(mut entries) = Entries::of(block, Vec::new()) else { return Ok(None) };
        let (mut blocks, mut at) = (Vec::new(), 0_u64);
        while let Some(value) = entries.next(block) {
            let mut value = Bytes(block.get(value).unwrap_or_default());
            let (Some(offset), Some(len)) = (value.uvarint(), value.uvarint()) else { return Ok(None) };
            if offset != at || len > metaindex.start.saturating_sub(offset) {
                return Ok(None);
            }
            blocks.push(start + offset..start + offset + len);
            at = offset + len + BEHIND;
        }
        let is_tiled = at == metaindex.start && metaindex.end.checked_add(BEHIND) == Some(index.start);
        Ok((entries.is_whole() && is_tiled).then_some(blocks))
    }

    /// Walks a table from its start, block by block, and tells whether its end was met.
    pub(crate) fn walk(input: &mut Input<'_>, start: u64) -> Result<Option<(Self, bool)>> {
        let (mut blocks, mut at) = (Vec::new(), start);
        while let Some((len, entries, is_whole)) = measure(input, at)? {
            // The metaindex is empty; so is the data block of an empty table.
            if entries == 0 && !blocks.is_empty() {
                if !is_whole {
                    break;
                }
                let index_at = at + len + BEHIND;
                let end = measure(input, index_at)?.map(|(len, ..)| index_at + len + BEHIND + TRAILER);
                let found = match end {
                    Some(end) => input.get(end - 8, 8)?.is_some_and(|magic| magic == MAGIC),
                    None => false,
                };
                let end = end.filter(|_| found).unwrap_or(index_at);
                return Ok(Some((Self { start, end, blocks }, found)));
            }
            if entries == 0 && !is_whole {
                break;
            }
            blocks.push(at..at + len);
            at += len + BEHIND;
        }
        let is_table = match blocks.first() {
            Some(first) => matches!(measure(input, first.start)?, Some((_, _, true))),
            None => false,
        };
        Ok(is_table.then_some((Self { start, end: at, blocks }, false)))
    }

    /// The table whose magic stands at `magic`, by its trailer, if its index block is whole and it begins behind `floor`. A look that
    /// turns out to be in vain costs `budget` what was read for it; without any left, there is no table.
    pub(crate) fn before(
        input: &mut Input<'_>,
        magic: u64,
        floor: u64,
        budget: &mut u64,
    ) -> Result<Option<Self>> {
        let end = magic + 8;
        let Some(trailer_at) = end.checked_sub(TRAILER) else { return Ok(None) };
        let Some(handles) = input.get(trailer_at, TRAILER as usize)?.and_then(handles) else {
            return Ok(None);
        };
        let [_, index] = &handles;
        let len = index.end.checked_add(BEHIND + TRAILER);
        let Some(start) = len.and_then(|len| end.checked_sub(len)).filter(|start| *start >= floor) else {
            return Ok(None);
        };
        let cost = (8 << 10) + index.end - index.start;
        if cost > *budget {
            *budget = 0;
            return Ok(None);
        }
        let blocks = Self::by_index(input, start, &handles)?;
        if blocks.is_none() {
            *budget -= cost;
        }
        Ok(blocks.map(|blocks| Self { start, end, blocks }))
    }

    /// Goes over the entries from the first on.
    pub(crate) fn cursor(&self) -> Cursor<'_> {
        Cursor {
            blocks: &self.blocks,
            block: Vec::new(),
            entries: None,
            place: 0..0,
            value: 0..0,
            last: Vec::new(),
            is_whole: true,
            is_unordered: false,
            problems: Vec::new(),
        }
    }
}

/// The length, without type and checksum, and the number of entries of the block at `at`, and whether its checksum is right;
/// `None` if there is no block.
fn measure(input: &mut Input<'_>, at: u64) -> Result<Option<(u64, usize, bool)>> {
    let mut most = 16 << 10;
    loop {
        let bytes = input.up_to(at, most)?;
        if let Some((len, entries)) = measure_in(bytes) {
            let Some(bytes) = input.get(at, len + BEHIND as usize)? else { return Ok(None) };
            let Some((_, is_whole)) = split_block(bytes) else { return Ok(None) };
            return Ok(Some((len as u64, entries, is_whole)));
        }
        if bytes.len() < most || most as u64 >= MOST_BLOCK {
            return Ok(None);
        }
        most *= 8;
    }
}

/// Entries come until four zero bytes: no entry has an empty key, and the first restart is 0.
fn measure_in(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut rest, mut entries) = (Bytes(bytes), 0_usize);
    loop {
        if rest.0.starts_with(&[0; 4]) {
            // In a data block every 16th entry is a restart, in an index block each.
            let restarts = [entries.div_ceil(16).max(1), entries];
            let behind = |count: usize| {
                let mut rest = rest;
                rest.take(count.checked_mul(4)?)?;
                (rest.u32()? as usize == count).then_some(bytes.len() - rest.0.len())
            };
            return restarts.into_iter().find_map(behind).map(|len| (len, entries));
        }
        let (_, unshared, len) = (rest.len()?, rest.len()?, rest.len()?);
        rest.take(unshared)?;
        rest.take(len)?;
        entries += 1;
    }
}

/// The longest key that is read, in bytes: `i`, an index name and a value of 65,535 bytes each, and the colon. No longer one could
/// be stored in a new file, and short entries can share a long key any number of times.
const MOST_KEY: usize = 2 * 65_535 + 2;

/// The entries of one block. The key of the current one is kept, since the next one shares its beginning.
struct Entries {
    key: Vec<u8>,
    at: usize,
    end: usize,
    is_broken: bool,
    /// Whether the current key is behind the one before.
    ascends: bool,
}

impl Entries {
    /// Of a block without type and checksum, behind `key`; `None` if its number of restarts cannot be.
    fn of(block: &[u8], key: Vec<u8>) -> Option<Self> {
        let restarts_end = block.len().checked_sub(4)?;
        let count = Bytes(block.get(restarts_end..)?).u32()?;
        let end = restarts_end.checked_sub(usize::try_from(count).ok()?.checked_mul(4)?)?;
        Some(Self { key, at: 0, end, is_broken: false, ascends: true })
    }

    /// Moves to the next entry and says where its value is.
    fn next(&mut self, block: &[u8]) -> Option<Range<usize>> {
        if self.at >= self.end || self.is_broken {
            return None;
        }
        let value = self.try_next(block);
        self.is_broken = value.is_none();
        value
    }

    fn try_next(&mut self, block: &[u8]) -> Option<Range<usize>> {
        let mut bytes = Bytes(block.get(self.at..self.end)?);
        let (shared, unshared, len) = (bytes.len()?, bytes.len()?, bytes.len()?);
        let suffix = bytes.take(unshared)?;
        let is_first = self.at == 0;
        if shared > self.key.len() || (is_first && shared > 0) || shared + unshared > MOST_KEY {
            return None;
        }
        self.ascends = self.key.get(shared..)? < suffix;
        let start = self.end - bytes.0.len();
        bytes.take(len)?;
        self.key.truncate(shared);
        self.key.extend_from_slice(suffix);
        self.at = start + len;
        Some(start..self.at)
    }

    fn is_whole(&self) -> bool {
        !self.is_broken && self.at == self.end
    }
}

/// Goes over the entries of a table, in order of keys.
pub(crate) struct Cursor<'t> {
    blocks: &'t [Range<u64>],
    block: Vec<u8>,
    entries: Option<Entries>,
    /// Where the current block is.
    place: Range<u64>,
    value: Range<usize>,
    /// The last key of the block before.
    last: Vec<u8>,
    is_whole: bool,
    /// Keys of the current block do not ascend: it has been told.
    is_unordered: bool,
    problems: Vec<Problem>,
}

impl Cursor<'_> {
    /// Moves to the next entry; false behind the last one.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read.
    pub(crate) fn advance(&mut self, input: &mut Input<'_>) -> Result<bool> {
        loop {
            if let Some(entries) = &mut self.entries {
                if let Some(value) = entries.next(&self.block) {
                    self.value = value;
                    if !entries.ascends && !std::mem::replace(&mut self.is_unordered, true) {
                        self.problems.push((self.place.clone(), "the table's keys do not ascend".to_owned()));
                    }
                    return Ok(true);
                }
                if entries.is_broken {
                    self.problems.push((self.place.clone(), "an entry of the table is not one".to_owned()));
                }
                self.last = std::mem::take(&mut entries.key);
                self.entries = None;
            }
            let Some((place, rest)) = self.blocks.split_first() else { return Ok(false) };
            self.blocks = rest;
            self.place = place.clone();
            let len = place.end - place.start;
            let bytes =
                if len > MOST_BLOCK { None } else { input.get(place.start, (len + BEHIND) as usize)? };
            let Some((block, is_whole)) = bytes.and_then(split_block) else {
                self.problems.push((place.clone(), "a block of the table cannot be read".to_owned()));
                continue;
            };
            (self.is_whole, self.is_unordered) = (is_whole, false);
            if !is_whole {
                let reason =
                    "a block of the table fails its checksum: names and places are taken as they stand there";
                self.problems.push((place.clone(), reason.to_owned()));
            }
            self.entries = Entries::of(block, std::mem::take(&mut self.last));
            if self.entries.is_none() {
                self.problems
                    .push((place.clone(), "a block of the table has impossible restarts".to_owned()));
            }
            self.block.clear();
            self.block.extend_from_slice(block);
        }
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.entries.as_ref().map_or(&[], |entries| &entries.key)
    }

    pub(crate) fn value(&self) -> &[u8] {
        self.block.get(self.value.clone()).unwrap_or_default()
    }

    /// Whether the checksum of the current entry's block is right.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Where the block of the current entry is.
    pub(crate) fn place(&self) -> Range<u64> {
        self.place.clone()
    }

    /// What was found so far, once.
    pub(crate) fn take_problems(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.problems)
    }
}
