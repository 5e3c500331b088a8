//! Reading a file from front to back in large pieces, and finding markers in it.

use memchr::memmem;

use crate::error::{Result, Section};
use crate::source::{Source, copy};

/// How much is read at once, in bytes.
const CHUNK: usize = 1 << 20;

/// How all markers of the format begin.
const MARKER_START: &[u8; 5] = b"\x89ESDB";

/// A file's bytes, of which the piece that was read last is at hand.
pub(super) struct Chunks<'a> {
    source: &'a dyn Source,
    bytes: Vec<u8>,
    /// Where the piece begins in the file.
    at: u64,
    finder: memmem::Finder<'static>,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(source: &'a dyn Source) -> Self {
        Self { source, bytes: Vec::new(), at: 0, finder: memmem::Finder::new(MARKER_START) }
    }

    /// The `len` bytes from `offset` on; `None` if the file ends before.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read.
    pub(super) fn get(&mut self, offset: u64, len: usize) -> Result<Option<&[u8]>> {
        let end = offset.checked_add(len as u64).filter(|&end| end <= self.source.len());
        let Some(end) = end else { return Ok(None) };
        if offset < self.at || end > self.at.saturating_add(self.bytes.len() as u64) {
            self.fill(offset, len)?;
        }
        let start = offset.saturating_sub(self.at) as usize;
        Ok(self.bytes.get(start..start.saturating_add(len)))
    }

    /// Reads a piece of at least `len` bytes.
    fn fill(&mut self, offset: u64, len: usize) -> Result<()> {
        let len = (len.max(CHUNK) as u64).min(self.source.len().saturating_sub(offset));
        if self.bytes.capacity() as u64 > len.max(CHUNK as u64).saturating_mul(2) {
            self.bytes = Vec::new();
        }
        copy(self.source, offset, len, &mut self.bytes, Section::File, "B1")?;
        self.at = offset;
        Ok(())
    }

    /// The first place from `from` on where a marker may stand.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read.
    pub(super) fn find(&mut self, mut from: u64) -> Result<Option<u64>> {
        loop {
            let left = self.source.len().saturating_sub(from);
            if left < MARKER_START.len() as u64 {
                return Ok(None);
            }
            self.get(from, MARKER_START.len())?;
            let rest = self.bytes.get(from.saturating_sub(self.at) as usize..).unwrap_or_default();
            if let Some(found) = self.finder.find(rest) {
                return Ok(Some(from.saturating_add(found as u64)));
            }
            // A marker may begin in this piece and end in the next one.
            from =
                from.saturating_add(
                    rest.len().saturating_sub(MARKER_START.len().saturating_sub(1)).max(1) as u64
                );
        }
    }
}

/// Calls `each` with every place of `marker`, the last one first, as long as it returns true.
pub(super) fn for_each_backwards(
    source: &dyn Source,
    marker: &[u8; 8],
    mut each: impl FnMut(u64) -> Result<bool>,
) -> Result<()> {
    let finder = memmem::FinderRev::new(marker);
    let (mut end, mut bytes) = (source.len(), Vec::new());
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        // A marker may begin in this piece and end in the next one, which was looked at before.
        let reach = end.saturating_add(marker.len().saturating_sub(1) as u64).min(source.len());
        let len = reach.saturating_sub(start);
        copy(source, start, len, &mut bytes, Section::File, "D2")?;
        for place in finder.rfind_iter(&bytes) {
            if !each(start.saturating_add(place as u64))? {
                return Ok(());
            }
        }
        end = start;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Markers at the beginning, at the end, and around the borders of pieces.
    fn places() -> Vec<u64> {
        let border = CHUNK as u64;
        let mut places = vec![0];
        places.extend((1..9).map(|before| before * border - before));
        places.push(9 * border);
        places
    }

    #[test]
    fn markers_are_found_across_the_borders_of_pieces() {
        let places = places();
        let mut bytes = vec![0x89; 9 * CHUNK + 8];
        for &place in &places {
            bytes[place as usize..][..8].copy_from_slice(b"\x89ESDBD\r\n");
        }
        let (mut chunks, mut found, mut at) = (Chunks::new(&bytes), Vec::new(), 0);
        while let Some(place) = chunks.find(at).unwrap() {
            found.push(place);
            at = place + 1;
        }
        assert_eq!(found, places);
        let mut found = Vec::new();
        for_each_backwards(&bytes, b"\x89ESDBD\r\n", |place| {
            found.push(place);
            Ok(true)
        })
        .unwrap();
        found.reverse();
        assert_eq!(found, places);
    }

    #[test]
    fn pieces_end_with_the_file() {
        let bytes = vec![1; 3 * CHUNK + 5];
        let mut chunks = Chunks::new(&bytes);
        assert_eq!(chunks.get(0, 2 * CHUNK).unwrap().map(<[u8]>::len), Some(2 * CHUNK));
        assert_eq!(chunks.get(3 * CHUNK as u64, 5).unwrap(), Some(&[1; 5][..]));
        assert_eq!(chunks.get(3 * CHUNK as u64, 6).unwrap(), None);
        assert_eq!(chunks.get(u64::MAX, 6).unwrap(), None);
        assert_eq!(chunks.find(0).unwrap(), None);
        assert_eq!(Chunks::new(&Vec::new()).find(0).unwrap(), None);
    }
}
