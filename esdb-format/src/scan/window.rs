//! Scans that hop between blocks: a window of results at a time, so that each frame is decompressed once a window.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::block::{Columns, Indexes};
use crate::error::Result;
use crate::file::{Frames, Keep, OpenFile};
use crate::interner::{Interner, PairList};
use crate::limits;

use super::blocks::columns_of;
use super::event::Batch;
use super::keys::{KeysOf, number_in};
use super::numbers::Numbers;
use super::ordinals::Ordinals;
use super::{End, Rows, Times};

/// The first window of each end: whoever wants the newest event waits for one frame only.
const FIRST_WINDOW: usize = 1;

/// How much larger each further window is, …
const GROWTH: usize = 8;

/// … up to this one: whoever goes on beyond it gets as many events at a time as memory holds, for the fewer windows there
/// are, the fewer frames are decompressed twice.
const LAST_SMALL_WINDOW: usize = limits::BLOCK_EVENTS;

/// What is left of a stretch of time is taken at once if it is at most so many times what was given of it; of lists, if it is
/// hardly more than the next window.
const REST: u64 = 32;

/// The largest window.
const LARGEST_WINDOW: usize = 1 << 20;

/// Room for data that is made before there is any, in bytes: what a file says of its events may not be true.
const MOST_RESERVED: usize = 1 << 20;

/// The same for spaces and groupings.
const MOST_KEYS: usize = 1 << 10;

/// Bytes of a window, whatever the cache: with one more block its places still have 32 bits.
const MOST_DATA: usize = 1 << 31;

/// A scan in the order of time numbers.
pub(crate) struct WindowScan {
    file: Arc<OpenFile>,
    numbers: Numbers,
    ordinals: Ordinals,
    times: Times,
    /// Only events with these ordinals.
    within: Range<u64>,
    /// If they are the same for all events.
    keys: Option<KeysOf>,
    frames: Frames,
    /// Set once somebody has asked an event for its pairs: further windows collect them.
    pairs_wanted: Arc<AtomicBool>,
    /// How much data events have, by the file's word.
    mean_len: usize,
    /// How many events memory holds, by their mean size.
    largest: usize,
    front: Ahead,
    back: Ahead,
}

/// What one end of a scan fetches next.
struct Ahead {
    /// Time numbers that were taken but did not fit the window before.
    put_back: VecDeque<u64>,
    size: usize,
    /// How many numbers were taken in all.
    taken: u64,
}

/// Events that were copied out of their blocks, in time order, so that no block is held for a few of its events.
pub(crate) struct Window {
    file: Arc<OpenFile>,
    rows: Vec<Row>,
    /// Spaces and groupings.
    keys: PairList,
    data: Vec<u8>,
    pairs: Option<CollectedPairs>,
    pairs_wanted: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Default)]
struct Row {
    ordinal: u64,
    timestamp: i64,
    keys: u32,
    data_start: u32,
    data_len: u32,
}

/// The pairs of all events of a window.
struct CollectedPairs {
    pairs: Interner,
    /// Those of all rows, by their number.
    numbers: Vec<u32>,
    /// For each row, where its numbers begin and end.
    of_rows: Vec<(u32, u32)>,
}

impl Window {
    pub(super) fn ordinal(&self, row: usize) -> u64 {
        self.rows[row].ordinal
    }

    /// Space and grouping of an event.
    pub(super) fn keys(&self, row: usize) -> (&[u8], &[u8]) {
        self.keys.pair(self.rows[row].keys)
    }

    #[inline]
    pub(super) fn timestamp(&self, row: usize) -> i64 {
        self.rows[row].timestamp
    }

    #[inline]
    pub(super) fn data(&self, row: usize) -> &[u8] {
        let Row { data_start, data_len, .. } = self.rows[row];
        &self.data[data_start as usize..][..data_len as usize]
    }

    /// The pairs of an event, ascending, if they were collected.
    pub(super) fn pairs(&self, row: usize) -> Option<WindowPairs<'_>> {
        let CollectedPairs { pairs, numbers, of_rows } = self.pairs.as_ref()?;
        let (start, end) = of_rows[row];
        Some(WindowPairs { pairs, numbers: numbers[start as usize..end as usize].iter() })
    }

    /// Bytes of memory in use.
    fn memory(&self) -> usize {
        let pairs = self.pairs.as_ref().map_or(0, |CollectedPairs { pairs, numbers, of_rows }| {
            pairs.memory() + 4 * numbers.capacity() + 8 * of_rows.len()
        });
        self.data.capacity() + self.rows.len() * size_of::<Row>() + self.keys.memory() + pairs
    }

    /// The indexes of the block that an event comes from, and its row there. From now on the scan collects pairs.
    pub(super) fn fetch_indexes(&self, row: usize) -> Result<(Arc<Indexes>, usize)> {
        self.pairs_wanted.store(true, Ordering::Relaxed);
        let ordinal = self.ordinal(row);
        let columns = columns_of(&self.file, &mut self.file.blocks().cursor(), ordinal, true)?;
        Ok((self.file.indexes(&columns)?, (ordinal - columns.head().first_ordinal) as usize))
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
    pub(super) fn new(
        file: &Arc<OpenFile>,
        numbers: Numbers,
        ordinals: Ordinals,
        times: Times,
        within: Range<u64>,
        keys: Option<KeysOf>,
    ) -> Self {
        let ahead = || Ahead { put_back: VecDeque::new(), size: FIRST_WINDOW, taken: 0 };
        let mean_len = file.facts.statistics.data_bytes / file.footer.events.max(1);
        let mean = mean_len.saturating_add(2 * size_of::<Row>() as u64);
        let largest = usize::try_from(window_bytes(file) as u64 / mean).unwrap_or(LARGEST_WINDOW);
        Self {
            frames: file.frames(),
            file: Arc::clone(file),
            numbers,
            ordinals,
            times,
            within,
            keys,
            pairs_wanted: Arc::default(),
            mean_len: usize::try_from(mean_len).unwrap_or(MOST_RESERVED).min(MOST_RESERVED),
            largest: largest.clamp(LAST_SMALL_WINDOW, LARGEST_WINDOW),
            front: ahead(),
            back: ahead(),
        }
    }

    /// Gives an end its next window; false if there are no numbers left for it.
    pub(super) fn fill(&mut self, end: &mut End, back: bool) -> Result<bool> {
        // The window before is given up first, so that two are never held.
        *end = End::default();
        loop {
            let mut taken = self.take(back)?;
            if taken.is_empty() {
                return Ok(false);
            }
            let window = loop {
                match self.window(&taken, back)? {
                    Some(window) => break window,
                    None => {
                        let kept = taken.len().div_ceil(2);
                        let ahead = if back { &mut self.back } else { &mut self.front };
                        ahead.size = kept;
                        for number in taken.drain(kept..).rev() {
                            ahead.put_back.push_front(number);
                        }
                    }
                }
            };
            if !window.rows.is_empty() {
                end.rows = Rows::All(0..window.rows.len());
                end.batch = Some(Arc::new(Batch::Window(Box::new(window))));
                return Ok(true);
            }
        }
    }

    /// The numbers of the next window, nearest to this end first.
    fn take(&mut self, back: bool) -> Result<Vec<u64>> {
        let (ahead, other) =
            if back { (&mut self.back, &mut self.front) } else { (&mut self.front, &mut self.back) };
        let most = if matches!(self.numbers, Numbers::Range(_)) { REST } else { GROWTH as u64 };
        let is_rest = self.numbers.count_at_most() <= ahead.taken.saturating_mul(most);
        let size = if is_rest && ahead.put_back.is_empty() { self.largest } else { ahead.size };
        ahead.size = if size < LAST_SMALL_WINDOW { size * GROWTH } else { self.largest };
        let first = ahead.put_back.len().min(size);
        let mut taken: Vec<u64> = ahead.put_back.drain(..first).collect();
        self.numbers.take(size, back, &mut taken)?;
        ahead.taken += (taken.len() - first) as u64;
        if taken.is_empty() {
            // What the other end put back is still to come, from this side.
            let first = other.put_back.len().saturating_sub(size);
            taken.extend(other.put_back.drain(first..).rev());
        }
        Ok(taken)
    }

    /// The events with these time numbers, in time order; `None` if they would take more memory than there is.
    ///
    /// A single event is always fetched.
    fn window(&mut self, numbers: &[u64], back: bool) -> Result<Option<Window>> {
        let mut wanted = Vec::with_capacity(numbers.len());
        let ascending = |place: usize| if back { numbers.len() - 1 - place } else { place };
        for place in 0..numbers.len() {
            let ordinal = self.ordinals.get(numbers[ascending(place)])?;
            if self.within.contains(&ordinal) {
                wanted.push((ordinal, wanted.len() as u32));
            }
        }
        sort_by_ordinal(&mut wanted);
        let budget = window_bytes(&self.file);
        Fetch::new(self, wanted.len()).run(&wanted, budget)
    }
}

/// How much memory a window may take.
fn window_bytes(file: &OpenFile) -> usize {
    (file.cache_bytes() / 2).min(MOST_DATA)
}

/// Sorts by the first number, in time proportional to the count.
fn sort_by_ordinal(wanted: &mut Vec<(u64, u32)>) {
    const DIGIT: u32 = 11;
    const FEW: usize = 256;
    if wanted.is_sorted_by_key(|(ordinal, _)| *ordinal) {
        return;
    }
    if wanted.len() < FEW {
        wanted.sort_unstable();
        return;
    }
    let smallest = wanted.iter().map(|(ordinal, _)| *ordinal).min().unwrap_or(0);
    let largest = wanted.iter().map(|(ordinal, _)| *ordinal).max().unwrap_or(0);
    let mut sorted = vec![(0, 0); wanted.len()];
    let mut shift = 0;
    while shift < u64::BITS && (largest - smallest) >> shift > 0 {
        let digit = |ordinal: u64| ((ordinal - smallest) >> shift) as usize & ((1 << DIGIT) - 1);
        let mut places = [0; 1 << DIGIT];
        for (ordinal, _) in &*wanted {
            places[digit(*ordinal)] += 1;
        }
        let mut sum = 0;
        for place in &mut places {
            sum += std::mem::replace(place, sum);
        }
        for &item in &*wanted {
            let place = &mut places[digit(item.0)];
            sorted[*place] = item;
            *place += 1;
        }
        std::mem::swap(wanted, &mut sorted);
        shift += DIGIT;
    }
}

/// A window that is being filled, block by block.
struct Fetch<'a> {
    file: &'a Arc<OpenFile>,
    frames: &'a mut Frames,
    times: Times,
    keys: Option<&'a KeysOf>,
    window: Window,
    /// Which frames go into the cache; with them, columns.
    keep: Keep,
    buffer: Vec<u8>,
    /// Places whose events are not in the scan's times.
    dropped: Vec<u32>,
}

impl<'a> Fetch<'a> {
    fn new(scan: &'a mut WindowScan, count: usize) -> Self {
        let pairs = scan.pairs_wanted.load(Ordering::Relaxed).then(|| CollectedPairs {
            pairs: Interner::default(),
            numbers: Vec::new(),
            of_rows: vec![(0, 0); count],
        });
        let window = Window {
            file: Arc::clone(&scan.file),
            rows: vec![Row::default(); count],
            keys: PairList::with_room_for(count.min(MOST_KEYS)),
            // Half of all windows have more data than the mean says, most of these a little more.
            data: Vec::with_capacity((count * (scan.mean_len + scan.mean_len / 8)).min(MOST_RESERVED)),
            pairs,
            pairs_wanted: Arc::clone(&scan.pairs_wanted),
        };
        Self {
            file: &scan.file,
            frames: &mut scan.frames,
            times: scan.times,
            keys: scan.keys.as_ref(),
            window,
            keep: match &scan.numbers {
                _ if count > LAST_SMALL_WINDOW => Keep::None,
                // The next window has the neighbours of these events.
                Numbers::Range(left) if !left.is_empty() => Keep::All,
                _ => Keep::Second,
            },
            buffer: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Copies the events with these ordinals, ascending, to their places in the window. `None` if they would take more than
    /// `budget` bytes.
    fn run(mut self, wanted: &[(u64, u32)], budget: usize) -> Result<Option<Window>> {
        let mut blocks = self.file.blocks().cursor();
        let mut rest = wanted;
        while let Some(&(ordinal, _)) = rest.first() {
            let columns = columns_of(self.file, &mut blocks, ordinal, self.keep != Keep::None)?;
            let end = columns.head().end_ordinal();
            let (here, after) = rest.split_at(rest.partition_point(|(ordinal, _)| *ordinal < end));
            rest = after;
            self.block(&columns, here)?;
            if wanted.len() > 1 && size_of_val(wanted) + self.window.memory() > budget {
                return Ok(None);
            }
        }
        self.drop_gaps();
        Ok(Some(self.window))
    }

    /// Copies events of one block.
    fn block(&mut self, columns: &Columns, here: &[(u64, u32)]) -> Result<()> {
        let Window { rows, keys: keys_seen, data, pairs, .. } = &mut self.window;
        let (frames, runs) = (columns.frames()?, columns.runs());
        let many = here.len() > Columns::FEW_PARTS || columns.is_whole();
        let mut part = if many { Some(columns.whole()?) } else { None };
        let keys = KeysOf::of_block(self.file, columns, self.keys)?;
        let indexes = pairs.is_some().then(|| self.file.indexes(columns)).transpose()?;
        // The numbers of this block's pairs, by column and place.
        let mut known = vec![Vec::new(); indexes.as_ref().map_or(0, |indexes| indexes.columns().len())];
        let (mut kept, mut frame_start, mut frame_rows) = (None, 0, 0..0);
        let (mut keys_number, mut run_rows) = (0, 0..0);
        for &(ordinal, place) in here {
            let row = (ordinal - columns.head().first_ordinal) as usize;
            let part = match &mut part {
                Some(part) if part.rows().contains(&row) => &*part,
                part => part.insert(columns.part(frames.widen(&(row..row + 1)))?),
            };
            let timestamp = part.time(row);
            if !self.times.contains(timestamp) {
                self.dropped.push(place);
                continue;
            }
            if !frame_rows.contains(&row) {
                let frame = frames.of_row(row);
                frame_rows = frames.rows(frame);
                frame_start = part.start(frame_rows.start);
                let at = part.frame(frames, frame);
                kept = self.frames.kept(&at, self.keep)?;
                if kept.is_none() {
                    self.frames.unpack(&at, &mut self.buffer)?;
                }
            }
            if !run_rows.contains(&row) {
                let run = runs.grouping_of(row);
                run_rows = runs.rows_of(run);
                let (space, grouping) = keys.of_run(run, columns);
                keys_number = number_in(keys_seen, space, grouping);
            }
            let bytes = &kept.as_deref().unwrap_or(&self.buffer)[part.range_from(frame_start, row)];
            rows[place as usize] = Row {
                ordinal,
                timestamp,
                keys: keys_number,
                data_start: data.len() as u32,
                data_len: bytes.len() as u32,
            };
            data.extend_from_slice(bytes);
            if let (Some(CollectedPairs { pairs, numbers, of_rows }), Some(indexes)) = (&mut *pairs, &indexes)
            {
                let start = numbers.len() as u32;
                let mut row_pairs = indexes.pairs(row);
                while let Some((column, place)) = row_pairs.next_place() {
                    let known = &mut known[column];
                    known.resize(known.len().max(place as usize + 1), None);
                    let number = known[place as usize].get_or_insert_with(|| {
                        let (name, value) = indexes.pair(column, place);
                        pairs.number(name, value)
                    });
                    numbers.push(*number);
                }
                of_rows[place as usize] = (start, numbers.len() as u32);
            }
        }
        Ok(())
    }

    /// Removes the places of events that were dropped.
    fn drop_gaps(&mut self) {
        if self.dropped.is_empty() {
            return;
        }
        let mut is_kept = vec![true; self.window.rows.len()];
        self.dropped.iter().for_each(|&place| is_kept[place as usize] = false);
        let mut kept = is_kept.iter();
        self.window.rows.retain(|_| kept.next() == Some(&true));
        if let Some(pairs) = &mut self.window.pairs {
            let mut kept = is_kept.iter();
            pairs.of_rows.retain(|_| kept.next() == Some(&true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::writer::WriterOptions;

    /// How many numbers each window of a scan takes.
    fn windows(file: &Arc<OpenFile>, numbers: Numbers, back: bool) -> Vec<usize> {
        let all = 0..file.footer.events;
        let ordinals = Ordinals::new(file);
        let mut scan = WindowScan::new(file, numbers, ordinals, Times::default(), all, None);
        let sizes = std::iter::from_fn(|| Some(scan.take(back).unwrap().len()));
        sizes.take_while(|&size| size > 0).collect()
    }

    #[test]
    fn windows_grow_until_one_takes_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.esdb");
        let mut writer = WriterOptions::new().create(&path).unwrap();
        for i in 0..30_000_i64 {
            let event = Event::new("s", i, "data").index("parity", if i % 2 == 0 { "even" } else { "odd" });
            writer.add(if i % 50 == 0 { event.index("rare", "yes") } else { event }).unwrap();
        }
        writer.finish().unwrap();
        let file = Arc::new(OpenFile::open(Arc::new(std::fs::read(path).unwrap()), 64 << 20, true).unwrap());
        let with = |name: &str, value: &str| {
            let index = (name.into(), vec![value.into()]);
            Numbers::of_indexes(&file, &[index], 0..file.footer.events).unwrap()
        };
        for back in [false, true] {
            assert_eq!(windows(&file, with("rare", "yes"), back), [1, 8, 64, 527]);
            assert_eq!(windows(&file, with("parity", "odd"), back), [1, 8, 64, 512, 4_096, 10_319]);
            assert_eq!(windows(&file, Numbers::Range(100..2_000), back), [1, 8, 64, 1_827]);
            assert_eq!(windows(&file, Numbers::Range(100..133), back), [1, 32]);
        }
    }

    #[test]
    fn many_ordinals_are_sorted_whatever_their_span() {
        for (count, shift) in
            [(0, 0), (1, 0), (255, 20), (256, 20), (257, 63), (5_000, 0), (5_000, 30), (5_000, 63)]
        {
            let noise = |i: u32| u64::from(i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> shift;
            let mut wanted: Vec<(u64, u32)> = (0..count).map(|i| (noise(i), i)).collect();
            let mut expected = wanted.clone();
            expected.sort_unstable();
            sort_by_ordinal(&mut wanted);
            assert_eq!(wanted, expected, "{count} {shift}");
        }
    }
}
