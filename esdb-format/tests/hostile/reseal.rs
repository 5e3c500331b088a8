//! Makes every checksum of a file true again, from the leaves up, so that a mutation reaches the parser behind them.
//!
//! ```text
//! frames, labels → rows → head ─┐
//! lists → values → names ───────┤→ pages above → roots ─┐
//! dictionary, header ───────────┴───────── facts ───────┴→ file digest → footer
//! ```
//!
//! What can be reached is walked through, once and within bounds; what is not well formed is left as it is. The content digest
//! stays: it is no checksum of bytes.

use std::collections::HashMap;
use std::ops::Range;

use crate::layout::{
    FOOTER, HEAD, HEADER, PAGE_MAX, ROW_AREAS, TREES, Target, column, columns, extra_sections, link, number,
    page, parts_of_columns, put_number, range_in,
};

/// The most pages and blocks that are walked through.
const MOST: usize = 20_000;

/// Trees of 32 levels one below the other: names, values, lists.
const DEEPEST: usize = 96;

pub(crate) fn reseal(bytes: &mut [u8]) {
    let Some(footer) = bytes.len().checked_sub(FOOTER).filter(|&at| at >= HEADER) else { return };
    let mut walk = Walk { bytes, sums: HashMap::new(), left: MOST };
    walk.dictionaries(footer);
    let header = walk.sum(0..60);
    walk.put(60, header);
    walk.put(footer + 32, header);
    for (i, kind) in TREES.into_iter().enumerate() {
        let root = footer + 64 + 24 * i;
        let offset = number(walk.bytes, root, 8).unwrap_or_default();
        let len = number(walk.bytes, root + 8, 4).unwrap_or_default();
        if let Some(sum) = walk.target(Target::Page(kind), offset, len, 0) {
            walk.put(root + 12, sum);
        }
    }
    walk.facts(footer);
    let digest = blake3::hash(&walk.bytes[..footer + 232]);
    walk.bytes[footer + 232..footer + 264].copy_from_slice(digest.as_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&walk.bytes[footer..footer + 264]);
    hasher.update(&walk.bytes[footer + 268..]);
    walk.put(footer + 264, hasher.finalize());
}

struct Walk<'a> {
    bytes: &'a mut [u8],
    /// The checksums of what was walked through. What leads to itself has the one it had before.
    sums: HashMap<(Target, u64, u64), u32>,
    left: usize,
}

impl Walk<'_> {
    fn sum(&self, range: Range<usize>) -> u32 {
        crc32fast::hash(&self.bytes[range])
    }

    fn put(&mut self, at: usize, sum: u32) {
        put_number(self.bytes, at, 4, sum.into());
    }

    /// The checksum that a handle of these bytes must have; `None` if the file has no such bytes.
    fn target(&mut self, target: Target, offset: u64, len: u64, depth: usize) -> Option<u32> {
        let range = range_in(self.bytes, offset, len)?;
        if let Some(&sum) = self.sums.get(&(target, offset, len)) {
            return Some(sum);
        }
        let before = self.sum(range.clone());
        self.sums.insert((target, offset, len), before);
        self.left = self.left.checked_sub(1).filter(|_| depth < DEEPEST)?;
        let sum = match target {
            Target::Block => self.block(range.start)?,
            Target::Page(_) if len > PAGE_MAX => before,
            Target::Page(kind) => {
                let (level, entries) = page(&self.bytes[range.clone()]);
                for entry in entries {
                    let value = range.start + entry.value.start..range.start + entry.value.end;
                    let Some(link) = link(kind, level, &self.bytes[value.clone()]) else { continue };
                    if let Some(sum) = self.target(link.target, link.offset, link.len, depth + 1) {
                        self.put(value.start + link.range.end - 4, sum);
                    }
                }
                self.sum(range)
            }
        };
        self.sums.insert((target, offset, len), sum);
        Some(sum)
    }

    /// Seals a block, and returns the checksum of its head.
    fn block(&mut self, head: usize) -> Option<u32> {
        range_in(self.bytes, head as u64, HEAD as u64)?;
        let _ = self.frames(head);
        self.labels(head);
        if let Some(rows) = range_in(self.bytes, (head + HEAD) as u64, number(self.bytes, head + 28, 4)?) {
            let sum = self.sum(rows);
            self.put(head + 44, sum);
        }
        let dictionary = number(self.bytes, 28, 4)?;
        put_number(self.bytes, head + 48, 4, dictionary);
        let sum = self.sum(head..head + 56);
        self.put(head + 56, sum);
        Some(sum)
    }

    fn labels(&mut self, head: usize) {
        let Some(columns) = columns(self.bytes, head) else { return };
        for (area, at) in columns.areas.into_iter().skip(ROW_AREAS).zip(columns.sums) {
            let sum = self.sum(area);
            self.put(at, sum);
        }
    }

    fn frames(&mut self, head: usize) -> Option<()> {
        let columns = columns(self.bytes, head)?;
        let area = columns.areas.get(3)?.clone();
        let count = usize::try_from(columns.frames).ok().filter(|&count| count <= 4096)?;
        let mut at = area.start;
        column(&self.bytes[..area.end], &mut at, count)?;
        let lens = column(&self.bytes[..area.end], &mut at, count)?;
        let [_, labels] = parts_of_columns(self.bytes, head)?;
        let mut offset = labels.end as u64;
        for len in lens {
            let frame = range_in(self.bytes, offset, len).filter(|_| at + 4 <= area.end)?;
            offset = frame.end as u64;
            let sum = self.sum(frame);
            self.put(at, sum);
            at += 4;
        }
        Some(())
    }

    /// The sections that stand where the marker is found; the first one decides what header and heads say.
    fn dictionaries(&mut self, end: usize) {
        if number(self.bytes, 24, 4) == Some(0) {
            return;
        }
        for at in markers(&self.bytes[..end]).into_iter().rev() {
            let (Some(full), Some(len)) = (number(self.bytes, at + 16, 4), number(self.bytes, at + 20, 4))
            else {
                continue;
            };
            let Some(content) = range_in(self.bytes, at as u64 + 32, len) else { continue };
            if let Some(sum) = dictionary_sum(&self.bytes[content.clone()], full) {
                self.put(at + 24, sum);
                self.put(28, sum);
                self.put(end + 28, sum);
            }
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(&self.bytes[at..at + 28]);
            hasher.update(&self.bytes[content]);
            self.put(at + 28, hasher.finalize());
        }
    }

    fn facts(&mut self, footer: usize) {
        let offset = number(self.bytes, footer + 184, 8).unwrap_or_default();
        let len = number(self.bytes, footer + 192, 4).unwrap_or_default();
        let Some(facts) = range_in(self.bytes, offset, len) else { return };
        for link in extra_sections(&self.bytes[facts.clone()]).unwrap_or_default() {
            if let Some(section) = range_in(self.bytes, link.offset, link.len) {
                let sum = self.sum(section);
                self.put(facts.start + link.range.end - 4, sum);
            }
        }
        let sum = self.sum(facts);
        self.put(footer + 196, sum);
    }
}

fn markers(bytes: &[u8]) -> Vec<usize> {
    let is_marker = |at: &usize| &bytes[*at..*at + 8] == b"\x89ESDBD\r\n";
    (0..bytes.len().saturating_sub(8)).filter(is_marker).collect()
}

/// The checksum of a dictionary of `len` bytes, if it can be unpacked.
fn dictionary_sum(stored: &[u8], len: u64) -> Option<u32> {
    let len = usize::try_from(len).ok().filter(|&len| len <= 128 << 10)?;
    if stored.len() == len {
        return Some(crc32fast::hash(stored));
    }
    let mut decompressor = zstd::bulk::Decompressor::new().ok()?;
    decompressor.include_magicbytes(false).ok()?;
    Some(crc32fast::hash(&decompressor.decompress(stored, len).ok()?))
}
