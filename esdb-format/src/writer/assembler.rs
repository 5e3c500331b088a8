//! From events in file order to blocks, and with them to a file.

use super::has_failed;
use super::ordered::{Ordered, OrderedPairs};
use super::output::Output;
use super::pipeline::Pipeline;
use super::sample::{self, Sample};
use super::scribe::{Assembled, Scribe, Unfinished};
use crate::block::{BlockDraft, FrameCuts};
use crate::compression::Codec;
use crate::error::Result;
use crate::header::Layout;
use crate::interner::Translation;
use crate::limits;
use crate::storage::SpillFolder;
use crate::unit::Unit;

/// What a file is made with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) unit: Unit,
    pub(crate) codec: Codec,
    /// `None`: what suits the first events.
    pub(crate) frame_size: Option<u32>,
    pub(crate) threads: usize,
    /// How many events close a block.
    pub(crate) block_events: usize,
    /// Bytes for everything but the sorting of events.
    pub(crate) memory: usize,
}

/// Takes events in file order and writes a file.
pub(crate) struct Assembler {
    plan: Plan,
    folder: SpillFolder,
    draft: BlockDraft,
    /// Which pairs of the draft those of the buffer are.
    translation: Translation,
    last: Option<LastEvent>,
    stage: Stage,
}

/// The keys of the last event.
struct LastEvent {
    space: Vec<u8>,
    grouping: Vec<u8>,
    timestamp: i64,
}

/// What is done with a block.
enum Stage {
    /// It waits until there are enough to train the dictionary.
    Waiting(Box<Waiting>),
    Writing(Box<Pipeline>),
    /// Something has failed.
    Ended,
}

/// Drafts that wait, and what they add up to, in bytes.
struct Waiting {
    output: Output,
    drafts: Vec<BlockDraft>,
    data: usize,
    keys: usize,
}

impl Assembler {
    /// Writes to `output`; spills to `folder`.
    pub(crate) fn new(plan: Plan, output: Output, folder: &SpillFolder) -> Self {
        Self {
            plan,
            folder: folder.clone(),
            draft: BlockDraft::default(),
            translation: Translation::default(),
            last: None,
            stage: Stage::Waiting(Box::new(Waiting { output, drafts: Vec::new(), data: 0, keys: 0 })),
        }
    }

    /// Numbers the events as if so many stood before them.
    #[cfg(test)]
    pub(super) fn begin_at(&mut self, ordinal: u64) {
        self.draft.first_ordinal = ordinal;
    }

    /// Space, grouping and timestamp of the last event.
    pub(crate) fn last_key(&self) -> Option<(&[u8], &[u8], i64)> {
        let LastEvent { space, grouping, timestamp } = self.last.as_ref()?;
        Some((space, grouping, *timestamp))
    }

    /// Adds the next event in file order.
    pub(crate) fn add(&mut self, event: &Ordered<'_>) -> Result<()> {
        let pair_bytes: usize = event.pairs.clone().map(|(name, value)| name.len() + value.len()).sum();
        let key_bytes = event.space.len() + event.grouping.len() + pair_bytes;
        if self.draft.is_full_for(event.data.len(), key_bytes) || self.draft.len() >= self.plan.block_events {
            self.close_block()?;
        }
        let (new_space, new_grouping) = self.enter(event);
        if new_space || self.draft.is_empty() {
            self.draft.add_space(event.space);
        }
        if new_grouping || self.draft.is_empty() {
            self.draft.add_grouping(event.grouping);
        }
        self.draft.add(event.timestamp, event.data.len(), key_bytes);
        match &event.pairs {
            OrderedPairs::Buffered(pairs) => self.draft.add_pairs(pairs, &mut self.translation),
            pairs => pairs.clone().for_each(|(name, value)| self.draft.add_pair(name, value)),
        }
        if event.data.len() <= limits::BLOCK_DATA {
            self.draft.add_data(event.data);
            return Ok(());
        }
        // No other event fits beside it: the block is written from the caller's copy of the data.
        self.close_block_of(event.data)
    }

    /// Notes the keys of the event that comes next; tells whether it is the first one of its space, and of its grouping.
    fn enter(&mut self, event: &Ordered<'_>) -> (bool, bool) {
        let &Ordered { space, grouping, timestamp, .. } = event;
        let Some(last) = &mut self.last else {
            self.last = Some(LastEvent { space: space.to_vec(), grouping: grouping.to_vec(), timestamp });
            return (true, true);
        };
        last.timestamp = timestamp;
        let new_space = last.space != space;
        let new_grouping = new_space || last.grouping != grouping;
        if new_space {
            last.space.clear();
            last.space.extend_from_slice(space);
        }
        if new_grouping {
            last.grouping.clear();
            last.grouping.extend_from_slice(grouping);
        }
        (new_space, new_grouping)
    }

    fn close_block(&mut self) -> Result<()> {
        if self.draft.is_empty() {
            return Ok(());
        }
        let draft = self.take_draft();
        match &mut self.stage {
            Stage::Writing(pipeline) => return pipeline.add(draft),
            Stage::Ended => return Err(has_failed()),
            Stage::Waiting(waiting) => {
                waiting.data += draft.payload().len();
                waiting.keys += draft.key_bytes();
                waiting.drafts.push(draft);
                let waits = matches!(self.plan.codec, Codec::Zstd { .. })
                    && waiting.data < sample::DATA
                    && waiting.keys < sample::KEYS
                    && waiting.drafts.len() < sample::BLOCKS;
                if waits {
                    return Ok(());
                }
            }
        }
        self.start(false)
    }

    /// Writes the block of a single event whose data exceeds what is waited for.
    fn close_block_of(&mut self, data: &[u8]) -> Result<()> {
        self.start(true)?;
        let draft = self.take_draft();
        match &mut self.stage {
            Stage::Writing(pipeline) => pipeline.encode_here(&draft, data),
            _ => Err(has_failed()),
        }
    }

    /// The filled draft; an empty one takes its place.
    fn take_draft(&mut self) -> BlockDraft {
        let empty = match &mut self.stage {
            Stage::Writing(pipeline) => pipeline.draft(),
            _ => BlockDraft::default(),
        };
        let draft = std::mem::replace(&mut self.draft, empty);
        self.draft.first_ordinal = draft.first_ordinal + draft.len() as u64;
        self.translation.clear();
        draft
    }

    /// Trains the dictionary and writes header, dictionary and the blocks that waited, if that has not been done.
    ///
    /// `giant_follows`: the next event is too large for the sample.
    fn start(&mut self, giant_follows: bool) -> Result<()> {
        let Waiting { mut output, drafts, .. } = match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Waiting(waiting) => *waiting,
            other => {
                self.stage = other;
                return Ok(());
            }
        };
        let Plan { unit, frame_size, threads, memory, codec, block_events } = self.plan;
        let cuts = |frame_size| FrameCuts::new(frame_size, block_events);
        let sample = Sample::new(&drafts, cuts(frame_size.unwrap_or(sample::FRAME_SIZE)), giant_follows);
        let (dictionary, codec) = sample.choose(codec, threads > 1)?;
        drop(sample);
        let frame_size = frame_size.unwrap_or_else(|| sample::frame_size(codec, dictionary.is_some()));
        let layout = Layout {
            unit,
            codec,
            optional_flags: 0,
            frame_size,
            dictionary_len: dictionary.as_ref().map_or(0, |dictionary| dictionary.bytes().len() as u32),
            dictionary_checksum: dictionary.as_ref().map_or(0, |dictionary| dictionary.checksum()),
        };
        let bytes = dictionary.as_ref().map(|dictionary| dictionary.bytes().to_vec()).unwrap_or_default();
        let first_ordinal = drafts.first().unwrap_or(&self.draft).first_ordinal;
        if threads > 1 {
            output.sync_early();
        }
        let scribe = Scribe::begin(output, layout, dictionary, memory, &self.folder, first_ordinal)?;
        let mut pipeline = Pipeline::new(scribe, codec, cuts(frame_size), &bytes, threads)?;
        drafts.into_iter().try_for_each(|draft| pipeline.add(draft))?;
        self.stage = Stage::Writing(Box::new(pipeline));
        Ok(())
    }

    /// Ends the blocks where they are, to be read again and merged with others.
    pub(crate) fn into_unfinished(self) -> Result<Unfinished> {
        self.finish_blocks().map(Scribe::into_unfinished)
    }

    /// Writes what is left. `metadata` must ascend strictly by key.
    pub(crate) fn finish(self, metadata: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Assembled> {
        self.finish_blocks()?.finish(metadata)
    }

    fn finish_blocks(mut self) -> Result<Scribe> {
        self.close_block()?;
        self.start(false)?;
        match self.stage {
            Stage::Writing(pipeline) => pipeline.finish(),
            _ => Err(has_failed()),
        }
    }
}
