//! Walking through the event blocks.

use std::sync::Arc;

use crate::block::{Block, Head, read_block, read_head};
use crate::checksum::check;
use crate::codec::from_key64;
use crate::error::{Error, Result, Section};
use crate::source::copy;
use crate::tables::{BlockEntry, Extent};

use super::derived::Derived;
use super::{VerifyLevel, Walk};

impl Walk<'_> {
    /// Takes the blocks table's word for where the blocks end.
    pub(super) fn skip_blocks(&mut self) {
        let mut cursor = self.file.blocks().cursor();
        let last = cursor.entries().checked_sub(1);
        let Some(last) = last else { return };
        let entry = cursor.go_to(last).and_then(|_| BlockEntry::at(cursor.leaf()));
        if let Some(entry) = self.found.ok(entry) {
            self.at = entry.handle.end().unwrap_or(self.at);
        }
    }

    pub(super) fn blocks(&mut self) {
        let mut cursor = self.file.blocks().cursor();
        let unit = self.file.footer.layout.unit;
        let mut derived = (self.level == VerifyLevel::Deep).then(|| Derived::new(unit));
        let (mut ordinal, mut last) = (0, None);
        loop {
            let entry = match cursor.next() {
                Ok(true) => BlockEntry::at(cursor.leaf()),
                Ok(false) => break,
                Err(error) => Err(error),
            };
            let Ok(entry) = entry else {
                // The walk through the table's own pages will name the place.
                self.find_blocks_by_themselves(ordinal);
                derived = None;
                break;
            };
            if entry.first_ordinal != ordinal {
                let reason = format!("first ordinal is {}, {ordinal} expected", entry.first_ordinal);
                self.found.note(Error::corrupt(Section::Blocks, entry.handle.offset, "B2", reason));
            }
            // Bytes that several entries claim are read once: time is bounded by the length of the file.
            let is_first = entry.handle.offset >= self.digested;
            self.own(Section::Block, entry.handle.offset, entry.handle.len);
            let block = if is_first { self.block(&entry).map(Some) } else { Ok(None) };
            ordinal = entry.first_ordinal;
            match self.found.ok(block).flatten() {
                Some(block) => {
                    ordinal = block.head().end_ordinal();
                    if let Some(into) = &mut derived {
                        let result = self.events(&block, &entry, &mut last, into);
                        if self.found.ok(result).is_none() {
                            derived = None;
                        }
                    }
                }
                None => {
                    derived = None;
                    // What the next entry states is the best there is.
                    let position = cursor.position();
                    if let Ok(true) = cursor.go_to(position.saturating_add(1)) {
                        ordinal = from_key64(cursor.key()).unwrap_or(ordinal);
                        let _ = cursor.go_to(position);
                    } else {
                        ordinal = self.file.footer.events;
                    }
                }
            }
        }
        if ordinal != self.file.footer.events {
            let reason =
                format!("the blocks hold {ordinal} events, the footer states {}", self.file.footer.events);
            self.found.note(Error::corrupt(Section::Footer, self.footer_offset(), "F5", reason));
        }
        self.derived = derived;
    }

    /// Walks on from block to block by their heads, without the table.
    fn find_blocks_by_themselves(&mut self, mut ordinal: u64) {
        while ordinal < self.file.footer.events {
            let (source, layout) = (self.file.source(), &self.file.footer.layout);
            let block = read_block(source, self.at, layout, self.file.codecs());
            let Some(block) = self.found.ok(block) else { return };
            self.at = self.at.saturating_add(block.head().block_len());
            ordinal = block.head().end_ordinal();
        }
    }

    /// Reads a block and compares the checksums of its frames.
    fn block(&mut self, entry: &BlockEntry) -> Result<Arc<Block>> {
        let offset = entry.handle.offset;
        self.digest_up_to(offset)?;
        let head = read_head(self.file.source(), offset, &self.file.footer.layout)?;
        copy(self.file.source(), offset, head.block_len(), &mut self.bytes, Section::Block, "B1")?;
        self.hasher.update(&self.bytes);
        self.digested = self.digested.saturating_add(head.block_len());
        let block = self.file.decode_block(entry, &self.bytes)?;
        let head: &Head = block.head();
        let (frames, whole) = (block.frames()?, block.whole()?);
        self.seen.blocks = self.seen.blocks.saturating_add(1);
        self.seen.frames = self.seen.frames.saturating_add(frames.len() as u64);
        self.seen.frame_bytes = self.seen.frame_bytes.saturating_add(head.payload_len);
        self.seen.column_bytes =
            self.seen.column_bytes.saturating_add(head.block_len().saturating_sub(head.payload_len));
        self.seen.data_bytes = self.seen.data_bytes.saturating_add(whole.data_len() as u64);
        // The frames fill the payload exactly.
        let payload = head.payload_offset().saturating_sub(offset) as usize;
        let mut rest = self.bytes.get(payload..).unwrap_or_default();
        for frame in 0..frames.len() {
            let frame = whole.frame(frames, frame);
            let (bytes, after) = rest.split_at(frame.len);
            let result = check(frame.checksum, bytes, Section::Frame, frame.offset, "B11");
            self.found.ok(result);
            rest = after;
        }
        Ok(block)
    }

    /// Decodes the events of a block, compares them with the ones before, and derives from them.
    fn events(
        &mut self,
        block: &Arc<Block>,
        entry: &BlockEntry,
        last: &mut Option<(Vec<u8>, Vec<u8>, i64)>,
        into: &mut Derived,
    ) -> Result<()> {
        let offset = block.head().offset;
        let wrong = |rule, reason: String| Err(Error::corrupt(Section::Block, offset, rule, reason));
        let (times, indexes) = (block.times()?, block.indexes()?);
        let (table, whole) = (block.frames()?, block.whole()?);
        for (number, column) in indexes.columns().iter().enumerate() {
            let mut used = vec![false; column.value_count()];
            column.for_each_in(0..block.rows(), |_, place| {
                used.get_mut(place as usize).into_iter().for_each(|used| *used = true);
            });
            if used.contains(&false) {
                return wrong("B8", format!("a value of index column {number} has no event"));
            }
        }
        let range = (times.iter().min().copied(), times.iter().max().copied());
        if range != (Some(entry.first), Some(entry.last)) {
            return wrong("T1", format!("times are {range:?}, the blocks table states others"));
        }
        let (mut frames, mut data, mut numbers) = (self.file.frames(), Vec::new(), Vec::new());
        for number in 0..table.len() {
            frames.unpack(&whole.frame(table, number), &mut data)?;
            for row in table.rows(number) {
                let (space, grouping) = block.keys_of(row);
                let (data, time) = (data.get(whole.range_in(table, number, row)), times.get(row));
                let (Some(data), Some(&time)) = (data, time) else {
                    return wrong("B7", format!("event {row} is not in its frame"));
                };
                let key = (space, grouping, time);
                let before = last.as_ref().map(|(space, grouping, time)| (&space[..], &grouping[..], *time));
                if before.is_some_and(|before| before > key) {
                    return wrong("B5", format!("event {row} comes before the one before it"));
                }
                if before.is_none_or(|before| (before.0, before.1) != (space, grouping)) {
                    *last = Some((space.to_vec(), grouping.to_vec(), time));
                } else if let Some(last) = last {
                    last.2 = time;
                }
                let pairs: Vec<_> = indexes.pairs(row).collect();
                into.content.add(space, grouping, time, pairs.len(), pairs.iter().copied(), data);
                into.deriver.enter(space, grouping, Extent::of(time))?;
                numbers.clear();
                numbers.extend(pairs.iter().map(|(name, value)| into.deriver.lists.number(name, value)));
                into.deriver.add(time, &numbers)?;
            }
        }
        into.deriver.relieve()
    }
}
