//! A page: front-coded keys in ascending order, each with a value; every sixteenth key is whole (spec §4.4).
//!
//! ```text
//! level │ count │ restart offsets … │ shared · suffix length · value length · suffix · value │ …
//! ```

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::codec::{Decoder, Encode};
use crate::error::{Error, Result, Section};
use crate::limits;
use crate::strings::shared_prefix;

/// Every how many entries a key is whole.
const RESTART: usize = 16;

/// A page is closed by the entry that brings its entries to this many bytes (spec P5).
const CLOSED: usize = 8_192;

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
        self.entries.put_varint(shared as u64);
        self.entries.put_varint((key.len() - shared) as u64);
        self.entries.put_varint(value.len() as u64);
        self.entries.extend_from_slice(&key[shared..]);
        self.entries.extend_from_slice(value);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.count += 1;
    }

    /// Whether the page must be closed before another entry (spec P5).
    pub(crate) fn is_full(&self, level: u8) -> bool {
        self.entries.len() >= CLOSED && (level == 0 || self.count >= 2)
    }

    pub(crate) fn first_key(&self) -> &[u8] {
        &self.first_key
    }

    /// The page's bytes; the builder is empty afterwards.
    pub(crate) fn take(&mut self, level: u8) -> Vec<u8> {
        let mut out = Vec::with_capacity(3 + 2 * self.restarts.len() + self.entries.len());
        out.put_u8(level);
        out.put_u16(self.count as u16);
        for &restart in &self.restarts {
            out.put_u16(restart);
        }
        out.append(&mut self.entries);
        self.restarts.clear();
        self.count = 0;
        out
    }
}

/// A page read from a file: owned, checked bytes. Entries are decoded on demand.
pub(crate) struct Page {
    bytes: Vec<u8>,
    offset: u64,
    section: Section,
    level: u8,
    count: usize,
    entries: usize,
}

impl Page {
    /// Takes bytes whose checksum was compared; they stand at `offset`.
    pub(crate) fn decode(bytes: Vec<u8>, offset: u64, section: Section) -> Result<Self> {
        let mut decoder = Decoder::new(&bytes, offset, section);
        let level = decoder.u8("P4")?;
        if level >= limits::LEVELS {
            return Err(decoder.corrupt("L1", format!("page of level {level}")));
        }
        let count = usize::from(decoder.u16("P4")?);
        decoder.take(count.div_ceil(RESTART).saturating_mul(2), "P4")?;
        let entries = bytes.len().saturating_sub(decoder.remaining());
        Ok(Self { bytes, offset, section, level, count, entries })
    }

    pub(crate) fn level(&self) -> u8 {
        self.level
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity().saturating_add(size_of::<Self>())
    }

    pub(crate) fn corrupt(&self, rule: &'static str, reason: impl Into<String>) -> Error {
        Error::corrupt(self.section, self.offset, rule, reason)
    }

    /// Some of the bytes, which decoding an entry has found.
    fn slice(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    fn decoder(&self, range: Range<usize>) -> Decoder<'_> {
        let offset = self.offset.saturating_add(range.start as u64);
        Decoder::new(self.slice(range), offset, self.section)
    }

    /// Where the group of entries with number `group` begins, in `bytes`.
    fn restart(&self, group: usize) -> Result<usize> {
        let mut decoder = Decoder::new(&self.bytes, self.offset, self.section);
        decoder.take(group.saturating_mul(2).saturating_add(3), "P4")?;
        let start = self.entries.saturating_add(decoder.u16("P4")?.into());
        if start >= self.bytes.len() {
            return Err(decoder.corrupt("P4", "restart offset is behind the end"));
        }
        Ok(start)
    }

    /// Every restart points at its entry, and the entries fill the page.
    pub(crate) fn check_shape(self: &Arc<Self>) -> Result<()> {
        let mut cursor = PageCursor::new(Arc::clone(self));
        for index in 0..self.count {
            if index % RESTART == 0 && self.restart(index / RESTART)? != cursor.after {
                return Err(self.corrupt("P4", format!("restart of entry {index} points elsewhere")));
            }
            let before = (index > 0).then(|| cursor.key.clone());
            cursor.advance()?;
            if before.is_some_and(|before| before >= cursor.key) {
                return Err(self.corrupt("P2", format!("key of entry {index} does not ascend")));
            }
        }
        if cursor.after != self.bytes.len() {
            return Err(
                self.corrupt("P4", format!("{} bytes left over", self.bytes.len().abs_diff(cursor.after)))
            );
        }
        Ok(())
    }
}

/// A place in a page: the entry with number `index`, or before the first one.
#[derive(Clone)]
pub(crate) struct PageCursor {
    page: Arc<Page>,
    /// The number of the entry whose key and value are held; `None` before the first move.
    index: Option<usize>,
    key: Vec<u8>,
    value: Range<usize>,
    /// Where the next entry begins.
    after: usize,
}

/// An entry: how much of the key before it it shares, and where the rest of its key and its value lie in the page.
struct Entry {
    shared: usize,
    suffix: Range<usize>,
    value: Range<usize>,
}

impl PageCursor {
    pub(crate) fn new(page: Arc<Page>) -> Self {
        let after = page.entries;
        Self { page, index: None, key: Vec::new(), value: 0..0, after }
    }

    pub(crate) fn page(&self) -> &Arc<Page> {
        &self.page
    }

    /// The number of the current entry. Call it after a move that found one.
    pub(crate) fn index(&self) -> usize {
        self.index.unwrap_or(0)
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn value(&self) -> Decoder<'_> {
        self.page.decoder(self.value.clone())
    }

    fn next_index(&self) -> usize {
        self.index.map_or(0, |index| index.saturating_add(1))
    }

    /// The entry after this one; there must be one.
    fn peek(&self) -> Result<Entry> {
        let end = self.page.bytes.len();
        let mut decoder = self.page.decoder(self.after..end);
        let whole = self.next_index().is_multiple_of(RESTART);
        let shared =
            decoder.varint_up_to(if whole { 0 } else { self.key.len() as u64 }, "shared prefix", "K1")?;
        let most = (limits::KEY + 8).saturating_sub(shared) as u64;
        let suffix = decoder.varint_up_to(most, "length of a key", "L1")?;
        let value = decoder.varint_up_to(limits::PAGE as u64, "length of a value", "L1")?;
        let suffix_start = end.saturating_sub(decoder.remaining());
        decoder.take(suffix, "P4")?;
        let value_start = end.saturating_sub(decoder.remaining());
        decoder.take(value, "P4")?;
        let value_end = end.saturating_sub(decoder.remaining());
        Ok(Entry { shared, suffix: suffix_start..value_start, value: value_start..value_end })
    }

    /// Moves to the entry that was peeked at.
    fn take(&mut self, entry: Entry) {
        self.index = Some(self.next_index());
        self.key.truncate(entry.shared);
        self.key.extend_from_slice(self.page.slice(entry.suffix));
        self.after = entry.value.end;
        self.value = entry.value;
    }

    /// Moves to the next entry; there must be one.
    fn advance(&mut self) -> Result<()> {
        let entry = self.peek()?;
        self.take(entry);
        Ok(())
    }

    /// Moves to the entry after this one, if there is one.
    pub(crate) fn next(&mut self) -> Result<bool> {
        if self.next_index() >= self.page.count {
            return Ok(false);
        }
        self.advance().map(|()| true)
    }

    /// Moves to the entry with number `index`, which must be below the count.
    pub(crate) fn go_to(&mut self, index: usize) -> Result<()> {
        let group = index / RESTART;
        let near = self.index.is_some_and(|at| at <= index && at / RESTART == group);
        if !near {
            self.enter_group(group)?;
        }
        while self.index() < index {
            self.advance()?;
        }
        Ok(())
    }

    /// Moves to the first entry of a group.
    fn enter_group(&mut self, group: usize) -> Result<()> {
        self.after = self.page.restart(group)?;
        self.index = group.saturating_mul(RESTART).checked_sub(1);
        self.key.clear();
        self.advance()
    }

    /// Moves to the last entry whose key is not greater than `key`, if there is one.
    pub(crate) fn floor(&mut self, key: &[u8]) -> Result<bool> {
        let (mut low, mut high) = (0, self.page.count.div_ceil(RESTART));
        while low < high {
            let middle = low.midpoint(high);
            self.enter_group(middle)?;
            match self.key.as_slice().cmp(key) {
                Ordering::Equal => return Ok(true),
                Ordering::Less => low = middle.saturating_add(1),
                Ordering::Greater => high = middle,
            }
        }
        let Some(group) = low.checked_sub(1) else { return Ok(false) };
        self.enter_group(group)?;
        let end = self.page.count.min(low.saturating_mul(RESTART));
        // How much of `key` the current key has. An entry that shares more with it differs from `key` where it does.
        let mut common = shared_prefix(&self.key, key);
        while self.next_index() < end {
            let entry = self.peek()?;
            if entry.shared <= common {
                let suffix = self.page.slice(entry.suffix.clone());
                let rest = key.get(entry.shared..).unwrap_or_default();
                common = shared_prefix(suffix, rest).saturating_add(entry.shared);
                if suffix > rest {
                    break;
                }
            }
            self.take(entry);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(keys: &[String]) -> Arc<Page> {
        let mut builder = PageBuilder::default();
        for key in keys {
            builder.add(key.as_bytes(), format!("value of {key}").as_bytes());
        }
        Arc::new(Page::decode(builder.take(0), 0, Section::Spaces).unwrap())
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
        let page = Arc::new(Page::decode(bytes, 1000, Section::Spaces).unwrap());
        let mut cursor = PageCursor::new(page);
        assert!(cursor.next().unwrap());
        assert_eq!(cursor.value().offset(), 1000 + 5 + 3 + 1);
        let error = cursor.next().unwrap_err().to_string();
        let expected = "corrupt spaces table at byte 1014: shared prefix is 9, at most 1 expected [K1]";
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
            let page = Page::decode(bytes[..len].to_vec(), 0, Section::Spaces);
            assert!(page.and_then(|page| Arc::new(page).check_shape()).is_err(), "{len}");
        }
    }
}
