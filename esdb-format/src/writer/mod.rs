//! Writing a file: events in any order go in, a whole file comes out.
//!
//! What arrives in file order goes straight to the [`assembler`]; the rest is collected and sorted by the [`sorter`], then merged
//! ([`merge`]). The assembler fills blocks, the first of which are a [`sample`] of the file; the [`pipeline`] compresses them, and the
//! [`scribe`] writes them and all that follows from them to the [`output`], which gets its name when it is whole ([`unpublished`]).

mod assembler;
mod buffer;
#[cfg(test)]
mod far;
mod merge;
mod ordered;
mod output;
mod pipeline;
mod rows;
mod runs;
mod sample;
mod scribe;
mod sorter;
mod unpublished;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::compression::Codec;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::facts::Statistics;
use crate::limits;
use crate::reader::ReaderOptions;
use crate::storage::{FileSystem, SpillFolder, Storage, StoredFile};
use crate::unit::Unit;
use crate::verify::VerifyLevel;

use assembler::{Assembler, Plan};
use merge::{Merge, Run};
use ordered::{Ordered, OrderedPairs};
use output::Output;
use scribe::Assembled;
use sorter::Sorter;
use unpublished::Unpublished;

pub use merge::merge;
pub use unpublished::abandon_writers;

/// The least memory budget, in bytes.
const LEAST_MEMORY: usize = 8 << 20;

/// How many events in order are collected before they, and all that follow in order, are passed on, in bytes of memory.
const PASS_ON: usize = 4 << 20;

/// The cache of who verifies what was written, in bytes: it is read once, from front to back.
const VERIFY_CACHE: usize = 1 << 20;

/// How a file is written. By default: milliseconds, zstd, frames of 4 or 8 KiB, 256 MiB of memory, one thread for
/// each core.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    unit: Unit,
    codec: Codec,
    frame_size: Option<u32>,
    memory: usize,
    threads: usize,
    max_event: usize,
    metadata: Vec<(Vec<u8>, Vec<u8>)>,
    replace: bool,
    spill_folder: Option<PathBuf>,
    block_events: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            unit: Unit::default(),
            codec: Codec::default(),
            frame_size: None,
            memory: 256 << 20,
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            max_event: 64 << 20,
            metadata: Vec::new(),
            replace: false,
            spill_folder: None,
            block_events: limits::BLOCK_EVENTS,
        }
    }
}

impl WriterOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The unit of all timestamps. Default: milliseconds.
    #[must_use]
    pub fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// The codec of payload frames and strings. Default: zstd at a level that suits the first events, 3 or 1; its levels go from -7 to 22.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// How much data is compressed as one piece, in bytes, 256 to 1 MiB. Default: 4 KiB, or 8 KiB for zstd without a dictionary
    /// (spec §10). Larger frames are smaller in all, smaller frames make a single event cheaper to reach. Frames of fewer than 32
    /// events grow up to sixteen times as long.
    #[must_use]
    pub fn frame_size(mut self, bytes: u32) -> Self {
        self.frame_size = Some(bytes);
        self
    }

    /// How much memory sorting may take, in bytes, at least 8 MiB. Default: 256 MiB. In all the writer takes at most
    /// 64 MiB more, and twice the largest event.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// How many threads compress, 1 to 256. Default: one for each core. With more than one, another thread writes what they
    /// compressed. The bytes do not depend on it.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// The most data an event may have, in bytes, up to 1 GiB - 1. Default: 64 MiB.
    #[must_use]
    pub fn max_event(mut self, bytes: usize) -> Self {
        self.max_event = bytes;
        self
    }

    /// Adds an entry of user metadata. A key given again replaces the value.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        let (key, value) = (key.into(), value.into());
        match self.metadata.binary_search_by(|(other, _)| other.cmp(&key)) {
            Ok(at) => self.metadata[at].1 = value,
            Err(at) => self.metadata.insert(at, (key, value)),
        }
        self
    }

    /// Whether a file that exists under the name is replaced. Default: no. A symbolic link is replaced itself; what it leads to
    /// stays as it is.
    #[must_use]
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// Where temporary files go that sorting needs. Default: the system's folder for them.
    #[must_use]
    pub fn spill_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spill_folder = Some(folder.into());
        self
    }

    /// Closes blocks after fewer events than spec B3 says, so that tests meet many borders.
    #[doc(hidden)]
    #[must_use]
    pub fn block_events_for_tests(mut self, events: usize) -> Self {
        self.block_events = events;
        self
    }

    fn check(&self) -> Result<()> {
        let refuse = |reason: String| Err(Error::Invalid(reason));
        let possible = limits::FRAME_SIZE_MIN..=limits::FRAME_SIZE_MAX;
        if let Some(bytes) = self.frame_size.filter(|bytes| !possible.contains(bytes)) {
            return refuse(format!("frame size is {bytes} bytes, 256 to 1048576 are possible"));
        }
        if self.memory < LEAST_MEMORY {
            return refuse(format!("memory is {} bytes, at least {LEAST_MEMORY} are needed", self.memory));
        }
        if !(1..=256).contains(&self.threads) {
            return refuse(format!("{} threads, 1 to 256 are possible", self.threads));
        }
        if self.max_event > limits::DATA {
            return refuse(format!(
                "events of {} bytes, at most {} are possible",
                self.max_event,
                limits::DATA
            ));
        }
        if let Codec::Zstd { level } = self.codec
            && !(-7..=22).contains(&level)
        {
            return refuse(format!("zstd level {level}, -7 to 22 are possible"));
        }
        let metadata: usize = self.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        if metadata > limits::METADATA {
            return refuse(format!(
                "{metadata} bytes of metadata, at most {} are possible",
                limits::METADATA
            ));
        }
        Ok(())
    }

    /// Begins a file that will be published as `path`.
    ///
    /// # Errors
    ///
    /// Invalid if an option is out of range, if the file exists and is not to be replaced, or if it is no regular
    /// file; I/O if no temporary can be created beside it.
    pub fn create(self, path: impl AsRef<Path>) -> Result<Writer> {
        self.check()?;
        self.create_in(Arc::new(FileSystem), path.as_ref())
    }

    /// Begins a file in a storage, with options as they are.
    pub(crate) fn create_in(self, storage: Arc<dyn Storage>, path: &Path) -> Result<Writer> {
        let (target, file) = Unpublished::create(Arc::clone(&storage), path, self.replace)?;
        let spill_folder = self.spill_folder.clone().unwrap_or_else(std::env::temp_dir);
        let spill_folder = SpillFolder::new(storage, &spill_folder);
        let mut writer = Writer {
            sorter: Sorter::new(spill_folder, events_memory(self.memory), self.threads),
            options: self,
            target,
            assembler: None,
            first_file: Some(file),
            in_order: true,
            failed: false,
        };
        writer.assembler = Some(writer.new_assembler(PASS_ON)?);
        Ok(writer)
    }
}

/// Writes one file. Events may come in any order; those with equal space, grouping and timestamp keep theirs.
///
/// Until [`finish`](Self::finish) the bytes are in a temporary beside the target, `NAME.tmp-PROCESS-NUMBER`, whose advisory lock
/// the writer holds. Dropped before, it leaves nothing behind. A process that is killed leaves its temporary, and loses the lock:
/// the next writer of the same target removes temporaries whose lock it can take.
/// A program that ends by a signal calls [`abandon_writers`] first.
pub struct Writer {
    options: WriterOptions,
    target: Unpublished,
    /// While all events came in file order.
    assembler: Option<Assembler>,
    first_file: Option<Box<dyn StoredFile>>,
    sorter: Sorter,
    /// Whether the sorter's buffer is in file order, and behind everything that was passed on.
    in_order: bool,
    /// Something could not be written: what is there is not whole.
    failed: bool,
}

/// What a finished file holds.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Events.
    pub events: u64,
    /// Smallest and largest timestamp, in the file's unit; `None` without events.
    pub time_range: Option<(i64, i64)>,
    /// Bytes of the file.
    pub file_len: u64,
    /// Counts, and bytes by section.
    pub statistics: Statistics,
    /// BLAKE3 over the file's bytes (spec §8).
    pub file_digest: Digest,
    /// BLAKE3 over the events, whatever codec or layout holds them (spec §8).
    pub content_digest: Digest,
}

impl Writer {
    /// Begins a file with default options. See [`WriterOptions::create`].
    ///
    /// # Errors
    ///
    /// Those of [`WriterOptions::create`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        WriterOptions::new().create(path)
    }

    /// Makes an assembler that takes what `taken` bytes leave of the memory.
    fn new_assembler(&mut self, taken: usize) -> Result<Assembler> {
        let file = match self.first_file.take() {
            Some(file) => file,
            None => self.target.renew()?,
        };
        let output = Output::new(file, self.target.path().to_owned(), true);
        let WriterOptions { unit, codec, frame_size, threads, memory, block_events, .. } = self.options;
        let memory = memory.saturating_sub(taken).max(memory / 4);
        let plan = Plan { unit, codec, frame_size, threads, block_events, memory };
        Ok(Assembler::new(plan, output, self.sorter.folder()))
    }

    /// Writes all events of sorted runs, of which an earlier one's come first among equals.
    ///
    /// # Errors
    ///
    /// Invalid if events were added before.
    pub(crate) fn add_runs(&mut self, runs: Vec<Run>) -> Result<()> {
        if !self.sorter.is_empty() || self.last_passed_on().is_some() {
            return Err(Error::Invalid("files are merged into a writer that has events already".into()));
        }
        self.or_fail(|writer| writer.merge_all(runs))
    }

    fn merge_all(&mut self, runs: Vec<Run>) -> Result<()> {
        let runs = self.sorter.reduce(runs)?;
        let Some(assembler) = &mut self.assembler else { return Err(has_failed()) };
        Merge::new(runs)?.for_each(|event| assembler.add(event))
    }

    /// After an error nothing more can be written: some events may be in the file and others lost.
    fn or_fail<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.failed {
            return Err(has_failed());
        }
        let result = work(self);
        self.failed = result.is_err();
        result
    }

    /// Whether something could not be written.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Adds entries of metadata, where there are none with their keys.
    ///
    /// # Errors
    ///
    /// Invalid if they are too large together.
    pub(crate) fn add_metadata(&mut self, entries: Vec<(Vec<u8>, Vec<u8>)>) -> Result<()> {
        let options = std::mem::take(&mut self.options);
        let own = options.metadata.clone();
        let entries = entries.into_iter().chain(own);
        self.options = entries.fold(options, |options, (key, value)| options.metadata(key, value));
        self.options.check()
    }

    pub(crate) fn unit(&self) -> Unit {
        self.options.unit
    }

    /// Adds an event, given by value or by reference. By reference it costs an allocation if its pairs do not ascend.
    ///
    /// # Errors
    ///
    /// Invalid if a part of the event exceeds its limit (spec §3.1, [`WriterOptions::max_event`]): the event is not
    /// added, and others may follow. I/O if a file cannot be written: the writer is of no use any more.
    pub fn add<'e, 'a: 'e>(&mut self, event: impl Into<Cow<'e, Event<'a>>>) -> Result<()> {
        let event = event.into();
        self.check_event(&event)?;
        self.put(event)
    }

    /// Adds an event, whatever its size.
    pub(crate) fn put(&mut self, mut event: Cow<'_, Event<'_>>) -> Result<()> {
        if !event.indexes.is_sorted_by(|a, b| a < b) {
            let indexes = &mut event.to_mut().indexes;
            indexes.sort_unstable();
            indexes.dedup();
        }
        self.put_sorted(&event)
    }

    /// Adds an event whose pairs ascend strictly.
    fn put_sorted(&mut self, event: &Event<'_>) -> Result<()> {
        if self.in_order {
            let key = (event.space, event.grouping, event.timestamp);
            let last = self.sorter.buffer.last_key().or_else(|| self.last_passed_on());
            self.in_order = last.is_none_or(|last| last <= key);
        }
        if self.failed {
            return Err(has_failed());
        }
        if self.in_order && self.assembler.is_some() {
            // After so many in order more will follow.
            if self.last_passed_on().is_some() || event.data.len() >= PASS_ON {
                return self.or_fail(|writer| writer.pass_on_at_once(event));
            }
            self.sorter.buffer.push(event);
            if self.sorter.buffer.memory() >= PASS_ON {
                return self.or_fail(Self::pass_on);
            }
            return Ok(());
        }
        self.sorter.buffer.push(event);
        if self.assembler.is_some() {
            self.or_fail(Self::keep_what_was_passed_on)?;
        }
        if self.sorter.is_full() {
            return self.or_fail(|writer| writer.sorter.spill());
        }
        Ok(())
    }

    fn check_event(&self, event: &Event<'_>) -> Result<()> {
        let refuse = |reason: String| Err(Error::Invalid(reason));
        let too_long = |what: &str, len: usize| {
            refuse(format!("{what} of {len} bytes, at most {} are possible", limits::KEY))
        };
        if event.space.len() > limits::KEY {
            return too_long("space", event.space.len());
        }
        if event.grouping.len() > limits::KEY {
            return too_long("grouping", event.grouping.len());
        }
        let mut pair_bytes = 0;
        for (name, value) in &event.indexes {
            if name.len() > limits::KEY {
                return too_long("index name", name.len());
            }
            if value.len() > limits::KEY {
                return too_long("index value", value.len());
            }
            pair_bytes += name.len() + value.len();
        }
        if event.indexes.len() > limits::PAIRS {
            return refuse(format!(
                "{} index pairs, at most {} are possible",
                event.indexes.len(),
                limits::PAIRS
            ));
        }
        if pair_bytes > limits::PAIR_BYTES {
            return refuse(format!(
                "{pair_bytes} bytes of index pairs, at most {} are possible",
                limits::PAIR_BYTES
            ));
        }
        if event.data.len() > self.options.max_event {
            return refuse(format!(
                "data of {} bytes, at most {} are allowed",
                event.data.len(),
                self.options.max_event
            ));
        }
        Ok(())
    }

    /// Space, grouping and timestamp of the last event that was passed on, while all came in file order.
    fn last_passed_on(&self) -> Option<(&[u8], &[u8], i64)> {
        self.assembler.as_ref()?.last_key()
    }

    /// Hands the buffer, which is in file order, to the file.
    fn pass_on(&mut self) -> Result<()> {
        let Some(assembler) = &mut self.assembler else { return Ok(()) };
        for at in 0..self.sorter.buffer.len() {
            assembler.add(&self.sorter.buffer.event(at))?;
        }
        self.sorter.buffer.clear();
        Ok(())
    }

    /// Hands an event in file order to the file, so that no copy of it is made.
    fn pass_on_at_once(&mut self, event: &Event<'_>) -> Result<()> {
        if self.sorter.buffer.len() > 0 {
            self.pass_on()?;
        }
        let Some(assembler) = &mut self.assembler else { return Ok(()) };
        let &Event { space, grouping, timestamp, ref indexes, data } = event;
        let pairs = OrderedPairs::Given(indexes.iter());
        assembler.add(&Ordered { space, grouping, timestamp, pairs, data })
    }

    /// After the first late event: what was written in order becomes the first run.
    fn keep_what_was_passed_on(&mut self) -> Result<()> {
        let Some(assembler) = self.assembler.take() else { return Ok(()) };
        if assembler.last_key().is_some() {
            self.sorter.begin_with(Run::of_unfinished(assembler.into_unfinished()?)?);
        }
        Ok(())
    }

    /// Hands all events that are left to an assembler.
    fn finish_events(&mut self) -> Result<Assembler> {
        if self.in_order && self.assembler.is_some() {
            self.pass_on()?;
            return self.assembler.take().ok_or_else(has_failed);
        }
        self.keep_what_was_passed_on()?;
        let (runs, memory) = self.sorter.finish()?;
        self.assembler = Some(self.new_assembler(memory)?);
        self.merge_all(runs)?;
        self.assembler.take().ok_or_else(has_failed)
    }

    /// Writes what is left, makes the file durable and publishes it under its name.
    ///
    /// # Errors
    ///
    /// I/O if something cannot be written; Invalid if a file appeared under the name that must not be replaced. Nothing
    /// is published then, with one exception: if the name alone cannot be made durable, the whole file has it already.
    pub fn finish(self) -> Result<Summary> {
        self.finish_with(|_| Ok(()))
    }

    /// Does what [`finish`](Self::finish) does, and verifies the file before it gets its name.
    ///
    /// # Errors
    ///
    /// Those of `finish`; what is wrong with the file if it is not as it should be.
    pub(crate) fn finish_verified(self) -> Result<Summary> {
        self.finish_with(|temporary| {
            let file = ReaderOptions::new().map(false).cache(VERIFY_CACHE).open(temporary)?;
            match file.verify(VerifyLevel::Deep).problems.into_iter().next() {
                Some(problem) => Err(problem),
                None => Ok(()),
            }
        })
    }

    fn finish_with(mut self, check: impl FnOnce(&Path) -> Result<()>) -> Result<Summary> {
        let assembler = self.or_fail(Self::finish_events)?;
        let metadata = std::mem::take(&mut self.options.metadata);
        let Assembled { output, footer, statistics } = assembler.finish(metadata)?;
        let file = output.into_file()?;
        check(self.target.path())?;
        self.target.publish(&*file)?;
        Ok(Summary {
            events: footer.events,
            time_range: (footer.events > 0).then_some((footer.first_timestamp, footer.last_timestamp)),
            file_len: footer.file_len,
            statistics,
            file_digest: footer.file_digest,
            content_digest: footer.content_digest,
        })
    }
}

/// The part of the memory budget that events may take; what they leave is for tables and posting lists.
fn events_memory(memory: usize) -> usize {
    memory / 4 * 3
}

fn has_failed() -> Error {
    Error::Invalid("writing has failed before: the file cannot become whole".into())
}
