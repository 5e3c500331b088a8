//! Moving about in a page: from entry to entry, to a number, to a key.

use std::ops::Range;
use std::sync::Arc;

use crate::codec::{Decoder, from_key64, key64};
use crate::error::Result;
use crate::extents::Row;
use crate::strings::shared_prefix;

use super::{Entry, NumberedEntry, Page, RESTART};

/// A place in a page: the entry with number `index`, or before the first one.
#[derive(Clone)]
pub(crate) struct PageCursor {
    page: Arc<Page>,
    /// The number of the entry whose key and value are held; `None` before the first move.
    index: Option<usize>,
    pub(super) key: Vec<u8>,
    pub(super) value: Range<usize>,
    /// Where the next entry begins.
    pub(super) after: usize,
}

impl PageCursor {
    pub(crate) fn new(page: Arc<Page>) -> Self {
        Self { page, index: None, key: Vec::new(), value: 0..0, after: 0 }
    }

    pub(crate) fn page(&self) -> &Arc<Page> {
        &self.page
    }

    /// The number of the current entry, if there was a move.
    pub(crate) fn place(&self) -> Option<usize> {
        self.index
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

    /// What a leaf of spaces or groupings says of the current key.
    pub(crate) fn row(&self) -> Result<&Row> {
        match self.page.extents() {
            Some(extents) => extents.row(self.index()),
            None => Err(self.page.corrupt("P4", "page without extents")),
        }
    }

    fn next_index(&self) -> usize {
        self.index.map_or(0, |index| index.saturating_add(1))
    }

    /// The entry after this one; there must be one.
    fn peek(&self) -> Result<Entry> {
        let whole = self.next_index().is_multiple_of(RESTART);
        self.page.entry(self.after, if whole { 0 } else { self.key.len() })
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
    pub(super) fn advance(&mut self) -> Result<()> {
        let entry = self.peek()?;
        self.check_ascends(&entry)?;
        self.take(entry);
        Ok(())
    }

    /// An entry that was peeked at has a greater key.
    fn check_ascends(&self, entry: &Entry) -> Result<()> {
        let (before, suffix) = (self.key.get(entry.shared..), self.page.slice(entry.suffix.clone()));
        if self.index.is_some() && before.is_none_or(|before| before >= suffix) {
            return Err(self
                .page
                .corrupt("P2", format!("key of entry {} does not ascend", self.next_index())));
        }
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
        let entry = self.peek()?;
        self.take(entry);
        Ok(())
    }

    /// Moves to an entry that is known.
    fn move_to(&mut self, index: usize, entry: NumberedEntry) {
        let (start, end) = entry.value;
        self.index = Some(index);
        self.key.clear();
        self.key.extend_from_slice(&key64(entry.key));
        (self.value, self.after) = (start as usize..end as usize, end as usize);
    }

    /// Moves to the last entry whose key is not greater than `key`, if there is one.
    pub(crate) fn floor(&mut self, key: &[u8]) -> Result<bool> {
        if let Some(numbered) = self.page.numbered()
            && let Some(wanted) = from_key64(key)
        {
            let before = numbered.partition_point(|entry| entry.key <= wanted);
            let found = before.checked_sub(1).and_then(|index| Some((index, *numbered.get(index)?)));
            let Some((index, entry)) = found else { return Ok(false) };
            self.move_to(index, entry);
            return Ok(true);
        }
        let groups = self.page.count.div_ceil(RESTART);
        let mut group = self.index.map_or(0, |index| index / RESTART);
        let next = group.saturating_add(1);
        let near = self.index.is_some() && self.key.as_slice() <= key;
        if !near || (next < groups && self.page.whole_key(next)? <= key) {
            let (mut low, mut high) = (if near { next } else { 0 }, groups);
            while low < high {
                let middle = low.midpoint(high);
                if self.page.whole_key(middle)? <= key {
                    low = middle.saturating_add(1);
                } else {
                    high = middle;
                }
            }
            let Some(found) = low.checked_sub(1) else { return Ok(false) };
            group = found;
            self.enter_group(group)?;
        }
        let end = self.page.count.min(group.saturating_add(1).saturating_mul(RESTART));
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
            self.check_ascends(&entry)?;
            self.take(entry);
        }
        Ok(true)
    }
}
