//! A conversion: one thread reads the old file, the caller's writes the new one.

use std::fmt;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;

use esdb_format::{Error, Event, LegacyKind, Result, Source, Writer, open_plain};

use crate::batch::Sink;
use crate::context::Context;
use crate::input::Input;
use crate::report::{Account, Report};
use crate::{archive, stream};

/// Begins a file of today's format (spec §3.2).
const TODAY: &[u8] = b"\x89ESDB\r\n\x1a";

/// How an event of a stream tells its timestamp, in the unit of the new file: from its data. The error says why it does not.
pub type ReadTimestamp = Box<dyn Fn(&[u8]) -> std::result::Result<i64, String> + Send + Sync>;

/// How a file is brought over. By default: 256 MiB of memory, events of at most 64 MiB, streams into the empty space, their
/// timestamps the numbers of the records.
pub struct Options {
    pub(crate) memory: usize,
    pub(crate) max_event: usize,
    pub(crate) split_index: Vec<Vec<u8>>,
    pub(crate) space: Vec<u8>,
    pub(crate) timestamp: Option<ReadTimestamp>,
    pub(crate) unknown: u64,
    segment: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            max_event: 64 << 20,
            split_index: Vec::new(),
            space: Vec::new(),
            timestamp: None,
            unknown: 0,
            segment: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("memory", &self.memory)
            .field("space", &self.space)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How much memory reading may take, in bytes, at least 8 MiB. Default: 256 MiB. A quarter is for sorting index entries, which go to
    /// temporary files beyond it; another for the events of one grouping, of which larger ones are read in parts; a third one for
    /// those that were handed on.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes.max(8 << 20);
        self
    }

    /// The most data an event may have, in bytes. Default: 64 MiB. Larger ones are left out and told.
    #[must_use]
    pub fn max_event(mut self, bytes: usize) -> Self {
        self.max_event = bytes;
        self
    }

    /// An index name with colons: keys that begin with it and a colon are split there, all others at their first colon.
    #[must_use]
    pub fn split_index(mut self, name: impl Into<Vec<u8>>) -> Self {
        self.split_index.push(name.into());
        self
    }

    /// The space of the events of a stream. Default: the empty one.
    #[must_use]
    pub fn space(mut self, space: impl Into<Vec<u8>>) -> Self {
        self.space = space.into();
        self
    }

    /// How events of a stream tell their timestamps. Default: the number of the record, from 0 on.
    #[must_use]
    pub fn timestamp(mut self, read: ReadTimestamp) -> Self {
        self.timestamp = Some(read);
        self
    }

    /// How many spaces have been called `unknown-…` already: the next one is numbered on from there. Default: 0.
    #[must_use]
    pub fn unknown(mut self, spaces: u64) -> Self {
        self.unknown = spaces;
        self
    }

    /// Hands the events of a grouping on when they take so many bytes, so that tests meet groupings in parts.
    #[doc(hidden)]
    #[must_use]
    pub fn segment_for_tests(mut self, bytes: usize) -> Self {
        self.segment = Some(bytes);
        self
    }

    /// How much memory the events of a grouping take before they are handed on, in bytes.
    pub(crate) fn segment(&self) -> usize {
        self.segment.unwrap_or(self.memory / 4)
    }
}

/// A file of 2014, or what is left of one.
pub struct Legacy {
    source: Box<dyn Source>,
    kind: LegacyKind,
}

impl Legacy {
    /// Opens a file by plain reads. What neither begins nor ends like a file of that library is taken for an archive whose end is missing,
    /// if it begins like one.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read; Foreign if it is something else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_source(open_plain(path)?)
    }

    /// Opens bytes from anywhere.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_source(source: Box<dyn Source>) -> Result<Self> {
        if Input::new(&*source).up_to(0, TODAY.len())? == TODAY {
            return Err(Error::Invalid("this is a file of today's format already".into()));
        }
        let kind = match LegacyKind::of(&*source)? {
            Some(kind) => kind,
            None if archive::may_be(&Input::new(&*source))? => LegacyKind::Archive,
            None if stream::may_be(&mut Input::new(&*source))? => LegacyKind::Stream,
            None => return Err(Error::Foreign(" of 2014, nor a part of one".into())),
        };
        Ok(Self { source, kind })
    }

    /// What the file is.
    pub fn kind(&self) -> LegacyKind {
        self.kind
    }

    /// The length of the file, in bytes.
    pub fn file_len(&self) -> u64 {
        self.source.len()
    }

    /// Adds all events that can be read to a writer, whose unit should be seconds. `progress` is told now and then how many bytes have
    /// been read, of about as many as the file has.
    ///
    /// # Errors
    ///
    /// Those of [`for_each`](Self::for_each), and what the writer says.
    pub fn convert(
        &self,
        options: &Options,
        writer: &mut Writer,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Report> {
        self.for_each(options, &mut |event| writer.add(event), progress)
    }

    /// Calls `each` with all events that can be read, on the caller's thread, while another one reads. `progress` is told now and then
    /// how many bytes have been read, of about as many as the file has.
    ///
    /// Events come in order of space, grouping and timestamp, and those with equal ones as they were added, with these exceptions.
    /// A grouping that takes more than a quarter of the memory comes in parts, the newest first, if it is damaged, has an event beyond
    /// [`Options::max_event`] or one of time 0 without data, which lost pages look like; and where its events have hundreds of index
    /// entries each. Spaces whose place is wrong in the table of spaces, or whose id is lost, come last.
    ///
    /// Cost: the file is read once, its tables and large groupings twice; damaged parts are searched before. Memory:
    /// [`Options::memory`], and a few times the largest event.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read or temporary files cannot be written; Foreign if the file is damaged and nothing of it can be
    /// read; what `each` returns.
    pub fn for_each(
        &self,
        options: &Options,
        each: &mut dyn FnMut(&Event<'_>) -> Result<()>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Report> {
        let report = thread::scope(|scope| {
            // A batch can be as large as a grouping: their bytes are bounded, not their number.
            let (full, batches) = channel();
            let (empty, spare) = channel();
            let reader = scope.spawn(move || self.read(options, Sink::new(full, spare, options.segment())));
            for mut batch in batches {
                batch.for_each(each)?;
                progress(batch.read);
                batch.clear();
                // The reader may have ended already.
                let _ = empty.send(batch);
            }
            reader.join().unwrap_or_else(|panic| resume_unwind(panic))
        })?;
        if report.events == 0 && !report.is_complete() {
            return Err(Error::Foreign(": it is damaged, and nothing of it can be read".into()));
        }
        Ok(report)
    }

    fn read(&self, options: &Options, sink: Sink) -> Result<Report> {
        let input = Input::new(&*self.source);
        let mut context = Context::new(options, Account::new(self.kind, self.source.len()), sink);
        match self.kind {
            LegacyKind::Archive => {
                let mut unknown = options.unknown;
                archive::read(&mut context, &input, &mut unknown)?;
                context.account.report.unknown_spaces = unknown - options.unknown;
            }
            LegacyKind::Stream => stream::read(&mut context, &input)?,
        }
        context.sink.hand_on()?;
        Ok(context.account.finish())
    }
}
