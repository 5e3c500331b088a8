//! A block being filled, and the block it becomes: columns and compressed frames (spec §5.2, §5.3).

use std::collections::BTreeMap;

use crate::checksum::checksum;
use crate::codec::{Encode, key_prefix};
use crate::compression::Compressor;
use crate::error::{Error, Result};
use crate::interner::{Interner, Numbered, Translation};
use crate::limits;
use crate::packed::{encode_column, gcd};
use crate::strings::{Strings, put_string};

/// Events in file order, on their way into one block.
///
#[derive(Default)]
pub(crate) struct BlockDraft {
    pub(crate) first_ordinal: u64,
    spaces: Strings,
    /// Groupings of each space.
    space_groupings: Vec<u64>,
    groupings: Strings,
    /// Events of each grouping run.
    grouping_events: Vec<u64>,
    timestamps: Vec<i64>,
    lens: Vec<u64>,
    payload: Vec<u8>,
    /// Each pair of the block once.
    pairs: Interner,
    /// Row and number of the pair of each index entry, rows ascending.
    entries: Vec<(u32, u32)>,
    key_bytes: usize,
}

/// A finished block without its head, which needs to know where the block will stand.
pub(crate) struct EncodedBlock {
    pub(crate) first_ordinal: u64,
    pub(crate) count: u32,
    pub(crate) rows: Vec<u8>,
    pub(crate) rows_checksum: u32,
    pub(crate) labels: Vec<u8>,
    pub(crate) frames: Vec<u8>,
    pub(crate) frame_count: u64,
    pub(crate) first_timestamp: i64,
    pub(crate) last_timestamp: i64,
}

impl BlockDraft {
    pub(crate) fn len(&self) -> usize {
        self.timestamps.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Forgets everything, but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.spaces.clear();
        self.groupings.clear();
        self.pairs.clear();
        for numbers in [&mut self.space_groupings, &mut self.grouping_events, &mut self.lens] {
            numbers.clear();
        }
        self.timestamps.clear();
        self.payload.clear();
        self.entries.clear();
        self.key_bytes = 0;
    }

    /// Whether the block must be closed before an event of this size (spec B3).
    pub(crate) fn is_full_for(&self, data_len: usize, key_bytes: usize) -> bool {
        !self.is_empty()
            && (self.len() == limits::BLOCK_EVENTS
                || self.payload.len() + data_len > limits::BLOCK_DATA
                || self.key_bytes + key_bytes > limits::BLOCK_KEYS)
    }

    /// Begins a run of events of another space; one of a grouping follows.
    pub(crate) fn add_space(&mut self, space: &[u8]) {
        self.spaces.push(space);
        self.space_groupings.push(0);
    }

    /// Begins a run of events of another grouping of the space.
    pub(crate) fn add_grouping(&mut self, grouping: &[u8]) {
        self.groupings.push(grouping);
        self.grouping_events.push(0);
        if let Some(groupings) = self.space_groupings.last_mut() {
            *groupings += 1;
        }
    }

    /// Appends an event of the space and the grouping that were added last. Its pairs follow with [`add_pair`](Self::add_pair) or
    /// [`add_pairs`](Self::add_pairs), its data with [`add_data`](Self::add_data).
    pub(crate) fn add(&mut self, timestamp: i64, data_len: usize, key_bytes: usize) {
        if let Some(events) = self.grouping_events.last_mut() {
            *events += 1;
        }
        self.timestamps.push(timestamp);
        self.lens.push(data_len as u64);
        self.key_bytes += key_bytes;
    }

    pub(crate) fn add_data(&mut self, data: &[u8]) {
        self.payload.extend_from_slice(data);
    }

    /// Gives the last event a pair. The pairs of an event must come in the order of (name, value).
    pub(crate) fn add_pair(&mut self, name: &[u8], value: &[u8]) {
        let row = self.len() as u32 - 1;
        self.entries.push((row, self.pairs.number(name, value)));
    }

    /// Gives the last event all its pairs. `translation` must know of no other block.
    pub(crate) fn add_pairs(&mut self, pairs: &Numbered<'_>, translation: &mut Translation) {
        let row = self.len() as u32 - 1;
        let Self { pairs: known, entries, .. } = self;
        translation.for_each(pairs, known, |pair| entries.push((row, pair)));
    }

    /// Name and value of the pair with a number.
    pub(crate) fn pair(&self, number: u32) -> (&[u8], &[u8]) {
        self.pairs.pair(number)
    }

    /// The pairs of the block, by their numbers.
    pub(crate) fn pairs(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.pairs.pairs()
    }

    /// The numbers of the pairs of each event, in file order.
    pub(crate) fn pairs_of_rows(&self) -> impl Iterator<Item = &[(u32, u32)]> {
        let mut rest = self.entries.as_slice();
        (0..self.len() as u32).map(move |row| {
            let own = rest.iter().take_while(|(of, _)| *of == row).count();
            let (own, after) = rest.split_at(own);
            rest = after;
            own
        })
    }

    /// The runs of events with the same space and grouping: both, and the number of events.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (&[u8], &[u8], usize)> {
        let spaces = self.spaces.iter().zip(&self.space_groupings);
        let spaces = spaces.flat_map(|(space, &groupings)| std::iter::repeat_n(space, groupings as usize));
        let groupings = self.groupings.iter().zip(&self.grouping_events);
        spaces.zip(groupings).map(|(space, (grouping, &events))| (space, grouping, events as usize))
    }

    pub(crate) fn timestamps(&self) -> &[i64] {
        &self.timestamps
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Bytes of the keys of all events, repeated ones counted again.
    pub(crate) fn key_bytes(&self) -> usize {
        self.key_bytes
    }

    pub(crate) fn lens(&self) -> &[u64] {
        &self.lens
    }

    /// Bytes of memory in use, about.
    pub(crate) fn memory(&self) -> usize {
        self.payload.capacity()
            + 32 * self.timestamps.capacity()
            + 8 * self.entries.capacity()
            + self.spaces.memory()
            + self.groupings.memory()
            + self.pairs.memory()
    }

    /// Compresses the block, with `data` of all its events. `areas` has no dictionary, `frames` the file's.
    pub(crate) fn encode(
        &self,
        data: &[u8],
        cuts: FrameCuts,
        areas: &mut Compressor,
        frames: &mut Compressor,
    ) -> Result<EncodedBlock> {
        let mut payload = Vec::with_capacity(data.len() / 2);
        let (frames_area, frame_count) = self.encode_frames(data, cuts, frames, &mut payload)?;
        let keys = self.encode_keys();
        let runs = self.encode_runs();
        let times = self.encode_times();
        let mut lengths = Vec::new();
        encode_column(&self.lens, &mut lengths);
        let (values, columns) = self.encode_indexes();

        let mut labels = Vec::new();
        let mut piece = |area: &[u8]| -> Result<(usize, u32)> {
            let start = labels.len();
            let len = areas.append(area, &mut labels)?;
            Ok((len, checksum(&labels[start..])))
        };
        let (stored_keys, stored_values) = (piece(&keys)?, piece(&values)?);
        columns.iter().for_each(|column| labels.extend_from_slice(column));

        let mut out = Vec::new();
        let counts = [self.spaces.len(), self.groupings.len(), frame_count, columns.len()];
        let row_areas = [&runs, &times, &lengths, &frames_area];
        for number in counts.into_iter().chain(row_areas.map(Vec::len)) {
            out.put_varint(number as u64);
        }
        for (plain, (len, sum)) in [(&keys, stored_keys), (&values, stored_values)] {
            out.put_varint(plain.len() as u64);
            out.put_varint(len as u64);
            out.put_u32(sum);
        }
        for column in &columns {
            out.put_varint(column.len() as u64);
            out.put_u32(checksum(column));
        }
        for area in row_areas {
            out.extend_from_slice(area);
        }
        if u32::try_from(out.len().max(labels.len())).is_err() {
            return Err(Error::Invalid("the columns of a block exceed 4 GiB".into()));
        }
        Ok(EncodedBlock {
            first_ordinal: self.first_ordinal,
            count: self.len() as u32,
            rows_checksum: checksum(&out),
            rows: out,
            labels,
            frames: payload,
            frame_count: frame_count as u64,
            first_timestamp: self.timestamps.iter().copied().min().unwrap_or(0),
            last_timestamp: self.timestamps.iter().copied().max().unwrap_or(0),
        })
    }

    fn encode_frames(
        &self,
        data: &[u8],
        mut cuts: FrameCuts,
        compressor: &mut Compressor,
        payload: &mut Vec<u8>,
    ) -> Result<(Vec<u8>, usize)> {
        let (mut rows, mut lens, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        let mut cut = |end: usize, events: usize, start: &mut usize| -> Result<()> {
            let at = payload.len();
            let len = compressor.append(&data[*start..end], payload)?;
            rows.push(events as u64 - 1);
            lens.push(len as u64);
            sums.put_u32(checksum(&payload[at..]));
            *start = end;
            Ok(())
        };
        let mut end = 0;
        for &len in &self.lens {
            if let Some(events) = cuts.add(len as usize) {
                cut(end, events, &mut start)?;
            }
            end += len as usize;
        }
        cut(end, cuts.events, &mut start)?;
        let mut area = Vec::new();
        encode_column(&rows, &mut area);
        encode_column(&lens, &mut area);
        area.extend_from_slice(&sums);
        Ok((area, rows.len()))
    }

    fn encode_keys(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for list in [&self.spaces, &self.groupings] {
            let mut previous = &[][..];
            for string in list.iter() {
                put_string(previous, string, &mut out);
                previous = string;
            }
        }
        out
    }

    fn encode_runs(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for counts in [&self.space_groupings, &self.grouping_events] {
            let less_one: Vec<u64> = counts.iter().map(|count| count - 1).collect();
            encode_column(&less_one, &mut out);
        }
        out
    }

    fn encode_times(&self) -> Vec<u8> {
        let mut firsts = Vec::with_capacity(self.groupings.len());
        let mut deltas = Vec::with_capacity(self.len());
        let mut rest = self.timestamps.as_slice();
        for &events in &self.grouping_events {
            let (run, after) = rest.split_at(events as usize);
            firsts.push(run[0]);
            deltas.extend(run.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]).cast_unsigned()));
            rest = after;
        }
        let base = firsts.iter().copied().min().unwrap_or(0);
        let mut firsts: Vec<u64> =
            firsts.iter().map(|first| first.wrapping_sub(base).cast_unsigned()).collect();
        // Seconds kept in a file of milliseconds cost no more than seconds.
        let step = firsts.iter().chain(&deltas).fold(0, |step, &difference| gcd(difference, step)).max(1);
        if step > 1 {
            firsts.iter_mut().chain(&mut deltas).for_each(|difference| *difference /= step);
        }
        let mut out = Vec::new();
        out.put_svarint(base);
        out.put_varint(step);
        encode_column(&firsts, &mut out);
        encode_column(&deltas, &mut out);
        out
    }

    /// The values area, and one column for each name.
    fn encode_indexes(&self) -> (Vec<u8>, Vec<Vec<u8>>) {
        let names = self.pairs_by_name();
        // For each pair the number of its name, and its place among the name's values.
        let mut places = vec![(0_u32, 0_u32); self.pairs.len()];
        let mut area = Vec::new();
        let mut previous_name = &[][..];
        for (number, (name, values)) in (0..).zip(&names) {
            put_string(previous_name, name, &mut area);
            previous_name = name;
            area.put_varint(values.len() as u64);
            let mut previous = &[][..];
            for (place, &(_, pair)) in (0..).zip(values) {
                let value = self.pairs.pair(pair).1;
                put_string(previous, value, &mut area);
                previous = value;
                places[pair as usize] = (number, place);
            }
        }

        let mut entries: Vec<(Vec<u64>, Vec<u64>)> = vec![Default::default(); names.len()];
        for &(row, pair) in &self.entries {
            let (name, place) = places[pair as usize];
            let (rows, column) = &mut entries[name as usize];
            rows.push(u64::from(row));
            column.push(u64::from(place));
        }
        let columns = entries.into_iter().zip(names.values());
        let columns = columns.map(|((rows, places), values)| self.encode_index(&rows, places, values.len()));
        (area, columns.collect())
    }

    /// The pairs of each name, ascending by value: the first bytes of the value, and the pair's number.
    fn pairs_by_name(&self) -> BTreeMap<&[u8], Vec<(u64, u32)>> {
        let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (pair, (name, value)) in (0..).zip(self.pairs.pairs()) {
            names.entry(name).or_default().push((key_prefix(value), pair));
        }
        let value = |pair: u32| self.pairs.pair(pair).1;
        for values in names.values_mut() {
            // The first bytes decide most comparisons.
            values.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| value(a.1).cmp(value(b.1))));
        }
        names
    }

    fn encode_index(&self, rows: &[u64], mut places: Vec<u64>, values: usize) -> Vec<u8> {
        let mut counts = vec![0_u32; values];
        places.iter().for_each(|&place| counts[place as usize] += 1);
        // The most frequent value becomes 0, so that rare ones are exceptions of their frame.
        let most = counts.iter().copied().max();
        let common = counts.iter().position(|&count| Some(count) == most).unwrap_or(0) as u64;
        for place in &mut places {
            *place = if *place >= common { *place - common } else { *place + values as u64 - common };
        }
        let mut out = Vec::new();
        let one_each =
            rows.len() == self.len() && rows.iter().zip(0..).all(|(&row, expected)| row == expected);
        if one_each {
            out.put_u8(0);
        } else {
            out.put_u8(1);
            out.put_varint(rows.len() as u64);
            let steps: Vec<u64> =
                rows.iter().scan(0, |last, &row| Some(row - std::mem::replace(last, row))).collect();
            encode_column(&steps, &mut out);
        }
        out.put_varint(common);
        encode_column(&places, &mut out);
        out
    }
}

/// A frame of fewer events than these …
const FEW_EVENTS: usize = 32;

/// … may be so many times longer than the frame size: what large events share is to be found, too.
const FEW_EVENTS_SIZES: usize = 16;

/// Decides where frames end (spec B10).
#[derive(Clone, Copy)]
pub(crate) struct FrameCuts {
    frame_size: usize,
    few_events: usize,
    bytes: usize,
    events: usize,
}

impl FrameCuts {
    /// For blocks of at most so many events; where tests make them smaller, fewer events are few.
    pub(crate) fn new(frame_size: u32, block_events: usize) -> Self {
        let few_events = FEW_EVENTS * block_events / limits::BLOCK_EVENTS;
        Self { frame_size: frame_size as usize, few_events, bytes: 0, events: 0 }
    }

    /// Adds an event of `len` bytes. If the frame had to end before it, returns how many events it held.
    pub(crate) fn add(&mut self, len: usize) -> Option<usize> {
        let sizes = if self.events < self.few_events { FEW_EVENTS_SIZES } else { 1 };
        let ends = self.events > 0 && self.bytes + len > self.frame_size * sizes;
        let held = self.events;
        if ends {
            (self.bytes, self.events) = (0, 0);
        }
        self.bytes += len;
        self.events += 1;
        ends.then_some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many events the frames of these events hold.
    fn cut(lens: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut cuts = FrameCuts::new(1_000, limits::BLOCK_EVENTS);
        let mut frames: Vec<usize> = lens.into_iter().filter_map(|len| cuts.add(len)).collect();
        frames.push(cuts.events);
        frames
    }

    #[test]
    fn frames_end_before_an_event_that_makes_them_too_long() {
        assert_eq!(cut([10; 250]), [100, 100, 50]);
        assert_eq!(cut([31; 65]), [32, 32, 1]);
        assert_eq!(cut([32; 65]), [32, 32, 1]);
        assert_eq!(cut([500; 65]), [32, 32, 1]);
        assert_eq!(cut([501; 65]), [31, 31, 3]);
        assert_eq!(cut([10, 17_000, 10, 15_990, 1, 1_000]), [1, 1, 2, 2]);
    }
}
