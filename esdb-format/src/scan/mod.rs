//! Queries: which events, in which order, from both ends.
//!
//! A query over contiguous ordinals walks blocks ([`rows`]); every other one walks time numbers ([`numbers`]), turns
//! them into ordinals, and fetches a window of events at a time ([`window`]).

mod numbers;
mod ordinals;
mod plan;
mod rows;
mod window;

use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

use crate::block::{Block, RowPairs};
use crate::error::{Error, Result};
use crate::event::{Event, EventBuf};
use crate::file::OpenFile;

pub(crate) use numbers::Numbers;
pub(crate) use ordinals::Ordinals;
pub(crate) use plan::{
    Plan, grouping_ordinals, ordinals_in, rows_within, space_entry, time_numbers_in, timestamp_of,
};
use window::{Window, WindowPairs};

pub(crate) use rows::{RowFilter, block_entry, block_of, check_holds};

/// Which events a query selects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) space: Option<Vec<u8>>,
    pub(crate) grouping: Option<Vec<u8>>,
    /// Names ascending, each with the values of which an event must have one.
    pub(crate) indexes: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    pub(crate) times: Times,
}

/// A range of timestamps, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Default for Times {
    fn default() -> Self {
        Self { first: i64::MIN, last: i64::MAX }
    }
}

impl Times {
    /// Contains no timestamp at all.
    const NONE: Self = Self { first: 0, last: -1 };

    fn from_bounds(range: &impl RangeBounds<i64>) -> Self {
        let first = match range.start_bound() {
            Bound::Included(&start) => Some(start),
            Bound::Excluded(&start) => start.checked_add(1),
            Bound::Unbounded => Some(i64::MIN),
        };
        let last = match range.end_bound() {
            Bound::Included(&end) => Some(end),
            Bound::Excluded(&end) => end.checked_sub(1),
            Bound::Unbounded => Some(i64::MAX),
        };
        first.zip(last).map_or(Self::NONE, |(first, last)| Self { first, last })
    }

    fn intersect(self, other: Self) -> Self {
        Self { first: self.first.max(other.first), last: self.last.min(other.last) }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.first > self.last
    }

    pub(crate) fn is_everything(self) -> bool {
        self == Self::default()
    }

    pub(crate) fn contains(self, timestamp: i64) -> bool {
        (self.first..=self.last).contains(&timestamp)
    }
}

/// An event in a file: a place in decoded events, and the event's data.
///
/// Cheap to clone and to hand to other threads. It keeps its neighbours in memory, those of its block or of the window that a
/// scan fetched; use [`into_owned`](Self::into_owned) to keep one event without them.
#[derive(Clone)]
pub struct StoredEvent {
    origin: Origin,
    timestamp: i64,
    data: Arc<Vec<u8>>,
    range: Range<usize>,
}

/// Where an event was decoded.
#[derive(Clone)]
enum Origin {
    Block(Arc<Block>, usize),
    Window(Arc<Window>, usize),
}

impl StoredEvent {
    fn of_block(
        block: &Arc<Block>,
        row: usize,
        timestamp: i64,
        data: &Arc<Vec<u8>>,
        range: Range<usize>,
    ) -> Self {
        Self { origin: Origin::Block(Arc::clone(block), row), timestamp, data: Arc::clone(data), range }
    }

    fn of_window(window: &Arc<Window>, row: usize) -> Self {
        let (data, range) = window.data(row);
        Self {
            timestamp: window.timestamp(row),
            data: Arc::clone(data),
            range,
            origin: Origin::Window(Arc::clone(window), row),
        }
    }

    /// Whether it came straight from this block.
    fn is_in(&self, block: &Arc<Block>) -> bool {
        matches!(&self.origin, Origin::Block(own, _) if Arc::ptr_eq(own, block))
    }

    /// Becomes another event of the same block and frame.
    fn move_to(&mut self, row: usize, timestamp: i64, range: Range<usize>) {
        if let Origin::Block(_, own) = &mut self.origin {
            *own = row;
        }
        (self.timestamp, self.range) = (timestamp, range);
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
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The event's number in file order, from 0.
    pub fn ordinal(&self) -> u64 {
        match &self.origin {
            Origin::Block(block, row) => block.head().first_ordinal + *row as u64,
            Origin::Window(window, row) => window.ordinal(*row),
        }
    }

    /// The pairs of name and value, ascending. The first event of a block that is asked decodes those of all.
    ///
    /// # Errors
    ///
    /// Corrupt if the block's index columns break a rule of the spec although their checksum is right.
    pub fn indexes(&self) -> Result<Pairs<'_>> {
        Ok(match &self.origin {
            Origin::Block(block, row) => Pairs(Listed::Block(block.indexes()?.pairs(*row))),
            Origin::Window(window, row) => Pairs(Listed::Window(window.pairs(*row))),
        })
    }

    /// The event's data.
    pub fn data(&self) -> &[u8] {
        &self.data[self.range.clone()]
    }

    /// Space and grouping. Takes a search among those of the block.
    pub(crate) fn keys(&self) -> (&[u8], &[u8]) {
        match &self.origin {
            Origin::Block(block, row) => block.keys_of(*row),
            Origin::Window(window, row) => window.keys(*row),
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
        Ok(Event { space, grouping, timestamp: self.timestamp, indexes, data: self.data() })
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
            .field("timestamp", &self.timestamp)
            .field("data_len", &self.data().len())
            .finish()
    }
}

/// The events a query selects, as an iterator from both ends.
///
/// Without index values a scan of the whole file, or of one grouping, is in file order; every other scan is in time order,
/// space by space. [`Iterator::rev`] is the exact mirror. Nothing is read before the first event is asked for. After
/// an error the iterator ends.
///
/// Cost: a few table pages to begin, then about one block of columns and one payload frame for each
/// stretch of neighbouring events. Memory: half of [`ReaderOptions::cache`](crate::ReaderOptions::cache) from each end at most,
/// and one block.
pub struct Scan {
    file: Arc<OpenFile>,
    selection: Selection,
    /// A wrong combination, reported by the first call to `next`.
    refused: Option<&'static str>,
    plan: Option<Plan>,
    ended: bool,
}

impl Scan {
    pub(crate) fn new(file: Arc<OpenFile>, selection: Selection) -> Self {
        Self { file, selection, refused: None, plan: None, ended: false }
    }

    /// Only the events of this grouping. The scan must be of one space.
    #[must_use]
    pub fn grouping(mut self, grouping: impl AsRef<[u8]>) -> Self {
        if self.selection.space.is_none() {
            self.refused = Some("a grouping is selected without its space");
        }
        self.selection.grouping = Some(grouping.as_ref().to_vec());
        self
    }

    /// Only the events that have this pair. Several values of one name: any of them. Several names: all of them.
    #[must_use]
    pub fn index(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = (name.as_ref(), value.as_ref().to_vec());
        let indexes = &mut self.selection.indexes;
        let at = match indexes.binary_search_by(|(other, _)| other.as_slice().cmp(name)) {
            Ok(at) => at,
            Err(at) => {
                indexes.insert(at, (name.to_vec(), Vec::new()));
                at
            }
        };
        if !indexes[at].1.contains(&value) {
            indexes[at].1.push(value);
        }
        self
    }

    /// Only the events with timestamps in `range`, which is in the file's unit. Several ranges: in all of them.
    #[must_use]
    pub fn range(mut self, range: impl RangeBounds<i64>) -> Self {
        self.selection.times = self.selection.times.intersect(Times::from_bounds(&range));
        self
    }

    /// The same scan for the hottest loops: one event at a time, lent. See [`Cursor`].
    pub fn cursor(self) -> Cursor {
        Cursor { scan: self, event: None }
    }

    pub(crate) fn parts(self) -> Result<(Arc<OpenFile>, Selection)> {
        match self.refused {
            Some(reason) => Err(Error::Invalid(reason.into())),
            None => Ok((self.file, self.selection)),
        }
    }

    /// Moves one end and puts its event into `slot`; false at the end.
    fn step(&mut self, slot: &mut Option<StoredEvent>, back: bool) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let result = self.plan().and_then(|plan| if back { plan.next_back(slot) } else { plan.next(slot) });
        if !matches!(result, Ok(true)) {
            self.ended = true;
            self.plan = None;
        }
        result
    }

    fn plan(&mut self) -> Result<&mut Plan> {
        if let Some(reason) = self.refused {
            return Err(Error::Invalid(reason.into()));
        }
        match &mut self.plan {
            Some(plan) => Ok(plan),
            empty => Ok(empty.insert(Plan::new(&self.file, &self.selection)?)),
        }
    }
}

impl Iterator for Scan {
    type Item = Result<StoredEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut slot = None;
        self.step(&mut slot, false).map(|_| slot).transpose()
    }
}

impl DoubleEndedIterator for Scan {
    fn next_back(&mut self) -> Option<Self::Item> {
        let mut slot = None;
        self.step(&mut slot, true).map(|_| slot).transpose()
    }
}

impl std::iter::FusedIterator for Scan {}

/// A scan that lends its events: the fastest way through many of them.
///
/// ```no_run
/// # fn main() -> esdb_format::Result<()> {
/// let file = esdb_format::Reader::open("activity.esdb")?;
/// let (mut events, mut bytes) = (0, 0);
/// let mut cursor = file.scan().cursor();
/// while let Some(event) = cursor.next()? {
///     events += 1;
///     bytes += event.data().len();
/// }
/// # Ok(())
/// # }
/// ```
pub struct Cursor {
    scan: Scan,
    event: Option<StoredEvent>,
}

impl Cursor {
    /// The next event from the front, if there is one.
    ///
    /// # Errors
    ///
    /// Corrupt for the first damaged part that is needed, I/O if reading fails; the scan has then ended.
    #[expect(clippy::should_implement_trait, reason = "a lending iterator cannot be an Iterator")]
    pub fn next(&mut self) -> Result<Option<&StoredEvent>> {
        let found = self.scan.step(&mut self.event, false)?;
        Ok(self.event.as_ref().filter(|_| found))
    }

    /// The next event from the back, if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`next`](Self::next).
    pub fn next_back(&mut self) -> Result<Option<&StoredEvent>> {
        let found = self.scan.step(&mut self.event, true)?;
        Ok(self.event.as_ref().filter(|_| found))
    }
}
