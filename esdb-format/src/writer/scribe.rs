//! What becomes of finished blocks: they are written in order, digested, and everything is derived from them that stands behind them.

use super::output::Output;
use crate::block::{BlockDraft, EncodedBlock, Head};
use crate::codec::{Decoder, key64};
use crate::compression::Codec;
use crate::derive::Deriver;
use crate::derive::spool::Spool;
use crate::dictionary::Dictionary;
use crate::digest::{ContentDigest, Digest};
use crate::error::{Result, Section};
use crate::extents::ExtentsBuilder;
use crate::facts::{Facts, Statistics};
use crate::footer::{Footer, Roots};
use crate::handle::{Handle, Root};
use crate::header::{Header, Layout};
use crate::storage::SpillFolder;
use crate::tables::{BlockEntry, Extent, RunEntry};
use crate::tree::{self, TreeBuilder};

/// Writes a file, block by block.
pub(crate) struct Scribe {
    output: Output,
    header: Header,
    layout: Layout,
    dictionary: Option<Dictionary>,
    blocks_start: u64,
    content: ContentDigest,
    statistics: Statistics,
    derived: Deriver,
    /// Entries of the blocks table.
    blocks: Spool,
    /// The numbers that the pairs of the current block have in the lists, and those of the current event's pairs.
    numbers: Vec<u32>,
    event_numbers: Vec<u32>,
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

impl Scribe {
    /// Begins a file with its header and its dictionary. Takes at most about `memory` bytes; spills to `folder`.
    ///
    /// The first event has the ordinal `first_ordinal`.
    pub(crate) fn begin(
        mut output: Output,
        layout: Layout,
        dictionary: Option<Dictionary>,
        memory: usize,
        folder: &SpillFolder,
        first_ordinal: u64,
    ) -> Result<Self> {
        let header = Header::new(layout);
        output.write(&header.encode())?;
        if let Some(dictionary) = &dictionary {
            output.write(&dictionary.encode(output.offset()))?;
        }
        let mut derived = Deriver::new(memory, folder);
        derived.events = first_ordinal;
        Ok(Self {
            blocks_start: output.offset(),
            output,
            header,
            layout,
            dictionary,
            content: ContentDigest::new(layout.unit),
            statistics: Statistics::default(),
            derived,
            blocks: Spool::new(folder, memory / 16),
            numbers: Vec::new(),
            event_numbers: Vec::new(),
        })
    }

    /// The ordinal of the first event of the next block.
    pub(crate) fn next_ordinal(&self) -> u64 {
        self.derived.events
    }

    /// Writes the next block, which was made of `draft` and of `data` of all its events.
    pub(crate) fn write(&mut self, draft: &BlockDraft, data: &[u8], block: &EncodedBlock) -> Result<()> {
        let mut head = Head {
            offset: self.output.offset(),
            first_ordinal: block.first_ordinal,
            count: block.count,
            rows_len: block.rows.len() as u32,
            labels_len: block.labels.len() as u32,
            payload_len: block.frames.len() as u64,
            rows_checksum: block.rows_checksum,
            checksum: 0,
        };
        self.output.write(&head.encode(&self.layout))?;
        self.output.write(&block.rows)?;
        self.output.write(&block.labels)?;
        self.output.write(&block.frames)?;
        self.statistics.blocks += 1;
        self.statistics.frames += block.frame_count;
        self.statistics.frame_bytes += head.payload_len;
        self.statistics.column_bytes += head.block_len() - head.payload_len;
        self.statistics.data_bytes += data.len() as u64;
        let mut value = Vec::new();
        BlockEntry::new(&head, block).encode(&mut value);
        self.blocks.put_entry(&key64(head.first_ordinal), &value)?;
        self.derive(draft, data)
    }

    /// Digests the events of a block and derives from them.
    fn derive(&mut self, draft: &BlockDraft, mut data: &[u8]) -> Result<()> {
        self.derived.relieve()?;
        self.number_pairs(draft);
        let (mut pairs, mut lens) = (draft.pairs_of_rows(), draft.lens().iter());
        let mut timestamps = draft.timestamps();
        for (space, grouping, events) in draft.runs() {
            let (run, after) = timestamps.split_at(events);
            timestamps = after;
            let (Some(&first), Some(&last)) = (run.first(), run.last()) else { continue };
            let generation = self.derived.lists.generation();
            self.derived.enter(space, grouping, Extent { count: events as u64, first, last })?;
            if self.derived.lists.generation() != generation {
                self.number_pairs(draft);
            }
            for ((&timestamp, pairs), &len) in run.iter().zip(&mut pairs).zip(&mut lens) {
                let (event, after) = data.split_at(len as usize);
                data = after;
                let numbers = pairs.iter().map(|&(_, pair)| self.numbers[pair as usize]);
                self.event_numbers.clear();
                self.event_numbers.extend(numbers);
                self.derived.add(timestamp, &self.event_numbers)?;
                let spelled = pairs.iter().map(|&(_, pair)| draft.pair(pair));
                self.content.add(space, grouping, timestamp, pairs.len(), spelled, event);
            }
        }
        Ok(())
    }

    /// Finds the numbers of a block's pairs.
    fn number_pairs(&mut self, draft: &BlockDraft) {
        let lists = &mut self.derived.lists;
        self.numbers.clear();
        self.numbers.extend(draft.pairs().map(|(name, value)| lists.number(name, value)));
    }

    /// Ends the blocks where they are, to be read again and merged with others.
    pub(crate) fn into_unfinished(self) -> Unfinished {
        let blocks = self.blocks_start..self.output.offset();
        Unfinished { output: self.output, layout: self.layout, dictionary: self.dictionary, blocks }
    }

    /// Writes everything behind the blocks. `metadata` must ascend strictly by key.
    pub(crate) fn finish(mut self, metadata: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Assembled> {
        self.derived.end()?;
        let (events, extent) = (self.derived.events, self.derived.extent);
        let (mut output, mut statistics) = (self.output, self.statistics);
        (statistics.spaces, statistics.groupings) = (self.derived.space_count, self.derived.grouping_count);
        let (tables, lists) = self.derived.into_tables();
        if let Some(dictionary) = self.dictionary {
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
        let spaces = write_runs(Section::Spaces, tables.spaces, self.layout.codec, &mut output)?;
        statistics.space_bytes = grown(&output, &spaces.0);
        let groupings = write_runs(Section::Groupings, tables.groupings, self.layout.codec, &mut output)?;
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
            level: self.layout.codec.level(),
            metadata,
            extra: Vec::new(),
        };
        let facts: Handle = tree::write(&facts.encode(), &mut output)?;
        let mut footer = Footer {
            file_len: output.offset() + Footer::SIZE as u64,
            layout: self.layout,
            header_checksum: self.header.checksum,
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
