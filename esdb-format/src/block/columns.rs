//! Reading a block's columns (spec §5.2). Runs are decoded at once, the other areas when they are asked for.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::codec::Decoder;
use crate::codecs::Codecs;
use crate::error::{Result, Section};
use crate::limits;
use crate::packed::decode_column;

use super::head::Head;
use super::indexes::Indexes;
use super::payload::Layout;
use super::runs::Runs;

/// A block read from a file: its columns, checked and owned. Payload frames stay in the file.
pub(crate) struct Block {
    head: Head,
    columns: Vec<u8>,
    areas: Areas,
    runs: Runs,
    codecs: Arc<Codecs>,
    times: OnceLock<Vec<i64>>,
    payload: OnceLock<Layout>,
    indexes: OnceLock<Indexes>,
}

/// Where the areas lie inside the columns, and how many things they hold.
struct Areas {
    frames_count: usize,
    values_len: usize,
    times: Range<usize>,
    lengths: Range<usize>,
    frames: Range<usize>,
    values: Range<usize>,
    indexes: Vec<Range<usize>>,
}

impl Block {
    /// Decodes columns whose checksum was compared.
    ///
    /// # Errors
    ///
    /// Corrupt if the directory, the keys or the runs break a rule.
    pub(crate) fn decode(head: Head, columns: Vec<u8>, codecs: Arc<Codecs>) -> Result<Self> {
        let rows = head.count as usize;
        let start = head.offset + Head::SIZE as u64;
        let mut decoder = Decoder::new(&columns, start, Section::Block);
        let spaces = decoder.varint_up_to(rows as u64, "number of spaces", "B6")?;
        let groupings = decoder.varint_up_to(rows as u64, "number of groupings", "B6")?;
        let frames_count = decoder.varint_up_to(rows as u64, "number of frames", "B6")?;
        let names = decoder.varint_up_to(columns.len() as u64, "number of index names", "B4")?;
        if spaces == 0 || spaces > groupings || frames_count == 0 {
            let reason = format!("{spaces} spaces, {groupings} groupings, {frames_count} frames");
            return Err(decoder.corrupt("B6", reason));
        }
        let most = columns.len() as u64;
        let keys_len = decoder.varint_up_to(limits::AREA as u64, "length of the keys", "L1")?;
        let mut lens = [0; 5];
        for len in &mut lens {
            *len = decoder.varint_up_to(most, "length of an area", "B4")?;
        }
        let values_len = decoder.varint_up_to(limits::AREA as u64, "length of the values", "L1")?;
        let values_stored = decoder.varint_up_to(most, "length of an area", "B4")?;
        let mut index_lens = Vec::new();
        for _ in 0..names {
            index_lens.push(decoder.varint_up_to(most, "length of an index column", "B4")?);
        }

        let mut next = columns.len() - decoder.remaining();
        let mut area = |len: usize| -> Result<Range<usize>> {
            let start = next;
            decoder.take(len, "B4")?;
            next += len;
            Ok(start..next)
        };
        let [keys, runs, times, lengths, frames] = lens;
        let (keys, runs) = (area(keys)?, area(runs)?);
        let (times, lengths, frames) = (area(times)?, area(lengths)?, area(frames)?);
        let values = area(values_stored)?;
        let indexes = index_lens.into_iter().map(area).collect::<Result<_>>()?;
        decoder.finish("B4")?;
        let areas = Areas { frames_count, values_len, times, lengths, frames, values, indexes };

        let at = |range: &Range<usize>| start + range.start as u64;
        let unpacked = codecs.unpack_area(&columns[keys.clone()], keys_len, at(&keys))?;
        let keys = Decoder::unpacked(&unpacked, at(&keys), Section::Block);
        let runs = Decoder::new(&columns[runs.clone()], at(&runs), Section::Block);
        let runs = Runs::decode(keys, runs, spaces, groupings, rows)?;
        Ok(Self {
            head,
            columns,
            areas,
            runs,
            codecs,
            times: OnceLock::new(),
            payload: OnceLock::new(),
            indexes: OnceLock::new(),
        })
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    pub(crate) fn rows(&self) -> usize {
        self.head.count as usize
    }

    /// An estimate of the memory in use once every area was decoded.
    pub(crate) fn memory(&self) -> usize {
        3 * self.columns.len() + self.runs.memory() + self.rows() * (12 + 4 * self.areas.indexes.len()) + 512
    }

    fn area(&self, range: &Range<usize>) -> Decoder<'_> {
        Decoder::new(&self.columns[range.clone()], self.area_offset(range), Section::Block)
    }

    fn area_offset(&self, range: &Range<usize>) -> u64 {
        self.head.offset + (Head::SIZE + range.start) as u64
    }

    pub(crate) fn grouping_runs(&self) -> usize {
        self.runs.groupings.len()
    }

    /// The number of the grouping run that `row` is in.
    pub(crate) fn grouping_run(&self, row: usize) -> usize {
        match self.runs.grouping_ends.as_slice() {
            [_] => 0,
            ends => ends.partition_point(|&end| end as usize <= row),
        }
    }

    /// The number of the space run that a grouping run is in.
    pub(crate) fn space_run(&self, grouping_run: usize) -> usize {
        match self.runs.space_ends.as_slice() {
            [_] => 0,
            ends => ends.partition_point(|&end| end as usize <= grouping_run),
        }
    }

    /// The rows of a grouping run.
    pub(crate) fn run_rows(&self, grouping_run: usize) -> Range<usize> {
        let start = if grouping_run == 0 { 0 } else { self.runs.grouping_ends[grouping_run - 1] as usize };
        start..self.runs.grouping_ends[grouping_run] as usize
    }

    pub(crate) fn space(&self, space_run: usize) -> &[u8] {
        self.runs.spaces.get(space_run)
    }

    pub(crate) fn grouping(&self, grouping_run: usize) -> &[u8] {
        self.runs.groupings.get(grouping_run)
    }

    /// Space and grouping of a row.
    pub(crate) fn keys_of(&self, row: usize) -> (&[u8], &[u8]) {
        let grouping = self.grouping_run(row);
        (self.space(self.space_run(grouping)), self.grouping(grouping))
    }

    /// The timestamps of all rows.
    pub(crate) fn times(&self) -> Result<&[i64]> {
        get_or_decode(&self.times, || self.decode_times()).map(Vec::as_slice)
    }

    fn decode_times(&self) -> Result<Vec<i64>> {
        let mut decoder = self.area(&self.areas.times);
        let base = decoder.svarint("B4")?;
        let step = decoder.varint("B4")?;
        let mut firsts = Vec::with_capacity(self.grouping_runs());
        decode_column(&mut decoder, self.grouping_runs(), |frame| {
            firsts.extend_from_slice(frame);
            Ok(())
        })?;
        let mut deltas = Vec::with_capacity(self.rows());
        decode_column(&mut decoder, self.rows() - self.grouping_runs(), |frame| {
            deltas.extend_from_slice(frame);
            Ok(())
        })?;
        decoder.finish("B4")?;
        if firsts.iter().copied().min() != Some(0) || step == 0 {
            return Err(decoder.corrupt("B5", "smallest timestamp is not the first one of any grouping"));
        }
        let mut times = Vec::with_capacity(self.rows());
        let mut deltas = deltas.iter();
        for (run, &first) in firsts.iter().enumerate() {
            let later = |time: i64, steps: u64| time.checked_add_unsigned(steps.checked_mul(step)?);
            let mut time = later(base, first);
            let rows = self.run_rows(run).len();
            times.extend(time);
            for &delta in deltas.by_ref().take(rows - 1) {
                time = time.and_then(|time| later(time, delta));
                times.extend(time);
            }
        }
        if times.len() != self.rows() {
            return Err(decoder.corrupt("B5", "timestamp exceeds 64 bits"));
        }
        Ok(times)
    }

    /// Where the payload of each row is.
    pub(crate) fn payload(&self) -> Result<&Layout> {
        get_or_decode(&self.payload, || {
            let lengths = self.area(&self.areas.lengths);
            let frames = self.area(&self.areas.frames);
            Layout::decode(lengths, frames, &self.head, self.areas.frames_count)
        })
    }

    /// The index values of all rows.
    pub(crate) fn indexes(&self) -> Result<&Indexes> {
        get_or_decode(&self.indexes, || {
            let range = &self.areas.values;
            let offset = self.area_offset(range);
            let values =
                self.codecs.unpack_area(&self.columns[range.clone()], self.areas.values_len, offset)?;
            let values = Decoder::unpacked(&values, offset, Section::Block);
            let columns: Vec<_> = self.areas.indexes.iter().map(|range| self.area(range)).collect();
            Indexes::decode(values, columns, self.rows())
        })
    }
}

/// What `cell` holds; decoded first if nobody did before.
fn get_or_decode<T>(cell: &OnceLock<T>, decode: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = decode()?;
    Ok(cell.get_or_init(|| value))
}
