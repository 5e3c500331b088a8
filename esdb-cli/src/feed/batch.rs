//! Events on their way from one thread to another.

use esdb_format::{Event, EventBuf};

/// A batch is full when it takes so many bytes.
const BATCH: usize = 1 << 20;

/// Events one behind the other in a few large pieces of memory.
#[derive(Default)]
pub(super) struct Batch {
    /// Space, grouping, data, then names and values, of each event.
    bytes: Vec<u8>,
    /// Where each of those parts ends.
    ends: Vec<usize>,
    /// Timestamp and number of index pairs of each event.
    heads: Vec<(i64, usize)>,
}

impl Batch {
    /// Adds an event behind the others.
    pub(super) fn push(&mut self, event: &EventBuf) {
        let pairs = event.indexes.iter().flat_map(|(name, value)| [name, value]);
        for part in [&event.space, &event.grouping, &event.data].into_iter().chain(pairs) {
            self.bytes.extend_from_slice(part);
            self.ends.push(self.bytes.len());
        }
        self.heads.push((event.timestamp, event.indexes.len()));
    }

    /// Whether it is to be handed on.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() + size_of_val(&self.ends[..]) + size_of_val(&self.heads[..]) >= BATCH
    }

    /// The events, in order.
    pub(super) fn events(&self) -> impl Iterator<Item = Event<'_>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let part = |(start, &end)| self.bytes.get(start..end).unwrap_or_default();
        let mut parts = starts.zip(&self.ends).map(part);
        self.heads.iter().map(move |&(timestamp, pairs)| {
            let mut next = || parts.next().unwrap_or_default();
            let (space, grouping, data) = (next(), next(), next());
            let indexes = (0..pairs).map(|_| (next(), next())).collect();
            Event { space, grouping, timestamp, indexes, data }
        })
    }

    /// Forgets the events. Memory that a large event took is given back.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(2 * BATCH);
        self.ends.clear();
        self.heads.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_what_was_put_in() {
        let mut event = EventBuf::default();
        let mut other = EventBuf { timestamp: -5, data: b"data".to_vec(), ..EventBuf::default() };
        other.indexes = vec![(b"n".to_vec(), b"".to_vec()), (b"".to_vec(), b"v".to_vec())];
        event.space = b"space".to_vec();
        let mut batch = Batch::default();
        for _ in 0..2 {
            batch.push(&event);
            batch.push(&other);
            batch.push(&EventBuf::default());
            let events: Vec<EventBuf> = batch.events().map(EventBuf::from).collect();
            assert_eq!(events, [event.clone(), other.clone(), EventBuf::default()]);
            batch.clear();
        }
    }
}
