//! Scans that hop between blocks: a window of results at a time, so that each frame is decompressed once a window.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::file::OpenFile;
use crate::interner::Interner;

use super::numbers::Numbers;
use super::ordinals::Ordinals;
use super::rows::block_of;
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
    /// Fetched events, in the order in which this end gives them, and which of them are to come.
    window: Arc<Window>,
    left: Range<usize>,
    /// Time numbers that were taken but did not fit the window.
    put_back: VecDeque<u64>,
    size: usize,
}

impl End {
    fn take_first(&mut self) -> Option<StoredEvent> {
        self.left.next().map(|row| StoredEvent::of_window(&self.window, row))
    }

    fn take_last(&mut self) -> Option<StoredEvent> {
        self.left.next_back().map(|row| StoredEvent::of_window(&self.window, row))
    }
}

/// Events that were copied out of their blocks, so that no block is held for a few of its events.
#[derive(Default)]
pub(crate) struct Window {
    rows: Vec<Row>,
    /// Pairs of space and grouping.
    keys: Interner,
    pairs: Interner,
    /// The pairs of all rows, by their number.
    pair_numbers: Vec<u32>,
    data: Arc<Vec<u8>>,
}

#[derive(Clone)]
struct Row {
    ordinal: u64,
    timestamp: i64,
    keys: u32,
    pairs: Range<u32>,
    data: Range<usize>,
}

impl Window {
    pub(crate) fn ordinal(&self, row: usize) -> u64 {
        self.rows[row].ordinal
    }

    /// Space and grouping of an event.
    pub(crate) fn keys(&self, row: usize) -> (&[u8], &[u8]) {
        self.keys.pair(self.rows[row].keys)
    }

    /// The pairs of an event, ascending.
    pub(crate) fn pairs(&self, row: usize) -> WindowPairs<'_> {
        let Range { start, end } = self.rows[row].pairs;
        WindowPairs { pairs: &self.pairs, numbers: self.pair_numbers[start as usize..end as usize].iter() }
    }

    pub(crate) fn timestamp(&self, row: usize) -> i64 {
        self.rows[row].timestamp
    }

    /// The data of all events, and where that of one lies in it.
    pub(crate) fn data(&self, row: usize) -> (&Arc<Vec<u8>>, Range<usize>) {
        (&self.data, self.rows[row].data.clone())
    }
}

/// The pairs of an event in a window.
#[derive(Clone)]
pub(crate) struct WindowPairs<'a> {
    pairs: &'a Interner,
    numbers: std::slice::Iter<'a, u32>,
}

impl<'a> Iterator for WindowPairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.numbers.next().map(|&number| self.pairs.pair(number))
    }
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
        let end =
            || End { window: Arc::default(), left: 0..0, put_back: VecDeque::new(), size: FIRST_WINDOW };
        Self { file: Arc::clone(file), numbers, ordinals, times, within, front: end(), back: end() }
    }

    pub(crate) fn next(&mut self, slot: &mut Option<StoredEvent>) -> Result<bool> {
        loop {
            *slot = self.front.take_first();
            if slot.is_some() {
                return Ok(true);
            }
            if !self.fill(false)? {
                // All that is left was fetched from the other end.
                *slot = self.back.take_last();
                return Ok(slot.is_some());
            }
        }
    }

    pub(crate) fn next_back(&mut self, slot: &mut Option<StoredEvent>) -> Result<bool> {
        loop {
            *slot = self.back.take_first();
            if slot.is_some() {
                return Ok(true);
            }
            if !self.fill(true)? {
                *slot = self.front.take_last();
                return Ok(slot.is_some());
            }
        }
    }

    /// Fetches the next window of an end; false if no numbers are left for it.
    fn fill(&mut self, back: bool) -> Result<bool> {
        let end = if back { &mut self.back } else { &mut self.front };
        let size = end.size;
        end.size = (size * GROWTH).min(LARGEST_WINDOW);
        // The window before is given up first, so that two are never held.
        end.window = Arc::default();
        let mut taken = Vec::new();
        while taken.len() < size {
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
        let window = loop {
            match fetch(&self.file, &mut self.ordinals, &taken, self.times, &self.within, budget)? {
                Some(window) => break window,
                None => {
                    let kept = taken.len().div_ceil(2);
                    let end = if back { &mut self.back } else { &mut self.front };
                    end.size = kept;
                    for number in taken.drain(kept..).rev() {
                        end.put_back.push_front(number);
                    }
                }
            }
        };
        let end = if back { &mut self.back } else { &mut self.front };
        end.left = 0..window.rows.len();
        end.window = Arc::new(window);
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
) -> Result<Option<Window>> {
    let mut wanted = Vec::with_capacity(numbers.len());
    for (place, &number) in numbers.iter().enumerate() {
        let ordinal = ordinals.get(number)?;
        if within.contains(&ordinal) {
            wanted.push((ordinal, place as u32));
        }
    }
    wanted.sort_unstable();

    let mut window = Window::default();
    let (mut arena, mut rows) = (Vec::new(), vec![None; numbers.len()]);
    let mut blocks = file.blocks().cursor();
    let (mut data, mut stored) = (Vec::new(), Vec::new());
    let mut rest = wanted.as_slice();
    while let Some(&(ordinal, _)) = rest.first() {
        let block = block_of(file, &mut blocks, ordinal)?;
        let head = *block.head();
        let (here, after) = rest.split_at(rest.partition_point(|(ordinal, _)| *ordinal < head.end_ordinal()));
        rest = after;
        let (payload, all_times, indexes) = (block.payload()?, block.times()?, block.indexes()?);
        let (mut frame, mut frame_rows) = (0, 0..0);
        let (mut keys, mut run_rows) = (0, 0..0);
        for &(ordinal, place) in here {
            let row = (ordinal - head.first_ordinal) as usize;
            let timestamp = all_times[row];
            if !times.contains(timestamp) {
                continue;
            }
            if !frame_rows.contains(&row) {
                frame = payload.frame_of(row);
                frame_rows = payload.frame_rows(frame);
                file.unpack_frame(&payload.frames()[frame], &mut stored, &mut data)?;
            }
            if !run_rows.contains(&row) {
                run_rows = block.run_rows(block.grouping_run(row));
                let (space, grouping) = block.keys_of(row);
                keys = window.keys.number(space, grouping);
            }
            let start = (arena.len(), window.pair_numbers.len() as u32);
            arena.extend_from_slice(&data[payload.range_in(frame, row)]);
            let Window { pairs, pair_numbers, .. } = &mut window;
            pair_numbers.extend(indexes.pairs(row).map(|(name, value)| pairs.number(name, value)));
            let end = (arena.len(), pair_numbers.len() as u32);
            let row = Row { ordinal, timestamp, keys, pairs: start.1..end.1, data: start.0..end.0 };
            rows[place as usize] = Some(row);
        }
        let lists = numbers.len() * (size_of::<Option<Row>>() + 32) + 4 * window.pair_numbers.len();
        if lists + arena.len() + window.keys.memory() + window.pairs.memory() > budget && numbers.len() > 1 {
            return Ok(None);
        }
    }
    window.rows = rows.into_iter().flatten().collect();
    window.data = Arc::new(arena);
    Ok(Some(window))
}
