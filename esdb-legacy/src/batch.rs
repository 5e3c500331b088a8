//! Events on their way from the thread that reads to the one that writes.

use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender};

use esdb_format::{Error, Event, Result};

/// A batch is handed on when it takes so many bytes, or an eighth of what all may take.
const FULL: usize = 1 << 20;

/// Events of some groupings, in the order in which they are to be written.
#[derive(Default)]
pub(crate) struct Batch {
    /// The content of groupings, with the data of the rows.
    pub(crate) content: Vec<u8>,
    /// Spaces, groupings, names and values.
    strings: Vec<u8>,
    pub(crate) rows: Vec<Row>,
    pub(crate) pairs: Vec<Pair>,
    groups: Vec<Group>,
    /// How far the old file has been read, in bytes.
    pub(crate) read: u64,
    /// What it took when it was handed on, in bytes.
    handed_on: usize,
}

/// An event.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) timestamp: i64,
    /// In the batch's content.
    pub(crate) data: Range<usize>,
    /// In the batch's pairs.
    pub(crate) pairs: Range<usize>,
}

/// A name and a value, one behind the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    start: usize,
    name: u32,
    value: u32,
}

/// Events of one grouping.
struct Group {
    space: Range<usize>,
    grouping: Range<usize>,
    rows: Range<usize>,
}

impl Batch {
    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.content.len() + self.strings.len() + size_of_val(&self.rows[..]) + size_of_val(&self.pairs[..])
    }

    fn push(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.strings.len();
        self.strings.extend_from_slice(bytes);
        start..self.strings.len()
    }

    /// Adds a pair, to be taken by the row that is added next.
    pub(crate) fn pair(&mut self, name: &[u8], value: &[u8]) {
        let start = self.push(name).start;
        self.push(value);
        self.pairs.push(Pair { start, name: name.len() as u32, value: value.len() as u32 });
    }

    /// Whether the pair that was added last is this one.
    pub(crate) fn ends_with_pair(&self, name: &[u8], value: &[u8]) -> bool {
        self.pairs.last().is_some_and(|pair| self.parts(*pair) == (name, value))
    }

    fn parts(&self, pair: Pair) -> (&[u8], &[u8]) {
        let middle = pair.start + pair.name as usize;
        let part = |range: Range<usize>| self.strings.get(range).unwrap_or_default();
        (part(pair.start..middle), part(middle..middle + pair.value as usize))
    }

    /// Makes the rows from `first` on those of a grouping.
    pub(crate) fn group(&mut self, space: &[u8], grouping: &[u8], first: usize) {
        if first < self.rows.len() {
            let (space, grouping) = (self.push(space), self.push(grouping));
            self.groups.push(Group { space, grouping, rows: first..self.rows.len() });
        }
    }

    /// Calls `each` with all events.
    pub(crate) fn for_each(&self, each: &mut dyn FnMut(&Event<'_>) -> Result<()>) -> Result<()> {
        let part = |range: &Range<usize>| self.strings.get(range.clone()).unwrap_or_default();
        // One event for all: its list of pairs is allocated once.
        let mut event = Event::default();
        for group in &self.groups {
            (event.space, event.grouping) = (part(&group.space), part(&group.grouping));
            for row in self.rows.get(group.rows.clone()).unwrap_or_default() {
                let pairs = self.pairs.get(row.pairs.clone()).unwrap_or_default();
                event.timestamp = row.timestamp;
                event.indexes.clear();
                event.indexes.extend(pairs.iter().map(|pair| self.parts(*pair)));
                event.data = self.content.get(row.data.clone()).unwrap_or_default();
                each(&event)?;
            }
        }
        Ok(())
    }

    /// Forgets the events. Memory that a large event took is given back.
    pub(crate) fn clear(&mut self) {
        self.content.clear();
        self.content.shrink_to(4 * FULL);
        self.strings.clear();
        self.strings.shrink_to(4 * FULL);
        self.rows.clear();
        self.pairs.clear();
        self.groups.clear();
    }
}

/// Hands batches on.
pub(crate) struct Sink {
    pub(crate) batch: Batch,
    full: Sender<Batch>,
    spare: Receiver<Batch>,
    /// Bytes of the batches that have not come back.
    in_flight: usize,
    most: usize,
}

impl Sink {
    /// Batches of at most `most` bytes together wait for whom they are handed to, or a single one.
    pub(crate) fn new(full: Sender<Batch>, spare: Receiver<Batch>, most: usize) -> Self {
        Self { batch: Batch::default(), full, spare, in_flight: 0, most }
    }

    /// Whether the batch is worth handing on.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.memory() >= FULL.min(self.most / 8)
    }

    /// Hands the batch on if it is full.
    ///
    /// # Errors
    ///
    /// Those of [`hand_on`](Self::hand_on).
    pub(crate) fn hand_on_if_full(&mut self) -> Result<()> {
        if self.is_full() { self.hand_on() } else { Ok(()) }
    }

    /// Hands the batch on, and begins an empty one.
    ///
    /// # Errors
    ///
    /// Invalid if nobody takes it: the writer has failed, and says why.
    pub(crate) fn hand_on(&mut self) -> Result<()> {
        let nobody = || Error::Invalid("the writer has ended before".to_owned());
        let len = self.batch.memory();
        let mut empty = self.spare.try_recv().ok();
        self.in_flight -= empty.as_ref().map_or(0, |batch| batch.handed_on);
        while self.in_flight > 0 && self.in_flight + len > self.most {
            let batch = self.spare.recv().map_err(|_| nobody())?;
            self.in_flight -= batch.handed_on;
            empty = Some(batch);
        }
        let next = Batch { read: self.batch.read, ..empty.unwrap_or_default() };
        let full = std::mem::replace(&mut self.batch, next);
        self.in_flight += len;
        self.full.send(Batch { handed_on: len, ..full }).map_err(|_| nobody())
    }
}
