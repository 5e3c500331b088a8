//! From events in file order to a file: blocks as they fill, then everything that is derived from them.

use super::ordered::{Ordered, OrderedPairs};
use super::output::Output;
use super::pipeline::Pipeline;
use crate::block::{BlockDraft, EncodedBlock, FrameCuts, Head};
use crate::codec::{Decoder, key64};
use crate::compression::Codec;
use crate::derive::Deriver;
use crate::derive::spool::Spool;
use crate::dictionary::{Dictionary, SAMPLE, SAMPLE_BLOCKS, SAMPLE_KEYS};
use crate::digest::{ContentDigest, Digest};
use crate::error::{Result, Section};
use crate::extents::ExtentsBuilder;
use crate::facts::{Facts, Statistics};
use crate::footer::{Footer, Roots};
use crate::handle::{Handle, Root};
use crate::header::{Header, Layout};
use crate::limits;
use crate::storage::SpillFolder;
use crate::tables::{BlockEntry, RunEntry};
use crate::tree::{self, TreeBuilder};
use crate::unit::Unit;

/// What a file is made with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) unit: Unit,
    pub(crate) codec: Codec,
    pub(crate) frame_size: u32,
    pub(crate) threads: usize,
    /// How many events close a block.
    pub(crate) block_events: usize,
    /// Bytes for everything but the sorting of events.
    pub(crate) memory: usize,
}

impl Plan {
    fn cuts(&self) -> FrameCuts {
        FrameCuts::new(self.frame_size, self.block_events)
    }
}

/// Takes events in file order and writes a file.
pub(crate) struct Assembler {
    plan: Plan,
    output: Output,
    draft: BlockDraft,
    /// By a pair's number, its place in the draft and the draft it was put in.
    places: Vec<(u64, u32)>,
    draft_number: u64,
    /// The numbers of the current event's pairs.
    numbers: Vec<u32>,
    /// Until the dictionary is trained.
    waiting: Vec<BlockDraft>,
    waiting_data: usize,
    waiting_keys: usize,
    started: Option<Started>,
    content: ContentDigest,
    statistics: Statistics,
    derived: Deriver,
    /// Entries of the blocks table.
    blocks: Spool,
}

/// What is known once the first block is written.
struct Started {
    layout: Layout,
    header: Header,
    dictionary: Option<Dictionary>,
    pipeline: Pipeline,
}

/// What a finished file came to.
pub(crate) struct Assembled {
    pub(crate) output: Output,
    pub(crate) footer: Footer,
    pub(crate) statistics: Statistics,
}

/// The blocks of an unfinished file, to be read again.
pub(crate) struct Unfinished {
    pub(crate) output: Output,
    pub(crate) layout: Layout,
    pub(crate) dictionary: Option<Dictionary>,
    pub(crate) blocks: std::ops::Range<u64>,
}

impl Assembler {
    /// Writes to `output`; spills to `folder`.
    pub(crate) fn new(plan: Plan, output: Output, folder: &SpillFolder) -> Self {
        Self {
            draft: BlockDraft::default(),
            places: Vec::new(),
            draft_number: 1,
            numbers: Vec::new(),
            waiting: Vec::new(),
            waiting_data: 0,
            waiting_keys: 0,
            started: None,
            content: ContentDigest::new(plan.unit),
            statistics: Statistics::default(),
            derived: Deriver::new(plan.memory, folder),
            blocks: Spool::new(folder, plan.memory / 16),
            plan,
            output,
        }
    }

    /// Numbers the events as if so many stood before them.
    #[cfg(test)]
    pub(super) fn begin_at(&mut self, ordinal: u64) {
        self.derived.events = ordinal;
        self.draft.first_ordinal = ordinal;
    }

    /// Space, grouping and timestamp of the last event.
    pub(crate) fn last_key(&self) -> Option<(&[u8], &[u8], i64)> {
        self.derived.last_key()
    }

    /// Adds the next event in file order.
    pub(crate) fn add(&mut self, event: &Ordered<'_>) -> Result<()> {
        let generation = self.derived.lists.generation();
        let pair_bytes = self.number_pairs(event);
        let key_bytes = event.space.len() + event.grouping.len() + pair_bytes;
        if self.draft.is_full_for(event.data.len(), key_bytes) || self.draft.len() >= self.plan.block_events {
            self.close_block()?;
        }
        let entered = self.derived.enter(event.space, event.grouping, event.timestamp)?;
        if self.derived.lists.generation() != generation {
            self.number_again();
            self.number_pairs(event);
        }
        if entered.space || self.draft.is_empty() {
            self.draft.add_space(event.space);
        }
        if entered.grouping || self.draft.is_empty() {
            self.draft.add_grouping(event.grouping);
        }
        self.draft.add(event.timestamp, event.data.len(), key_bytes);
        for &number in &self.numbers {
            if self.places.len() <= number as usize {
                self.places.resize(number as usize + 1, (0, 0));
            }
            let place = &mut self.places[number as usize];
            if place.0 != self.draft_number {
                let (name, value) = self.derived.lists.pair(number);
                *place = (self.draft_number, self.draft.add_pair(name, value));
            }
            self.draft.add_entry(place.1);
        }
        self.derived.add(event.timestamp, &self.numbers)?;
        self.content.add(
            event.space,
            event.grouping,
            event.timestamp,
            self.numbers.len(),
            self.numbers.iter().map(|&number| self.derived.lists.pair(number)),
            event.data,
        );
        self.statistics.data_bytes += event.data.len() as u64;
        if event.data.len() <= limits::BLOCK_DATA {
            self.draft.add_data(event.data);
            return Ok(());
        }
        // No other event fits beside it: the block is written from the caller's copy of the data.
        self.close_block_of(event.data)
    }

    /// Finds the numbers of an event's pairs; returns the bytes of their names and values.
    fn number_pairs(&mut self, event: &Ordered<'_>) -> usize {
        self.numbers.clear();
        let (lists, numbers) = (&mut self.derived.lists, &mut self.numbers);
        let len = |(name, value): (&[u8], &[u8])| name.len() + value.len();
        if let OrderedPairs::Buffered(pairs) = &event.pairs {
            lists.translate(pairs, |number| numbers.push(number));
            return numbers.iter().map(|&number| len(lists.pair(number))).sum();
        }
        let number = |pair: (&[u8], &[u8])| {
            numbers.push(lists.number(pair.0, pair.1));
            len(pair)
        };
        event.pairs.clone().map(number).sum()
    }

    /// Notes the draft's pairs under their new numbers.
    fn number_again(&mut self) {
        self.places.clear();
        for (place, (name, value)) in self.draft.pairs().enumerate() {
            let number = self.derived.lists.number(name, value) as usize;
            if self.places.len() <= number {
                self.places.resize(number + 1, (0, 0));
            }
            self.places[number] = (self.draft_number, place as u32);
        }
    }

    fn close_block(&mut self) -> Result<()> {
        if self.draft.is_empty() {
            return Ok(());
        }
        let draft = self.take_draft()?;
        if self.started.is_none() {
            self.waiting_data += draft.payload().len();
            self.waiting_keys += draft.key_bytes();
            self.waiting.push(draft);
            let waits = matches!(self.plan.codec, Codec::Zstd { .. })
                && self.waiting_data < SAMPLE
                && self.waiting_keys < SAMPLE_KEYS
                && self.waiting.len() < SAMPLE_BLOCKS;
            return if waits { Ok(()) } else { self.start(false) };
        }
        self.write_block(draft)
    }

    /// Writes the block of a single event whose data exceeds what is waited for.
    fn close_block_of(&mut self, data: &[u8]) -> Result<()> {
        let draft = self.take_draft()?;
        if self.started.is_none() {
            self.start(true)?;
        }
        let Some(started) = &mut self.started else { return Ok(()) };
        let mut written = note_block(&mut self.statistics, &mut self.blocks);
        started.pipeline.encode_here(&draft, data, &mut self.output, &mut written)
    }

    /// The filled draft; an empty one takes its place.
    fn take_draft(&mut self) -> Result<BlockDraft> {
        let empty = self.started.as_mut().map(|started| started.pipeline.draft()).unwrap_or_default();
        let draft = std::mem::replace(&mut self.draft, empty);
        self.draft.first_ordinal = draft.first_ordinal + draft.len() as u64;
        self.draft_number += 1;
        let generation = self.derived.lists.generation();
        self.derived.relieve()?;
        if self.derived.lists.generation() != generation {
            self.places = Vec::new();
        }
        Ok(draft)
    }

    fn write_block(&mut self, draft: BlockDraft) -> Result<()> {
        let Some(started) = &mut self.started else { return Ok(()) };
        let mut written = note_block(&mut self.statistics, &mut self.blocks);
        started.pipeline.add(draft, &mut self.output, &mut written)
    }

    /// Trains the dictionary and writes header, dictionary and the blocks that waited.
    ///
    /// `giant_follows`: the next event is too large for the sample.
    fn start(&mut self, giant_follows: bool) -> Result<()> {
        let dictionary = self.train(giant_follows)?;
        let layout = Layout {
            unit: self.plan.unit,
            codec: self.plan.codec,
            optional_flags: 0,
            frame_size: self.plan.frame_size,
            dictionary_len: dictionary.as_ref().map_or(0, |dictionary| dictionary.bytes().len() as u32),
            dictionary_checksum: dictionary.as_ref().map_or(0, |dictionary| dictionary.checksum()),
        };
        let header = Header::new(layout);
        self.output.write(&header.encode())?;
        if let Some(dictionary) = &dictionary {
            self.output.write(&dictionary.encode(self.output.offset()))?;
        }
        let pipeline = Pipeline::new(
            layout,
            self.plan.cuts(),
            dictionary.as_ref().map_or(&[][..], |dictionary| dictionary.bytes()),
            self.plan.threads,
        )?;
        self.started = Some(Started { layout, header, dictionary, pipeline });
        for draft in std::mem::take(&mut self.waiting) {
            self.write_block(draft)?;
        }
        Ok(())
    }

    /// The dictionary of the first events, if it wins (spec §10).
    fn train(&self, giant_follows: bool) -> Result<Option<Dictionary>> {
        let (mut sample, mut frames, mut is_full) = (Vec::new(), Vec::new(), giant_follows);
        'drafts: for draft in &self.waiting {
            let mut cuts = self.plan.cuts();
            let mut data = draft.payload();
            let mut frame = 0;
            for &len in draft.lens() {
                let len = len as usize;
                if sample.len() + len > SAMPLE {
                    frames.push(frame);
                    is_full = true;
                    break 'drafts;
                }
                if cuts.add(len).is_some() {
                    frames.push(std::mem::take(&mut frame));
                }
                let (event, rest) = data.split_at(len);
                sample.extend_from_slice(event);
                (data, frame) = (rest, frame + len);
            }
            frames.push(frame);
        }
        Dictionary::train(self.plan.codec, &sample, &frames, is_full, self.plan.threads > 1)
    }

    /// Ends the blocks where they are, to be read again and merged with others.
    pub(crate) fn into_unfinished(mut self) -> Result<Unfinished> {
        let started = self.finish_blocks()?;
        let section = started.dictionary.as_ref().map_or(0, |dictionary| dictionary.section_len());
        let start = Header::SIZE + section;
        let blocks = start as u64..self.output.offset();
        let Blocks { layout, dictionary, .. } = started;
        Ok(Unfinished { output: self.output, layout, dictionary, blocks })
    }

    fn finish_blocks(&mut self) -> Result<Blocks> {
        self.close_block()?;
        if self.started.is_none() {
            self.start(false)?;
        }
        let Some(Started { layout, header, dictionary, pipeline }) = self.started.take() else {
            return Err(crate::Error::Invalid("no block was begun".into()));
        };
        let mut written = note_block(&mut self.statistics, &mut self.blocks);
        pipeline.finish(&mut self.output, &mut written)?;
        Ok(Blocks { layout, header, dictionary })
    }

    /// Writes everything behind the blocks. `metadata` must ascend strictly by key.
    pub(crate) fn finish(mut self, metadata: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Assembled> {
        self.derived.end()?;
        let Blocks { layout, header, dictionary } = self.finish_blocks()?;
        let (events, extent) = (self.derived.events, self.derived.extent);
        let (mut output, mut statistics) = (self.output, self.statistics);
        (statistics.spaces, statistics.groupings) = (self.derived.space_count, self.derived.grouping_count);
        let (tables, lists) = self.derived.into_tables();
        if let Some(dictionary) = dictionary {
            output.write(&dictionary.encode(output.offset()))?;
        }
        let mut mark = output.offset();
        let mut grown = |output: &Output, root: &[u8]| {
            let len = output.offset() - std::mem::replace(&mut mark, output.offset());
            len + root.len() as u64
        };
        let time_order = write_table(tables.time_order, &mut output)?;
        statistics.time_order_bytes = grown(&output, &time_order.0);
        let (names, name_count, totals) = lists.finish(&mut output)?;
        statistics.index_bytes = grown(&output, &names);
        let spaces = write_runs(Section::Spaces, tables.spaces, layout.codec, &mut output)?;
        statistics.space_bytes = grown(&output, &spaces.0);
        let groupings = write_runs(Section::Groupings, tables.groupings, layout.codec, &mut output)?;
        statistics.grouping_bytes = grown(&output, &groupings.0);
        let blocks = write_table(self.blocks, &mut output)?;
        statistics.block_bytes = grown(&output, &blocks.0);
        (statistics.names, statistics.values, statistics.entries) =
            (totals.names, totals.values, totals.entries);

        let mut root = |(page, entries): (Vec<u8>, u64)| -> Result<Root> {
            Ok(Root { page: tree::write(&page, &mut output)?, entries })
        };
        let roots = Roots {
            time_order: root(time_order)?,
            names: root((names, name_count))?,
            spaces: root(spaces)?,
            groupings: root(groupings)?,
            blocks: root(blocks)?,
        };
        let facts = Facts {
            statistics: statistics.clone(),
            level: self.plan.codec.level(),
            metadata,
            extra: Vec::new(),
        };
        let facts: Handle = tree::write(&facts.encode(), &mut output)?;
        let mut footer = Footer {
            file_len: output.offset() + Footer::SIZE as u64,
            layout,
            header_checksum: header.checksum,
            events,
            first_timestamp: extent.map_or(0, |extent| extent.first),
            last_timestamp: extent.map_or(0, |extent| extent.last),
            roots,
            facts,
            content_digest: self.content.finish(),
            file_digest: Digest::default(),
        };
        output.write(&footer.encode()[..Footer::DIGESTED])?;
        footer.file_digest = output.digest()?;
        output.write(&footer.encode()[Footer::DIGESTED..])?;
        Ok(Assembled { output, footer, statistics })
    }
}

/// What is known when the blocks are written.
struct Blocks {
    layout: Layout,
    header: Header,
    dictionary: Option<Dictionary>,
}

/// What is done with every block that was written.
fn note_block<'a>(
    statistics: &'a mut Statistics,
    table: &'a mut Spool,
) -> impl FnMut(&Head, &EncodedBlock) -> Result<()> + 'a {
    |head, block| {
        statistics.blocks += 1;
        statistics.frames += block.frame_count;
        statistics.frame_bytes += head.payload_len;
        statistics.column_bytes += head.block_len() - head.payload_len;
        let mut value = Vec::new();
        BlockEntry::new(head, block).encode(&mut value);
        table.put_entry(&key64(head.first_ordinal), &value)
    }
}

/// Writes a table's tree but its root page, which is returned with the number of entries.
fn write_table(spool: Spool, output: &mut Output) -> Result<(Vec<u8>, u64)> {
    let mut reader = spool.into_reader();
    let (mut tree, mut key, mut value) = (TreeBuilder::default(), Vec::new(), Vec::new());
    while reader.next_bytes(&mut key)? {
        reader.bytes(&mut value)?;
        tree.add(&key, &value, output)?;
    }
    tree.finish(output)
}

/// The same of the spaces or groupings.
fn write_runs(section: Section, spool: Spool, codec: Codec, output: &mut Output) -> Result<(Vec<u8>, u64)> {
    let mut reader = spool.into_reader();
    let mut tree = TreeBuilder::new(ExtentsBuilder::new(section, codec)?);
    let (mut key, mut value) = (Vec::new(), Vec::new());
    while reader.next_bytes(&mut key)? {
        reader.bytes(&mut value)?;
        let entry = RunEntry::decode(Decoder::new(&value, 0, section))?;
        tree.add_with(output, |leaf| leaf.add(&key, entry))?;
    }
    tree.finish(output)
}
