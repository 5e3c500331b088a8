//! Events as scans give them: places in a batch of decoded ones.

use std::sync::{Arc, OnceLock};

use crate::block::{Indexes, RowPairs};
use crate::error::Result;
use crate::event::{Event, EventBuf};

use super::rows::FrameEvents;
use super::window::{Window, WindowPairs};

/// Events that were decoded together. A row is a place among them.
pub(crate) enum Batch {
    Frame(FrameEvents),
    Window(Box<Window>),
}

/// An event in a file: a place in decoded events.
///
/// Cheap to clone and to hand to other threads. It keeps its neighbours in memory, those of its block or of the window that a
/// scan fetched; use [`into_owned`](Self::into_owned) to keep one event without them.
#[derive(Clone)]
pub struct StoredEvent {
    batch: Arc<Batch>,
    row: usize,
    /// The indexes of the event's block and its row there, if the batch has none and somebody asked.
    fetched: OnceLock<(Arc<Indexes>, usize)>,
}

impl StoredEvent {
    pub(super) fn new(batch: &Arc<Batch>, row: usize) -> Self {
        Self { batch: Arc::clone(batch), row, fetched: OnceLock::new() }
    }

    /// Becomes the event at `row` of `batch`.
    #[inline]
    pub(super) fn move_to(&mut self, batch: &Arc<Batch>, row: usize) {
        if Arc::ptr_eq(&self.batch, batch) {
            self.row = row;
            if self.fetched.get().is_some() {
                self.fetched = OnceLock::new();
            }
        } else {
            *self = Self::new(batch, row);
        }
    }

    /// Whose history this is.
    pub fn space(&self) -> &[u8] {
        self.keys().0
    }

    /// How the event is clustered inside its space.
    pub fn grouping(&self) -> &[u8] {
        self.keys().1
    }

    /// In the file's unit since the Unix epoch.
    #[inline]
    pub fn timestamp(&self) -> i64 {
        match &*self.batch {
            Batch::Frame(events) => events.timestamp(self.row),
            Batch::Window(window) => window.timestamp(self.row),
        }
    }

    /// The event's number in file order, from 0.
    pub fn ordinal(&self) -> u64 {
        match &*self.batch {
            Batch::Frame(events) => events.ordinal(self.row),
            Batch::Window(window) => window.ordinal(self.row),
        }
    }

    /// The pairs of name and value, ascending. The first event of a block that is asked decodes those of all.
    ///
    /// # Errors
    ///
    /// Corrupt if the block's index values or columns are damaged or break a rule of the spec, Corrupt or I/O if they cannot be
    /// read: they are not before somebody asks.
    pub fn indexes(&self) -> Result<Pairs<'_>> {
        let window = match &*self.batch {
            Batch::Frame(events) => return Ok(Pairs(Listed::Block(events.indexes()?.pairs(self.row)))),
            Batch::Window(window) => window,
        };
        if let Some(pairs) = window.pairs(self.row) {
            return Ok(Pairs(Listed::Window(pairs)));
        }
        if self.fetched.get().is_none() {
            let _ = self.fetched.set(window.fetch_indexes(self.row)?);
        }
        let (indexes, row) = self.fetched.wait();
        Ok(Pairs(Listed::Block(indexes.pairs(*row))))
    }

    /// The event's data.
    #[inline]
    pub fn data(&self) -> &[u8] {
        match &*self.batch {
            Batch::Frame(events) => events.data(self.row),
            Batch::Window(window) => window.data(self.row),
        }
    }

    /// Space and grouping. Takes a search among those of the block.
    pub(crate) fn keys(&self) -> (&[u8], &[u8]) {
        match &*self.batch {
            Batch::Frame(events) => events.keys(self.row),
            Batch::Window(window) => window.keys(self.row),
        }
    }

    /// The same event, to be written again. Allocates the list of its pairs, nothing else.
    ///
    /// # Errors
    ///
    /// Those of [`indexes`](Self::indexes).
    pub fn as_event(&self) -> Result<Event<'_>> {
        let (space, grouping) = self.keys();
        let indexes = self.indexes()?.collect();
        Ok(Event { space, grouping, timestamp: self.timestamp(), indexes, data: self.data() })
    }

    /// A copy that needs no block.
    ///
    /// # Errors
    ///
    /// Those of [`indexes`](Self::indexes).
    pub fn into_owned(self) -> Result<EventBuf> {
        self.as_event().map(EventBuf::from)
    }
}

/// The index pairs of an event, ascending by name and value.
#[derive(Clone)]
pub struct Pairs<'a>(Listed<'a>);

#[derive(Clone)]
enum Listed<'a> {
    Block(RowPairs<'a>),
    Window(WindowPairs<'a>),
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Listed::Block(pairs) => pairs.next(),
            Listed::Window(pairs) => pairs.next(),
        }
    }
}

impl std::fmt::Debug for StoredEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredEvent")
            .field("ordinal", &self.ordinal())
            .field("timestamp", &self.timestamp())
            .field("data_len", &self.data().len())
            .finish()
    }
}
