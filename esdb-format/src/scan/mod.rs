//! Queries: which events, in which order, from both ends.
//!
//! A query over contiguous ordinals walks blocks ([`rows`]), perhaps past a [`filter`]; every other one walks time numbers
//! ([`numbers`]), turns them into ordinals, and fetches a window of events at a time ([`window`]). Both hand over batches of
//! events, one to each end of the scan.

mod blocks;
mod event;
mod filter;
mod keys;
mod numbers;
mod ordinals;
mod plan;
mod rows;
mod window;

use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::file::OpenFile;

pub(crate) use blocks::{block_entry, check_holds, end_of_block, rows_within, timestamp_of};
use event::Batch;
pub use event::{Pairs, StoredEvent};
pub(crate) use filter::RowFilter;
pub(crate) use numbers::Numbers;
pub(crate) use ordinals::Ordinals;
pub(crate) use plan::{Plan, grouping_ordinals, ordinals_in, space_entry, time_numbers_in};

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
    front: End,
    back: End,
    ended: bool,
}

/// One end of a scan: the batch it has fetched, and the rows of it that are to come.
#[derive(Default)]
struct End {
    batch: Option<Arc<Batch>>,
    rows: Rows,
}

/// Rows of a batch, ascending.
enum Rows {
    All(Range<usize>),
    Listed(std::vec::IntoIter<u32>),
}

impl Default for Rows {
    fn default() -> Self {
        Self::All(0..0)
    }
}

impl Rows {
    #[inline]
    fn take(&mut self, back: bool) -> Option<usize> {
        match self {
            Self::All(rows) if back => rows.next_back(),
            Self::All(rows) => rows.next(),
            Self::Listed(rows) => if back { rows.next_back() } else { rows.next() }.map(|row| row as usize),
        }
    }
}

impl End {
    /// Puts the first event of the batch into `slot`, or the last; false if there are no more.
    #[inline]
    fn give(&mut self, slot: &mut Option<StoredEvent>, back: bool) -> bool {
        let (Some(row), Some(batch)) = (self.rows.take(back), &self.batch) else { return false };
        match slot {
            Some(event) => event.move_to(batch, row),
            None => *slot = Some(StoredEvent::new(batch, row)),
        }
        true
    }
}

impl Scan {
    pub(crate) fn new(file: Arc<OpenFile>, selection: Selection) -> Self {
        let (front, back) = (End::default(), End::default());
        Self { file, selection, refused: None, plan: None, front, back, ended: false }
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
    #[inline(always)]
    fn step(&mut self, slot: &mut Option<StoredEvent>, back: bool) -> Result<bool> {
        let end = if back { &mut self.back } else { &mut self.front };
        if end.give(slot, back) { Ok(true) } else { self.step_on(slot, back) }
    }

    /// Moves an end whose batch is used up.
    #[inline(never)]
    fn step_on(&mut self, slot: &mut Option<StoredEvent>, back: bool) -> Result<bool> {
        // Given up first, so that the buffers of the batch before can be used again.
        *slot = None;
        self.fetch(back)?;
        let end = if back { &mut self.back } else { &mut self.front };
        Ok(end.give(slot, back))
    }

    /// Gets an end more rows; when all were fetched, those that the other end still has.
    fn fetch(&mut self, back: bool) -> Result<()> {
        let fetched = !self.ended && self.fill(back)?;
        if !fetched {
            self.ended = true;
            self.plan = None;
            let other = std::mem::take(if back { &mut self.front } else { &mut self.back });
            *if back { &mut self.back } else { &mut self.front } = other;
        }
        Ok(())
    }

    /// Gets an end rows that no end has fetched. After an error there are no events any more.
    fn fill(&mut self, back: bool) -> Result<bool> {
        let result = self.plan().and_then(|()| {
            let end = if back { &mut self.back } else { &mut self.front };
            self.plan.as_mut().map_or(Ok(false), |plan| plan.fill(end, back))
        });
        if result.is_err() {
            self.ended = true;
            (self.plan, self.front, self.back) = (None, End::default(), End::default());
        }
        result
    }

    /// Makes the plan, once.
    fn plan(&mut self) -> Result<()> {
        if let Some(reason) = self.refused {
            return Err(Error::Invalid(reason.into()));
        }
        if self.plan.is_none() {
            self.plan = Some(Plan::new(&self.file, &self.selection)?);
        }
        Ok(())
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
    #[inline]
    pub fn next(&mut self) -> Result<Option<&StoredEvent>> {
        Ok(if self.scan.step(&mut self.event, false)? { self.event.as_ref() } else { None })
    }

    /// The next event from the back, if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`next`](Self::next).
    #[inline]
    pub fn next_back(&mut self) -> Result<Option<&StoredEvent>> {
        Ok(if self.scan.step(&mut self.event, true)? { self.event.as_ref() } else { None })
    }
}
