//! Events in memory, in the order of arrival until they are sorted: keys and pairs once each, data in pieces.

use std::ops::Range;

use super::ordered::{Ordered, OrderedPairs};
use crate::codec::{Decoder, Encode, key_prefix};
use crate::error::Section;
use crate::event::Event;
use crate::interner::{Interner, Numbered};
use crate::strings::shared_prefix;

/// Records are kept in pieces of this size, so that growing copies nothing, in bytes.
const PIECE: usize = 1 << 20;

/// How many events are fetched side by side.
const AHEAD: usize = 32;

/// Events, and the order they are in.
#[derive(Default)]
pub(crate) struct EventBuffer {
    /// Pairs of space and grouping.
    keys: Interner,
    pairs: Interner,
    entries: Vec<Entry>,
    /// Of each event, one after another: varint number of pairs, their numbers as `u32`, data.
    pieces: Vec<Vec<u8>>,
    /// How many of the pieces hold something; the rest were used before.
    used: usize,
    piece_bytes: usize,
    /// Places of entries in file order; empty as long as they arrived in it.
    order: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Entry {
    timestamp: i64,
    key: u32,
    piece: u32,
    start: u32,
    data_len: u32,
}

impl EventBuffer {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of memory in use, with what sorting will need.
    pub(crate) fn memory(&self) -> usize {
        self.piece_bytes
            + self.entries.capacity() * size_of::<Entry>()
            + self.entries.len() * size_of::<u32>()
            + self.keys.memory()
            + self.keys.len() * (size_of::<(u64, u32)>() + size_of::<u32>())
            + self.pairs.memory()
    }

    /// Forgets all events, but keeps the pieces for others.
    pub(crate) fn clear(&mut self) {
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.retain_mut(|piece| {
            piece.clear();
            piece.capacity() == PIECE
        });
        *self = Self { pieces, ..Self::default() };
    }

    /// Appends an event whose pairs ascend strictly.
    pub(crate) fn push(&mut self, event: &Event<'_>) {
        let key = match self.entries.last() {
            Some(last) if self.keys.pair(last.key) == (event.space, event.grouping) => last.key,
            _ => self.keys.number(event.space, event.grouping),
        };
        let len = 10 + size_of::<u32>() * event.indexes.len() + event.data.len();
        let fits = self.used > 0 && self.pieces[self.used - 1].len() + len <= PIECE;
        if !fits {
            if len > PIECE || self.used == self.pieces.len() {
                self.pieces.insert(self.used, Vec::with_capacity(len.max(PIECE)));
            }
            self.used += 1;
            self.piece_bytes += len.max(PIECE);
        }
        let number = self.used - 1;
        let piece = &mut self.pieces[number];
        self.entries.push(Entry {
            timestamp: event.timestamp,
            key,
            piece: number as u32,
            start: piece.len() as u32,
            data_len: event.data.len() as u32,
        });
        piece.put_varint(event.indexes.len() as u64);
        for (name, value) in &event.indexes {
            piece.put_u32(self.pairs.number(name, value));
        }
        piece.extend_from_slice(event.data);
    }

    /// Sorts into file order; equal events keep the order of their arrival.
    pub(crate) fn sort(&mut self) {
        let keys = self.sorted_keys();
        // Where the events of each key begin: counted, then added up in the order of the keys.
        let mut next = vec![0; keys.len()];
        for entry in &self.entries {
            next[entry.key as usize] += 1;
        }
        let mut start = 0;
        for &key in &keys {
            start += std::mem::replace(&mut next[key as usize], start);
        }
        let mut order = vec![0; self.entries.len()];
        for (place, entry) in (0..).zip(&self.entries) {
            let slot = &mut next[entry.key as usize];
            order[*slot as usize] = place;
            *slot += 1;
        }
        let timestamp = |place: &u32| self.entries[*place as usize].timestamp;
        let mut rest = order.as_mut_slice();
        let mut done = 0;
        for key in keys {
            let (events, after) = rest.split_at_mut((next[key as usize] - done) as usize);
            if !events.is_sorted_by_key(timestamp) {
                events.sort_by_key(timestamp);
            }
            done = next[key as usize];
            rest = after;
        }
        self.order = order;
    }

    /// The numbers of all keys, ascending by space and grouping.
    fn sorted_keys(&self) -> Vec<u32> {
        let spaces = || (0..self.keys.len() as u32).map(|key| self.keys.pair(key).0);
        let first = spaces().next().unwrap_or_default();
        let shared = spaces().map(|space| shared_prefix(first, space)).min().unwrap_or(0);
        // What follows the bytes that all spaces share decides most comparisons.
        let mut sorted: Vec<(u64, u32)> =
            spaces().map(|space| key_prefix(&space[shared..])).zip(0..).collect();
        sorted.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| self.keys.pair(a.1).cmp(&self.keys.pair(b.1)))
        });
        sorted.into_iter().map(|(_, key)| key).collect()
    }

    fn entry(&self, at: usize) -> Option<&Entry> {
        self.entries.get(self.order.get(at).map_or(at, |&place| place as usize))
    }

    /// Space, grouping and timestamp of an event.
    pub(crate) fn key(&self, at: usize) -> Option<(&[u8], &[u8], i64)> {
        let entry = self.entry(at)?;
        let (space, grouping) = self.keys.pair(entry.key);
        Some((space, grouping, entry.timestamp))
    }

    /// The last event that arrived.
    pub(crate) fn last_key(&self) -> Option<(&[u8], &[u8], i64)> {
        self.key(self.len().checked_sub(1)?)
    }

    /// Reads a byte of each of the next events: they lie anywhere, and the processor fetches them side by side.
    fn touch(&self, events: Range<usize>) {
        let byte = |at: usize| {
            let &Entry { piece, start, .. } = self.entry(at)?;
            self.pieces[piece as usize].get(start as usize)
        };
        std::hint::black_box(events.filter_map(byte).fold(0, |all, byte| all ^ byte));
    }

    /// An event, which must be there.
    pub(crate) fn event(&self, at: usize) -> Ordered<'_> {
        if at.is_multiple_of(AHEAD) && !self.order.is_empty() {
            self.touch(at..at + AHEAD);
        }
        let Entry { timestamp, key, piece, start, data_len } = *self.entry(at).unwrap_or(&self.entries[at]);
        let mut record = Decoder::new(&self.pieces[piece as usize][start as usize..], 0, Section::File);
        // The buffer wrote the record itself.
        let pairs = record.varint("").unwrap_or(0) as usize;
        let numbers = record.take(size_of::<u32>() * pairs, "").unwrap_or_default();
        let data = record.take(data_len as usize, "").unwrap_or_default();
        let (space, grouping) = self.keys.pair(key);
        let pairs = OrderedPairs::Buffered(Numbered::new(numbers, &self.pairs));
        Ordered { space, grouping, timestamp, pairs, data }
    }

    /// Gives up the data of an event that fills a piece alone, once it was passed on.
    pub(crate) fn forget(&mut self, at: usize) {
        if let Some(&Entry { piece, data_len, .. }) = self.entry(at)
            && data_len as usize >= PIECE
        {
            self.pieces[piece as usize] = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever measures a buffer to see whether it is full must not find an empty one full.
    #[test]
    fn a_cleared_buffer_counts_no_memory() {
        let mut buffer = EventBuffer::default();
        for time in 0..200_000 {
            buffer.push(&Event::new("space", -time, "tiny").index("name", "value"));
        }
        assert!(buffer.memory() > 200_000 * size_of::<Entry>());
        buffer.sort();
        assert_eq!(buffer.event(0).timestamp, -199_999);
        buffer.clear();
        assert_eq!((buffer.len(), buffer.memory()), (0, EventBuffer::default().memory()));
        buffer.push(&Event::new("space", 1, "again"));
        assert_eq!(buffer.event(0).data, b"again");
    }
}
