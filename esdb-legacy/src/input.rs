//! A part of an old file, read through a window.

use std::ops::Range;

use esdb_format::{Error, Result, Source};

/// How much is read at once, in bytes. Parts that are smaller are read whole.
const WINDOW: u64 = 256 << 10;

/// A window over a region of a file. What lies outside the region does not exist for it.
pub(crate) struct Input<'a> {
    source: &'a dyn Source,
    /// How much is read at once.
    most: u64,
    region: Range<u64>,
    window: Vec<u8>,
    /// Where the window begins in the file.
    start: u64,
}

impl<'a> Input<'a> {
    /// The whole file.
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self { source, most: WINDOW, region: 0..source.len(), window: Vec::new(), start: 0 }
    }

    /// A window of its own over a region of the file.
    pub(crate) fn over(&self, region: Range<u64>) -> Self {
        let end = region.end.min(self.source.len());
        Self {
            source: self.source,
            most: WINDOW,
            region: region.start.min(end)..end,
            window: Vec::new(),
            start: 0,
        }
    }

    /// A window of 4 KiB over the same region, for single looks here and there.
    pub(crate) fn narrow(&self) -> Self {
        Self { most: 4 << 10, ..self.over(self.region.clone()) }
    }

    /// Moves to another region.
    pub(crate) fn focus(&mut self, region: Range<u64>) {
        let end = region.end.min(self.source.len());
        self.region = region.start.min(end)..end;
    }

    pub(crate) fn region(&self) -> Range<u64> {
        self.region.clone()
    }

    /// The `len` bytes from `offset` on; `None` if the region does not have them.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read.
    pub(crate) fn get(&mut self, offset: u64, len: usize) -> Result<Option<&[u8]>> {
        let Some(end) = offset.checked_add(len as u64) else { return Ok(None) };
        if offset < self.region.start || end > self.region.end {
            return Ok(None);
        }
        if offset < self.start || end > self.start + self.window.len() as u64 {
            self.fill(offset, len)?;
        }
        let at = (offset - self.start) as usize;
        Ok(self.window.get(at..at + len))
    }

    /// The bytes from `offset` on, at most `most` of them, as far as the region goes.
    pub(crate) fn up_to(&mut self, offset: u64, most: usize) -> Result<&[u8]> {
        let left = self.region.end.saturating_sub(offset).min(most as u64) as usize;
        Ok(self.get(offset, left)?.unwrap_or_default())
    }

    fn fill(&mut self, offset: u64, len: usize) -> Result<()> {
        let Range { start, end } = self.region;
        let range = match end - start <= self.most {
            true => start..end,
            false => offset..end.min(offset + self.most.max(len as u64)),
        };
        // A window that was made large for one piece does not stay so.
        if self.window.len() as u64 > 4 * WINDOW {
            self.window = Vec::new();
        }
        self.window.resize((range.end - range.start) as usize, 0);
        self.start = range.start;
        let read = self.source.read_at(range.start, &mut self.window);
        read.map_err(|source| {
            self.window.clear();
            let context = format!("cannot read {} bytes at byte {}", range.end - range.start, range.start);
            Error::Io { context, source }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_give_what_the_region_has() {
        let bytes: Vec<u8> = (0..600_000_u32).map(|i| (i % 251) as u8).collect();
        let mut input = Input::new(&bytes).over(100..599_000);
        for (offset, len) in
            [(100, 1), (300_000, 5), (99, 1), (200_000, 300_000), (598_999, 1), (598_999, 2), (0, 0)]
        {
            let expected = (offset >= 100 && offset + len <= 599_000).then(|| &bytes[offset..offset + len]);
            assert_eq!(input.get(offset as u64, len).unwrap(), expected, "{offset} {len}");
        }
        assert_eq!(input.up_to(598_990, 100).unwrap(), &bytes[598_990..599_000]);
        assert!(input.get(u64::MAX, 2).unwrap().is_none());
    }
}
