//! Sorting events into file order in bounded memory: a buffer, sorted runs, and their merge.
//!
//! Arrival decides among equals: the buffer is sorted stably, and an earlier run comes before a later one.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::assembler::Unfinished;
use crate::block::BlockDraft;
use crate::codec::{Decoder, Encode, key_prefix};
use crate::codecs::Codecs;
use crate::compression::Codec;
use crate::error::{Result, Section};
use crate::event::Event;
use crate::header::Layout;
use crate::interner::Interner;
use crate::output::Output;
use crate::pipeline::Pipeline;
use crate::reader::Reader;
use crate::rows::BlockRows;
use crate::scan::{Cursor, StoredEvent};
use crate::source::PlainFile;
use crate::spool::spill_failed;
use crate::unit::Unit;

/// Records are kept in pieces of this size, so that growing copies nothing, in bytes.
const PIECE: usize = 1 << 20;

/// Spilled runs are cut into blocks of about this much data, so that many can be merged at once, in bytes.
const RUN_BLOCK: usize = 128 << 10;

/// Events in memory, in the order of arrival until they are sorted.
#[derive(Default)]
pub(crate) struct EventBuffer {
    pieces: Vec<Vec<u8>>,
    entries: Vec<Entry>,
    bytes: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    /// The first bytes of the space: most comparisons end here.
    prefix: u64,
    timestamp: i64,
    piece: u32,
    start: u32,
}

impl EventBuffer {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of memory in use, with what sorting will need.
    pub(crate) fn memory(&self) -> usize {
        self.bytes + self.entries.capacity() * size_of::<Entry>() * 3 / 2
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn push(&mut self, event: &Event<'_>) {
        let pairs: usize = event.indexes.iter().map(|(name, value)| 4 + name.len() + value.len()).sum();
        let len = 12 + event.space.len() + event.grouping.len() + pairs + event.data.len();
        let fits = self.pieces.last().is_some_and(|piece| piece.len() + len <= PIECE);
        if !fits {
            self.pieces.push(Vec::with_capacity(len.max(PIECE)));
            self.bytes += len.max(PIECE);
        }
        let number = self.pieces.len() - 1;
        let piece = &mut self.pieces[number];
        self.entries.push(Entry {
            prefix: key_prefix(event.space),
            timestamp: event.timestamp,
            piece: number as u32,
            start: piece.len() as u32,
        });
        piece.put_u16(event.space.len() as u16);
        piece.put_u16(event.grouping.len() as u16);
        piece.put_u32(event.indexes.len() as u32);
        piece.put_u32(event.data.len() as u32);
        piece.extend_from_slice(event.space);
        piece.extend_from_slice(event.grouping);
        for (name, value) in &event.indexes {
            piece.put_u16(name.len() as u16);
            piece.put_u16(value.len() as u16);
            piece.extend_from_slice(name);
            piece.extend_from_slice(value);
        }
        piece.extend_from_slice(event.data);
    }

    /// Sorts into file order.
    pub(crate) fn sort(&mut self) {
        let Self { pieces, entries, .. } = self;
        entries.sort_by(|a, b| {
            a.prefix
                .cmp(&b.prefix)
                .then_with(|| (keys(pieces, a), a.timestamp).cmp(&(keys(pieces, b), b.timestamp)))
        });
    }

    /// Space, grouping and timestamp of an event.
    pub(crate) fn key(&self, at: usize) -> Option<(&[u8], &[u8], i64)> {
        let entry = self.entries.get(at)?;
        let (space, grouping) = keys(&self.pieces, entry);
        Some((space, grouping, entry.timestamp))
    }

    pub(crate) fn event(&self, at: usize) -> Result<Event<'_>> {
        let entry = &self.entries[at];
        let mut record = record(&self.pieces, entry);
        let (space, grouping) = (record.u16("")?, record.u16("")?);
        let (pairs, data) = (record.u32("")?, record.u32("")?);
        let space = record.take(space.into(), "")?;
        let grouping = record.take(grouping.into(), "")?;
        let mut indexes = Vec::with_capacity(pairs as usize);
        for _ in 0..pairs {
            let (name, value) = (record.u16("")?, record.u16("")?);
            indexes.push((record.take(name.into(), "")?, record.take(value.into(), "")?));
        }
        Ok(Event {
            space,
            grouping,
            timestamp: entry.timestamp,
            indexes,
            data: record.take(data as usize, "")?,
        })
    }
}

fn record<'a>(pieces: &'a [Vec<u8>], entry: &Entry) -> Decoder<'a> {
    Decoder::new(&pieces[entry.piece as usize][entry.start as usize..], 0, Section::File)
}

/// Space and grouping of a record.
fn keys<'a>(pieces: &'a [Vec<u8>], entry: &Entry) -> (&'a [u8], &'a [u8]) {
    let mut record = record(pieces, entry);
    let mut keys = || -> Result<_> {
        let (space, grouping) = (record.u16("")?, record.u16("")?);
        record.take(8, "")?;
        Ok((record.take(space.into(), "")?, record.take(grouping.into(), "")?))
    };
    // The buffer wrote the record itself.
    keys().unwrap_or_default()
}

/// Events in file order, to be merged with others.
pub(crate) enum Run {
    /// In blocks of a file without a name, or of the unfinished output.
    Blocks(Box<BlockRows<PlainFile>>),
    /// In memory; the number is that of the next event.
    Memory(EventBuffer, usize),
    /// A file of this format, and its next event.
    File(Box<Cursor>, Option<StoredEvent>),
}

impl Run {
    /// The blocks that were written before the first late event.
    pub(crate) fn of_unfinished(unfinished: Unfinished) -> Result<Self> {
        let Unfinished { output, layout, dictionary, blocks } = unfinished;
        let codecs = Codecs::new(layout.codec, true);
        codecs
            .set_dictionary(dictionary.map(|dictionary| Arc::clone(dictionary.bytes())).unwrap_or_default());
        Self::of_blocks(output, layout, codecs, blocks)
    }

    fn of_blocks(
        output: Output,
        layout: Layout,
        codecs: Codecs,
        blocks: std::ops::Range<u64>,
    ) -> Result<Self> {
        let len = output.offset();
        let source = PlainFile::new(output.into_file()?, len);
        let mut rows = BlockRows::new(source, layout, Arc::new(codecs), blocks);
        rows.advance()?;
        Ok(Self::Blocks(Box::new(rows)))
    }

    /// All events of a file.
    pub(crate) fn of_file(file: &Reader) -> Result<Self> {
        let mut run = Self::File(Box::new(file.scan().cursor()), None);
        run.advance()?;
        Ok(run)
    }

    /// A sorted buffer.
    pub(crate) fn of_buffer(mut buffer: EventBuffer) -> Self {
        buffer.sort();
        Self::Memory(buffer, 0)
    }

    pub(crate) fn key(&self) -> Option<(&[u8], &[u8], i64)> {
        match self {
            Self::Blocks(rows) => rows.key(),
            Self::Memory(buffer, at) => buffer.key(*at),
            Self::File(_, event) => event.as_ref().map(|event| {
                let (space, grouping) = event.keys();
                (space, grouping, event.timestamp())
            }),
        }
    }

    pub(crate) fn event(&self) -> Result<Event<'_>> {
        match self {
            Self::Blocks(rows) => rows.event(),
            Self::Memory(buffer, at) => buffer.event(*at),
            Self::File(_, event) => event.as_ref().map_or(Ok(Event::default()), StoredEvent::as_event),
        }
    }

    pub(crate) fn advance(&mut self) -> Result<()> {
        match self {
            Self::Blocks(rows) => {
                rows.advance()?;
            }
            Self::Memory(_, at) => *at += 1,
            Self::File(cursor, event) => {
                // Given back before the next one is read, so that its frame can be used again.
                *event = None;
                *event = cursor.next()?.cloned();
            }
        }
        Ok(())
    }
}

/// Writes events in file order as a run into a file without a name.
pub(crate) struct RunWriter {
    output: Output,
    layout: Layout,
    pipeline: Pipeline,
    draft: BlockDraft,
    pairs: Interner,
}

impl RunWriter {
    pub(crate) fn new(unit: Unit, folder: &std::path::Path, threads: usize) -> Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(|source| spill_failed(folder, source))?;
        let layout = Layout {
            unit,
            codec: Codec::Lz4,
            optional_flags: 0,
            frame_size: 32 << 10,
            dictionary_len: 0,
            dictionary_checksum: 0,
        };
        Ok(Self {
            output: Output::new(file, folder.join("temporary file"), false),
            layout,
            pipeline: Pipeline::new(layout, &[], threads)?,
            draft: BlockDraft::default(),
            pairs: Interner::default(),
        })
    }

    pub(crate) fn add(&mut self, event: &Event<'_>) -> Result<()> {
        let pair_bytes: usize = event.indexes.iter().map(|(name, value)| name.len() + value.len()).sum();
        let key_bytes = event.space.len() + event.grouping.len() + pair_bytes;
        let full = self.draft.payload().len() + event.data.len() > RUN_BLOCK && !self.draft.is_empty();
        if full || self.draft.is_full_for(event.data.len(), key_bytes) {
            self.close_block()?;
        }
        self.draft.add(event.space, event.grouping, event.timestamp, event.data, key_bytes);
        for &(name, value) in &event.indexes {
            let known = self.pairs.len() as u32;
            let number = self.pairs.number(name, value);
            if number == known {
                self.draft.add_pair(name, value);
            }
            self.draft.add_entry(number);
        }
        Ok(())
    }

    fn close_block(&mut self) -> Result<()> {
        if self.draft.is_empty() {
            return Ok(());
        }
        let draft = std::mem::take(&mut self.draft);
        self.draft.first_ordinal = draft.first_ordinal + draft.len() as u64;
        self.pairs = Interner::default();
        self.pipeline.add(draft, &mut self.output, &mut |_, _| Ok(()))
    }

    pub(crate) fn finish(mut self) -> Result<Run> {
        self.close_block()?;
        self.pipeline.finish(&mut self.output, &mut |_, _| Ok(()))?;
        let end = self.output.offset();
        Run::of_blocks(self.output, self.layout, Codecs::new(Codec::Lz4, true), 0..end)
    }
}

/// Merges runs; an earlier run's event comes before an equal one of a later run.
pub(crate) struct Merge {
    runs: Vec<Run>,
    /// A heap of the numbers of runs that have events left: the smallest is first.
    heap: Vec<usize>,
}

impl Merge {
    pub(crate) fn new(runs: Vec<Run>) -> Self {
        let mut merge =
            Self { heap: (0..runs.len()).filter(|&run| runs[run].key().is_some()).collect(), runs };
        for at in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(at);
        }
        merge
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
    pub(crate) fn for_each(mut self, mut each: impl FnMut(&Event<'_>) -> Result<()>) -> Result<()> {
        while let Some(&run) = self.heap.first() {
            each(&self.runs[run].event()?)?;
            self.runs[run].advance()?;
            if self.runs[run].key().is_none() {
                self.heap.swap_remove(0);
            }
            self.sift_down(0);
        }
        Ok(())
    }
}
