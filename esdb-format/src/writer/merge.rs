//! Merging what is in file order already: files into one, and the runs of a writer.

use std::cmp::Ordering;
use std::sync::Arc;

use super::buffer::EventBuffer;
use super::ordered::{Ordered, OrderedPairs};
use super::rows::BlockRows;
use super::runs::RunReader;
use super::scribe::Unfinished;
use super::{Summary, Writer};
use crate::codecs::Codecs;
use crate::error::{Error, Result};
use crate::reader::Reader;
use crate::scan::{Cursor, StoredEvent};
use crate::source::PlainFile;
use crate::storage::StoredFile;
use crate::unit::Unit;

/// Writes the events of all inputs and publishes the file. Among equal events those of an earlier input come first.
///
/// Inputs may be in a coarser unit than the writer: their timestamps are counted in its unit then, which loses nothing.
///
/// Nothing is sorted again: the inputs are read side by side, once. Memory: beside the writer's, a few MiB and the cache for
/// each of up to 64 inputs at a time; more are merged in several passes.
///
/// ```no_run
/// use esdb_format::{Reader, Writer, merge};
///
/// # fn main() -> esdb_format::Result<()> {
/// let days = [Reader::open("monday.esdb")?, Reader::open("tuesday.esdb")?];
/// merge(&days, Writer::create("both.esdb")?)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Invalid if an input's unit is finer than the writer's, if one of its timestamps exceeds 64 bits in the writer's unit, or if the
/// writer has events already; Corrupt if an input is damaged, or holds more or fewer events than it states; I/O if reading or
/// writing fails. Nothing is published then.
pub fn merge(inputs: &[Reader], mut writer: Writer) -> Result<Summary> {
    let unit = writer.unit();
    writer.add_runs(inputs.iter().map(|input| Run::of_file(input, unit)).collect::<Result<_>>()?)?;
    writer.finish()
}

/// Events in file order, to be merged with others.
pub(crate) enum Run {
    Spilled(Box<RunReader>),
    /// Blocks of the unfinished output.
    Blocks(Box<BlockRows<PlainFile<Box<dyn StoredFile>>>>),
    /// In memory; the number is that of the next event.
    Memory(Box<EventBuffer>, usize),
    /// A file of this format.
    File(Box<FileRun>),
}

impl Run {
    /// The blocks that were written before the first late event.
    pub(crate) fn of_unfinished(unfinished: Unfinished) -> Result<Self> {
        let Unfinished { output, layout, dictionary, blocks } = unfinished;
        let codecs = Codecs::new(layout.codec, true);
        codecs.set_dictionary(dictionary.as_ref().map(|dictionary| dictionary.bytes()).unwrap_or_default());
        let len = output.offset();
        let source = PlainFile::new(output.into_file()?, len);
        let mut rows = BlockRows::new(source, layout, Arc::new(codecs), blocks);
        rows.advance()?;
        Ok(Self::Blocks(Box::new(rows)))
    }

    /// All events of a file, their timestamps counted in `unit`. It is read from only when its merge begins.
    pub(crate) fn of_file(file: &Reader, unit: Unit) -> Result<Self> {
        let (from, to) = (file.unit(), unit);
        if from.per_second() > to.per_second() {
            let (found, expected) = (from.name(), to.name());
            return Err(Error::Invalid(format!(
                "an input is in {found}, finer than the output's {expected}"
            )));
        }
        let cursor = file.scan().cursor();
        Ok(Self::File(Box::new(FileRun { cursor, from, to, event: None, timestamp: 0 })))
    }

    /// A sorted buffer.
    pub(crate) fn of_buffer(mut buffer: EventBuffer) -> Self {
        buffer.sort();
        Self::Memory(Box::new(buffer), 0)
    }

    fn key(&self) -> Option<(&[u8], &[u8], i64)> {
        match self {
            Self::Spilled(run) => run.key(),
            Self::Blocks(rows) => rows.key(),
            Self::Memory(buffer, at) => buffer.key(*at),
            Self::File(run) => run.key(),
        }
    }

    /// The current event, if there is one.
    fn event(&mut self) -> Result<Option<Ordered<'_>>> {
        match self {
            Self::Spilled(run) => run.event(),
            Self::Blocks(rows) => rows.event(),
            Self::Memory(buffer, at) => Ok((*at < buffer.len()).then(|| buffer.event(*at))),
            Self::File(run) => run.event(),
        }
    }

    fn advance(&mut self) -> Result<()> {
        match self {
            Self::Spilled(run) => run.advance(),
            Self::Blocks(rows) => rows.advance().map(drop),
            Self::Memory(buffer, at) => {
                buffer.forget(*at);
                *at += 1;
                Ok(())
            }
            Self::File(run) => run.advance(),
        }
    }
}

/// The events of a file, to be written again.
pub(crate) struct FileRun {
    cursor: Cursor,
    from: Unit,
    to: Unit,
    /// The current event, and its timestamp in the output's unit.
    event: Option<StoredEvent>,
    timestamp: i64,
}

impl FileRun {
    fn key(&self) -> Option<(&[u8], &[u8], i64)> {
        let (space, grouping) = self.event.as_ref()?.keys();
        Some((space, grouping, self.timestamp))
    }

    fn event(&self) -> Result<Option<Ordered<'_>>> {
        let Some(event) = &self.event else { return Ok(None) };
        let (space, grouping) = event.keys();
        let pairs = OrderedPairs::File(event.indexes()?);
        Ok(Some(Ordered { space, grouping, timestamp: self.timestamp, pairs, data: event.data() }))
    }

    fn advance(&mut self) -> Result<()> {
        // Given back before the next one is read, so that its frame can be used again.
        self.event = None;
        self.event = self.cursor.next()?.cloned();
        if let Some(event) = &self.event {
            let factor = self.to.per_second() / self.from.per_second();
            self.timestamp = event.timestamp().checked_mul(factor).ok_or_else(|| {
                let (timestamp, from, to) = (event.timestamp(), self.from.name(), self.to.name());
                Error::Invalid(format!("timestamp {timestamp} {from} exceeds 64 bits in {to}"))
            })?;
        }
        Ok(())
    }
}

/// Merges runs; an earlier run's event comes before an equal one of a later run.
pub(crate) struct Merge {
    runs: Vec<Run>,
    /// A heap of the numbers of runs that have events left: the smallest is first.
    heap: Vec<usize>,
}

impl Merge {
    pub(crate) fn new(mut runs: Vec<Run>) -> Result<Self> {
        for run in &mut runs {
            if matches!(run, Run::File(run) if run.event.is_none()) {
                run.advance()?;
            }
        }
        let mut merge =
            Self { heap: (0..runs.len()).filter(|&run| runs[run].key().is_some()).collect(), runs };
        for at in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(at);
        }
        Ok(merge)
    }

    fn before(&self, a: usize, b: usize) -> bool {
        let order = self.runs[a].key().cmp(&self.runs[b].key()).then(a.cmp(&b));
        order == Ordering::Less
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let children = 2 * at + 1..(2 * at + 3).min(self.heap.len());
            let smallest =
                children.reduce(|a, b| if self.before(self.heap[a], self.heap[b]) { a } else { b });
            match smallest {
                Some(child) if self.before(self.heap[child], self.heap[at]) => {
                    self.heap.swap(at, child);
                    at = child;
                }
                _ => return,
            }
        }
    }

    /// Hands every event to `each`, in file order.
    pub(crate) fn for_each(mut self, mut each: impl FnMut(&Ordered<'_>) -> Result<()>) -> Result<()> {
        while let Some(&run) = self.heap.first() {
            if let Some(event) = self.runs[run].event()? {
                each(&event)?;
            }
            self.runs[run].advance()?;
            if self.runs[run].key().is_none() {
                self.heap.swap_remove(0);
            }
            self.sift_down(0);
        }
        Ok(())
    }
}
