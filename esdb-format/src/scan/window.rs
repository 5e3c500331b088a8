//! Scans that hop between blocks: a window of results at a time, so that each frame is decompressed once a window.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result, Section};
use crate::file::OpenFile;

use super::numbers::Numbers;
use super::ordinals::Ordinals;
use super::rows::block_entry;
use super::{StoredEvent, Times};

/// The first window of each end: whoever wants the newest event waits for one frame only.
const FIRST_WINDOW: usize = 1;

/// How much larger each further window is.
const GROWTH: usize = 8;

/// The largest window.
const LARGEST_WINDOW: usize = 1 << 20;

/// A scan in the order of time numbers.
pub(crate) struct WindowScan {
    file: Arc<OpenFile>,
    numbers: Numbers,
    ordinals: Ordinals,
    times: Times,
    /// Only events with these ordinals.
    within: Range<u64>,
    front: End,
    back: End,
}

struct End {
    /// Fetched events, in the order in which this end gives them.
    events: VecDeque<StoredEvent>,
    /// Time numbers that were taken but did not fit the window.
    put_back: VecDeque<u64>,
    window: usize,
}

impl WindowScan {
    /// `ordinals` translates the numbers; only events with ordinals `within` and timestamps in `times` are given.
    pub(crate) fn new(
        file: &Arc<OpenFile>,
        numbers: Numbers,
        ordinals: Ordinals,
        times: Times,
        within: Range<u64>,
    ) -> Self {
        let end = || End { events: VecDeque::new(), put_back: VecDeque::new(), window: FIRST_WINDOW };
        Self { file: Arc::clone(file), numbers, ordinals, times, within, front: end(), back: end() }
    }

    pub(crate) fn next(&mut self, slot: &mut Option<StoredEvent>) -> Result<bool> {
        loop {
            if let Some(event) = self.front.events.pop_front() {
                *slot = Some(event);
                return Ok(true);
            }
            if !self.fill(false)? {
                // All that is left was fetched from the other end.
                if let Some(event) = self.back.events.pop_back() {
                    *slot = Some(event);
                    return Ok(true);
                }
                return Ok(false);
            }
        }
    }

    pub(crate) fn next_back(&mut self, slot: &mut Option<StoredEvent>) -> Result<bool> {
        loop {
            if let Some(event) = self.back.events.pop_front() {
                *slot = Some(event);
                return Ok(true);
            }
            if !self.fill(true)? {
                if let Some(event) = self.front.events.pop_back() {
                    *slot = Some(event);
                    return Ok(true);
                }
                return Ok(false);
            }
        }
    }

    /// Fetches the next window of an end; false if no numbers are left for it.
    fn fill(&mut self, back: bool) -> Result<bool> {
        let end = if back { &mut self.back } else { &mut self.front };
        let window = end.window;
        end.window = (window * GROWTH).min(LARGEST_WINDOW);
        let mut taken = Vec::with_capacity(window);
        while taken.len() < window {
            let number = match end.put_back.pop_front() {
                Some(number) => Some(number),
                None if back => self.numbers.next_back()?,
                None => self.numbers.next()?,
            };
            match number {
                Some(number) => taken.push(number),
                None => break,
            }
        }
        if taken.is_empty() {
            // What the other end put back is still to come, from this side.
            let (this, other) =
                if back { (&mut self.back, &mut self.front) } else { (&mut self.front, &mut self.back) };
            this.put_back.extend(other.put_back.drain(..).rev());
            return if this.put_back.is_empty() { Ok(false) } else { self.fill(back) };
        }
        let budget = self.file.cache_bytes() / 2;
        let events = loop {
            match fetch(&self.file, &mut self.ordinals, &taken, self.times, &self.within, budget)? {
                Some(events) => break events,
                None => {
                    let kept = taken.len().div_ceil(4);
                    let end = if back { &mut self.back } else { &mut self.front };
                    end.window = kept;
                    for number in taken.drain(kept..).rev() {
                        end.put_back.push_front(number);
                    }
                }
            }
        };
        let end = if back { &mut self.back } else { &mut self.front };
        end.events = events;
        Ok(true)
    }
}

/// The events with these time numbers, in their order; `None` if they would take more memory than `budget`.
///
/// A single event is always fetched.
fn fetch(
    file: &Arc<OpenFile>,
    ordinals: &mut Ordinals,
    numbers: &[u64],
    times: Times,
    within: &Range<u64>,
    budget: usize,
) -> Result<Option<VecDeque<StoredEvent>>> {
    let mut wanted = Vec::with_capacity(numbers.len());
    for (place, &number) in numbers.iter().enumerate() {
        let ordinal = ordinals.get(number)?;
        if within.contains(&ordinal) {
            wanted.push((ordinal, place as u32));
        }
    }
    wanted.sort_unstable();

    let mut arena = Vec::new();
    let mut found = vec![None; numbers.len()];
    let mut blocks = file.blocks().cursor();
    let (mut data, mut stored, mut memory) = (Vec::new(), Vec::new(), 0);
    let mut rest = wanted.as_slice();
    while let Some(&(ordinal, _)) = rest.first() {
        let entry = block_entry(&mut blocks, ordinal)?;
        let block = file.block(&entry)?;
        let head = *block.head();
        if ordinal >= head.end_ordinal() {
            let reason = format!("no block holds event {ordinal}");
            return Err(Error::corrupt(Section::Block, head.offset, "B2", reason));
        }
        let (here, after) = rest.split_at(rest.partition_point(|(ordinal, _)| *ordinal < head.end_ordinal()));
        rest = after;
        memory += block.memory();
        let (payload, all_times) = (block.payload()?, block.times()?);
        let mut frame_rows = 0..0;
        let mut frame = 0;
        for &(ordinal, place) in here {
            let row = (ordinal - head.first_ordinal) as usize;
            if !times.contains(all_times[row]) {
                continue;
            }
            if !frame_rows.contains(&row) {
                frame = payload.frame_of(row);
                frame_rows = payload.frame_rows(frame);
                file.unpack_frame(&payload.frames()[frame], &mut stored, &mut data)?;
            }
            let start = arena.len();
            arena.extend_from_slice(&data[payload.range_in(frame, row)]);
            found[place as usize] = Some((Arc::clone(&block), row as u32, start..arena.len()));
            if memory + arena.len() > budget && numbers.len() > 1 {
                return Ok(None);
            }
        }
    }
    let data = Arc::new(arena);
    let mut events = VecDeque::with_capacity(wanted.len());
    for (block, row, range) in found.into_iter().flatten() {
        let (row, data) = (row as usize, Arc::clone(&data));
        let timestamp = block.times()?[row];
        events.push_back(StoredEvent { block, row, timestamp, data, start: range.start, end: range.end });
    }
    Ok(Some(events))
}
