//! A page: front-coded keys in ascending order, each with a value; every sixteenth key is whole (spec §4.4).
//!
//! ```text
//! level │ count │ restart offsets … │ shared · suffix length · value length · suffix · value │ …
//! ```
//!
//! In the leaves of spaces and groupings keys have no values, but [extents](crate::extents).

mod cursor;

pub(crate) use cursor::PageCursor;

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use crate::codec::{Decoder, Encode, from_key64, key64};
use crate::codecs::Codecs;
use crate::error::{Error, Result, Section};
use crate::extents::Extents;
use crate::limits;
use crate::strings::shared_prefix;
use crate::tables::BlockEntry;
use crate::tree::Leaf;

/// Every how many entries a key is whole.
const RESTART: usize = 16;

/// A page is closed by the entry that brings its entries to this many bytes (spec P5).
pub(crate) const CLOSED: usize = 8_192;

/// Collects the entries of one page. Keys must come in ascending order.
#[derive(Default)]
pub(crate) struct PageBuilder {
    entries: Vec<u8>,
    restarts: Vec<u16>,
    count: usize,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
}

#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "sums of what is in memory; a prefix that two keys share"
)]
impl PageBuilder {
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        let shared = self.begin(key);
        self.entries.put_varint(shared as u64);
        self.entries.put_varint((key.len() - shared) as u64);
        self.entries.put_varint(value.len() as u64);
        self.entries.extend_from_slice(&key[shared..]);
        self.entries.extend_from_slice(value);
    }

    /// Adds a key of a leaf of extents.
    pub(crate) fn add_key(&mut self, key: &[u8]) {
        let shared = self.begin(key);
        put_short_lengths(shared, key.len() - shared, &mut self.entries);
        self.entries.extend_from_slice(&key[shared..]);
    }

    /// Begins an entry; returns how much of the key before it it shares.
    fn begin(&mut self, key: &[u8]) -> usize {
        let shared = if self.count.is_multiple_of(RESTART) {
            self.restarts.push(self.entries.len() as u16);
            0
        } else {
            shared_prefix(&self.last_key, key)
        };
        if self.count == 0 {
            self.first_key.clear();
            self.first_key.extend_from_slice(key);
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.count += 1;
        shared
    }

    /// Bytes of the entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the page must be closed before another entry (spec P5).
    pub(crate) fn is_full(&self, level: u8) -> bool {
        self.entries.len() >= CLOSED && (level == 0 || self.count >= 2)
    }

    pub(crate) fn first_key(&self) -> &[u8] {
        &self.first_key
    }

    /// Appends what stands before the entries.
    pub(crate) fn put_head(&self, level: u8, out: &mut Vec<u8>) {
        out.put_u8(level);
        out.put_u16(self.count as u16);
        for &restart in &self.restarts {
            out.put_u16(restart);
        }
    }

    /// The entries; the builder is empty afterwards.
    pub(crate) fn take_entries(&mut self) -> Vec<u8> {
        self.restarts.clear();
        self.count = 0;
        std::mem::take(&mut self.entries)
    }

    /// The page's bytes; the builder is empty afterwards.
    pub(crate) fn take(&mut self, level: u8) -> Vec<u8> {
        let mut out = Vec::with_capacity(3 + 2 * self.restarts.len() + self.entries.len());
        self.put_head(level, &mut out);
        out.append(&mut self.entries);
        self.restarts.clear();
        self.count = 0;
        out
    }
}

impl Leaf for PageBuilder {
    fn is_full(&self) -> bool {
        Self::is_full(self, 0)
    }

    fn first_key(&self) -> &[u8] {
        Self::first_key(self)
    }

    fn take(&mut self) -> Result<Vec<u8>> {
        Ok(Self::take(self, 0))
    }
}

/// A page read from a file: owned, checked bytes. Entries are decoded on demand.
pub(crate) struct Page {
    bytes: Vec<u8>,
    offset: u64,
    section: Section,
    level: u8,
    count: usize,
    /// Where the entries begin, unless they are the keys of extents.
    entries: usize,
    extents: Option<Box<Extents>>,
    /// How often a key was sought.
    sought: AtomicU32,
    /// All entries, once keys of 8 bytes were sought often; none if there are others.
    numbered: OnceLock<Vec<NumberedEntry>>,
    /// What the entries of a leaf of blocks say, from then on.
    blocks: OnceLock<Vec<BlockEntry>>,
}

/// An entry: how much of the key before it it shares, and where the rest of its key and its value lie in the page.
struct Entry {
    shared: usize,
    suffix: Range<usize>,
    value: Range<usize>,
}

/// An entry whose key is a number, and where its value lies.
#[derive(Clone, Copy)]
struct NumberedEntry {
    key: u64,
    value: (u32, u32),
}

/// Keys are decoded all at once when they were sought so many times.
const OFTEN: u32 = 16;

impl Page {
    /// Takes bytes whose checksum was compared; they stand at `offset`.
    pub(crate) fn decode(mut bytes: Vec<u8>, offset: u64, section: Section, codecs: &Codecs) -> Result<Self> {
        let mut decoder = Decoder::new(&bytes, offset, section);
        let level = decoder.u8("P4")?;
        if level >= limits::LEVELS {
            return Err(decoder.corrupt("L1", format!("page of level {level}")));
        }
        let count = usize::from(decoder.u16("P4")?);
        decoder.take(count.div_ceil(RESTART).saturating_mul(2), "P4")?;
        let entries = bytes.len().saturating_sub(decoder.remaining());
        let mut extents = None;
        if level == 0 && count > 0 && matches!(section, Section::Spaces | Section::Groupings) {
            let head = bytes.get(..entries).unwrap_or_default().to_vec();
            let whole = std::mem::replace(&mut bytes, head);
            extents = Some(Box::new(Extents::decode(whole, entries, offset, section, count, codecs)?));
        }
        let (sought, numbered, blocks) = (AtomicU32::new(0), OnceLock::new(), OnceLock::new());
        Ok(Self { bytes, offset, section, level, count, entries, extents, sought, numbered, blocks })
    }

    pub(crate) fn level(&self) -> u8 {
        self.level
    }

    /// Where it stands in the file.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// What a leaf of spaces or groupings says of its keys; `None` in other pages, and without entries.
    pub(crate) fn extents(&self) -> Option<&Extents> {
        self.extents.as_deref()
    }

    /// Bytes of memory in use once keys were sought often.
    pub(crate) fn memory(&self) -> usize {
        let entry = match self.section {
            Section::Blocks => size_of::<(NumberedEntry, BlockEntry)>(),
            _ if self.has_numbers() => size_of::<NumberedEntry>(),
            _ => 0,
        };
        let numbered = self.count.saturating_mul(entry);
        let extents = self.extents().map_or(0, Extents::memory);
        let more = numbered.saturating_add(extents);
        self.bytes.capacity().saturating_add(size_of::<Self>()).saturating_add(more)
    }

    /// Whether its keys are numbers, of 8 bytes.
    fn has_numbers(&self) -> bool {
        matches!(self.section, Section::Blocks | Section::TimeOrder | Section::Postings)
    }

    /// All entries by the numbers that their keys are, once they were sought often.
    fn numbered(self: &Arc<Self>) -> Option<&[NumberedEntry]> {
        if self.numbered.get().is_none() {
            if !self.has_numbers() || self.sought.fetch_add(1, Relaxed) < OFTEN {
                return None;
            }
            // What is wrong with them is told by who seeks them one by one.
            let _ = self.numbered.set(self.decode_numbers().unwrap_or_default());
        }
        self.numbered.get().map(Vec::as_slice).filter(|numbered| !numbered.is_empty())
    }

    /// `None` unless all keys are numbers, which ascend.
    fn decode_numbers(self: &Arc<Self>) -> Option<Vec<NumberedEntry>> {
        let (mut numbered, mut cursor) = (Vec::with_capacity(self.count), PageCursor::new(Arc::clone(self)));
        while cursor.next().ok()? {
            let Range { start, end } = cursor.value;
            numbered.push(NumberedEntry { key: from_key64(&cursor.key)?, value: (start as u32, end as u32) });
        }
        Some(numbered)
    }

    /// What an entry of a leaf of blocks says, once keys were sought often.
    pub(crate) fn block(&self, index: usize) -> Option<BlockEntry> {
        let numbered = self.numbered.get().filter(|_| self.section == Section::Blocks && self.level == 0)?;
        let blocks = self.blocks.get_or_init(|| {
            let decode = |entry: &NumberedEntry| {
                let (start, end) = entry.value;
                BlockEntry::decode(&key64(entry.key), self.decoder(start as usize..end as usize))
            };
            // What is wrong with them is told by who decodes them one by one.
            numbered.iter().map(decode).collect::<Result<_>>().unwrap_or_default()
        });
        blocks.get(index).copied()
    }

    pub(crate) fn corrupt(&self, rule: &'static str, reason: impl Into<String>) -> Error {
        Error::corrupt(self.section, self.offset, rule, reason)
    }

    /// The entries, where places are counted from.
    fn area(&self) -> &[u8] {
        match &self.extents {
            Some(extents) => extents.keys(),
            None => self.bytes.get(self.entries..).unwrap_or_default(),
        }
    }

    /// Some of the entries' bytes, which decoding an entry has found.
    fn slice(&self, range: Range<usize>) -> &[u8] {
        self.area().get(range).unwrap_or_default()
    }

    fn decoder(&self, range: Range<usize>) -> Decoder<'_> {
        if let Some(extents) = &self.extents {
            return Decoder::unpacked(self.slice(range), extents.keys_offset(), self.section);
        }
        let offset = self.offset.saturating_add(self.entries as u64).saturating_add(range.start as u64);
        Decoder::new(self.slice(range), offset, self.section)
    }

    /// Where the group of entries with number `group` begins.
    fn restart(&self, group: usize) -> Result<usize> {
        let mut decoder = Decoder::new(&self.bytes, self.offset, self.section);
        decoder.take(group.saturating_mul(2).saturating_add(3), "P4")?;
        let start = usize::from(decoder.u16("P4")?);
        if start >= self.area().len() {
            return Err(decoder.corrupt("P4", "restart offset is behind the end"));
        }
        Ok(start)
    }

    /// The entry that begins at `start`, where places are counted from the first one.
    fn entry(&self, start: usize, most_shared: usize) -> Result<Entry> {
        let end = self.area().len();
        let mut decoder = self.decoder(start..end);
        let (shared, suffix) = match self.extents {
            None => (decoder.varint("P4")?, decoder.varint("P4")?),
            Some(_) => short_lengths(&mut decoder)?,
        };
        if shared > most_shared as u64 {
            let reason = format!("shared prefix is {shared}, at most {most_shared} expected");
            return Err(self.decoder(start..end).corrupt("K1", reason));
        }
        if shared.saturating_add(suffix) > (limits::KEY + 8) as u64 {
            return Err(decoder.corrupt("L1", format!("key of {shared} and {suffix} bytes")));
        }
        let (shared, suffix) = (shared as usize, suffix as usize);
        let value = match self.extents {
            None => decoder.varint_up_to(limits::PAGE as u64, "length of a value", "L1")?,
            Some(_) => 0,
        };
        let suffix_start = end.saturating_sub(decoder.remaining());
        decoder.take(suffix, "P4")?;
        let value_start = end.saturating_sub(decoder.remaining());
        decoder.take(value, "P4")?;
        let value_end = end.saturating_sub(decoder.remaining());
        Ok(Entry { shared, suffix: suffix_start..value_start, value: value_start..value_end })
    }

    /// The first key of the group with number `group`, which is whole.
    fn whole_key(&self, group: usize) -> Result<&[u8]> {
        let entry = self.entry(self.restart(group)?, 0)?;
        Ok(self.slice(entry.suffix))
    }

    /// Every restart points at its entry, and the entries fill the page.
    pub(crate) fn check_shape(self: &Arc<Self>) -> Result<()> {
        let mut cursor = PageCursor::new(Arc::clone(self));
        for index in 0..self.count {
            if index % RESTART == 0 && self.restart(index / RESTART)? != cursor.after {
                return Err(self.corrupt("P4", format!("restart of entry {index} points elsewhere")));
            }
            cursor.advance()?;
        }
        if cursor.after != self.area().len() {
            let left = self.area().len().abs_diff(cursor.after);
            return Err(self.corrupt("P4", format!("{left} bytes left over")));
        }
        self.extents().map_or(Ok(()), Extents::check)
    }
}

/// The largest length that half of a byte says.
const SHORT: usize = 15;

/// Appends the lengths of what a key of a leaf of extents shares, and of its suffix (spec §6.2).
#[expect(clippy::arithmetic_side_effects, reason = "lengths, and halves of a byte")]
fn put_short_lengths(shared: usize, suffix: usize, out: &mut Vec<u8>) {
    out.put_u8((shared.min(SHORT) << 4 | suffix.min(SHORT)) as u8);
    for len in [shared, suffix] {
        if len >= SHORT {
            out.put_varint((len - SHORT) as u64);
        }
    }
}

/// The reverse of [`put_short_lengths`].
fn short_lengths(decoder: &mut Decoder<'_>) -> Result<(u64, u64)> {
    let both = decoder.u8("P4")?;
    let mut length = |short: u8| -> Result<u64> {
        let short = u64::from(short);
        Ok(if short < SHORT as u64 { short } else { short.saturating_add(decoder.varint("P4")?) })
    };
    Ok((length(both >> 4)?, length(both & 15)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::Codec;

    fn decode(bytes: Vec<u8>, offset: u64) -> Result<Page> {
        Page::decode(bytes, offset, Section::Names, &Codecs::new(Codec::None, true))
    }

    fn page(keys: &[String]) -> Arc<Page> {
        let mut builder = PageBuilder::default();
        for key in keys {
            builder.add(key.as_bytes(), format!("value of {key}").as_bytes());
        }
        Arc::new(decode(builder.take(0), 0).unwrap())
    }

    fn keys(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("key-{:05}", i * 10)).collect()
    }

    #[test]
    fn entries_come_back_in_order() {
        for count in [0, 1, 15, 16, 17, 200] {
            let keys = keys(count);
            let page = page(&keys);
            page.check_shape().unwrap();
            let mut cursor = PageCursor::new(page);
            for key in &keys {
                assert!(cursor.next().unwrap());
                assert_eq!(cursor.key(), key.as_bytes());
                assert_eq!(cursor.value().rest(), format!("value of {key}").as_bytes());
            }
            assert!(!cursor.next().unwrap());
        }
    }

    #[test]
    fn floor_finds_the_last_key_not_greater() {
        let keys = keys(50);
        let page = page(&keys);
        for number in 0..520 {
            let mut cursor = PageCursor::new(Arc::clone(&page));
            let wanted = format!("key-{number:05}");
            assert!(cursor.floor(wanted.as_bytes()).unwrap());
            assert_eq!(cursor.index(), (number / 10).min(49), "{wanted}");
            assert_eq!(cursor.key(), keys[cursor.index()].as_bytes());
        }
        assert!(!PageCursor::new(page).floor(b"a").unwrap());
    }

    #[test]
    fn damage_is_named_where_it_stands() {
        let mut builder = PageBuilder::default();
        builder.add(b"a", b"value");
        builder.add(b"b", b"value");
        let mut bytes = builder.take(0);
        // Behind level, count and restart stand the two entries, of 3 lengths, a key of 1 byte and a value of 5.
        let second = 5 + 3 + 1 + 5;
        bytes[second] = 9;
        let page = Arc::new(decode(bytes, 1000).unwrap());
        let mut cursor = PageCursor::new(page);
        assert!(cursor.next().unwrap());
        assert_eq!(cursor.value().offset(), 1000 + 5 + 3 + 1);
        let error = cursor.next().unwrap_err().to_string();
        let expected = "corrupt index names at byte 1014: shared prefix is 9, at most 1 expected [K1]";
        assert_eq!(error, expected);
    }

    #[test]
    fn every_truncation_is_rejected() {
        let mut builder = PageBuilder::default();
        for key in keys(40) {
            builder.add(key.as_bytes(), b"v");
        }
        let bytes = builder.take(0);
        for len in 0..bytes.len() {
            let page = decode(bytes[..len].to_vec(), 0);
            assert!(page.and_then(|page| Arc::new(page).check_shape()).is_err(), "{len}");
        }
    }
}
