//! Leaves of the spaces and groupings tables: keys, and behind them extent frames, which say in columns what belongs to up to 128
//! of them each (spec §6.2).
//!
//! ```text
//! level │ count │ restart offsets … │ frame offsets … │ lengths │ strings │ frame │ frame │ …
//!
//! first ordinal │ [only groupings] │ base · step │ events … │ [gaps …] │ firsts … │ spans … │ [groupings … │ lengths …]
//! ```
//!
//! Frames have gaps in the groupings table, and what is said of groupings in that of spaces.

use std::ops::Range;
use std::sync::OnceLock;

use crate::codec::{Decoder, Encode};
use crate::codecs::Codecs;
use crate::compression::{Codec, Compressor};
use crate::error::{Error, Result, Section};
use crate::limits;
use crate::packed::{FRAME, decode_frame, encode_column, gcd};
use crate::page::{CLOSED, PageBuilder};
use crate::tables::{Extent, RunEntry};
use crate::tree::Leaf;

/// The level that strings of leaves are compressed with, if the codec takes one: higher ones find no more in them, and what they find
/// takes longer to undo.
const LEVEL: i32 = 1;

/// Collects the entries of a leaf.
pub(crate) struct ExtentsBuilder {
    section: Section,
    compressor: Compressor,
    keys: PageBuilder,
    only_len: usize,
    entries: Vec<RunEntry>,
}

impl ExtentsBuilder {
    /// Of a leaf of `section`: spaces or groupings.
    pub(crate) fn new(section: Section, codec: Codec) -> Result<Self> {
        let codec = Codec::from_code(codec.code(), LEVEL).unwrap_or(codec);
        Ok(Self {
            section,
            compressor: Compressor::new(codec, &[])?,
            keys: PageBuilder::default(),
            only_len: 0,
            entries: Vec::new(),
        })
    }

    /// Adds an entry, whose ordinals begin where those of the one before it end, or in the groupings table later.
    pub(crate) fn add(&mut self, key: &[u8], entry: RunEntry) {
        self.keys.add_key(key);
        self.only_len = self.only_len.saturating_add(entry.only_grouping.as_ref().map_or(0, Vec::len));
        self.entries.push(entry);
    }
}

impl Leaf for ExtentsBuilder {
    fn is_full(&self) -> bool {
        self.keys.len().saturating_add(self.only_len) >= CLOSED || self.entries.len() >= limits::LEAF_EXTENTS
    }

    fn first_key(&self) -> &[u8] {
        self.keys.first_key()
    }

    fn take(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.keys.put_head(0, &mut out);
        if self.entries.is_empty() {
            return Ok(out);
        }
        let mut strings = self.keys.take_entries();
        let keys_len = strings.len();
        let mut frames = Vec::new();
        for entries in self.entries.chunks(FRAME) {
            out.put_u16(frames.len() as u16);
            let only_start = strings.len().saturating_sub(keys_len);
            encode(self.section, entries, only_start, &mut frames);
            entries
                .iter()
                .filter_map(|entry| entry.only_grouping.as_ref())
                .for_each(|only| strings.extend(only));
        }
        let mut stored = Vec::new();
        self.compressor.append(&strings, &mut stored)?;
        out.put_varint(keys_len as u64);
        out.put_varint(strings.len().saturating_sub(keys_len) as u64);
        out.put_bytes(&stored);
        out.append(&mut frames);
        self.entries.clear();
        self.only_len = 0;
        Ok(out)
    }
}

/// Appends the frame of some entries, whose only groupings begin at `only_start`.
fn encode(section: Section, entries: &[RunEntry], only_start: usize, out: &mut Vec<u8>) {
    let column = |values: Vec<u64>, out: &mut Vec<u8>| encode_column(&values, out);
    let since = |time: i64, start: i64| time.wrapping_sub(start).cast_unsigned();
    let several = || entries.iter().filter(|entry| entry.extent.count > 1);
    let base = entries.iter().map(|entry| entry.extent.first).min().unwrap_or(0);
    let firsts = || entries.iter().map(|entry| since(entry.extent.first, base));
    let spans = || several().map(|entry| since(entry.extent.last, entry.extent.first));
    let step = firsts().chain(spans()).fold(0, gcd).max(1);
    let steps = |difference: u64| difference.checked_div(step).unwrap_or(0);

    out.put_varint(entries.first().map_or(0, |entry| entry.first_ordinal));
    if section == Section::Spaces {
        out.put_varint(only_start as u64);
    }
    out.put_svarint(base);
    out.put_varint(step);
    column(entries.iter().map(|entry| entry.extent.count.saturating_sub(1)).collect(), out);
    if section == Section::Groupings {
        let gap =
            |(entry, next): (&RunEntry, &RunEntry)| next.first_ordinal.saturating_sub(entry.ordinals().end);
        column(entries.iter().zip(entries.iter().skip(1)).map(gap).collect(), out);
    }
    column(firsts().map(steps).collect(), out);
    column(spans().map(steps).collect(), out);
    if section == Section::Spaces {
        column(several().map(|entry| entry.groupings.saturating_sub(1)).collect(), out);
        let only = entries.iter().filter_map(|entry| entry.only_grouping.as_ref());
        column(only.map(|grouping| grouping.len() as u64).collect(), out);
    }
}

/// What a leaf says of one of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) first_ordinal: u64,
    pub(crate) extent: Extent,
    /// 1 in the groupings table.
    pub(crate) groupings: u64,
    /// Where the only grouping stands among the strings, if there is but one.
    only: Range<u32>,
}

/// The strings of a leaf, and its extent frames: those that were asked for are decoded.
pub(crate) struct Extents {
    /// The leaf, which stands at `offset`; where the offsets of its frames are in it, its strings, and its first frame.
    bytes: Vec<u8>,
    offset: u64,
    section: Section,
    starts_at: usize,
    strings_at: usize,
    frames_at: usize,
    count: usize,
    /// The keys, then the only groupings.
    strings: Vec<u8>,
    keys_len: usize,
    decoded: Vec<OnceLock<Box<[Row]>>>,
}

impl Extents {
    /// Takes a leaf of `section` with `count` entries, 1 or more, whose restart offsets end at `starts_at`.
    pub(crate) fn decode(
        bytes: Vec<u8>,
        starts_at: usize,
        offset: u64,
        section: Section,
        count: usize,
        codecs: &Codecs,
    ) -> Result<Self> {
        let mut decoder = Decoder::new(&bytes, offset, section);
        let place = |decoder: &Decoder<'_>| bytes.len().saturating_sub(decoder.remaining());
        decoder.take(starts_at, "P4")?;
        if count > limits::LEAF_EXTENTS {
            return Err(decoder.corrupt("L1", format!("leaf of {count} entries")));
        }
        let frame_count = count.div_ceil(FRAME);
        decoder.take(frame_count.saturating_mul(2), "P4")?;
        let keys_len = decoder.varint_up_to(limits::PAGE as u64, "length of the keys", "L1")?;
        let only_len = decoder.varint_up_to(limits::PAGE as u64, "length of the groupings", "L1")?;
        let stored = decoder.varint_up_to(limits::PAGE as u64, "stored length of the strings", "L1")?;
        let strings_at = place(&decoder);
        let strings = codecs.unpack_area(
            decoder.take(stored, "P4")?,
            keys_len.saturating_add(only_len),
            section,
            offset.saturating_add(strings_at as u64),
        )?;
        let frames_at = place(&decoder);
        let decoded = std::iter::repeat_with(OnceLock::new).take(frame_count).collect();
        Ok(Self {
            offset,
            section,
            starts_at,
            strings_at,
            frames_at,
            count,
            strings,
            keys_len,
            decoded,
            bytes,
        })
    }

    /// The keys of all entries, front-coded.
    pub(crate) fn keys(&self) -> &[u8] {
        self.strings.get(..self.keys_len).unwrap_or_default()
    }

    /// Where the keys are stored.
    pub(crate) fn keys_offset(&self) -> u64 {
        self.offset.saturating_add(self.strings_at as u64)
    }

    /// What is said of the entry with number `index`.
    pub(crate) fn row(&self, index: usize) -> Result<&Row> {
        let rows = self.rows(index / FRAME)?;
        rows.get(index % FRAME).ok_or_else(|| self.corrupt("P4", format!("there is no entry {index}")))
    }

    /// What is said of the 128 entries with number `frame`, of the rest in the last one.
    pub(crate) fn rows(&self, frame: usize) -> Result<&[Row]> {
        let Some(cell) = self.decoded.get(frame) else {
            return Err(self.corrupt("P4", format!("there is no extent frame {frame}")));
        };
        if let Some(rows) = cell.get() {
            return Ok(rows);
        }
        let mut decoder = self.frame(frame)?;
        let count = self.count.saturating_sub(frame.saturating_mul(FRAME)).min(FRAME);
        let only_area = self.keys_len..self.strings.len();
        let rows = decode(&mut decoder, self.section, count, only_area)?;
        decoder.finish("P4")?;
        Ok(cell.get_or_init(|| rows))
    }

    /// Where a frame begins, in `bytes`.
    fn start_of(&self, frame: usize) -> Result<usize> {
        let mut decoder = Decoder::new(&self.bytes, self.offset, self.section);
        decoder.take(frame.saturating_mul(2).saturating_add(self.starts_at), "P4")?;
        Ok(self.frames_at.saturating_add(decoder.u16("P4")?.into()))
    }

    /// The bytes of a frame: from where it begins to where the next one does.
    fn frame(&self, frame: usize) -> Result<Decoder<'_>> {
        let start = self.start_of(frame)?;
        let next = frame.saturating_add(1);
        let end = if next < self.decoded.len() { self.start_of(next)? } else { self.bytes.len() };
        let Some(bytes) = self.bytes.get(start..end) else {
            return Err(
                self.corrupt("P4", format!("extent frame {frame} begins at {start} and ends at {end}"))
            );
        };
        Ok(Decoder::new(bytes, self.offset.saturating_add(start as u64), self.section))
    }

    /// The grouping of a space that has no other.
    pub(crate) fn only_grouping(&self, row: &Row) -> Option<&[u8]> {
        let is_only = self.section == Section::Spaces && row.groupings == 1;
        is_only.then(|| self.strings.get(row.only.start as usize..row.only.end as usize)).flatten()
    }

    /// All frames can be decoded, the first one begins first, and the only groupings fill their area.
    pub(crate) fn check(&self) -> Result<()> {
        if self.start_of(0)? != self.frames_at {
            return Err(self.corrupt("P4", "the first extent frame begins elsewhere"));
        }
        let mut end = self.keys_len;
        for frame in 0..self.decoded.len() {
            let rows = self.rows(frame)?;
            for row in rows.iter().filter(|row| self.only_grouping(row).is_some()) {
                if row.only.start as usize != end {
                    return Err(
                        self.corrupt("P4", format!("groupings of extent frame {frame} do not follow"))
                    );
                }
                end = row.only.end as usize;
            }
        }
        match self.strings.len().saturating_sub(end) {
            0 => Ok(()),
            left => Err(self.corrupt("P4", format!("{left} bytes of groupings left over"))),
        }
    }

    fn corrupt(&self, rule: &'static str, reason: impl Into<String>) -> Error {
        let offset = self.offset.saturating_add(self.frames_at as u64);
        Error::corrupt(self.section, offset, rule, reason)
    }

    /// Bytes of memory in use once everything was decoded.
    pub(crate) fn memory(&self) -> usize {
        let bytes = self.strings.capacity().saturating_add(self.bytes.capacity());
        let rows = self.count.saturating_mul(size_of::<Row>());
        let cells = self.decoded.capacity().saturating_mul(size_of::<OnceLock<Box<[Row]>>>());
        size_of::<Self>().saturating_add(bytes).saturating_add(rows).saturating_add(cells)
    }
}

/// Decodes a frame of `count` entries, 1 to 128. Of `only_area` among the strings their only groupings take a part.
///
/// Without a branch for each entry: which of them have one event, or one grouping, is hard to foresee.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "at most a frame of entries; sums and products say when they overflow"
)]
fn decode(
    decoder: &mut Decoder<'_>,
    section: Section,
    count: usize,
    only_area: Range<usize>,
) -> Result<Box<[Row]>> {
    let start = decoder.clone();
    let mut ordinal = decoder.varint("P4")?;
    let is_spaces = section == Section::Spaces;
    let only_start = if is_spaces { decoder.varint("P4")? } else { 0 };
    let (base, step) = (decoder.svarint("P4")?, decoder.varint("P4")?);
    // One more, for who looks behind the last one.
    let [mut counts, mut gaps, mut firsts, mut spans, mut groupings, mut lens] = [[0; FRAME + 1]; 6];
    let mut column = |values: &mut [u64]| match values {
        [] => Ok(()),
        values => decode_frame(decoder, values),
    };
    let more_than_0 = |values: &[u64]| values.iter().map(|&value| usize::from(value > 0)).sum::<usize>();
    column(&mut counts[..count])?;
    let several = more_than_0(&counts[..count]);
    if !is_spaces {
        column(&mut gaps[..count - 1])?;
    }
    column(&mut firsts[..count])?;
    column(&mut spans[..several])?;
    if is_spaces {
        column(&mut groupings[..several])?;
        column(&mut lens[..count - more_than_0(&groupings[..several])])?;
    }
    if step == 0 || firsts[..count].iter().min() != Some(&0) {
        return Err(start.corrupt("P6", "step is 0, or the smallest timestamp is of no entry"));
    }
    if lens.iter().any(|&len| len > limits::KEY as u64) {
        return Err(start.corrupt("L1", "grouping is too long"));
    }
    let only_start = only_start.saturating_add(only_area.start as u64);
    if only_start.saturating_add(lens.iter().sum()) > only_area.end as u64 {
        return Err(start.corrupt("P4", "groupings end behind the strings"));
    }

    let (mut overflows, mut too_many, mut only_at) = (false, false, only_start as u32);
    let (mut several_at, mut only_number) = (0, 0);
    let rows = counts[..count].iter().zip(&firsts[..count]).zip(&gaps[..count]).map(
        |((&less_one, &first), &gap)| {
            let of_several = u64::from(less_one > 0).wrapping_neg();
            let (span, groupings) = (spans[several_at] & of_several, groupings[several_at] & of_several);
            several_at += (of_several & 1) as usize;
            let of_only = u64::from(groupings == 0).wrapping_neg();
            let len = (lens[only_number] & of_only) as u32;
            only_number += (of_only & 1) as usize;

            let (since, beyond) = first.overflowing_mul(step);
            let (first, beyond_too) = base.overflowing_add_unsigned(since);
            overflows |= beyond | beyond_too;
            let (span, beyond) = span.overflowing_mul(step);
            let (last, beyond_too) = first.overflowing_add_unsigned(span);
            overflows |= beyond | beyond_too;
            too_many |= groupings > less_one;
            let row = Row {
                first_ordinal: ordinal,
                extent: Extent { count: less_one.wrapping_add(1), first, last },
                groupings: groupings.wrapping_add(1),
                only: only_at..only_at + len,
            };
            only_at += len;
            let (end, beyond) = ordinal.overflowing_add(less_one);
            let (next, beyond_too) = end.overflowing_add(gap);
            overflows |= beyond | beyond_too | (next >= i64::MAX as u64);
            ordinal = next.wrapping_add(1);
            row
        },
    );
    let rows: Vec<Row> = rows.collect();
    if overflows {
        return Err(start.corrupt("P6", "ordinal exceeds 63 bits, or timestamp 64"));
    }
    if too_many {
        return Err(start.corrupt("P6", "space of more groupings than events"));
    }
    Ok(rows.into())
}

#[cfg(test)]
mod tests;
