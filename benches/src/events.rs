//! Events in memory: all bytes in one place, one after the other, as a program has them that has just parsed them.

use std::collections::HashMap;

use esdb_format::{Event, EventBuf};

/// Many events, numbered from 0.
#[derive(Default)]
pub(crate) struct Events {
    bytes: Vec<u8>,
    rows: Vec<Row>,
    /// The lengths of names and values.
    pairs: Vec<(u16, u16)>,
}

#[derive(Clone, Copy)]
struct Row {
    /// Where the row's bytes begin: space, grouping, names and values, data.
    start: u64,
    first_pair: u32,
    timestamp: i64,
    data: u32,
    pair_bytes: u32,
    space: u16,
    grouping: u16,
    pairs: u16,
}

impl Events {
    /// Collects `count` events.
    pub(crate) fn collect(count: u64, event: impl Fn(u64) -> EventBuf) -> Self {
        let mut events = Self::default();
        events.rows.reserve_exact(count as usize);
        for i in 0..count {
            events.push(&event(i).as_event());
            if i == 999 {
                // Once the mean is known, no growing that would need twice the room.
                let bytes = events.bytes.len() as u64 * count / 1000;
                events.bytes.reserve_exact((bytes + bytes / 32) as usize);
                events.pairs.reserve_exact((events.pairs.len() as u64 * count / 900) as usize);
            }
        }
        events
    }

    fn push(&mut self, event: &Event<'_>) {
        let start = self.bytes.len() as u64;
        let first_pair = self.pairs.len() as u32;
        self.bytes.extend_from_slice(event.space);
        self.bytes.extend_from_slice(event.grouping);
        for (name, value) in &event.indexes {
            self.bytes.extend_from_slice(name);
            self.bytes.extend_from_slice(value);
            self.pairs.push((name.len() as u16, value.len() as u16));
        }
        let keys = self.bytes.len() as u64 - start;
        self.bytes.extend_from_slice(event.data);
        self.rows.push(Row {
            start,
            first_pair,
            timestamp: event.timestamp,
            data: event.data.len() as u32,
            pair_bytes: keys as u32 - (event.space.len() + event.grouping.len()) as u32,
            space: event.space.len() as u16,
            grouping: event.grouping.len() as u16,
            pairs: event.indexes.len() as u16,
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn space(&self, i: usize) -> &[u8] {
        let row = &self.rows[i];
        &self.bytes[row.start as usize..][..row.space as usize]
    }

    pub(crate) fn grouping(&self, i: usize) -> &[u8] {
        let row = &self.rows[i];
        &self.bytes[row.start as usize + row.space as usize..][..row.grouping as usize]
    }

    pub(crate) fn timestamp(&self, i: usize) -> i64 {
        self.rows[i].timestamp
    }

    pub(crate) fn data(&self, i: usize) -> &[u8] {
        let row = &self.rows[i];
        let keys = row.space as usize + row.grouping as usize + row.pair_bytes as usize;
        &self.bytes[row.start as usize + keys..][..row.data as usize]
    }

    /// The index pairs, as name and value.
    pub(crate) fn pairs(&self, i: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        let row = &self.rows[i];
        let mut at = row.start as usize + row.space as usize + row.grouping as usize;
        self.pairs[row.first_pair as usize..][..row.pairs as usize].iter().map(move |&(name, value)| {
            let (name, value) = (name as usize, value as usize);
            let pair = &self.bytes[at..at + name + value];
            at += name + value;
            pair.split_at(name)
        })
    }

    pub(crate) fn event(&self, i: usize) -> Event<'_> {
        Event {
            space: self.space(i),
            grouping: self.grouping(i),
            timestamp: self.timestamp(i),
            indexes: self.pairs(i).collect(),
            data: self.data(i),
        }
    }

    /// The numbers of all events by space, grouping, timestamp, number.
    pub(crate) fn order(&self) -> Vec<u32> {
        let spaces = ranks((0..self.len()).map(|i| self.space(i)));
        let groupings = ranks((0..self.len()).map(|i| self.grouping(i)));
        let mut keys: Vec<_> =
            (0..self.len()).map(|i| (spaces[i], groupings[i], self.timestamp(i), i as u32)).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(.., i)| i).collect()
    }

    /// The same events, each at its place in file order.
    pub(crate) fn in_order(&self) -> Self {
        self.rebuilt(self.order().into_iter(), |event| event)
    }

    /// The same events without indexes.
    pub(crate) fn without_indexes(&self) -> Self {
        self.rebuilt(0..self.len() as u32, |event| Event { indexes: Vec::new(), ..event })
    }

    fn rebuilt<'a>(
        &'a self,
        order: impl Iterator<Item = u32>,
        change: impl Fn(Event<'a>) -> Event<'a>,
    ) -> Self {
        let mut other = Self {
            bytes: Vec::with_capacity(self.bytes.len()),
            rows: Vec::with_capacity(self.rows.len()),
            pairs: Vec::with_capacity(self.pairs.len()),
        };
        for i in order {
            other.push(&change(self.event(i as usize)));
        }
        other
    }

    /// How many index pairs there are.
    pub(crate) fn entries(&self) -> usize {
        self.pairs.len()
    }

    /// The names of all indexes, sorted.
    pub(crate) fn index_names(&self) -> Vec<&[u8]> {
        let mut names: Vec<&[u8]> = Vec::new();
        for i in 0..self.len() {
            for (name, _) in self.pairs(i) {
                if let Err(at) = names.binary_search(&name) {
                    names.insert(at, name);
                }
            }
        }
        names
    }
}

/// The place of each key among all distinct keys.
fn ranks<'a>(keys: impl Iterator<Item = &'a [u8]>) -> Vec<u32> {
    let mut numbers: HashMap<&[u8], u32> = HashMap::new();
    let mut codes = Vec::with_capacity(keys.size_hint().0);
    for key in keys {
        let next = numbers.len() as u32;
        codes.push(*numbers.entry(key).or_insert(next));
    }
    let mut sorted: Vec<_> = numbers.into_iter().collect();
    sorted.sort_unstable();
    let mut ranks = vec![0; sorted.len()];
    for (rank, (_, number)) in sorted.into_iter().enumerate() {
        ranks[number as usize] = rank as u32;
    }
    codes.into_iter().map(|code| ranks[code as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;

    #[test]
    fn events_are_what_was_collected() {
        for workload in [Workload::Visits, Workload::Product, Workload::Sensor] {
            let events = Events::collect(2_000, |i| workload.event(i, 2_000));
            for i in 0..2_000 {
                assert_eq!(EventBuf::from(events.event(i)), workload.event(i as u64, 2_000));
            }
        }
    }

    #[test]
    fn order_is_file_order() {
        let events = Events::collect(5_000, |i| Workload::Visits.event(i, 5_000)).in_order();
        let events: Vec<_> = (0..5_000).map(|i| EventBuf::from(events.event(i))).collect();
        assert!(events.is_sorted_by(|a, b| a.cmp_file_order(b).is_le()));
    }
}
