//! Reading a block's columns (spec §5.2). Runs are decoded at once, the other row areas when they are asked for; label areas are also
//! read only then.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::codec::Decoder;
use crate::codecs::Codecs;
use crate::error::{Result, Section};
use crate::limits;
use crate::packed::{FRAME, Marks};

use super::get_or_decode;
use super::head::Head;
use super::indexes::{IndexColumn, Indexes};
use super::labels::{LabelArea, LabelBytes, Labels};
use super::part::Part;
use super::payload::{FrameTable, decode_starts};
use super::runs::{Keys, Runs};

/// A block's columns: the row areas, checked and owned, and the way to the label areas. Payload frames stay in the file.
///
/// What strings take when they are decoded cannot be told beforehand: keys and index values are decoded apart, for
/// somebody else to keep.
pub(crate) struct Columns {
    head: Head,
    /// The row areas, behind their directory.
    bytes: Vec<u8>,
    areas: Areas,
    labels: Labels,
    runs: Runs,
    codecs: Arc<Codecs>,
    marks: RowMarks,
    frames: OnceLock<Arc<FrameTable>>,
    /// How many parts were decoded.
    parts: AtomicUsize,
    /// Of all rows.
    times: OnceLock<Arc<Vec<i64>>>,
    /// Of all rows: see [`Part`].
    starts: OnceLock<Arc<Vec<u32>>>,
}

/// Where the row areas lie, and how much some areas hold.
struct Areas {
    frames_count: usize,
    keys_len: usize,
    values_len: usize,
    times: Range<usize>,
    lengths: Range<usize>,
    frames: Range<usize>,
}

/// Where the frames of the times and lengths begin in their areas.
struct RowMarks {
    firsts: Marks,
    deltas: Marks,
    lengths: Marks,
}

impl RowMarks {
    /// The areas are filled exactly, too.
    fn set(areas: &Areas, bytes: &[u8], offset: u64, groupings: usize, rows: usize) -> Result<Self> {
        let area = |range: &Range<usize>| {
            Decoder::new(&bytes[range.clone()], offset + range.start as u64, Section::Block)
        };
        let (mut times, mut lengths) = (area(&areas.times), area(&areas.lengths));
        let (times_len, lengths_len) = (times.remaining(), lengths.remaining());
        times.svarint("B4")?;
        times.varint("B4")?;
        let marks = Self {
            firsts: Marks::set(&mut times, times_len, groupings)?,
            deltas: Marks::set(&mut times, times_len, rows - groupings)?,
            lengths: Marks::set(&mut lengths, lengths_len, rows)?,
        };
        times.finish("B4")?;
        lengths.finish("B4")?;
        Ok(marks)
    }
}

impl Columns {
    /// So many parts cost about as much as the whole.
    pub(crate) const FEW_PARTS: usize = 8;

    /// Decodes row areas whose checksum was compared.
    ///
    /// # Errors
    ///
    /// Corrupt if the directory or the runs break a rule.
    pub(crate) fn decode(
        head: Head,
        bytes: Vec<u8>,
        labels: LabelBytes,
        codecs: Arc<Codecs>,
    ) -> Result<Self> {
        let rows = head.count as usize;
        let start = head.rows_offset();
        let mut decoder = Decoder::new(&bytes, start, Section::Block);
        let spaces = decoder.varint_up_to(rows as u64, "number of spaces", "B6")?;
        let groupings = decoder.varint_up_to(rows as u64, "number of groupings", "B6")?;
        let frames_count = decoder.varint_up_to(rows as u64, "number of frames", "B6")?;
        let names = decoder.varint_up_to(bytes.len() as u64, "number of index names", "B4")?;
        if spaces == 0 || spaces > groupings || frames_count == 0 {
            let reason = format!("{spaces} spaces, {groupings} groupings, {frames_count} frames");
            return Err(decoder.corrupt("B6", reason));
        }
        let mut lens = [0; 4];
        for len in &mut lens {
            *len = decoder.varint_up_to(bytes.len() as u64, "length of an area", "B4")?;
        }
        let mut labels_len = 0;
        let mut label_area = |decoder: &mut Decoder<'_>| -> Result<LabelArea> {
            let left = head.labels_len as usize - labels_len;
            let len = decoder.varint_up_to(left as u64, "length of a label area", "B4")?;
            let range = labels_len..labels_len + len;
            labels_len = range.end;
            Ok(LabelArea { range, checksum: decoder.u32("B4")? })
        };
        let keys_len = decoder.varint_up_to(limits::AREA as u64, "length of the keys", "L1")?;
        let keys = label_area(&mut decoder)?;
        let values_len = decoder.varint_up_to(limits::AREA as u64, "length of the values", "L1")?;
        let values = label_area(&mut decoder)?;
        let mut columns = Vec::new();
        for _ in 0..names {
            columns.push(label_area(&mut decoder)?);
        }
        if labels_len != head.labels_len as usize {
            let reason = format!("label areas of {labels_len} bytes, the head states {}", head.labels_len);
            return Err(decoder.corrupt("B4", reason));
        }
        let (offset, checks) = (head.labels_offset(), codecs.checks());
        let labels = Labels { bytes: labels, offset, keys, values, columns, checks };

        let mut next = bytes.len() - decoder.remaining();
        let mut area = |len: usize| -> Result<Range<usize>> {
            let start = next;
            decoder.take(len, "B4")?;
            next += len;
            Ok(start..next)
        };
        let [runs, times, lengths, frames] = lens;
        let (runs, times, lengths, frames) = (area(runs)?, area(times)?, area(lengths)?, area(frames)?);
        decoder.finish("B4")?;
        let runs = Decoder::new(&bytes[runs.clone()], start + runs.start as u64, Section::Block);
        let runs = Runs::decode(runs, spaces, groupings, rows)?;
        let areas = Areas { frames_count, keys_len, values_len, times, lengths, frames };
        let marks = RowMarks::set(&areas, &bytes, start, groupings, rows)?;
        let (frames, times, starts) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Ok(Self {
            head,
            bytes,
            areas,
            labels,
            runs,
            codecs,
            marks,
            frames,
            parts: AtomicUsize::new(0),
            times,
            starts,
        })
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    pub(crate) fn rows(&self) -> usize {
        self.head.count as usize
    }

    /// Bytes of memory in use once everything was decoded.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.bytes.capacity()
            + self.labels.memory()
            + self.runs.memory()
            + 3 * Marks::memory(self.rows())
            + FrameTable::memory(self.areas.frames_count)
            + self.rows() * (size_of::<i64>() + size_of::<u32>())
    }

    fn area(&self, range: &Range<usize>) -> Decoder<'_> {
        let offset = self.head.rows_offset() + range.start as u64;
        Decoder::new(&self.bytes[range.clone()], offset, Section::Block)
    }

    /// Hands the `len` bytes of a compressed area to `decode`.
    fn unpacked<T>(
        &self,
        mut stored: Decoder<'_>,
        len: usize,
        decode: impl FnOnce(Decoder<'_>) -> Result<T>,
    ) -> Result<T> {
        let offset = stored.offset();
        let bytes = self.codecs.unpack_area(stored.rest(), len, Section::Block, offset)?;
        decode(Decoder::unpacked(&bytes, offset, Section::Block))
    }

    /// Compares the checksums of all label areas.
    pub(crate) fn check_labels(&self) -> Result<()> {
        self.labels.check()
    }

    /// Which rows belong to which grouping, which groupings to which space.
    pub(crate) fn runs(&self) -> &Runs {
        &self.runs
    }

    /// Decodes spaces and groupings.
    pub(crate) fn decode_keys(&self) -> Result<Keys> {
        let mut buffer = Vec::new();
        let stored = self.labels.area(&self.labels.keys, &mut buffer)?;
        self.unpacked(stored, self.areas.keys_len, |area| Keys::decode(area, &self.runs))
    }

    /// Where the payload frames are.
    pub(crate) fn frames(&self) -> Result<&Arc<FrameTable>> {
        get_or_decode(&self.frames, || {
            let frames = self.area(&self.areas.frames);
            FrameTable::decode(frames, &self.head, self.areas.frames_count).map(Arc::new)
        })
    }

    /// The timestamps of all rows.
    pub(crate) fn times(&self) -> Result<&Arc<Vec<i64>>> {
        get_or_decode(&self.times, || self.decode_times(0..self.rows()).map(Arc::new))
    }

    /// The timestamp of a row.
    pub(crate) fn time(&self, row: usize) -> Result<i64> {
        match self.times.get() {
            Some(times) => Ok(times[row]),
            None => Ok(self.decode_times(row..row + 1)?[0]),
        }
    }

    /// Whether times and places of all rows were decoded before.
    pub(crate) fn is_whole(&self) -> bool {
        self.times.get().is_some() && self.starts.get().is_some()
    }

    /// Times and places of all rows.
    pub(crate) fn whole(&self) -> Result<Part> {
        let times = Arc::clone(self.times()?);
        let starts = get_or_decode(&self.starts, || self.decode_starts(0..self.rows()).map(Arc::new))?;
        Ok(Part::new(0, times, Arc::clone(starts)))
    }

    /// Times and places of the rows of some neighbouring frames: of these alone, unless they are many or asked for often.
    pub(crate) fn part(&self, rows: Range<usize>) -> Result<Part> {
        // Many rows count for more than their own frame.
        let parts = 1 + rows.len() / FRAME;
        let before = self.parts.fetch_add(parts, Ordering::Relaxed);
        let often = before.saturating_add(parts) > Self::FEW_PARTS;
        if often || rows.len() * 2 >= self.rows() {
            return self.whole();
        }
        let times = match self.times.get() {
            Some(times) => times[rows.clone()].to_vec(),
            None => self.decode_times(rows.clone())?,
        };
        let starts = self.decode_starts(rows.clone())?;
        Ok(Part::new(rows.start, Arc::new(times), Arc::new(starts)))
    }

    fn decode_starts(&self, rows: Range<usize>) -> Result<Vec<u32>> {
        decode_starts(self.area(&self.areas.lengths), &self.marks.lengths, rows)
    }

    /// The timestamps of some rows, at least one. Costs as much as all of their grouping's rows up to the last of them.
    fn decode_times(&self, rows: Range<usize>) -> Result<Vec<i64>> {
        let mut decoder = self.area(&self.areas.times);
        let base = decoder.svarint("B4")?;
        let step = decoder.varint("B4")?;
        if step == 0 {
            return Err(decoder.corrupt("B5", "step is 0"));
        }
        let area = self.area(&self.areas.times);
        let (first_run, last_run) = (self.runs.grouping_of(rows.start), self.runs.grouping_of(rows.end - 1));
        let firsts = self.marks.firsts.decode(area.clone(), first_run..last_run + 1)?;
        if rows.len() == self.rows() && firsts.iter().copied().min() != Some(0) {
            return Err(decoder.corrupt("B5", "smallest timestamp is not the first one of any grouping"));
        }
        let start = self.runs.rows_of(first_run).start;
        // A run has one delta less than rows.
        let wanted = start - first_run..rows.end - 1 - last_run;
        let deltas = self.marks.deltas.decode(area, wanted)?;
        let sums = Sums { base, step, firsts: &firsts, deltas: &deltas };
        let runs = (start, &self.runs.grouping_ends[first_run..=last_run]);
        sums.times(runs, rows).ok_or_else(|| decoder.corrupt("B5", "timestamp exceeds 64 bits"))
    }

    /// Decodes the index values of all rows.
    pub(crate) fn decode_indexes(&self) -> Result<Indexes> {
        let mut buffer = Vec::new();
        let (values, columns) = self.labels.indexes(&mut buffer)?;
        self.unpacked(values, self.areas.values_len, |area| Indexes::decode(area, columns, self.rows()))
    }

    /// Decodes the values that the rows have for one name; `None` if no row has one.
    pub(crate) fn decode_index(&self, name: &[u8]) -> Result<Option<IndexColumn>> {
        let Labels { values, columns, .. } = &self.labels;
        let (mut buffer, mut column) = (Vec::new(), Vec::new());
        let values = self.labels.area(values, &mut buffer)?;
        self.unpacked(values, self.areas.values_len, |mut area| {
            match Indexes::seek(&mut area, columns.len(), name)? {
                Some(number) => {
                    let column = self.labels.area(&columns[number], &mut column)?;
                    IndexColumn::decode(&mut area, column, self.rows()).map(Some)
                }
                None => Ok(None),
            }
        })
    }
}

/// What the timestamps of some runs are added up from: the first one of each run lies some steps behind `base`, each other as many
/// behind the one before as its delta says.
struct Sums<'a> {
    base: i64,
    step: u64,
    firsts: &'a [u64],
    deltas: &'a [u64],
}

impl Sums<'_> {
    /// The timestamps of `rows`. The runs begin at a row, and end behind others. `None` if a timestamp leaves 64 bits.
    fn times(&self, (mut start, ends): (usize, &[u32]), rows: Range<usize>) -> Option<Vec<i64>> {
        let mut times = Vec::with_capacity(rows.len());
        let (cannot_leave, mut deltas) = (self.cannot_leave_64_bits(), self.deltas);
        for (&first, &end) in self.firsts.iter().zip(ends) {
            let end = (end as usize).min(rows.end);
            let (run, after) = deltas.split_at(end - start - 1);
            let unwanted = rows.start.saturating_sub(start);
            if cannot_leave {
                self.add_run(first, run, unwanted, &mut times);
            } else {
                self.add_run_checked(first, run, unwanted, &mut times)?;
            }
            (start, deltas) = (end, after);
        }
        Some(times)
    }

    /// Whether no sum leaves 64 bits, as none does if it would not with the largest numbers each time: all their bits together are no
    /// less than these.
    fn cannot_leave_64_bits(&self) -> bool {
        let most = |numbers: &[u64]| numbers.iter().fold(0, |all, number| all | number);
        let steps = most(self.deltas).checked_mul(self.deltas.len() as u64);
        let steps = steps.and_then(|steps| steps.checked_add(most(self.firsts)));
        let furthest = steps.and_then(|steps| steps.checked_mul(self.step));
        furthest.is_some_and(|furthest| self.base.checked_add_unsigned(furthest).is_some())
    }

    /// Appends the timestamps of a run, but for some at its beginning.
    fn add_run(&self, first: u64, deltas: &[u64], unwanted: usize, times: &mut Vec<i64>) {
        let (before, wanted) = deltas.split_at(unwanted);
        let steps = before.iter().sum::<u64>() + first;
        let mut time = self.base.wrapping_add_unsigned(steps * self.step);
        times.push(time);
        times.extend(wanted.iter().map(|&delta| {
            time = time.wrapping_add_unsigned(delta * self.step);
            time
        }));
    }

    fn add_run_checked(
        &self,
        first: u64,
        deltas: &[u64],
        unwanted: usize,
        times: &mut Vec<i64>,
    ) -> Option<()> {
        let mut time = self.base.checked_add_unsigned(first.checked_mul(self.step)?)?;
        if unwanted == 0 {
            times.push(time);
        }
        for (at, &delta) in (1..).zip(deltas) {
            time = time.checked_add_unsigned(delta.checked_mul(self.step)?)?;
            if at >= unwanted {
                times.push(time);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::indexes::tests::columns;
    use crate::compression::Codec;
    use crate::limits;

    #[test]
    fn memory_is_what_is_held_once_all_was_decoded() {
        let names: Vec<String> = (0..40).map(|number| format!("{number:02}")).collect();
        for rows in [1, 300, limits::BLOCK_EVENTS] {
            let columns = columns(rows, |_| names.iter().map(|name| (name.as_str(), "v")).collect());
            let (frames, times) = (columns.frames().unwrap(), columns.times().unwrap());
            columns.whole().unwrap();
            let held = size_of::<Columns>()
                + columns.bytes.capacity()
                + columns.labels.memory()
                + (columns.runs.space_ends.capacity() + columns.runs.grouping_ends.capacity()) * 4
                + Marks::memory(1)
                + Marks::memory(rows - 1)
                + Marks::memory(rows)
                + FrameTable::memory(frames.len())
                + times.capacity() * 8
                + columns.starts.get().unwrap().capacity() * 4;
            // Groupings, one less than rows and one more than rows are taken for rows.
            let spare = Marks::memory(rows);
            assert!((held.saturating_sub(8)..=held + spare).contains(&columns.memory()), "{rows}");
        }
    }

    #[test]
    fn counts_that_cannot_be_are_refused() {
        let whole = columns(3, |_| Vec::new());
        // Spaces, groupings, frames.
        assert_eq!(whole.bytes[..3], [1, 1, 1]);
        for (at, count) in [(0, 0), (0, 2), (0, 4), (1, 0), (1, 4), (2, 0), (2, 4)] {
            let mut bytes = whole.bytes.clone();
            bytes[at] = count;
            let codecs = Arc::new(Codecs::new(Codec::None, true));
            let error = Columns::decode(whole.head, bytes, LabelBytes::AtHand(Vec::new()), codecs).err();
            let problem = error.and_then(|error| error.problem().cloned()).unwrap();
            assert_eq!(problem.rule, "B6", "{count} at {at}");
            // The runs would not add up either.
            assert!(!problem.reason.contains("runs"), "{count} at {at}: {}", problem.reason);
        }
    }
}
